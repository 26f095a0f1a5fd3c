"""Postgres tables: columns with their types, keys and comments.

Each of the film's tables is one table there, of the same name, with `film_id` in front. Two more
have the form that dashboards of image libraries read: `shots` and `training_feedback`; and one is
for writing: `review_event`. `bunny_schema` says which version of all this a database holds.
"""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from functools import cache
from types import MappingProxyType
from typing import cast

import polars as pl

from bunny.table import schema

VERSION = 1  # raise it when a column changes its type or a table its key
MARK = "Diffusion Bunny: "  # comments of our tables begin so; others are never touched
SHOTS = "shots"
TRAINING_FEEDBACK = "training_feedback"
REVIEW_EVENT = "review_event"
ROWS_OF_OWN = (SHOTS, TRAINING_FEEDBACK)  # of another form here than among the film's tables
NOT_PUBLISHED = ("search_vector",)  # kept beside a film's tables, and made anew by any search
MAX_TEXT = 4000  # characters of a comment
DASHBOARD_KINDS = ("comment", "approve")

# Names as `format_type` of Postgres gives them. UInt64 has no equal: numbers above 2^63 would turn
# negative as bigint.
_TYPE: dict[type[pl.DataType], str] = {
    pl.String: "text",
    pl.Categorical: "text",
    pl.Enum: "text",
    pl.Boolean: "boolean",
    pl.Int8: "smallint",
    pl.UInt8: "smallint",
    pl.Int16: "smallint",
    pl.UInt16: "integer",
    pl.Int32: "integer",
    pl.UInt32: "bigint",
    pl.Int64: "bigint",
    pl.UInt64: "numeric(20,0)",
    pl.Float32: "real",
    pl.Float64: "double precision",
    pl.Datetime: "timestamp without time zone",
    pl.Struct: "jsonb",
}


@dataclass(frozen=True)
class PostgresColumn:
    """One column; `rule` follows its type in SQL, e.g. NOT NULL."""

    name: str
    type: str
    _: KW_ONLY
    comment: str = ""
    rule: str = ""


@dataclass(frozen=True, kw_only=True)
class PostgresTable:
    """One table of the database. `links` are (column, table referred to, what a delete does)."""

    name: str
    columns: tuple[PostgresColumn, ...]
    key: tuple[str, ...]
    comment: str
    links: tuple[tuple[str, str, str], ...] = ()
    indexes: tuple[str, ...] = ("film_id",)  # columns of one index each

    def names(self) -> list[str]:
        """Names of the columns in order."""
        return [column.name for column in self.columns]


def postgres_type(dtype: pl.DataType) -> str:
    """Postgres type that holds every value of a Polars type.

    Parameters
    ----------
    dtype : pl.DataType
        Arrays and lists of plain types become arrays, structs and lists of structs jsonb.

    Raises
    ------
    TypeError
        If there is no such type declared here.
    """
    base = dtype.base_type()
    if isinstance(dtype, pl.Array | pl.List):
        inner = postgres_type(cast(pl.DataType, dtype.inner))
        return "jsonb" if inner == "jsonb" or inner.endswith("]") else f"{inner}[]"
    if base in _TYPE:
        return _TYPE[base]
    raise TypeError(f"no Postgres type declared for {dtype}; add it to library.publish.schema")


def _film_target(name: str) -> PostgresTable:
    """The table of the database for one of the film's tables, keyed by film and its own key."""
    declared = schema.TABLE[name]
    columns = [
        PostgresColumn(column, _column_type(name, column, spec.dtype))
        for column, spec in declared.columns().items()
        if column != "film_id"
    ]
    key = [column for column in declared.primary_key() if column != "film_id"]
    comment = (declared.__doc__ or name).strip().splitlines()[0]
    return PostgresTable(
        name=name,
        columns=(PostgresColumn("film_id", "text", rule="NOT NULL"), *columns),
        key=("film_id", *key),
        comment=comment,
        indexes=(),  # the key begins with film_id
    )


def _column_type(table: str, column: str, dtype: pl.DataType) -> str:
    if column in schema.VECTOR.get(table, ()):
        return "real[]"
    return "jsonb" if column.endswith("_json") else postgres_type(dtype)


