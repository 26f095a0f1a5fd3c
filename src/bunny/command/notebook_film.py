"""Film that a notebook is about, found from any folder, and how outputs name themselves."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import bunny
from bunny import notebook
from bunny.command import film_workspace
from bunny.core import workspace
from bunny.core.config import Config
from bunny.core.workspace import Workspace
from bunny.table import store
from bunny.view import style
from bunny.view.html import Note


def open_film(
    film: str = "",
    film_id: str = "",
    data_dir: str = "",
    overrides: Sequence[str] = (),
    *,
    references: str = "",
) -> tuple[Workspace, Config]:
    """Open the film of a notebook; one that is new here gets its folder.

    Parameters
    ----------
    film, references : str
        Paths; relative ones count from the folder that the notebook was started in, else from
        the project's. Empty: the film that `film_id` names.
    film_id : str
        An id or its first characters; empty: the newest film.
    data_dir : str
        Folder of workspaces; empty: as configured.
    overrides : sequence of str
        Settings as given to `--set`.

    Raises
    ------
    UserError
        For a path that holds no film or no pictures, or an id that no film or several have.
    """
    path, folder = _absolute(film), _absolute(references)
    prepare()
    known = notebook.create_workspace(path, folder, data_dir or None, overrides) or film_id
    return film_workspace.open_film(known, data_dir or None, overrides)


def prepare() -> None:
    """Go to the project's folder, and let pictures have words."""
    enter_project()
    name_pictures()


def describe_adapter(space: Workspace) -> Note:
    """Name the adapters of a film, or what to do without one, for a notebook."""
    adapter = store.read_or_empty(space.table, "adapter")
    if adapter.is_empty():
        said = "This film has no adapter yet, so there is nothing to draw with."
        todo = (
            "Choose a base model (`models.base_model`: a folder or a hub id) and open "
            f"`07_finetune.ipynb`, or run `bunny run {space.film_id} --set models.base_model=BASE`."
        )
        return Note([said, todo])
    counts = adapter.group_by("character").len().sort("character").iter_rows()
    words = [f"{name} ({style.plural(number, 'checkpoint')})" for name, number in counts]
    return Note([f"Adapters: {', '.join(words)}."])


def enter_project() -> None:
    """Go to the project's folder where the current one belongs to no project.

    papermill starts a kernel in the folder that it was called in, whose `data` would be another.
    """
    here, checkout = Path.cwd(), Path(bunny.__file__).resolve().parents[2]
    is_project = (workspace.project_root() / "config" / "main.yaml").exists()
    if is_project or any(here.glob("data/output/*/source.json")):
        return
    if (checkout / "config" / "main.yaml").exists():
        os.chdir(checkout)


def name_pictures() -> None:
    """Give plots and pictures words where only text is shown, instead of a class and an address."""
    from IPython.core.getipython import get_ipython

    shell: Any = get_ipython()
    if shell is None:
        return
    text = shell.display_formatter.formatters["text/plain"]
    text.for_type_by_name("plotnine.ggplot", "ggplot", _write_plot)
    text.for_type_by_name("PIL.Image", "Image", _write_picture)
    text.for_type_by_name("IPython.core.display", "HTML", _write_page)


def _write_plot(plot: Any, out: Any, _is_cycle: bool) -> None:
    out.text(f"plot: {plot.labels.title or 'nothing to show'}")


def _write_picture(picture: Any, out: Any, _is_cycle: bool) -> None:
    out.text(f"picture: {picture.width} x {picture.height} px")


def _write_page(_page: Any, out: Any, _is_cycle: bool) -> None:
    out.text("page")


def _absolute(path: str) -> str:
    """A path from the current folder, where there is such a file."""
    return str(Path(path).resolve()) if path and "://" not in path and Path(path).exists() else path
