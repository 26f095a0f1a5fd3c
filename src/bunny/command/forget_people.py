"""The library of all films, and sets drawn from many of them, without one person."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from bunny.command import joint_set
from bunny.core import atomic, safe_path, workspace
from bunny.core.workspace import Workspace
from bunny.series import people_library, rejection
from bunny.series.people_library import PeopleLibrary
from bunny.table import store


def find(data: Path, name: str) -> dict[str, int]:
    """What the library of a data folder has of a person, by kind; empty where it has nothing."""
    folder = workspace.fetch_library(data / people_library.FOLDER)
    if not folder.is_dir():
        return {}
    library = people_library.read(folder)
    own = _own(library, name)
    references = library.reference.filter(pl.col("identity_id").is_in(own))
    counts = {
        "members": _members(library, name, own).height,
        "reference pictures": references.height,
        "names": len(own),
    }
    return {kind: number for kind, number in counts.items() if number}


def remove(data: Path, name: str) -> None:
    """Take a person out of the library: vectors are zeroed, the id stays and has no name.

    So does what people said is not this person; who was rejected from others is for
    `remove_rejections`.
    """
    folder = data / people_library.FOLDER
    with workspace.lock_library(folder):
        library = people_library.read(folder)
        own = _own(library, name)
        members = _members(library, name, own)
        references = library.reference.filter(pl.col("identity_id").is_in(own))
        for reference_id in references["reference_id"]:
            atomic.remove_file(safe_path.join(folder / people_library.REFERENCES, reference_id))
        atomic.remove_folder(folder / people_library.REFERENCES / name)
        left = library.member.join(members, on="member_id", how="anti")
        rejections = library.rejection.filter(pl.col("name") != name)
        people_library.erase_unused(replace(library, member=left, rejection=rejections))
        people_library.write(
            replace(
                library,
                member=left,
                rejection=rejections,
                identity=library.identity.with_columns(
                    pl.when(~pl.col("identity_id").is_in(own)).then(pl.col(column))
                    for column in ("name", "named_in")
                ),
                reference=library.reference.filter(~pl.col("identity_id").is_in(own)),
            )
        )


def remove_rejections(data: Path, spaces: Sequence[Workspace], ids: Collection[str]) -> list[Path]:
    """Remove the vectors of a person's faces and figures that were rejected from other people.

    Parameters
    ----------
    data : Path
        The data folder.
    spaces : sequence of Workspace
        All films; each may have copies, in table `rejected_elsewhere`.
    ids : collection of str
        The person's items and tracks in all films.

    Returns
    -------
    list of Path
        Folders of films and of the library that had some.
    """
    changed: list[Path] = []
    is_gone = pl.col("asset_id").is_in(list(ids))
    for space in spaces:
        table = store.read_or_empty(space.table, rejection.TABLE)
        if table.filter(is_gone).height:
            with workspace.lock(space):
                store.write(space.table, rejection.TABLE, table.filter(~is_gone))
            changed.append(space.root)
    folder = data / people_library.FOLDER
    if not folder.is_dir():
        return changed
    with workspace.lock_library(folder):
        library = people_library.read(folder)
        if library.rejection.filter(is_gone).height:
            library = replace(library, rejection=library.rejection.filter(~is_gone))
            people_library.erase_unused(library)
            people_library.write(library)
            changed.append(folder)
    return changed


def part_joint_sets(
    spaces: Sequence[Workspace], name: str | None
) -> tuple[list[Workspace], list[Workspace]]:
    """Joint sets of a person, which go as a whole, and all other workspaces.

    The person's name stands in the name of such a workspace, and all that lies in it shows them.
    """
    own = []
    for space in spaces:
        origin = joint_set.read_origin(space)
        if origin is not None and name in (origin.character, *origin.films.values()):
            own.append(space)
    return own, [space for space in spaces if space not in own]


def empty_joint_set(space: Workspace, *, is_removed: bool) -> None:
    """Remove what a joint set has outside its own folder: adapters and logs."""
    if not is_removed:
        return
    atomic.remove_folder(space.checkpoint)
    atomic.remove_folder(space.log / space.film_id)
    for path in sorted((space.log / "tensorboard").glob(f"{space.film_id}-*")):
        atomic.remove_folder(path)
    atomic.remove_file(space.log / "metric" / f"film-{space.film_id}.json")


def _own(library: PeopleLibrary, name: str) -> list[str]:
    """Identities that have the name."""
    return library.identity.filter(pl.col("name") == name)["identity_id"].to_list()


def _members(library: PeopleLibrary, name: str, own: list[str]) -> pl.DataFrame:
    """Members of these identities, and those that a film calls so."""
    is_named = pl.col("is_named") & (pl.col("name") == name)
    return library.member.filter(pl.col("identity_id").is_in(own).fill_null(value=False) | is_named)
