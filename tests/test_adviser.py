"""Laws of what an adviser is told of one person: reasons, what would change them, and the sheet in both languages."""

from __future__ import annotations

import html as markup
import json
import re
from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pytest

from features import facts
from features.vocabulary import PUBLICS, months_from
from models.likelihood import LikelihoodParams
from models.market import Knowledge, open_market
from models.match_changes import nearest_miss, see, what_would_change
from models.match_reasons import CAUTIONS, REASONS, TOLD, ReasonParams, explain, forces, tell_why, usual_score, wish_of
from models.matching import MatchingParams, match_people, tell_proposals
from models.own_pathways import Pathways
from models.sight import BARRIERS
from needs.params import Params
from needs.run.adviser import advise, tell_pathways
from needs.run.counter import Counter
from needs.run.desk import leave, take
from needs.run.matching import Proposed
from needs.show.adviser import LABELS, Names, page_of
from needs.show.adviser_page import as_text, write_page
from needs.show.messages import LANGUAGES, messages, say
from needs.store.publish import Run, open_database, publish
from needs.store.schema import conform

pytestmark = pytest.mark.long

AS_OF = pd.Timestamp("2026-03-31")
OCCUPATIONS = ["F1601", "F1602", "F1603", "D1102", "K1304", "N1103"]
PLACES = {"BE4441": (48.58, 7.75), "BE4439": (48.74, 7.36), "BE4425": (49.12, 6.18)}
KINDS = ["certification", "langue", "professionnalisation"]
LIKELIHOOD, USUAL = LikelihoodParams(), ReasonParams()
NAMES = {language: Names({}, {}, language) for language in LANGUAGES}


def days(draw, size, most):
    return AS_OF + pd.to_timedelta(draw.integers(1, most, size), unit="D")


def list_courses(draw, size=60):
    """Draw sessions of all sorts. One row per session."""
    territory = draw.choice(list(PLACES), size)
    starts = days(draw, size, 300).as_unit("us")
    levels = draw.integers(0, 5, size)
    return (
        pd.DataFrame(
            {
                "session": [f"SE_{place:03d}" for place in range(size)],
                "title": [f"<formation> {place}" for place in range(size)],
                "action_type": draw.choice(KINDS, size),
                "formacode": "22254",
                "occupations": draw.choice([*OCCUPATIONS, None], size),
                "certifinfo": None,
                "certifinfos": None,
                "entry_level": pd.array(levels, dtype="Int64"),
                "entry_level_binds": draw.random(size) < 0.6,
                "exit_level": pd.array(np.where(levels > 0, np.minimum(levels + 1, 8), 3), dtype="Int64"),
                "publics": draw.choice(["tout_public", "tout_public", "th", "jeunes", "rsa|qpv"], size),
                "teaching": "presentiel",
                "hours": 400.0,
                "hours_company": 100.0,
                "funders": draw.choice(["2", "10", "4|16", "99"], size),
                "seats": draw.integers(0, 4, size),
                "price_eur": 2000.0,
                "starts": starts,
                "ends": starts + pd.Timedelta(days=90),
                "permanent": draw.random(size) < 0.1,
                "commune": "C67482",
                "latitude": [PLACES[code][0] for code in territory] + draw.normal(0, 0.1, size),
                "longitude": [PLACES[code][1] for code in territory] + draw.normal(0, 0.1, size),
                "territory": territory,
                "sector": draw.choice(["222", "232"], size),
                "place": "here",
                "funded": True,
                "gain": draw.normal(0.05, 0.05, size),
                "show": 0.75,
                "completion": 0.85,
                **dict.fromkeys(["rncp", "rncps", "blocks", "modules"]),
            }
        )
        .assign(funded=lambda rows: rows["funders"] != "10")
        .astype(dict.fromkeys(["occupations", "certifinfo", "certifinfos", "rncp", "rncps", "blocks", "modules"], "str"))
    )


