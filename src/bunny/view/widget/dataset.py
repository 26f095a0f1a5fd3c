"""Widget of the training set: pictures by place and size at another aspect and crop margin.

The choice is that of stage dataset, made again by its functions over the tables; what was added by
hand (`bunny gaps --add`) is left aside. No picture is opened when a control moves: windows are
drawn over small pictures of their frames.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from bunny.dataset import appearance, candidate, coverage, crop, select
from bunny.dataset.candidate import CandidateVerdict
from bunny.dataset.crop import CropWindow
from bunny.dataset.image_folder import describe_sizes
from bunny.dataset.view import CharacterView
from bunny.table import corrected, schema, store
from bunny.view import html, style, tile
from bunny.view.widget import explorer
from bunny.view.widget.explorer import Values

if TYPE_CHECKING:
    from IPython.display import HTML
    from ipywidgets import Widget

    from bunny.core.config import Config
    from bunny.core.workspace import Workspace

TABLES = (*candidate.TABLES, "embedding")
ASPECTS = ("square", "buckets")
MARGIN_RANGE: explorer.Range = (0.0, 1.5, 0.05)
MAX_PLACES = 12  # lines of the table
GALLERY = 18
NO_VIEWS = "<p>no training picture was chosen: run stage dataset first</p>"


@dataclass(frozen=True, kw_only=True)
class CharacterViews:
    """One character's views, and what speaks against each whatever the windows are."""

    views: Sequence[CharacterView]
    verdicts: Sequence[CandidateVerdict]


@dataclass(frozen=True, kw_only=True)
class DatasetData:
    """A film's labelled views, ready to be chosen from and cut."""

    characters: Mapping[str, CharacterViews]
    tables: Mapping[str, pl.DataFrame]
    config: Config
    pictures: Mapping[str, str]
    before: Mapping[str, CropPreview]  # as the settings are


@dataclass(frozen=True, kw_only=True)
class CropPreview:
    """The training set of one character as other settings would make it."""

    picked: Sequence[tuple[CharacterView, CropWindow]]
    reasons: Mapping[str, int]  # why views were left out
    num_with_margin: int  # chosen views whose windows the crop margin changes

    @property
    def image_ids(self) -> set[str]:
        """Names of its pictures, as in table dataset."""
        return {f"{view.subject_id}-c{window.index}" for view, window in self.picked}

    def count(self) -> Counter[tuple[str, str]]:
        """Pictures by place and size."""
        return Counter((v.place or coverage.NO_PLACE, w.shot_size) for v, w in self.picked)


def explore_dataset(
    space: Workspace, config: Config, *, is_interactive: bool = True, root: Path | None = None
) -> Widget | HTML:
    """Explore the training set at other aspects and crop margins; see `explorer`."""
    opened = open_dataset(space, config)
    names = list(opened.characters)
    start = {"aspect": config.dataset.aspect, "crop_margin": config.models.crop_margin}
    if not is_interactive or not names:
        from IPython.display import HTML

        return HTML(draw(opened, start | {"character": names[0] if names else ""}))
    import ipywidgets

    label = {"description_width": "11em"}
    controls = {
        "aspect": ipywidgets.ToggleButtons(
            options=ASPECTS, value=start["aspect"], description="aspect", style=label
        ),
        "crop_margin": explorer.slider("crop_margin", start["crop_margin"], MARGIN_RANGE),
        "character": ipywidgets.Dropdown(options=names, description="character", style=label),
    }
    return explorer.panel(space, controls, lambda values: draw(opened, values), to_settings, root)


def to_settings(values: Values) -> dict[str, Values]:
    """Settings of the controls, by section of the settings."""
    return {
        "dataset": {"aspect": values["aspect"]},
        "models": {"crop_margin": values["crop_margin"]},
    }


def open_dataset(space: Workspace, config: Config) -> DatasetData:
    """Read the tables that the choice rests on, and small pictures of the frames."""
    tables = {name: corrected.read_or_empty(space.table, name) for name in TABLES}
    subject = appearance.measure_subjects(tables)
    names = store.read_or_empty(space.table, "candidate")["character"].unique(maintain_order=True)
    found = {name: _views(name, tables, subject, config) for name in names}
    found = {name: own for name, own in found.items() if own.views}
    shown = {view.frame_id for own in found.values() for view in own.views}
    frame = tables["frame"].filter(pl.col("frame_id").is_in(list(shown)))
    opened = DatasetData(
        characters=found,
        tables=tables,
        config=config,
        pictures=explorer.frame_pictures(space, frame),
        before={},
    )
    start = {"aspect": config.dataset.aspect, "crop_margin": config.models.crop_margin}
    before = {name: decide(opened, start | {"character": name}) for name in found}
    return replace(opened, before=before)


def decide(opened: DatasetData, values: Values) -> CropPreview:
    """Choose and cut one character's pictures.

    Parameters
    ----------
    values : dict
        `aspect` (square, buckets), `crop_margin` (share of the subject's box) and `character`.
    """
    own, config = opened.characters[values["character"]], opened.config
    wanted = config.dataset.model_copy(update={"aspect": values["aspect"]})
    rule = crop.CropSetting(
        shapes=crop.shapes(wanted),
        dataset=wanted,
        models=config.models.model_copy(update={"crop_margin": values["crop_margin"]}),
    )
    made = select.choose(own.views, own.verdicts, opened.tables, rule, config.filtering)
    reasons = Counter(verdict.reason for verdict in made.verdicts if verdict.reason)
    return CropPreview(
        picked=[(own.views[row], window) for row, window in made.picked],
        reasons=dict(reasons.most_common()),
        num_with_margin=_count_with_margin([own.views[row] for row, _ in made.picked], rule),
    )


