"""A catalogue of 1 GB: what reading it takes beside a bare loop of the XML parser, and whether its memory grows with the file.

The catalogue repeats the two real examples of full exports, every copy with other numbers, dates and communes. Each measure
has a process of its own. The memory compared is the peak less two tables: the texts that were read and the checked table that
they become, which is the one measured, are there at once. What is left is what reading and checking take.
Terse formations, which hold no prose, are told as well: there the same fields stand in a sixth of the bytes.
"""

from __future__ import annotations

import re
import resource
import subprocess
import sys
import tempfile
from itertools import count
from pathlib import Path
from statistics import mean
from time import process_time
from typing import NamedTuple

from lxml import etree

from features.sources.lheo import read_catalogue
from figures import Figure

EXAMPLES = Path(__file__).resolve().parents[2] / "shared" / "data" / "formation"
REAL = ("lheo_intercarif_anotea_test.xml", "lheo_exemple_bts_onisep.xml")
TIME_BOUND, MEMORY_BOUND = 2.0, 1.3
MEGABYTE = 10**6
ADDRESS = (
    "<adresse>\n<ligne>-</ligne>\n<codepostal>75019</codepostal>\n<ville>Paris</ville>\n"
    "<code-INSEE-commune>75019</code-INSEE-commune>\n<geolocalisation>\n<latitude>48</latitude>\n<longitude>2</longitude>\n"
    "</geolocalisation>\n</adresse>\n"
)
TERSE = (
    '<formation numero="F_XX_XX">\n<domaine-formation>\n<code-FORMACODE>22403</code-FORMACODE>\n<code-NSF>233</code-NSF>\n'
    "<code-ROME>F1604</code-ROME>\n</domaine-formation>\n<intitule-formation>Plaquiste</intitule-formation>\n"
    "<certifiante>1</certifiante>\n<code-niveau-entree>1</code-niveau-entree>\n"
    "<objectif-general-formation>6</objectif-general-formation>\n<certification>\n<code-RNCP>320</code-RNCP>\n"
    "<code-CERTIFINFO>80735</code-CERTIFINFO>\n</certification>\n<code-niveau-sortie>4</code-niveau-sortie>\n"
    '<action numero="AC_XX_XXXXXX">\n<code-public-vise>83056</code-public-vise>\n<lieu-de-formation>\n<coordonnees>\n'
    f"{ADDRESS}</coordonnees>\n</lieu-de-formation>\n<modalites-entrees-sorties>0</modalites-entrees-sorties>\n"
    '<session numero="SE_XXXXXX">\n<periode>\n<debut>20171030</debut>\n<fin>20180601</fin>\n</periode>\n<adresse-inscription>\n'
    f"{ADDRESS}</adresse-inscription>\n<etat-recrutement>1</etat-recrutement>\n</session>\n"
    "<nombre-heures-centre>585</nombre-heures-centre>\n<nombre-heures-total>697</nombre-heures-total>\n<organisme-financeur>\n"
    "<code-financeur>2</code-financeur>\n<nb-places-financees>5</nb-places-financees>\n</organisme-financeur>\n</action>\n"
    "<organisme-formation-responsable>\n<SIRET-organisme-formation>\n<SIRET>01111111111111</SIRET>\n"
    "</SIRET-organisme-formation>\n</organisme-formation-responsable>\n</formation>\n"
)


class Cost(NamedTuple):
    """What one process took."""

    seconds: float  # of the processor, so that whatever else the machine does weighs on neither
    peak: float
    table: float
    sessions: float


def measure() -> list[Figure]:
    """Write the catalogues, and read each in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        figures = []
        if all((EXAMPLES / name).exists() for name in REAL):
            figures += measure_growth(Path(folder), [formation_of(EXAMPLES / name) for name in REAL])
        else:
            print("bench_lheo: ../shared/data is not there; only terse formations are measured", flush=True)
        terse = write(Path(folder) / "terse.xml", [TERSE], 100)
        beside = cost("bare", terse).seconds
        return [*figures, Figure("terse formations: read ÷ bare iterparse", cost("read", terse).seconds / beside, "×")]


def measure_growth(folder: Path, formations: list[str]) -> list[Figure]:
    """Compare 1 GB with a bare loop over it, and with a quarter of it."""
    small, large = (write(folder / f"{size}.xml", formations, size) for size in (250, 1000))
    before, quarter, whole, after = cost("bare", large), cost("read", small), cost("read", large), cost("bare", large)
    grown = (whole.peak - 2 * whole.table) / (quarter.peak - 2 * quarter.table)
    return [
        Figure("read 1 GB, processor", whole.seconds, "s"),
        Figure("  sessions", whole.sessions, ""),
        Figure("  peak memory", whole.peak / 1000, "GB"),
        Figure("  the checked table", whole.table / 1000, "GB"),
        Figure("read ÷ bare iterparse", whole.seconds / mean([before.seconds, after.seconds]), "×", TIME_BOUND),
        Figure("memory less both tables, 1 GB ÷ 250 MB", grown, "×", MEMORY_BOUND),
    ]


def formation_of(path: Path) -> str:
    """Cut the one formation out of an example."""
    found = re.search(r"<formation .*</formation>\n", path.read_text("utf-8"), re.DOTALL)
    if not found:
        raise SystemExit(f"{path.name} holds no formation")
    return re.sub(r'numero="9436_18706"', 'numero="SE_XXXXXX"', found[0])


def write(path: Path, formations: list[str], megabytes: int) -> Path:
    """Write a catalogue of a size, every formation with its own numbers, days and commune."""
    with path.open("w", encoding="utf-8") as file:
        file.write('<?xml version="1.0" encoding="UTF-8"?>\n<lheo xmlns="http://www.lheo.org/2.2">\n<offres>\n')
        for number in count():
            text = formations[number % len(formations)].replace("XX_XX", f"{number}_1").replace("XXXXXX", str(number))
            text = text.replace("20171030", f"2017{number % 12 + 1:02}{number % 28 + 1:02}").replace(
                "75019", f"{67001 + number % 527}"
            )
            file.write(text)
            if number % 100 == 0 and file.tell() >= megabytes * MEGABYTE:
                break
        file.write('</offres>\n<extras info="flux"><extra info="date-export">20180612</extra></extras>\n</lheo>\n')
    return path


def cost(deed: str, path: Path) -> Cost:
    """Do one deed in a new process."""
    done = subprocess.run([sys.executable, __file__, deed, str(path)], check=True, capture_output=True, encoding="utf-8")
    return Cost(*map(float, done.stdout.split()))


def bare(path: Path) -> None:
    """Pass over every formation and forget it."""
    for _, element in etree.iterparse(str(path), tag="{*}formation"):
        element.clear()
        while element.getprevious() is not None:
            del element.getparent()[0]


def main(deed: str, path: Path) -> None:
    """Do one deed, and print its cost."""
    table, sessions = 0, 0
    start = process_time()
    if deed == "bare":
        bare(path)
    else:
        checked = read_catalogue([path])
        table, sessions = (
            checked.kept.memory_usage(deep=True).sum() + checked.origin.memory_usage(deep=True).sum(),
            len(checked.kept),
        )
    seconds = process_time() - start
    print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000, table / MEGABYTE, sessions)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
