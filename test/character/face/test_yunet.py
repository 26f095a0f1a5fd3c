"""Small faces, and what is none."""

import cv2
import numpy as np
import pytest

from bunny.character import detection
from bunny.character.face import yunet

PLACES = ((200, 150), (800, 200), (1500, 300), (300, 700), (1000, 600), (1600, 900))


@pytest.fixture(scope="module")
def looks():
    return yunet.load(has_small_faces=False), yunet.load()


def _scene(picture, box, size_px):
    """A soft 1080p picture with one face pasted at six places, `size_px` high; their centres."""
    x0, y0, x1, y1 = box
    factor = size_px / (y1 - y0)
    small = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    top, bottom = (int(y) for y in ((y0 - 40) * factor, (y1 + 30) * factor))
    left, right = (int(x) for x in ((x0 - 40) * factor, (x1 + 40) * factor))
    cut = small[top:bottom, left:right]
    ramp = np.linspace(60, 180, 1920, dtype=np.float32)[None].repeat(1080, axis=0)
    scene = cv2.merge([ramp, ramp, ramp]).astype(np.uint8)
    middle = np.array([(x0 + x1) / 2, (y0 + y1) / 2]) * factor - [left, top]
    for x, y in PLACES:
        scene[y : y + cut.shape[0], x : x + cut.shape[1]] = cut
    return scene, np.array(PLACES) + middle


def _num_hit(found, centres, size_px):
    middles = np.array([(one.box[:2] + one.box[2:]) / 2 for one in found]).reshape(-1, 2)
    return int((abs(centres[:, None] - middles).max(axis=2) < size_px / 2).any(axis=1).sum())


@pytest.mark.parametrize("size_px", [16, 20, 32])
def test_small_faces_are_found_where_they_are_and_nowhere_else(looks, astronaut, size_px):
    coarse, fine = looks
    (whole,) = coarse(astronaut)
    scene, centres = _scene(astronaut, whole.box, size_px)
    found = fine(scene)
    assert _num_hit(found, centres, size_px) == len(found) == 6
    heights = [one.box[3] - one.box[1] for one in found]
    assert np.allclose(heights, size_px, rtol=0.25)
    assert all(one.score >= yunet.ENLARGED_FLOOR for one in found)


def test_without_the_second_look_they_are_not(looks, astronaut):
    scene, centres = _scene(astronaut, looks[0](astronaut)[0].box, 16)
    assert _num_hit(looks[0](scene), centres, 16) == 0


def test_a_large_face_stays_one_face(looks, astronaut):
    large = cv2.resize(astronaut[30:230, 120:330], (1050, 1000), interpolation=cv2.INTER_CUBIC)
    for look in looks:
        (face,) = look(large)
        assert 400 < face.box[3] - face.box[1] < 800


def test_pictures_without_people_stay_empty(looks):
    from skimage import data

    for name in ("brick", "grass", "coffee", "rocket", "chelsea", "moon"):
        picture = getattr(data, name)()
        picture = cv2.merge([picture] * 3) if picture.ndim == 2 else picture[:, :, ::-1]
        found = looks[1](np.ascontiguousarray(picture))
        assert [one for one in found if one.score >= 0.7] == [], name


def test_a_tile_holds_its_suspect_in_the_middle_enlarged():
    picture = np.zeros((300, 400, 3), np.uint8)
    picture[100:120, 200:220] = 255
    suspect = detection.RawFace(np.array([200, 100, 220, 120], np.float32), np.zeros((5, 2)), 0.1)
    corner, factor, tile = yunet.cut_tile(picture, suspect)
    assert factor == 2.0 and corner.tolist() == [178, 78]
    rows, columns = np.nonzero(tile[:, :, 0] > 127)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (44, 83, 44, 83)


@pytest.mark.parametrize(("size_px", "num"), [(20, 6), (32, 6)])
def test_where_the_first_look_suspects_small_faces_the_second_is_made(
    looks, astronaut, size_px, num
):
    scene, centres = _scene(astronaut, looks[0](astronaut)[0].box, size_px)
    found = yunet.load(is_thorough=False)(scene)
    assert _num_hit(found, centres, size_px) == len(found) == num


def test_a_close_up_gets_no_second_look(astronaut, monkeypatch):
    large = cv2.resize(astronaut[30:230, 120:330], (1050, 1000), interpolation=cv2.INTER_CUBIC)
    sizes = []
    run = yunet.onnx_session.run_session

    def note(session, outputs, value):
        sizes.append(max(value.shape[2:]))
        return run(session, outputs, value)

    monkeypatch.setattr(yunet.onnx_session, "run_session", note)
    (face,) = yunet.load(is_thorough=False)(large)
    assert sizes == [640] and 400 < face.box[3] - face.box[1] < 800
    yunet.load()(large)
    assert sizes[1:3] == [640, 1056]