SHOTS_TARGET = PostgresTable(
    name=SHOTS,
    key=("id",),
    comment="one item of the library: a shot (scene) or a figure in a shot (character)",
    columns=(
        PostgresColumn(
            "id", "uuid", comment="deterministic: the same film and place in it give the same id"
        ),
        PostgresColumn("shot_id", "text", comment="asset_id of the shot that contains it"),
        PostgresColumn(
            "keyframe_path", "text", comment="relative to the film's folder; null: none"
        ),
        PostgresColumn("frame_index", "bigint", comment="frame number of that picture, 0-based"),
        PostgresColumn(
            "cluster_type",
            "text",
            comment="type of the cluster; noise: in no cluster",
            rule="CHECK (cluster_type IN ('scene', 'character', 'noise'))",
        ),
        PostgresColumn("cluster_id", "text", comment="after corrections; null: noise"),
        PostgresColumn("similarity_score", "real", comment="cosine to the cluster's centroid"),
        PostgresColumn("timestamp", "double precision", comment="seconds of the film"),
        PostgresColumn("film_id", "text", rule="NOT NULL"),
        PostgresColumn("asset_id", "text", comment="subset of table asset"),
        PostgresColumn("level", "text", comment="scene or character, also for noise"),
        PostgresColumn("name", "text", comment="name given to the cluster"),
        PostgresColumn("start_s", "double precision", comment="start in the film"),
        PostgresColumn("end_s", "double precision"),
        PostgresColumn(
            "boxes",
            "double precision[]",
            comment="of a figure: time_s, x0, y0, x1, y1 a view, shares of the film's picture",
        ),
    ),
)

TRAINING_FEEDBACK_TARGET = PostgresTable(
    name=TRAINING_FEEDBACK,
    key=("id",),
    comment="pairs that are similar (1) or not (0) according to corrections",
    links=(("anchor_id", SHOTS, "CASCADE"), ("positive_id", SHOTS, "CASCADE")),
    indexes=("film_id", "anchor_id", "positive_id"),
    columns=(
        PostgresColumn("id", "uuid"),
        PostgresColumn("anchor_id", "uuid", comment="shots.id"),
        PostgresColumn("positive_id", "uuid", comment="shots.id compared with it"),
        PostgresColumn("label", "smallint", rule="CHECK (label IN (0, 1))"),
        PostgresColumn("film_id", "text", rule="NOT NULL"),
        PostgresColumn("anchor_asset_id", "text"),
        PostgresColumn("positive_asset_id", "text"),
        PostgresColumn("level", "text"),
        PostgresColumn("event_id", "text", comment="the correction that this pair comes from"),
    ),
)

REVIEW_EVENT_TARGET = PostgresTable(
    name=REVIEW_EVENT,
    key=("event_id",),
    comment=(
        "what people said. Dashboards write comments and approvals: INSERT INTO review_event "
        "(film_id, item_id, kind, text) VALUES ('<film_id>', '<shots.id>', 'comment', 'too dark')"
    ),
    links=(("item_id", SHOTS, "SET NULL"),),
    indexes=("film_id", "item_id"),
    columns=(
        PostgresColumn("event_id", "uuid", rule="DEFAULT gen_random_uuid()"),
        PostgresColumn("film_id", "text", rule="NOT NULL"),
        PostgresColumn("item_id", "uuid", comment="shots.id it is about; null: several, see event"),
        PostgresColumn("kind", "text", rule="NOT NULL", comment="dashboards: comment or approve"),
        PostgresColumn(
            "text", "text", rule=f"CHECK (origin <> 'database' OR char_length(text) <= {MAX_TEXT})"
        ),
        PostgresColumn(
            "reason",
            "text",
            rule=f"CHECK (origin <> 'database' OR char_length(reason) <= {MAX_TEXT})",
        ),
        PostgresColumn("created_by", "text", rule="NOT NULL DEFAULT {me}"),
        PostgresColumn("user_name", "text", rule="DEFAULT {my_name}"),
        PostgresColumn("created_at", "timestamp with time zone", rule="NOT NULL DEFAULT now()"),
        PostgresColumn(
            "origin",
            "text",
            rule="NOT NULL DEFAULT 'database'",
            comment=(
                "database: written by a dashboard; otherwise by Diffusion Bunny (board, cli, …)"
            ),
        ),
        PostgresColumn(
            "status",
            "text",
            rule="NOT NULL DEFAULT 'new' CHECK (status IN ('new', 'taken', 'refused', 'pushed'))",
            comment=(
                "new until `bunny publish` takes or refuses it; pushed: written by Diffusion Bunny"
            ),
        ),
        PostgresColumn("note", "text", comment="why it was refused"),
        PostgresColumn("event", "jsonb", comment="for a pushed event: the whole event"),
    ),
)


@cache
def targets() -> Mapping[str, PostgresTable]:
    """Every table of the database by name, those that others refer to first."""
    own = [SHOTS_TARGET, TRAINING_FEEDBACK_TARGET]
    film = [
        _film_target(name) for name in schema.TABLE if name not in (*ROWS_OF_OWN, *NOT_PUBLISHED)
    ]
    return MappingProxyType({t.name: t for t in (*own, *film, REVIEW_EVENT_TARGET)})
