"""Widget of characters: tracks by doubt, and what changes at other thresholds.

Decisions are those of stage detect, made again by its own functions over its tables; no frame of
the film is decoded. Small pictures are cut from the stored pictures when they are first shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from bunny.table import store
from bunny.view import html, style, tile
from bunny.view.thumbnail import SubjectThumbnails
from bunny.view.widget import explorer, preview, track_table
from bunny.view.widget.explorer import Values

if TYPE_CHECKING:
    from IPython.display import HTML
    from ipywidgets import Button, ValueWidget, Widget

    from bunny.core.config import Config, DetectionConfig
    from bunny.core.workspace import Workspace

PAGE = 24  # tracks on a page
MAX_CHANGES = 18
SAME = 0.005  # a slack that differs by less is that of the similarity
NO_FACES = "<p>no face or figure was found: run stage detect first</p>"

# Slider ranges: key to (lowest, highest, step).
RANGE: dict[str, explorer.Range] = {
    "similarity_threshold": (0.0, 1.0, 0.01),
    "min_margin": (0.0, 0.5, 0.01),
    "drawn_threshold": (0.0, 1.0, 0.01),
    "drawn_margin": (0.0, 0.5, 0.01),
    "figure_score": (0.0, 1.5, 0.01),
    "figure_presence": (0.0, 1.5, 0.01),
}
CALIBRATION = ("film", "fixed")  # whether the film's own pairs move the threshold of faces
AXIS = {
    "face": "similarity of each face track",
    "figure": "similarity of each figure",
    "drawn figure": "score of each drawn figure",
}
HIGH = {"face": 1.0, "figure": 1.0, "drawn figure": 1.5}  # ends of the axes


@dataclass(frozen=True, kw_only=True)
class CharacterData:
    """A film's people, ready to be decided about at any thresholds."""

    seen: preview.PreviewTables
    compared: preview.PreviewComparison
    subject: pl.DataFrame  # of `track_table.list_subjects`
    shelf: SubjectThumbnails
    settings: DetectionConfig  # as they are
    before: CharacterDecision


@dataclass(frozen=True, kw_only=True)
class CharacterDecision:
    """A decision and what the page shows of it."""

    verdict: preview.PreviewDecision
    tracks: pl.DataFrame  # of `track_table.describe`
    counts: Mapping[str, tuple[int, int, int]]  # of `track_table.count`
    changed: pl.DataFrame  # of `track_table.changed`, against the settings as they are


@dataclass(frozen=True, kw_only=True)
class TrackPage:
    """Selection of the tracks on a page."""

    name: str = track_table.EVERYBODY
    sort: str = "doubt"
    page: int = 1


def explore_people(
    space: Workspace, config: Config, *, is_interactive: bool = True, root: Path | None = None
) -> Widget | HTML:
    """Explore tracks by doubt, and who gets a name at other thresholds; see `explorer`."""
    opened = open_people(space, config)
    if is_interactive:
        return _assemble(space, opened, root)
    from IPython.display import HTML

    return HTML(draw(opened, opened.before, TrackPage()))


def open_people(space: Workspace, config: Config) -> CharacterData:
    """Read the tables of stage detect and decide as the settings say; no picture is read."""
    seen = preview.read_tables(space.table)
    settings = config.detection
    frame = pl.concat(
        store.read_or_empty(space.table, name).select("frame_id", "timestamp_s", "file")
        for name in ("frame", "extra_frame")
    )
    compared = preview.compare(seen, settings, config.seed)
    figure = seen.region.filter(pl.col("candidate").is_in(list(seen.cast.drawn)))
    subject = track_table.list_subjects(seen.face, figure, frame, compared.nearest)
    return CharacterData(
        seen=seen,
        compared=compared,
        subject=subject,
        shelf=SubjectThumbnails(space.root),
        settings=settings,
        before=_decide(seen, compared, subject, settings),
    )


def decide(opened: CharacterData, values: Mapping[str, Any]) -> CharacterDecision:
    """Decide with other values of `detection`."""
    settings = opened.settings.model_copy(update=values)
    before = opened.before.verdict
    return _decide(opened.seen, opened.compared, opened.subject, settings, before)


