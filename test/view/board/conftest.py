"""A made-up library, and a desk over it that answers as to a browser."""

import sys
from pathlib import Path

import numpy as np
import pytest
from polars.testing import assert_frame_equal

from bunny.view.board import query

sys.path.insert(0, str(Path(__file__).parent))
import made as making

sys.path.pop(0)


@pytest.fixture
def made():
    """The module that makes a library."""
    return making


@pytest.fixture
def film_dir(tmp_path):
    """Folder of a film: four scenes of six shots, five in the noise bucket, fifteen figures."""
    return making.write_film(tmp_path / "output" / "made-00000000", making.small_rows())


class Browser:
    """Asks a desk as one browser does, and keeps what it was told."""

    def __init__(self, desk, user="ann", view="v"):
        self.desk, self.user, self.view = desk, user, view
        self.seen, self.last, self.order = 0, 0, np.empty(0, np.int32)

    def ask(self, kind, **values):
        """The answer; `order` is kept, an error raised."""
        self.last += 1
        given = {"user": self.user, "view": self.view, "seen": self.seen, "id": self.last, **values}
        answer, parts = self.desk.handle({"kind": kind, **given}, values.get("buffers", ()))
        assert answer["view"] == given["view"] and answer["id"] == given["id"]
        fresh = query.number_rows(self.desk.state.frame())
        assert_frame_equal(self.desk.table, fresh, check_dtypes=False)
        if "error" in answer:
            raise LookupError(answer["error"])
        self.seen = answer.get("seen", self.seen)
        if answer.get("has_order"):
            self.order = np.frombuffer(parts[0], np.int32)
        answer["parts"] = parts
        return answer

    def act(self, action, rows=(), level="scene", **values):
        """Do something to rows."""
        return self.ask("act", action=action, rows=list(rows), level=level, **values)

    def rows(self, **query):
        """Rows that a query gives, as shot numbers."""
        self.ask("query", query=query)
        return self.desk.table["shot_index"].gather(self.order).to_list()

    def where(self, row):
        """Cluster of a row now."""
        return self.desk.table["cluster_id"][int(row)]


@pytest.fixture
def opened(film_dir):
    """A browser before a desk."""
    return browser_of(film_dir)


@pytest.fixture
def browser():
    """Opens another browser with a kernel of its own on a film's folder."""
    return browser_of


def browser_of(film_dir, user="ann"):
    from bunny.core.config import ReviewConfig
    from bunny.view.board import items, session

    film = items.read_film(film_dir.name, film_dir)
    found = Browser(session.BoardSession(film, ReviewConfig(user="nobody")), user=user)
    found.ask("hello", query={})
    return found