def list_people(draw, courses, size=120):
    """Draw people of all sorts, a few of whom object. One row per person."""
    territory = draw.choice(list(PLACES), size)
    flags = {public: draw.random(size) < 0.15 for public in PUBLICS} | {"tout_public": np.full(size, True)}
    return pd.DataFrame(
        {
            "person": [f"{place:032x}" for place in range(size)],
            "territory": territory,
            "commune": "C67482",
            "level": pd.array(np.where(draw.random(size) < 0.1, None, draw.integers(1, 5, size)), dtype="Int64"),
            "wanted": draw.choice([*OCCUPATIONS, None], size),
            "wanted_2": draw.choice([*OCCUPATIONS, None], size),
            "last_occupation": draw.choice([*OCCUPATIONS, None], size),
            "available": days(draw, size, 200).as_unit("us"),
            "mobility_km": np.where(draw.random(size) < 0.2, np.nan, draw.integers(1, 50, size)),
            "opposition": draw.random(size) < 0.1,
            "licence": draw.choice([True, False, None], size),
            "allowance_ends": days(draw, size, 400).as_unit("us"),
            "skills": draw.choice(["1|2", "3", None], size),
            "latitude": [PLACES[code][0] for code in territory],
            "longitude": [PLACES[code][1] for code in territory],
            "priority": draw.integers(0, 3, size),
            **flags,
            **{f"move_{kind}": draw.normal(0, 0.02, size) for kind in KINDS},
            "closed": draw.choice(courses["session"], size),
            "ready": draw.choice(courses["session"], size),
        }
    ).astype(dict.fromkeys(("wanted", "wanted_2", "last_occupation", "skills"), "str"))


def known_of(draw):
    """Make the knowledge of a small market."""
    courses = list_courses(draw)
    pairs = [(one, other) for one in OCCUPATIONS for other in OCCUPATIONS if one != other and one[0] == other[0]]
    moves = pd.DataFrame(pairs, columns=["occupation", "target"]).assign(kind=draw.choice(["near", "domain"], len(pairs)))
    skills = pd.DataFrame(
        {"occupation": np.repeat(OCCUPATIONS, 4), "skill": [str(code) for code in range(4 * len(OCCUPATIONS))]}
    )
    needs = pd.DataFrame({"territory": ["BE4441"], "sector": ["222"], "need": [1.4]})
    asking = pd.DataFrame({"session": courses["session"].iloc[:5], "asked": "module:A"})
    return Knowledge(courses, moves.astype("str"), skills.astype("str"), needs, asking)


def published(told):
    """Make the tables that a sheet reads."""
    estimate = {"value": 0.6, "low": 0.5, "high": 0.7, "n": 40.0, "borrowed": 0.1, "grade": "B"}
    need = {"need": 3.0, "need_low": 1.0, "need_high": 5.0}
    grid = pd.MultiIndex.from_product([["BE4441", "BE4439"], OCCUPATIONS, months_from("2026-04", 14)])
    forecasts = grid.to_frame(index=False, name=["territory", "occupation", "period"]).assign(**estimate, **need)
    outcomes = pd.DataFrame({"territory": ["R44"], "sector": ["222"], "action_type": ["certification"], "level": [""]})
    effects = pd.DataFrame({"sector": ["", "222"], "action_type": "certification"})
    followed = {"outcome": "durable", "horizon_months": 12, **estimate}
    sectors = facts.occupation_sectors().query("occupation in @OCCUPATIONS")[["sector", "level"]].drop_duplicates()
    shares = {"training_solvable": 0.6, "training_solvable_low": 0.4, "training_solvable_high": 0.8}
    skills = pd.DataFrame({"territory": "BE4441", "skill": ["4", "5"], "period": "2026"})
    return {
        "recommendations": told[["person", "rank", "session", "score", "distance_km", "seats_left"]],
        "forecasts": forecasts,
        "outcomes": outcomes.assign(public="tout_public", **followed),
        "effects": effects.assign(group="all", **followed),
        "sector_needs": sectors.assign(territory="BE4441", period="2026-04", **estimate, **shares),
        "skill_needs": skills.assign(**estimate),
    }


