"""What is asked together, and what first."""

import numpy as np
import pytest

from bunny.review import active_learning


def clusters(vector, number):
    return active_learning.ClusterSums.of(
        np.asarray(vector, np.float32), np.asarray(number), max(number) + 1
    )


@pytest.fixture
def plain():
    """Three along one axis, two along the other, one between them in the noise bucket."""
    half = np.sqrt(0.5)
    return clusters([[1, 0]] * 3 + [[0, 1]] * 2 + [[half, half]], [0, 0, 0, 1, 1, -1])


def test_chances_by_size_alone(plain):
    target, chance = active_learning.likely_clusters(plain, sharpness=0.0)
    # without itself 2 of its own against 2; 1 against 3; in noise 3 against 2 and a new one
    assert target.tolist() == [1, 1, 1, 0, 0, 0]
    assert chance == pytest.approx([0.5, 0.5, 0.5, 0.75, 0.75, 0.5])


def test_chances_fall_with_likeness_to_the_own_cluster(plain):
    _, chance = active_learning.likely_clusters(plain, sharpness=np.log(3))
    assert chance[0] == pytest.approx(2 / (2 + 2 * 3))  # e to the power of sharpness is 3
    assert chance[3] == pytest.approx(3 / (3 + 1 * 3))
    other = 3**0.5**0.5  # at cosine sqrt(0.5)
    assert chance[5] == pytest.approx(3 * other / (5 * other + 1))


def test_what_was_rejected_is_no_target(plain):
    target, chance = active_learning.likely_clusters(
        plain, sharpness=0.0, barred=np.array([[5, 0], [3, 0]])
    )
    assert target[5] == 1 and chance[5] == pytest.approx(2 / 3)
    assert chance[3] == 0
    assert chance[4] == pytest.approx(0.75)


def test_tighter_clusters_are_compared_more_sharply():
    rng = np.random.default_rng(0)
    number = np.repeat(np.arange(4), 20)

    def sharpness(spread):
        vector = np.eye(8)[number] + spread * rng.normal(size=(80, 8))
        return active_learning.find_sharpness(
            clusters(vector / np.linalg.norm(vector, axis=1, keepdims=True), number)
        )

    assert sharpness(0.05) > sharpness(0.6)
    assert (
        active_learning.find_sharpness(clusters(np.eye(3), [0, 1, 2])) in active_learning.SHARPNESS
    )


@pytest.fixture
def library():
    """Anna 0 to 19 and bob 20 to 39 in their clusters, but 37 to 39 with anna and 36 in noise.

    Cluster 2, of 40 to 45, is somebody whom nobody named.
    """
    rng = np.random.default_rng(1)
    who = np.repeat([0, 1, 2], [20, 20, 6])
    vector = np.eye(6)[who] + 0.1 * rng.normal(size=(46, 6))
    number = who.copy()
    number[36], number[37:40] = -1, 0
    return vector / np.linalg.norm(vector, axis=1, keepdims=True), number


def find(library, is_open=None, is_named=(True, True, False), barred=None):
    is_open = np.ones(46, bool) if is_open is None else is_open
    return active_learning.questions(*library, is_open, np.array(is_named), barred)


def test_strays_of_one_cluster_are_one_question_wherever_they_lie(library):
    question, worth = find(library)
    assert np.flatnonzero(question == 1).tolist() == [36, 37, 38, 39]
    assert 3 < worth[36] <= 4  # the sum of four chances, nearly sure


def test_a_cluster_without_a_name_is_one_question_and_a_named_one_none(library):
    question, worth = find(library)
    assert np.flatnonzero(question == 3 + 2).tolist() == [40, 41, 42, 43, 44, 45]
    assert 3 <= worth[40] <= 6  # half its size at least
    assert not (find(library, is_named=(True, True, True))[0] == 5).any()
    assert find(library, is_named=(False, False, False))[0].max() < 3  # names mean nothing here


def test_who_was_spoken_of_is_not_asked_about(library):
    is_open = np.ones(46, bool)
    is_open[[37, 40]] = False
    question, _ = find(library, is_open)
    assert question[37] == active_learning.NOTHING
    assert (question[40:] == active_learning.NOTHING).all()  # somebody knows whom cluster 2 shows
    assert question[38] == 1


def test_a_rejection_ends_the_question(library):
    question, _ = find(library, barred=np.array([[38, 1]]))
    assert question[38] != 1
    assert question[39] == 1


def test_no_items_and_no_clusters():
    none = active_learning.questions(
        np.zeros((0, 3)), np.zeros(0, int), np.zeros(0, bool), np.zeros(0, bool)
    )
    assert [len(part) for part in none] == [0, 0]
    question, worth = active_learning.questions(
        np.eye(3), np.full(3, -1), np.ones(3, bool), np.zeros(0, bool)
    )
    assert (question == active_learning.NOTHING).all() and not worth.any()


def test_rank_by_worth():
    question = np.array([4, 4, active_learning.NOTHING, 2, 9])
    assert active_learning.rank(question, np.array([1.5, 1.5, 0, 3.0, 1.5])).tolist() == [
        1,
        1,
        -1,
        0,
        2,
    ]


def test_candidates_come_before_what_is_worth_more():
    question, worth = np.array([0, 0, 0, 5, 6]), np.array([9.0, 9, 9, 1, 2])
    is_first = np.array([False, False, False, True, True])
    assert active_learning.rank(question, worth, is_first).tolist() == [2, 2, 2, 1, 0]


def test_candidates_of_one_character_are_one_question():
    """Of whom a person spoke nothing is asked."""
    question, worth = active_learning.candidates(
        ["pip", "bunny", None, "pip", "pip"], np.arange(5) != 4
    )
    assert question.tolist() == [1, 0, active_learning.NOTHING, 1, active_learning.NOTHING]
    assert worth.tolist() == [2, 1, 0, 2, 0]


def test_without_candidates_nothing_is_asked():
    question, worth = active_learning.candidates([None, None], np.array([True, True]))
    assert question.tolist() == [active_learning.NOTHING] * 2 and worth.tolist() == [0, 0]
    assert active_learning.candidates([], np.array([], bool))[0].tolist() == []
