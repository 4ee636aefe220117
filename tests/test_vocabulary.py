"""Canonical codes: one spelling, one parser, and refusals that a planner can act on."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features import vocabulary
from features.vocabulary import BASSIN, COMMUNE, DEPARTMENT, SECTOR, TERRITORY, ZONE, InputError, Noun

NOUNS = [noun for noun in vars(vocabulary).values() if isinstance(noun, Noun)]
noun = pytest.mark.parametrize("noun", NOUNS, ids=lambda noun: noun.name)


@noun
def test_an_example_is_spelt_canonically_and_parsing_is_idempotent(noun):
    assert noun.parse(f" {noun.example.lower()} ") == noun.example
    assert noun.spelt(pd.Series([noun.example, None, "?"], dtype="str")).tolist() == [True, False, False]


@noun
@given(text=st.text(max_size=60))
def test_a_code_is_canonical_or_refused_with_an_example(noun, text):
    try:
        assert noun.parse(noun.parse(text)) == noun.parse(text)
    except InputError as error:
        assert noun.example in str(error)  # noqa: PT017


@noun
def test_a_column_is_spelt_as_one_code_is(noun):
    codes = pd.Series(
        ["", "A1101", "BE4415", "D2A", "2A004", "C2A004", "230", "23026", "2025-03", "3", noun.example], dtype="str"
    )
    said = noun.spelt(codes).tolist()
    for code, canonical in zip(codes, said, strict=True):
        if canonical:
            assert noun.parse(code) == code
        else:
            with pytest.raises(InputError):
                noun.parse(code)


def test_bare_codes_take_their_prefix_once_and_unknown_ones_stay_unknown():
    assert COMMUNE.typed(pd.Series(["67482", "C67482", "2A004"], dtype="str")).tolist() == ["C67482", "C67482", "C2A004"]
    assert DEPARTMENT.typed(pd.Series(["08", None], dtype="str")).isna().tolist() == [False, True]
    assert SECTOR.typed(pd.Series(["230"], dtype="str")).tolist() == ["230"]


@pytest.mark.parametrize("noun", [BASSIN, ZONE, DEPARTMENT])
def test_typed_territories_never_collide(noun):
    bare = {"BE": "4415", "ZE": "4415", "D": "67"}[noun.prefix]
    typed = noun.typed(pd.Series([bare], dtype="str")).iloc[0]
    assert typed == noun.prefix + bare
    assert TERRITORY.spelt(pd.Series([typed, bare], dtype="str")).tolist() == [True, False]


@pytest.mark.parametrize(
    ("code", "level"),
    [("0", None), ("1", None), ("2", 1), ("3", 2), ("4", 3), ("5", 4), ("6", 5), ("7", 6), ("8", 7)]
    + [(str(10 + level), level) for level in range(1, 9)]
    + [("9", None), ("19", None), ("x", None), ("", None), ("²", None)],
)
def test_lheo_levels(code, level):
    assert vocabulary.level_of_lheo(code) == level


@given(st.text())
def test_levels_of_any_text_are_levels_or_unknown(text):
    assert vocabulary.level_of_lheo(text) in {None, *range(1, 9)}


@given(
    start=st.dates(min_value=pd.Timestamp("1950-01-01").date(), max_value=pd.Timestamp("2050-01-01").date()),
    count=st.integers(1, 40),
)
def test_months_run_without_a_gap(start, count):
    months = vocabulary.months_from(f"{start:%Y-%m}", count)
    assert len(set(months)) == count
    assert months == sorted(months)
    assert vocabulary.months_to(months[0], months[-1]) == months
    assert vocabulary.months_to(months[-1], months[0]) == ([months[0]] if count == 1 else [])


def test_months_of_dates():
    assert vocabulary.month_of(pd.Series(pd.to_datetime(["2025-03-31", None]))).fillna("").tolist() == ["2025-03", ""]