RUN = Run(
    "20260331-0123456789ab",
    date(2026, 3, 31),
    datetime(2026, 4, 1, tzinfo=UTC),
    datetime(2026, 4, 1, tzinfo=UTC),
    "complete",
    "0",
    "a" * 64,
    "b" * 64,
)


@pytest.fixture(scope="module")
def counter(tmp_path_factory) -> Counter:
    """A run of a small market: its desk, and what it published."""
    folder, draw, params = tmp_path_factory.mktemp("desk"), np.random.default_rng(5), MatchingParams()
    known = known_of(draw)
    people = list_people(draw, known.courses)
    market = open_market(known, AS_OF, params.entry, params.likelihood)
    served = people[~people["opposition"]].reset_index(drop=True)
    matched = match_people([served], market, params)
    seats = pd.DataFrame({"session": market.courses["session"], "price": matched.granted.prices, "room": matched.room})
    leave(folder, RUN.run_id, AS_OF, Proposed({}, pd.DataFrame(), people, known, seats, pd.DataFrame(), 0.0))
    engine = open_database(f"sqlite:///{folder}/needs.db")
    tables = {name: conform(name, frame) for name, frame in published(tell_proposals(matched, market)).items()}
    publish(engine, RUN, tables, published_by="test")
    return Counter(take(folder, params), engine, RUN.run_id, Params())


@pytest.fixture(scope="module")
def people(counter) -> pd.DataFrame:
    return pd.read_parquet(counter.desk.people)


def each(people):
    return [people.iloc[[place]].reset_index(drop=True) for place in range(len(people))]


def texts(sheet, tmp_path):
    """Write a sheet in all languages, as text and as a page."""
    for language in LANGUAGES:
        page = page_of(sheet, NAMES[language])
        yield language, as_text(page, language)
        yield language, markup.unescape(write_page(tmp_path / "sheet.html", page, language).read_text("utf-8"))


# Reasons ------------------------------------------------------------------------------------------------------------------


def sights(counter, people):
    """Look at all courses from where some stand, at wishes of all sorts. One row per person, session."""
    seen = [see(person, counter.market, counter.desk.prices) for person in each(people)[:20]]
    rows = pd.concat(seen, ignore_index=True)
    return rows.assign(wish=np.minimum(rows["fit"], np.resize([1.0, 0.6, 0.2], len(rows))))


def test_forces_are_the_whole_way_from_a_usual_score(counter, people):
    rows = sights(counter, people)
    near = rows["distance_km"] < 200  # farther, what is left of a likelihood is below the least that is told apart
    told = forces(rows[near], LIKELIHOOD, USUAL)
    way = sum(force for part, force in told.items() if part not in ("unknown_level", "contested"))
    assert np.allclose(way, np.log(rows.loc[near, "score"] / usual_score(LIKELIHOOD, USUAL)))


def test_a_wish_is_all_of_a_fit_but_for_skills(counter, people):
    bare = people.assign(skills="").reset_index(drop=True)
    aims = counter.market.listed["aim"].to_numpy(dtype=np.int64)
    for place, (plain, skilled) in enumerate(zip(each(bare), each(people), strict=True)):
        who = np.full(len(aims), place)
        wish = wish_of(people, who, aims, counter.market)
        assert np.allclose(wish, see(plain, counter.market, counter.desk.prices)["fit"])
        assert (see(skilled, counter.market, counter.desk.prices)["fit"] >= wish - 1e-6).all()


