"""`bunny search`: shots that answer to words, a picture, a face or another shot, in all films."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from bunny.command import film_workspace
from bunny.core import safe_path, workspace
from bunny.core.config import Config
from bunny.core.error import UserError
from bunny.core.workspace import Workspace
from bunny.library.search import query, ranking
from bunny.library.search.film_library import FilmLibrary
from bunny.library.search.ranking import SearchFilter
from bunny.table import corrected, store
from bunny.view import style


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """Shots that answer, the best first, and what a reader has to know beside them."""

    shots: pl.DataFrame  # columns of `library.search.ranking.SHOTS`
    question: str  # what was asked, in words
    notes: Sequence[str]
    root: dict[str, Path]  # folder of each film

    def to_json(self) -> str:
        """One JSON object on one line."""
        rows = self.shots.to_dicts()
        for row in rows:
            path = (
                None
                if row["file"] is None
                else safe_path.join(self.root[row["film_id"]], row["file"])
            )
            row["picture"] = None if path is None else path.as_posix()
            row["score"] = round(row["score"], 4)
        answer = {"question": self.question, "shots": rows, "notes": list(self.notes)}
        return json.dumps(answer, ensure_ascii=False)

    def to_text(self) -> str:
        """Lines for a person."""
        number = self.shots.height
        lines = [f"{self.question}: {number} shot{'s' * (number != 1)}"]
        has_films = len(self.root) > 1
        for row in self.shots.iter_rows(named=True):
            film = f"{row['film_id']} " if has_films else ""
            span = f"{_format_time(row['start_s'])}-{_format_time(row['end_s'])}"
            where = f"shot {row['shot_index']:<4} {span} at {_format_time(row['matched_s'])}"
            who = ", ".join(row["who"]) or "no known character"
            lines.append(f"  {row['score']:.2f}  {film}{where}  {who}  ({row['why'] or 'filter'})")
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])


def open_library(
    films: Sequence[str] = (), data_dir: str | None = None, overrides: Sequence[str] = ()
) -> FilmLibrary:
    """Open films for search.

    Parameters
    ----------
    films : sequence of str
        film_ids or how they begin; none: all of the data folder that have frames.
    data_dir : str, optional
        Folder of workspaces; None: as configured.
    overrides : sequence of str
        Settings as given to `--set`.

    Raises
    ------
    UserError
        If there is no film, or one has not been run as far as stage detect.
    """
    root, config = film_workspace.load_settings(data_dir, overrides)
    found = [_find(root, config, name) for name in films] if films else []
    every = workspace.find(root, config.project.data_dir) if not films else found
    ready = [s for s in every if _is_ready(s)]
    if films and len(ready) < len(found):
        lacking = next(s.film_id for s in found if not _is_ready(s))
        raise UserError(
            f"{lacking}: no shots and labels found; run the film up to stage detect first"
        )
    if not ready:
        raise UserError(
            f"no processed film found in {config.project.data_dir}/output; "
            "run `bunny run FILM` first"
        )
    folders = {s.film_id: s.root for s in sorted(ready, key=lambda s: s.film_id)}
    return FilmLibrary(folders, config.search, config.detection, is_whole=not films)


def search(
    text: str = "",
    *,
    picture: Path | str | None = None,
    face: Path | str | None = None,
    like: str = "",
    wanted: SearchFilter | None = None,
    limit: int = 0,
    library: FilmLibrary | None = None,
) -> SearchResult:
    """Find shots.

    Parameters
    ----------
    text : str
        What is looked for, in words.
    picture, face : Path, optional
        A picture that the shots shall look like; one of a person who shall be in them.
    like : str
        More like this: a shot's number or asset_id, a frame_id, a figure's asset_id or a face_id.
    wanted : SearchFilter, optional
    limit : int
        Shots at most; 0: `search.max_results`.
    library : FilmLibrary, optional
        Films that are searched; default: all of the configured data folder.

    Returns
    -------
    SearchResult
        With no question at all, every shot that the filter lets pass, in order of the film.

    Raises
    ------
    UserError
        If a picture, face, item, name or film is not there.
    """
    library = library or open_library()
    wanted = wanted or SearchFilter()
    ranking.check(wanted, library.known)
    allowed = ranking.allowed(wanted, library.known).to_numpy()
    limit = limit or library.search_config.max_results
    parts, notes, asked = [], [], []
    if text.strip():
        parts.append(query.by_words(library, text, allowed, limit, notes))
        asked.append(f'"{text.strip()}"')
    if picture:
        parts.append(query.by_picture(library, Path(picture), allowed, limit))
        asked.append(f"like {Path(picture).name}")
    if face:
        parts.append(query.by_face(library, Path(face), allowed, limit, notes))
        asked.append(f"the face in {Path(face).name}")
    if like:
        part, row = query.by_item(library, like, allowed, limit)
        parts.append(part)
        asked.append(f"more like {like}")
        allowed = allowed & ~query.same_shot(library, row)
    shots = ranking.rank_shots(library.known, parts, allowed, limit, who=wanted.who)
    if not shots.height:
        notes.append(
            "no shots found; relax a filter" if not wanted.is_empty() else "no shots found"
        )
    question = ", ".join(asked) or "shots that match the filters"
    return SearchResult(shots=shots, question=question, notes=notes, root=library.root)


def make_filter(
    *, start: str = "", end: str = "", min_sharpness: float = 0, is_approved: bool = False, **names
) -> SearchFilter:
    """A filter from what people type.

    Parameters
    ----------
    start, end : str
        Seconds, or minutes and seconds, or hours too: "90", "1:30", "0:01:30".
    min_sharpness, is_approved
        As in `SearchFilter`.
    **names : str
        Names of `SearchFilter`'s other fields, several with commas.

    Raises
    ------
    UserError
        If a time cannot be read.
    """
    listed = {k: tuple(n.strip() for n in v.split(",") if n.strip()) for k, v in names.items()}
    return SearchFilter(
        start_s=_seconds("--from", start),
        end_s=_seconds("--to", end),
        min_sharpness=min_sharpness,
        is_approved=is_approved,
        **listed,
    )


def write_html(found: SearchResult, path: Path) -> None:
    """Write a page with the shots and their strips."""
    from bunny.core import atomic
    from bunny.view import search_result

    page = search_result.page(found.shots, found.root, found.question, found.notes)
    atomic.write_bytes(path, page.encode())


def _format_time(seconds: float) -> str:
    """Time in a film with a tenth of a second.

    Examples
    --------
    >>> _format_time(83.46)
    '1:23.4'
    """
    return f"{style.clock(seconds)}.{int(seconds * 10) % 10}"


def _seconds(option: str, time: str) -> float | None:
    if not time.strip():
        return None
    try:
        parts = [float(p) for p in time.split(":")]
    except ValueError:
        parts = []
    if not 1 <= len(parts) <= 3 or any(p < 0 for p in parts):
        raise UserError(f"{option} {time}: expected seconds or minutes:seconds, e.g. 90 or 1:30")
    return sum(p * 60**i for i, p in enumerate(reversed(parts)))


def _find(root: Path, config: Config, name: str) -> Workspace:
    found = workspace.find(root, config.project.data_dir, name)
    if len(found) != 1:
        names = f" ({', '.join(s.film_id for s in found)})" if found else ""
        raise UserError(
            f"--film {name}: expected exactly one film id in {config.project.data_dir}/output that "
            f"starts with it, found {len(found)}{names}; see `bunny status`"
        )
    return found[0]


def _is_ready(film: Workspace) -> bool:
    return all(
        store.exists(film.table, corrected.table_name(film.table, name))
        for name in ("frame", "shot", "label")
    )
