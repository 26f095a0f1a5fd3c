"""`bunny gaps` on the tables of a film, through the command line."""

import json

import plain_row
import pytest

from bunny.core import workspace
from bunny.dataset import addition
from bunny.table import store

BOX = plain_row.box(10.0, 10.0, 60.0, 60.0)
SHOTS = 8  # of 24 frames and one second each; frame and view i are the first of shot i


def _view(number: int, reason: str = "chosen", **changes) -> dict:
    return {
        "subject_id": f"f{number}-f0",
        "character": "anna",
        "subject_type": "face",
        "frame_id": f"f{number}",
        "shot_index": number,
        "frame_index": 24 * number,
        "timestamp_s": float(number),
        **BOX,
        "size_px": 50.0,
        "pose": "frontal",
        "shot_size": "medium",
        "place": None,
        "light": "medium",
        "sharpness": 40.0,
        "confidence": 0.9,
        "num_others": 0,
        "is_chosen": reason == "chosen",
        "reason": reason,
        **changes,
    }


def _picture(view: dict) -> dict:
    kept = ("subject_id", "character", "frame_id", "shot_index", "pose", "shot_size", "light")
    rest = {"width_px": 64, "height_px": 64, "upscale": 1.0, "caption": "a", "repeats": 1}
    rest |= {"split": "train", "role": "subject", "file": "a.png", "image_id": view["subject_id"]}
    return {key: view[key] for key in (*kept, *BOX)} | rest


VIEWS = [
    *[_view(n) for n in range(4)],
    _view(4, "soft", light="dark", detail="8.0, dataset.min_subject_sharpness is 10"),
    _view(5, "doubtful", light="dark", detail="confidence 0.42, dataset.min_confidence is 0.6"),
    _view(6, "duplicate", light="bright", detail="the same picture again"),
]


def _label(number: int, character: str | None) -> dict:
    place = {"frame_id": f"f{number}", "shot_index": number, **BOX}
    return plain_row.label(f"f{number}-f0", character, subject_type="face", **place)


def _write(space, name: str, rows: list[dict]) -> None:
    store.write(space.table, name, store.from_rows(name, rows))


def _frame(shot: int, number: int) -> dict:
    frame_id = f"f{shot}" if number == 24 * shot else f"g{number}"
    return plain_row.frame(number, shot, frame_id=frame_id)


@pytest.fixture
def space(tmp_path):
    """A film of eight shots, anna chosen from four; shot 7's face has no name, but is like her."""
    film = tmp_path / "film.mp4"
    film.write_bytes(b"a film")
    space = workspace.create(tmp_path, "data", film, None)
    shots = [plain_row.shot(n, motion=0.1) for n in range(SHOTS)]
    label = [_label(n, "anna" if n < 7 else None) for n in range(SHOTS)]
    face = {"detector": "yunet", "score": 0.9, "size_px": 50.0, "recogniser": "sface"}
    face |= {"frame_id": "f7", "shot_index": 7, **BOX, "yaw": -0.8, "brightness": 0.1}
    frames = [_frame(n, 24 * n + k) for n in range(SHOTS) for k in (0, 12)]
    likeness = {"face_id": "f7-f0", **face, "embedding": [0.5, 0.8660254]}
    anna = {"reference_id": "anna/0", "character": "anna", "route": "face", "num_faces": 1}
    _write(space, "shot", shots)
    _write(space, "frame", [f for f in frames if not (f["shot_index"] == 3 and f["pts"] % 24)])
    _write(space, "label", label)
    _write(space, "face", [likeness])
    _write(space, "reference", [{**anna, "content_hash": "x", "face_embedding": [1.0, 0.0]}])
    _write(space, "candidate", VIEWS)
    _write(space, "dataset", [_picture(v) for v in VIEWS if v["is_chosen"]])
    return space


def _ways(out: str) -> dict[str, list[tuple]]:
    """Shot, reason and what is needed, of each gap."""
    return {
        gap["gap"]: [(w["shot_index"], w["reason"], w["needs"]) for w in gap["ways"]]
        for gap in json.loads(out)["gaps"]
    }


def test_gaps_and_the_shots_that_would_fill_them(bunny, space):
    code, out, err = bunny("gaps", "--json")
    assert (code, err) == (0, "")
    ways = _ways(out)
    dark = [(4, "soft", None), (5, "doubtful", "sure"), (7, "unlabelled", "sure")]
    assert ways["light:dark"] == dark
    assert ways["light:bright"] == [(6, "duplicate", "duplicates")]
    assert ways["size:wide"] == []
    # shot 3 was looked at once in its second; shot 7, without her name, in profile
    profile = [(7, "unlabelled", "sure"), (3, "not looked at", "frames")]
    assert ways["pose:left-profile"] == profile
    text = bunny("gaps")[1]
    assert "anna light:dark: 0 in the set, 1 wanted\n  shot 4 (0:04-0:05): 1 view, soft" in text
    assert "anna size:wide: 0 in the set, 1 wanted; no view in the film would fill it" in text
    assert "note: Views from behind" in text


