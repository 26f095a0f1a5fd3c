"""Widget of search: words, picture, filters and the shots that answer.

The widget asks a function that the notebook passes in, so that it knows no job; each shot has the
buttons "more like this" and "send", and those that were sent are listed below.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import polars as pl

from bunny.core.error import BunnyError
from bunny.view import search_result

if TYPE_CHECKING:
    from IPython.display import HTML
    from ipywidgets import Dropdown, Widget

    from bunny.library.search.ranking import SearchFilter


class FoundShots(Protocol):
    """An answer of a search, as `command.search.SearchResult` is one."""

    @property
    def shots(self) -> pl.DataFrame:
        """Columns of `ranking.SHOTS`, the best first."""
        ...

    @property
    def root(self) -> Mapping[str, Path]:
        """Folder of each film."""
        ...

    @property
    def question(self) -> str:
        """What was asked, in words."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """What a reader has to know beside the shots."""
        ...


class WrittenTimeline(Protocol):
    """What became of an export, in words."""

    def to_text(self) -> str:
        """Where it was written."""
        ...


Find = Callable[..., FoundShots]  # words, picture=, like=, wanted=
MakeFilter = Callable[..., "SearchFilter"]  # who=, without=, place=, shot_size=, light=
Send = Callable[[pl.DataFrame], str]  # shots -> a sentence that says where they went
SHOT_SIZE = ("close-up", "medium", "wide")
LIGHT = ("day", "dusk", "night")


def explore_search(
    find: Find,
    make_filter: MakeFilter,
    *,
    people: Sequence[str] = (),
    places: Sequence[str] = (),
    send: Send | None = None,
    words: str = "",
    is_interactive: bool = True,
) -> Widget | HTML:
    """Search by hand.

    Parameters
    ----------
    find : callable
        From words and `picture`, `face`, `like`, `wanted` to an answer that has `shots`, `root`,
        `question`, `notes`.
    make_filter : callable
        From `who`, `without`, `place`, `shot_size`, `light`, each one text, to a filter.
    people, places : sequence of str
        What the filters offer.
    send : callable, optional
        Takes the shots that were picked, e.g. to write a timeline; gives what to say about it.
    words : str
        What is asked first; empty: nothing is.
    is_interactive : bool
        False gives the first answer alone.
    """
    if not is_interactive:
        from IPython.display import HTML

        return HTML(
            draw(find(words)) if words.strip() else "<p>enter a question or choose a picture</p>"
        )
    return SearchWidget(find, make_filter, people, places, send, words).widget


def draw(found: FoundShots) -> str:
    """The answer as HTML."""
    return search_result.strips(found.shots, found.root, found.question, found.notes)


def to_timeline(export: Callable[..., WrittenTimeline], *, data_dir: str | None = None) -> Send:
    """Make the "send" action: each film's picked shots become a timeline.

    Parameters
    ----------
    export : callable
        From film_id, "shots:3,7" and `data_dir` to something with `to_text`.
    """

    def send(shots: pl.DataFrame) -> str:
        said = []
        for (film_id,), own in shots.group_by("film_id", maintain_order=True):
            numbers = ",".join(str(n) for n in sorted(own["shot_index"]))
            said.append(export(film_id, f"shots:{numbers}", data_dir=data_dir).to_text())
        return "\n".join(said)

    return send


class SearchWidget:
    """Holds the controls and what was picked."""

    def __init__(
        self,
        find: Find,
        make_filter: MakeFilter,
        people: Sequence[str],
        places: Sequence[str],
        send: Send | None,
        words: str,
    ) -> None:
        import ipywidgets

        self._find, self._make_filter, self._send = find, make_filter, send
        self._picked: dict[tuple[str, int], dict] = {}
        self.words = ipywidgets.Text(
            words,
            placeholder="bunny on a beach at night",
            continuous_update=False,
            layout={"width": "28em"},
        )
        self.upload = ipywidgets.FileUpload(accept="image/*", description="by picture")
        self.kind = ipywidgets.ToggleButtons(
            options=["place", "face"], value="place", tooltips=["appearance", "identity"]
        )
        self.kind.style.button_width = "6em"
        self.filters = {
            "who": _choice(people, "who"),
            "place": _choice(places, "place"),
            "shot_size": _choice(SHOT_SIZE, "size"),
            "light": _choice(LIGHT, "light"),
        }
        self.go = ipywidgets.Button(description="Search", button_style="primary", icon="search")
        self.message = ipywidgets.HTML()
        self.answer = ipywidgets.VBox([])
        self.send = ipywidgets.Button(
            description="Send to timeline", disabled=True, layout={"width": "13em"}
        )
        self.go.on_click(lambda _: self.ask())
        self.send.on_click(lambda _: self._hand_over())
        self.words.observe(lambda _: self.ask(), names="value")
        self.upload.observe(lambda _: self.ask(), names="value")
        for one in self.filters.values():
            one.observe(lambda _: self.ask(), names="value")
        self.widget = ipywidgets.VBox(
            [
                ipywidgets.HBox([self.words, self.go, self.upload, self.kind]),
                ipywidgets.HBox([*self.filters.values(), *([self.send] if send else [])]),
                self.message,
                ipywidgets.HTML(search_result.STYLE),  # a widget of its own: messages come and go
                self.answer,
            ]
        )
        if words.strip():
            self.ask()

    def ask(self, like: str = "") -> None:
        """Search for what the controls say, or for more like an item."""
        chosen = {name: one.value for name, one in self.filters.items()}
        self.message.value = "searching …"
        try:
            wanted = self._make_filter(**chosen)
            found = self._find("", like=like, wanted=wanted) if like else self._by_controls(wanted)
        except BunnyError as error:
            self.message.value = f"<b>{escape(str(error))}</b>"
            return
        self._show(found)

    def _by_controls(self, wanted: SearchFilter) -> FoundShots:
        """Search by words, and by the picture that was uploaded."""
        if not self.upload.value:
            return self._find(self.words.value, wanted=wanted)
        one = self.upload.value[-1]
        option = "face" if self.kind.value == "face" else "picture"
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / (Path(one["name"]).name or "picture")
            path.write_bytes(bytes(one["content"]))
            return self._find(self.words.value, wanted=wanted, **{option: path})

    def _show(self, found: FoundShots) -> None:
        import ipywidgets

        notes = "".join(f"<br><small>{escape(n)}</small>" for n in found.notes)
        head = f"<b>{escape(found.question)}</b>: {found.shots.height} shots{notes}"
        self.message.value = head
        pictures = search_result.strip_pictures(found.shots, found.root)
        has_film = found.shots["film_id"].n_unique() > 1
        rows = []
        for row in found.shots.iter_rows(named=True):
            own = pictures[row["film_id"], row["shot_index"]]
            html = ipywidgets.HTML(search_result.block(row, own, has_film=has_film))
            html.layout.flex = "1 1 auto"
            rows.append(ipywidgets.HBox([html, self._buttons(row)]))
        self.answer.children = rows

    def _buttons(self, row: Mapping[str, Any]) -> Widget:
        import ipywidgets

        more = ipywidgets.Button(description="more like this", tooltip=row["asset_id"])
        more.on_click(lambda _: self.ask(like=row["asset_id"]))
        if not self._send:
            return ipywidgets.VBox([more])
        key = row["film_id"], row["shot_index"]
        pick = ipywidgets.ToggleButton(value=key in self._picked, description="pick")

        def on_pick(change: Mapping[str, Any]) -> None:
            if change["new"]:
                self._picked[key] = dict(row)
            else:
                self._picked.pop(key, None)
            self.send.disabled = not self._picked
            number = f" ({len(self._picked)})" if self._picked else ""
            self.send.description = f"Send to timeline{number}"

        pick.observe(on_pick, names="value")
        return ipywidgets.VBox([more, pick])

    def _hand_over(self) -> None:
        if self._send is None:
            return
        try:
            said = self._send(pl.DataFrame(list(self._picked.values()), infer_schema_length=None))
        except BunnyError as error:
            said = str(error)
        self.message.value = f"<pre>{escape(said)}</pre>"


def _choice(options: Sequence[str], name: str) -> Dropdown:
    import ipywidgets

    return ipywidgets.Dropdown(
        options=[("any", ""), *((o, o) for o in options)],
        description=name,
        layout={"width": "14em"},
        style={"description_width": "3em"},
    )
