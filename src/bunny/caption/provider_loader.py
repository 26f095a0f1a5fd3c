"""Caption providers by the names in `captioning.providers`: how each is made from its settings.

Beside each stands what its answers depend on, for the number under which they are kept.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bunny.caption import answer_check
from bunny.caption.answer import AnswerStore, CaptionAnswer, CaptionProvider, question_key
from bunny.caption.cost import Budget, Price, check_limit, find_price
from bunny.caption.fallback import ProviderEntry
from bunny.caption.provider import PREFIX, ServedModel
from bunny.caption.question import JPEG_QUALITY, MAX_SIDE_PX, QuestionMaker
from bunny.caption.tuned_prompt import TunedPrompt
from bunny.core import file_hash
from bunny.core.config import AwsConfig, CaptioningConfig
from bunny.core.error import UserError

logger = logging.getLogger(__name__)

TAGS = "tags"  # composed from the tables; asks nothing


@dataclass(frozen=True, kw_only=True)
class ProviderSetup:
    """A provider as the settings have it, not loaded yet."""

    name: str
    model: str
    prompt_hash: str | None  # of those whose prompt is ours
    num_in_flight: int
    load: Callable[[], CaptionProvider]
    depends: tuple[Any, ...]  # JSON values that answers depend on, beside picture and question
    price: Price | None = None  # None: not known
    host: str = ""  # where pictures are sent; empty: they stay in this process


def set_up(
    captioning: CaptioningConfig,
    aws: AwsConfig,
    budget: Budget | None = None,
    tuned: TunedPrompt | None = None,
) -> list[ProviderSetup]:
    """The providers that ask a model, in the order of asking; none is loaded yet.

    `tuned` goes before our own prompt where it was tuned from that.

    Raises
    ------
    UserError
        If one of them cannot work with its settings, e.g. has no model, or its price is not known
        and there is a limit on costs.
    """
    found = []
    budget = budget or Budget(captioning.max_cost_usd)
    for name in captioning.providers:
        if name in PREFIX:
            model = ServedModel(provider=name, captioning=captioning, aws=aws)
            found.append(_served(model, budget, tuned))
        elif name != TAGS:
            found.append(_SET_UP[name](captioning))
    return found


def entry_of(setup: ProviderSetup, maker: QuestionMaker, answers: AnswerStore) -> ProviderEntry:
    """The provider's place in a `FallbackChain`, with its kept answers."""

    def kept(index: int) -> CaptionAnswer | None:
        try:
            answer = answers.get(key_of(setup, maker, index))
            return answer and answer_check.checked(answer, maker.other_names(index))
        except (OSError, ValueError):  # no picture: to make the question says so
            return None

    def keep(index: int, answer: CaptionAnswer) -> None:
        row = {
            "frame_id": maker.facts[index].frame_id,
            "version": 1,
            "characters": list(maker.facts[index].characters),
            "provider": setup.name,
            "model": setup.model,
            "prompt_hash": setup.prompt_hash,
        }
        answers.put(key_of(setup, maker, index), answer, row)

    return ProviderEntry(
        name=setup.name, load=setup.load, num_in_flight=setup.num_in_flight, kept=kept, keep=keep
    )


def key_of(setup: ProviderSetup, maker: QuestionMaker, index: int) -> int:
    """Number made of all that an answer depends on; where the model is served is not of it."""
    picture = maker.picture_hash(index)
    if setup.name in PREFIX:
        own = [setup.prompt_hash, *setup.depends, maker.told(index)]
    else:
        own = [*setup.depends, *_told_here(setup.name, maker, index)]
    shown = ["crop"] if maker.is_cropped else []
    return question_key([picture, MAX_SIDE_PX, JPEG_QUALITY, *shown, *own])


def _told_here(name: str, maker: QuestionMaker, index: int) -> list[Any]:
    """What a model on this machine makes use of beside the picture."""
    known = maker.facts[index]
    if name == "tagger":
        return [maker.subject(index)]
    if name == "clip":
        return [maker.subject(index), known.shot_size, known.light]
    return [maker.told(index)]


def _served(model: ServedModel, budget: Budget, tuned: TunedPrompt | None) -> ProviderSetup:
    price = find_price(model)
    check_limit(budget.max_usd, {model.provider: price})
    from bunny.caption import program  # dspy takes seconds to import

    ours = program.prompt_hash()
    if tuned is not None and tuned.base_hash != ours:
        logger.warning(
            "caption: the tuned prompt belongs to an older version, so the built-in prompt is used"
        )
        tuned = None
    own = model.captioning
    return ProviderSetup(
        name=model.provider,
        model=model.name,
        prompt_hash=ours if tuned is None else tuned.prompt_hash,
        num_in_flight=own.batch_size,
        load=lambda: program.Captioner(model, budget, tuned),
        price=price,
        host=model.host,
        depends=(model.provider, model.name, own.max_tokens, own.temperature),
    )


def _image_to_text(captioning: CaptioningConfig) -> ProviderSetup:
    from bunny.caption import image_to_text

    own = captioning.transformers
    _need_model("transformers", own.model, "Qwen/Qwen2-VL-2B-Instruct")
    return _local(
        "transformers",
        own.model,
        lambda: image_to_text.ImageToText(own, captioning.max_tokens),
        (own.prompt or image_to_text.CHAT_PROMPT, captioning.max_tokens),
    )


def _tagger(captioning: CaptioningConfig) -> ProviderSetup:
    from bunny.caption import tagger

    own = captioning.tagger
    _need_model("tagger", own.model, tagger.PUBLISHED.repository)
    thresholds = (own.general_threshold, own.character_threshold)
    return _local("tagger", own.model, lambda: tagger.Tagger(own), thresholds)


def _zero_shot(captioning: CaptioningConfig) -> ProviderSetup:
    from bunny.caption import zero_shot

    own = captioning.clip
    _need_model("clip", own.model, "openai/clip-vit-base-patch32")
    depends = (vocabulary_hash(own.vocabulary), own.min_probability)
    return _local("clip", own.model, lambda: zero_shot.ZeroShot(own), depends)


_SET_UP: dict[str, Callable[[CaptioningConfig], ProviderSetup]] = {
    "transformers": _image_to_text,
    "tagger": _tagger,
    "clip": _zero_shot,
}


def vocabulary_hash(path: str) -> str:
    """SHA-256 of a vocabulary's words; an empty path is the package's own vocabulary.

    Raises
    ------
    UserError
        If it is not there or no vocabulary.
    """
    from pathlib import Path

    from bunny.caption import zero_shot

    own = Path(path) if path else zero_shot.OWN_VOCABULARY
    zero_shot.read_vocabulary(own)
    return file_hash.hash_file(own)


def _local(
    name: str, model: str, load: Callable[[], CaptionProvider], depends: Sequence[Any]
) -> ProviderSetup:
    return ProviderSetup(
        name=name,
        model=model,
        prompt_hash=None,
        num_in_flight=1,
        load=load,
        depends=(name, model, *depends),
    )


def _need_model(name: str, model: str, example: str) -> None:
    if not model:
        raise UserError(
            f'captioning.{name}.model: expected a folder or a hub id such as {example}, got ""; '
            f"set it or leave {name} out of captioning.providers"
        )
