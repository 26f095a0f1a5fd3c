"""`bunny status`: stages that are done, stale (and why) or never ran."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from bunny import pipeline
from bunny.command import film_workspace
from bunny.contract import fingerprint, row_count
from bunny.core import workspace
from bunny.core.workspace import Workspace


def describe_status(film: str | None, data_dir: str | None, overrides: Sequence[str]) -> str:
    """Lines that say for each film which stages are done, stale or never ran."""
    root, config = film_workspace.load_settings(data_dir, overrides)
    spaces = workspace.find(root, config.project.data_dir, film, has_series=True)
    if not spaces:
        if film:
            raise film_workspace.no_such_film(film, config)
        return "no film yet; run `bunny demo` or `bunny run FILM --references DIR`"
    return "\n".join(_describe_film(s, data_dir, overrides) for s in spaces)


def to_json(film: str | None, data_dir: str | None, overrides: Sequence[str]) -> str:
    """One JSON object: for each film its stages with state, reason, progress, rows and seconds."""
    root, config = film_workspace.load_settings(data_dir, overrides)
    spaces = workspace.find(root, config.project.data_dir, film, has_series=True)
    if film and not spaces:
        raise film_workspace.no_such_film(film, config)
    films = []
    for space in spaces:
        own = film_workspace.load_settings(data_dir, overrides, space)[1]
        stages = [asdict(state) for state in pipeline.status(space, own)]
        holder = workspace.read_holder(space)
        films.append(
            {
                "film_id": space.film_id,
                "film": space.source()["film"],
                "workspace": str(space.root),
                "running": holder,
                "stages": stages,
            }
        )
    return json.dumps({"films": films})


def _describe_film(space: Workspace, data_dir: str | None, overrides: Sequence[str]) -> str:
    _, config = film_workspace.load_settings(data_dir, overrides, space)
    lines = [f"{space.film_id}  ({space.root})"]
    for s in pipeline.status(space, config):
        main = list(fingerprint.read_record(space.root, s.name).get("tables", {}))[:1]
        rows = row_count.describe(dict.fromkeys(main, s.rows or 0))
        seconds = "" if s.seconds is None else f"{s.seconds:.1f} s"
        lines.append(f"  {s.name:9} {s.state:10} {rows:>24} {seconds:>9}  {s.why}".rstrip())
    return "\n".join(lines)
