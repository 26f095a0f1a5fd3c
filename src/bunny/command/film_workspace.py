"""Workspace and settings of the film that a command names."""

import getpass
import json
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bunny import pipeline
from bunny.command import remote_folder
from bunny.core import config as configuration
from bunny.core import s3, workspace
from bunny.core.config import Config
from bunny.core.error import UserError
from bunny.core.workspace import Workspace

workspace.offer_remote(remote_folder.until_exit)  # for notebooks, which all come through here


def open_film(
    film: str | None,
    data_dir: str | None = None,
    overrides: Sequence[str] = (),
    parts: Collection[str] = workspace.ALL,
) -> tuple[Workspace, Config]:
    """Workspace and settings of a known film or joint set; the newest film when `film` is empty.

    Keys of providers that `.env` holds are put into the environment.

    Parameters
    ----------
    film : str or None
        A film_id or how it begins.
    data_dir : str, optional
        Folder of workspaces; None: as configured.
    overrides : sequence of str
        Settings as given to `--set`.
    parts : collection of str
        Files besides tables and records that are read or written, see `workspace.fetch`.

    Raises
    ------
    UserError
        If no film, or more than one, begins with `film`.
    """
    root, config = load_settings(data_dir, overrides)
    spaces = workspace.find(root, config.project.data_dir, film or None, has_series=bool(film))
    if not spaces:
        raise no_such_film(film, config)
    if film:
        check_one(film, spaces)
    space = spaces[-1]
    workspace.fetch(space, parts)
    configuration.load_secrets(root)
    return space, load_settings(data_dir, overrides, space)[1]


def film_row(space: Workspace) -> dict[str, Any]:
    """Row of table `film`, its path that of `source.json`.

    The table keeps the path of the run that decoded the film; a workspace that was unpacked or
    copied, or whose film was moved, knows another since.
    """
    from bunny.table import store

    row = store.read(space.table, "film").row(0, named=True)
    return {**row, "path": space.source()["film"]}


def login_name(otherwise: str) -> str:
    """The name that somebody is logged in by, or `otherwise`, as in a container without one."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # the last on Windows
        return otherwise


def today() -> str:
    """Date for records, as YYYY-MM-DD."""
    return datetime.now(UTC).date().isoformat()


def check_one(film: str, spaces: Sequence[Workspace]) -> None:
    """Refuse the beginning of a film_id that several films share."""
    if len(spaces) > 1:
        names = ", ".join(s.film_id for s in spaces)
        raise UserError(
            f"'{film}' matches {len(spaces)} films ({names}): give more characters of the film id"
        )


def no_such_film(film: str | None, config: Config) -> UserError:
    """The error for a film that has no workspace."""
    return UserError(
        f"expected a film{f' whose id begins with {film}' if film else ''} in "
        f"{config.project.data_dir}/output, found none; create one with `bunny run FILM`"
    )


def load_settings(
    data_dir: str | None, overrides: Sequence[str], space: Workspace | None = None
) -> tuple[Path, Config]:
    """The project's folder and its settings, or those of a film; `--data-dir` wins over all."""
    root = workspace.project_root()
    last = [] if data_dir is None else [f"project.data_dir={json.dumps(data_dir)}"]
    of_film = {} if space is None else {"film_id": space.film_id, "own": space.own_settings()}
    config = configuration.load(root, [*overrides, *last], **of_film)
    s3.set_timeout(config.project.timeout_seconds)
    return root, config


def stale_stages(space: Workspace, config: Config) -> list[str]:
    """Stages that ran and would give something else now."""
    return [s.name for s in pipeline.status(space, config) if s.state == "stale"]
