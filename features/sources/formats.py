"""The page ``docs/formats.md``: what every CSV of ours holds, as its contract says.

python -m features.sources.formats > docs/formats.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from features.contracts import Column, Contract
from features.tables import CONTRACTS

_HEAD = """# Our CSV files

Written by `python -m features.sources.formats > docs/formats.md` from the contracts (`features/tables.py`,
`features/training_tables.py`); a test holds both together. Offers, surveys and the catalogue come in public formats, which the
README names.

UTF-8, `;` between fields, one header line, columns in any order, one file or many. A Parquet file with the same headers is
read as well. An empty cell means unknown. A flag is `0` or `1`, a date `YYYY-MM-DD`; a number may have a decimal comma. Codes
are text, leading zeros count, and the kind of a territory may be left out (`67482` is `C67482`). Several codes in one cell are
separated by `|`. Bounds are inclusive. A cell that does not hold what its column says makes its row a wrong row, which is set
aside with its line and reason.
"""


_NOTES = {
    "purchases": "A lot without a bidder (`nb_offres_recues` 0) may lack `date_notification`: it is known when its year ends.",
    "employment": "Before `fin_connue_le` the end of a spell is unknown; without it, until `date_fin` is past.",
}


def describe_formats() -> str:
    """Write the page of formats, a section for every table that has headers of ours."""
    ours = [contract for contract in CONTRACTS if any(column.header for column in contract.columns)]
    return "\n".join([_HEAD, *("\n".join(_section(contract)) for contract in ours)])


def _section(contract: Contract) -> Iterator[str]:
    columns = [column for column in contract.columns if column.header]
    by_name = {column.name: f"`{column.header}`" for column in columns}
    yield f"## {contract.name}\n\nOne row: {contract.row}. Key: {', '.join(by_name[name] for name in contract.key)}.\n"
    yield f"```\n{';'.join(contract.headers)}\n```\n"
    yield f"A worked example: [{contract.name}.csv](examples/formats/{contract.name}.csv).\n"
    yield "| header | kind | holds | may be empty |\n|---|---|---|---|"
    yield from (f"| `{column.header}` | {column.kind} | {column.expected} | {_emptiness(column)} |" for column in columns)
    if contract.rules:
        yield "\nA row is wrong as well if:\n"
        yield from (f"- {rule.reason}" for rule in contract.rules)
    yield f"\n{_NOTES[contract.name]}\n" if contract.name in _NOTES else ""


def _emptiness(column: Column) -> str:
    if column.optional:
        return "yes, and the column may be absent"
    return "yes" if column.nullable else "no"


if __name__ == "__main__":
    sys.stdout.write(describe_formats())
