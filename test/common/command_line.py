"""Which command lines the tests run: read from their source, without running them.

A command line is a call of the fixture `bunny`, of a runner or a subprocess, or of a helper that
puts words of its own before what it is given. Words are read where they are literal: in the call,
in a name that is assigned, looped over or parametrised, and in what a helper returns.
"""

from __future__ import annotations

import ast
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import chain, islice, product
from pathlib import Path

Words = tuple[str | None, ...]  # None where a word is known only when the test runs

ROOTS = frozenset({"bunny", "invoke", "Popen"})
GIVEN = "\0"  # where a helper's own arguments stand
MOST = 400  # ways to read one expression


@dataclass(frozen=True)
class Scope:
    """Names of a module and of the functions around an expression, with what they may be."""

    values: dict[str, list[ast.expr]] = field(default_factory=dict)
    functions: dict[str, ast.FunctionDef] = field(default_factory=dict)
    helpers: dict[str, list[Words]] = field(default_factory=dict)  # words they put in front
    depth: int = 0


def lines_of(folder: Path) -> list[Words]:
    """Command lines that the tests under a folder run."""
    common = Scope()
    for path in sorted((folder / "common").glob("*.py")):
        common = _module_scope(_parse(path), common)
    found = []
    for path in sorted(folder.rglob("test_*.py")):
        scope = common
        for above in reversed(path.relative_to(folder).parents):
            shared = folder / above / "conftest.py"
            scope = _module_scope(_parse(shared), scope) if shared.is_file() else scope
        tree = _parse(path)
        found += _lines_in(tree, _module_scope(tree, scope))
    return found


def strip(line: Words) -> Words:
    """A command line from the command's name on."""
    start = 0
    while start < len(line) and line[start] in (None, "-m", "bunny"):
        start += 1
    return line[start:]


@cache
def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _module_scope(tree: ast.Module, outer: Scope) -> Scope:
    """What a module sees: what is around it, and what it defines."""
    functions = {n.name: n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}
    values = {**outer.values, **_assigned(tree.body)}
    helpers = {name: found for name, found in outer.helpers.items() if name not in functions}
    scope = Scope(values=values, functions={**outer.functions, **functions}, helpers=helpers)
    for _ in range(2):  # a helper may call another
        for function in functions.values():
            may = not function.name.startswith("test_") and _may_run(function, scope)
            made = _handed_on(function, scope) if may else []
            if made:
                helpers[function.name] = made
    return scope


def _handed_on(function: ast.FunctionDef, scope: Scope) -> list[Words]:
    """Command lines of a helper, `GIVEN` where its arguments stand; none if it hands none on."""
    found = []
    outside = scope
    for inner in [n for n in ast.walk(function) if isinstance(n, ast.FunctionDef)]:
        own = _inside(inner, outside)
        outside = own if inner is function else outside
        for call in _calls(inner):
            if _is_partial(call, own):
                found += [(*words, GIVEN) for words in _read_all(call.args[1:], own)]
            else:
                found += [words for words in _words_of(call, own) if GIVEN in words]
    return list(dict.fromkeys(found))


def _lines_in(tree: ast.Module, scope: Scope) -> Iterator[Words]:
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef) or not _may_run(function, scope):
            continue
        if function.name.startswith("test_") and not _proves(function, scope):
            continue  # what is run and not looked at proves nothing
        own = _inside(function, scope)
        for call in _calls(function):
            yield from _words_of(call, own)


def _may_run(function: ast.FunctionDef, scope: Scope) -> bool:
    """Whether a function calls something that could run a command line."""
    known = ROOTS | scope.helpers.keys() | {"partial"}
    calls = [node.func for node in ast.walk(function) if isinstance(node, ast.Call)]
    return any(_name(c) in known or _name(getattr(c, "value", c)) == "subprocess" for c in calls)


