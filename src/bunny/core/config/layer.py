"""Settings read from files, environment and command line, and merged weakest first."""

import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from dotenv import dotenv_values
from pydantic import ValidationError

from bunny.core.config import filter_preset, own_setting
from bunny.core.config.settings import Config
from bunny.core.error import UserError
from bunny.core.log import PASSWORD

logger = logging.getLogger(__name__)

ENVIRONMENT_PREFIX = "BUNNY_"
RENAMED = {  # keys of earlier versions, and what stands in their place
    "extraction.static_motion": (
        "extraction.static_range: a shot is static if its frames differ by less than this"
    ),
    "captioning.provider": (
        "captioning.providers, a list in the order in which they are asked: [bedrock, tags]"
    ),
    "captioning.model": "captioning.<provider>.model, e.g. captioning.bedrock.model",
    "captioning.endpoint_url": (
        "captioning.<provider>.endpoint_url, e.g. captioning.local.endpoint_url"
    ),
}
REPLACED_VALUE = {("extraction.shot_detector", "hybrid"): "accurate"}
LONGEST_SHOWN = 200  # characters of a value or a reason in an error
SECRET_NAMES = ("BUNNY_DATABASE_URL", "BUNNY_BOARD_PASSWORD")  # named like a setting, but is none


def _read_sources(
    root: Path,
    overrides: Iterable[str],
    film_id: str | None,
    environment: Mapping[str, str] | None,
    own: Iterable[str],
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Pairs of (name of the source, nested values), weakest first; see `layer.load`."""
    main = root / "config" / "main.yaml"
    if main.exists():
        yield main.relative_to(root).as_posix(), read_yaml(main)
    held, ignored = own_setting.split(filter(None, map(_own_of_today, own)))
    if ignored:
        logger.warning(
            "the film's own settings of %s are ignored: only config/, the environment and --set "
            "may set them",
            ", ".join(dict.fromkeys(ignored)),
        )
    for text in held:
        yield f"the film's own {text}", _parse_override(text)
    local = [p for p in sorted((root / "config").glob("local_*.yaml")) if _holds(p, film_id)]
    for path in local:
        yield path.relative_to(root).as_posix(), read_yaml(path)
    yield from _environment(".env", _read_env(root / ".env"))
    yield from _environment("environment", os.environ if environment is None else environment)
    for text in overrides:
        yield f"--set {text}", _parse_override(text)


def _holds(path: Path, film_id: str | None) -> bool:
    """Whether a local file is meant for every film or for this one."""
    name = path.stem.removeprefix("local_")
    tail = name.rsplit("-", 1)[-1]
    is_for_one_film = len(tail) == 8 and all(c in "0123456789abcdef" for c in tail) and "-" in name
    return not is_for_one_film or name == film_id


def read_yaml(path: Path) -> dict[str, Any]:
    """Sections and keys of a file, nested; none of an empty one.

    Raises
    ------
    UserError
        If it is no YAML, or no sections with keys.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:LONGEST_SHOWN]
        raise UserError(f"{path.name}: expected YAML, could not read it: {reason}") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise UserError(
            f"{path.name}: expected sections with keys, got a {type(values).__name__}; "
            "see config/main.yaml for an example"
        )
    return values


def load_secrets(root: Path) -> None:
    """Give providers' clients the keys that `.env` holds and the environment does not."""
    for name, value in _read_env(root / ".env").items():
        if name in SECRET_NAMES or not name.startswith(ENVIRONMENT_PREFIX):
            os.environ.setdefault(name, value)


