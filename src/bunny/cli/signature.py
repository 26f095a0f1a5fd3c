"""Signatures of commands as typer reads them, and what becomes of a command's result."""

import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields, is_dataclass
from inspect import Parameter
from typing import Annotated, Any, Protocol, get_type_hints

import typer

from bunny.core import exit_code

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks and more log lines.")]


class Result(Protocol):
    """A command's result; its `exit_code`, if it has one, is the command's."""

    def to_text(self) -> str:
        """Return lines for a person."""
        ...

    def to_json(self) -> str:
        """Return one JSON object on one line."""
        ...


def to_callback(command: Callable[..., Result | str | None]) -> Callable[..., None]:
    """Make the function that typer calls of a command's function.

    Each field of a parameter that is a dataclass is an option of its own. Every command has
    `--debug`, which the message of an unexpected error refers to and `bunny.cli.main` reads. What
    the function returns is printed, and decides the exit code; for a `Result` there is `--json`.
    """
    signature = inspect.signature(command, eval_str=True)
    own = list(signature.parameters.values())
    groups: dict[str, Any] = {p.name: p.annotation for p in own if is_dataclass(p.annotation)}
    shown = [one for p in own for one in (_fields(p.annotation) if p.name in groups else [p])]
    added = {"as_json": AsJson} if signature.return_annotation is Result else {}
    added = {
        name: kind
        for name, kind in {**added, "debug": Debug}.items()
        if name not in signature.parameters
    }
    shown += [_keyword(name, False, kind) for name, kind in added.items()]
    shown.sort(key=lambda one: one.name == "debug")

    @functools.wraps(command)
    def callback(**given: Any) -> None:
        as_json = given.get("as_json", False)
        for name in added:
            del given[name]
        for name, kind in groups.items():
            given[name] = kind(**{f.name: given.pop(f.name) for f in fields(kind)})
        _show(command(**given), as_json=as_json)

    signature = signature.replace(
        parameters=[one.replace(kind=Parameter.KEYWORD_ONLY) for one in shown]
    )
    callback.__signature__ = signature  # pyright: ignore[reportAttributeAccessIssue] inspect reads it
    return callback


def _fields(kind: type) -> Iterator[Parameter]:
    """Parameters for the fields of a dataclass."""
    hints = get_type_hints(kind, include_extras=True)
    for one in fields(kind):
        default = one.default
        if one.default_factory is not MISSING:
            default = one.default_factory()
        required = default is MISSING
        yield _keyword(one.name, Parameter.empty if required else default, hints[one.name])


def _keyword(name: str, default: Any, annotation: Any) -> Parameter:
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _show(result: Result | str | None, *, as_json: bool) -> None:
    """Print what a command returned and end the process with its code."""
    if result is None:
        return
    if isinstance(result, str):
        typer.echo(result)
        return
    typer.echo(result.to_json() if as_json else result.to_text())
    if code := getattr(result, "exit_code", exit_code.DONE):
        raise typer.Exit(code)
