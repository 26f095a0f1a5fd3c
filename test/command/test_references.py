"""`bunny references` on the command line: the sample's pictures, a film's, and each mistake."""

import json
from functools import partial

import cv2
import numpy as np
import plain_row
import pytest

from bunny import demo
from bunny.character.drawn.figure_embedding import RAW
from bunny.core import workspace
from bunny.table import store


@pytest.fixture
def references(bunny):
    """Run `bunny references`."""
    return partial(bunny, "references")


def test_the_samples_are_judged_in_a_table_with_advice(references):
    code, out, err = references(demo.reference_dir())
    assert (code, err) == (0, "")
    head, *rows = out.splitlines()
    assert head.split() == ["picture", "medium", "px", "own", "other", "bank"]
    assert rows[0].split() == ["astronaut/1.jpg", "photographed", "230", "-", "-", "-"]
    assert rows[1].split()[:3] == ["bruno/1.jpg", "drawn", "384"]
    assert rows[0].index("photo") == rows[1].index("drawn") == head.index("medium")
    end = rows[13]
    assert end.endswith(" of 13 could be improved:")
    assert rows[14] == (
        "  astronaut: only one picture; add a second picture that shows astronaut alone "
        "from another side"
    )


def test_json_is_one_object(references):
    code, out, _ = references(demo.reference_dir(), "--json")
    found = json.loads(out)
    assert code == 0 and len(out.splitlines()) == 1
    assert (found["film_id"], len(found["references"])) == (None, 13)
    drawn = [one for one in found["references"] if one["medium"] == "drawn"]
    assert all(0.5 < one["own_similarity"] < 1 for one in drawn)
    assert all(one["impostor_share"] < 0.01 and one["film_share"] is None for one in drawn)
    assert not any(one["has_two"] or one["cut"] or one["text"] for one in drawn)
    alone = [one for one in found["references"] if one["num_own"] == 1]
    assert [one["reference_id"] for one in alone] == ["astronaut/1.jpg"]


def test_a_films_mean_window_is_taken_off_and_its_figures_are_strangers(references, tmp_path):
    film = tmp_path / "film.mp4"
    film.write_bytes(b"film")
    space = workspace.create(tmp_path, "data", film, None)
    _, plain, _ = references(demo.reference_dir(), "--json")
    code, _, err = references(demo.reference_dir(), "--film", space.film_id)
    assert code == 2 and "run stage extract first" in err
    mean = np.zeros(RAW, np.float32)
    mean[:256] = 1
    folder = space.stage("detect") / "shard" / "figure" / "key"
    folder.mkdir(parents=True)
    np.save(folder / "mean.npy", mean)
    vector = np.zeros(448, np.float32)
    vector[0] = 1
    box = {"x0_px": 0.0, "y0_px": 0.0, "x1_px": 9.0, "y1_px": 9.0, "frame_id": "a"}
    figure = box | {
        "figure_id": "a-g01",
        "shot_index": 0,
        "objectness": 0.9,
        "embedding": vector,
        "source": "window",
        "model": "m",
    }
    beside = {**box, "x0_px": 20.0, "x1_px": 30.0}
    label = plain_row.label("a-r00", "bruno", shot_index=0, **beside)
    store.write(space.table, "figure", store.from_rows("figure", [figure]))
    store.write(space.table, "label", store.from_rows("label", [label]))
    code, out, _ = references(demo.reference_dir(), "--film", space.film_id[:5], "--json")
    before, after = json.loads(plain)["references"], json.loads(out)["references"]
    assert code == 0 and json.loads(out)["film_id"] == space.film_id
    assert before[1]["own_similarity"] != after[1]["own_similarity"]
    assert {one["character"]: one["film_share"] for one in after} == {
        "astronaut": None,
        "bruno": 0.0,
        "bunny": None,
        "ember": None,
        "pip": None,
    }
    _, text, _ = references(demo.reference_dir(), "--film", space.film_id)
    assert text.splitlines()[0].split()[-2:] == ["bank", "film"]


def test_mistakes_are_the_users_error(references, tmp_path):
    empty, deep = tmp_path / "empty", tmp_path / "deep"
    empty.mkdir()
    (deep / "a" / "b").mkdir(parents=True)
    cv2.imwrite(str(deep / "a" / "b" / "1.png"), np.zeros((50, 50, 3), np.uint8))
    for arguments, words in (
        ([tmp_path / "nowhere"], "found no such folder"),
        ([empty], "expected reference pictures"),
        ([deep], "found pictures in deeper folders only"),
        ([demo.reference_dir(), "--film", "nothing"], "whose id begins with nothing"),
    ):
        code, _, err = references(*arguments)
        assert code == 2
        assert words in err and len(err.strip().splitlines()) == 1


def test_a_picture_that_cannot_be_read_is_a_row(references, tmp_path):
    folder = tmp_path / "cast"
    folder.mkdir()
    (folder / "anna.png").write_bytes(b"no picture")
    code, out, _ = references(folder)
    assert code == 0
    assert "anna/anna.png: expected a picture of at most 250 million pixels, could not" in out


def test_a_line_of_words_is_told_and_a_short_row_of_shapes_is_not(references, tmp_path):
    picture = cv2.imread(str(demo.reference_dir() / "pip" / "1.jpg"))
    for name, words in (("line", "We have to leave now, hurry!"), ("row", "Hello")):
        shown = picture.copy()
        for colour, thickness in (((0, 0, 0), 4), ((255, 255, 255), 2)):
            cv2.putText(shown, words, (25, 357), 0, 0.7, colour, thickness, cv2.LINE_AA)
        (tmp_path / "cast" / name).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "cast" / name / "1.png"), shown)
    _, out, _ = references(tmp_path / "cast", "--json")
    told = {one["character"]: one["text"] for one in json.loads(out)["references"]}
    assert told == {"line": "subtitle", "row": None}
