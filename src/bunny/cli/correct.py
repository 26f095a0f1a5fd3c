"""Commands that correct the library: `bunny correct assign FILM …`, and so on.

A command's function makes events; what all of them have (the film, who says so and why) is declared
once, by `_open`, and put around it by `_correction`.
"""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bunny.cli.app import app
from bunny.command.option.common import DataDir, FilmName
from bunny.core.error import UserError

if TYPE_CHECKING:
    from bunny.review.create_event import EventContext

correct_app = typer.Typer(
    help="Correct the clusters and labels of a film; corrections are kept in later runs.",
    no_args_is_help=True,
)
app.add_typer(correct_app, name="correct")

ClusterLevel = Literal["scene", "character"]

Film = Annotated[str, typer.Argument(metavar="FILM", help="Film id or its first characters.")]
Items = Annotated[
    list[str],
    typer.Argument(help="Ids of shots or figures, the ends of ids (s00007), or a cluster."),
]
Level = Annotated[
    str | None, typer.Option(help="scene or character, if both have a cluster of that name.")
]
User = Annotated[
    str | None,
    typer.Option(help="Author of the correction; default: review.user, or the login name."),
]
Reason = Annotated[str, typer.Option(help="Reason to store with the correction.")]
Into = Annotated[
    str, typer.Option("--to", help="Target cluster, by id or name; a new name creates one.")
]
Like = Annotated[
    bool, typer.Option("--like", help="Include look-alikes; only a preview without --yes.")
]
Yes = Annotated[bool, typer.Option("--yes", help="With --like: move the previewed look-alikes.")]


@dataclass(frozen=True, kw_only=True)
class CorrectionContext:
    """The library of a film and what all corrections of one command share."""

    library: Any
    level: ClusterLevel | None
    context: "EventContext"
    data_dir: str | None

    @property
    def state(self) -> Any:
        """The library as it is now."""
        return self.library.state

    def find(self, items: list[str]) -> list[str]:
        """Whole ids of what was named."""
        from bunny.command import correct

        return correct.find_items(self.state, items, self.level)

    def level_of(self, cluster: str) -> ClusterLevel:
        """Whether a cluster is of scenes or of characters."""
        from bunny.command import correct

        return correct.find_level(self.state, cluster, self.level)


def _open(
    film: Film,
    user: User = None,
    reason: Reason = "",
    level: Level = None,
    data_dir: DataDir = None,
) -> CorrectionContext:
    """Open the library of a film; its parameters are what every command has."""
    from bunny.command import correct
    from bunny.review.create_event import EventContext

    level = _check_level(level)
    library = correct.open_reviewed_film(film, data_dir)
    context = EventContext(
        user=user or library.user,
        reason=reason,
        origin="cli",
        exemplars=library.config.review.exemplars,
    )
    return CorrectionContext(library=library, level=level, context=context, data_dir=data_dir)


def _correction(without: tuple[str, ...] = (), **fixed: str) -> Callable[[Callable], Callable]:
    """Make a command of a function from a `CorrectionContext` and its own options to events.

    `without` names common options that the command does not have, `fixed` gives some a value.
    """
    film, *options = inspect.signature(_open).parameters.values()
    options = [option for option in options if option.name not in (*without, *fixed)]
    names = [film.name, *(option.name for option in options)]

    def decorate(function: Callable) -> Callable:
        own = list(inspect.signature(function).parameters.values())[1:]

        @functools.wraps(function)
        def command(**given: Any) -> None:
            opened = _open(**{name: given.pop(name) for name in names}, **fixed)
            _apply(opened, function(opened, **given))

        shown = inspect.Signature([film, *own, *options])
        command.__signature__ = shown  # pyright: ignore[reportAttributeAccessIssue] inspect reads it
        return correct_app.command()(command)

    return decorate


@correct_app.command("list")
def list_all(
    film: FilmName = None,
    cluster: Annotated[
        str, typer.Argument(help="Cluster whose items to list; noise: items in no cluster.")
    ] = "",
    events: Annotated[bool, typer.Option("--events", help="List all corrections so far.")] = False,
    level: Level = None,
    data_dir: DataDir = None,
) -> None:
    """List clusters with their sizes, the items of one cluster, or all corrections."""
    from bunny.command import correct

    level = _check_level(level)
    library = correct.open_reviewed_film(film, data_dir)
    if events:
        lines = [correct.describe(library, event) for event in library.state.every]
        typer.echo("\n".join(lines) or "no corrections yet")
    elif cluster:
        typer.echo(correct.list_items(library, cluster, level))
    else:
        typer.echo(correct.list_clusters(library))