def draw(opened: DatasetData, values: Values) -> str:
    """The page: how many pictures, by place and size, and their windows in the frames."""
    if not opened.characters:
        return NO_VIEWS
    now, before = decide(opened, values), opened.before[values["character"]]
    new = len(now.image_ids - before.image_ids)
    gone = len(before.image_ids - now.image_ids)
    left_out = {f"left out ({reason})": number for reason, number in now.reasons.items()}
    sizes = [window.size for _, window in now.picked]
    written = describe_sizes(sizes, opened.config.dataset.max_upscale) if sizes else "nothing"
    shown = [pair for pair in now.picked if pair[0].frame_id in opened.pictures]
    return (
        html.counts({"pictures": len(now.picked), **left_out})
        + f"<p>compared with the saved settings: <b>{new}</b> new, <b>{gone}</b> removed"
        + f"; {escape(written)}</p>"
        + _margin_line(now, values["crop_margin"])
        + count_table(before.count(), now.count())
        + _windows([(opened.pictures[v.frame_id], v, w) for v, w in tile.spread(shown, GALLERY)])
    )


def _views(
    name: str, tables: Mapping[str, pl.DataFrame], subject: pl.DataFrame, config: Config
) -> CharacterViews:
    views = candidate.gather(name, tables, subject)
    score = dict(subject.select("subject_id", "blur_score").iter_rows())
    quality = tables["quality"]
    verdicts = candidate.judge(views, quality, score, config.dataset, config.filtering)
    return CharacterViews(views=views, verdicts=verdicts)


def _count_with_margin(views: Sequence[CharacterView], rule: crop.CropSetting) -> int:
    """Number of views that have other windows than without a crop margin."""
    bare = replace(rule, models=rule.models.model_copy(update={"crop_margin": 0.0}))
    different = {view.subject_id: view for view in views}.values()
    return sum(crop.windows(view, rule) != crop.windows(view, bare) for view in different)


def _margin_line(now: CropPreview, margin: float) -> str:
    """How many pictures the margin concerns; on a page that it does not change, why not."""
    total = len({view.subject_id for view, _ in now.picked})
    return (
        f"<p>a crop margin of {margin:.2f} changes the crops of {now.num_with_margin} of {total} "
        "subjects: faces have a margin of their own, and a subject that fills its frame leaves no "
        "room for one</p>"
    )


def count_table(before: Counter[tuple[str, str]], now: Counter[tuple[str, str]]) -> str:
    """Write a table of pictures by place and size; what changes is shown as before → after."""
    total = Counter({place: 0 for place, _ in [*before, *now]})
    total.update({place: sum(n for (p, _), n in now.items() if p == place) for place in total})
    places = sorted(total, key=lambda place: (-total[place], place))
    rows = []
    for place in places[:MAX_PLACES]:
        keys = [(place, size) for size in schema.SHOT_SIZE]
        pairs = [(before[key], now[key]) for key in keys]
        pairs.append((sum(b for b, _ in pairs), total[place]))
        rows.append([place, *(html.change(*pair) for pair in pairs)])
    every = [[sum(c[p, s] for p in places) for s in schema.SHOT_SIZE] for c in (before, now)]
    sums = [*zip(*every, strict=True), (before.total(), now.total())]
    rows.append(["all places", *(html.change(*pair) for pair in sums)])
    return html.table(("place", *schema.SHOT_SIZE, "all"), rows)


def _windows(found: Sequence[tuple[str, CharacterView, CropWindow]]) -> str:
    """Small pictures of frames with the window that is cut out of each."""
    figures = "".join(_window(*one) for one in found)
    head = "<p><b>Crops</b></p>"
    return f'{head}<div style="display:flex;flex-wrap:wrap;gap:8px">{figures}</div>'


def _window(uri: str, view: CharacterView, window: CropWindow) -> str:
    wide, high = view.frame_size
    place: dict[str, Any] = {
        "left": window.x0_px / wide,
        "top": window.y0_px / high,
        "width": (window.x1_px - window.x0_px) / wide,
        "height": (window.y1_px - window.y0_px) / high,
    }
    css = ";".join(f"{key}:{share:.1%}" for key, share in place.items())
    words = (
        f"{style.clock(view.timestamp_s)} {window.shot_size}, {window.size[0]} x {window.size[1]}"
    )
    return (
        '<figure style="margin:0;width:122px">'
        f'<div style="position:relative;display:inline-block"><img src="{escape(uri)}" '
        f'alt="{escape(words)}" style="max-width:120px;max-height:90px;display:block">'
        f'<div style="position:absolute;box-sizing:border-box;border:2px solid {style.GOOD};{css}">'
        f'</div></div><figcaption style="font-size:11px;line-height:1.3">{escape(words)}'
        "</figcaption></figure>"
    )
