"""Asks a model about many pictures at once, and stops asking when it is plainly down."""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

from bunny.caption.program import Answer, Captioner, Question

logger = logging.getLogger(__name__)
MAX_CONSECUTIVE_FAILURES = 5  # each after all its retries


class Breaker:
    """Opens after `limit` failures in a row; an answer of any kind closes the count."""

    def __init__(self, limit: int = MAX_CONSECUTIVE_FAILURES) -> None:
        self.limit = limit
        self.last_error = ""
        self._num_failures = 0
        self._lock = threading.Lock()

    @property
    def is_open(self) -> bool:
        """Whether nothing more should be asked; once open it stays open."""
        return self._num_failures >= self.limit

    def note(self, answer: Answer) -> None:
        """Count one outcome."""
        with self._lock:
            if self.is_open:
                return
            self._num_failures = 0 if answer.is_answered else self._num_failures + 1
            self.last_error = answer.error or ""
            if self.is_open:
                logger.warning(
                    "caption: %d failures in a row, asking no more (%s)", self.limit, answer.error
                )


def ask_all(
    captioner: Captioner,
    questions: Sequence[Callable[[], Question]],
    num_in_flight: int,
    breaker: Breaker,
    keep: Callable[[int, Answer], None],
) -> Iterator[tuple[int, Answer]]:
    """Ask every question, `num_in_flight` at a time; answers come as they are ready.

    Parameters
    ----------
    captioner : Captioner
    questions : sequence of callables
        Each makes its question when its turn comes, so that few pictures are in memory; a
        `ValueError` or `OSError` of it becomes a failed answer.
    num_in_flight : int
        Threads.
    breaker : Breaker
        Once open, what is left fails without being asked.
    keep : callable
        Called in the asking thread with index and answer as soon as a model has spoken, so that
        an interrupt loses nothing that was paid for.

    Yields
    ------
    int, Answer
        Index in `questions` and what came of it.

    Raises
    ------
    UserError
        As `Captioner.ask`; questions not yet sent are dropped.
    """

    def ask(index: int, make: Callable[[], Question]) -> Answer:
        if breaker.is_open:
            return Answer(status="failed", error=f"not asked, model is down: {breaker.last_error}")
        try:
            question = make()
        except (ValueError, OSError) as error:
            return Answer(status="failed", error=str(error))
        answer = captioner.ask(question)
        if answer.is_answered:
            keep(index, answer)
        breaker.note(answer)
        return answer

    pool = ThreadPoolExecutor(max_workers=num_in_flight, thread_name_prefix="caption")
    try:
        futures = {pool.submit(ask, i, make): i for i, make in enumerate(questions)}
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BaseException:
        captioner.stopped.set()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
