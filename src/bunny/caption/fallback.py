"""Fallback from one caption provider to the next: each picture is asked of the first that answers.

A provider has a queue of questions and threads of its own. A question that it refuses or fails
goes on to the queue of the next one, with the reason; one that answers ends it.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from typing import Any

from purgatory import SyncCircuitBreakerFactory
from purgatory.domain.model import OpenedState

from bunny.caption import answer_check
from bunny.caption.answer import CaptionAnswer, CaptionProvider, CaptionQuestion, ProviderStopped
from bunny.core.error import UserError

MAX_CONSECUTIVE_FAILURES = 5  # each after all its retries; then the breaker opens
BREAKER_S = 30.0  # until a few are asked again

NOT_ASKED = CaptionAnswer(status="failed", error="no provider was asked")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ProviderEntry:
    """A provider in the order of asking."""

    name: str  # a name from `captioning.providers`
    # Makes the provider when the first question comes; raises `UserError` when it cannot.
    load: Callable[[], CaptionProvider]
    num_in_flight: int = 1  # threads that ask at once
    # Seconds without questions after five failures in a row; then one call goes out.
    breaker_s: float = BREAKER_S
    # Reads the answer to the question of an index; None when it was never asked.
    kept: Callable[[int], CaptionAnswer | None] = lambda index: None
    # Has the answer on disk when it returns.
    keep: Callable[[int, CaptionAnswer], None] = lambda index, answer: None


@dataclass(frozen=True, kw_only=True)
class PictureState:
    """How far the question about a picture has come."""

    index: int
    provider: str | None = None  # who answered last
    answer: CaptionAnswer = NOT_ASKED
    reasons: tuple[str, ...] = ()  # why the providers before it did not answer


@dataclass(kw_only=True)
class _ProviderQueue:
    """A provider with its queue, and why it is asked no more."""

    entry: ProviderEntry
    waiting: queue.SimpleQueue = field(default_factory=queue.SimpleQueue)
    lock: threading.Lock = field(default_factory=threading.Lock)
    trial: threading.Lock = field(default_factory=threading.Lock)  # of a breaker that is half open
    provider: CaptionProvider | None = None
    out: str = ""  # why it is asked no more in this run
    last_error: str = ""
    breaker: Any = None

    def __post_init__(self) -> None:
        circuits = SyncCircuitBreakerFactory()
        self.breaker = circuits.get_breaker(
            self.entry.name, threshold=MAX_CONSECUTIVE_FAILURES, ttl=self.entry.breaker_s
        )

    def skip(self, questions: Sequence[CaptionQuestion]) -> list[CaptionAnswer]:
        """Answers of a provider whose breaker is open."""
        why = f"request skipped, the model is not responding: {self.last_error}"
        return [CaptionAnswer(status="failed", error=why) for _ in questions]

    def load(self) -> CaptionProvider:
        """The provider, loaded once."""
        with self.lock:
            if self.provider is None:
                self.provider = self.entry.load()
            return self.provider


class _NoAnswer(Exception):  # noqa: N818 a signal to the breaker
    """Nobody answered; carries the failed answers through the breaker."""

    def __init__(self, answers: list[CaptionAnswer]) -> None:
        super().__init__()
        self.answers = answers


class FallbackChain:
    """Providers in their order, and the questions that go through them.

    Parameters
    ----------
    make : callable
        Makes the question of an index when its turn comes, so that few pictures are in memory; a
        `ValueError` or `OSError` of it fails that picture alone.
    has_more : bool
        Whether somebody answers after the last of them; if not, a `UserError` of the last one
        ends the run.
    """

    def __init__(
        self,
        entries: Sequence[ProviderEntry],
        make: Callable[[int], CaptionQuestion],
        *,
        has_more: bool = False,
    ) -> None:
        self._queues = [_ProviderQueue(entry=entry) for entry in entries]
        self._make, self._has_more = make, has_more
        self._done: queue.SimpleQueue[PictureState | BaseException] = queue.SimpleQueue()
        self._stopped = threading.Event()

    def ask(self, indices: Sequence[int]) -> Iterator[PictureState]:
        """Ask about every index; what became of each comes as soon as it is known.

        Raises
        ------
        UserError
            If the last provider cannot be asked at all, and nothing answers after it.
        """
        for index in indices:
            self._pass_on(0, PictureState(index=index))
        threads = [
            threading.Thread(
                target=copy_context().run,  # log lines say the film and the stage
                args=(self._work, number),
                name=f"caption-{own.entry.name}",
            )
            for number, own in enumerate(self._queues)
            for _ in range(own.entry.num_in_flight)
        ]
        for thread in threads:
            thread.start()
        try:
            for _ in indices:
                found = self._done.get()
                if isinstance(found, BaseException):
                    raise found
                yield found
        finally:
            self._stop()
            for thread in threads:
                thread.join()

    def _stop(self) -> None:
        """End pauses, drop what was not asked and let the threads go."""
        self._stopped.set()
        for own in self._queues:
            stopped = getattr(own.provider, "stopped", None)
            if stopped is not None:
                stopped.set()
            for _ in range(own.entry.num_in_flight):
                own.waiting.put(None)

    def _pass_on(self, number: int, state: PictureState) -> None:
        """Queue a picture at provider `number`, or its kept answer; past the last it is done."""
        while number < len(self._queues):
            own = self._queues[number]
            answer = own.entry.kept(state.index)
            if answer is None:
                own.waiting.put(state)
                return
            state = _with_answer(state, own.entry.name, answer)
            if answer.status == "done":
                break
            number += 1
        self._done.put(state)

    def _work(self, number: int) -> None:
        """Ask one provider until the run stops."""
        own = self._queues[number]
        try:
            while (batch := self._take(own)) and not self._stopped.is_set():
                for state in self._answer(number, batch):
                    is_done = state.answer.status == "done"
                    self._pass_on(len(self._queues) if is_done else number + 1, state)
        except BaseException as error:  # noqa: BLE001 the caller's thread raises it
            self._done.put(error)

    def _take(self, own: _ProviderQueue) -> list[PictureState]:
        """Wait for a question, then take as many as a call holds; none at the end."""
        first = own.waiting.get()
        batch = [] if first is None else [first]
        size = own.provider.batch_size if own.provider and not own.out else 1
        while batch and len(batch) < size:
            try:
                more = own.waiting.get_nowait()
            except queue.Empty:
                break
            if more is None:
                own.waiting.put(None)
                break
            batch.append(more)
        return batch

    def _answer(self, number: int, batch: Sequence[PictureState]) -> list[PictureState]:
        """Ask one call's questions and keep what was said."""
        own = self._queues[number]
        if not own.out:
            try:
                return self._ask(own, own.load(), batch)
            except ProviderStopped as stop:
                own.out = str(stop)
                logger.info("caption: %s is asked no more (%s)", own.entry.name, stop)
            except UserError as error:
                if number == len(self._queues) - 1 and not self._has_more:
                    raise
                own.out = str(error)
                logger.warning("caption: %s is not asked (%s)", own.entry.name, error)
        skipped = CaptionAnswer(status="failed", error=own.out)
        return [_with_answer(state, own.entry.name, skipped) for state in batch]

    def _ask(
        self, own: _ProviderQueue, provider: CaptionProvider, batch: Sequence[PictureState]
    ) -> list[PictureState]:
        found: list[PictureState] = []
        asked: list[tuple[PictureState, CaptionQuestion]] = []
        for state in batch:
            try:
                asked.append((state, self._make(state.index)))
            except (ValueError, OSError) as error:
                broken = CaptionAnswer(status="failed", error=str(error))
                found.append(_with_answer(state, own.entry.name, broken))
        started = time.monotonic()
        answers = self._call(own, provider, [question for _, question in asked])
        latency_s = (time.monotonic() - started) / max(len(asked), 1)
        for (state, question), given in zip(asked, answers, strict=True):
            answer = answer_check.checked(given, question.other_names)
            if answer.is_answered:
                answer = replace(answer, latency_s=round(latency_s, 4))
                own.entry.keep(state.index, answer)
            found.append(_with_answer(state, own.entry.name, answer))
        return found

    def _call(
        self, own: _ProviderQueue, provider: CaptionProvider, questions: list[CaptionQuestion]
    ) -> list[CaptionAnswer]:
        """Answers through the breaker: open, it fails at once; half open, one call goes out."""
        if not questions:
            return []
        is_trial = own.breaker.context.state != "closed"
        if is_trial and not own.trial.acquire(blocking=False):
            return own.skip(questions)
        try:
            return self._call_through(own, provider, questions)
        finally:
            if is_trial:
                own.trial.release()

    def _call_through(
        self, own: _ProviderQueue, provider: CaptionProvider, questions: list[CaptionQuestion]
    ) -> list[CaptionAnswer]:
        try:
            with own.breaker:
                answers = provider.caption_batch(questions)
                if not any(answer.is_answered for answer in answers):
                    raise _NoAnswer(answers)
        except OpenedState:
            return own.skip(questions)
        except _NoAnswer as failure:
            own.last_error = failure.answers[-1].error or ""
            return failure.answers
        return answers


def _with_answer(state: PictureState, name: str, answer: CaptionAnswer) -> PictureState:
    """The state after a provider's answer; that of the one before becomes a reason."""
    return replace(state, provider=name, answer=answer, reasons=explain(state))


def explain(state: PictureState) -> tuple[str, ...]:
    """Why the providers so far did not answer, e.g. ``bedrock: timeout: no answer in 60 s``."""
    if state.provider is None or state.answer.status == "done":
        return state.reasons
    return (*state.reasons, f"{state.provider}: {state.answer.error}")
