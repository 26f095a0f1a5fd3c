"""Widget of generation: prompts, strength and guidance, before a whole grid is drawn.

A move shows how the base will read the prompts and which drawn pictures are nearest; only the
button draws. The function that draws is handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import polars as pl

from bunny.core import safe_path
from bunny.core.error import BunnyError
from bunny.dataset.crop_caption import CaptionWords
from bunny.table import store
from bunny.view import contact_sheet, html, thumbnail, tile
from bunny.view.widget import explorer
from bunny.view.widget.explorer import Values

if TYPE_CHECKING:
    from IPython.display import HTML
    from ipywidgets import Button, Widget

    from bunny.core.config import Config
    from bunny.core.workspace import Workspace

TRIGGER = "{trigger}"
STRENGTH_RANGE: explorer.Range = (0.0, 2.0, 0.05)  # the setting goes to 4, where all is noise
GUIDANCE_RANGE: explorer.Range = (0.0, 15.0, 0.5)
GALLERY = 8  # pairs of base and adapter
SHOWN_PX = (256, 256)  # of a picture just drawn
CACHE = "thumbnail_picture.parquet"  # in the film's folder; may be deleted
NO_RUN = "<p>there is no finished fine-tune: run stage finetune first</p>"


class DrawnPictures(Protocol):
    """Pictures just drawn, as `command.generate.GenerateResult` tells of them."""

    @property
    def files(self) -> Sequence[Path]:
        """The pictures' files."""
        ...

    def to_text(self) -> str:
        """What was drawn and where it is, in words."""
        ...


Draw = Callable[..., DrawnPictures]  # from what `make_options` gives


@dataclass(frozen=True, kw_only=True)
class GenerationData:
    """A film's fine-tunes and what they drew."""

    subjects: Mapping[str, str]  # trigger and class word of each character with a fine-tune
    picture: pl.DataFrame  # rows of table picture that have a small picture
    pictures: Mapping[str, str]  # by picture_id
    seeds: Sequence[int]
    negative_prompt: str


def explore_generation(
    space: Workspace,
    config: Config,
    *,
    draw: Draw | None = None,
    make_options: Callable[..., object] = dict,
    is_interactive: bool = True,
    root: Path | None = None,
) -> Widget | HTML:
    """Explorer of generation: what the settings ask for, and one picture with them at a click.

    Parameters
    ----------
    space, config : Workspace, Config
        The film and its settings, where the controls begin.
    draw, make_options : callable, optional
        `make_options` takes `prompts`, `strengths`, `guidance_scale` and `character`; `draw` takes
        what it gives and returns something with `files` and `to_text`. No `draw`: no button.
    is_interactive : bool
        False gives the page for the settings as they are.
    root : Path, optional
        The project's folder, where the button writes `config/local_<film_id>.yaml`.
    """
    opened = open_generation(space, config)
    start = _start(opened, config)
    if not is_interactive or not opened.subjects:
        from IPython.display import HTML

        return HTML(page(opened, start))
    import ipywidgets

    label = {"description_width": "11em"}
    controls = {
        "prompts": ipywidgets.Textarea(
            value=start["prompts"],
            description="prompts, one per line",
            continuous_update=False,
            style=label,
            layout={"width": "48em", "height": "6em"},
        ),
        "lora_strength": explorer.slider("lora_strength", start["lora_strength"], STRENGTH_RANGE),
        "guidance_scale": explorer.slider(
            "guidance_scale", start["guidance_scale"], GUIDANCE_RANGE
        ),
        "character": ipywidgets.Dropdown(
            options=list(opened.subjects), description="character", style=label
        ),
    }
    button, shown = ipywidgets.Button(description="Draw"), ipywidgets.HTML()

    def on_draw(_button: Button) -> None:
        shown.value = "drawing …"
        values = {key: one.value for key, one in controls.items()}
        if draw is not None:
            shown.value = draw_once(values, draw, make_options)

    button.on_click(on_draw)
    panel = explorer.panel(
        space,
        controls,
        lambda values: page(opened, values),
        to_settings,
        root,
        buttons=[button] if draw else [],
    )
    return ipywidgets.VBox([panel, shown])


def to_settings(values: Values) -> dict[str, Values]:
    """Settings of the controls, by section; one strength takes the place of a grid."""
    chosen = {key: values[key] for key in ("lora_strength", "guidance_scale")}
    return {"generation": {"prompts": _split_prompts(values["prompts"]), "strengths": [], **chosen}}


