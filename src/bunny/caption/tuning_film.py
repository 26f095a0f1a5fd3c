"""A film's pictures to tune a prompt on, and answers about them with any prompt, each paid once."""

import logging
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from bunny.caption import answer_check, optimize, program, provider_loader
from bunny.caption.answer import AnswerStore, CaptionAnswer
from bunny.caption.cost import Budget
from bunny.caption.optimize import TuningPicture
from bunny.caption.provider import PREFIX, ServedModel, is_away
from bunny.caption.provider_loader import ProviderSetup
from bunny.caption.question import QuestionMaker
from bunny.caption.tuned_prompt import TunedPrompt
from bunny.core.config import AwsConfig, CaptioningConfig
from bunny.core.error import UserError

logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class TuningFilm:
    """Pictures of a film with what people wrote of them."""

    captioning: CaptioningConfig
    aws: AwsConfig
    maker: QuestionMaker
    answers: AnswerStore  # a tuned prompt's have keys of their own
    shots: Mapping[str, int]  # of each frame_id
    edited: Mapping[str, str]  # people's captions by frame_id
    triggers: Mapping[str, str]  # by the character's name: captions have it, models are told names
    _asked: dict[str, program.Captioner] = field(default_factory=dict)

    @cached_property
    def budget(self) -> Budget:
        """What all requests together may cost."""
        return Budget(self.captioning.max_cost_usd)

    @cached_property
    def model(self) -> ServedModel:
        """The first provider that is served; raises `UserError` if there is none."""
        served = [name for name in self.captioning.providers if name in PREFIX]
        if not served:
            raise UserError(
                f"optimize: expected one of {', '.join(PREFIX)} in captioning.providers, got "
                f"{', '.join(self.captioning.providers)}; only their prompt is ours to tune"
            )
        return ServedModel(provider=served[0], captioning=self.captioning, aws=self.aws)

    def pictures(self) -> list[TuningPicture]:
        """Edited pictures, and others drawn with a fixed seed.

        Raises
        ------
        UserError
            If pictures would leave this machine and that is not allowed.
        """
        every = range(len(self.maker.facts))
        own = [i for i in every if self.maker.facts[i].frame_id in self.edited]
        rest = [i for i in every if i not in set(own)]
        drawn = random.Random(optimize.SEED).sample(rest, min(optimize.MAX_UNEDITED, len(rest)))
        self._check_upload(len(own) + len(drawn))
        return [self._picture(i) for i in sorted([*own, *drawn])]

    def _check_upload(self, number: int) -> None:
        """Every picture is sent again with each prompt, so kept answers need permission too."""
        model = self.model
        says = f"up to {number} frames go to {model.provider} at {model.host} to tune the prompt"
        model.check_upload(says)
        if is_away(model.host):
            logger.info("optimize: %s", says)

    def ask(self, picture: TuningPicture, tuned: TunedPrompt | None) -> CaptionAnswer:
        """The answer about a picture with a prompt: the kept one, else a new one, which is kept."""
        setup = self._setup(tuned)
        entry = provider_loader.entry_of(setup, self.maker, self.answers)
        index = self._index[picture.facts.frame_id]
        answer = entry.kept(index)
        if answer is None:
            number = str(setup.prompt_hash)
            if number not in self._asked:
                self._asked[number] = program.Captioner(self.model, self.budget, tuned)
            answer = self._asked[number].ask(picture.question)
            if answer.is_answered:
                entry.keep(index, answer)
        return answer_check.checked(answer, picture.question.other_names)

    @cached_property
    def _index(self) -> dict[str, int]:
        return {known.frame_id: i for i, known in enumerate(self.maker.facts)}

    def _setup(self, tuned: TunedPrompt | None) -> ProviderSetup:
        name = self.model.provider
        only = self.captioning.model_copy(update={"providers": (name,)})
        return provider_loader.set_up(only, self.aws, self.budget, tuned)[0]

    def _picture(self, index: int) -> TuningPicture:
        known = self.maker.facts[index]
        return TuningPicture(
            question=self.maker.make(index),
            facts=known,
            shot_index=self.shots[known.frame_id],
            edited=_with_names(self.edited.get(known.frame_id, ""), self.triggers),
        )


def _with_names(text: str, triggers: Mapping[str, str]) -> str:
    """A caption with names in the stead of trigger words, as models speak of characters."""
    for name, word in triggers.items():
        if word != name:
            text = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", lambda _, own=name: own, text)
    return text
