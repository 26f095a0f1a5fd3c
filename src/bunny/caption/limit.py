"""Limits on asking a served model: requests and tokens a minute, requests at once, pauses.

Buckets are those of throttled-py (GCRA, which lets through what a token bucket does). Requests at
once follow additive increase, multiplicative decrease (Chiu and Jain 1989), as TCP does: halved
when the server says that there are too many, one more after a whole round of answers.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

BURST_S = 1.0  # of a minute's requests that may go out at once
TOKEN_BURST_S = 10.0  # of a minute's tokens; a request costs a thousand or so
NUM_THROTTLED = 3  # in a row, from which a pause holds for all
FIRST_PAUSE_S, MAX_PAUSE_S = 1.0, 60.0  # seconds; a longer pause that the server asks for is kept
MIN_CUT_INTERVAL_S = 1.0  # answers to requests sent before a cut say nothing new


class RequestLimit:
    """What may be sent now, for all threads that ask one provider.

    Parameters
    ----------
    max_in_flight : int
        Most requests at once.
    requests_per_minute, tokens_per_minute : int
        0: no limit.
    stopped : threading.Event
        Ends every wait once it is set.
    clock : callable
        Seconds, monotonic.
    """

    def __init__(
        self,
        max_in_flight: int,
        *,
        requests_per_minute: int = 0,
        tokens_per_minute: int = 0,
        stopped: threading.Event | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max, self._clock = max_in_flight, clock
        self._stopped = stopped or threading.Event()
        self._changed = threading.Condition()
        self._allowed, self._in_flight = float(max_in_flight), 0
        self._cut_at, self._paused_until = -MIN_CUT_INTERVAL_S, 0.0
        self._num_throttled = 0  # in a row
        self._buckets = [
            _bucket(requests_per_minute, BURST_S),
            _bucket(tokens_per_minute, TOKEN_BURST_S),
        ]

    @property
    def allowed(self) -> int:
        """Requests that may be under way at once now, at least 1."""
        return max(1, int(self._allowed))

    @contextlib.contextmanager
    def request(self, num_tokens: int = 0) -> Iterator[None]:
        """Wait until one more request may be sent; it is under way inside the block."""
        for bucket, cost in zip(self._buckets, (1, num_tokens), strict=True):
            self._take(bucket, cost)
        with self._changed:
            while not self._stopped.is_set():
                pause_s = self._paused_until - self._clock()
                if pause_s <= 0 and self._in_flight < self.allowed:
                    break
                self._changed.wait(timeout=min(max(pause_s, 0.05), 1.0))
            self._in_flight += 1
        try:
            yield
        finally:
            with self._changed:
                self._in_flight -= 1
                self._changed.notify()

    def note_answer(self) -> None:
        """Count an answer: after a round of them one more request may be under way."""
        with self._changed:
            self._num_throttled = 0
            self._allowed = min(self._max, self._allowed + 1 / self.allowed)
            self._changed.notify()

    def note_throttled(self, retry_after_s: float | None) -> None:
        """Halve the requests at once; said three times in a row, nobody sends before it is over.

        The request that was throttled waits `retry_after_s` by itself, whatever the others do.
        """
        with self._changed:
            now = self._clock()
            if now - self._cut_at >= MIN_CUT_INTERVAL_S:
                self._allowed, self._cut_at = max(1.0, self._allowed / 2), now
            self._num_throttled += 1
            if retry_after_s and self._num_throttled >= NUM_THROTTLED:
                self._paused_until = max(self._paused_until, now + retry_after_s)

    def _take(self, bucket: Any, cost: int) -> None:
        """Wait until the bucket has so much."""
        if bucket is None or cost <= 0:
            return
        capacity, limiter = bucket
        while cost > 0 and not self._stopped.is_set():
            part = min(cost, capacity)  # more than the bucket holds is taken in parts
            found = limiter.limit(cost=part)
            if found.limited:
                self._stopped.wait(max(0.001, found.state.retry_after))
            else:
                cost -= part


def _bucket(per_minute: int, burst_s: float) -> Any:
    """Capacity and limiter of one bucket; None without a limit."""
    if per_minute <= 0:
        return None
    from throttled import Throttled, rate_limiter, store

    burst = max(1, int(per_minute * burst_s / 60))
    quota = rate_limiter.per_min(per_minute, burst=burst)
    limiter = Throttled(key="caption", using="gcra", quota=quota, store=store.MemoryStore())
    return burst, limiter


def pause_s(attempt_number: int, retry_after_s: float | None) -> float:
    """Seconds to wait after a failed attempt, the first being 1.

    What the server asks for is obeyed; otherwise pauses double, up to a minute.
    """
    if retry_after_s is not None:
        return float(retry_after_s)
    return min(FIRST_PAUSE_S * 2 ** (attempt_number - 1), MAX_PAUSE_S)
