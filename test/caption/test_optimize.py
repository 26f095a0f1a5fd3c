"""Scores of captions and the split by shots that prompts are tuned on."""

import pytest

from bunny.caption import optimize
from bunny.caption.answer import CaptionQuestion
from bunny.caption.metadata_facts import Facts
from bunny.caption.optimize import TuningPicture
from bunny.core.error import UserError

TRIGGERS = {"bunny": "bunny", "anna": "anna"}


def picture(number: int, shot: int, edited: str = "") -> TuningPicture:
    """Bunny alone, a medium shot by day."""
    question = CaptionQuestion(frame_id=f"f{number}", picture=b"", facts=(), names=())
    facts = Facts(
        frame_id=f"f{number}",
        file=None,
        characters=("bunny",),
        num_unknown=0,
        place=None,
        shot_size="medium",
        light="day",
        motion="static",
        subjects=(),
    )
    return TuningPicture(question=question, facts=facts, shot_index=shot, edited=edited)


@pytest.mark.parametrize(
    ("edited", "text", "value", "says"),
    [
        ("", "bunny on a hill, day", 1.0, "nothing is wrong"),
        ("", "a hare on a hill", 0.1, "no trigger word of: bunny"),
        ("", None, 0.0, "no caption was written"),
        ("bunny in a red hat", "bunny in a red hat", 1.0, "a person wrote: 'bunny in a red hat'"),
        # {red, hat} against {blue, hat}: 2 * 1 / 4, and no rule is broken
        ("bunny in a red hat", "bunny in a blue hat", (1 + 0.5) / 2, "a person wrote"),
        ("bunny in a red hat", "anna in a red hat", (0.1 * 0.2 + 1) / 2, "but called: anna"),
    ],
)
def test_a_score_is_of_the_rules_and_of_a_persons_words(edited, text, value, says):
    found, feedback = optimize.score(picture(0, 0, edited), text, TRIGGERS)
    assert found == pytest.approx(value)
    assert says in feedback


def test_pictures_of_a_shot_are_on_one_side_and_both_sides_have_edits():
    edited = [picture(i, i // 2, "bunny") for i in range(4)]
    rest = [picture(10 + i, 5 + i // 2) for i in range(10)]
    train, held_out = optimize.split_by_shot([*edited, *rest])
    sides = [{one.shot_index for one in side} for side in (train, held_out)]
    assert not sides[0] & sides[1]
    assert sum(bool(one.edited) for one in train) == sum(bool(one.edited) for one in held_out) == 2
    assert len({one.shot_index for one in held_out if not one.edited}) == 2  # 40 % of five
    assert optimize.split_by_shot([*edited, *rest]) == (train, held_out)


@pytest.mark.parametrize("shots", [(0, 1, 2), (0, 0, 0, 0, 0)])
def test_too_few_edits_are_refused(shots):
    with pytest.raises(UserError, match="expected at least 4 pictures of two shots"):
        optimize.split_by_shot([picture(i, shot, "bunny") for i, shot in enumerate(shots)])
