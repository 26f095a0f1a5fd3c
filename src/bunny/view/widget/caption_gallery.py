"""Gallery of captions, the most doubtful first, to be edited in place.

An edit, and a find and replace over what is selected, are one event each of `feedback.jsonl`; the
next run of stages review and caption writes them into table `caption`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from bunny.caption import audit, find_replace
from bunny.core.error import UserError
from bunny.review import corrected_table, create_event, event_log
from bunny.review.event_log import Event
from bunny.review.state import ReviewState
from bunny.table import store
from bunny.view import html, style, thumbnail
from bunny.view.widget import explorer

if TYPE_CHECKING:
    from IPython.display import HTML
    from ipywidgets import Widget

    from bunny.core.config import Config
    from bunny.core.workspace import Workspace

PAGE = 12  # captions that are shown at once
MAX_CHANGES = 30  # that a preview of find and replace lists
ALL = "all"
NO_CAPTIONS = "<p>no caption was written: run stage caption first</p>"
NEXT_STEP = "run stages review and caption again to update the captions"


@dataclass(kw_only=True)
class CaptionGallery:
    """A film's captions with what was audited of them, and what people wrote since.

    Attributes
    ----------
    root : Path
        The film's folder.
    user : str
        Who makes the edits.
    machine : pl.DataFrame
        Table `caption_audit` of captions that no person wrote, the most doubtful first, with
        `characters`, `timestamp_s` and `shot_index`.
    frame : pl.DataFrame
        Table `frame`.
    state : ReviewState
    pictures : mapping
        Small pictures as `data:` addresses, by frame_id.
    """

    root: Path
    user: str
    machine: pl.DataFrame
    frame: pl.DataFrame
    state: ReviewState
    pictures: Mapping[str, str] = field(default_factory=dict)

    def captions(self, rule: str = ALL, character: str = ALL) -> pl.DataFrame:
        """Selected captions as they are now; what a person wrote has no doubt.

        Parameters
        ----------
        rule, character : str
            Name of a rule that they break, and of a character in the picture; `ALL`: any.
        """
        found = self.machine
        if rule != ALL:
            found = found.filter(pl.col("rules").list.contains(rule))
        if character != ALL:
            found = found.filter(pl.col("characters").list.contains(character))
        said = self._said()
        own = found["frame_id"].is_in(list(said))
        return audit.by_doubt(
            found.with_columns(
                text=pl.col("frame_id").replace_strict(said, default=pl.col("text")),
                doubt=pl.when(own).then(0.0).otherwise("doubt"),
                is_edited=own,
            )
        )

    def edit(self, frame_id: str, text: str) -> Event | None:
        """Put down what a person wrote of a picture; None if it reads so already.

        Raises
        ------
        UserError
            If the text is too long, or the picture is in no shot.
        """
        now = self.captions().filter(pl.col("frame_id") == frame_id)
        if text.strip() == (now["text"][0] or ""):
            return None
        return self._put_down({frame_id: text}, "")

    def preview(self, old: str, new: str, rule: str = ALL, character: str = ALL) -> pl.DataFrame:
        """What find and replace would change among the selected; see `find_replace.preview`."""
        return find_replace.preview(self.captions(rule, character), old, new)

    def replace(self, old: str, new: str, rule: str = ALL, character: str = ALL) -> Event | None:
        """Change all that `preview` says, as one event; None if that is nothing."""
        changed = self.preview(old, new, rule, character)
        if changed.is_empty():
            return None
        texts = dict(changed.select("frame_id", "after").iter_rows())
        return self._put_down(texts, f"replaced {old!r} by {new!r}")

    def undo(self) -> Event | None:
        """Take back the newest edit of a picture's caption that this user made, if there is one."""
        self._read_on()
        own = (e for e in reversed(self.state.events) if e.user == self.user)
        last = next((e for e in own if e.kind == "frame_caption_edit"), None)
        if last is None:
            return None
        return self._append(create_event.undo(self.state, self._context(), last.event_id))

    def _said(self) -> dict[str, str]:
        """Words of people by frame_id: of shots, and over them of single pictures."""
        shots = corrected_table.caption_edits(self.state).select("shot_index", "text")
        frames = corrected_table.frame_caption_edits(self.state, self.frame)
        found = self.frame.select("frame_id", "shot_index").join(shots, on="shot_index")
        both = [*found.select("frame_id", "text").iter_rows()]
        return dict([*both, *frames.select("frame_id", "text").iter_rows()])

    def _put_down(self, texts: Mapping[str, str], reason: str) -> Event:
        self._read_on()
        frames = create_event.frame_captions(self.frame, texts)
        event = create_event.frame_caption_edit(self.state, self._context(reason), frames)
        return self._append(event)

    def _context(self, reason: str = "") -> create_event.EventContext:
        return create_event.EventContext(user=self.user, reason=reason)

    def _append(self, event: Event) -> Event:
        event_log.append(self.root, [event])
        self.state.apply(event)
        return event

    def _read_on(self) -> None:
        """What others put down in the meantime."""
        self.state.replay(event_log.read(self.root))