def _split_prompts(text: str) -> list[str]:
    """Prompts of a text, one a line; empty lines are left out."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def open_generation(space: Workspace, config: Config) -> GenerationData:
    """Read which fine-tunes there are, what was drawn, and small pictures of it."""
    run = store.read_or_empty(space.table, "training_run").filter(status="done")
    names = run["character"].unique().sort()
    drawn = store.read_or_empty(space.table, "picture").drop_nulls("file")
    tiles = {
        row["picture_id"]: tile.Tile(file=safe_path.join(space.root, row["file"]))
        for row in tile.spread(drawn.to_dicts(), thumbnail.MAX_THUMBNAILS)
    }
    return GenerationData(
        subjects={name: CaptionWords.of(config.captioning, name).subject for name in names},
        picture=drawn.filter(pl.col("picture_id").is_in(list(tiles))),
        pictures=thumbnail.load(space.root / CACHE, tiles),
        seeds=config.generation.seeds,
        negative_prompt=config.generation.negative_prompt,
    )


def nearest(opened: GenerationData, values: Values) -> list[tuple[dict | None, dict]]:
    """For each prompt and seed drawn, the base's picture and the adapter's with values most alike.

    Parameters
    ----------
    values : dict
        `lora_strength`, `guidance_scale` and `character`. Distances are shares of the sliders'
        ranges; the nearest pairs come first.

    Returns
    -------
    list of (row or None, row)
        Rows of table picture; None where the base did not draw the prompt.
    """
    strength = (pl.col("strength") - values["lora_strength"]).abs() / STRENGTH_RANGE[1]
    guidance = (pl.col("guidance_scale") - values["guidance_scale"]).abs() / GUIDANCE_RANGE[1]
    own = opened.picture.filter(character=values["character"]).with_columns(
        distance=strength.fill_null(0) + guidance, is_base=pl.col("adapter_file").is_null()
    )
    best = own.sort("distance", "prompt", "seed", "picture_id").unique(
        ["prompt", "seed", "is_base"], keep="first", maintain_order=True
    )
    base = {(row["prompt"], row["seed"]): row for row in best.filter("is_base").to_dicts()}
    adapted = best.filter(~pl.col("is_base")).to_dicts()
    return [(base.get((row["prompt"], row["seed"])), row) for row in adapted]


def page(opened: GenerationData, values: Values) -> str:
    """The page: prompts as the base reads them, what to mind, and the nearest drawn pictures."""
    if not opened.subjects:
        return NO_RUN
    prompts = _split_prompts(values["prompts"])
    subject = opened.subjects[values["character"]]
    read = "".join(f"<li>{escape(p.replace(TRIGGER, subject))}</li>" for p in prompts)
    notes = "".join(f"<p>{escape(note)}</p>" for note in _list_notes(opened, values))
    tiles = []
    for base, row in nearest(opened, values)[:GALLERY]:
        tiles += [_tile(opened, base, "plain")] if base else []
        tiles.append(_tile(opened, row, "good"))
    numbers = {
        "prompts": len(prompts),
        "seeds": len(opened.seeds),
        "pictures, half of them by the base model alone": 2 * len(prompts) * len(opened.seeds),
    }
    return (
        html.counts(numbers)
        + f"<p>As the base model reads them:</p><ol>{read}</ol>{notes}"
        + html.tiles(tiles, "Pictures drawn so far, closest to these values first")
    )


def _list_notes(opened: GenerationData, values: Values) -> list[str]:
    """Warnings about these values, before anything is drawn."""
    prompts = _split_prompts(values["prompts"])
    without = [prompt for prompt in prompts if TRIGGER not in prompt]
    notes = [
        f"prompt without {TRIGGER}, so it does not ask for the character: {prompt}"
        for prompt in without
    ]
    if not prompts:
        notes.append("expected one prompt per line, found none")
    if values["lora_strength"] == 0:
        notes.append("a strength of 0 draws with the base model alone")
    if opened.negative_prompt and values["guidance_scale"] <= 1:
        notes.append("the negative prompt has no effect at a guidance of 1 or less")
    return notes


def draw_once(values: Values, draw: Draw, make_options: Callable[..., object]) -> str:
    """Draw each prompt once with these values; HTML of the pictures, or why there are none."""
    try:
        made = draw(
            make_options(
                prompts=_split_prompts(values["prompts"]),
                strengths=[values["lora_strength"]],
                guidance_scale=values["guidance_scale"],
                character=values["character"],
            )
        )
    except BunnyError as error:
        return f"<b>{escape(str(error))}</b>"
    images = "".join(
        f'<img src="{_picture(path)}" alt="{escape(path.name)}">' for path in made.files
    )
    return f"<pre>{escape(made.to_text())}</pre>{images}"


def _start(opened: GenerationData, config: Config) -> Values:
    settings = config.generation
    return {
        "prompts": "\n".join(settings.prompts),
        "lora_strength": (settings.strengths or (settings.lora_strength,))[0],
        "guidance_scale": settings.guidance_scale,
        "character": next(iter(opened.subjects), ""),
    }


def _tile(opened: GenerationData, row: Mapping[str, Any], tone: str) -> tuple[str, str, str]:
    who = "base" if row["adapter_file"] is None else f"strength {row['strength'] or 0:g}"
    words = f"{who}, guidance {row['guidance_scale']:g}, seed {row['seed']}: {row['prompt']}"
    return opened.pictures[row["picture_id"]], words, tone


def _picture(path: Path) -> str:
    return contact_sheet.data_uri(contact_sheet.thumbnail(tile.Tile(file=path), SHOWN_PX))
