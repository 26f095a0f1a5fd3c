"""`bunny publish`: a film's tables to a shared Postgres, and what people said there back.

All of it is one transaction: first the rows travel, then dashboards are kept from writing for a
moment, what they wrote is put into the film's record, and the tables are brought to what is here.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import polars as pl

from bunny.command import film_workspace
from bunny.core import config as configuration
from bunny.core import workspace
from bunny.core.config import Config
from bunny.core.error import UserError
from bunny.core.workspace import Workspace
from bunny.dataset import approval
from bunny.library.publish import connect, rows, setup, sync
from bunny.library.publish import schema as publish_schema
from bunny.library.publish.connect import DatabaseServer, Destination
from bunny.library.publish.rows import RowChanges
from bunny.review import event_log as events_
from bunny.review.event_log import Event
from bunny.table import schema, store

logger = logging.getLogger(__name__)

MAX_NAMED = 8  # tables that a text names


@dataclass(frozen=True, kw_only=True)
class PublishResult:
    """What was done, or would be in a dry run."""

    film_id: str
    is_dry_run: bool
    changes: Sequence[RowChanges]
    missing: Sequence[str]  # tables that the film does not have; left as they are there
    taken: int  # events of dashboards that are in the film's record now
    refused: Mapping[str, str]  # event_id: why
    given: int  # events of ours that the database did not have
    note: str = ""

    def to_json(self) -> str:
        """One JSON object on one line."""
        changes = [asdict(change) for change in self.changes]
        return json.dumps({**asdict(self), "changes": changes})

    def to_text(self) -> str:
        """Lines for a person."""
        would = "would be " if self.is_dry_run else ""
        lines = [f"{self.film_id}: {_sum(self.changes)}"]
        for c in self.changes:
            if c.is_any():
                counts = f"{c.added} added, {c.changed} changed, {c.removed} removed"
                lines.append(f"  {c.table:18} {counts}, of {c.total}")
        lines.append(
            f"events: {self.taken} {would}fetched from dashboards, {self.given} {would}sent"
        )
        lines += [f"  refused {event_id}: {why}" for event_id, why in self.refused.items()]
        if self.taken and not self.is_dry_run:
            lines.append(f"  to apply them, run `bunny run {self.film_id} --until dataset`")
        if self.missing:
            more = len(self.missing) - MAX_NAMED
            named = ", ".join(self.missing[:MAX_NAMED]) + (f" and {more} more" if more > 0 else "")
            lines.append(f"tables that this film does not have, left unchanged: {named}")
        if self.note:
            lines.append(self.note)
        if self.is_dry_run:
            lines.append("dry run: nothing was changed, neither here nor in the database")
        return "\n".join(lines)


def publish(
    film: str | None,
    data_dir: str | None = None,
    overrides: Sequence[str] = (),
    *,
    is_dry_run: bool = False,
    is_pull_only: bool = False,
) -> PublishResult:
    """Publish a film; doing it twice changes nothing the second time.

    Parameters
    ----------
    film : str or None
        A film_id or how it begins; None: the newest.
    data_dir : str, optional
    overrides : sequence of str
        Settings as given to `--set`.
    is_dry_run : bool
        Do it in the database, count, and roll back; nothing is written here.
    is_pull_only : bool
        Take what dashboards wrote and change nothing else there.

    Raises
    ------
    UserError
        If no address is given, the database refuses it, its tables are not ours or of a newer
        version, or the film has not come to stage review; if `review.needs_approval` is set and a
        set was not approved.
    DatabaseError
        If the server goes away; nothing is done by halves then.
    """
    space, config = film_workspace.open_film(film, data_dir, overrides, ())
    if config.review.needs_approval and not is_pull_only:
        sets = store.read_or_empty(space.table, "dataset")
        workspace.fetch(space, ("dataset/*",))
        approval.check(sets, space.root, sets["character"].unique().sort().to_list())
    configuration.load_secrets(workspace.project_root())
    address = connect.address_of_environment()
    tables = {} if is_pull_only else _tables(space)
    place = Destination(
        schema=config.publish.schema_name,
        has_row_security=config.publish.has_row_security,
        reader_role=config.publish.reader_role,
    )
    with connect.session(address, timeout_seconds=config.publish.timeout_seconds) as cursor:
        server = setup.prepare(cursor, place, publish_schema.targets())
        for name, table in tables.items():
            rows.stage(cursor, publish_schema.targets()[name], table)
        done = _exchange(cursor, place, space, config, tables, is_dry_run)
        if is_dry_run:
            cursor.connection.rollback()
    note = _about_readers(place, server)
    missing = (
        [] if is_pull_only else [name for name in publish_schema.targets() if name not in tables]
    )
    return PublishResult(
        film_id=space.film_id,
        is_dry_run=is_dry_run,
        missing=[name for name in missing if name != publish_schema.REVIEW_EVENT],
        note=note,
        **done,
    )


def _exchange(
    cursor,
    place: Destination,
    space: Workspace,
    config: Config,
    tables: Mapping[str, pl.DataFrame],
    is_dry_run: bool,
) -> dict:
    """Take what dashboards wrote, then bring the tables to what was staged."""
    sync.lock(cursor, place)
    known = [event.event_id for event in events_.read(space.root)]
    taken = sync.receive_events(
        cursor, place, space.film_id, known, exemplars=config.review.exemplars
    )
    taken, events = _checked(taken)
    if not is_dry_run and events:
        events_.append(space.root, events)
        logger.info("%s: fetched %d events from the database", space.film_id, len(events))
    known += [event.event_id for event in events]
    sync.mark_received(cursor, place, space.film_id, taken, known)
    changes = [
        rows.upsert(cursor, place, publish_schema.targets()[name], space.film_id) for name in tables
    ]
    given = 0
    if tables:
        ours = [event.to_dict() for event in events_.read(space.root)]
        item_of = dict(tables[publish_schema.SHOTS].select("asset_id", "id").iter_rows())
        given = sync.send_events(cursor, place, space.film_id, ours, item_of)
    return {
        "changes": changes,
        "taken": len(events),
        "refused": dict(taken.refused),
        "given": given,
    }


def _checked(taken: sync.ReceivedEvents) -> tuple[sync.ReceivedEvents, list[Event]]:
    """Events that the record would read back; the others are refused with the reason."""
    events, good, refused = [], [], dict(taken.refused)
    for values in taken.events:
        try:
            events.append(events_.from_dict(values))
            good.append(values)
        except UserError as error:
            refused[values["event_id"]] = str(error)
    return sync.ReceivedEvents(events=good, refused=refused), events


def _tables(space: Workspace) -> dict[str, pl.DataFrame]:
    """Every table that the film has, as rows of the database's, in the order of `targets`.

    The film is locked meanwhile, so that they are of one run.
    """
    if not store.exists(space.table, "asset"):
        raise UserError(
            f"{space.film_id}: expected the tables of stage review, found none; run "
            "`bunny run FILM --until review` first"
        )
    with workspace.lock(space):
        have = {
            name: store.read(space.table, name)
            for name in schema.TABLE
            if store.exists(space.table, name)
        }
        extra = store.read_or_empty(space.table, "extra_frame")
    columns = ("frame_id", "frame_index", "file")
    frame = pl.concat([have["frame"].select(columns), extra.select(columns)])
    shots = rows.shots(space.film_id, have["asset"], frame)
    made = {publish_schema.SHOTS: shots}
    if publish_schema.TRAINING_FEEDBACK in have:
        pairs = have.pop(publish_schema.TRAINING_FEEDBACK)
        made[publish_schema.TRAINING_FEEDBACK] = rows.training_feedback(space.film_id, pairs, shots)
    return made | {name: rows.of_film(space.film_id, name, table) for name, table in have.items()}


def _about_readers(place: Destination, server: DatabaseServer) -> str:
    if place.has_row_security and not server.has_reader:
        return (
            f"only the owner can read the tables: there is no role {place.reader_role!r}; create "
            "it or set publish.reader_role, then publish again"
        )
    return ""


def _sum(changes: Sequence[RowChanges]) -> str:
    if not any(change.is_any() for change in changes):
        return "nothing changed in the tables"
    return f"{sum(change.is_any() for change in changes)} of {len(changes)} tables changed"
