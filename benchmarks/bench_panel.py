"""Twenty million offers over six years, from Parquet by département to monthly panels, beside the same sums written in SQL.

The peer reads the files and adds up the same columns by territory, département, occupation and month; it neither shares offers
without a bassin over the Region, nor orders its rows, nor spells their months; of skills it does not count the offers of a
cell, whatever they ask, beside them. The offers are made up.
"""

from __future__ import annotations

import math
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import duckdb
import pandas as pd
import pyarrow.dataset as ds

from features import facts
from features.demand import DemandParams, observe_offers
from features.skills import SkillParams, count_skills
from figures import Figure
from processes import Cost, timed

MANY, FEW = 20_000_000, 2_000_000
ROUNDS = 2
TIMES, GIGABYTES = 1.2, 1.5
AS_OF = pd.Timestamp("2026-03-31")
PANEL = """
    SELECT territory, department, occupation, year(created) * 12 + month(created) AS month, count(*) AS vacancies,
        sum(positions) FILTER (NOT seasonal AND lasting) AS positions, sum(positions) FILTER (seasonal) AS seasonal,
        sum(positions) FILTER (NOT seasonal AND NOT lasting) AS short,
        count(*) FILTER (experience = 'D') AS beginners, count(*) FILTER (experience IN ('S', 'E')) AS experienced,
        count(level) AS level_told, count(*) FILTER (level < 4) AS level_below_4, count(hourly_eur) AS wage_told,
        sum(hourly_eur) AS wages, sum(date_diff('day', created, known_from)) AS days_on_line
    FROM (
        SELECT *, contract IN ('CDI', 'DIN', 'PUB') OR coalesce(contract_months >= 6, false) AS lasting
        FROM read_parquet('{folder}/*/*.parquet', hive_partitioning = false)
        WHERE border IS NULL AND known_from <= $day AND (superseded IS NULL OR superseded > $day)
            AND created >= DATE '2020-04-01' AND created < DATE '2026-04-01'
    ) GROUP BY ALL
"""
SKILLS = """
    SELECT territory, department, occupation, skill, year, count(*) AS offers, sum(positions) AS positions
    FROM (
        SELECT territory, department, occupation, positions, unnest(string_split(skills, '|')) AS skill,
            (date_diff('month', created, DATE '2026-03-31') // 12) AS year
        FROM read_parquet('{folder}/*/*.parquet', hive_partitioning = false)
        WHERE border IS NULL AND skills <> '' AND NOT seasonal
            AND (contract IN ('CDI', 'DIN', 'PUB') OR coalesce(contract_months >= 6, false))
            AND known_from <= $day AND (superseded IS NULL OR superseded > $day)
            AND created >= DATE '2020-04-01' AND created < DATE '2026-04-01'
    ) GROUP BY ALL
"""


def measure() -> list[Figure]:
    """Make the offers once, then count them in turns with both."""
    with tempfile.TemporaryDirectory() as folder:
        many, few = (make_offers(Path(folder) / str(count), count) for count in (MANY, FEW))
        costs = {(what, path): [cost_of(what, path) for _ in range(ROUNDS)] for path in (many, few) for what in COUNTS}
    seconds = {key: min(float(cost.printed) for cost in found) for key, found in costs.items()}
    memory = {key: max(cost.gigabytes for cost in found) for key, found in costs.items()}
    return [figure for what in ("panel", "skills") for figure in told(what, many, few, seconds, memory)]


def told(
    what: str, many: Path, few: Path, seconds: dict[tuple[str, Path], float], memory: dict[tuple[str, Path], float]
) -> list[Figure]:
    ours, peer = seconds[what, many], seconds[f"{what}_in_sql", many]
    return [
        Figure(f"20 M offers to {what}", ours, "s"),
        Figure("  written in SQL", peer, "s"),
        Figure("  ÷ SQL", ours / peer, "×", TIMES),
        Figure("  peak memory", memory[what, many], "GB", GIGABYTES),
        Figure("  peak memory of SQL", memory[f"{what}_in_sql", many], "GB"),
        Figure("  slope from 2 M (1: linear)", math.log10(ours / seconds[what, few]), ""),
    ]


