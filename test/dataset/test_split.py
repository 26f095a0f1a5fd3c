"""Training and held-out pictures never share a shot or a near-duplicate."""

from hypothesis import given, settings
from hypothesis import strategies as st

from bunny.dataset import split

SHOTS = st.lists(st.integers(0, 12), max_size=60)
PAIRS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=8)


@settings(deadline=None)
@given(shots=SHOTS, pairs=PAIRS, share=st.floats(0, 0.9), seed=st.integers(0, 1000))
def test_split_law(shots, pairs, share, seed):
    group = split.group_shots(shots, pairs)
    side = split.split_shots(shots, share, seed, group)
    assert set(side) == set(shots)
    for one, two in pairs:  # whatever is alike is on one side
        if one in side and two in side:
            assert side[one] == side[two] and group[one] == group[two]
    if len(set(group.values())) >= 2 and share > 0:
        assert set(side.values()) == {"train", "held-out"}
    else:
        assert set(side.values()) <= {"train"}
    assert split.split_shots(shots[::-1], share, seed, group) == side


@settings(deadline=None)
@given(st.integers(0, 1000))
def test_about_the_share_is_held_out(seed):
    shots = [shot for shot in range(100) for _ in range(3)]
    side = split.split_shots(shots, 0.15, seed)
    held = sum(side[shot] == "held-out" for shot in shots)
    assert 43 <= held <= 47  # 45 wanted, by threes


def test_a_large_group_stays_in_training():
    shots = [0] * 90 + [1] * 5 + [2] * 5
    for seed in range(20):
        side = split.split_shots(shots, 0.1, seed)
        assert side[0] == "train" and "held-out" in (side[1], side[2])
    # too large for the share, but something must be held out: the smaller one
    assert split.split_shots([0] * 6 + [1] * 4, 0.1, 0) == {0: "train", 1: "held-out"}


def _held(sizes, share, seed):
    """Which of some shots with so many pictures each are held out."""
    shots = [shot for shot, size in enumerate(sizes) for _ in range(size)]
    side = split.split_shots(shots, share, seed)
    return {shot for shot, where in side.items() if where == "held-out"}


def test_what_is_held_out_whatever_the_seed():
    for seed in range(20):
        assert _held([5, 4], 0.5, seed) == {1}  # the largest is trained on
        assert _held([4, 5], 0.5, seed) == {0}
        assert len(_held([1] * 20, 0.25, seed)) == 5  # no more than is wanted
        assert _held([10, 6, 1, 1], 0.1, seed) == {2, 3}  # 6 would overshoot, the others fit
        assert _held([9, 5, 3, 5], 0.01, seed) == {2}  # each is too large: the smallest
        assert _held([3, 2, 1, 1], 0.0, seed) == set()
        assert len(_held([6, 2, 2], 0.1, seed)) == 1  # just half of 2 is wanted


def test_another_seed_holds_out_others():
    assert len({tuple(_held([1] * 20, 0.1, seed)) for seed in range(20)}) > 5


def test_groups_join_over_steps():
    assert split.group_shots([5, 1, 7], [(5, 7), (7, 1)]) == {1: 1, 5: 1, 7: 1}
    assert split.group_shots([1, 2], [(1, 9), (9, 2)]) == {1: 1, 2: 2}  # 9 is not among them
    assert split.group_shots([], []) == {}


def held_out(shots, share, group=None):
    """What is held out under each of forty seeds."""
    sides = [split.split_shots(shots, share, seed, group) for seed in range(40)]
    return {tuple(s for s, side in one.items() if side == "held-out") for one in sides}


def test_the_largest_group_is_never_held_out():
    # Half of twelve pictures: 3 and 3 are exactly that, and never the 6 that is it alone.
    assert held_out([0] * 6 + [1] * 3 + [2] * 3, 0.5) == {(1, 2)}
    # Of two equally large ones the first stays in training.
    assert held_out([0] * 5 + [1] * 5, 0.5) == {(1,)}
    assert held_out([4] * 5 + [3] * 5 + [7] * 2, 0.4) == {(4,), (4, 7)}
    # What counts are a group's pictures: 0 and 1 are one set-up of 6, larger than 2.
    group = split.group_shots([0, 1, 2, 3], [(0, 1)])
    shots = [0] * 3 + [1] * 3 + [2] * 5 + [3]
    assert held_out(shots, 0.5, group) == {(2, 3)}
    assert held_out(shots, 0.5) == {(0, 1), (0, 1, 3)}


def test_a_group_is_held_out_that_overshoots_by_no_more_than_its_half():
    # An eighth of 32 is 4. With 2 held out, 4 more overshoot by exactly their half: taken.
    assert held_out([0] * 26 + [1] * 2 + [2] * 4, 0.125) == {(1, 2), (2,)}
    # 5 more would overshoot by 2 + 5 - 4 = 3, more than 2.5; alone they overshoot by 1.
    assert held_out([0] * 25 + [1] * 2 + [2] * 5, 0.125) == {(1,), (2,)}


def test_something_is_held_out_where_every_group_is_too_large():
    # A twentieth of 20 is 1; even the smaller of the others overshoots by more than its half.
    assert held_out([0] * 9 + [1] * 5 + [2] * 6, 0.05) == {(1,)}
    assert held_out([0] * 8 + [1] * 6 + [2] * 6, 0.05) == {(1,), (2,)}  # of equals any
    assert held_out([0] * 9 + [1] * 5 + [2] * 6, 0) == {()}
    assert held_out([3] * 9, 0.5) == {()}
