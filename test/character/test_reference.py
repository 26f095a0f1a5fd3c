"""Reference pictures: names, faces, refusals."""

import cv2
import numpy as np
import pytest

from bunny.character import reference
from bunny.character.face import detect, recogniser
from bunny.core.error import UserError


@pytest.fixture(scope="module")
def models():
    return detect.load_detector("yunet"), recogniser.load_recogniser("sface")


def _save(folder, name, image):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())
    return path


def test_both_forms_are_listed_and_other_files_are_not(tmp_path, plain):
    for name in ("zoë.jpg", "anna/1.png", "anna/2.JPG", "anna/.hidden.jpg", "ben/notes.bmp"):
        _save(tmp_path, name, plain)
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "empty").mkdir()
    found = reference.list_files(tmp_path)
    assert [s.reference_id for s in found] == [
        "anna/1.png",
        "anna/2.JPG",
        "ben/notes.bmp",
        "zoë/zoë.jpg",
    ]
    assert [s.character for s in found] == ["anna", "anna", "ben", "zoë"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (".anna", "hidden"),
        ("..\\anna", "hidden"),
        ("a\\b", "path"),
        ("c:d", "path"),
        ("a/b", "path"),
        ("a\nb", "path"),
        ("x" * 65, "65 characters"),
        ("  ", "empty"),
    ],
)
def test_names_that_cannot_be_are_refused(name, why):
    with pytest.raises(UserError, match="expected a plain character name") as caught:
        reference.check_name(name)
    assert why in str(caught.value)
    assert reference.check_name("x" * 64) == "x" * 64


def test_a_link_out_of_the_folder_is_refused(tmp_path, plain):
    outside = _save(tmp_path / "outside", "1.jpg", plain)
    inside = tmp_path / "refs" / "anna"
    inside.mkdir(parents=True)
    try:
        (inside / "1.jpg").symlink_to(outside)
    except OSError:
        pytest.skip("this system makes no symbolic links")
    with pytest.raises(UserError, match="found a link that leads out"):
        reference.list_files(tmp_path / "refs")


def test_one_face_two_faces_no_face_no_picture(tmp_path, models, astronaut, plain):
    _save(tmp_path, "anna.png", astronaut)
    _save(tmp_path, "pair.png", np.hstack([astronaut, astronaut[:, ::-1]]))
    _save(tmp_path, "toon.png", plain)
    (tmp_path / "zap.jpg").write_bytes(b"not a picture")
    found = reference.measure(reference.list_files(tmp_path), *models, min_score=0.7)
    anna, pair, toon, zap = found
    assert (anna.num_faces, anna.error) == (1, None) and anna.face_embedding.shape == (128,)
    assert pair.error == "expected one face, found 2; crop the picture to pair alone"
    assert (toon.num_faces, toon.face_embedding, toon.error) == (0, None, None)
    assert "could not read it" in zap.error and len(zap.content_hash) == 64


def test_a_small_bystander_does_not_count(tmp_path, models, astronaut):
    picture = np.zeros((512, 700, 3), np.uint8)
    picture[:, :512] = astronaut
    picture[:180, 520:700] = cv2.resize(astronaut, (180, 180))
    _save(tmp_path, "anna.png", picture)
    (one,) = reference.measure(reference.list_files(tmp_path), *models, min_score=0.5)
    assert (one.num_faces, one.error) == (1, None)


def test_a_character_needs_one_usable_picture():
    reference.check_usable([("a/1", "a", "bad"), ("a/2", "a", None), ("b/1", "b", None)])
    reference.check_usable([])
    with pytest.raises(UserError, match=r"^b/1: worse \(and 1 more pictures\)$"):
        reference.check_usable([("a/1", "a", None), ("b/1", "b", "worse"), ("b/2", "b", "bad")])


def test_large_pictures_are_shrunk(tmp_path):
    path = _save(tmp_path, "anna.png", np.zeros((100, 3200, 3), np.uint8))
    assert reference.read_picture(path).shape == (50, 1600, 3)
    assert reference.read_picture(tmp_path / "none.jpg") is None
