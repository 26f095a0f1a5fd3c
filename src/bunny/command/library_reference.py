"""Sharing of reference pictures: from the film that has them to those that would use them.

What would be shared is found first, and said (`Offer`); nothing is written before `apply`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from bunny.command import characters, film_workspace, text_table
from bunny.core import atomic, reference_folder, safe_path, workspace
from bunny.core.config import Config
from bunny.core.error import UserError
from bunny.core.workspace import Workspace
from bunny.dataset import reference_picture
from bunny.series import people_library, rejection, shared_reference
from bunny.series.film_member import FACE, FIGURE
from bunny.series.people_library import PeopleLibrary
from bunny.table import corrected, store

NOISE = "noise"  # tracks in no group of unknown people


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A cluster of a film that would get a name, or why a film is not to get it."""

    film_id: str
    name: str
    kind: str  # face or figure
    cluster: str  # "person-02", "figure-01", "noise"; empty: the film gets no references
    count: int  # tracks of faces, views of a figure
    similarity: float | None  # mean, of faces to the references, of a figure to those of the name
    why: str = ""  # the film gets no references

    def describe(self) -> str:
        """How much of it there is, and how like the name's pictures; or why there is nothing.

        Examples
        --------
        >>> about = {"film_id": "reel-1a2b", "name": "anna", "kind": "face"}
        >>> Offer(**about, cluster="person-02", count=3, similarity=0.512).describe()
        '3 tracks, similarity 0.51'
        """
        if not self.cluster:
            return f"{self.name} not given: {self.why}"
        unit = "view" if self.kind == FIGURE else "track"
        words = f"{self.count} {unit}{'' if self.count == 1 else 's'}"
        return words if self.similarity is None else f"{words}, similarity {self.similarity:.2f}"


def describe_offers(offers: Sequence[Offer]) -> list[str]:
    """A table of what is named in which film, or why a film gets no references; lines of text."""
    if not offers:
        return ["no film would get a name"]
    rows = [
        (one.film_id, one.cluster or "-", one.name if one.cluster else "-", one.describe())
        for one in offers
    ]
    return text_table.lines(
        pl.DataFrame(rows, schema=["film", "group", "name", "seen"], orient="row")
    )


