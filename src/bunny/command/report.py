"""`bunny report`: the report of a film written again."""

from collections.abc import Sequence

from bunny.command import film_workspace


def write_report(film: str | None, data_dir: str | None, overrides: Sequence[str]) -> str:
    """Write the report of a known film; returns its path as text."""
    space, config = film_workspace.open_film(film, data_dir, overrides)
    from bunny.view.report import page

    return str(page.write(space, config))
