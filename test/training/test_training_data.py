"""The order of pictures and the learning rate: both by the step's number alone."""

from collections import Counter

import numpy as np
import pytest

from bunny.core.config import ModelsConfig
from bunny.training import optimizer
from bunny.training.settings import Step, mean_of_tenth
from bunny.training.training_data import BatchOrder, weighted_round_robin


def shown(order: BatchOrder, batches) -> Counter:
    """How often each (size, picture) came."""
    seen: Counter = Counter()
    for index in batches:
        size, chosen = order.batch(index)
        seen.update((size, int(i)) for i in chosen)
    return seen


def test_each_round_shows_every_picture_as_often_as_it_repeats():
    order = BatchOrder([[1, 2, 1]], batch_size=2, num_batches=4, seed=3)  # a round: 4 = 2 batches
    assert shown(order, range(2)) == {(0, 0): 1, (0, 1): 2, (0, 2): 1}
    assert shown(order, range(4)) == {(0, 0): 2, (0, 1): 4, (0, 2): 2}


def test_a_batch_runs_on_into_the_next_round_so_nothing_is_dropped():
    order = BatchOrder([[1, 1, 1]], batch_size=2, num_batches=3, seed=0)  # 3 batches are two rounds
    assert shown(order, range(3)) == {(0, 0): 2, (0, 1): 2, (0, 2): 2}
    assert [len(order.batch(i)[1]) for i in range(3)] == [2, 2, 2]


def test_sizes_of_any_number_come_by_their_share():
    order = BatchOrder([[1] * 6, [1], [2, 1]], batch_size=2, num_batches=10, seed=0)  # 6 : 1 : 3
    counts = Counter(order.batch(i)[0] for i in range(10))
    assert counts == {0: 6, 1: 1, 2: 3}
    assert order.batch(int(np.argmax(order.turns == 1)))[1].tolist() == [0, 0]


def test_order_depends_on_seed_and_number_alone():
    one, two = (BatchOrder([[1] * 7, [1] * 3], 4, 20, seed=5) for _ in range(2))
    for index in (13, 2, 19, 13):  # in any order, as often as one likes
        (size, chosen), (again, same) = one.batch(index), two.batch(index)
        assert (size, chosen.tolist()) == (again, same.tolist())
    other = BatchOrder([[1] * 7, [1] * 3], 4, 20, seed=6)
    assert any((one.batch(i)[1] != other.batch(i)[1]).any() for i in range(20))


def test_turns_never_lag_a_whole_turn_behind():
    weights = [5, 3, 2]
    turns = weighted_round_robin(weights, 200)
    share = np.array(weights) / 10
    taken = np.cumsum(np.eye(3)[turns], axis=0)
    assert np.abs(taken - share * np.arange(1, 201)[:, None]).max() <= 1


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [  # warm-up of 2, 6 steps in all
        ("cosine", [0.5, 1.0, 0.1 + 0.45 * (1 + 2**-0.5), 0.55, 0.1 + 0.45 * (1 - 2**-0.5), 0.1]),
        ("constant", [0.5, 1.0, 1.0, 1.0, 1.0, 1.0]),
        ("linear", [0.5, 1.0, 0.8, 0.6, 0.4, 0.2]),
    ],
)
def test_learning_rate_of_each_step(schedule, expected):
    factor = optimizer.learning_rate_factor(
        ModelsConfig(schedule=schedule, warmup_steps=2, training_steps=6)
    )
    assert [factor(step) for step in range(1, 7)] == pytest.approx(expected)


@pytest.mark.parametrize("schedule", ["cosine_with_restarts", "polynomial"])
def test_other_schedules_of_diffusers_move_at_every_step(schedule):
    factor = optimizer.learning_rate_factor(
        ModelsConfig(schedule=schedule, warmup_steps=1, training_steps=5)
    )
    values = [factor(step) for step in range(1, 6)]
    assert values[0] == 1.0
    assert all(0 < v <= 1 for v in values)
    assert values[-1] < values[0]


def test_mean_of_tenth_leaves_out_steps_without_a_loss():
    losses = [None, *range(20)]  # 20 losses: a tenth is 2
    curve = [
        Step(step=i, loss=v, held_out_loss=None, learning_rate=1.0) for i, v in enumerate(losses)
    ]
    assert mean_of_tenth(curve, last=False) == 0.5
    assert mean_of_tenth(curve, last=True) == 18.5
    assert mean_of_tenth(curve[:1], last=True) is None
