"""Lays the sources over each other, weakest first, and refuses in one sentence."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from bunny.core.config import filter_preset
from bunny.core.config.settings import Config
from bunny.core.config.source import read_sources, read_yaml
from bunny.core.error import UserError


def load(
    root: Path,
    overrides: Iterable[str] = (),
    *,
    film_id: str | None = None,
    environment: Mapping[str, str] | None = None,
    own: Iterable[str] = (),
) -> Config:
    """Read the settings that hold in `root`.

    Parameters
    ----------
    root : Path
        Folder that has (or lacks) `config/` and `.env`.
    overrides : iterable of str
        `section.key=value` in YAML notation, as given to `--set`; they win over everything.
    film_id : str, optional
        Skips `config/local_<other film>.yaml` files, which notebooks write for one film each:
        a local file whose name after `local_` ends in 8 hex digits holds for that film alone.
    environment : mapping, optional
        Defaults to `os.environ`.
    own : iterable of str
        The film's own settings, in the form of `overrides`; only `config/main.yaml` is weaker.

    Raises
    ------
    UserError
        Naming source, key, what was expected and what came.
    """
    merged: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for source, values in read_sources(root, overrides, film_id, environment, own):
        _forget_thresholds(merged, values)
        _merge(merged, values, source, origin)
    try:
        return Config.model_validate(merged)
    except ValidationError as error:
        raise UserError(_explain(error, origin)) from error


def local_file(root: Path, film_id: str) -> Path:
    """Where a notebook keeps the choices made for one film."""
    return root / "config" / f"local_{film_id}.yaml"


def save_local(root: Path, film_id: str, section: str, values: Mapping[str, Any]) -> Path:
    """Merge `values` into the film's local file after checking them; returns its path.

    Raises
    ------
    UserError
        If a key or value would be refused by `load`.
    """
    path = local_file(root, film_id)
    current = read_yaml(path) if path.exists() else {}
    current[section] = {**(current.get(section) or {}), **values}
    try:
        Config.model_validate(current)
    except ValidationError as error:
        raise UserError(_explain(error, {})) from error
    from bunny.table import store  # of all that reads settings only this writes

    store.write_bytes(path, yaml.safe_dump(current, sort_keys=False).encode())
    return path


def _merge(target: dict, values: Mapping, source: str, origin: dict, at: str = "") -> None:
    for key, value in values.items():
        path = f"{at}{key}"
        if isinstance(value, Mapping) and isinstance(target.get(key, {}), dict):
            origin.setdefault(path, source)
            _merge(target.setdefault(key, {}), value, source, origin, f"{path}.")
        elif value is None and not at:
            continue  # an empty section of a YAML file
        else:
            target[key] = value
            origin[path] = source


def _forget_thresholds(merged: dict, values: Mapping) -> None:
    """A preset wins over the thresholds of weaker sources, not over those of its own or later."""
    new, old = values.get("filtering"), merged.get("filtering")
    if isinstance(new, Mapping) and "preset" in new and isinstance(old, dict):
        for key in filter_preset.PATH:
            old.pop(key, None)


def _explain(error: ValidationError, origin: Mapping[str, str]) -> str:
    """One sentence for the first thing that is wrong."""
    first = error.errors()[0]
    steps = [str(step) for step in first["loc"]]
    key = ".".join(steps)
    source = next(
        (origin[k] for i in range(len(steps), 0, -1) if (k := ".".join(steps[:i])) in origin),
        "settings",
    )
    if first["type"] == "extra_forbidden":
        return f"{source}: unknown key {key}; expected one of {_known(steps[:-1])}"
    expected = first["msg"].removeprefix("Input ").removeprefix("Value error, ")
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{source}: key {key} {expected}, got {first['input']!r}{more}; see config/main.yaml"


def _known(steps: list[str]) -> str:
    """Names that stand at this place of the settings."""
    model: Any = Config
    for step in steps:
        field = model.model_fields.get(step)
        model = field.annotation if field else Config
    return ", ".join(model.model_fields)