def open_gallery(space: Workspace, config: Config, user: str = "notebook") -> CaptionGallery:
    """Audit a film's captions and read what people said.

    Raises
    ------
    UserError
        If stage caption or stage review has not run.
    """
    if not store.exists(space.table, "asset"):
        raise UserError(
            f"{space.film_id}: expected table asset, found none; run stage review first"
        )
    judged = audit.audit_film(space.root, config.captioning, is_machine_only=True).captions
    caption = store.read(space.table, "caption").unique("frame_id").select("frame_id", "characters")
    frame = store.read(space.table, "frame")
    about = frame.select("frame_id", "timestamp_s", "shot_index")
    state = ReviewState.of(store.read(space.table, "asset"))
    shown = frame.join(judged.head(thumbnail.MAX_THUMBNAILS), on="frame_id", how="semi")
    return CaptionGallery(
        root=space.root,
        user=config.review.user or user,
        machine=judged.join(caption, on="frame_id").join(about, on="frame_id"),
        frame=frame,
        state=state.replay(event_log.read(space.root)),
        pictures=explorer.frame_pictures(space, shown),
    )


def draw(gallery: CaptionGallery, rows: pl.DataFrame) -> str:
    """Captions of a selection beside their pictures, with what is doubtful."""
    tiles = [
        (
            gallery.pictures.get(row["frame_id"], ""),
            f"{row['text'] or 'no caption'} ({_about(row)})",
            _tone(row),
        )
        for row in rows.head(PAGE).iter_rows(named=True)
    ]
    numbers = {
        "captions": rows.height,
        "doubtful": rows.filter(pl.col("doubt") > 0).height,
        "edited": int(rows["is_edited"].sum()),
    }
    return html.counts(numbers) + html.tiles(tiles, "Most doubtful first")


def _draw_changes(changed: pl.DataFrame) -> str:
    """What find and replace would change, as a table."""
    rows = [[*row] for row in changed.head(MAX_CHANGES).iter_rows()]
    return html.counts({"captions would change": changed.height}) + html.table(
        ("picture", "caption", "new caption"), rows
    )


def explore_gallery(
    space: Workspace, config: Config, *, user: str = "notebook", is_interactive: bool = True
) -> Widget | HTML:
    """Gallery of a film's captions, the most doubtful first, with edit and find and replace.

    Parameters
    ----------
    user : str
        Who makes the edits, unless `review.user` says so.
    is_interactive : bool
        False gives the first page without controls.
    """
    from IPython.display import HTML

    try:
        gallery = open_gallery(space, config, user)
    except UserError as error:
        return HTML(f"<p>{escape(str(error))}</p>")
    if gallery.machine.is_empty():
        return HTML(NO_CAPTIONS)
    if not is_interactive:
        return HTML(draw(gallery, gallery.captions()))
    return _GalleryControls(gallery).widget


