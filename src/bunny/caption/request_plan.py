"""Requests that a run would make: how many, what they cost, and where pictures would go."""

from collections.abc import Sequence

from bunny.caption.answer import AnswerStore
from bunny.caption.cost import CostEstimate, count_prompt_tokens, mean_tokens
from bunny.caption.provider import PREFIX, is_away
from bunny.caption.provider_loader import ProviderSetup, entry_of
from bunny.caption.question import MAX_SIDE_PX, QuestionMaker
from bunny.core.error import UserError


def estimate(
    setups: Sequence[ProviderSetup], maker: QuestionMaker, answers: AnswerStore, max_tokens: int
) -> list[CostEstimate]:
    """What is still to ask of each served provider, if each answers all that comes to it.

    Parameters
    ----------
    setups, maker, answers : as of the run
    max_tokens : int
        Most tokens of an answer; what kept answers of the model took counts more.
    """
    todo, used = _plan(setups, maker, answers)
    return [
        _estimate(setup, maker, todo[setup.name], used[setup.name], max_tokens)
        for setup in setups
        if setup.name in PREFIX
    ]


def _plan(
    setups: Sequence[ProviderSetup], maker: QuestionMaker, answers: AnswerStore
) -> tuple[dict[str, list[int]], dict[str, list[tuple[int, int]]]]:
    """Pictures that each provider is to be asked about first, and tokens of its kept answers."""
    todo: dict[str, list[int]] = {setup.name: [] for setup in setups}
    used: dict[str, list[tuple[int, int]]] = {setup.name: [] for setup in setups}
    for index in range(len(maker.facts)):
        for setup in setups:
            answer = entry_of(setup, maker, answers).kept(index)
            if answer is None:
                todo[setup.name].append(index)
                break
            if answer.input_tokens is not None and answer.output_tokens is not None:
                used[setup.name].append((answer.input_tokens, answer.output_tokens))
            if answer.status == "done":
                break
    return todo, used


def check_upload(
    setups: Sequence[ProviderSetup], maker: QuestionMaker, answers: AnswerStore, *, is_allowed: bool
) -> list[str]:
    """Say which pictures may leave this machine, and where to; refuse it unless it is allowed.

    Returns
    -------
    list of str
        One sentence for each provider on another machine that may be asked; none when every
        answer is kept or all providers are on this machine.

    Raises
    ------
    UserError
        If there is one, and `captioning.allow_upload` is not set.
    """
    todo, _ = _plan(setups, maker, answers)
    found: list[str] = []
    waiting: list[int] = []  # what providers before it refuse comes to the next
    for setup in setups:
        waiting += todo[setup.name]
        if waiting and setup.host and is_away(setup.host):
            found.append(_upload_sentence(setup, maker, sorted(waiting)))
    if found and not is_allowed:
        raise UserError(
            f"captioning.allow_upload: {found[0]}; set captioning.allow_upload=true to allow it, "
            "or leave that provider out of captioning.providers"
        )
    return found


def _upload_sentence(setup: ProviderSetup, maker: QuestionMaker, indices: Sequence[int]) -> str:
    """E.g. ``up to 12 frames (f0 to f11) would go to openai at api.openai.com, …``."""
    first, last = (maker.facts[indices[i]].frame_id for i in (0, -1))
    what = "crops of their figures" if maker.is_cropped else "whole"
    return (
        f"up to {len(indices)} frames ({first} to {last}) go to {setup.name} at {setup.host}, "
        f"{what}, as JPEG of at most {MAX_SIDE_PX} px without metadata"
    )


def _estimate(
    setup: ProviderSetup,
    maker: QuestionMaker,
    indices: Sequence[int],
    used: Sequence[tuple[int, int]],
    max_tokens: int,
) -> CostEstimate:
    from bunny.caption import program

    prompt = program.signature().instructions
    told = [count_prompt_tokens(" ".join([prompt, *maker.told(index)])) for index in indices]
    longest = max(told, default=0)
    one_in, one_out = mean_tokens(used, (longest, max_tokens))
    cost = setup.price.cost_usd(one_in, one_out) if setup.price else None
    return CostEstimate(
        provider=setup.name,
        model=setup.model,
        num_pictures=len(indices),
        num_tokens=len(indices) * (one_in + one_out),
        cost_usd=None if cost is None else len(indices) * cost,
    )
