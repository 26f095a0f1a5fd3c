"""`bunny library`: the same people through many films."""

import json
import shlex
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from bunny.character import reference
from bunny.command import characters, film_workspace, joint_set, library_reference, text_table
from bunny.command.library_reference import Offer, ReferenceSharing
from bunny.core import exit_code, workspace
from bunny.core.config import Config
from bunny.core.error import UserError
from bunny.core.workspace import Workspace
from bunny.review.learn import version
from bunny.series import film_member, identity, library_update, people_library, rejection
from bunny.series.people_library import PeopleLibrary
from bunny.table import store
from bunny.view.tile import UNKNOWN

DRY_RUN = "dry run: nothing was changed; without --dry-run, these films get the reference pictures"
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class FilmRun:
    """A film's run after the library changed, see `library_run`."""

    film_id: str
    film: str
    status: str  # of `FilmOutcome`
    seconds: float
    error: str | None
    until: str  # last stage
    left: Sequence[str]  # stages of training that ran before and were not renewed


@dataclass(frozen=True, kw_only=True)
class LibraryReport:
    """The library after a command, and what the command did."""

    library: PeopleLibrary
    lines: Sequence[str] = ()
    given: dict[str, list[str]] | None = None  # names that each film got references of
    commands: Sequence[str] = ()  # to type next
    ran: Sequence[FilmRun] = ()
    offers: Sequence[Offer] = ()  # what is named in which film, or why not
    is_dry_run: bool = False  # nothing was written; `given` is what films would get

    @property
    def exit_code(self) -> int:
        """As of `bunny batch`."""
        return exit_code.of_films(one.status for one in self.ran)

    def to_json(self) -> str:
        """One JSON object on one line."""
        report = {
            "folder": self.library.folder.as_posix(),
            "done": list(self.lines),
            "given": self.given or {},
            "commands": list(self.commands),
            "ran": [asdict(one) for one in self.ran],
            "offers": [asdict(one) for one in self.offers],
            "is_dry_run": self.is_dry_run,
            "films": self.library.film.drop("state").sort("film_id").to_dicts(),
            "identities": summarise(self.library).to_dicts(),
            "noise": _noise(self.library),
        }
        return json.dumps(report, ensure_ascii=False)

    def to_text(self) -> str:
        """Lines for a person."""
        lines = list(self.lines)
        if self.is_dry_run:
            return "\n".join([*lines, *library_reference.describe_offers(self.offers), DRY_RUN])
        for film_id, names in (self.given or {}).items():
            lines.append(f"{film_id}: now has reference pictures of {', '.join(names)}")
        lines += [_describe_run(one) for one in self.ran]
        if self.commands:
            lines += ["to apply the names, run", *(f"  {one}" for one in self.commands)]
            lines.append(
                "then run `bunny library add` again to take in the changes; --run does both"
            )
        return "\n".join(lines)


def library_folder(data_dir: str | None, overrides: Sequence[str] = ()) -> Path:
    """Where the library of a data folder lies; up to date."""
    root, config = film_workspace.load_settings(data_dir, overrides)
    data = workspace.data_folder(root, config.project.data_dir)
    return workspace.fetch_library(data / people_library.FOLDER)


def add(
    films: Sequence[str],
    data_dir: str | None = None,
    overrides: Sequence[str] = (),
    *,
    say: Say | None = None,
) -> LibraryReport:
    """Add films, or add them again after they changed.

    Parameters
    ----------
    films : sequence of str
        film_ids or how they begin; none: all that are new or changed.
    say : callable, optional
        Is given lines on what will be named in which film before films get references.

    Raises
    ------
    UserError
        If a film is not known, or was not run as far as stage cluster.
    """
    spaces = _films(films, data_dir, overrides)
    folder = library_folder(data_dir, overrides)
    lines: list[str] = []
    with workspace.lock_library(folder):
        library = before = people_library.read(folder)
        states = dict(library.film.select("film_id", "state").iter_rows())
        if not films:
            spaces = [one for one in spaces if states.get(one[0].film_id) != _state(one[0])]
        for space, config in spaces:
            library, line = _add_one(library, space, config)
            lines.append(line)
        sharing = ReferenceSharing(library, data_dir, overrides)
        added = [space.film_id for space, _ in spaces]
        _share(sharing, added)
        _say_offers(sharing, say)
        sharing.apply()
        sharing.tell_rejections(
            {*added, *rejection.films_concerned(before, sharing.library, added)}
        )
        people_library.write(sharing.library)
    return LibraryReport(
        library=sharing.library,
        offers=sharing.offers,
        lines=[*(lines or ["nothing new: all films that ran are in the library"]), *sharing.notes],
        given=sharing.given,
        commands=sharing.commands(),
    )


