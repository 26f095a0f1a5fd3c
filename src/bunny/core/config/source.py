"""Where settings come from: files, environment, command line."""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from dotenv import dotenv_values

from bunny.core.error import UserError

ENVIRONMENT_PREFIX = "BUNNY_"
SECRET_NAMES = ("BUNNY_DATABASE_URL",)  # named like a setting, but is none


def read_sources(
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
    for text in own:
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
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path.name}: expected YAML, could not read it: {reason}") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise UserError(
            f"{path.name}: expected sections with keys, got a {type(values).__name__}; "
            "see config/main.yaml for the form"
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


def _scalar(text: str) -> Any:
    """Read one value in YAML notation; text that is no YAML stays text."""
    try:
        return yaml.safe_load(text) if text.strip() else ""
    except yaml.YAMLError:
        return text


def _nest(dotted: str, value: Any) -> dict[str, Any]:
    for part in reversed(dotted.split(".")):
        value = {part: value}
    return value
