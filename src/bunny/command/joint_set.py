"""Joint sets of `bunny library train` as workspaces, and the films that each is drawn from."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bunny.core import workspace
from bunny.core.workspace import Workspace
from bunny.series import joint_workspace
from bunny.series.joint_workspace import JointOrigin


def read_origin(space: Workspace) -> JointOrigin | None:
    """What a joint set was drawn from; None of a film."""
    return joint_workspace.read_origin(space.root / workspace.SERIES)


def find(root: Path, data_dir: str) -> list[tuple[Workspace, JointOrigin]]:
    """All joint sets, newest last."""
    found = workspace.find(root, data_dir, has_series=True)
    origins = [(one, read_origin(one)) for one in found]
    return [(one, origin) for one, origin in origins if origin is not None]


def drawn_from(root: Path, data_dir: str, film_id: str) -> list[Workspace]:
    """Joint sets that a film has a part in."""
    return [one for one, origin in find(root, data_dir) if film_id in origin.films]


def mark_stale(spaces: Sequence[Workspace]) -> None:
    """Note in joint sets that they are out of date; the next `bunny library train` draws anew.

    Parameters
    ----------
    spaces : sequence of Workspace
        Of joint sets.
    """
    for space in spaces:
        with workspace.lock(space):
            if origin := read_origin(space):
                path = space.root / workspace.SERIES
                joint_workspace.write_origin(path, replace(origin, state=""))


def describe_stale(root: Path, data_dir: str) -> list[str]:
    """One sentence on each joint set that is out of date, or was not drawn to its end."""
    lines = []
    for space, origin in find(root, data_dir):
        if not origin.state:
            words = ["bunny", "library", "train", "--character", origin.character]
            words += ["--split", origin.split] if origin.split != "shot" else []
            words += [word for film_id in origin.only for word in ("--film", film_id)]
            lines.append(f"{space.film_id}: out of date; `{shlex.join(words)}` rebuilds it")
    return lines