def name(
    choices: Sequence[str],
    data_dir: str | None = None,
    overrides: Sequence[str] = (),
    *,
    is_dry_run: bool = False,
    say: Say | None = None,
) -> LibraryReport:
    """Name people once for all films.

    Parameters
    ----------
    choices : sequence of str
        `identity-0003=anna`, `reel-1a2b:person-02=anna`; nothing behind the sign takes a name away.
    is_dry_run : bool
        Find out what would be named in which film, and write nothing.
    say : callable, optional
        Is given lines on what will be named in which film before anything is written.

    Raises
    ------
    UserError
        If there is no such identity, or the name cannot be one.
    """
    folder = library_folder(data_dir, overrides)
    lines: list[str] = []
    is_now, are = ("would be", "would be") if is_dry_run else ("is now", "are")
    with nullcontext() if is_dry_run else workspace.lock_library(folder):
        sharing = ReferenceSharing(people_library.read(folder), data_dir, overrides)
        named = []
        for choice in choices:
            what, sign, wanted = (part.strip() for part in choice.rpartition("="))
            if not sign or not what:
                raise UserError(
                    f"{choice}: expected WHO=NAME, e.g. identity-0003=anna or FILM:person-02=anna"
                )
            own, back = _name_one(sharing, what, _check_name(wanted))
            named.append(own)
            lines.append(f"{what} ({own}) {is_now} {wanted or 'without a name'}")
            lines += [f"{film_id}: the old name's references {are} removed" for film_id in back]
        for own in named:
            sharing.collect(own)
            sharing.offer(own)
        if not is_dry_run:
            _say_offers(sharing, say)
            sharing.apply()
            is_named = sharing.library.member.filter(pl.col("identity_id").is_in(named), "is_named")
            sharing.tell_rejections(is_named["film_id"])
            people_library.write(sharing.library)
    return LibraryReport(
        library=sharing.library,
        offers=sharing.offers,
        is_dry_run=is_dry_run,
        lines=[*lines, *sharing.notes],
        given=sharing.given,
        commands=sharing.commands(),
    )


def _say_offers(sharing: ReferenceSharing, say: Say | None) -> None:
    """Say what films will be given, before they are."""
    if say is not None and sharing.offers:
        say("\n".join(library_reference.describe_offers(sharing.offers)))


def _name_one(sharing: ReferenceSharing, what: str, wanted: str | None) -> tuple[str, list[str]]:
    """The identity that has the name now, and films that lost references of an older one."""
    found = library_update.find(sharing.library, what)
    before, film_id = found["identity_id"][0], found["film_id"][0]
    sharing.library, own = library_update.name_identity(sharing.library, what, wanted)
    if before is None:
        return own, []
    left = sharing.library.member.filter(pl.col("identity_id") == before, pl.col("is_named"))
    is_split = ":" in what and own != before and left.height > 0
    old = ~pl.col("reference_id").str.starts_with(f"{wanted}/")
    back = sharing.withdraw((pl.col("identity_id") == before) & old, film_id if is_split else None)
    return own, back