class ReferenceSharing:
    """Collects references of named identities and offers them to films.

    Parameters
    ----------
    library : PeopleLibrary
        Replaced where references are collected.
    data_dir, overrides
        As given to the command.
    """

    def __init__(
        self, library: PeopleLibrary, data_dir: str | None, overrides: Sequence[str]
    ) -> None:
        home = library.folder / people_library.REFERENCES
        is_there = [(home / one).is_file() for one in library.reference["reference_id"]]
        kept = library.reference.filter(pl.Series(is_there, dtype=pl.Boolean))  # after a kill
        self.library = replace(library, reference=kept)
        self._config = film_workspace.load_settings(data_dir, overrides)[1]
        self.notes: list[str] = []
        self.given: dict[str, list[str]] = {}  # names that each film got references of
        self.offers: list[Offer] = []
        self._writes: list[Callable[[], None]] = []  # what is to be done, in its order
        self._withdrawn: set[str] = set()  # films that references were taken from
        self._told: set[str] = set()  # films that now know of other rejections than before
        self._data_dir, self._overrides = data_dir, overrides

    def apply(self) -> None:
        """Write what was collected, offered and withdrawn, in this order of calls."""
        for write in self._writes:
            write()
        self._writes.clear()

    def collect(self, identity_id: str) -> None:
        """Keep reference pictures of a named identity, if the library has none of it."""
        known = self.library.reference.filter(pl.col("identity_id") == identity_id)
        name = self._name(identity_id)
        if known.height or name is None:
            return
        member = self.library.member.filter(pl.col("identity_id") == identity_id)
        order = member.sort("is_named", "num_views", "member_id", descending=[True, True, False])
        for row in order.iter_rows(named=True):
            space, config = self._open(row["film_id"])
            if space is None:
                continue
            with TemporaryDirectory() as folder:
                found = _pictures(space, config, row, Path(folder))
                if found:
                    new, files = shared_reference.describe(
                        name, identity_id, found, row["film_id"], row["model"]
                    )
                    home = self.library.folder / people_library.REFERENCES
                    self._writes += [
                        partial(atomic.write_bytes, home / one, data) for one, data in files.items()
                    ]
                    table = pl.concat(
                        [_listed(one) for one in (self.library.reference, new) if one.height]
                    )
                    self.library = replace(self.library, reference=table)
                    return
        self.notes.append(
            f"{name}: no picture that shows only {name}; add reference pictures of your own"
        )

    def offer(self, identity_id: str, films: Iterable[str] | None = None) -> None:
        """Give a named identity's references to films in which it would be found.

        Parameters
        ----------
        films : iterable of str, optional
            film_ids to ask; None: all in which an unknown member is like it.
        """
        name, own = self._name(identity_id), pl.col("identity_id") == identity_id
        reference = self.library.reference.filter(own)
        if name is None or reference.is_empty():
            return
        member = self.library.member.filter(~pl.col("is_named"))
        if films is not None:
            member = member.filter(pl.col("film_id").is_in(list(films)))
        for film_id in sorted(self._films_like(identity_id, member, reference)):
            self._offer_film(film_id, identity_id, name, member.filter(own), reference)

    def _films_like(
        self, identity_id: str, member: pl.DataFrame, reference: pl.DataFrame
    ) -> set[str]:
        """Films with an unknown member that may be one: an index is asked, not the films."""
        found = set(member.filter(pl.col("identity_id") == identity_id)["film_id"])
        face = reference.drop_nulls("vector")
        if face.is_empty():
            return found
        near = member.filter(pl.col("model") == face["model"][0])
        vector = people_library.read_vectors(self.library.folder, face["model"][0])
        cosine = (
            vector[near["vector_row"].to_numpy()] @ np.array(face["vector"].to_list(), np.float32).T
        )
        is_near = cosine.max(axis=1, initial=-1) >= self._config.detection.similarity_threshold
        return found | set(near["film_id"].to_numpy()[is_near].tolist())

    def _offer_film(
        self,
        film_id: str,
        identity_id: str,
        name: str,
        member: pl.DataFrame,
        reference: pl.DataFrame,
    ) -> None:
        space, config = self._open(film_id)
        if space is None:
            return
        known = store.read_or_empty(space.table, "reference")["character"].unique()
        has_name = name.casefold() in {one.casefold() for one in known}
        has_name = has_name or name in self.given.get(film_id, ())
        if has_name or (space.root / reference_folder.NAMED / name).exists():
            return
        face = reference.drop_nulls("vector")
        if face.height:
            tables = shared_reference.read_tables(space.table)
            vector = np.array(face["vector"].to_list(), np.float32)
            model = face["model"][0]
            rejected = rejection.read(self.library, model, model).of(identity_id, name)
            found = shared_reference.find_new_tracks(
                tables, name, vector, config.detection, config.seed, rejected
            )
            offers, why = _face_offers(space, name, found), found.why
        else:
            drawn = (pl.col("film_id") == film_id) & (pl.col("kind") == FIGURE)
            like = rejection.likeness(self.library, member.filter(drawn), identity_id, name)
            offers = [
                Offer(
                    film_id=film_id,
                    name=name,
                    kind=FIGURE,
                    cluster=row["name"],
                    count=row["num_views"],
                    similarity=row["similarity"],
                )
                for row in like.iter_rows(named=True)
            ]
            why = "not found in it"
        if not offers:
            self.notes.append(f"{film_id}: {name} not given ({why})")
            kind = FACE if face.height else FIGURE
            none = Offer(
                film_id=film_id, name=name, kind=kind, cluster="", count=0, similarity=None, why=why
            )
            self.offers.append(none)
            return
        self.offers += offers
        self._writes.append(partial(self._give, space, reference["reference_id"].to_list()))
        self.given.setdefault(film_id, []).append(name)

    def _give(self, space: Workspace, reference_ids: Sequence[str]) -> None:
        """Copy pictures of the library into a film."""
        with workspace.lock(space):
            for reference_id in reference_ids:
                path = safe_path.join(self.library.folder / people_library.REFERENCES, reference_id)
                target = safe_path.join(space.root / reference_folder.NAMED, reference_id)
                atomic.write_bytes(target, path.read_bytes())
            workspace.update_references(space)

    def tell_rejections(self, films: Iterable[str]) -> None:
        """Write down in films what people said in others is not one of their characters.

        Parameters
        ----------
        films : iterable of str
            film_ids; those whose references were given just now are among them.
        """
        for film_id in sorted({*films, *self.given}):
            space, _ = self._open(film_id)
            if space is None:
                continue
            home = space.root / reference_folder.NAMED
            given = [one.name for one in home.iterdir() if one.is_dir()] if home.is_dir() else []
            new = rejection.for_film(self.library, film_id, given)
            if not new.equals(_listed(store.read_or_empty(space.table, rejection.TABLE))):
                with workspace.lock(space):
                    store.write(space.table, rejection.TABLE, new)
                self._told.add(film_id)

    def withdraw(self, which: pl.Expr, film_id: str | None = None) -> list[str]:
        """Take references back: out of the library, and out of the films that got them.

        Parameters
        ----------
        which : pl.Expr
            Of the rows of table `library_reference`.
        film_id : str, optional
            Only out of this film.

        Returns
        -------
        list of str
            Films that had some.
        """
        gone = self.library.reference.filter(which)["reference_id"].to_list()
        folder = self.library.folder
        touched: dict[str, list[Path]] = {}
        for reference_id in gone:
            for path in folder.parent.glob(f"output/{film_id or '*'}/{reference_folder.NAMED}/"):
                if (path / reference_id).is_file():
                    touched.setdefault(path.parent.name, []).append(path / reference_id)
            if film_id is None:
                path = safe_path.join(folder / people_library.REFERENCES, reference_id)
                self._writes.append(partial(atomic.remove_file, path))
        if film_id is None:
            self.library = replace(self.library, reference=self.library.reference.filter(~which))
        for one, paths in sorted(touched.items()):
            self._writes.append(partial(self._take_back, one, paths))
        self._withdrawn |= touched.keys()
        return sorted(touched)

    def _take_back(self, film_id: str, paths: Sequence[Path]) -> None:
        """Remove reference pictures of a film."""
        space, _ = self._open(film_id)
        if space is None:
            _remove_pictures(paths)
            return
        with workspace.lock(space):
            _remove_pictures(paths)
            workspace.update_references(space)

    def commands(self) -> list[str]:
        """What to type so that the films go by the references and rejections that they have now."""
        found = []
        for film_id in sorted({*self.given, *self._withdrawn, *self._told}):
            space, _ = self._open(film_id)
            if space is not None:
                found.append(characters.run_command(space.source(), self._data_dir))
        return found

    def _name(self, identity_id: str) -> str | None:
        own = self.library.identity.filter(pl.col("identity_id") == identity_id)
        return own["name"][0] if own.height else None

    def _open(self, film_id: str) -> tuple[Workspace | None, Config]:
        try:
            return film_workspace.open_film(film_id, self._data_dir, self._overrides, ())
        except UserError:  # its folder is gone; the library keeps what it knows
            return None, Config()


