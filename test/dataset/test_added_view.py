"""Views that a person added come on top of a choice; nothing of the choice changes."""

from dataclasses import replace

import pytest
from character_view import make_view
from hypothesis import given
from hypothesis import strategies as st

from bunny.dataset import addition, crop, split
from bunny.dataset.addition import Addition
from bunny.dataset.candidate import CandidateVerdict
from bunny.dataset.select import ViewSelection
from bunny.dataset.view import CharacterView

RULE = crop.CropSetting(shapes=((1024, 1024),))
KEPT = CandidateVerdict()
SOFT = CandidateVerdict(reason="soft", detail="3.0, dataset.min_subject_sharpness is 10")


def view_at(number: int, **changes) -> CharacterView:
    """View i in frame i of shot i // 10, its frame's hash unlike all others."""
    usual = {
        "subject_id": f"f{number:03d}",
        "character": "anna",
        "shot_index": number // 10,
        "timestamp_s": float(number),
        "box": (20.0, 20.0, 180.0, 180.0),
        "frame_size": (200, 200),
        "area": (0, 0, 200, 200),
        "light": "bright",
        "phash": number * 0x0123456789ABCDEF % 2**64,
    }
    return make_view(number, **usual | changes)


def make_choice(views, verdicts) -> ViewSelection:
    chosen = [row for row, verdict in enumerate(verdicts) if not verdict.reason]
    picked = [(row, crop.windows(views[row], RULE)[0]) for row in chosen]
    return ViewSelection(verdicts=list(verdicts), gains=dict.fromkeys(chosen, 0.5), picked=picked)


def add(views, verdicts, *, distance=4, **changes) -> ViewSelection:
    one = Addition(addition_id="a1", character="anna", spans=((10, 20),))
    additions = [replace(one, **changes)]
    return addition.extend_selection(views, make_choice(views, verdicts), additions, RULE, distance)


def test_only_views_in_the_span_come_in_and_the_rest_is_as_it_was():
    views = [view_at(n) for n in (1, 2, 11, 12, 25)]
    verdicts = [KEPT, SOFT, SOFT, KEPT, SOFT]
    before = make_choice(views, verdicts)
    made = add(views, verdicts)
    assert made.picked[:2] == before.picked and made.gains == before.gains
    assert [row for row, _ in made.picked[2:]] == [2] and addition.added_rows(made) == {2}
    assert [made.verdicts[row] for row in (0, 1, 3, 4)] == [KEPT, SOFT, KEPT, SOFT]
    assert made.verdicts[2] == CandidateVerdict(detail=f"added by hand; else soft: {SOFT.detail}")


@pytest.mark.parametrize(
    ("reason", "flags", "is_in"),
    [
        ("small", {}, True),
        ("filtered", {}, True),
        ("surplus", {}, True),
        ("crowded", {}, True),
        ("unreadable", {"is_sure": True, "has_duplicates": True}, False),
        ("doubtful", {"has_duplicates": True}, False),
        ("doubtful", {"is_sure": True}, True),
        ("unlabelled", {}, False),
        ("unlabelled", {"is_sure": True}, True),
        ("duplicate", {"is_sure": True}, False),
        ("duplicate", {"has_duplicates": True}, True),
    ],
)
def test_what_an_addition_lifts(reason, flags, is_in):
    made = add([view_at(11)], [CandidateVerdict(reason=reason)], **flags)
    assert bool(made.picked) is is_in


def test_only_the_value_that_was_asked_for():
    views = [view_at(11), view_at(12, light="dark"), view_at(13, light=None)]
    made = add(views, [SOFT] * 3, axis="light", value="dark")
    assert addition.added_rows(made) == {1}
    views = [view_at(11, pose="left", shot_size="wide"), view_at(12, pose="left")]
    made = add(views, [SOFT] * 2, axis="pose and size", value="left, wide")
    assert addition.added_rows(made) == {0}


