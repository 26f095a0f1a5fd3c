"""What a setting changes in the tables or files of a small film, and how that is tested.

The modules `test/setting/effect_*.py` hold tables of `Effect` by key, for settings whose effect
only commands or several stages show. For all other keys `seen_in.yaml` names a test of the domain.
"""

from __future__ import annotations

import contextlib
import io
import json
import operator
import shutil
import sys
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pydantic import BaseModel

from bunny import cli, pipeline
from bunny.contract.stage import StageResult
from bunny.core import config as configuration
from bunny.core.config import Config
from bunny.core.workspace import Workspace
from bunny.table import store

less, more, differ = operator.gt, operator.lt, operator.ne  # the second value gives less, more


@dataclass(frozen=True, kw_only=True)
class Said:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A film on which the stages of one value have run."""

    space: Workspace
    config: Config
    root: Path  # folder whose settings hold beside `settings`
    settings: dict[str, Any]  # what was set, by key

    @property
    def data(self) -> Path:
        """The folder that was copied: has `output/<film_id>`."""
        return self.space.root.parents[1]

    def table(self, name: str) -> pl.DataFrame:
        """Rows of a table, in the order they are stored."""
        return store.read(self.space.table, name)

    def run(self, *stages: str, more: dict[str, Any] | None = None) -> list[StageResult]:
        """Run stages, once more or with more settings."""
        config = _load(self.root, self.space.film_id, {**self.settings, **(more or {})})
        return pipeline.run(self.space, config, stages)

    def bunny(
        self,
        *arguments: Any,
        folder: Path | None = None,
        more: dict[str, Any] | None = None,
    ) -> Said:
        """Run a command line in this process; the settings are given by the environment.

        It runs on the copied films, or in `folder` with what is there.
        """
        where = [] if folder is not None else ["--data-dir", self.data]
        said, wrong = io.StringIO(), io.StringIO()
        with (
            pytest.MonkeyPatch.context() as patch,
            contextlib.redirect_stdout(said),
            contextlib.redirect_stderr(wrong),
        ):
            patch.chdir(self.root if folder is None else folder)
            for key, value in {**self.settings, **(more or {})}.items():
                patch.setenv(f"BUNNY_{key.replace('.', '__').upper()}", _yaml(value))
            patch.setattr(sys, "argv", ["bunny", *map(str, [*arguments, *where])])
            code = 0
            try:
                cli.main()
            except SystemExit as stop:
                code = int(stop.code or 0)
        if code:
            pytest.fail(f"bunny {' '.join(map(str, arguments))}: {wrong.getvalue()}")
        return Said(code=code, out=said.getvalue(), err=wrong.getvalue())


@dataclass(frozen=True)
class Effect:
    """Two or more values of one setting, what is looked at, and what has to come out.

    Attributes
    ----------
    values : tuple
        Values that are set one after the other, each on a copy of the same film; in their texts
        and those of `given`, ``{root}`` is the folder that has the film's settings.
    look : Callable[[Seen], Any]
        What is read from the tables or files afterwards.
    gives : tuple, optional
        What `look` must return for each value, worked out by hand.
    holds : Callable[..., bool], optional
        Where the very numbers depend on a model: what must hold between them.
    stages : tuple of str
        Stages that run with the value; none: `look` runs what it needs itself.
    given : dict
        Other settings without which this one has nothing to do.
    film : str
        Name of the film, see `test/setting/conftest.py`.
    says : str, optional
        What is seen, in words, for whoever reads that it did not come out.
    is_slow : bool
        It trains, draws, or starts a server: for the second tier.
    """

    values: tuple[Any, ...]
    look: Callable[[Seen], Any]
    _: KW_ONLY
    gives: tuple[Any, ...] | None = None
    holds: Callable[..., bool] | None = None
    stages: tuple[str, ...] = ()
    given: dict[str, Any] = field(default_factory=dict)
    film: str = "plane"
    says: str = ""
    is_slow: bool = False


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
        """The film's folders below a data folder."""
        return Workspace(
            film_id=self.film_id,
            root=folder / "output" / self.film_id,
            checkpoint=folder / "checkpoint" / self.film_id,
            log=folder / "log",
        )


def run(film: Film, stages: tuple[str, ...]) -> None:
    """Run stages on the film itself, by the settings of its folder alone."""
    config = configuration.load(film.root, film_id=film.film_id, environment={})
    pipeline.run(film.space(film.data), config, stages)


def every_key(kind: type[BaseModel] = Config, at: str = "") -> list[str]:
    """Every key of the settings, `section.key`, in the order of their classes."""
    found = []
    for name, info in kind.model_fields.items():
        part = info.annotation
        is_section = isinstance(part, type) and issubclass(part, BaseModel)
        found += every_key(part, f"{at}{name}.") if is_section else [f"{at}{name}"]
    return found


def check(key: str, effect: Effect, film: Film, folder: Path) -> None:
    """Run each value and compare what is seen with what the table says."""
    seen = tuple(
        effect.look(_run(key, value, effect, film, folder / str(number)))
        for number, value in enumerate(effect.values)
    )
    words = f"{effect.says or key} of {effect.values}: got {seen}"
    if effect.gives is not None:
        assert seen == effect.gives, words
    else:
        assert effect.holds is not None and effect.holds(*seen), words


def _run(key: str, value: Any, effect: Effect, film: Film, folder: Path) -> Seen:
    space = film.copy(folder)
    settings = {**effect.given, key: value}
    config = _load(film.root, film.film_id, settings)
    if effect.stages:
        pipeline.run(space, config, effect.stages)
    return Seen(space=space, config=config, root=film.root, settings=settings)


def _load(root: Path, film_id: str, settings: dict[str, Any]) -> Config:
    """Settings of a film with others on top, as by `--set`."""
    texts = [f"{key}={_yaml(value)}" for key, value in settings.items()]
    overrides = [text.replace("{root}", root.as_posix()) for text in texts]
    return configuration.load(root, overrides, film_id=film_id, environment={})


def _yaml(value: Any) -> str:
    """A value in the notation of `--set`; text is quoted, so that "off" stays a word."""
    return json.dumps(list(value) if isinstance(value, tuple) else value)