class _GalleryControls:
    """Controls over a gallery; `widget` is what is shown."""

    def __init__(self, gallery: CaptionGallery) -> None:
        import ipywidgets

        self._gallery, self._page = gallery, 0
        rules = sorted({r for own in gallery.machine["rules"].to_list() for r in own})
        names = sorted({n for own in gallery.machine["characters"].to_list() for n in own or ()})
        self.rule = ipywidgets.Dropdown(options=[ALL, *rules], description="finding")
        self.character = ipywidgets.Dropdown(options=[ALL, *names], description="character")
        self.old = ipywidgets.Text(description="find", continuous_update=False)
        self.new = ipywidgets.Text(description="replace with", continuous_update=False)
        self.buttons = {
            name: ipywidgets.Button(description=text, disabled=name == "apply")
            for name, text in (
                ("preview", "Preview"),
                ("apply", "Replace"),
                ("undo", "Undo"),
                ("back", "Previous page"),
                ("on", "Next page"),
            )
        }
        self.message, self.changes = ipywidgets.HTML(), ipywidgets.HTML()
        self.rows = ipywidgets.VBox()
        for one in (self.rule, self.character, self.old, self.new):
            one.observe(self._on_select, names="value")
        for name, button in self.buttons.items():
            button.on_click(getattr(self, f"_on_{name}"))
        order = [self.buttons[name] for name in ("preview", "apply", "undo")]
        turn = [self.buttons[name] for name in ("back", "on")]
        self.widget = ipywidgets.VBox(
            [
                ipywidgets.HBox([self.rule, self.character, *turn]),
                ipywidgets.HBox([self.old, self.new, *order]),
                self.message,
                self.changes,
                self.rows,
            ]
        )
        self._show()

    def _selected(self) -> tuple[str, str]:
        return str(self.rule.value), str(self.character.value)

    def _show(self) -> None:
        """Lay out the page's captions anew."""
        import ipywidgets

        found = self._gallery.captions(*self._selected())
        self._page = max(0, min(self._page, (found.height - 1) // PAGE))
        rows = found.slice(self._page * PAGE, PAGE)
        head = ipywidgets.HTML(
            f"<p><b>{found.height} captions</b>, page {self._page + 1} of "
            f"{max(1, -(-found.height // PAGE))}</p>"
        )
        self.rows.children = [head, *(self._row(row) for row in rows.iter_rows(named=True))]

    def _row(self, row: Mapping[str, Any]) -> Widget:
        """A picture, its findings, and its caption to be edited."""
        import ipywidgets

        picture = html.tiles([(self._gallery.pictures.get(row["frame_id"], ""), "", _tone(row))])
        text = ipywidgets.Textarea(value=row["text"] or "", layout={"width": "36em"})
        button = ipywidgets.Button(description="Save caption")
        button.on_click(lambda _: self._do(lambda: self._gallery.edit(row["frame_id"], text.value)))
        why = ipywidgets.HTML(f"<small>{escape(_about(row))}</small>")
        return ipywidgets.HBox([ipywidgets.HTML(picture), ipywidgets.VBox([why, text, button])])

    def _do(self, work: Any) -> None:
        """Do something that makes an event, and say what became of it."""
        try:
            event = work()
        except UserError as error:
            self.message.value = f"<b>{escape(str(error))}</b>"
            return
        number = 0 if event is None else len(event.frames)
        saved = f"{style.plural(number, 'caption')} saved" if number else "undone"
        self.message.value = "nothing to change" if event is None else f"{saved}; {NEXT_STEP}"
        self.changes.value, self.buttons["apply"].disabled = "", True
        self._show()

    def _on_select(self, _change: object) -> None:
        self.changes.value, self.buttons["apply"].disabled = "", True
        self._page = 0
        self._show()

    def _on_preview(self, _button: object) -> None:
        try:
            changed = self._gallery.preview(self.old.value, self.new.value, *self._selected())
        except UserError as error:
            self.message.value = f"<b>{escape(str(error))}</b>"
            return
        self.message.value, self.changes.value = "", _draw_changes(changed)
        self.buttons["apply"].disabled = changed.is_empty()

    def _on_apply(self, _button: object) -> None:
        selected = self._selected()
        self._do(lambda: self._gallery.replace(self.old.value, self.new.value, *selected))

    def _on_undo(self, _button: object) -> None:
        self._do(self._gallery.undo)

    def _on_back(self, _button: object) -> None:
        self._page -= 1
        self._show()

    def _on_on(self, _button: object) -> None:
        self._page += 1
        self._show()


def _about(row: Mapping[str, Any]) -> str:
    """E.g. ``0:12, doubt 0.90: no trigger word of: bunny``."""
    state = "edited" if row["is_edited"] else f"doubt {row['doubt']:.2f}"
    why = "" if row["is_edited"] else "; ".join(row["reasons"])
    return f"{style.clock(row['timestamp_s'])}, {state}{': ' if why else ''}{why}"


def _tone(row: Mapping[str, Any]) -> str:
    return "bad" if row["doubt"] > 0 else "good" if row["is_edited"] else "plain"
