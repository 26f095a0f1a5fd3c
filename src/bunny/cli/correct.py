"""Commands that correct the library: `bunny correct FILM assign …`, and so on."""

from typing import Annotated

import typer

from bunny.cli.app import DataDir, app
from bunny.error import UserError

correct_app = typer.Typer(
    help="Correct the library of a film: what a person says holds through every run.",
    no_args_is_help=True,
)
app.add_typer(correct_app, name="correct")

Film = Annotated[str, typer.Argument(metavar="FILM", help="film_id, or how it begins.")]
Items = Annotated[list[str], typer.Argument(help="Ids, how they end (s00007), or a cluster.")]
Level = Annotated[str | None, typer.Option(help="scene or character, where a name is both.")]
User = Annotated[str | None, typer.Option(help="Who says so; default review.user, or the login.")]
Reason = Annotated[str, typer.Option(help="Kept in the record.")]
Into = Annotated[str, typer.Option("--to", help="Cluster by id or name; a new name makes one.")]
Like = Annotated[bool, typer.Option("--like", help="Their look-alikes too; a preview at first.")]
Yes = Annotated[bool, typer.Option("--yes", help="With --like: change what the preview shows.")]


@correct_app.command("list")
def list_all(
    film: Film,
    events: Annotated[bool, typer.Option("--events", help="What was said so far.")] = False,
    data_dir: DataDir = None,
) -> None:
    """List clusters with their sizes, or everything that was said."""
    from bunny import job_review

    library = job_review.open_library(film, data_dir)
    if events:
        lines = [job_review.describe(library, event) for event in library.state.every]
        typer.echo("\n".join(lines) or "nothing was said of this film")
    else:
        typer.echo(job_review.list_clusters(library))


@correct_app.command()
def assign(
    film: Film,
    items: Items,
    to: Into,
    like: Like = False,
    yes: Yes = False,
    user: User = None,
    reason: Reason = "",
    level: Level = None,
    data_dir: DataDir = None,
) -> None:
    """Move shots or figures into a cluster."""
    from bunny import job_review
    from bunny.review import make

    library, ids, say = _open(film, items, level, user, reason, data_dir)
    events = [make.assign(library.state, ids, to, **say)]
    if like:
        more = job_review.look_alikes(library, ids, to)
        names = ", ".join(more["asset_id"].head(job_review.SHOWN))
        typer.echo(f"{more.height} look-alikes{f': {names}' if names else ''}")
        if not yes:
            typer.echo("nothing was changed; give --yes to move them all")
            return
        if more.height:
            own = {**say, "origin": "propagated"}
            events.append(make.assign(library.state, more["asset_id"].to_list(), to, **own))
    _say(library, events)


@correct_app.command()
def reject(
    film: Film,
    items: Items,
    out_of: Annotated[str | None, typer.Option("--from", help="Default: where they are.")] = None,
    user: User = None,
    reason: Reason = "",
    level: Level = None,
    data_dir: DataDir = None,
) -> None:
    """Say that shots or figures are not in a cluster; they never come back by themselves."""
    from bunny.review import make

    library, ids, say = _open(film, items, level, user, reason, data_dir)
    if out_of is None:
        parts = make.by_cluster(library.state, ids)
        events = [make.reject(library.state, own, **say) for own in parts.values()]
    else:
        events = [make.reject(library.state, ids, out_of, **say)]
    _say(library, events)


@correct_app.command()
def approve(
    film: Film,
    items: Items,
    user: User = None,
    reason: Reason = "",
    level: Level = None,
    data_dir: DataDir = None,
) -> None:
    """Say that shots or figures are right where they are."""
    from bunny.review import make

    library, ids, say = _open(film, items, level, user, reason, data_dir)
    parts = make.by_cluster(library.state, ids)
    _say(library, [make.approve(library.state, own, **say) for own in parts.values()])