def cost_of(what: str, path: Path) -> Cost:
    return timed([sys.executable, __file__, what, str(path)])


def make_offers(folder: Path, count: int) -> Path:
    """Write offers by département: one in eleven in two versions, one in thirty without a bassin, a hundredth abroad."""
    communes = facts.communes()
    cells = communes.groupby(["department", "territory"], as_index=False)["population"].sum()
    cells = cells.assign(until=cells["population"].cumsum() / cells["population"].sum())
    jobs = facts.occupations()[["occupation"]].reset_index(names="job")
    with duckdb.connect() as connection:
        connection.execute("SET threads = 1")
        connection.execute("SELECT setseed(0.1)").fetchall()
        connection.register("cells", cells)
        connection.register("jobs", jobs)
        connection.execute(
            f"""
            COPY (
                WITH drawn AS (
                    SELECT number, random() AS place, (random() * random() * {len(jobs)})::INTEGER % {len(jobs)} AS job,
                        DATE '2020-04-01' + (random() * 2190)::INTEGER AS created, random() AS kind, random() AS version,
                        random() AS vague, (1 + 4 * random() * random() * random())::BIGINT AS positions,
                        (random() * 12)::INTEGER AS months, random() AS told, (random() * 24)::INTEGER AS asked
                    FROM range({count}) AS t(number)
                )
                SELECT printf('%09d', number - (version < 0.09)::INTEGER) AS offer, created::TIMESTAMP AS created,
                    created::TIMESTAMP + to_days(if(version < 0.09, 10, 0)) AS known_from, occupation, NULL::VARCHAR AS leaf,
                    NULL::VARCHAR AS commune, if(vague > 0.99, 'DE', NULL) AS border,
                    if(kind < 0.5, 'CDI', if(kind < 0.7, 'CDD', 'MIS')) AS contract,
                    if(kind < 0.5, NULL, months::DOUBLE) AS contract_months, kind > 0.92 AS seasonal, positions,
                    if(told < 0.4, 'D', 'E') AS experience, if(told < 0.3, 3 + months % 5, NULL)::BIGINT AS level,
                    array_to_string(
                        list_transform(range(asked % 6), lambda k: (100000 + 20 * job + (asked * 7 + k * 3) % 20)::VARCHAR), '|'
                    ) AS skills,
                    if(told < 0.5, 11.0 + months, NULL) AS hourly_eur,
                    if(version > 0.91, created + 10, NULL)::TIMESTAMP AS superseded,
                    if(vague < 0.03 OR vague > 0.99, NULL, territory) AS territory, department
                FROM drawn JOIN jobs USING (job) ASOF JOIN cells ON drawn.place < cells.until
            ) TO '{folder}' (FORMAT parquet, COMPRESSION zstd, PARTITION_BY (department), WRITE_PARTITION_COLUMNS true)
            """
        )
    return folder


def count_panel(folder: Path) -> int:
    return len(observe_offers(ds.dataset(folder, partitioning=None), facts.communes(), AS_OF, DemandParams()))


def count_asked(folder: Path) -> int:
    return len(count_skills(ds.dataset(folder, partitioning=None), facts.communes(), AS_OF, SkillParams(), DemandParams()))


def count_in_sql(sql: str, folder: Path) -> int:
    with duckdb.connect() as connection:
        return len(connection.sql(sql.format(folder=folder), params={"day": AS_OF}).to_arrow_table())


COUNTS = {
    "panel": count_panel,
    "panel_in_sql": lambda folder: count_in_sql(PANEL, folder),
    "skills": count_asked,
    "skills_in_sql": lambda folder: count_in_sql(SKILLS, folder),
}


if __name__ == "__main__":
    facts.communes()  # builders are given the communes; they do not read them
    started = perf_counter()
    COUNTS[sys.argv[1]](Path(sys.argv[2]))
    print(perf_counter() - started)
