"""What each track of faces is called."""

import numpy as np
import pytest

from bunny.character import match

ANNA, BEN, CARL, DORA = np.eye(4, dtype=np.float32)
REFERENCE = {"anna": ANNA[None], "ben": BEN[None]}


def _mixed(cosine, main=ANNA, rest=CARL):
    return cosine * main + np.sqrt(1 - cosine**2) * rest


def _name(*portraits, clarity=None, seen=None, reference=REFERENCE, **options):
    vector, count = np.stack(portraits).astype(np.float32), len(portraits)
    view = match.TrackViews(
        portrait=vector,
        vector=vector,
        number=np.arange(count),
        quality=np.ones(count),
        clarity=np.ones(count) if clarity is None else np.array(clarity),
        recogniser="sface",
    )
    seen = seen or [{str(i)} for i in range(count)]
    return match.name_tracks(
        view, seen, reference, **{"threshold": 0.4, "min_margin": 0.05, **options}
    )


SURE, WEAK = _mixed(0.6), _mixed(0.3)  # 0.6 is sure enough; their cosine to each other is 0.943


def test_a_name_is_passed_on_to_what_looks_like_its_bearer():
    found = _name(SURE, WEAK)
    assert found.name == ["anna", "anna"] and found.passed_on == {1}
    assert found.confidence[1] > 0.9


@pytest.mark.parametrize(
    ("other", "is_passed_on"),
    [
        (_mixed(0.19), False),  # cosine 0.9 to the bearer, but the references do not lean
        (_mixed(0.3, rest=DORA), False),  # cosine 0.18 to the bearer
        (_mixed(0.39, rest=0.6 * CARL + 0.8 * DORA), True),  # 0.676
    ],
)
def test_both_witnesses_are_needed(other, is_passed_on):
    assert (1 in _name(SURE, other).passed_on) is is_passed_on


def test_a_doubtful_bearer_passes_nothing_on():
    assert _name(_mixed(0.49), WEAK).name == ["anna", None]
    assert _name(_mixed(0.51), WEAK).name == ["anna", "anna"]


def test_smears_neither_give_nor_take():
    assert _name(SURE, WEAK, clarity=[0.4, 1]).name == ["anna", None]
    assert _name(SURE, WEAK, clarity=[1, 0.4]).name == ["anna", None]


def test_a_name_is_not_passed_on_inside_a_frame():
    found = _name(SURE, WEAK, seen=[{"1", "2"}, {"2"}])
    assert found.name == ["anna", None] and not found.passed_on


def test_what_looks_like_two_bearers_takes_neither_name():
    ben = 0.6 * BEN + 0.8 * CARL
    assert _name(SURE, ben, WEAK).name[:2] == ["anna", "ben"]
    assert _name(SURE, ben, 0.29 * ANNA + 0.23 * BEN + 0.93 * CARL).name[2] is None


def test_who_loses_a_name_in_a_frame_is_surely_not_that_one():
    found = _name(_mixed(0.9), _mixed(0.8, rest=DORA), seen=[{"1"}, {"1"}])
    assert found.name == ["anna", None] and found.confidence[1] < 0.1


def test_nobody_to_be():
    found = _name(SURE, WEAK, reference={})
    assert found.name == [None, None] and not found.passed_on


def test_an_adaptation_is_put_on_both_sides():
    from bunny.character.whitening import Adaptation

    swap = np.eye(4, dtype=np.float32)[[1, 0, 2, 3]]  # faces and references are turned alike
    found = _name(SURE, adaptation=Adaptation(matrix=swap, lift=0.0))
    assert found.name == ["anna"] and found.found.similarity[0] == pytest.approx(0.6, abs=1e-5)
