"""A million offers, from their packed lines to the lake, beside the same bytes unfolded and decoded by others.

The bound is held to DuckDB, the quicker of both peers, which uses every core; pyarrow.json is told as well. Neither checks,
places, sorts or stores anything.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd
from isal import igzip

from features import facts
from features.intake import take_in
from features.sources.offers import read_offers
from features.tables import OFFERS
from figures import Figure
from needs.home import Home
from needs.store.lake import read_manifest, write_table
from needs.twin import draw
from processes import Cost, timed

REAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "offers" / "offres_v2_search_response_150.json"
OFFER_COUNT, VERSIONS = 800_000, 1_000_000
ROUNDS = 2
TIMES, GIGABYTES = 1.5, 1.5
CHUNK = 2_000
Json = dict[str, object]


def measure() -> list[Figure]:
    """Write the offers once, then read them in turns through the peers and into the lake."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "offers.jsonl.gz"
        shape, examples = (
            ("real", json.loads(REAL.read_text("utf-8"))["resultats"]) if REAL.exists() else ("simulated", drawn())
        )
        size = write(path, examples)
        costs = {name: [cost_of(name, path) for _ in range(ROUNDS)] for name in PEERS}
    ours, duck, arrow = (min(float(cost.printed) for cost in costs[name]) for name in ("lake", "duckdb", "pyarrow"))
    return [
        Figure(f"1 M offers ({shape} shape), unfolded", size / 1e9, "GB"),
        Figure("  to the lake", ours, "s"),
        Figure("  read by pyarrow.json", arrow, "s"),
        Figure("  read by DuckDB", duck, "s"),
        Figure("  to the lake ÷ pyarrow.json", ours / arrow, "×"),
        Figure("  to the lake ÷ DuckDB", ours / duck, "×", TIMES),
        Figure("  peak memory, to the lake", max(cost.gigabytes for cost in costs["lake"]), "GB", GIGABYTES),
    ]


def cost_of(peer: str, path: Path) -> Cost:
    return timed([sys.executable, __file__, peer, str(path)])


def drawn() -> list[Json]:
    """Take the offers of a small simulated region."""
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        draw(home, scale="tiny", seed=1, as_of=pd.Timestamp("2026-03-31"))
        lines = igzip.open(min((home.raw / "offers").iterdir())).readlines()
    return [json.loads(line) for line in lines[:150]]


def write(path: Path, examples: list[Json]) -> int:
    """Write every version of every offer on its line, and say how many bytes they are unfolded."""
    size = 0
    with igzip.open(path, "wb", compresslevel=2) as stream:
        versions = version_lines(examples)
        while chunk := b"".join(line for _, line in zip(range(CHUNK), versions, strict=False)):
            size += stream.write(chunk)
    return size


def version_lines(examples: list[Json]) -> Iterator[bytes]:
    """Vary the examples: other ids, days and communes of the Region; one offer of four comes again, updated later."""
    kept_apart = ("id", "dateCreation", "dateActualisation", "lieuTravail")
    ends = [json.dumps({k: v for k, v in o.items() if k not in kept_apart}, ensure_ascii=False)[1:].encode() for o in examples]
    labels = [place_of(row.commune, row.name, row.department) for row in facts.communes().itertuples()]
    labels += 60 * [o["lieuTravail"] for o in examples if "commune" not in o["lieuTravail"]]
    places = [json.dumps(label, ensure_ascii=False).encode() for label in labels]
    days = (np.datetime64("2020-01-01") + np.random.default_rng(1).integers(0, 2000, OFFER_COUNT)).astype("S10").tolist()
    updates = (np.array(days, "datetime64[D]") + 9).astype("S10").tolist()
    for version in range(VERSIONS):
        offer = version % OFFER_COUNT
        yield (
            b'{"id": "%07d", "dateCreation": "%sT18:34:08.000Z", '
            b'"dateActualisation": "%sT14:27:32.000Z", "lieuTravail": %s, %s\n'
            % (
                offer * 7_919_777 % 10_000_000,
                days[offer],
                (days if version == offer else updates)[offer],
                places[offer * 31 % len(places)],
                ends[offer % len(ends)],
            )
        )


def place_of(commune: str, name: str, department: str) -> Json:
    return {"libelle": f"{department[1:]} - {name.upper()}", "codePostal": f"{department[1:]}000", "commune": commune[1:]}


def to_lake(path: Path) -> int:
    """Do what the night does with offers: read, check, place, sort, fingerprint, write."""
    checked = take_in(read_offers([path]), OFFERS, facts.communes())
    lake = path.parent / "lake"
    write_table(lake, OFFERS, OFFERS.sort(checked.kept))
    manifest = read_manifest(lake, OFFERS)
    return (manifest.rows if manifest else 0) + checked.outside


def through_pyarrow(path: Path) -> int:
    import pyarrow as pa
    from pyarrow import json as arrow_json

    with pa.OSFile(str(path)) as file, pa.CompressedInputStream(file, "gzip") as stream:
        return len(arrow_json.read_json(stream))


def through_duckdb(path: Path) -> int:
    import duckdb

    base = duckdb.connect()
    base.execute("create table offers as select * from read_json($path, format = 'newline_delimited')", {"path": str(path)})
    return int(base.execute("select count(*) from offers").fetchall()[0][0])


PEERS = {"lake": to_lake, "duckdb": through_duckdb, "pyarrow": through_pyarrow}


if __name__ == "__main__":
    begun = perf_counter()
    found = PEERS[sys.argv[1]](Path(sys.argv[2]))
    print(perf_counter() - begun)
    sys.exit(found != VERSIONS)
