"""`bunny forget`: all that films keep of one person, removed or listed, with a record of it.

Removed are faces, figures and vectors, labels and groups, reference pictures, corrections and words
that name the person, training pictures, clips and pairs of them, adapters trained on them and what
those drew. What lies elsewhere is listed, and so is what shows others too, unless that is to go as
well (`forget_others`). The film itself stays as it is, with the pictures that were taken of it;
where the person is in it is put down without a name (`character.forgotten`), so that later runs do
not look there. Somebody whom no detector found is forgotten by a place that is named by hand. Of a
data folder on S3 what films had earlier is deleted too (`remote_workspace.purge`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from bunny.character import forgotten, reference
from bunny.command import clean, film_workspace, forget_others, forget_people, joint_set
from bunny.command.forget_others import HandBox
from bunny.command.option.workspace import ForgetOptions
from bunny.core import atomic, jsonl, reference_folder, remote_workspace, safe_path, workspace
from bunny.core.error import UserError
from bunny.core.workspace import Workspace
from bunny.dataset import addition, approval, image_folder
from bunny.library import forget, hide_person
from bunny.library.search import film_library
from bunny.library.timeline import export_record
from bunny.review import erase_event, event_log
from bunny.review.anchor import AssetIndex
from bunny.review.learn import version
from bunny.series import people_library
from bunny.table import schema, store

VIEWS = ("leftover", "view", "report", "log")  # kinds of `bunny clean` that show anybody
FOLDERS = ("dataset", "clip", "pair/reference", "pair/edit", "pair/clip", "picture", "character")
TEXTS = ("dataset", "clip", "pair")  # captions of others beside their pictures
TEXT_SUFFIXES = frozenset({".json", ".jsonl", ".txt", ".html", ".csv", ".log"})
OWN_DRAWINGS = "picture/own/index.jsonl"
ONE = {"faces and figures": "face or figure", "boxes drawn by hand": "box drawn by hand"}
ELSEWHERE = (
    "not deleted: exported sets, clips and adapters, archives of `bunny pack`, rows that were "
    "published, and copies of any of these"
)


@dataclass(kw_only=True)
class FilmForgetting:
    """What one film keeps of the person, by kind."""

    film_id: str
    counts: dict[str, int] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)  # what a person has to see to

    def add(self, kind: str, number: int) -> None:
        """Count things of a kind; none leave no trace."""
        if number:
            self.counts[kind] = self.counts.get(kind, 0) + number


@dataclass(frozen=True, kw_only=True)
class ForgetReport:
    """What was removed, or would be."""

    films: tuple[FilmForgetting, ...]
    is_removed: bool
    left: tuple[str, ...] = ()  # what stays on a server and why

    def to_json(self) -> str:
        """One JSON object."""
        return json.dumps(asdict(self), ensure_ascii=False)

    def to_text(self) -> str:
        """Lines for people."""
        lines = []
        for film in self.films:
            counts = ", ".join(_describe(number, kind) for kind, number in film.counts.items())
            lines.append(f"{film.film_id}: {counts or 'nothing'}")
            lines += [f"  not removed: {one}" for one in film.left]
        lines += [f"not removed: {one}" for one in self.left]
        lines.append(ELSEWHERE)
        if self.is_removed:
            lines.append("removed; `bunny run` brings the films' other tables up to date")
        else:
            lines.append("nothing was removed yet; add --yes to remove it")
        return "\n".join(lines)


def _describe(number: int, kind: str) -> str:
    """A number of things of one kind, whose words are given in the plural."""
    if number != 1:
        return f"{number:,} {kind}"
    return "1 " + (ONE.get(kind) or re.sub(r"s\b", "", kind, count=1))


def run(options: ForgetOptions) -> ForgetReport:
    """Say what one film, or all films, keep of a person, and remove it if that is wanted.

    Parameters
    ----------
    options : ForgetOptions
        Without a person it is who stands in `boxes`; without boxes too, everybody who was forgotten
        before, if others' pictures go too. Each film is locked while what it keeps is removed.

    Raises
    ------
    UserError
        If nobody is called so, a box is in no frame, or another process writes in a film.
    """
    boxes = [forget_others.read_box(one) for one in options.boxes]
    name, film, is_removed = options.person, options.film, options.is_removed
    if not (name or boxes or options.has_others):
        raise UserError(
            "PERSON: expected a name, --box or --others, got none; name the person to forget"
        )
    root, config = film_workspace.load_settings(options.data_dir, ())
    data = workspace.data_folder(root, config.project.data_dir)
    spaces = workspace.find(root, config.project.data_dir, film, has_series=True)
    if not spaces:
        raise film_workspace.no_such_film(film, config)
    if film:
        film_workspace.check_one(film, spaces)
        of_film = spaces[0].film_id
        spaces += joint_set.drawn_from(root, config.project.data_dir, of_film)
    joint, spaces = forget_people.part_joint_sets(spaces, name)
    left: list[str] = []

    def purge(folder: Path) -> None:
        left.extend(remote_workspace.purge(folder) if is_removed else ())

    with ExitStack() as held:
        for space in (*spaces, *joint) if is_removed else ():
            if space not in joint:  # after its lock, also where an earlier call was killed
                held.callback(purge, space.root)
            held.enter_context(workspace.lock(space, config.pipeline.lock_wait_seconds))
        for space in spaces:
            workspace.fetch(space)
        every = [_Film(space, name, boxes, has_others=options.has_others) for space in spaces]
        _check_frames(boxes, every)
        found = [one for one in every if one.is_known()]
        people = forget_people.find(data, name) if name else {}
        if not found and not joint and (film or not people):
            held.callback(purge, data / people_library.FOLDER)
            raise _nobody(name, spaces)
        who = options.by or film_workspace.login_name("somebody")
        quality = config.extraction.quality
        films = [one.forget(who, options.note, quality, is_removed=is_removed) for one in found]
        for space in joint:
            films.append(FilmForgetting(film_id=space.film_id, counts={"joint sets": 1}))
            forget_people.empty_joint_set(space, is_removed=is_removed)
            if is_removed:
                remote_workspace.remove(space)
    for space in joint if is_removed else ():
        atomic.remove_folder(space.root)  # its lock lay in it
    if is_removed:
        ids = frozenset[str]().union(*(one.who.ids for one in found))
        every = workspace.find(root, config.project.data_dir)
        for folder in forget_people.remove_rejections(data, every, ids):
            purge(folder)
    if name and people and not film:
        films.append(FilmForgetting(film_id="the library of all films", counts=people))
        if is_removed:
            forget_people.remove(data, name)
            purge(data / people_library.FOLDER)
    if is_removed:
        atomic.remove_folder(data / "output" / f".{film_library.FOLDER}")
    return ForgetReport(films=tuple(films), is_removed=is_removed, left=tuple(dict.fromkeys(left)))


class _Film:
    """A film's workspace and somebody in it."""

    def __init__(
        self,
        space: Workspace,
        name: str | None,
        boxes: Sequence[HandBox] = (),
        *,
        has_others: bool = False,
    ) -> None:
        self.space, self.has_others = space, has_others
        self.tables = {one: store.read_or_empty(space.table, one) for one in schema.TABLE}
        self.by_hand = forget_others.find_by_hand(self.tables, boxes)
        self.who = forget_others.find_under(self.tables, self.by_hand)
        if name:
            found, under = forget.find(self.tables, name), self.who
            ids = {"subjects": found.subjects | under.subjects}
            self.who = replace(found, **ids, tracks=found.tracks | under.tracks)
        known = forgotten.tracks(space.root) if has_others and not (name or boxes) else []
        self.earlier = known
        self.report = FilmForgetting(film_id=space.film_id)

    def is_known(self) -> bool:
        """Whether the film has the person at all."""
        return (
            bool(self.by_hand or self.earlier)
            or forget.is_known(self.tables, self.who)
            or any(self._folders())
            or any(path.is_relative_to(self.space.root) for path in self._references())
        )

    def forget(self, by: str, note: str, quality: int, *, is_removed: bool) -> FilmForgetting:
        """Count all, and remove it if that is wanted; `quality` of pictures painted over.

        The tables that tell who is who go last: after a kill the same command finishes the work.
        """
        own = [*self.earlier, *self.by_hand, *forget.tracks_of(self.tables, self.who)]
        places = list(dict.fromkeys(own))
        known = forgotten.hidden(self.space.root) if self.has_others else []
        every = list(dict.fromkeys([*known, *places]))
        shown = hide_person.find_shown(self.tables, every, self.who.name)
        self._count()
        self._list(places, shown)
        if is_removed:
            self._note(by, note, places)
            if self.has_others:
                self.tables = forget_others.remove_shown(self.space, self.tables, shown)
                forget_others.paint_frames(self.space, self.tables["frame"], quality)
            self.report.left += self._remove()
        return self.report

    def _count(self) -> None:
        named = {
            "faces and figures": len(self.who.subjects),
            "training pictures": self._own("dataset"),
            "clips": self._own("clip"),
            "pairs": self._own("training_pair"),
            "reference pictures": self._own("reference"),
            "adapters": self._own("adapter"),
            "drawn pictures": self._own("picture") + self._own("evaluation_picture"),
        }
        for kind, number in named.items():
            self.report.add(kind, number)
        before = event_log.read(self.space.root)
        after = self._events(before)
        self.report.add("corrections", len(before) - len(after))
        self.report.add("answers by models", len(list(self._answers())))
        self.report.add("boxes drawn by hand", len(self.by_hand))

    def _own(self, table: str) -> int:
        own = self.tables[table]
        return own.filter(pl.col("character") == self.who.name).height

    def _list(
        self, places: Sequence[forgotten.ForgottenTrack], shown: hide_person.ShownRows
    ) -> None:
        left = self.report.left
        for kind, number in forget_others.list_shown(self.tables, shown).items():
            if self.has_others:
                self.report.add(kind, number)
            elif number:
                left.append(f"{_describe(number, kind)} (--others removes them)")
        frames = self.tables["frame"].drop_nulls("file").iter_rows(named=True)
        kept = sum(bool(forgotten.boxes_in(row, places)) for row in frames)
        if self.has_others:
            self.report.add("pictures of the film to paint over", kept)
            left.append("the film itself")
        elif kept:
            left.append(f"{kept} pictures of the film with them, in frame/, and the film")
        left.extend(
            f"your own reference picture {path}, which the next run would read"
            for path in self._references()
            if not path.is_relative_to(self.space.root)
        )
        if any(self.who.is_named_in(one) for one in self.space.own_settings()):
            left.append(f"the name in {self.space.root / 'own_setting.json'}")

    # -- removing -----------------------------------------------------------------------------

    def _note(self, by: str, note: str, places: Sequence[forgotten.ForgottenTrack]) -> None:
        """Put down what is forgotten, and where it is, before anything is removed."""
        root = self.space.root
        known = set(forgotten.hidden(root) if self.has_others else forgotten.tracks(root))
        entry = forgotten.Forgetting(
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            by=by,
            note=note,
            counts=self.report.counts,
            tracks=tuple(one for one in places if one not in known),
            is_hidden=self.has_others,
        )
        forgotten.append(root, entry)

    def _remove(self) -> Iterator[str]:
        """Remove what is the person's; gives what still has the name then."""
        root = self.space.root
        self._remove_files()
        self._rewrite_records()
        self._erase_shards()
        order = [one for one in schema.TABLE if one not in (*forget.FOUND_IN, *forget.NAMING)]
        for table in (*order, *forget.FOUND_IN, *forget.NAMING):
            kept = forget.erase(self.tables[table], self.who)
            if kept is not self.tables[table]:
                store.write(self.space.table, table, kept)
        for kind in VIEWS:
            clean.free(self.space, kind, is_removed=True)
        atomic.remove_folder(root / film_library.FOLDER)
        workspace.update_references(self.space)
        yield from self._still_named()

    def _remove_files(self) -> None:
        root, checkpoint = self.space.root, self.space.checkpoint
        for table, frame in self.tables.items():
            home = checkpoint if table in ("adapter", "training_run") else root
            for name in forget.files_of(frame, self.who):
                file = safe_path.join(home, name)
                for path in (file, file.with_suffix(".txt")):
                    atomic.remove_file(path)
        for folder in self._folders():
            atomic.remove_folder(folder)
        for path in [one for one in self._references() if one.is_relative_to(root)]:
            atomic.remove_file(path)
            if not any(path.parent.iterdir()) and path.parent.name == self.who.name:
                path.parent.rmdir()
        for run in self.who.runs:
            atomic.remove_folder(safe_path.join(self.space.log / "tensorboard", run))
        for path in [*self._answers(), *root.glob("stage/*/stage.json")]:
            if self._names(path):
                atomic.remove_file(path)
        for path in [one for home in TEXTS for one in sorted((root / home).rglob("*"))]:
            if path.suffix in (".txt", ".jsonl") and self._names(path):
                text = forget.erase_words(path.read_text(encoding="utf-8"), self.who.name)
                atomic.write_bytes(path, text.encode())
        atomic.remove_file(self.space.log / "metric" / f"film-{self.space.film_id}.json")

    def _folders(self) -> Iterator[Path]:
        """Folders that are of this character alone."""
        if self.who.name == forget_others.NOBODY:
            return
        root = self.space.root
        homes = [root / name for name in FOLDERS] + [self.space.checkpoint]
        slug = image_folder.folder_name(self.who.name)
        folders = [home / slug for home in homes]
        yield from (folder for folder in folders if folder.is_dir())

    def _references(self) -> Iterator[Path]:
        """Reference pictures of the person, the user's own and those in the film's folder."""
        root = self.space.root
        homes = {root / reference_folder.NAMED, root / reference_folder.JOINED}
        user = reference_folder.user_folder(self.space.source())
        for home in sorted(homes | ({user} if user else set())):
            if home.is_dir():
                for one in reference.list_files(home):
                    if one.character == self.who.name:
                        yield one.path

    def _answers(self) -> Iterator[Path]:
        """Kept answers by models that name the person."""
        for stage in ("caption", "review"):
            for path in sorted(self.space.stage(stage).glob("answer/**/*.json")):
                if self._names(path):
                    yield path

    def _names(self, path: Path) -> bool:
        return self.who.is_named_in(path.read_text(encoding="utf-8", errors="replace"))

    def _events(self, events: Sequence[event_log.Event]) -> list[event_log.Event]:
        index = AssetIndex(self.tables["asset"])

        def is_person(anchor: event_log.AssetAnchor) -> bool:
            found = index.match("character", anchor)
            return bool(found) and all(index.ids[one] in self.who.tracks for one in found)

        return erase_event.erase(
            events, self.who.name, is_person, lambda text: forget.erase_words(text, self.who.name)
        )

    def _rewrite_records(self) -> None:
        root = self.space.root
        before = event_log.read(root)
        after = self._events(before)
        if after != before:
            lines = [one.to_dict() for one in after]
            jsonl.rewrite(root / event_log.FILE, "one event", lambda _: lines)
            atomic.remove_folder(self.space.checkpoint / version.FOLDER)  # learned of them
        for file in (addition.FILE, approval.FILE, OWN_DRAWINGS):
            jsonl.rewrite(root / file, "one entry", self._others)
        jsonl.rewrite(
            root / export_record.FILE,
            "one exported timeline",
            lambda entries: [one for one in entries if not self.who.is_named_in(json.dumps(one))],
        )

    def _others(self, entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Entries of a record that are not about the person."""
        return [one for one in entries if one.get("character") != self.who.name]

    def _erase_shards(self) -> None:
        """Take the person out of what stages keep so as not to measure it again."""
        for path in sorted(self.space.root.glob("stage/*/shard/**/*.parquet")):
            if path.stem in schema.TABLE and path.exists():
                if not store.is_readable(path):  # of another schema: its stage would not read it
                    atomic.remove_folder(path.parent)
                    continue
                before = store.read(path.parent, path.stem)
                after = forget.erase(before, self.who)
                if after is before:
                    continue
                if path.stem == "reference":  # kept for all pictures at once; soon measured again
                    atomic.remove_folder(path.parent)
                else:
                    store.write(path.parent, path.stem, after)

    def _still_named(self) -> Iterator[str]:
        """Texts that have the name still."""
        if self.who.name == forget_others.NOBODY:
            return
        for home in (self.space.root, self.space.checkpoint):
            for path in sorted(home.rglob("*")):
                if path.suffix in TEXT_SUFFIXES and self._names(path):
                    yield f"the name in {path}"


def _check_frames(boxes: Sequence[HandBox], films: Sequence[_Film]) -> None:
    """Refuse a box in a frame that none of the films has."""
    known = {
        frame_id
        for film in films
        for name in ("frame", "extra_frame")
        for frame_id in film.tables[name]["frame_id"]
    }
    for frame_id, *_ in boxes:
        if frame_id not in known:
            raise UserError(
                f"--box {frame_id}: expected the id of a frame, as in table frame, found no such "
                "id; `bunny export json` lists them"
            )


def _nobody(name: str | None, spaces: Sequence[Workspace]) -> UserError:
    if not name:
        return UserError("--others: expected films in which somebody was forgotten, found none")
    known: set[str] = set()
    for space in spaces:
        tables = {one: store.read_or_empty(space.table, one) for one in forget.NAMING}
        tables["reference"] = store.read_or_empty(space.table, "reference")
        known |= set(forget.known_names(tables))
    return UserError(
        f"{name}: expected the name of a character, or with --film of a group of unknown people, "
        f"found {', '.join(sorted(known)) or 'nobody'}; check the spelling"
    )
