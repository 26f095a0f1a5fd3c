"""Descriptions of the settings, for `--set help`, refusals, config/main.yaml and the guide."""

import difflib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from bunny.core.config import filter_preset
from bunny.core.config.settings import Config
from bunny.core.error import UserError


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One key of the settings, or a section of them."""

    key: str  # dotted, e.g. filtering.blur_threshold
    description: str
    default: Any  # None for a section
    allowed: str  # range or choices, and presets; empty if any value of the type will do
    is_section: bool

    @property
    def name(self) -> str:
        """The key without its section."""
        return self.key.rpartition(".")[2]


def settings_of(section: str = "") -> list[Setting]:
    """Keys and sections directly below a section, in the order of its class.

    Parameters
    ----------
    section : str
        Dotted; empty for the whole settings. There are none below what is no section.
    """
    model: Any = Config
    for name in filter(None, section.split(".")):
        field = model.model_fields.get(name)
        if field is None or not _is_section(field):
            return []
        model = field.annotation
    at = f"{section}." if section else ""
    return [_setting(f"{at}{name}", field) for name, field in model.model_fields.items()]


def every_setting(section: str = "") -> Iterator[Setting]:
    """Everything below a section, each section before its keys."""
    for one in settings_of(section):
        yield one
        if one.is_section:
            yield from every_setting(one.key)


def find(key: str) -> Setting | None:
    """The setting of this key; None if it is a section or unknown."""
    found = (one for one in settings_of(key.rpartition(".")[0]) if one.key == key)
    return next((one for one in found if not one.is_section), None)


def nearest(key: str) -> Setting | None:
    """The setting or section with the most similar name in the same section, if any is similar.

    Examples
    --------
    >>> nearest("detection.drawn_treshold").key
    'detection.drawn_threshold'
    >>> nearest("filtering.blur").key
    'filtering.blur_threshold'
    """
    section, _, name = key.rpartition(".")
    known = {one.name: one for one in settings_of(section)}
    beginning = [one for one in known if one.startswith(name)]
    found = difflib.get_close_matches(name, known, n=1) or beginning
    return known[found[0]] if found else None


def help_text(section: str = "") -> str:
    """Keys of a section with default, range or choices and description; without one all sections.

    Raises
    ------
    UserError
        If there is no such section.
    """
    if not section:
        shown = [one for one in every_setting() if one.is_section or "." not in one.key]
        more = "Keys of a section: --set SECTION.help, e.g. --set filtering.help"
        return "\n".join([*map(_help_lines, shown), more])
    found = settings_of(section)
    if not found:
        known = ", ".join(one.key for one in every_setting() if one.is_section)
        raise UserError(f"--set {section}.help: unknown section; expected one of {known}")
    return "\n".join(map(_help_lines, found))


def to_yaml(value: Any) -> str:
    """A default in YAML on one line; only what needs quotes has them.

    Examples
    --------
    >>> to_yaml(("extract", "off", 1.0))
    '[extract, "off", 1.0]'
    """
    if isinstance(value, tuple):
        return f"[{', '.join(map(to_yaml, value))}]"
    if isinstance(value, str):
        is_plain = value.replace("-", "").replace(".", "").isalnum()
        return value if is_plain and yaml.safe_load(value) == value else json.dumps(value)
    return json.dumps(value)


def _help_lines(one: Setting) -> str:
    if one.is_section:
        return f"{one.key}: {one.description}"
    allowed = f"  [{one.allowed}]" if one.allowed else ""
    return f"{one.key}={to_yaml(one.default)}{allowed}\n    {one.description}"


def _setting(key: str, field: FieldInfo) -> Setting:
    is_section = _is_section(field)
    allowed = (_range(field), _choices(field), _presets(key))
    return Setting(
        key=key,
        description=" ".join((field.description or field.annotation.__doc__ or "").split()),
        default=None if is_section else field.default,
        allowed="; ".join(filter(None, allowed)),
        is_section=is_section,
    )


def _is_section(field: FieldInfo) -> bool:
    return isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)


def _range(field: FieldInfo) -> str:
    """The bounds of a number."""
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    bound = {
        name: getattr(rule, name)
        for rule in field.metadata
        for name in words
        if hasattr(rule, name)
    }
    if set(bound) == {"ge", "le"}:
        return f"{bound['ge']} to {bound['le']}"
    return ", ".join(f"{words[name]} {value}" for name, value in bound.items())


def _choices(field: FieldInfo) -> str:
    """The values of a `Literal`, or of a list of them."""
    kind, before = field.annotation, ""
    if get_origin(kind) is tuple:
        kind, before = get_args(kind)[0], "list of "
    return f"{before}{' | '.join(get_args(kind))}" if get_origin(kind) is Literal else ""


def _presets(key: str) -> str:
    """The values that presets give to a threshold of the filter."""
    section, _, name = key.partition(".")
    if section != "filtering" or name not in filter_preset.THRESHOLD_CURVE:
        return ""
    return ", ".join(
        f"{preset} {filter_preset.preset_thresholds(preset)[name]:g}"
        for preset in filter_preset.PRESET_STRICTNESS
    )
