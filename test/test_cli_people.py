"""`bunny characters` on the command line: exit codes and one sentence for each mistake."""

import io
import json
import sys
from functools import partial

import polars as pl
import pytest

from bunny.core import workspace
from bunny.table import store

FACE = {"shot_index": 0, "x0_px": 0.0, "y0_px": 0.0, "x1_px": 9.0, "y1_px": 9.0, "frame_id": "a"}


@pytest.fixture
def characters(bunny):
    """Run `bunny characters`."""
    return partial(bunny, "characters")


@pytest.fixture
def film(tmp_path):
    """One face that is anna's, whose picture is gone."""
    path = tmp_path / "film.mp4"
    path.write_bytes(b"film")
    space = workspace.create(tmp_path, "data", path, None)
    label = FACE | {
        "subject_id": "f",
        "subject_type": "face",
        "character": "anna",
        "confidence": 0.9,
        "source": "reference",
    }
    store.write(space.table, "label", store.from_rows("label", [label]))
    return space


def test_it_lists_and_ends_with_the_sheet(characters, film):
    code, out, err = characters()
    assert (code, err) == (0, "")
    assert "anna  1 face, 1 shot" in out
    assert out.splitlines()[-1] == str(film.root / "characters.png")


def test_json_is_one_object(characters, film):
    code, out, _ = characters(film.film_id, "--json")
    (found,) = json.loads(out)["characters"]
    assert code == 0 and (found["name"], found["num_faces"]) == ("anna", 1)


def test_a_name_that_the_output_cannot_say_is_spelled_out(characters, film, monkeypatch):
    """A pipe on Windows has the letters of one alphabet."""
    label = store.read(film.table, "label")
    store.write(film.table, "label", label.with_columns(character=pl.lit("ナミ")))
    output = io.TextIOWrapper(io.BytesIO(), encoding="cp1252", newline="\n")
    monkeypatch.setattr(sys, "stdout", output)
    code, _, err = characters()
    output.flush()
    assert (code, err) == (0, "")
    assert b"\\u30ca\\u30df  1 face, 1 shot" in output.buffer.getvalue()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing"], "expected a film whose id begins with nothing"),
        (["--name", "person-01"], "expected PERSON=NAME"),
        (["--name", "person-01=anna"], "run stage cluster first"),
    ],
)
def test_mistakes_are_the_users_error(characters, film, arguments, words):
    code, _, err = characters(*arguments)
    assert code == 2
    assert words in err and len(err.strip().splitlines()) == 1
