"""Write the executed notebooks of a film as small HTML pages that are read without running.

    uv run bunny demo
    uv run bunny run sample --notebooks
    uv run python python_script/render_notebooks.py sample

A run leaves the executed copies of the stages' notebooks in `log/notebook/<film_id>/`; the two that
belong to no stage are executed here. Pages go to `memory_bank/notebook/`, pictures inside them.
"""

import argparse
import base64
import html
import io
import re
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import nbformat
from nbconvert import HTMLExporter
from PIL import Image
from pygments.formatters import HtmlFormatter

from bunny import notebook
from bunny.command import film_workspace
from bunny.core import workspace
from bunny.core.error import BunnyError, UserError
from bunny.core.workspace import Workspace

OUTPUT = Path("memory_bank/notebook")
MAX_BYTES = 500_000  # of a page
# Width in pixels and WebP quality of pictures, tried in turn until a page is small enough.
STEPS = ((900, 80), (800, 65), (700, 50), (600, 40), (480, 30))
PICTURE = re.compile(r"data:image/(?:png|jpeg|webp);base64,([A-Za-z0-9+/=\s]+)")
LEFT_OUT = ("14_series",)  # it is about many films
MACHINE = ("doctor.summary",)  # cells that tell of the machine, not of the film
CSS = """
body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#222}
nav{font-size:13px;color:#666} nav a{margin-right:.8em} a.anchor-link{display:none}
.highlight{background:#f6f7f9;border-left:3px solid #cfd6de;padding:.1rem .8rem;overflow-x:auto}
pre{font-size:12.5px;line-height:1.4;white-space:pre-wrap} img{max-width:100%}
table{border-collapse:collapse;font-size:13px} td,th{padding:2px 8px;border-bottom:1px solid #ddd}
.output{margin:.4rem 0 1.2rem} code{background:#f3f4f6;padding:0 .2em}
"""


def main() -> int:
    """Render all notebooks of one film."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("film", help="a film_id or how it begins")
    parser.add_argument("--data-dir", help="folder of workspaces")
    parser.add_argument("--output", type=Path, default=OUTPUT, help=f"default {OUTPUT}")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting")
    given = parser.parse_args()
    try:
        space, _ = film_workspace.open_film(given.film, given.data_dir)
        write_pages(space, given.output, given.set)
    except BunnyError as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, UserError) else 1
    return 0


def write_pages(space: Workspace, output: Path, overrides: Sequence[str] = ()) -> None:
    """Render every notebook of the folder for one film; `overrides` are those of its run.

    Raises
    ------
    UserError
        If a stage's notebook has no executed copy.
    """
    found = sorted(path.stem for path in notebook.notebook_dir().glob("*.ipynb"))
    names = [name for name in found if name not in LEFT_OUT]
    stages = {book: stage for stage, book in notebook.NOTEBOOK.items()}
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bunny-render-") as folder:
        for name in names:
            copy = (
                newest_copy(space, stages[name])
                if name in stages
                else execute(space, name, Path(folder) / f"{name}.ipynb", overrides)
            )
            book = nbformat.read(copy, as_version=4)
            text = render(book, name, names, workspace.project_root())
            (output / f"{name}.html").write_text(text, encoding="utf-8", newline="\n")
            print(f"{output / name}.html {len(text.encode()) / 1000:.0f} kB")


def newest_copy(space: Workspace, stage: str) -> Path:
    """The executed copy that the last run left of a stage's notebook."""
    copies = sorted((space.log / "notebook" / space.film_id).glob(f"{stage}-*.ipynb"))
    if not copies:
        raise UserError(
            f"{space.film_id}: expected an executed notebook of stage {stage}, found none; "
            f"run `bunny run {space.film_id} --notebooks`"
        )
    return copies[-1]


def execute(space: Workspace, name: str, copy: Path, overrides: Sequence[str]) -> Path:
    """Run a notebook that belongs to no stage."""
    known = {"film_id": space.film_id, "data_dir": str(space.root.parent.parent)}
    path = notebook.notebook_dir() / f"{name}.ipynb"
    more = {"overrides": list(overrides), "is_interactive": False}
    notebook.execute(path, copy, known | more)
    return copy


def render(book: nbformat.NotebookNode, name: str, names: Iterable[str], root: Path) -> str:
    """HTML of an executed notebook: no prompts, no paths of this machine, small pictures.

    Parameters
    ----------
    book : NotebookNode
    name : str
        The notebook's, without its suffix.
    names : iterable of str
        All pages, for the links between them.
    root : Path
        The project's folder, from which paths are to count.
    """
    exporter = HTMLExporter(
        template_name="basic", exclude_input_prompt=True, exclude_output_prompt=True
    )
    body, _ = exporter.from_notebook_node(without_machine(book, str(root)))
    links = "".join(
        f"<b>{one}</b> " if one == name else f'<a href="{one}.html">{one}</a>' for one in names
    )
    style = CSS + HtmlFormatter().get_style_defs(".highlight")
    head = (
        f'<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>{html.escape(name)}</title>'
    )
    for width_px, quality in STEPS:
        small = PICTURE.sub(lambda match, w=width_px, q=quality: shrink(match[1], w, q), body)
        page = f"{head}<style>{style}</style><nav>{links}</nav>{small}</html>\n"
        if len(page.encode()) <= MAX_BYTES:
            break
    return page


def without_machine(book: nbformat.NotebookNode, root: str) -> nbformat.NotebookNode:
    """The notebook less what papermill injected, progress bars, and what is this machine's own."""
    cells = []
    for cell in book.cells:
        is_injected = "injected-parameters" in cell.metadata.get("tags", [])
        is_machine = cell.cell_type == "code" and any(word in cell.source for word in MACHINE)
        if is_machine and cells and cells[-1].cell_type == "markdown":
            cells.pop()  # the text that leads to it
        if is_injected or is_machine:
            continue
        for output in cell.get("outputs", []):
            _clean(output, root)
        if "outputs" in cell:
            cell.outputs = [o for o in cell.outputs if o.get("name") != "stderr"]
        cells.append(cell)
    return nbformat.from_dict({**book, "cells": cells})


def shrink(data: str, width_px: int, quality: int) -> str:
    """A picture as a WebP of at most a width; as it was where that is not smaller.

    Parameters
    ----------
    data : str
        Base64 of a PNG, JPEG or WebP.

    Returns
    -------
    str
        A data URI.
    """
    raw = base64.b64decode(data)
    with Image.open(io.BytesIO(raw)) as image:
        kind = (image.format or "png").lower()
        picture = image.convert("RGB")
    if picture.width > width_px:
        height_px = max(1, round(picture.height * width_px / picture.width))
        picture = picture.resize((width_px, height_px), Image.Resampling.LANCZOS)
    with io.BytesIO() as stream:
        picture.save(stream, format="WEBP", quality=quality, method=6)
        small = stream.getvalue()
    kind, raw = ("webp", small) if len(small) < len(raw) else (kind, raw)
    return f"data:image/{kind};base64,{base64.b64encode(raw).decode()}"


def _clean(output: nbformat.NotebookNode, root: str) -> None:
    """Make paths of an output count from the project's folder."""
    if "text" in output:
        output["text"] = _relative(output["text"], root)
    data = output.get("data", {})
    for mime in [m for m in data if m.startswith("text/")]:
        data[mime] = _relative(data[mime], root)


def _relative(text: str, root: str) -> str:
    return text.replace(f"{root}/", "").replace(root, ".").replace(str(Path.home()), "~")


if __name__ == "__main__":
    raise SystemExit(main())
