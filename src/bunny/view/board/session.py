"""Board sessions: answers to a browser's messages, independent of any widget.

A message is a mapping with `kind`, the `view` that asks and its `id`; an answer is a mapping with
the same `view` and `id`, and buffers of bytes. Every correction is an event in the film's record;
what others put there comes in with the next message, so that boards in several browsers, each with
a kernel of its own, show the same.

| kind | asks for |
|---|---|
| hello | what there is, folders and the first order |
| query | another order |
| page | words and small pictures of some rows |
| detail | all that is known of one row |
| preview | what looks like some rows |
| act | a correction, see `action.make_events` |
| undo, redo | taking back, bringing back |
| poll | what changed since |
| upload | reference pictures for a character |
| sets | the film's training sets, who approved them and their rights |
| set_pictures | small pictures of a training set |
| set_decide | approving a training set as it was shown, or taking that back |
| apply | making the training sets again, with the corrections |
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from bunny.core import disk_full
from bunny.core.config import ReviewConfig
from bunny.core.error import BunnyError, UserError
from bunny.review import create_event, look_alike
from bunny.review.state import NOISE_THRESHOLD
from bunny.table.box import BOX
from bunny.view.board import action, query, serialize, thumbnail, training_set
from bunny.view.board.items import BoardFilm, BoardItems

logger = logging.getLogger(__name__)

MAX_PAGE = 200
MAX_NEWS = 5
MAX_USER = 60  # characters of a name
MAX_FAULT = 200  # characters
# What fields of a wrong type, or out of every range, come to.
MALFORMED = (
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    ArithmeticError,
    pl.exceptions.PolarsError,
)
Answer = tuple[dict[str, Any], list[bytes]]
ACTIONS = ("act", "undo", "redo", "set_decide", "apply")
Upload = Callable[[str, Sequence[tuple[str, bytes]]], str]


@dataclass(kw_only=True)
class BoardView:
    """State that one browser was sent last."""

    query: query.BoardQuery
    order: np.ndarray
    table: pl.DataFrame
    seen: int
    update: training_set.SentUpdate | None = None  # None: it was told nothing yet
    last: tuple[object, Answer] | None = None  # id of the last correction and what was answered


class BoardSession(BoardItems):
    """The library of one film, with corrections, for boards to show.

    Parameters
    ----------
    noise_threshold : float
        As stage review has it.
    upload : callable, optional
        Adds reference pictures to a character; None: the board cannot receive any.
    update : training_set.SetUpdater, optional
        Says whether the training sets are out of date, and makes them again; None: nothing does.
    """

    def __init__(
        self,
        film: BoardFilm,
        review: ReviewConfig,
        *,
        noise_threshold: float = NOISE_THRESHOLD,
        upload: Upload | None = None,
        update: training_set.SetUpdater | None = None,
    ) -> None:
        self.review, self.upload, self.update = review, upload, update
        self._thumbs = thumbnail.ThumbnailCache()
        super().__init__(film, noise_threshold)

    def handle(self, message: Mapping[str, Any], buffers: Sequence[bytes] = ()) -> Answer:
        """Answer one message; a refusal is an answer with `error`, one sentence."""
        if not isinstance(message, Mapping):
            sentence = f"expected a message of named fields, got {type(message).__name__}"
            return {"error": f"{sentence}; reload the page"}, []
        given = {"id": message.get("id"), "view": message.get("view")}
        answers = {
            "hello": self._hello,
            "query": self._query,
            "page": self._page,
            "detail": self._detail,
            "preview": self._preview,
            "act": self._act,
            "undo": self._undo,
            "redo": self._undo,
            "poll": self._delta,
            "sets": self._sets,
            "set_pictures": self._set_pictures,
            "set_decide": self._set_decide,
            "apply": self._apply,
        }
        try:
            if message.get("kind") not in ("hello", "upload"):
                self.catch_up()
                if str(message.get("view")) not in self._views:
                    return {**given, "is_closed": True}, []
            if message.get("kind") == "upload":
                answer, parts = self._upload(message, buffers)
            elif message.get("kind") in ACTIONS:
                answer, parts = self._once(message, answers[message["kind"]])
            elif message.get("kind") in answers:
                answer, parts = answers[message["kind"]](message)
            else:
                raise UserError(
                    f"unknown message kind {message.get('kind')!r}: expected one of "
                    f"{', '.join(answers)}"
                )
        except BunnyError as error:
            return {**given, "error": str(error)}, []
        except OSError as error:  # e.g. the film's folder is read-only
            logger.warning("board: message of kind %s failed: %r", message.get("kind"), error)
            fault = disk_full.describe(error) or f"could not be done ({error.strerror})"
            return {**given, "error": f"{message.get('kind')}: {fault}"}, []
        except MALFORMED as error:
            logger.warning("board: message of kind %s failed: %r", message.get("kind"), error)
            fault = repr(error)[:MAX_FAULT]
            sentence = f"{message.get('kind')!s:.20}: missing or malformed field: {fault}"
            return {**given, "error": f"{sentence}; reload the page"}, []
        return {**given, **answer}, parts

    def _open(self, film: BoardFilm) -> None:
        """Every view has to be told anew."""
        self._views: dict[str, BoardView] = {}
        super()._open(film)

    # ---- answers

    def _hello(self, message: Mapping) -> Answer:
        self.catch_up()
        levels = self.table["level"].unique().to_list()
        answer, parts = self._query(message)
        about = {
            "film_id": self.film.film_id,
            "aspect": self.film.aspect,
            "levels": [level for level in ("scene", "character") if level in levels] or ["scene"],
            "default_user": self.review.user,
        }
        return {**about, **answer}, parts

    def _query(self, message: Mapping) -> Answer:
        asked = query.from_dict(message.get("query", {}))
        view = self._views[str(message["view"])] = BoardView(
            query=asked,
            order=query.select(self.table, asked),
            table=self.table,
            seen=len(self.events),
        )
        answer = {"seen": view.seen, "folders": query.list_folders(self.table, asked.level)}
        answer["has_sets"] = training_set.exists(self.film.root)
        answer |= {**self._steps(message), **self._updates(view)}
        return {**answer, "has_order": True}, [view.order.tobytes()]

    def _page(self, message: Mapping) -> Answer:
        rows = self._rows(message["rows"])[:MAX_PAGE]
        items = [serialize.item(row) for row in self.table[rows].iter_rows(named=True)]
        return {"items": items}, self._pictures(self._rows(message.get("pictures", ())))

    def _detail(self, message: Mapping) -> Answer:
        (row,) = self._rows([message["row"]])
        item = self.table.row(row, named=True)
        answer = {
            "shot": item["shot_index"],
            "caption": self._caption(item),
            "comments": [
                {"user": event.user, "text": event.text, "time": event.time}
                for event in self.state.comments(item["asset_id"])
            ],
        }
        return {**answer, "facts": serialize.facts(item, answer["caption"])}, []

    def _preview(self, message: Mapping) -> Answer:
        rows = self._rows(message["rows"])
        chosen = self.table[rows]
        threshold = self.review.propagate_similarity
        is_scene = chosen["level"].first() == "scene"
        vectors = self.film.shot_vectors if is_scene else self.film.figure_vectors
        if vectors is None:
            raise UserError("no embeddings for these items, so look-alikes cannot be searched")
        found = look_alike.look_alikes(
            self.state,
            vectors,
            chosen["asset_id"].to_list(),
            threshold=threshold,
            limit=self.review.max_propagated,
        )
        known = self.table.select("asset_id", "row", "cluster_id", "name", "timestamp_s")
        table = found.join(known, on="asset_id", maintain_order="left")
        rows = table["row"].to_list()
        listed = [
            {
                "row": row["row"],
                "similarity": round(row["similarity"], 3),
                "from": row["name"] or row["cluster_id"] or "noise",
                "time": row["timestamp_s"],
            }
            for row in table.iter_rows(named=True)
        ]
        clusters = chosen["cluster_id"].drop_nulls().unique().to_list()
        answer = {"found": listed, "threshold": threshold}
        answer["cluster"] = clusters[0] if len(clusters) == 1 else None
        return answer, self._pictures(rows)

    def _once(self, message: Mapping, answer: Callable[[Mapping], Answer]) -> Answer:
        """A correction that arrives again, after a broken connection, is not done again."""
        view = self._views[str(message["view"])]
        if view.last is None or view.last[0] != message.get("id"):
            view.last = (message.get("id"), answer(message))
        return view.last[1]

    def _act(self, message: Mapping) -> Answer:
        user = self._user(message)
        seen = int(message.get("seen", len(self.events)))
        rows = self._rows(message.get("rows", ()))
        chosen = self.table[rows]
        context = create_event.EventContext(user=user, seen=seen, exemplars=self.review.exemplars)
        done = action.make_events(self.state, chosen, message, context)
        self.commit(done)
        texts = [action.describe(event, self.events) for event in done]
        answer, parts = self._delta(message)
        answer["news"] = answer.get("news", []) + action.conflicts(self.state, self.events, done)
        return {**answer, "done": ", ".join(texts)}, parts

    def _undo(self, message: Mapping) -> Answer:
        user = self._user(message)
        past, back = action.undo_and_redo(self.events, user)
        target = past if message["kind"] == "undo" else back
        if target is None:
            raise UserError(f"{user} has nothing to {message['kind']}")
        seen = int(message.get("seen", len(self.events)))
        event = create_event.undo(
            self.state, create_event.EventContext(user=user, seen=seen), target.event_id
        )
        self.commit([event])
        answer, parts = self._delta(message)
        done = action.describe(event, self.events)
        if message["kind"] == "redo":
            held = next(e for e in self.events if e.event_id == target.undoes)
            done = f"redid: {action.describe(held)}"
        return {**answer, "done": done}, parts

    def _upload(self, message: Mapping, buffers: Sequence[bytes]) -> Answer:
        if self.upload is None:
            raise UserError("this board cannot receive pictures; open it with `bunny review`")
        names = [str(name) for name in message["names"]]
        data = [bytes(part) for part in buffers]
        found = self.table.filter(
            (pl.col("level") == "character") & (pl.col("cluster_id") == message["cluster"])
        )
        name = found["name"].drop_nulls().first() if found.height else None
        if name is None:
            raise UserError(
                f"{message['cluster']}: reference pictures need a named character; rename "
                "this cluster first"
            )
        return {"done": self.upload(str(name), list(zip(names, data, strict=True)))}, []

    def _sets(self, message: Mapping) -> Answer:
        root = self.film.root
        answer = {"sets": training_set.list_sets(root), "rights": training_set.list_rights(root)}
        return {**answer, "needs_approval": self.review.needs_approval}, []

    def _set_pictures(self, message: Mapping) -> Answer:
        wanted = [str(image_id) for image_id in message["images"]]
        return {}, training_set.cut_pictures(self.film.root, wanted)

    def _set_decide(self, message: Mapping) -> Answer:
        if self.update is not None and not message.get("is_withdrawn"):
            self.update.check()
        return {"done": training_set.decide(self.film.root, message, self._user(message))}, []

    def _apply(self, message: Mapping) -> Answer:
        if self.update is None:
            raise UserError("this board cannot make training sets; open it with `bunny review`")
        self.update.start()
        return self._updates(self._views[str(message["view"])]), []

    # ---- parts of answers

    def _updates(self, view: BoardView) -> dict[str, training_set.SentUpdate]:
        """Changes that the training sets lack, where the view was told something else."""
        now = None if self.update is None else self.update.describe()
        if now is None or now == view.update:
            return {}
        view.update = now
        return {"update": now}

    def _delta(self, message: Mapping) -> Answer:
        """What changed since this view was told last."""
        view = self._views[str(message["view"])]
        updates = self._updates(view)
        if view.table is self.table and view.seen == len(self.events):
            return {"seen": view.seen, **updates}, []
        user = str(message.get("user", ""))
        new = [e for e in self.events[view.seen :] if e.user != user]
        answer: dict[str, Any] = {
            "seen": len(self.events),
            "folders": query.list_folders(self.table, view.query.level),
            "news": [serialize.news(e, self.events) for e in new[-MAX_NEWS:]],
            **self._steps(message),
            **updates,
            **serialize.changed(view.table, self.table),
        }
        order = query.keep_order(self.table, view.query, view.order)
        answer["has_order"] = not np.array_equal(order, view.order)
        view.order, view.table, view.seen = order, self.table, len(self.events)
        return answer, [order.tobytes()] if answer["has_order"] else []

    def _steps(self, message: Mapping) -> serialize.NextSteps:
        return serialize.steps(self.events, str(message.get("user", "")))

    def _rows(self, rows: Sequence[int]) -> list[int]:
        """Numbers of rows that there are."""
        found = [int(row) for row in rows]
        if any(not 0 <= row < self.table.height for row in found):
            raise UserError(
                f"row index out of range: expected 0 to {self.table.height - 1}; reload the page"
            )
        return found

    def _pictures(self, rows: Sequence[int]) -> list[bytes]:
        columns = ("frame_id", "shot_index", *BOX)
        wanted = self.table[list(rows)].select(columns).to_dicts() if rows else []
        film = self.film
        return self._thumbs.get(thumbnail.sources(film.root, film.pictures, film.shots, wanted))

    def _user(self, message: Mapping) -> str:
        user = " ".join(str(message.get("user") or self.review.user).split())[:MAX_USER]
        if not user:
            raise UserError(
                "a correction needs the name of the person who makes it, got none; enter "
                "your name in the toolbar"
            )
        return user

    def _caption(self, item: Mapping[str, Any]) -> str:
        """A person's words for a shot, else the captioner's."""
        own = self.state.captions().get(item["asset_id"])
        return own[0] if own else self.film.captions.get(item["shot_index"], "")
