"""How shots become frames: time line, transitions, acting, blur, darkness, boxes."""

import numpy as np
import pytest
from sample import film, script, write

OPEN = script.ScriptShot(setup_id="a", seconds=1.0, place="studio", transition_in="start")
CUT = script.ScriptShot(setup_id="b", seconds=1.0, place="meadow")
DISSOLVE = script.ScriptShot(
    setup_id="c", seconds=1.0, place="snow", transition_in="dissolve", transition_frames=8
)
FADE = script.ScriptShot(
    setup_id="d", seconds=1.0, place="beach", transition_in="fade", transition_frames=8
)


@pytest.fixture(autouse=True, scope="module")
def _needs_skia():
    """Drawing needs skia, which only those who make the sample have."""
    pytest.importorskip("skia")


def test_shots_lie_end_to_end():
    placed = script.place_shots((OPEN, CUT, DISSOLVE))
    spans = [(item.first_frame_index, item.end_frame_index) for item in placed]
    assert spans == [(0, 24), (24, 48), (48, 72)]
    assert film.shot_at(placed, 23).shot is OPEN
    assert film.shot_at(placed, 24).shot is CUT
    with pytest.raises(IndexError, match="72"):
        film.shot_at(placed, 72)


def test_no_shots_and_too_short_shots_are_refused():
    with pytest.raises(ValueError, match="at least one"):
        script.place_shots(())
    short = script.ScriptShot(setup_id="s", seconds=0.25, place="snow", transition_frames=24)
    with pytest.raises(ValueError, match="6 frames"):
        script.place_shots((OPEN, short))


def test_dissolve_mixes_half_and_half_in_its_middle():
    placed = script.place_shots((OPEN, DISSOLVE))
    shares = [film.blend_at(placed, index)[1] for index in range(18, 30)]
    expected = [0, 0, 0.0625, 0.1875, 0.3125, 0.4375, 0.4375, 0.3125, 0.1875, 0.0625, 0, 0]
    assert shares == pytest.approx(expected)
    mixed = film.frame_at(placed, 24).astype(float)
    pure = film.draw_shot(DISSOLVE, 0) * 0.5625 + film.draw_shot(OPEN, 24) * 0.4375
    assert np.abs(mixed - pure).max() <= 1.0


def test_fade_goes_through_black():
    placed = script.place_shots((OPEN, FADE))
    means = [float(film.frame_at(placed, index).mean()) for index in (19, 21, 23, 24, 26, 29)]
    assert means[0] > means[1] > means[2]
    assert means[3] < means[4] < means[5]
    assert max(means[2], means[3]) < 0.15 * means[0]


def test_blur_and_darkness_last_as_long_as_they_should():
    blurred = script.ScriptShot(
        setup_id="e", seconds=1.0, place="street", blur="focus", blur_frames=(0, 4)
    )
    clear = script.ScriptShot(setup_id="e", seconds=1.0, place="street")
    edges = [
        float(np.abs(np.diff(film.draw_shot(item, frame).astype(int), axis=1)).mean())
        for item, frame in ((blurred, 0), (blurred, 3), (clear, 0), (blurred, 4), (clear, 4))
    ]
    assert edges[0] < edges[1] < edges[2]
    assert edges[3] == edges[4]
    dark = script.ScriptShot(setup_id="e", seconds=1.0, place="street", exposure=0.25)
    ratio = film.draw_shot(dark, 0).mean() / film.draw_shot(clear, 0).mean()
    assert ratio == pytest.approx(0.25, abs=0.01)


def test_camera_starts_and_ends_where_the_script_says():
    pan = script.ScriptShot(
        setup_id="f",
        seconds=2.0,
        place="snow",
        camera=((0.0, 0.5, 1.0), (1.0, 0.5, 2.0)),
        camera_kind="pan",
    )
    assert film.camera_at(pan, 0) == (0.0, 0.5, 1.0)
    assert film.camera_at(pan, 24) == (0.5, 0.5, 1.5)
    assert film.camera_at(pan, 48) == (1.0, 0.5, 2.0)
    assert film.camera_at(pan, 60) == (1.0, 0.5, 2.0)  # a dissolve looks past the end


def test_face_box_follows_the_camera_over_a_photograph():
    photo = script.ScriptShot(
        setup_id="g",
        seconds=1.0,
        place="archive",
        photo="astronaut",
        camera=((223.0, 119.0, 320.0), (223.0, 119.0, 320.0)),
    )
    box = film.faces_at(photo, 0)["astronaut"]  # 4 film pixels a photo pixel, face centred
    assert box == pytest.approx((460.0, 132.0, 820.0, 588.0))
    assert film.faces_at(CUT, 0) == {}


def test_boxes_of_a_fading_shot_are_less_visible():
    part = script.ActorMotion(character=script.BRUNO, x=(0.0, 0.0))
    fading = script.ScriptShot(
        setup_id="h",
        seconds=1.0,
        place="snow",
        parts=(part,),
        transition_in="fade",
        transition_frames=8,
    )
    placed = script.place_shots((OPEN, fading))
    first, later = (write.box_rows(placed, index)[0] for index in (24, 40))
    assert first["character"] == "bruno"
    assert first["visible_share"] == pytest.approx(0.125)
    assert later["visible_share"] == 1.0


def test_film_is_the_same_bytes_twice(tmp_path):
    part = script.ActorMotion(character=script.CLOVER, x=(0.0, 0.2), does="walk")
    clip = script.place_shots(
        (script.ScriptShot(setup_id="i", seconds=0.25, place="forest", parts=(part,)),)
    )
    rows = [write.write_film(clip, tmp_path / name) for name in ("one.mp4", "two.mp4")]
    assert rows[0] == rows[1]
    assert len(rows[0]) == 6
    assert (tmp_path / "one.mp4").read_bytes() == (tmp_path / "two.mp4").read_bytes()


def test_bolt_is_in_the_script_but_has_no_reference():
    assert any(part.character is script.BOLT for item in script.SCRIPT for part in item.parts)
    assert "bolt" not in write.reference_scenes()
