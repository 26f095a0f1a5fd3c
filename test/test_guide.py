"""README and guide: figures as measured, pages as old as their tables, commands that exist."""

import json
import re
import shlex
from pathlib import Path

import pytest
import typer
import write_guide

from bunny.cli import app

ROOT = Path(__file__).resolve().parents[1]
PAGES = write_guide.pages(ROOT)
COMMAND = re.compile(r"^(?:uv run )?bunny (.+?)(?: #.*)?$", re.MULTILINE)
SHELL = re.compile(r"```sh\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def record():
    return json.loads((ROOT / write_guide.RECORD).read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.stem)
def test_figures_are_those_of_the_demo(path, record):
    text = path.read_text(encoding="utf-8")
    assert write_guide.fill(text, record) == text, "run python_script/write_guide.py --text"


def test_figures_and_pages_are_as_new_as_the_tables(record):
    """Another version, setting, film or reference gives other tables: then all is out of date."""
    changed = {
        name
        for name, digest in write_guide.stage_digests().items()
        if digest != record["made_from"][name]
    }
    assert not changed, "run the demo again, then python_script/write_guide.py"


def test_a_changed_figure_is_noticed(record):
    text = "<!-- write_guide: demo_time -->\nin 2 minutes\n<!-- end -->\n"
    told = write_guide.fill(text, record | {"minutes": 7.4})
    assert "in about 7 minutes" in told
    assert told.startswith("<!-- write_guide: demo_time -->\nThe demo")
    assert told.endswith("\n<!-- end -->\n")


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.stem)
def test_links_lead_somewhere(path):
    links = re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text(encoding="utf-8"))
    assert [link for link in links if not (path.parent / link).exists()] == []


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.stem)
def test_commands_and_options_exist(path):
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for block in SHELL.findall(text) for line in COMMAND.findall(block)]
    root = typer.main.get_command(app)
    assert [line for line in lines if not is_known(line, root)] == []


def is_known(line: str, command) -> bool:
    """Whether a command line names a command of this group, and options that it has."""
    words = shlex.split(line)
    while words and hasattr(command, "commands"):
        if words[0] not in command.commands:
            return False
        command, words = command.commands[words[0]], words[1:]
    known = {name for part in command.params for name in (*part.opts, *part.secondary_opts)}
    return all(word.split("=")[0] in known for word in words if word.startswith("--"))