@_correction()
def assign(
    opened: CorrectionContext, items: Items, to: Into, like: Like = False, yes: Yes = False
) -> list:
    """Move shots or figures into a cluster."""
    from bunny.command import correct
    from bunny.review import create_event

    ids = opened.find(items)
    events = [create_event.assign(opened.state, opened.context, ids, to)]
    if like:
        more = correct.find_look_alikes(opened.library, ids, to)
        names = ", ".join(more["asset_id"].head(correct.SHOWN))
        typer.echo(f"{more.height} look-alikes{f': {names}' if names else ''}")
        if not yes:
            typer.echo("nothing was changed; add --yes to move them all")
            return []
        if more.height:
            own = replace(opened.context, origin="propagated")
            events.append(create_event.assign(opened.state, own, more["asset_id"].to_list(), to))
    return events


@_correction()
def reject(
    opened: CorrectionContext,
    items: Items,
    out_of: Annotated[
        str | None, typer.Option("--from", help="Cluster; default: the one they are in.")
    ] = None,
) -> list:
    """Remove shots or figures from a cluster; later runs do not put them back."""
    from bunny.review import create_event

    ids = opened.find(items)
    if out_of is not None:
        return [create_event.reject(opened.state, opened.context, ids, out_of)]
    parts = create_event.by_cluster(opened.state, ids)
    return [create_event.reject(opened.state, opened.context, own) for own in parts.values()]


@_correction()
def approve(opened: CorrectionContext, items: Items) -> list:
    """Confirm that shots or figures are in the right cluster."""
    from bunny.review import create_event

    parts = create_event.by_cluster(opened.state, opened.find(items))
    return [create_event.approve(opened.state, opened.context, own) for own in parts.values()]


@_correction()
def split(
    opened: CorrectionContext,
    items: Items,
    name: Annotated[str, typer.Option(help="Name of the new cluster.")] = "",
) -> list:
    """Move shots or figures out of their cluster into a new one."""
    from bunny.review import create_event

    return [create_event.split(opened.state, opened.context, opened.find(items), name)]


@_correction()
def merge(
    opened: CorrectionContext,
    stays: Annotated[str, typer.Argument(help="Cluster to keep.")],
    goes: Annotated[str, typer.Argument(help="Cluster to merge into it.")],
) -> list:
    """Merge two clusters into one."""
    from bunny.review import create_event

    level = opened.level_of(stays)
    return [create_event.merge(opened.state, opened.context, stays, goes, level=level)]


@_correction()
def rename(
    opened: CorrectionContext,
    cluster: Annotated[str, typer.Argument(help="Cluster, by id or name.")],
    name: Annotated[str, typer.Argument(help="New name.")],
) -> list:
    """Rename a place or a character; later runs keep the name."""
    from bunny.review import create_event

    level = opened.level_of(cluster)
    return [create_event.rename(opened.state, opened.context, cluster, name, level=level)]


@_correction(without=("reason",))
def comment(
    opened: CorrectionContext,
    items: Items,
    text: Annotated[str, typer.Option(help="Text of the comment.")],
) -> list:
    """Comment on shots or figures without changing their labels."""
    from bunny.review import create_event

    return [create_event.comment(opened.state, opened.context, opened.find(items), text)]


@_correction(level="scene")
def caption(
    opened: CorrectionContext,
    items: Items,
    text: Annotated[str, typer.Option(help="New caption; empty: restore the automatic caption.")],
) -> list:
    """Edit the caption of shots or of single frames; later runs keep it."""
    from bunny.command import correct
    from bunny.review import create_event

    frames, others = correct.split_frames(opened.library, items)
    events = []
    if frames.height:
        found = create_event.frame_captions(frames, dict.fromkeys(frames["frame_id"], text))
        events.append(create_event.frame_caption_edit(opened.state, opened.context, found))
    if others:
        ids = opened.find(others)
        events.append(create_event.caption_edit(opened.state, opened.context, ids, text))
    return events


@_correction(without=("level",))
def undo(
    opened: CorrectionContext,
    event: Annotated[
        str, typer.Argument(help="First characters of the event id; default: your last event.")
    ] = "",
) -> list:
    """Undo a correction; undo an undo to redo it."""
    from bunny.command import correct
    from bunny.review import create_event

    target = correct.find_event(opened.state, event, opened.context.user)
    return [create_event.undo(opened.state, opened.context, target.event_id)]


def _apply(opened: CorrectionContext, events: list) -> None:
    """Record events and print what they change."""
    from bunny.command import correct

    if not events:
        return
    library, before = opened.library, correct.cluster_ids(opened.library)
    library.say(events)
    for event in events:
        typer.echo(correct.describe(library, event))
    for sentence in correct.describe_new_clusters(library, events, before):
        typer.echo(sentence)
    typer.echo(correct.next_command(library, opened.data_dir))


def _check_level(level: str | None) -> ClusterLevel | None:
    if level is None or level == "scene" or level == "character":
        return level
    raise UserError(f"--level: expected scene or character, got {level}; give one of them")
