"""Every command and every spelling of every option is run by some test, as their source says."""

from pathlib import Path

import command_line
import pytest
from typer.main import get_command

from bunny import cli

TEST = Path(__file__).resolve().parents[1]


def commands(command, path=()):
    """Path of each command, with its options in every spelling."""
    if not hasattr(command, "commands"):
        options = [p for p in command.params if p.param_type_name == "option"]
        return {path: {s for p in options for s in (*p.opts, *p.secondary_opts)}}
    found = {}
    for name, inner in command.commands.items():
        found |= commands(inner, (*path, name))
    return found


def spelled(lines, path):
    """What tests write behind a command; None if no test runs it."""
    found = None
    for line in lines:
        words = command_line.strip(line)
        if words[: len(path)] == path:
            own = {word.partition("=")[0] for word in words[len(path) :] if word}
            found = own if found is None else found | own
    return found


@pytest.fixture(scope="module")
def lines():
    """Command lines that the tests run."""
    return command_line.lines_of(TEST)


def test_no_command_and_no_option_is_without_a_test(lines):
    known = commands(get_command(cli.app))
    assert len(known) > 30 and "--handles" in known["export", "timeline"]
    missing = {}
    for path, options in known.items():
        found = spelled(lines, path)
        left = ["the command"] if found is None else sorted(options - found)
        if left:
            missing[" ".join(path)] = left
    assert missing == {}


MADE = """
import subprocess, sys
import pytest
from bunny.cli import app

ROWS = [("--first", 1), ("--second", 2)]

def call(bunny, *more):
    return bunny("search", *more, "--behind")

@pytest.fixture
def fixed(bunny):
    def run(*words):
        return bunny("where", *[*words, "--inside"])
    return run

def test_direct(bunny):
    options = ["--assigned", 3]
    assert bunny("gaps", "--literal", *options) == 0

def test_nothing(bunny):
    bunny("gaps", "--unproven")

@pytest.mark.parametrize(("option", "value"), [*ROWS, ("--third", 3)])
def test_rows(bunny, option, value):
    with pytest.raises(SystemExit):
        bunny("gaps", option, value)

def test_helpers(bunny, fixed):
    assert call(bunny, "--given")
    for words in (("--looped",), ("--split --twice".split())):
        assert fixed(*words)

def line(*words):
    return [sys.executable, "-m", "bunny", *map(str, words)]

def started(*words):
    with subprocess.Popen(line("lab", *words)) as process:
        yield process

def test_process():
    assert subprocess.run([sys.executable, "-m", "bunny", "lab", "--process=1"])
    assert started("--later")
    assert CliRunner().invoke(app, ["learn", "--invoked"])

def test_other(bunny):
    assert other("gaps", "--no-command-line")
    assert "--in-a-text" in bunny("gaps")
"""


def test_command_lines_are_read_from_the_source_of_tests(tmp_path):
    (tmp_path / "test_made.py").write_text(MADE, encoding="utf-8")
    lines = command_line.lines_of(tmp_path)
    assert spelled(lines, ("gaps",)) == {
        "--literal",
        "--assigned",
        "--first",
        "--second",
        "--third",
    }
    assert spelled(lines, ("search",)) == {"--given", "--behind", command_line.GIVEN}
    assert spelled(lines, ("where",)) == {
        "--looped",
        "--split",
        "--twice",
        "--inside",
        command_line.GIVEN,
    }
    assert spelled(lines, ("lab",)) == {"--process", "--later", command_line.GIVEN}
    assert spelled(lines, ("learn",)) == {"--invoked"}
    assert spelled(lines, ("doctor",)) is None