def test_three_reasons_and_three_cautions_at_most_the_heaviest_first(counter, people):
    told = tell_why(sights(counter, people), LIKELIHOOD, USUAL)
    for name, codes in (("reasons", REASONS), ("why_not", CAUTIONS)):
        lists = [json.loads(text) for text in told[name]]
        assert max(map(len, lists)) == TOLD
        assert {code for own in lists for code, _ in own} <= set(codes) <= set(messages())
        assert all(own == sorted(own, key=lambda reason: (-reason[1], reason[0])) for own in lists)
        assert all(weight > USUAL.faint for own in lists for _, weight in own)


def test_a_run_tells_a_course_as_the_sheet_of_its_person_does(counter, people):
    served = people[~people["opposition"]].reset_index(drop=True)
    matched = match_people([served], counter.market, counter.desk.params)
    told = tell_proposals(matched, counter.market)
    why = (
        told[["person", "session"]].join(explain(told, matched.people, counter.market, USUAL)).set_index(["person", "session"])
    )
    shown = 0
    for person in each(served):
        for course in advise(counter, person).courses:
            batch = why.loc[(person["person"].iloc[0], course.session)]
            assert (course.reasons, course.why_not) == (batch["reasons"], batch["why_not"])
            shown += 1
    assert shown > 10


def test_what_one_row_is_told_does_not_depend_on_the_others(counter, people):
    rows = sights(counter, people)
    shuffled = rows.sample(frac=1.0, random_state=3)
    whole = tell_why(rows, LIKELIHOOD, USUAL)
    pd.testing.assert_frame_equal(tell_why(shuffled, LIKELIHOOD, USUAL).loc[rows.index], whole)
    pd.testing.assert_frame_equal(tell_why(rows.tail(7), LIKELIHOOD, USUAL), whole.tail(7))
    assert len(tell_why(rows.head(0), LIKELIHOOD, USUAL)) == 0


@pytest.mark.parametrize(
    ("worse", "code"),
    [
        ({"distance_km": 90.0, "near": float(np.exp(-90.0 * LIKELIHOOD.detour / LIKELIHOOD.travel_km))}, "far"),
        ({"near": 0.3}, "far_without_licence"),
        ({"paid": 0.5}, "self_paid"),
        ({"allowance": 0.7}, "after_allowance"),
        ({"wait": 0.3}, "starts_late"),
        ({"level_unknown": True}, "entry_level_to_check"),
        ({"price": 0.5}, "contested_seat"),
        ({"wish": 0.2, "fit": 0.2}, "other_occupation"),
        ({"effect": 0.01, "gain": 0.01}, "adds_little"),
        ({"need": 0.5, "gain": 0.025}, "few_needed"),
    ],
)
def test_what_gets_worse_is_said(worse, code):
    km = USUAL.distance_km
    usual = {
        "distance_km": km,
        "near": float(np.exp(-km * LIKELIHOOD.detour / LIKELIHOOD.travel_km)),
        "wish": USUAL.fit,
        "fit": USUAL.fit,
    }
    usual |= {"show": LIKELIHOOD.usual_show, "paid": 1.0, "allowance": 1.0, "weight": 1.0, "need": 1.0, "price": 0.0}
    usual |= {"effect": USUAL.gain, "gain": USUAL.gain, "wait": float(np.exp(-USUAL.wait_days / LIKELIHOOD.wait_days))}
    usual |= {"long": float(np.exp(-USUAL.months / LIKELIHOOD.patience_months)), "level_unknown": False}
    told = tell_why(pd.DataFrame([usual, usual | worse]), LIKELIHOOD, USUAL)
    assert told.iloc[0].tolist() == ["[]", "[]"]
    assert [reason[0] for reason in json.loads(told["why_not"].iloc[1])] == [code]


# What would change it -----------------------------------------------------------------------------------------------------


def changed(person, change):
    """Apply a change to a person. One row."""
    own = person.iloc[0]
    if change["barrier"] == "distance":
        return person.assign(mobility_km=(30.0 if pd.isna(own["mobility_km"]) else own["mobility_km"]) + change["more"])
    if change["barrier"] == "level":
        return person.assign(level=person["level"] + int(change["more"]))
    if change["barrier"] == "date":
        return person.assign(available=person["available"] - pd.Timedelta(days=change["more"]))
    if change["barrier"] == "prerequisite":
        return person.assign(ready=f"{own['ready']}|{change['session']}")
    return person.assign(**{change["public"]: True})


