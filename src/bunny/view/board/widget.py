"""Board widget for JupyterLab, VS Code, classic Notebook and Voilà, with its JavaScript.

The files in `static/` are plain ES modules. A notebook's front end loads a widget from one string,
in which they cannot import one another, so they are joined here, in the order of their use; nothing
is built and nothing is fetched.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

MODULES = (
    "api.js",
    "dom.js",
    "picture.js",
    "layout.js",
    "cell.js",
    "band.js",
    "grid.js",
    "folder.js",
    "dialog.js",
    "key.js",
    "ask.js",
    "drag.js",
    "tool.js",
    "training_set.js",
    "update.js",
    "board.js",
)
IMPORT = re.compile(r"^import [^;]*;\n", re.MULTILINE)
EXPORT = re.compile(r"^export (?!default)", re.MULTILINE)
ALIAS = re.compile(r"\b(\w+) as (\w+)\b")

HEIGHT_PX = 760  # in a notebook


@cache
def bundle_script() -> str:
    """All modules as one; each keeps its names, those imported under another are given it too."""
    return "\n".join(_joined(name) for name in MODULES)


@cache
def bundle_style() -> str:
    """The style sheet."""
    return _text("board.css")


def _joined(name: str) -> str:
    text = _text(name)
    head = "".join(IMPORT.findall(text))
    aliases = "".join(f"const {new} = {old};\n" for old, new in ALIAS.findall(head))
    return aliases + EXPORT.sub("", IMPORT.sub("", text))


def _text(name: str) -> str:
    path = resources.files("bunny.view.board") / "static" / name
    return path.read_text(encoding="utf-8")


if TYPE_CHECKING:
    from anywidget import AnyWidget

    from bunny.view.board.session import BoardSession


def make_board(desk: BoardSession, *, is_alone: bool = False) -> AnyWidget:
    """A board over a desk.

    Parameters
    ----------
    is_alone : bool
        It fills the window, and is light or dark as the system is.
    """
    import anywidget
    import traitlets

    class Board(anywidget.AnyWidget):
        """Clusters as folders of small pictures."""

        _esm = bundle_script()
        _css = bundle_style()
        is_alone = traitlets.Bool().tag(sync=True)
        height_px = traitlets.Int().tag(sync=True)
        desk: BoardSession

    board = Board(is_alone=is_alone, height_px=HEIGHT_PX)

    def on_message(_widget: object, message: dict[str, Any], buffers: Sequence[bytes]) -> None:
        answer, parts = desk.handle(message, [bytes(part) for part in buffers or ()])
        board.send(answer, parts)

    board.on_msg(on_message)
    board.desk = desk
    return board
