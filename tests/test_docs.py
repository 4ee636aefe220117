"""The pages of ``docs/``: their links lead somewhere, the site builds, and what they tell people to type is there."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import typer
import yaml

from features.tables import CONTRACTS
from needs.cli import app
from needs.home import Home
from needs.params import Params
from needs.show.checked import tell_check

DOCS = Path(__file__).parents[1] / "docs"
SITE = DOCS / "site" / "mkdocs.yml"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))


def _words(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_links_of_a_page_lead_to_files_that_are_there(page: str) -> None:
    links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", _words(page))
    assert [link for link in links if not ((DOCS / page).parent / link).exists()] == []


def test_every_page_is_in_the_contents() -> None:
    def listed(node: object) -> list[str]:
        if isinstance(node, str):
            return [node]
        children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else []
        return [page for child in children for page in listed(child)]

    contents = listed(yaml.safe_load(SITE.read_text(encoding="utf-8"))["nav"])
    assert [page for page in PAGES if page not in contents and not page.startswith("adr/")] == []


@pytest.mark.parametrize("page", [page for page in PAGES if not page.startswith("reference/")])
def test_commands_that_a_page_names_are_there(page: str) -> None:
    commands = set(getattr(typer.main.get_command(app), "commands", {}))
    named = re.findall(r"(?:^|`|bin/)needs (?:--(?:home|set) \S+ |--quiet )*([a-z]+)", _words(page), re.MULTILINE)
    assert [name for name in named if name not in commands] == []


@pytest.mark.skipif(find_spec("mkdocs") is None, reason="mkdocs is not installed: the site is not built")
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--config-file", str(SITE)]
    done = subprocess.run([*words, "--site-dir", str(tmp_path / "site")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "site" / "start.html").exists()


EXAMPLES = sorted((DOCS / "examples" / "formats").iterdir())


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda path: path.name)
def test_a_worked_example_is_read_without_a_fault(file: Path, tmp_path: Path) -> None:
    told = tell_check(Home(tmp_path), file.stem, [file], Params())
    assert not told.faults
    assert " 0 wrong, 0 repeated" in told.text
    assert "0 rows read" not in told.text


def test_every_public_format_has_a_worked_example_that_its_page_names() -> None:
    public = {"offers", "bmo", "catalogue", "certifications", "registrations", "market", "tension", "insertion"}
    page = (DOCS / "reading.md").read_text(encoding="utf-8")
    named = set(re.findall(r"\]\(examples/formats/([a-z]+)\.[a-z]+\)", page))
    assert named == public
    assert public <= {file.stem for file in EXAMPLES}


def test_every_table_of_ours_has_a_worked_example() -> None:
    ours = {contract.name for contract in CONTRACTS if any(column.header for column in contract.columns)}
    assert ours <= {file.stem for file in EXAMPLES}