def test_what_would_change_is_true(counter, people):
    told = set()
    for person in each(people):
        sight = see(person, counter.market, counter.desk.prices)
        changes = what_would_change(sight, person, counter.market, counter.desk.prices)
        best = sight.loc[sight["open"], "net"].max()
        assert len(changes) <= TOLD
        assert changes["gain"].is_monotonic_decreasing
        for change in changes.to_dict("records"):
            after = (
                see(changed(person, change), counter.market, counter.desk.prices).set_index("session").loc[change["session"]]
            )
            assert not sight.set_index("session").loc[change["session"], "open"]
            assert after["open"]
            assert np.isclose(after["net"], change["net"], atol=1e-9)
            gain = after["score"] if pd.isna(best) else after["net"] - max(best, 0.0)
            assert np.isclose(gain, change["gain"], atol=1e-9)
            told.add(change["barrier"])
    assert {"distance", "date", "public"} <= told


def test_the_nearest_miss_has_the_fewest_barriers_then_the_best_score(counter, people):
    listed = counter.market.listed.set_index("session")
    for person in each(people)[:40]:
        sight = see(person, counter.market, counter.desk.prices).set_index("session")
        missed = nearest_miss(sight.reset_index(), counter.market)["session"].iloc[0]
        told = sight.assign(many=sight[list(BARRIERS)].sum(axis=1))[~listed["shut"]]
        few = told[told["many"] == told["many"].min()]
        assert missed in few.index
        assert few.loc[missed, "score"] == few["score"].max()


# The sheet ----------------------------------------------------------------------------------------------------------------


def test_who_objects_is_proposed_nothing_in_any_output(counter, people, tmp_path):
    objecting = people[people["opposition"]]
    assert len(objecting)
    asked = counter.market.courses["session"].iloc[0]
    for person in each(objecting):
        sheet = advise(counter, person, asked)
        assert (sheet.opposed, sheet.courses, sheet.asked, sheet.nearest, sheet.changes) == (True, (), None, None, ())
        for language, text in texts(sheet, tmp_path):
            assert "SE_" not in text
            assert "formation>" not in text
            assert say("adviser.opposed_right", language) in text
            assert counter.advice.contact in text


def test_the_course_asked_for_is_always_answered_with_each_barrier(counter, people, tmp_path):
    shut, wanted = set(), counter.market.listed["session"]
    for place, person in enumerate(each(people[~people["opposition"]])):
        asked = wanted.iloc[place % len(wanted)]
        sheet = advise(counter, person, asked)
        row = see(person, counter.market, counter.desk.prices).set_index("session").loc[asked]
        assert sheet.asked is not None
        assert list(sheet.asked.barriers) == [barrier for barrier in BARRIERS if row[barrier]]
        page = page_of(sheet, NAMES["en"])
        lines = [line for line in page.asked if line.startswith("– ")]
        assert len(lines) == len(sheet.asked.barriers)
        shut |= set(sheet.asked.barriers)
    assert {"distance", "public", "level", "date", "seats", "prerequisite"} <= shut
    unknown = page_of(advise(counter, each(people[~people["opposition"]])[0], "SE_nowhere"), NAMES["fr"])
    assert "SE_nowhere" in unknown.asked[0]


def test_courses_shown_are_those_published_in_their_order(counter, people):
    shown = 0
    for person in each(people[~people["opposition"]]):
        sheet = advise(counter, person)
        assert [course.rank for course in sheet.courses] == list(range(1, len(sheet.courses) + 1))
        assert all(course.barriers == () and course.checks[0] == "check_seat" for course in sheet.courses)
        assert (sheet.nearest is not None) <= (not sheet.courses)
        shown += len(sheet.courses)
    assert shown > 10


