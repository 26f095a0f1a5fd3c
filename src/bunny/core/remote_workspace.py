"""What opens data folders that lie elsewhere, as `workspace` asks for it; see `bunny.remote`."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from bunny.core.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class UnnamedObjects:
    """Objects that no film names, by film; a film of no name is any."""

    sizes: tuple[tuple[str, int, int], ...] = ()  # film_id, number, bytes
    young: tuple[tuple[str, int, int], ...] = ()  # may be on their way, and stay
    notes: tuple[str, ...] = ()  # what could not be deleted and why


class RemoteFolders(Protocol):
    """Data folders that lie elsewhere, with a working copy here; see `bunny.remote`."""

    def open(self, root: Path, address: str) -> Path:
        """Folder of the working copy, brought up to date."""
        ...

    def hold(self, space: Workspace, wait_s: float) -> AbstractContextManager[object]:
        """Let this machine alone write a film; what it wrote is sent in the end."""
        ...

    def fetch(self, space: Workspace, parts: Collection[str]) -> None:
        """Bring parts of a film here."""
        ...

    def away(self, space: Workspace) -> Collection[str]:
        """Files of a film that were left there."""
        ...

    def publish(self, space: Workspace, kept: Collection[str]) -> None:
        """Send what a film has now; only these parts need to stay here."""
        ...

    def purge(self, folder: Path) -> list[str]:
        """Delete what a film, or the library, had earlier; gives what stays and why."""
        ...

    def remove(self, space: Workspace) -> None:
        """Delete a film when its lock is given back."""
        ...

    def finish(self, data: Path) -> list[str]:
        """Finish deleting films where a kill came between; gives what stays and why."""
        ...

    def sweep(
        self, data: Path, film_ids: Collection[str] | None, *, is_removed: bool
    ) -> UnnamedObjects:
        """Count objects that no film names, and delete them if that is wanted."""
        ...

    def fetch_library(self, folder: Path) -> None:
        """Bring the library of a data folder up to date."""
        ...

    def hold_library(self, folder: Path, wait_s: float) -> AbstractContextManager[object]:
        """Let this machine alone write a library; what it wrote is sent in the end."""
        ...


OPENED: list[RemoteFolders] = []  # one at most, by the command line


def purge(folder: Path) -> list[str]:
    """Delete for good what a film, or the library of all films, had earlier and has no more.

    Where its data folder lies elsewhere, that is kept there after `workspace.lock` is given back.
    Nothing needs to be held.

    Parameters
    ----------
    folder : Path
        Of the film or the library.

    Returns
    -------
    list of str
        What stays there and why.
    """
    return [note for one in OPENED for note in one.purge(folder)]


def remove(space: Workspace) -> None:
    """Delete a film where its data folder lies elsewhere, when its lock is given back.

    Parameters
    ----------
    space : Workspace
        Locked by the caller, who removes its folder here.
    """
    for one in OPENED:
        one.remove(space)


def finish(data: Path) -> list[str]:
    """Finish what `remove` began and a kill ended, in a data folder that lies elsewhere.

    Parameters
    ----------
    data : Path
        The data folder here.

    Returns
    -------
    list of str
        What stays there and why.
    """
    return [note for one in OPENED for note in one.finish(data)]


def sweep(data: Path, film_ids: Collection[str] | None, *, is_removed: bool) -> UnnamedObjects:
    """Count objects that no film names, where a data folder lies elsewhere.

    Parameters
    ----------
    data : Path
        The data folder here.
    film_ids : collection of str or None
        None: of all films, and what is left of films that are gone.
    is_removed : bool
        Delete them.
    """
    found = [one.sweep(data, film_ids, is_removed=is_removed) for one in OPENED]
    return found[0] if found else UnnamedObjects()