def show(data_dir: str | None = None, overrides: Sequence[str] = ()) -> LibraryReport:
    """Say who is in the library, and in which films."""
    library = people_library.read(library_folder(data_dir, overrides))
    found = summarise(library)
    rows = [
        (
            r["identity_id"],
            r["name"] or "-",
            r["kind"],
            r["num_films"],
            r["num_views"],
            ", ".join(r["members"][:4]) + (" …" if len(r["members"]) > 4 else ""),
        )
        for r in found.iter_rows(named=True)
    ]
    columns = ["identity", "name", "kind", "films", "views", "in"]
    lines = text_table.lines(pl.DataFrame(rows, schema=columns, orient="row"))
    root, config = film_workspace.load_settings(data_dir, overrides)
    stale = joint_set.describe_stale(root, config.project.data_dir)
    ends = f"{library.film.height} films, {found.height} identities, {_noise(library)} in noise"
    return LibraryReport(library=library, lines=[*(lines if found.height else []), ends, *stale])


def remove(film: str, data_dir: str | None = None, overrides: Sequence[str] = ()) -> LibraryReport:
    """Take a film's people, and the references that come from it, out of the library.

    Raises
    ------
    UserError
        If no film of the library, or more than one, begins so.
    """
    folder = library_folder(data_dir, overrides)
    with workspace.lock_library(folder):
        library = before = people_library.read(folder)
        found = library.film.filter(pl.col("film_id").str.starts_with(film))["film_id"].to_list()
        if len(found) != 1:
            raise UserError(
                f"{film}: expected one film of the library, found {', '.join(found) or 'none'}; "
                "list them with `bunny library show --json`"
            )
        sharing = ReferenceSharing(library, data_dir, overrides)
        back = sharing.withdraw(pl.col("film_id") == found[0])
        members = library.member.filter(pl.col("film_id") == found[0])
        gone = library.reference.height - sharing.library.reference.height
        sharing.apply()
        sharing.library = library = library_update.remove_film(sharing.library, found[0])
        sharing.tell_rejections(rejection.films_concerned(before, library, [found[0]]))
        people_library.write(library)
        people_library.erase_unused(library)
    root, config = film_workspace.load_settings(data_dir, overrides)
    stale = joint_set.drawn_from(root, config.project.data_dir, found[0])
    joint_set.mark_stale(stale)
    lines = [f"{found[0]}: {members.height} members and {gone} reference pictures removed"]
    lines += [f"{film_id}: references from it are removed" for film_id in back]
    lines += [
        f"{one.film_id}: has pictures from it and is out of date; the next `bunny library train` "
        "rebuilds it without that film"
        for one in stale
    ]
    return LibraryReport(library=library, lines=lines)


def share_learned(
    film: str, others: Sequence[str], data_dir: str | None = None, overrides: Sequence[str] = ()
) -> LibraryReport:
    """Put what was learned of one film's corrections into use in others.

    Raises
    ------
    UserError
        If nothing learned is in use in the film.
    """
    space, _ = film_workspace.open_film(film, data_dir, overrides, ())
    number = version.current(space.checkpoint)
    if not number:
        raise UserError(
            f"{space.film_id}: expected a learned version in use, found none; run `bunny learn` "
            "on it first"
        )
    known = version.read(space.checkpoint, number)
    learned = version.load(known)
    lines, commands = [], []
    for one in others:
        other, _ = film_workspace.open_film(one, data_dir, overrides, ())
        about = {**known.about, "learned_in": space.film_id, "learned_version": number}
        made = version.save(other.checkpoint, learned, about).number
        version.use(other.checkpoint, made)
        undo = f"bunny learn {shlex.quote(other.film_id)} --rollback"
        lines.append(f"{other.film_id}: version {made}, learned in {space.film_id}; undo: {undo}")
        place = "" if data_dir is None else f" --data-dir {shlex.quote(data_dir)}"
        film_file = shlex.quote(other.source()["film"])
        commands.append(f"bunny run {film_file} --until review{place}")
    library = people_library.read(library_folder(data_dir, overrides))
    return LibraryReport(library=library, lines=lines, commands=commands)


def summarise(library: PeopleLibrary) -> pl.DataFrame:
    """Identities of at least one member, named ones first, then those of most films."""
    own = library.member.drop_nulls("identity_id")
    return (
        own.group_by("identity_id")
        .agg(
            num_films=pl.col("film_id").n_unique(),
            num_views=pl.col("num_views").sum(),
            members=pl.col("member_id").sort(),
        )
        .join(library.identity.select("identity_id", "name", "kind"), on="identity_id")
        .select("identity_id", "name", "kind", "num_films", "num_views", "members")
        .sort(pl.col("name").is_null(), -pl.col("num_films").cast(pl.Int64), "identity_id")
    )


