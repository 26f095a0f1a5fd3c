"""What a setting changes in the tables or files of a small film, and how that is tested.

The modules `test/setting/effect_*.py` hold tables of `Effect` by key; `test_every_setting.py` asks
that every key of the settings' classes stands in one of them, or in a `NOT_SEEN` with the reason
why nothing can be shown here.
"""

from __future__ import annotations

import json
import operator
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import BaseModel

from bunny import config as configuration
from bunny import pipeline
from bunny.config import Config
from bunny.table import store
from bunny.workspace import Workspace

less, more, differ = operator.gt, operator.lt, operator.ne  # the second value gives less, more


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A film on which the stages of one value have run."""

    space: Workspace
    config: Config

    def table(self, name: str) -> pl.DataFrame:
        """Rows of a table, in the order they are stored."""
        return store.read(self.space.table, name)


@dataclass(frozen=True, kw_only=True)
class Effect:
    """Two values of one setting, what is looked at, and what has to come out.

    Attributes
    ----------
    values : tuple
        Two values that are set one after the other, each on a copy of the same film. In text
        `{root}` stands for the folder of the film's project.
    look : Callable[[Seen], Any]
        What is read from the tables or files afterwards.
    gives : tuple, optional
        What `look` must return for either value, worked out by hand.
    holds : Callable[[Any, Any], bool], optional
        Where the very numbers depend on a model: what must hold between the two.
    stages : tuple of str
        Stages that run with the value; none: `look` runs what it needs itself.
    given : dict
        Other settings without which this one has nothing to do.
    film : str
        Name of the fixture of the film, see `test/setting/conftest.py`.
    says : str
        In a few words what either value gives, for the documentation.
    is_moved : bool
        The second value is set on the copy that the first left behind, as somebody moves a
        setting: what was made for the first must not stay.
    """

    values: tuple[Any, Any]
    look: Callable[[Seen], Any]
    gives: tuple[Any, Any] | None = None
    holds: Callable[[Any, Any], bool] | None = None
    stages: tuple[str, ...] = ()
    given: dict[str, Any] = field(default_factory=dict)
    film: str = "small_film"
    says: str = ""
    is_moved: bool = False


@dataclass(frozen=True, kw_only=True)
class Film:
    """A film that stages have run on, and the folder whose settings it ran with."""

    root: Path  # has config/
    data: Path  # has output/<film_id>, checkpoint/<film_id>
    film_id: str

    def copy(self, folder: Path) -> Workspace:
        """The film's folders once more, with the times of their files."""
        shutil.copytree(self.data, folder, ignore=shutil.ignore_patterns("log"))
        return self.space(folder)

    def space(self, folder: Path) -> Workspace:
        """The film's folders in a copy that is there."""
        return Workspace(
            film_id=self.film_id,
            root=folder / "output" / self.film_id,
            checkpoint=folder / "checkpoint" / self.film_id,
            log=folder / "log",
        )


def keys() -> list[str]:
    """Every key of the settings, `section.key`, in the order of their classes."""
    found = []
    for name, info in Config.model_fields.items():
        kind = info.annotation
        is_section = isinstance(kind, type) and issubclass(kind, BaseModel)
        found += [f"{name}.{key}" for key in kind.model_fields] if is_section else [name]
    return found


def check(key: str, effect: Effect, film: Film, folder: Path) -> None:
    """Run both values and compare what is seen with what the table says."""
    seen = tuple(
        effect.look(_run(key, value, effect, film, folder / ("0" if effect.is_moved else str(i))))
        for i, value in enumerate(effect.values)
    )
    if effect.gives is not None:
        assert seen == effect.gives, f"{key} of {effect.values}: got {seen}"
    else:
        assert effect.holds is not None and effect.holds(*seen), (
            f"{key} of {effect.values}: got {seen}"
        )


def _run(key: str, value: Any, effect: Effect, film: Film, folder: Path) -> Seen:
    space = film.space(folder) if folder.exists() else film.copy(folder)
    settings = {**effect.given, key: value}
    overrides = [f"{name}={_yaml(chosen, film.root)}" for name, chosen in settings.items()]
    config = configuration.load(film.root, overrides, film_id=film.film_id, environment={})
    if effect.stages:
        pipeline.run(space, config, effect.stages)
    return Seen(space=space, config=config)


def _yaml(value: Any, root: Path) -> str:
    """A value in the notation of `--set`; text is quoted, so that "off" stays a word."""
    if isinstance(value, str):
        value = value.replace("{root}", root.as_posix())
    return json.dumps(list(value) if isinstance(value, tuple) else value)