def _proves(function: ast.FunctionDef, scope: Scope) -> bool:
    """Whether a function asserts something, itself or by a function that does."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            return True
        called = _name(node.func) if isinstance(node, ast.Call) else None
        if called == "raises":
            return True
        other = scope.functions.get(called or "")
        if other is not None and any(isinstance(n, ast.Assert) for n in ast.walk(other)):
            return True
    return False


def _words_of(call: ast.Call, scope: Scope) -> list[Words]:
    """Command lines that one call may be."""
    name = _name(call.func)
    is_process = isinstance(call.func, ast.Attribute) and _name(call.func.value) == "subprocess"
    if name in scope.helpers and not is_process:
        given = _read_all(call.args, scope)
        ways = islice(product(scope.helpers[name], given), MOST)
        return [tuple(_fill(line, words)) for line, words in ways]
    if name in ROOTS or is_process:
        return [_split(line) for line in _read_all(call.args, scope)]
    return []


def _split(line: Words) -> Words:
    """A command line whose first word may be a text of several, as the fixture takes it."""
    first = line[0] if line else None
    return line if first in (None, GIVEN) else (*shlex.split(first), *line[1:])


def _fill(line: Words, given: Words) -> Iterator[str | None]:
    for word in line:
        if word == GIVEN:
            yield from given
        else:
            yield word


def _read_all(parts: Iterable[ast.expr], scope: Scope) -> list[Words]:
    ways = [_read(part, scope) for part in parts]
    return [tuple(chain.from_iterable(one)) for one in islice(product(*ways), MOST)]


def _read(part: ast.expr, scope: Scope) -> list[Words]:
    """The words that an expression may stand for, each way once."""
    unknown: list[Words] = [(None,)]
    if scope.depth > 12:
        return unknown
    scope = replace(scope, depth=scope.depth + 1)
    if isinstance(part, ast.Constant):
        return [(part.value,)] if isinstance(part.value, str) else unknown
    if isinstance(part, ast.Starred):
        return _read(part.value, scope)
    if isinstance(part, (ast.List, ast.Tuple)):
        return _read_all(part.elts, scope)
    if isinstance(part, ast.BinOp) and isinstance(part.op, ast.Add):
        return _read_all([part.left, part.right], scope)
    if isinstance(part, ast.IfExp):
        return [*_read(part.body, scope), *_read(part.orelse, scope)]
    if isinstance(part, ast.Name) and part.id in scope.values:
        without = {k: v for k, v in scope.values.items() if k != part.id}
        deeper = replace(scope, values=without)
        return [way for value in scope.values[part.id] for way in _read(value, deeper)]
    if isinstance(part, ast.Call):
        return _read_call(part, scope) or unknown
    return unknown


def _read_call(call: ast.Call, scope: Scope) -> list[Words]:
    name = _name(call.func)
    if name == "split" and isinstance(call.func, ast.Attribute) and not call.args:
        return [
            tuple(w for one in way if one is not None for w in one.split())
            for way in _read(call.func.value, scope)
        ]
    if name == "param":
        return _read_all(call.args, scope)
    if name == "map" and len(call.args) == 2:  # as text
        return _read(call.args[1], scope)
    if name in scope.helpers:
        return _words_of(call, scope)
    function = scope.functions.get(name or "")
    returned = [n for n in ast.walk(function) if isinstance(n, ast.Return)] if function else []
    if function and len(returned) == 1 and isinstance(returned[0].value, (ast.List, ast.Tuple)):
        made = _read(returned[0].value, _inside(function, scope))
        given = _read_all(call.args, scope)
        return [tuple(_fill(line, words)) for line, words in islice(product(made, given), MOST)]
    return []


def _inside(function: ast.FunctionDef, scope: Scope) -> Scope:
    """The scope inside a function: its parameters, what it assigns and loops over."""
    arguments = function.args
    names = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    names += [arguments.vararg.arg] if arguments.vararg else []
    values = {name: found for name, found in scope.values.items() if name not in names}
    values |= {name: [ast.Constant(GIVEN)] for name in _starred(function) & set(names)}
    for name, found in (*_parametrised(function, scope), *_assigned(function.body).items()):
        values[name] = found
    return replace(scope, values=values)


def _starred(function: ast.FunctionDef) -> set[str | None]:
    """Names that a function gives on with a star."""
    stars = [node.value for node in ast.walk(function) if isinstance(node, ast.Starred)]
    mapped = [s.args[-1] for s in stars if isinstance(s, ast.Call) and _name(s.func) == "map"]
    return {_name(part) for part in (*stars, *mapped)}


def _assigned(body: list[ast.stmt]) -> dict[str, list[ast.expr]]:
    found: dict[str, list[ast.expr]] = {}
    for statement in body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    _pair(target, [node.value], found)
            elif isinstance(node, ast.For) and isinstance(node.iter, (ast.List, ast.Tuple)):
                _pair(node.target, node.iter.elts, found)
    return found


def _elements(part: ast.expr, scope: Scope) -> list[ast.expr]:
    """Elements of a list that is written down, where it is used or under a name."""
    if isinstance(part, ast.Starred):
        return _elements(part.value, scope)
    if isinstance(part, ast.Name):
        return [e for value in scope.values.get(part.id, ()) for e in _elements(value, scope)]
    if not isinstance(part, (ast.List, ast.Tuple)):
        return []
    starred = [_elements(e, scope) if isinstance(e, ast.Starred) else [e] for e in part.elts]
    return [e for one in starred for e in one]


def _parametrised(function: ast.FunctionDef, scope: Scope) -> Iterator[tuple[str, list[ast.expr]]]:
    """Names that `pytest.mark.parametrize` gives, with their values."""
    for mark in function.decorator_list:
        if not (isinstance(mark, ast.Call) and _name(mark.func) == "parametrize"):
            continue
        names, rows = mark.args[:2]
        rows = _elements(rows, scope)
        listed = names.elts if isinstance(names, (ast.List, ast.Tuple)) else names.value.split(",")
        words = [n.value if isinstance(n, ast.Constant) else n.strip() for n in listed]
        target: ast.expr = ast.Tuple([ast.Name(w) for w in words])
        if len(words) == 1 and isinstance(names, ast.Constant):
            target = ast.Name(words[0])
        found: dict[str, list[ast.expr]] = {}
        _pair(target, rows, found)
        yield from found.items()


def _pair(target: ast.expr, values: list[ast.expr], found: dict[str, list[ast.expr]]) -> None:
    """Note what a name, or each name of a tuple, may be."""
    if isinstance(target, ast.Name):
        found.setdefault(target.id, []).extend(values)
    elif isinstance(target, ast.Tuple):
        for value in values:
            parts = value.args if isinstance(value, ast.Call) else getattr(value, "elts", ())
            if len(parts) == len(target.elts):
                for one, part in zip(target.elts, parts, strict=True):
                    _pair(one, [part], found)


def _calls(function: ast.FunctionDef) -> Iterator[ast.Call]:
    """Calls in a function, but not in functions inside it."""
    waiting: list[ast.AST] = [*function.body]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef):
            continue
        if isinstance(node, ast.Call):
            yield node
        waiting.extend(ast.iter_child_nodes(node))


def _is_partial(call: ast.Call, scope: Scope) -> bool:
    first = _name(call.args[0]) if call.args else None
    return _name(call.func) == "partial" and (first in ROOTS or first in scope.helpers)


def _name(node: ast.expr) -> str | None:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else None