def _describe_run(ran: FilmRun) -> str:
    """Line for a person on a film that was run.

    Examples
    --------
    >>> known = {"film_id": "reel-1a2b", "film": "reel.mp4", "status": "done", "until": "dataset"}
    >>> _describe_run(FilmRun(**known, seconds=4.0, error=None, left=["finetune"]))
    'reel-1a2b: run until dataset (4.0 s); finetune not rerun; `bunny run reel.mp4` runs them'
    """
    if ran.status != "done":
        return f"{ran.film_id}: {ran.status}, {ran.error}"
    line = f"{ran.film_id}: run until {ran.until} ({ran.seconds:.1f} s)"
    if not ran.left:
        return line
    return f"{line}; {', '.join(ran.left)} not rerun; `bunny run {ran.film}` runs them"


def _films(
    films: Sequence[str], data_dir: str | None, overrides: Sequence[str]
) -> list[tuple[Workspace, Config]]:
    """Films to add, with their settings."""
    if films:
        spaces = [film_workspace.open_film(one, data_dir, overrides, ()) for one in films]
        for space, _ in spaces:
            if not store.exists(space.table, "cluster"):
                raise UserError(
                    f"{space.film_id}: expected groups of people, found none; run stage cluster "
                    "first: `bunny run FILM --until cluster`"
                )
        return spaces
    root, config = film_workspace.load_settings(data_dir, overrides)
    known = workspace.find(root, config.project.data_dir)
    ran = [space for space in known if store.exists(space.table, "cluster")]
    return [(one, film_workspace.load_settings(data_dir, overrides, one)[1]) for one in ran]


def _state(space: Workspace) -> str:
    return film_member.state(space.table)


def _add_one(library: PeopleLibrary, space: Workspace, config: Config) -> tuple[PeopleLibrary, str]:
    """The library with a film, and a line on it."""
    state = _state(space)
    new = film_member.collect(film_member.read_tables(space.table), space.film_id)
    setting = identity.PlacementSetting(clustering=config.clustering, detection=config.detection)
    placed = identity.place(library, new, setting)
    source = space.source()
    row: dict[str, Any] = {
        "film_id": space.film_id,
        "film": Path(source["film"]).name,
        "content_hash": source["content_hash"],
        "state": state,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "num_members": len(new.rows),
        "adapter_version": version.current(space.checkpoint),
    }
    library = library_update.add_film(library, new, placed, row)
    found = sum(one is not None for one in placed.identity_id)
    made = len(placed.created)
    line = (
        f"{space.film_id}: {len(new.rows)} people and figures, {found} in the library ({made} of "
        f"them new), {len(new.rows) - found} in no group"
    )
    return library, line


def _share(sharing: ReferenceSharing, added: Sequence[str]) -> None:
    """Names that the added films brought go to all films, names there were to the added ones."""
    library = sharing.library
    named = library.identity.drop_nulls("name")["identity_id"]
    own = library.member.filter(pl.col("film_id").is_in(list(added)))
    brought = set(own.filter("is_named")["identity_id"]) & set(named)
    had = set(library.reference["identity_id"])
    for one in sorted(brought):
        sharing.collect(one)
    for one in named.sort():
        sharing.offer(one, None if one in brought and one not in had else added)


def _check_name(wanted: str) -> str | None:
    """The name as it will stand in the tables; None for none."""
    if not wanted:
        return None
    reference.check_name(wanted)
    is_id = people_library.IDENTITY.fullmatch(wanted) or characters.PERSON.fullmatch(wanted)
    if is_id or wanted in (UNKNOWN, "scene"):
        raise UserError(
            f"{wanted}: expected a character's name, but this one is reserved for unnamed people; "
            "choose another"
        )
    return wanted


def _noise(library: PeopleLibrary) -> int:
    return library.member["identity_id"].null_count()
