"""A film's items with all that was said of them, kept up to date with record and tables."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import polars as pl

from bunny.review import doubt, log
from bunny.review.event import Event
from bunny.review.state import NOISE_THRESHOLD, State
from bunny.view.board import incremental_table, query, source, undone_doubt
from bunny.view.board.source import Film

logger = logging.getLogger(__name__)


class Library:
    """What the boards of a film show.

    Parameters
    ----------
    film : Film
    noise_threshold : float
        As stage review has it.

    Attributes
    ----------
    film : Film
    state : State
        Items where they are now.
    events : list of Event
        The record, in its order.
    table : pl.DataFrame
        `query.number(state.frame())`; another object after each change.
    """

    def __init__(self, film: Film, noise_threshold: float = NOISE_THRESHOLD) -> None:
        self._noise = noise_threshold
        self._open(film)

    def catch_up(self) -> bool:
        """Take in what is new in the record, or in the tables; says whether anything was."""
        if source.version(self.film.root) != self.film.version:
            logger.info("%s: its library was made again", self.film.film_id)
            self._open(source.read(self.film.film_id, self.film.root))
            return True
        path = self.film.root / log.FILE
        size = path.stat().st_size if path.exists() else 0
        if size == self._size:
            return False
        self._size = size
        new = log.read(self.film.root, after=len(self.events))
        if not new:
            return False
        self.events += new
        if len(self.events) == len(new):
            self.state.replay(self.events)
            self.table = self._frame()
            return True
        for event in new:
            self.table = incremental_table.update(self.table, self.state, self.state.apply(event))
        return True

    def commit(self, events: Sequence[Event]) -> None:
        """Put events down; what others put there meanwhile comes in with them."""
        log.append(self.film.root, events)
        self.catch_up()

    def _open(self, film: Film) -> None:
        """Begin with a film's tables; rows of before stand for other items."""
        self.film = film
        vectors = {"scene": film.shot_vectors, "character": film.figure_vectors}
        floor = {**doubt.FLOOR, "scene": min(0.99, self._noise)}  # as stage review has it
        asset = undone_doubt.give_back(film.asset, vectors, floor)
        self.state = State.of(asset, film.shot_vectors, noise_threshold=self._noise)
        self.events: list[Event] = []
        self._size = -1  # bytes of the record when it was read last
        self.table = self._frame()
        self.catch_up()

    def _frame(self) -> pl.DataFrame:
        """The library as it is now; comments are copied, since the state counts on in its own."""
        return query.number(self.state.frame().with_columns(pl.col("comments") + 0))