def test_a_gap_is_added_and_taken_back(bunny, space):
    code, out, _ = bunny("gaps", "--add", "light:dark", "--reason", "night scenes")
    assert code == 0
    assert "added a1, anna: frames 96-119, light dark; up to 1 view more" in out
    assert "--until dataset" in out
    (one,) = addition.read(space.root)
    assert (one.axis, one.value, one.is_sure, one.interval_s) == ("light", "dark", False, 0.0)
    assert one.reason == "night scenes" and one.time and one.user
    code, _, err = bunny("gaps", "--add", "light:dark")
    assert code == 2 and "already added" in err
    assert "frames 96-119, light dark (night scenes)" in bunny("gaps")[1]
    code, out, _ = bunny("gaps", "--undo", "--json")
    assert code == 0 and json.loads(out)["what"] == "undone"
    assert addition.read(space.root) == []
    code, _, err = bunny("gaps", "--undo")
    assert code == 2 and "expected the id of an addition (none yet)" in err


def test_sure_takes_doubtful_and_nameless_views_along(bunny, space):
    assert bunny("gaps", "--add", "light:dark", "--sure")[0] == 0
    (one,) = addition.read(space.root)
    assert one.spans == ((96, 120), (120, 144), (168, 192)) and one.is_sure


def test_shots_by_number_and_the_one_that_is_taken_back(bunny, space):
    assert bunny("gaps", "--add", "4, 3")[0] == 0
    assert bunny("gaps", "--add", "6", "--duplicates")[0] == 0
    first, second = addition.read(space.root)
    assert first.spans == ((72, 96), (96, 120)) and first.axis == "any"
    assert first.interval_s == 0.25  # shot 3 was looked at once a second
    assert second.has_duplicates and second.interval_s == 0.0
    assert bunny("gaps", "--undo", "--id", "a1")[0] == 0
    assert [one.addition_id for one in addition.read(space.root)] == ["a2"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--add", "light:pink"], "expected shot numbers or one of the gaps"),
        (["--add", "99"], "expected shot numbers from 0 to 7, got 99"),
        (["--add", "0"], "expected unused views of anna, found none"),
        (["--add", "5"], "found only uncertain or near-duplicate ones; check them and add --sure"),
        (["--add", "light:bright"], "check them and add --duplicates"),
        (["--add", "size:wide"], "found none"),
        (["--character", "eve"], "expected a character with a training set (anna), got eve"),
        (["--undo", "--id", "a9"], "got a9"),
        (["--undo", "--add", "4"], "--add and --undo cannot be combined; give one of them"),
    ],
)
def test_what_cannot_be_added_is_one_sentence(bunny, space, arguments, words):
    code, _, err = bunny("gaps", *arguments)
    assert code == 2
    assert words in err and len(err.strip().splitlines()) == 1
    assert addition.read(space.root) == []


def test_a_film_without_a_set_is_refused(bunny, space):
    _write(space, "candidate", [])
    code, _, err = bunny("gaps")
    assert code == 2 and "expected a training set, found none" in err


def test_of_two_sets_one_must_be_named(bunny, space):
    more = [{**v, "character": "bo", "subject_id": f"b{n}"} for n, v in enumerate(VIEWS)]
    _write(space, "candidate", VIEWS + more)
    chosen = [v for v in VIEWS + more if v["is_chosen"]]
    _write(space, "dataset", [_picture(v) for v in chosen])
    for what in ("4", "light:dark"):
        code, _, err = bunny("gaps", "--add", what)
        assert code == 2 and "applies to several characters (anna, bo); add --character" in err
    assert bunny("gaps", "--add", "4", "--character", "bo")[0] == 0
    assert [one.character for one in addition.read(space.root)] == ["bo"]


def test_what_the_evaluation_finds_weak_is_a_gap(bunny, space):
    rows = [
        {
            "picture_id": f"{prompt}{n}",
            "run_id": "r",
            "character": "anna",
            "step": 100,
            "prompt_set": "report",
            "prompt": prompt,
            "identity": value + 0.01 * n,
        }
        for prompt, value in (("anna, close-up", 0.8), ("anna, medium shot", 0.3))
        for n in range(3)
    ]
    _write(space, "evaluation_picture", rows)
    found = {gap["gap"]: gap for gap in json.loads(bunny("gaps", "--json")[1])["gaps"]}
    assert found["size:medium"]["detail"] == (
        "prompts with 'medium shot': identity 0.31, others 0.81"
    )
    assert found["size:medium"]["num_wanted"] is None and found["size:medium"]["num_pictures"] == 4