def draw(opened: CharacterData, now: CharacterDecision, look: TrackPage) -> str:
    """The whole page with every small picture on it; those never shown before are cut first."""
    found = track_table.select(now.tracks, look.name, look.sort)
    opened.shelf.fill(shown(now, found, look))
    return page(opened, now, found, look)


def page(
    opened: CharacterData, now: CharacterDecision, found: pl.DataFrame, look: TrackPage
) -> str:
    """The page with the small pictures at hand; no file is read.

    Parameters
    ----------
    found : pl.DataFrame
        The tracks that `look` asks for, of `track_table.select`.

    Returns
    -------
    str
        HTML: counts, who changes, histograms, a page of tracks.
    """
    if opened.subject.is_empty():
        return NO_FACES
    heading = (
        f"{look.name}: {found.height} tracks sorted by {look.sort}, page {look.page} "
        f"of {_num_pages(found.height)}"
    )
    changed = style.plural(now.changed.height, "changed track")
    return (
        _counts(opened.before.counts, now.counts)
        + _threshold(now)
        + f"<p>compared with the saved settings: {changed}</p>"
        + html.tiles([_change_tile(opened, row) for row in _head(now.changed)])
        + _histograms(now)
        + html.tiles([_track_tile(opened, now, row) for row in _page_rows(found, look)], heading)
    )


def shown(now: CharacterDecision, found: pl.DataFrame, look: TrackPage) -> list[dict]:
    """Rows whose small pictures are on the page."""
    return _head(now.changed) + _page_rows(found, look)


