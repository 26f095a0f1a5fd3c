"""Executed notebooks as pages: small, without prompts, without what is this machine's own."""

import base64
import io
from pathlib import Path

import nbformat
import numpy as np
import pytest
import render_notebooks
from PIL import Image

from bunny.core import workspace
from bunny.core.error import UserError

pytestmark = pytest.mark.slow


def png(width_px: int, height_px: int) -> str:
    pixels = np.random.default_rng(1).integers(0, 255, (height_px, width_px, 3)).astype(np.uint8)
    with io.BytesIO() as stream:
        Image.fromarray(pixels).save(stream, format="PNG")
        return base64.b64encode(stream.getvalue()).decode()


def book(root: str) -> nbformat.NotebookNode:
    output = nbformat.v4.new_output
    told = [
        output("stream", name="stdout", text=f"wrote {root}/data/a.html"),
        output("stream", name="stderr", text="50%|#####     |"),
        output("display_data", data={"image/png": png(1200, 600)}),
    ]
    injected = nbformat.v4.new_code_cell(f'data_dir = "{root}"')
    injected.metadata["tags"] = ["injected-parameters"]
    cells = [
        nbformat.v4.new_markdown_cell("# 02 Filter"),
        injected,
        nbformat.v4.new_code_cell("run()", execution_count=3, outputs=told),
        nbformat.v4.new_markdown_cell("## The machine"),
        nbformat.v4.new_code_cell("print(doctor.summary())", outputs=told[:1]),
    ]
    return nbformat.v4.new_notebook(cells=cells)


def test_a_page_keeps_the_work_and_leaves_the_machine_out(tmp_path):
    names = ["01_extract", "02_filter"]
    page = render_notebooks.render(book(str(tmp_path)), "02_filter", names, tmp_path)
    assert "02 Filter" in page and "wrote data/a.html" in page
    assert str(tmp_path) not in page and str(Path.home()) not in page
    assert (
        "injected" not in page
        and "data_dir" not in page
        and "doctor" not in page
        and "The machine" not in page
    )
    assert "#####" not in page and "In [3]" not in page
    assert '<a href="01_extract.html">' in page and "<b>02_filter</b>" in page
    assert "http" not in page.replace("http://www.w3.org", "")  # nothing is fetched
    assert len(page) < render_notebooks.MAX_BYTES and "data:image/webp" in page


def test_a_picture_is_as_wide_as_asked_and_never_grows():
    small = render_notebooks.shrink(png(1200, 600), 300, 50)
    kind, _, data = small.partition(";base64,")
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        assert (kind, image.size) == ("data:image/webp", (300, 150))
    dot = png(1, 1)
    assert len(render_notebooks.shrink(dot, 300, 50)) <= len(f"data:image/webp;base64,{dot}")


def test_a_stage_that_has_no_copy_is_said(tmp_path):
    space = workspace.locate(tmp_path, "data", "film-00000000")
    with pytest.raises(UserError, match="executed notebook of stage filter, found none"):
        render_notebooks.newest_copy(space, "filter")