def _face_offers(space: Workspace, name: str, found: shared_reference.NewTracks) -> list[Offer]:
    """Tracks that would be named, by the groups of unknown people that they are in."""
    cluster = store.read_or_empty(space.table, "cluster").filter(pl.col("level") == "unknown")
    group = dict(cluster.drop_nulls("cluster_id").select("item_id", "cluster_id").iter_rows())
    face = store.read_or_empty(space.table, "face").select("track_id", "face_id").drop_nulls()
    of_track: dict[str, list[float]] = {}
    of: dict[str, str] = {}
    for track_id, face_id in face.iter_rows():
        if face_id in group:
            of.setdefault(track_id, group[face_id])
    for track_id, similarity in found.similarity.items():
        of_track.setdefault(of.get(track_id, NOISE), []).append(similarity)
    return [
        Offer(
            film_id=space.film_id,
            name=name,
            kind=FACE,
            cluster=one,
            count=len(similarity),
            similarity=float(np.mean(similarity)),
        )
        for one, similarity in sorted(of_track.items())
    ]


def _listed(table: pl.DataFrame) -> pl.DataFrame:
    """With vectors as lists."""
    return table.with_columns(pl.col("vector").cast(pl.List(pl.Float32)))


def _remove_pictures(paths: Iterable[Path]) -> None:
    """Remove reference pictures, and the folders of names that have none any more."""
    for path in paths:
        atomic.remove_file(path)
        with suppress(OSError):  # others of that name lie in it
            path.parent.rmdir()


def _pictures(
    space: Workspace, config: Config, member: dict, folder: Path
) -> list[tuple[Path, str, list | None]]:
    """Reference pictures of somebody in a film: the user's, else views cut out of it."""
    name = member["name"]
    given = store.read_or_empty(space.table, "reference").filter(
        pl.col("character") == name, pl.col("error").is_null()
    )
    home = space.source().get("references")
    if home and member["is_named"]:
        rows = given.select("reference_id", "face_embedding").iter_rows()
        found = [(Path(home) / one, Path(one).name, vector) for one, vector in rows]
        found = [one for one in found if one[0].is_file()]
        is_drawn = member["kind"] == FIGURE
        found = [one for one in found if is_drawn or one[2] is not None]
        if found:
            return found
    return _cut_views(space, config, member, folder)


def _cut_views(
    space: Workspace, config: Config, member: dict, folder: Path
) -> list[tuple[Path, str, list | None]]:
    """The best views of somebody, cut out of a film, with the vectors of their faces."""
    workspace.fetch(space, ("frame/*",))
    views = characters.read_subjects(space).filter(pl.col("name") == member["name"])
    source = reference_picture.ViewSource(
        root=space.root,
        film_id=space.film_id,
        tables={n: corrected.read_or_empty(space.table, n) for n in reference_picture.TABLES},
    )
    is_drawn = member["kind"] == FIGURE
    write = reference_picture.write_figures if is_drawn else reference_picture.write_faces
    try:
        paths = write(source, config.detection, member["name"], views, folder)
    except UserError:  # no view shows this one alone
        return []
    if is_drawn:
        return [(path, path.name, None) for path in paths]
    face = dict(source.tables["face"].select("face_id", "embedding").iter_rows())
    of_file = {reference_picture.file_name(space.film_id, one): face[one] for one in face}
    return [(path, path.name, of_file[path.name]) for path in paths]
