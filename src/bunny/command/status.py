"""`bunny status`: stages that are done, stale (and why) or never ran."""

from collections.abc import Sequence

from bunny import pipeline
from bunny.command import film_workspace
from bunny.core import workspace
from bunny.core.workspace import Workspace


def describe_status(film: str | None, data_dir: str | None, overrides: Sequence[str]) -> str:
    """Lines that say for each film which stages are done, stale or never ran."""
    root, config = film_workspace.load_settings(data_dir, overrides)
    spaces = workspace.find(root, config.project.data_dir, film)
    if not spaces:
        if film:
            raise film_workspace.no_such_film(film, config)
        return "no film yet; run `bunny demo` or `bunny run FILM --references DIR`"
    return "\n".join(_describe_film(s, data_dir, overrides) for s in spaces)


def _describe_film(space: Workspace, data_dir: str | None, overrides: Sequence[str]) -> str:
    _, config = film_workspace.load_settings(data_dir, overrides, space)
    lines = [f"{space.film_id}  ({space.root})"]
    for s in pipeline.status(space, config):
        rows = "" if s.rows is None else f"{s.rows} rows"
        seconds = "" if s.seconds is None else f"{s.seconds:.1f} s"
        lines.append(f"  {s.name:9} {s.state:10} {rows:>11} {seconds:>9}  {s.why}".rstrip())
    return "\n".join(lines)