def test_a_sheet_says_the_same_in_french_and_in_english(counter, people, tmp_path):
    for person in each(people[~people["opposition"]])[:25]:
        sheet = advise(counter, person, "SE_001")
        french, english = (page_of(sheet, NAMES[language]) for language in ("fr", "en"))
        for name in ("facts", "cards", "none", "asked", "changes", "pathways", "targets", "skills", "rights"):
            assert len(getattr(french, name)) == len(getattr(english, name))
        assert all(set(card.lines) == set(LABELS) and all(card.lines.values()) for card in french.cards)
        for language, text in texts(sheet, tmp_path):
            assert say("adviser.advice", language) in text
            assert not re.search(r"\b(nan|None|NaT)\b", text)


def test_the_page_stands_alone_and_escapes_every_text(counter, people, tmp_path):
    person = next(person for person in each(people) if advise(counter, person).courses)
    page = write_page(tmp_path / "a" / "sheet.html", page_of(advise(counter, person), NAMES["fr"]), "fr").read_text("utf-8")
    assert "&lt;formation&gt;" in page.lower()
    assert "<formation>" not in page.lower()
    assert re.findall(r'(?:src|href)="(?!#)|url\(|@import', page) == []


def test_neighbours_are_the_surest_then_the_most_needed_and_need_is_that_of_a_year(counter, people):
    person = people[(people["wanted"] == "F1602") & (people["territory"] == "BE4441") & ~people["opposition"]].head(1)
    targets = advise(counter, person.reset_index(drop=True)).targets
    kinds = ["near", "evolution", "domain"]
    assert targets[0].occupation == "F1602"
    assert [kinds.index(target.kind) for target in targets[1:]] == sorted(kinds.index(target.kind) for target in targets[1:])
    assert targets[0].need is not None
    assert (targets[0].need.value, targets[0].need.low, targets[0].need.high, targets[0].months) == (36.0, 12.0, 60.0, 12)
    assert targets[0].solvable is not None
    assert targets[0].solvable.value == pytest.approx(0.6)


def test_skills_missing_are_those_the_occupation_lists_and_nobody_holds(counter, people):
    for person in each(people[(people["wanted"] == "F1602") & ~people["opposition"]]):
        sheet = advise(counter, person)
        held = set((person["skills"].fillna("").iloc[0]).split("|"))
        assert {skill.skill for skill in sheet.skills} == {"4", "5", "6", "7"} - held
        assert (sheet.skills_missing, sheet.skills_asked) == (len(sheet.skills), 4)


def test_pathways_are_told_step_by_step_or_by_what_bars_them(counter, people):
    person = people[(people["wanted"] == "F1602") & ~people["opposition"]].head(1).reset_index(drop=True)
    first, second = counter.market.courses["session"].iloc[:2]
    day = pd.Timestamp("2026-05-01")
    common = {"target": "F1602", "starts": day, "ends": day, "gap_days": [0, 12], "wait_days": [31, 0], "step": [1, 2]}
    steps = pd.DataFrame({"session": [first, second], "pathway": 1, **common})
    neighbour = advise(counter, person).targets[1].occupation
    barred = pd.DataFrame({"target": [neighbour], "barriers": ["level|distance"]})
    told = tell_pathways(counter, advise(counter, person).targets, Pathways(steps, steps.head(0), barred))
    assert [(step.session, step.gap_days) for step in told[0].steps] == [(first, 31), (second, 12)]
    assert told[1].barriers == ("level", "distance")
    page = page_of(replace(advise(counter, person), pathways=told), NAMES["en"])
    assert page.pathways[0][1][1][0] == "12 days without anything"


def test_nobody_is_found_under_a_name_that_is_not_there(counter):
    assert counter.desk.person("nobody").empty


def test_every_label_has_words():
    assert [label for label in LABELS if f"adviser.{label}" not in messages()] == []
