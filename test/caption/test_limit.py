"""Limits on asking: rates by the clock, requests at once, pauses."""

import threading
import time

import pytest

from bunny.caption.limit import RequestLimit


def send(limit, count, num_tokens=0):
    """Seconds that so many requests take, one after the other."""
    started = time.monotonic()
    for _ in range(count):
        with limit.request(num_tokens):
            pass
    return time.monotonic() - started


def test_requests_a_minute():
    """600 a minute are 10 a second, of which a second's worth may come at once."""
    limit = RequestLimit(4, requests_per_minute=600)
    assert send(limit, 10) < 0.5
    assert send(limit, 5) == pytest.approx(0.5, abs=0.25)


def test_tokens_a_minute():
    """60,000 a minute: 10,000 at once, then a request of 500 each half a second."""
    limit = RequestLimit(4, tokens_per_minute=60_000)
    assert send(limit, 20, 500) < 0.5
    assert send(limit, 2, 500) == pytest.approx(1.0, abs=0.3)


def test_a_request_larger_than_the_bucket_is_taken_in_parts():
    """600 a minute, a bucket of 100: what is beyond waits at 10 a second."""
    limit = RequestLimit(4, tokens_per_minute=600)
    assert send(limit, 1, 105) == pytest.approx(0.5, abs=0.25)


def test_without_limits_nothing_waits():
    assert send(RequestLimit(4), 200, 10_000) < 0.5


def test_requests_at_once_are_halved_and_come_back_one_by_one():
    now = [0.0]
    limit = RequestLimit(8, clock=lambda: now[0])
    limit.note_throttled(None)
    assert limit.allowed == 4
    limit.note_throttled(None)  # sent before the cut: says nothing new
    assert limit.allowed == 4
    for expected in (2, 1, 1):
        now[0] += 1.0
        limit.note_throttled(None)
        assert limit.allowed == expected
    grown = []
    for _ in range(40):
        limit.note_answer()
        grown.append(limit.allowed)
    assert grown[:3] == [2, 2, 3]  # a round of answers each
    assert max(grown) == grown[-1] == 8


def test_never_more_at_once_than_allowed():
    limit, most, under_way, lock = RequestLimit(3), [0], [0], threading.Lock()

    def work():
        for _ in range(20):
            with limit.request():
                with lock:
                    under_way[0] += 1
                    most[0] = max(most[0], under_way[0])
                time.sleep(0.002)
                with lock:
                    under_way[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] == 3


def test_a_pause_holds_for_all_and_a_stop_ends_it():
    stopped = threading.Event()
    limit = RequestLimit(4, stopped=stopped)
    limit.note_throttled(0.4)
    limit.note_throttled(0.4)
    limit.note_answer()
    limit.note_throttled(0.4)
    limit.note_throttled(0.4)
    assert send(limit, 1) < 0.2  # twice in a row is chance
    limit.note_throttled(0.4)
    assert send(limit, 1) == pytest.approx(0.4, abs=0.2)
    limit.note_throttled(60)
    threading.Timer(0.2, stopped.set).start()
    assert send(limit, 1) < 2
