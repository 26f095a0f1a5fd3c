"""References of a target: elsewhere, later, sure, of the same side, varied; worked out by hand."""

import dataclasses

import pytest

from bunny.core.config.pair import PairConfig
from bunny.pair import reference_pair
from bunny.pair.reference_pair import PairPicture

WANTED = PairConfig(min_gap_seconds=5.0, max_background_similarity=0.8, min_confidence=0.7)


def picture(name, shot, second, **changes):
    one = PairPicture(
        image_id=name,
        frame_id=f"f-{name}",
        character="anna",
        split="train",
        shot_index=shot,
        timestamp_s=second,
        file=f"{name}.png",
        mask_file=None,
        caption="anna",
        pose="frontal",
        shot_size="medium",
        crop_area=100.0,
        subject_px=50.0,
        confidence=0.9,
    )
    return dataclasses.replace(one, **changes)


def different(one, two):
    return 0.1


def choose(pictures, similarity=different, **changes):
    wanted = WANTED.model_copy(update=changes)
    return {p.target.image_id: p for p in reference_pair.choose_pairs(pictures, similarity, wanted)}


def names(pair):
    return [r.image_id for r in pair.references]


def test_a_reference_is_of_another_shot():
    found = choose([picture("a", 1, 0), picture("b", 1, 9), picture("c", 2, 20)])
    assert names(found["a"]) == ["c"] and names(found["b"]) == ["c"]
    assert len(names(found["c"])) == 1  # one of shot 1, not two
    assert choose([picture("a", 1, 0), picture("b", 1, 9)])["a"].reason == "alone"


@pytest.mark.parametrize(("second", "reason"), [(4.9, "gap"), (5.0, None)])
def test_it_is_so_many_seconds_away(second, reason):
    found = choose([picture("a", 1, 0), picture("b", 2, second)])
    assert found["a"].reason == reason


@pytest.mark.parametrize(("alike", "reason"), [(0.79, None), (0.8, "background")])
def test_its_background_is_another(alike, reason):
    found = choose([picture("a", 1, 0), picture("b", 2, 9)], lambda *_: alike)
    assert found["a"].reason == reason
    assert found["a"].background_similarity == alike


def test_doubtful_pictures_are_neither_target_nor_reference():
    found = choose([picture("a", 1, 0), picture("b", 2, 9, confidence=0.69)])
    assert list(found) == ["a"] and found["a"].reason == "alone"


@pytest.mark.parametrize(("least", "names_chosen"), [(0.6, ["a", "b"]), (0.61, ["a"])])
def test_pictures_are_as_sure_as_is_set(least, names_chosen):
    pictures = [picture("a", 1, 0), picture("b", 2, 9, confidence=0.6)]
    assert list(choose(pictures, min_confidence=least)) == names_chosen


def test_no_reference_crosses_the_split():
    pictures = [picture("a", 1, 0), picture("b", 2, 9, split="held-out"), picture("c", 3, 20)]
    found = choose(pictures)
    assert names(found["a"]) == ["c"] and names(found["c"]) == ["a"]
    assert found["b"].reason == "alone"


def test_references_are_varied_and_no_more_than_asked_for():
    pictures = [picture("t", 0, 0)]
    pictures += [picture(f"s{i}", i, 10.0 * i, subject_px=50 - i) for i in (1, 2, 3)]
    pictures.append(picture("left", 4, 50, pose="left", subject_px=30))
    found = choose(pictures, max_references=2)
    # first the largest; then another pose (+1) beats a larger one (at most +1 * 49 / 50 - 30 / 50)
    assert names(found["t"]) == ["s1", "left"]
    assert len(names(choose(pictures, max_references=4)["t"])) == 4


def test_pictures_without_others_come_first():
    pictures = [picture("t", 0, 0), picture("crowd", 1, 10, num_others=2), picture("one", 2, 20)]
    assert names(choose(pictures, max_references=1)["t"]) == ["one"]


def test_of_crops_of_a_frame_the_widest_is_target_and_the_tightest_reference():
    wide = picture("wide", 1, 0, frame_id="f1", crop_area=900.0)
    tight = picture("tight", 1, 0, frame_id="f1", crop_area=100.0)
    found = choose([wide, tight, picture("b", 2, 9)])
    assert list(found) == ["wide", "b"] and names(found["b"]) == ["tight"]


def test_past_the_most_pairs_shots_take_turns():
    pictures = [picture(f"a{i}", 1, i) for i in range(3)] + [picture("b", 2, 30)]
    found = choose(pictures, max_pairs=2)
    assert {name: pair.reason for name, pair in found.items()} == {
        "a0": None,
        "a1": "surplus",
        "a2": "surplus",
        "b": None,
    }
    assert found["a1"].references == ()


def test_a_plain_background_needs_a_mask():
    pictures = [picture("a", 1, 0), picture("b", 2, 9), picture("c", 3, 20, mask_file="m.png")]
    found = choose(pictures, has_plain_background=True)
    assert names(found["a"]) == ["c"] and found["c"].reason == "alone"


def test_clips_have_references_as_sure_and_as_plain_as_is_set():
    """The reference has a confidence of 0.6 and no mask; the clip itself needs neither."""
    clip, source = picture("clip", 1, 0, confidence=0.1), picture("a", 2, 20, confidence=0.6)

    def reason(**changes):
        wanted = WANTED.model_copy(update=changes)
        [pair] = reference_pair.choose_clip_pairs([clip], [source], different, wanted)
        return pair.reason

    assert reason(min_confidence=0.6) is None
    assert reason(min_confidence=0.61) == "alone"
    assert reason(min_confidence=0.6, has_plain_background=True) == "alone"
