"""The reference in ``docs/reference`` holds every command, parameter and published column, as the code has them."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from needs.cli import app
from needs.params import Params, describe_params
from needs.show.reference import PAGES, meaning_of, meanings, write_pages
from needs.store.schema import METADATA

FOLDER = Path(__file__).parents[1] / "docs" / "reference"
COLUMNS = {column.name for table in METADATA.tables.values() for column in table.c}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_of_reference_is_as_the_code_has_it(page: str) -> None:
    assert (FOLDER / page).read_text(encoding="utf-8") == PAGES[page](), "run: python -m needs.show.reference docs/reference"


def test_every_command_and_option_says_what_it_means() -> None:
    commands = getattr(typer.main.get_command(app), "commands", {})
    assert len(commands) > 10
    for name, command in commands.items():
        assert "Example: needs" in " ".join(command.help.split()), name
        assert not [each.name for each in command.params if each.name != "help" and not getattr(each, "help", None)], name
        assert f"## {name}\n" in PAGES["cli.md"]()


def test_every_parameter_says_what_it_means() -> None:
    told = describe_params(Params())
    assert not told.loc[told["meaning"].str.strip() == "", "name"].tolist()
    page = PAGES["params.md"]()
    assert not [name for name in told["name"] if f"| `{name}` |" not in page]


def test_every_published_column_says_what_it_holds() -> None:
    assert all(meaning_of(column) for column in COLUMNS)
    assert set(meanings()) <= COLUMNS
    with pytest.raises(KeyError, match=r"columns\.csv"):
        meaning_of("a column that nobody told of")
    with pytest.raises(KeyError):
        meaning_of("a column that nobody told of_low")


def test_pages_are_written_anew(tmp_path: Path) -> None:
    assert [path.name for path in write_pages(tmp_path / "new")] == list(PAGES)
    assert (tmp_path / "new" / "cli.md").read_text(encoding="utf-8") == PAGES["cli.md"]()
