"""``needs match``: the sheet of one person, from what the current run left and published. The identifier is not said again."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from features.places import own_or_shipped
from features.reference_tables import SKILLS
from features.tables import TERRITORIES
from features.vocabulary import InputError
from needs.home import Home
from needs.params import Params
from needs.privacy import hold_key, load_key, pseudonym
from needs.run.adviser import advise
from needs.run.adviser_sheet import AdviserSheet
from needs.run.counter import Counter
from needs.run.desk import take
from needs.run.shown import database_url
from needs.show import figures
from needs.show.adviser import Names, page_of
from needs.show.adviser_page import as_text, write_page
from needs.show.published import open_current
from needs.store.lake import read_table


def tell_match(home: Home, params: Params, person: str, course: str | None = None, html: Path | None = None) -> str:
    """Show what is proposed to one person and why, and answer for the course asked for; write it as a page where asked."""
    counter = open_counter(home, params)
    page = page_of(sheet_of(home, counter, person, course), open_names(home, params.show.language))
    if html is None:
        return as_text(page, params.show.language)
    return f"page      {write_page(html, page, params.show.language)}"


def open_counter(home: Home, params: Params) -> Counter:
    """Open what the current run left for advisers."""
    current = open_current(database_url(home, params))
    desk = take(home.desk / current.run_id, params.matching)
    return Counter(desk, current.engine, current.run_id, params)


def sheet_of(home: Home, counter: Counter, person: str, course: str | None = None) -> AdviserSheet:
    """Fill the sheet of a person named as in the jobseekers' file; refuse one whom the run does not know."""
    key = load_key()
    if home.key_mark.exists():
        hold_key(key, home.key_mark)
    own = counter.desk.person(pseudonym(key, person))
    if own.empty:
        raise InputError(
            f"There is no such person among the {figures.many(counter.desk.served, 'jobseeker')} of this run. "
            "Write the identifier as in the column id_personne of the jobseekers' file, like P0000042."
        )
    return advise(counter, own, course)


def open_names(home: Home, language: str) -> Names:
    """Read how communes and skills are called."""
    towns = own_or_shipped(read_table(home.lake, TERRITORIES)).drop_duplicates("commune").set_index("commune")["name"]
    skills = read_table(home.lake, SKILLS).drop_duplicates("skill", keep="last").set_index("skill")["title"]
    return Names(_plain(towns), _plain(skills), language)


def _plain(names: pd.Series[str]) -> dict[str, str]:
    return {str(code): str(name) for code, name in names.dropna().items()}
