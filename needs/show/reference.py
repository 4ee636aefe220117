"""The pages of ``docs/reference``: every command, every parameter and every published column, as the code has them.

python -m needs.show.reference docs/reference
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path

import typer

from needs.cli import app
from needs.params import Params, describe_params
from needs.show.messages import messages
from needs.store.schema import METADATA

_WRITTEN = "Written by `python -m needs.show.reference docs/reference` from the code; a test holds both together.\n"
_LONGEST = 80  # characters of a default; a longer one is told by 'needs params'
_ENDS = {
    "_low": "lower bound of `{}`",
    "_high": "upper bound of `{}`",
    "_n": "observations behind `{}`",
    "_predicted": "what had been predicted of `{}`",
    "_apart": "whether `{}` and what had been predicted differ beyond chance",
}


def describe_commands() -> str:
    """Write the page of commands: what each does, its arguments and options, an example."""
    root = typer.main.get_command(app)
    told = ["# Commands", "", _WRITTEN, "Options of every command come before its name: `needs --home DIR COMMAND`.", ""]
    told += _options(root)
    for name, command in sorted(getattr(root, "commands", {}).items()):
        words = (command.help or "").split("Example:")
        told += [f"## {name}", "", " ".join(words[0].split()), "", *_options(command)]
        told += ["```", words[-1].strip(), "```", ""]
    return "\n".join(told)


def _options(command: object) -> list[str]:
    """Lay out arguments and options as a table; nothing for a command without any."""
    params = [each for each in getattr(command, "params", []) if each.name != "help"]
    if not params:
        return []
    rows = [f"| {_spelt(each)} | {_cell(getattr(each, 'help', None) or '')} |" for each in params]
    return ["| what | means |", "|---|---|", *rows, ""]


def _spelt(param: object) -> str:
    """Spell an option as it is typed, an argument in capitals."""
    kind, names = getattr(param, "param_type_name", ""), getattr(param, "opts", [])
    return f"`{'`, `'.join(names)}`" if kind == "option" else f"`{str(getattr(param, 'name', '')).upper()}`"


def describe_parameters() -> str:
    """Write the page of parameters: name, default, unit, bounds, meaning, a table for each section."""
    told = ["# Parameters", "", _WRITTEN, "They stand in `params.yaml`; `needs params` prints those in force.", ""]
    section = ""
    for row in describe_params(Params()).to_dict("records"):
        first = str(row["name"]).partition(".")[0]
        if first != section:
            section = first
            told += ["", f"## {section}", "", "| name | default | unit | bounds | means |", "|---|---|---|---|---|"]
        default = str(row["default"])
        shown = f"`{_cell(default if len(default) <= _LONGEST else default[:_LONGEST] + '…')}`" if default else ""
        told.append(
            f"| `{row['name']}` | {shown} | {row['unit']} | {_cell(str(row['bounds']))} | {_cell(str(row['meaning']))} |"
        )
    return "\n".join([*told, ""])


def describe_tables() -> str:
    """Write the page of published tables: key and columns of each, with what they hold."""
    told = [
        "# Published tables",
        "",
        _WRITTEN,
        "Each row stands under its `run_id`; views `current_<table>` show the current run.",
    ]
    for name, table in METADATA.tables.items():
        key = ", ".join(f"`{column.name}`" for column in table.primary_key)
        told += ["", f"## {name}", "", f"Key: {key}.", "", "| column | type | holds |", "|---|---|---|"]
        told += [f"| `{column.name}` | {str(column.type).lower()} | {_cell(meaning_of(column.name))} |" for column in table.c]
    return "\n".join([*told, ""])


@cache
def meanings() -> Mapping[str, str]:
    """Read what published columns hold, by their name."""
    with files("needs.show").joinpath("columns.csv").open(encoding="utf-8") as lines:
        return {row["column"]: row["meaning"] for row in csv.DictReader(lines, delimiter=";")}


def meaning_of(column: str) -> str:
    """Say what a published column holds: in words of its own, as its heading, or as the bound of another; ``KeyError`` if none.

    >>> meaning_of("coverage_low")
    'lower bound of `coverage`'
    """
    if column in meanings():
        return meanings()[column]
    if f"column_{column}" in messages():
        return messages()[f"column_{column}"]["en"].lower()
    end = next((end for end in _ENDS if column.endswith(end)), "")
    if not end:
        raise KeyError(f"no meaning of the published column '{column}' in needs/show/columns.csv")
    meaning_of(column.removesuffix(end))
    return _ENDS[end].format(column.removesuffix(end))


def _cell(text: str) -> str:
    """Write a text as a cell of a table."""
    return " ".join(text.replace("|", "\\|").split())


PAGES: Mapping[str, Callable[[], str]] = {
    "cli.md": describe_commands,
    "params.md": describe_parameters,
    "tables.md": describe_tables,
}


def write_pages(folder: Path) -> Iterator[Path]:
    """Write every page, and give their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, describe in PAGES.items():
        (folder / name).write_text(describe(), encoding="utf-8")
        yield folder / name


if __name__ == "__main__":
    sys.stdout.writelines(f"{path}\n" for path in write_pages(Path(sys.argv[1])))
