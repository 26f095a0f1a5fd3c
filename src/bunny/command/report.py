"""`bunny report`: the report of a film written again."""

from collections.abc import Sequence

from bunny.command import film_workspace
from bunny.core import workspace


def write_report(film: str | None, data_dir: str | None, overrides: Sequence[str]) -> str:
    """Write the report of a known film; returns its path as text."""
    space, config = film_workspace.open_film(film, data_dir, overrides, workspace.PICTURES)
    from bunny.view.report import page

    report = page.write(space, config)
    workspace.publish(space)
    return str(report)