def _read_env(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    return {name: value for name, value in dotenv_values(path).items() if value is not None}


def _environment(source: str, values: Mapping[str, str]):
    for name in sorted(values.keys() - set(SECRET_NAMES)):
        if name.startswith(ENVIRONMENT_PREFIX) and name != ENVIRONMENT_PREFIX:
            key = name.removeprefix(ENVIRONMENT_PREFIX).lower().replace("__", ".")
            yield f"{source} {name}", _nest(key, _scalar(values[name]))


def _parse_override(text: str) -> dict[str, Any]:
    key, sign, value = text.partition("=")
    if not sign or not key.strip():
        raise UserError(
            f"--set {text}: expected section.key=value, e.g. filtering.blur_threshold=0.4"
        )
    return _nest(key.strip(), _scalar(value))


def _own_of_today(text: str) -> str:
    """A film's own setting of an earlier version as today's; empty where none means the same.

    A film is still opened with the rest; what a person gives now is refused instead.
    """
    key, _, value = (part.strip() for part in text.partition("="))
    if (key, value) in REPLACED_VALUE:
        return f"{key}={REPLACED_VALUE[key, value]}"
    if key not in RENAMED:
        return text
    logger.warning(
        ("the film's own setting %s is ignored: the key was replaced by %s"), text, RENAMED[key]
    )
    return ""


def _scalar(text: str) -> object:
    """Read one value in JSON or YAML notation; text that is neither stays text."""
    if text[:1] in ('"', "[", "{"):  # PyYAML takes JSON's escapes of an emoji for two letters
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            pass
    try:
        return yaml.safe_load(text) if text.strip() else ""
    except (yaml.YAMLError, ValueError, RecursionError):
        return text


def _nest(dotted: str, value: Any) -> dict[str, Any]:
    for part in reversed(dotted.split(".")):
        value = {part: value}
    return value


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
        Those that only the user may set are ignored with a warning, see `own_setting`.

    Raises
    ------
    UserError
        Naming source, key, what was expected and what came.
    """
    merged: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for source, values in _read_sources(root, overrides, film_id, environment, own):
        _check_passwords(values, source)
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
    from bunny.core import atomic  # of all that reads settings only this writes

    atomic.write_bytes(path, yaml.safe_dump(current, sort_keys=False).encode())
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


def _check_passwords(values: Mapping, source: str, at: str = "") -> None:
    """Refuse an address with a password: settings stand in records, logs and notebooks."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            _check_passwords(value, source, f"{at}{key}.")
        elif isinstance(value, str) and PASSWORD.search(value):
            raise UserError(
                f"{source.partition('=')[0]}: key {at}{key} expected an address without user and "
                "password, since settings are kept in records; put the secret in the environment "
                "or in .env"
            )


def _forget_thresholds(merged: dict, values: Mapping) -> None:
    """A preset wins over the thresholds of weaker sources, not over those of its own or later."""
    new, old = values.get("filtering"), merged.get("filtering")
    if isinstance(new, Mapping) and "preset" in new and isinstance(old, dict):
        for key in filter_preset.THRESHOLD_CURVE:
            old.pop(key, None)


def _explain(error: ValidationError, origin: Mapping[str, str]) -> str:
    """One sentence for the first thing that is wrong."""
    from bunny.core.config import describe  # only what is refused is described

    first = error.errors()[0]
    steps = [str(step) for step in first["loc"]]
    key = ".".join(steps)
    source = next(
        (origin[k] for i in range(len(steps), 0, -1) if (k := ".".join(steps[:i])) in origin),
        "settings",
    )
    if first["type"] == "extra_forbidden" and key in RENAMED:
        return f"{source}: key {key} was replaced by {RENAMED[key]}; see config/main.yaml"
    if first["type"] == "extra_forbidden":
        known = describe.settings_of(".".join(steps[:-1]))
        like = describe.nearest(key)
        more = f"; the nearest is {like.name}: {like.description.rstrip('.')}" if like else ""
        names = ", ".join(one.name for one in known)
        return f"{source}: unknown key {key}; expected one of {names}{more}"
    expected = first["msg"].removeprefix("Input ").removeprefix("Value error, ")
    better = REPLACED_VALUE.get((key, str(first["input"])))
    if better:
        return f"{source}: {key} {first['input']} was replaced by {better}; choose {better}"
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    got = _shorten(first["input"])
    about = describe.find(".".join(step for step in first["loc"] if isinstance(step, str)))
    means = "" if about is None else f"; {about.name}: {about.description}"
    return f"{source}: key {key} {expected}, got {got}{more}{means}; see config/main.yaml"


def _shorten(value: object) -> str:
    """A value as it is shown in an error."""
    shown = repr(value)
    return shown if len(shown) <= LONGEST_SHOWN else f"{shown[:LONGEST_SHOWN]}…"
