from dataclasses import dataclass, field
from typing import Annotated

import typer
from typer.testing import CliRunner

from bunny.cli import signature
from bunny.cli.signature import Result


@dataclass(frozen=True, kw_only=True)
class Options:
    words: Annotated[str, typer.Argument()]
    shots: Annotated[list[int], typer.Option("--shot")] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Found:
    options: Options
    exit_code: int

    def to_text(self):
        return str(self.options)

    def to_json(self):
        return "{}"


def run(command, *words):
    app = typer.Typer()
    app.command()(signature.to_callback(command))
    ran = CliRunner().invoke(app, words)
    return ran.exit_code, ran.output


def test_fields_of_a_dataclass_are_options_and_a_result_is_printed_with_its_exit_code():
    def find(options: Options, code: int = 0) -> Result:
        return Found(options=options, exit_code=code)

    assert run(find, "a", "--shot", "3") == (0, "Options(words='a', shots=[3])\n")
    assert run(find, "a", "--code", "2", "--json") == (2, "{}\n")
    assert run(find, "--shot", "3")[0] == 2
    assert "--debug" in run(find, "--help")[1]


def test_a_text_is_printed_and_has_no_json():
    def tell() -> str:
        return "done"

    assert run(tell) == (0, "done\n")
    assert run(tell, "--json")[0] == 2
