"""A Region begins with what it has: a survey, certifications and past purchases alone; or public files, as published."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from homes import AS_OF, copy_home
from sqlalchemy import text

from features.build import Features
from features.vocabulary import REGION
from needs.home import Home
from needs.params import load_params
from needs.run.inputs import Inputs
from needs.run.nightly import run_nightly
from needs.run.unadvertised import KEY, tell_unadvertised
from needs.store.publish import open_database

pytestmark = pytest.mark.long

KEPT = ("bmo", "certifications", "purchases", "SIMULATED.txt")
PUBLIC = Path(__file__).resolve().parents[2] / "shared" / "data"
PUBLIC_FILES = {
    "bmo": ("bmo/Base_open_data_BMO_2023.xlsx", "bmo/Base_open_data_BMO_2024.xlsx"),
    "offers": ("offers/offres_v2_search_response_150.json",),
}


def current(home: Home) -> dict[str, pd.DataFrame]:
    """Read what planners see."""
    names = ("forecasts", "sector_needs", "rankings", "lots", "digest", "recommendations")
    with open_database(f"sqlite:///{home.var / 'needs.db'}").connect() as there:
        return {name: pd.read_sql(text(f"SELECT * FROM current_{name}"), there) for name in names}


@pytest.fixture(scope="module")
def bare(drawn: Home, tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    """What is published of the tiny region, all its files gone but the survey, the certifications and the purchases."""
    home = copy_home(drawn, tmp_path_factory.mktemp("bare"))
    for path in home.raw.iterdir():
        if path.name not in KEPT:
            shutil.rmtree(path)
    assert run_nightly(home, load_params(home.params), AS_OF).new
    return current(home)


def test_a_survey_certifications_and_purchases_make_a_plan_graded_c(bare: dict[str, pd.DataFrame]) -> None:
    lots = bare["lots"]
    assert lots["places"].sum() > 0
    assert 0 < lots["cost_cents"].sum() <= 26_000_000
    assert len(set(lots["sector"])) > 1
    for name in ("forecasts", "rankings", "lots"):
        assert set(bare[name]["grade"].dropna()) <= {"C", "D"}, name
    assert (lots.groupby("grade")["cost_cents"].sum() / lots["cost_cents"].sum())["C"] > 0.5, "most of the money is graded C"
    assert (lots["low"] == 0).all(), "an assumed effect may be nothing"
    assert (lots["high"] > 2 * lots["value"]).all()
    assert bare["recommendations"].empty


def test_such_a_plan_says_what_it_lacks(bare: dict[str, pd.DataFrame]) -> None:
    told = bare["digest"].query("severity == 'warning'")["message"]
    for words in ("moins de 6 mois", "Aucune note ne dépasse C", "le même apport est supposé", "offres d'emploi", "demandeurs"):
        assert told.str.contains(words, regex=False).any(), words
    assert bare["rankings"]["caveats"].str.contains("effect_assumed").all()


def test_where_effects_are_assumed_need_and_price_alone_make_the_order(bare: dict[str, pd.DataFrame]) -> None:
    ranked = bare["rankings"].query("value > 0")
    jobs = ranked["cost_per_job_eur"].to_numpy()
    assert len(ranked)
    assert np.isfinite(jobs).all()
    assert (ranked.sort_values(["territory", "rank"]).groupby("territory")["cost_per_job_eur"].diff().dropna() >= 0).all()


def test_needs_without_offers_add_up_and_are_wide(few: Inputs, features: Features) -> None:
    told = tell_unadvertised(features.seen, ["2026-04", "2026-05"], few.params.features)
    assert not told.duplicated(KEY).any()
    assert told["value"].equals(told["need"])
    assert ((told["low"] < told["value"]) & (told["value"] < told["high"])).all()
    assert set(told["grade"]) <= {"C", "D"}
    assert (told["borrowed"] == 1).all()
    sums = {kind: told[told["territory"].str.startswith(kind)]["need"].sum() for kind in ("BE", "D", REGION)}
    assert sums["BE"] == pytest.approx(sums["D"]) == pytest.approx(sums[REGION])
    asked = features.seen.survey.occupations
    lasting = float((asked["projects"] - asked["seasonal"]).sum())
    assert 0.3 * lasting < sums[REGION] * 6 < 3 * lasting, "a year of it is of the size that the survey announces"
    wide = (told["high"] / told["low"]).groupby(told["territory"]).median()
    assert wide.min() > 2, "nothing confirms it"


def test_months_without_an_offer_change_nothing_else(few: Inputs, features: Features) -> None:
    seen = features.seen
    one, two = (tell_unadvertised(seen, months, few.params.features) for months in (["2026-05"], ["2026-05", "2026-06"]))
    pd.testing.assert_frame_equal(one, two[two["period"] == "2026-05"].reset_index(drop=True))


@pytest.mark.skipif(not PUBLIC.exists(), reason="../shared/data is not there")
def test_the_real_survey_and_real_offers_run_say_what_lacks_and_are_graded_so(tmp_path: Path) -> None:
    home = Home(tmp_path)
    for folder, names in PUBLIC_FILES.items():
        (home.raw / folder).mkdir(parents=True)
        for name in names:
            shutil.copy(PUBLIC / name, home.raw / folder)
    assert run_nightly(home, load_params(home.params), "2024-12-31").new
    told = current(home)
    assert told["forecasts"].query("territory == 'R44'")["need"].sum() > 100_000
    assert set(told["forecasts"]["grade"]) <= {"C", "D"}
    assert told["sector_needs"]["territory"].nunique() == 43
    assert told["lots"].empty
    warned = told["digest"].query("severity == 'warning'")["message"]
    for source in ("achats passés", "demandeurs d'emploi", "catalogue des formations", "enquête BMO 2024"):
        assert warned.str.contains(source, regex=False).any(), source
