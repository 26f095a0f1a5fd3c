"""Prefetching iterator: items made in a thread, a few ahead of the consumer."""

import queue
import threading
from collections.abc import Iterator
from typing import TypeVar

Item = TypeVar("Item")
PATIENCE_S = 0.1  # how long a full queue is waited for before asking whether anyone still takes


def run_ahead(items: Iterator[Item], size: int) -> Iterator[Item]:
    """Give the items of an iterator while a thread makes the next ones.

    It pays where making an item lets go of Python's lock, as decoding a frame does.

    Parameters
    ----------
    size : int
        Items made that may wait, at least 1.

    Yields
    ------
    The items in order. What the iterator raises is raised here, after the items before it; when
    the taker stops early, the iterator is closed.
    """
    made: queue.Queue = queue.Queue(size)
    is_over = threading.Event()

    def put(kind: str, value=None) -> bool:
        while not is_over.is_set():
            try:
                made.put((kind, value), timeout=PATIENCE_S)
                return True
            except queue.Full:
                continue
        return False

    def run() -> None:
        try:
            for item in items:
                if not put("item", item):
                    break
            else:
                put("end")
        except BaseException as error:  # noqa: BLE001 - it is raised in the taker's thread
            put("error", error)
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                close()

    maker = threading.Thread(target=run, name="ahead", daemon=True)
    maker.start()
    try:
        while True:
            kind, value = made.get()
            if kind == "error":
                raise value
            if kind == "end":
                return
            yield value
    finally:
        is_over.set()
        maker.join()
