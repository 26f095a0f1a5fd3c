"""The board's JavaScript and style, as one module and one sheet for a browser.

The files in `static/` are plain ES modules. A notebook's front end loads a widget from one string,
in which they cannot import one another, so they are joined here, in the order of their use; nothing
is built and nothing is fetched.
"""

import re
from functools import cache
from importlib import resources

MODULES = (
    *("api.js", "dom.js", "picture.js", "layout.js", "cell.js", "band.js", "grid.js", "folder.js"),
    *("dialog.js", "key.js", "ask.js", "drag.js", "tool.js", "board.js"),
)
IMPORT = re.compile(r"^import [^;]*;\n", re.MULTILINE)
EXPORT = re.compile(r"^export (?!default)", re.MULTILINE)
ALIAS = re.compile(r"\b(\w+) as (\w+)\b")


@cache
def script() -> str:
    """All modules as one; each keeps its names, those imported under another are given it too."""
    return "\n".join(_joined(name) for name in MODULES)


@cache
def style() -> str:
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
