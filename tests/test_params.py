"""Wrong parameters: where each was given, what is wrong with it, and how it is written."""

from pathlib import Path

import pytest

from features.vocabulary import InputError
from needs.params import Params, load_params
from needs.store.publish import open_database


def refusal(path: Path, *settings: str) -> str:
    with pytest.raises(InputError) as caught:
        load_params(path, settings)
    return str(caught.value)


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "params.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("section", "key", "value", "words"),
    [
        ("purchase", "envelops", "1", "there is no parameter 'envelops' in purchase; did you mean 'envelopes'?"),
        ("purchase", "envelopes", "[{nam: a, amount_eur: 1}]", "did you mean 'name'?"),
        ("purchase", "envelopes", "[{name: a}]", "purchase.envelopes.0.amount_eur: is missing"),
        ("purchase", "envelopes", "3", 'is a list, not 3; write it like [{name: "base", amount_eur: 2000000.0}]'),
        ("purchase", "exercise", "4 060 000", '"4 060 000" is not a whole number; write it like 4060000'),
        ("purchase", "exercise", "true", "true is not a whole number; write it like 12"),
        ("purchase", "exercise", "2027.5", "2027.5 is not a whole number"),
        ("purchase", "exercise", "1999", "1999 is below 2000, the least it may be"),
        ("matching", "uptake", "3", "3 is above 0.95, the most it may be"),
        ("matching", "uptake", "0,5", '"0,5" is not a number; write it like 0.5'),
        ("matching", "uptake", "yes", "true is not a number"),
        ("matching", "uptake", ".nan", "is not a number"),
        ("forecast", "months", "", "forecast.months: is empty"),
        ("features.outcomes", "horizons_months", "6", "is a list, not 6; write it like [6, 12, 18, 24]"),
        ("show", "language", "2", "2 is not 'fr' or 'en'"),
        ("execution", "database", "2", "2 is not a text; write it in quotes"),
        ("forcast", "months", "24", "there is no section 'forcast'; did you mean 'forecast'?"),
    ],
)
def test_a_wrong_value_is_told_with_its_place(tmp_path, section, key, value, words):
    told = refusal(tmp_path / "params.yaml", f"{section}.{key}={value}")
    assert told.startswith(f"--set {section}")
    assert words in told
    lines = [*section.split("."), key]
    path = write(tmp_path, "".join(f"{'  ' * depth}{name}:\n" for depth, name in enumerate(lines))[:-1] + f" {value}\n")
    told = refusal(path)
    assert told.startswith(f"{path}: {section}")
    assert words in told


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("purchase:\n\texercise: 2027\n", "line 2 uses tabs; indent with spaces"),
        ("show:\n  language: fr # é\n".encode("latin-1"), "is not UTF-8; save it as UTF-8"),
        ("purchase:\n  exercise: 2027\n  exercise: 2028\n", "line 3: 'exercise' stands twice"),
        ("purchase:\n  exercise: 2027\nshow: {}\npurchase: {}\n", "line 4: 'purchase' stands twice"),
        ("purchase: 3\n", "purchase: 3 is a value, and this is a section"),
        ("purchase: [\n", "line 2: this is not YAML"),
        ("x: &a\n  y: *a\n", "refers to itself"),
    ],
)
def test_a_file_that_cannot_be_taken_says_why_and_where(tmp_path, content, words):
    path = write(tmp_path, content)
    told = refusal(path)
    assert told.startswith(f"{path}: ")
    assert words in told


@pytest.mark.parametrize("content", ["", "\ufeffpurchase:\n", "features:\n  grades:\n", "# nothing\n"])
def test_a_silent_section_keeps_its_defaults_and_can_be_set(tmp_path, content):
    path = write(tmp_path, content)
    assert load_params(path) == Params()
    assert load_params(path, ["purchase.exercise=2028"]).purchase.exercise == 2028


def test_every_wrong_value_is_told_at_once_and_by_who_gave_it(tmp_path):
    path = write(tmp_path, "matching:\n  uptake: 3\n")
    told = refusal(path, "purchase.exercise=soon").splitlines()
    assert sorted(line.split(": ")[0] for line in told) == sorted([str(path), "--set purchase.exercise"])


def test_numbers_and_lists_are_taken_as_they_are_written(tmp_path):
    path = write(tmp_path, "purchase:\n  envelopes:\n    - {name: a, amount_eur: 5, financeurs: ['2', '11']}\n")
    [envelope] = load_params(path, ["features.outcomes.horizons_months=[6, 12]"]).purchase.envelopes
    assert (envelope.amount_eur, envelope.financeurs) == (5.0, ("2", "11"))


def test_a_database_that_cannot_be_used_says_where_to_publish_instead(tmp_path):
    path = tmp_path / "needs.db"
    path.write_text("no database at all\n" * 200, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        open_database(f"sqlite:///{path}")
    assert "Move the file away" in str(caught.value)
    assert f"execution.database in params.yaml to another address, like sqlite:///{tmp_path}/needs-new.db" in str(caught.value)
