"""`bunny caption`: captions of a film that is known, and what they would cost."""

import runpy
from pathlib import Path

import pytest

from bunny.core import atomic, workspace
from bunny.table import store

make_tables = runpy.run_path(str(Path(__file__).parents[1] / "caption" / "table.py"))["make_tables"]


@pytest.fixture
def space(tmp_path):
    space = workspace.locate(tmp_path, "data", "film-0123abcd")
    source = b'{"film": "x", "content_hash": "c", "references": null, "reference_hash": ""}'
    atomic.write_bytes(space.root / "source.json", source)
    for name, table in make_tables(3).items():
        store.write(space.table, name, table)
        if name in ("label", "cluster"):
            store.write(space.table, f"{name}_corrected", table)
    (space.root / "frame").mkdir()
    for i in range(3):
        import cv2
        import numpy as np

        cv2.imwrite(str(space.root / "frame" / f"f{i}.png"), np.full((100, 200, 3), 9, np.uint8))
    return space


def test_the_estimate_names_model_pictures_and_cost(bunny, space):
    openai = ("--set", "captioning.providers=[openai,tags]", "--set", "captioning.openai.model=x")
    price = ("--set", "captioning.openai.output_price_usd=10", "--data-dir", "data")
    code, text, err = bunny("caption", "film", "--estimate", *openai, *price)
    assert code == 0, err
    assert text.startswith("film-0123abcd: openai x: 3 pictures, about ")
    assert text.endswith(" tokens, 0.0036 USD\n")  # 3 * 120 * 10 / 1,000,000
    code, text, _ = bunny("caption", "--estimate")
    assert text == "film-0123abcd: no picture is left to ask about; nothing would be sent\n"


def test_captions_are_written_and_counted(bunny, space):
    code, text, err = bunny("caption", "film")
    assert (code, text) == (0, "film-0123abcd: 3 captions written, 0 failed\n"), err
    assert store.read(space.table, "caption")["provider"].to_list() == ["tags"] * 3
    assert bunny("caption", "film")[1] == "film-0123abcd: 3 captions were up to date\n"
    assert bunny("caption", "other")[0] == 2
