"""Scenes of two runs, matched by hand: names say nothing, shared frames do."""

from bunny.view.report.scene_difference import MovedShot, SceneChange, compare_scenes


def scenes(**found):
    """Scene of each frame: `a=(1, 2)` puts frames 1 and 2 into scene a."""
    return {f"{frame:02d}": name or None for name, frames in found.items() for frame in frames}


def shots(number, size=2):
    return {f"{frame:02d}": f"shot {frame // size:02d}" for frame in range(number)}


def test_names_that_were_swapped_are_no_difference():
    one, other = scenes(a=(0, 1, 2, 3), b=(4, 5)), scenes(b=(0, 1, 2, 3), a=(4, 5))
    found = compare_scenes(one, other, shots(6))
    assert found.matched == (("a", "b"), ("b", "a")) and found.is_same()


def test_split_merged_appeared_vanished_and_moved():
    """Frames 0-17, shots of two.

    | frames | first | second |
    |---|---|---|
    | 0-3 | a | r: most of a |
    | 4-5 | a | s: the rest of a, and nothing else |
    | 6-9 | b | t |
    | 10-11 | c | t: c has gone into t with b |
    | 12-13 | d | none: d has vanished |
    | 14-15 | none | u: u has appeared |
    | 16-17 | b | r: shot 8 moved |
    """
    one = scenes(a=range(6), b=(6, 7, 8, 9, 16, 17), c=(10, 11), d=(12, 13)) | {
        "14": None,
        "15": None,
    }
    other = scenes(r=(0, 1, 2, 3, 16, 17), s=(4, 5), t=range(6, 12), u=(14, 15)) | {
        "12": None,
        "13": None,
    }
    found = compare_scenes(one, other, shots(18))
    assert found.matched == (("a", "r"), ("b", "t"))
    assert set(found.changes) == {
        SceneChange(kind="split", one=("a",), other=("r", "s")),
        SceneChange(kind="merged", one=("b", "c"), other=("t",)),
        SceneChange(kind="vanished", one=("d",), other=()),
        SceneChange(kind="appeared", one=(), other=("u",)),
    }
    assert found.moved == (
        MovedShot(shot="shot 06", one="d", other="no scene", frame="12"),
        MovedShot(shot="shot 07", one="no scene", other="u", frame="14"),
        MovedShot(shot="shot 08", one="b", other="r", frame="16"),
    )
    assert found.num_scenes == (4, 4)


def test_the_assignment_is_the_best_for_all_and_not_the_first_best():
    """a shares 3 with x and 2 with y, b shares 2 with x alone: a-y and b-x keep 4, a-x keeps 3."""
    one, other = scenes(a=(0, 1, 2, 3, 4), b=(5, 6)), scenes(x=(0, 1, 2, 5, 6), y=(3, 4))
    found = compare_scenes(one, other, shots(7, size=1))
    assert found.matched == (("a", "y"), ("b", "x"))
    assert [shot.frame for shot in found.moved] == ["00", "01", "02"]


def test_a_shot_is_where_most_of_its_frames_are_and_frames_of_one_run_do_not_count():
    one = scenes(a=(0, 1, 2), b=(3, 4, 5))
    other = scenes(x=(0, 1), y=(2, 3, 4, 5)) | {"09": "z"}
    found = compare_scenes(one, other, shots(10, size=3))
    assert found.matched == (("a", "x"), ("b", "y"))
    assert not found.moved  # one frame of three of shot 0 went over
    assert found.changes == (SceneChange(kind="appeared", one=(), other=("z",)),)


def test_without_scenes_nothing_corresponds():
    found = compare_scenes({"00": None}, {"00": None}, shots(1))
    assert found.is_same() and found.matched == () and found.num_scenes == (0, 0)