@correct_app.command()
def split(
    film: Film,
    items: Items,
    name: Annotated[str, typer.Option(help="Of the new cluster.")] = "",
    user: User = None,
    reason: Reason = "",
    level: Level = None,
    data_dir: DataDir = None,
) -> None:
    """Take shots or figures out of their cluster, into one of their own."""
    from bunny.review import make

    library, ids, say = _open(film, items, level, user, reason, data_dir)
    _say(library, [make.split(library.state, ids, name, **say)])


@correct_app.command()
def merge(
    film: Film,
    stays: Annotated[str, typer.Argument(help="Cluster that stays.")],
    goes: Annotated[str, typer.Argument(help="Cluster that goes into it.")],
    user: User = None,
    reason: Reason = "",
    level: Level = None,
    data_dir: DataDir = None,
) -> None:
    """Make one cluster of two."""
    from bunny import job_review
    from bunny.review import make

    library, _, say = _open(film, [], level, user, reason, data_dir)
    found = job_review.find_level(library.state, stays, _level(level))
    _say(library, [make.merge(library.state, stays, goes, level=found, **say)])


@correct_app.command()
def rename(
    film: Film,
    cluster: Annotated[str, typer.Argument(help="Cluster by id or name.")],
    name: Annotated[str, typer.Argument(help="Its name from now on.")],
    user: User = None,
    reason: Reason = "",
    level: Level = None,
    data_dir: DataDir = None,
) -> None:
    """Name a place or a character; the name holds through every run."""
    from bunny import job_review
    from bunny.review import make

    library, _, say = _open(film, [], level, user, reason, data_dir)
    found = job_review.find_level(library.state, cluster, _level(level))
    _say(library, [make.rename(library.state, cluster, name, level=found, **say)])


@correct_app.command()
def comment(
    film: Film,
    items: Items,
    text: Annotated[str, typer.Option(help="What is to be said.")],
    user: User = None,
    level: Level = None,
    data_dir: DataDir = None,
) -> None:
    """Say something about shots or figures; changes no label."""
    from bunny.review import make

    library, ids, say = _open(film, items, level, user, "", data_dir)
    _say(library, [make.comment(library.state, ids, text, **say)])


@correct_app.command()
def caption(
    film: Film,
    items: Items,
    text: Annotated[str, typer.Option(help="The words; empty ones give them back to the machine.")],
    user: User = None,
    reason: Reason = "",
    data_dir: DataDir = None,
) -> None:
    """Give shots words of your own; they outlive every captioning."""
    from bunny.review import make

    library, ids, say = _open(film, items, "scene", user, reason, data_dir)
    _say(library, [make.caption_edit(library.state, ids, text, **say)])


@correct_app.command()
def undo(
    film: Film,
    event: Annotated[str, typer.Argument(help="How its id begins; default your last.")] = "",
    user: User = None,
    reason: Reason = "",
    data_dir: DataDir = None,
) -> None:
    """Take back what was said; of an undo, let it hold again."""
    from bunny import job_review
    from bunny.review import make

    library, _, say = _open(film, [], None, user, reason, data_dir)
    target = job_review.find_event(library.state, event, say["user"])
    _say(library, [make.undo(library.state, target.event_id, **say)])


def _open(film: str, items: list[str], level: str | None, user: str | None, reason: str, data_dir):
    """The library, ids of the items, and what is common to all events."""
    from bunny import job_review

    library = job_review.open_library(film, data_dir)
    ids = job_review.find_items(library.state, items, _level(level))
    exemplars = library.config.review.exemplars
    said = {"user": user or library.user, "reason": reason, "origin": "cli", "exemplars": exemplars}
    return library, ids, said


def _say(library, events: list) -> None:
    """Put events down and say what they change."""
    from bunny import job_review

    library.say(events)
    for event in events:
        typer.echo(job_review.describe(library, event))
    typer.echo(f"run the film again from stage review: {library.space.film_id}")


def _level(level: str | None):
    if level not in (None, "scene", "character"):
        raise UserError(f"--level: expected scene or character, got {level}")
    return level
