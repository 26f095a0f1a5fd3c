"""Items of a thread come in order, with its errors, and it ends with its taker."""

import threading

import pytest

from bunny.video.prefetch import run_ahead


def _named():
    return [t for t in threading.enumerate() if t.name == "ahead"]


def test_items_come_in_order_and_all():
    assert list(run_ahead(iter(range(100)), 3)) == list(range(100))
    assert list(run_ahead(iter([]), 1)) == []
    assert not _named()


def test_no_more_items_are_made_than_may_wait():
    made = []

    def make():
        for i in range(50):
            made.append(i)
            yield i

    items = run_ahead(make(), 2)
    for wanted in range(5):
        assert next(items) == wanted
        # Two wait, one is in the maker's hand, one more may be asked for meanwhile.
        assert len(made) <= wanted + 1 + 2 + 2
    items.close()


def test_an_error_comes_after_the_items_before_it():
    def make():
        yield 1
        raise ValueError("broken")

    items = run_ahead(make(), 5)
    assert next(items) == 1
    with pytest.raises(ValueError, match="broken"):
        next(items)
    assert not _named()


def test_a_taker_that_stops_ends_the_thread_and_closes_the_iterator():
    is_closed = threading.Event()

    def make():
        try:
            yield from range(10**9)
        finally:
            is_closed.set()

    items = run_ahead(make(), 2)
    assert next(items) == 0
    items.close()
    assert is_closed.is_set() and not _named()
