"""Base of the threshold widgets: sliders, save button, small pictures of frames.

Each widget is a function `explore_…` of the film and its settings, where the controls begin and
with which a move is compared. `is_interactive=False` gives the page for the settings as they are,
as plain HTML. `root` is the project's folder, where the button writes
`config/local_<film_id>.yaml`; None: the one that the working folder is in. Small pictures are read
once, when a widget is made; a move of a slider reads no file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from bunny.core import config as configuration
from bunny.core import safe_path, workspace
from bunny.core.error import UserError
from bunny.view import thumbnail, tile

if TYPE_CHECKING:
    from IPython.display import HTML
    from ipywidgets import Button, FloatSlider, IntSlider, Text, ValueWidget, Widget

    from bunny.core.config import Config
    from bunny.core.workspace import Workspace

Values = dict[str, Any]
Draw = Callable[[Values], str]
Range = tuple[float, float, float]  # lowest, highest, step
NOT_SAVED = "<b>not saved:</b>"


def explorer(
    space: Workspace,
    config: Config,
    section: str,
    ranges: Mapping[str, Range],
    draw: Draw,
    is_interactive: bool,
    root: Path | None,
) -> Widget | HTML:
    """Sliders above the page that `draw` makes of their values, and the button that saves them.

    Parameters
    ----------
    section : str
        Of the settings, where the sliders begin and the choice is saved.
    draw : callable
        From values to HTML.
    """
    start = {key: getattr(getattr(config, section), key) for key in ranges}
    if not is_interactive:
        from IPython.display import HTML

        return HTML(draw(start))
    sliders = {key: slider(key, start[key], ranges[key]) for key in ranges}
    return panel(space, sliders, draw, lambda values: {section: values}, root)


def panel(
    space: Workspace,
    controls: Mapping[str, ValueWidget],
    draw: Draw,
    to_settings: Callable[[Values], Mapping[str, Values]],
    root: Path | None,
    buttons: Sequence[Widget] = (),
) -> Widget:
    """Controls above the page that `draw` makes of their values, and the button that saves them.

    Parameters
    ----------
    controls : mapping of key to Widget
        Each has a `value`.
    draw : callable
        From values by key to HTML.
    to_settings : callable
        From values by key to what is saved, by section of the settings.
    buttons : sequence of Widget
        Further ones, beside the button that saves.
    """
    import ipywidgets

    def values() -> Values:
        return {key: one.value for key, one in controls.items()}

    page = ipywidgets.HTML(draw(values()))
    message = ipywidgets.HTML()
    button = keep_button(space)

    def on_move(_change: object) -> None:
        page.value = draw(values())

    def on_click(_button: Button) -> None:
        sections = to_settings(values()).items()
        said = [save(space.film_id, section, own, root) for section, own in sections]
        refused = [text for text in said if text.startswith(NOT_SAVED)]
        message.value = (refused or said)[-1]

    for one in controls.values():
        one.observe(on_move, names="value")
    button.on_click(on_click)
    row = ipywidgets.HBox([button, *buttons, message])
    return ipywidgets.VBox([*controls.values(), row, page])


def save(film_id: str, section: str, values: Values, root: Path | None = None) -> str:
    """Write a choice to the film's local settings; returns HTML that says where, or why not."""
    from html import escape

    rounded = {k: round(v, 6) if isinstance(v, float) else v for k, v in values.items()}
    try:
        path = configuration.save_local(root or workspace.project_root(), film_id, section, rounded)
    except (UserError, OSError) as error:
        return f"{NOT_SAVED} {escape(str(error))}"
    return f"saved to <code>{escape(path.as_posix())}</code>; run the notebook again to apply it"


def slider(key: str, value: float, span: Range) -> FloatSlider | IntSlider:
    """A slider named as its setting; a setting outside the range widens it."""
    import ipywidgets

    low, high, step = span
    is_whole = isinstance(step, int)
    kind = ipywidgets.IntSlider if is_whole else ipywidgets.FloatSlider
    return kind(
        value=value,
        min=min(low, value),
        max=max(high, value),
        step=step,
        description=key,
        readout_format="d" if is_whole else ".3f",
        style={"description_width": "11em"},
        layout={"width": "36em"},
    )


def text_field(key: str, value: str, tooltip: str = "") -> Text:
    """A field named as its setting; it counts as changed when it is left or Enter is pressed."""
    import ipywidgets

    return ipywidgets.Text(
        value=value,
        description=key,
        tooltip=tooltip,
        continuous_update=False,
        style={"description_width": "11em"},
        layout={"width": "36em"},
    )


def keep_button(space: Workspace) -> Button:
    """The button that writes a choice to the film's local settings."""
    import ipywidgets

    return ipywidgets.Button(
        description="Save for this film",
        tooltip=f"write config/local_{space.film_id}.yaml",
        button_style="primary",
    )


def frame_pictures(space: Workspace, frame: pl.DataFrame) -> dict[str, str]:
    """Small pictures of frames, at most `MAX_THUMBNAILS`, spread over the film."""
    shown = tile.spread(frame.drop_nulls("file").to_dicts(), thumbnail.MAX_THUMBNAILS)
    tiles = {r["frame_id"]: tile.Tile(file=safe_path.join(space.root, r["file"])) for r in shown}
    return thumbnail.load(space.root / "thumbnail.parquet", tiles)
