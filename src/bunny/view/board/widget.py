"""The board as a widget of JupyterLab, VS Code, classic Notebook and Voilà: a thin post office.

It carries messages between the browser and a `Desk`, which alone knows what they mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bunny.view.board import bundle

if TYPE_CHECKING:
    from anywidget import AnyWidget

    from bunny.view.board.session import Desk

HEIGHT_PX = 760


def make(desk: Desk, *, is_alone: bool = False, height_px: int = HEIGHT_PX) -> AnyWidget:
    """A board over a desk.

    Parameters
    ----------
    desk : Desk
    is_alone : bool
        It fills the window, and is light or dark as the system is.
    height_px : int
        In a notebook.
    """
    import anywidget
    import traitlets

    class Board(anywidget.AnyWidget):
        """Clusters as folders of small pictures."""

        _esm = bundle.script()
        _css = bundle.style()
        is_alone = traitlets.Bool().tag(sync=True)
        height_px = traitlets.Int().tag(sync=True)

    board = Board(is_alone=is_alone, height_px=height_px)

    def on_message(_widget: Any, message: Any, buffers: Any) -> None:
        answer, parts = desk.handle(message, [bytes(part) for part in buffers or ()])
        board.send(answer, parts)

    board.on_msg(on_message)
    board.desk = desk
    return board