def _num_pages(num_tracks: int) -> int:
    """Pages that this many tracks fill; at least one."""
    return max(1, -(-num_tracks // PAGE))


def _decide(
    seen: preview.PreviewTables,
    compared: preview.PreviewComparison,
    subject: pl.DataFrame,
    settings: DetectionConfig,
    before: preview.PreviewDecision | None = None,
) -> CharacterDecision:
    verdict = preview.judge(seen, compared, settings)
    return CharacterDecision(
        verdict=verdict,
        tracks=track_table.describe(subject, verdict.subject),
        counts=track_table.count(subject, verdict.subject),
        changed=track_table.changed(subject, (before or verdict).subject, verdict.subject),
    )


def _head(changed: pl.DataFrame) -> list[dict]:
    return changed.head(MAX_CHANGES).to_dicts()


def _page_rows(found: pl.DataFrame, look: TrackPage) -> list[dict]:
    return found.slice((look.page - 1) * PAGE, PAGE).to_dicts()


def _counts(before: Mapping[str, tuple], after: Mapping[str, tuple]) -> str:
    """Frames, shots and tracks of each character; what changed is shown as before → after."""
    nobody = (0, 0, 0)
    names = sorted(before.keys() | after.keys(), key=lambda n: (n == tile.UNKNOWN, n))
    rows = []
    for name in names:
        pairs = zip(before.get(name, nobody), after.get(name, nobody), strict=True)
        rows.append([name, *(html.change(b, a) for b, a in pairs)])
    return html.table(("character", "frames", "shots", "tracks"), rows)


def _threshold(now: CharacterDecision) -> str:
    """The thresholds in force; that of faces may follow the film."""
    kinds = sorted(set(now.tracks["kind"]))
    words = [f"{kind} threshold {now.verdict.threshold[kind]:.3f}" for kind in kinds]
    if now.verdict.is_measured and "face" in kinds:
        words.append("the face threshold is calibrated on this film")
    return f"<p>{'; '.join(words)}</p>"


def _histograms(now: CharacterDecision) -> str:
    parts = []
    for kind, axis in AXIS.items():
        values = now.tracks.filter(pl.col("kind") == kind)["similarity"].drop_nulls()
        if len(values):
            threshold = now.verdict.threshold[kind]
            shown = values.to_numpy()
            svg = html.histogram(shown, threshold, low=-0.2, high=HIGH[kind], axis=axis)
            parts.append(svg)
    return "".join(parts)


def _track_tile(
    opened: CharacterData, now: CharacterDecision, row: Mapping[str, Any]
) -> tuple[str, str, str]:
    name = row["character"]
    is_near = row["slack"] is not None and row["slack"] > -track_table.NEAR
    who = name or (f"{row['nearest']}?" if row["nearest"] and is_near else tile.UNKNOWN)
    words = f"{who}, {style.clock(row['start_s'] or 0)}, {_pictures(row)}"
    if row["slack"] is not None:
        words += f", {_score(row, now.verdict.threshold[row['kind']])}"
    return _picture(opened, row), words, "good" if name else "bad"


def _score(row: Mapping[str, Any], threshold: float) -> str:
    """Say which number decides on a track, and how far it is from what is asked."""
    side = "above" if row["slack"] >= 0 else "below"
    is_lead = abs(row["similarity"] - threshold - row["slack"]) > SAME
    name, value = ("lead", row["margin"]) if is_lead else ("score", row["similarity"])
    return f"{name} {value:.2f}, {abs(row['slack']):.2f} {side} threshold"


def _change_tile(opened: CharacterData, row: Mapping[str, Any]) -> tuple[str, str, str]:
    names = (row[key] or tile.UNKNOWN for key in ("before", "after"))
    words = f"{' → '.join(names)}, {_pictures(row)}"
    return _picture(opened, row), words, "good" if row["after"] else "bad"


def _pictures(row: Mapping[str, Any]) -> str:
    return f"{row['num_pictures']} picture{'s' * (row['num_pictures'] > 1)}"


def _picture(opened: CharacterData, row: Mapping[str, Any]) -> str:
    return opened.shelf.get(row["subject_id"]) or ""


def _assemble(space: Workspace, opened: CharacterData, root: Path | None) -> Widget:
    """Controls above the page. A move shows the new decision at once, then cuts what is missing."""
    import ipywidgets

    state: dict[str, Any] = {"now": opened.before, "is_setting": False}
    thresholds = _threshold_controls(opened.settings)
    names = track_table.names_of(opened.seen.cast, opened.before.tracks)
    who = ipywidgets.Dropdown(options=names, description="who")
    sort = ipywidgets.ToggleButtons(options=track_table.SORTS)
    turn = ipywidgets.BoundedIntText(1, min=1, max=1, description="page")
    output, message = ipywidgets.HTML(), ipywidgets.HTML()
    button = explorer.keep_button(space)

    def values() -> Values:
        return {key: one.value for key, one in thresholds.items()}

    def show(number: int = 1) -> None:
        found = track_table.select(state["now"].tracks, str(who.value), str(sort.value))
        state["is_setting"] = True
        turn.max = _num_pages(found.height)
        turn.value = min(number, turn.max)
        state["is_setting"] = False
        look = TrackPage(name=str(who.value), sort=str(sort.value), page=turn.value)
        output.value = page(opened, state["now"], found, look)
        if opened.shelf.fill(shown(state["now"], found, look)):
            output.value = page(opened, state["now"], found, look)

    def on_move(_change: object) -> None:
        state["now"] = decide(opened, values())
        show(turn.value)

    def on_turn(_change: object) -> None:
        if not state["is_setting"]:
            show(turn.value)

    def on_click(_button: Button) -> None:
        message.value = explorer.save(space.film_id, "detection", values(), root)

    for one in thresholds.values():
        one.observe(on_move, names="value")
    for one in (who, sort):
        one.observe(lambda _change: show(), names="value")
    turn.observe(on_turn, names="value")
    button.on_click(on_click)
    show()
    rows = (ipywidgets.HBox([who, sort, turn]), ipywidgets.HBox([button, message]), output)
    return ipywidgets.VBox([*thresholds.values(), *rows])


def _threshold_controls(settings: DetectionConfig) -> dict[str, ValueWidget]:
    """A slider for each threshold of `detection`, and the choice of `calibration`."""
    import ipywidgets

    sliders = {
        key: explorer.slider(key, getattr(settings, key), span) for key, span in RANGE.items()
    }
    rule = ipywidgets.ToggleButtons(options=CALIBRATION, description="calibration")
    rule.value = settings.calibration
    return {**sliders, "calibration": rule}