def test_a_window_of_the_size_that_was_asked_for_is_cut():
    small = view_at(11, box=(90.0, 80.0, 130.0, 120.0), shot_size="wide")
    sizes = [window.shot_size for window in crop.windows(small, RULE)]
    assert len(set(sizes)) > 1
    for size in set(sizes):
        wanted = replace(small, shot_size=size)  # the view's own size is the gap's
        made = add([wanted], [SOFT], axis="shot_size", value=size)
        assert made.picked[0][1].shot_size == size


def test_look_alikes_of_what_is_there_add_nothing():
    twins = {"phash": 7, "frame_id": "x"}
    views = [view_at(1, **twins), view_at(11, **twins), view_at(12, **twins)]
    made = add(views, [KEPT, SOFT, SOFT])
    assert addition.added_rows(made) == set()
    assert [v.duplicate_of for v in made.verdicts] == [None, "f001", "f001"]
    assert addition.added_rows(add(views, [SOFT, SOFT, SOFT])) == {
        1
    }  # one of the two stands for both
    asked = add(views, [KEPT, CandidateVerdict(reason="duplicate"), SOFT], has_duplicates=True)
    assert addition.added_rows(asked) == {1, 2}


def test_two_views_of_one_frame_never_both_come_in():
    views = [view_at(11), replace(view_at(11), subject_id="other")]
    assert len(addition.added_rows(add(views, [SOFT, SOFT], has_duplicates=True))) == 1


def test_a_view_that_is_too_small_is_enlarged_when_it_was_asked_for():
    tiny = view_at(11, area=(0, 0, 40, 40), frame_size=(40, 40), box=(5.0, 5.0, 35.0, 35.0))
    assert crop.windows(tiny, RULE) == []
    made = add([tiny], [CandidateVerdict(reason="small")])
    assert made.picked[0][1].size == (30, 30)  # not enlarged


def test_sides_stay_and_added_shots_follow_their_group():
    side = {1: "train", 2: "held-out", 3: "train"}
    alone = {shot: shot for shot in (1, 2, 3, 7)}
    assert addition.extend_split(side, {7}, alone) == {**side, 7: "train"}
    assert addition.extend_split(side, {7}, {**alone, 7: 2})[7] == "held-out"
    assert addition.extend_split(side, set(), alone) == side


def test_a_shot_that_joins_both_sides_leaves_no_group_on_two():
    side = {1: "train", 2: "held-out", 3: "held-out", 4: "train"}
    group = {1: 1, 2: 1, 7: 1, 3: 3, 4: 4}  # 7 shows what 1 and 2 show
    assert addition.extend_split(side, {7}, group) == {
        1: "train",
        2: "train",
        3: "held-out",
        4: "train",
        7: "train",
    }
    side = {1: "train", 2: "held-out", 4: "train"}  # else nothing would be held out
    found = addition.extend_split(side, {7}, {1: 1, 2: 1, 7: 1, 4: 4})
    assert found == {1: "held-out", 2: "held-out", 7: "held-out", 4: "train"}
    assert set(
        addition.extend_split(
            {1: "train", 2: "held-out"}, {7}, dict.fromkeys((1, 2, 7), 1)
        ).values()
    ) == {"train"}


@given(
    st.dictionaries(st.integers(0, 9), st.booleans(), min_size=1),
    st.sets(st.integers(0, 14), max_size=5),
    st.lists(st.tuples(st.integers(0, 14), st.integers(10, 14)), max_size=6),
)
def test_every_group_is_on_one_side_and_what_nothing_joins_stays(is_held, more, alike):
    """Set-ups may join shots of the set only through shots that were added (10 to 14)."""
    side = {shot: split.HELD_OUT if held else split.TRAIN for shot, held in is_held.items()}
    group = split.group_shots({*side, *more}, alike)
    found = addition.extend_split(side, more, group)
    assert found.keys() == {*side, *more}
    of_group: dict[int, set[str]] = {}
    for shot, name in found.items():
        of_group.setdefault(group[shot], set()).add(name)
    assert all(len(names) == 1 for names in of_group.values())
    joined = {group[shot] for shot in more - side.keys()}
    assert all(found[shot] == side[shot] for shot in side if group[shot] not in joined)
