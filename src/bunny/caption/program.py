"""Caption program of dspy: signature, answers, and retries.

A model that cannot be asked (server down, time-out) gives `failed` and nothing is kept; a model
that answered, well or badly, is never asked the same question twice.
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Sequence
from functools import cache
from typing import Any

from bunny.caption.answer import CaptionAnswer, CaptionQuestion
from bunny.caption.provider import ProviderSettings, credential_name, import_dspy, make_lm, redact
from bunny.core.error import UserError

MAX_ERROR_CHARACTERS = 300
MAX_PAUSE_S = 60.0  # also where the server asks for a longer one
REFUSAL = re.compile(
    r"^\W*(i['’]?m (very )?sorry|sorry\b|i (am sorry|can ?not|can['’]t|won['’]t)\b|"
    r"i(['’]m| am) (unable|not able)|as an ai\b|unable to (assist|help|comply))",
    re.IGNORECASE,
)


@cache
def signature() -> Any:
    """The `dspy.Signature` of the program; its docstring is the prompt."""
    dspy = import_dspy()

    class CaptionFrame(dspy.Signature):
        """Describe one still picture of a film for training a text-to-image model.

        Write one plain English sentence of at most 40 words, in this order: who is seen and what
        they do, where they are, how near the camera is, the light. Call every character by exactly
        one of the trigger words, and describe clothes, pose and expression, but never the face,
        hair or skin that make the character who it is. Name nobody who is not among the trigger
        words. The facts were measured and are right more often than not; where the picture plainly
        contradicts one, trust the picture. Do not begin with "The image shows", do not guess at
        what is outside the frame, do not mention picture quality.
        """

        picture: dspy.Image = dspy.InputField()  # pyright: ignore[reportInvalidTypeForm] imported late
        facts: list[str] = dspy.InputField(desc="measured on the picture and its shot")
        trigger_words: list[str] = dspy.InputField(desc="of the characters that are seen")
        caption: str = dspy.OutputField(desc="one sentence; uses every trigger word")
        tags: str = dspy.OutputField(
            desc="five to twelve short lower-case tags, comma-separated", default=""
        )

    return CaptionFrame


@cache
def prompt_hash() -> str:
    """Sixteen hex digits that change with any word of the prompt."""
    kind = signature()
    fields = {n: str(f.json_schema_extra) for n, f in kind.fields.items()}
    return hashlib.sha256(json.dumps([kind.instructions, fields]).encode()).hexdigest()[:16]


class Captioner:
    """A model ready to be asked, from any number of threads."""

    def __init__(self, settings: ProviderSettings) -> None:
        """Build the model; refuses missing settings and credentials (`UserError`)."""
        self.settings = settings
        self.stopped = threading.Event()  # set: pauses end and nothing is tried again
        self.lm = make_lm(settings)
        dspy = import_dspy()
        self.program = dspy.Predict(signature())
        self.adapter = dspy.ChatAdapter(use_json_adapter_fallback=False)

    batch_size = 1

    def caption_batch(self, questions: Sequence[CaptionQuestion]) -> list[CaptionAnswer]:
        """Answers to questions, one request each; raises as `ask`."""
        return [self.ask(question) for question in questions]

    def ask(self, question: CaptionQuestion) -> CaptionAnswer:
        """Ask about one picture, with retries after 429, 5xx and time-outs.

        Raises
        ------
        UserError
            If the provider refuses the credential, the account or the model's name: no other
            picture would fare better.
        """
        dspy = import_dspy()
        lm = self.lm.copy()
        try:
            prediction = self._call(lm, question)
        except (dspy.LMAuthError, dspy.LMBillingError, dspy.LMUnsupportedModelError) as error:
            raise UserError(self._explain_refused(error)) from error
        except dspy.AdapterParseError as error:
            return _to_answer(error.lm_response or "", None, (), lm.history)
        except dspy.LMError as error:
            return CaptionAnswer(status="failed", error=self._clean(error))
        tags = tuple(dict.fromkeys(t.strip().lower() for t in (prediction.tags or "").split(",")))
        return _to_answer("", prediction.caption, tuple(t for t in tags if t), lm.history)

    def _call(self, lm: Any, question: CaptionQuestion) -> Any:
        """One call of the program, tried again while the failure is a passing one."""
        import tenacity

        dspy = import_dspy()
        retrying = tenacity.Retrying(
            stop=tenacity.stop_any(
                tenacity.stop_after_attempt(self.settings.max_retries + 1),
                tenacity.stop_when_event_set(self.stopped),
            ),
            sleep=tenacity.sleep_using_event(self.stopped),
            retry=tenacity.retry_if_exception(dspy.is_retryable_lm_error),
            wait=self._pause,
            reraise=True,
        )
        with dspy.context(lm=lm, adapter=self.adapter, max_history_size=2):
            return retrying(
                self.program.deepcopy(),
                picture=dspy.Image(_data_uri(question.picture)),
                facts=list(question.facts),
                trigger_words=list(question.trigger_words),
            )

    def _pause(self, state: Any) -> float:
        """Seconds to wait: what the server asks for, else doubling."""
        hint = getattr(state.outcome.exception(), "retry_after", None)
        if hint is not None:
            return min(float(hint), MAX_PAUSE_S)
        return min(self.settings.backoff_s * 2 ** (state.attempt_number - 1), MAX_PAUSE_S)

    def _clean(self, error: Exception) -> str:
        """One line without advice for programmers and without secrets."""
        status = getattr(error, "status", None)
        kind = type(error).__name__.removeprefix("LM").removesuffix("Error").lower()
        message = (getattr(error, "message", None) or str(error)).split("\n\n")[0]
        words = " ".join(redact(message, self.settings).split())[:MAX_ERROR_CHARACTERS]
        return f"{kind}{f' (HTTP {status})' if status else ''}: {words}"

    def _explain_refused(self, error: Exception) -> str:
        """One sentence for a refusal that the user can mend."""
        s = self.settings
        return (
            f"caption provider {s.provider}: request to model {s.model} with "
            f"{credential_name(s)} failed: {self._clean(error)}; check the key and "
            "the model name"
        )


def _data_uri(jpeg: bytes) -> str:
    """The picture as it is: dspy would encode bare bytes once more."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def _to_answer(
    raw: str, caption: str | None, tags: tuple[str, ...], calls: list[dict]
) -> CaptionAnswer:
    """Say whether what the model said is a caption, a refusal or garbage; adds what it cost."""
    paid = _meter(calls)
    text = " ".join((caption or "").split())
    last = calls[-1] if calls else {"refusal": None, "is_filtered": False}
    said = text or last["refusal"] or " ".join(raw.split())
    if last["refusal"] or last["is_filtered"] or REFUSAL.match(said):
        why = f"the model refused: {said[:MAX_ERROR_CHARACTERS] or 'blocked by its content filter'}"
        return CaptionAnswer(status="refused", error=why, **paid)
    if not text:
        why = f"expected a caption, got {said[:MAX_ERROR_CHARACTERS]!r}"
        return CaptionAnswer(status="failed", error=why, **paid)
    return CaptionAnswer(status="done", text=text, tags=tags, **paid)


def _meter(calls: list[dict]) -> dict[str, Any]:
    """Tokens and cost over the calls of one question; null where any of them is unknown."""

    def total(values: list) -> Any:
        return sum(values) if values and None not in values else None

    return {
        "is_answered": bool(calls),
        "input_tokens": total([c["usage"].get("prompt_tokens") for c in calls]),
        "output_tokens": total([c["usage"].get("completion_tokens") for c in calls]),
        "cost_usd": total([c["cost"] for c in calls]),
    }
