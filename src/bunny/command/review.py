"""`bunny review`: the review board, in a notebook or served by Voilà.

Served by Voilà, which runs one small notebook for each browser in a kernel of its own and lets the
browser run no code. All of them share the film's record of corrections. A film may be corrected
while a run of it goes on: the board takes no lock of the film.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
import shutil
import tempfile
import webbrowser
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode

from bunny import notebook, pipeline
from bunny.character import reference
from bunny.command import film_workspace, login, review_server, set_update
from bunny.command.option.common import FilmOptions
from bunny.command.option.library import BoardOptions
from bunny.core import atomic, image_file, reference_folder, workspace
from bunny.core.error import UserError
from bunny.table import store
from bunny.view import board, metric
from bunny.view.board import items, session

if TYPE_CHECKING:
    from anywidget import AnyWidget
    from IPython.display import HTML

    from bunny.core.config import Config
    from bunny.core.workspace import Workspace

logger = logging.getLogger(__name__)

MAX_UPLOAD = 20 * 1024 * 1024  # bytes of a reference picture
MAX_SIDE_PX = 12000
TOKEN_BYTES = 24
TEMPLATE = "bunny"
NO_BOARD_STYLE = (
    ".bunny-no-board { position: fixed; inset: 0; padding: 48px; overflow: auto; background: #fff; "
    "color: #24241f; font: 15px/1.5 system-ui, sans-serif; } "
    ".bunny-no-board h1 { font-size: 20px; }"
)


def open_session(
    space: Workspace, config: Config, user: str = "", overrides: Sequence[str] = ()
) -> session.BoardSession:
    """Read a film's library for boards to show; makes it first where clusters wait for it.

    Parameters
    ----------
    space, config : Workspace, Config
        The film and its settings.
    user : str
        Who corrects, unless the browser says another name.
    overrides : sequence of str
        Settings as given to ``--set``, with which the board makes training sets again.

    Raises
    ------
    UserError
        If the film was not clustered yet.
    """
    if not store.exists(space.table, "asset") and store.exists(space.table, "cluster"):
        pipeline.run_stage("review", space, config)
    data = str(space.root.parents[1])
    return session.BoardSession(
        items.read_film(space.film_id, space.root),
        config.review.model_copy(update={"user": user or config.review.user}),
        noise_threshold=config.clustering.noise_threshold,
        upload=lambda name, files: add_references(space, name, files),
        update=set_update.SetUpdate(
            space, lambda: film_workspace.load_settings(data, overrides, space)[1], overrides
        ),
    )


def show(
    space: Workspace,
    config: Config,
    *,
    user: str = "",
    overrides: Sequence[str] = (),
    is_interactive: bool = True,
    is_alone: bool = False,
) -> AnyWidget | HTML:
    """The board of a film, or its folders as a plain table where nothing can be clicked.

    Parameters
    ----------
    overrides : sequence of str
        Settings as given to ``--set``.
    is_interactive : bool
        False under papermill.
    is_alone : bool
        The board fills the window.
    """
    name = user or ("" if is_alone else current_user(config))
    opened = open_session(space, config, name, overrides)
    if not is_interactive:
        from IPython.display import HTML

        return HTML(_folder_tables(opened))
    from bunny.view.board import widget

    return widget.make_board(opened, is_alone=is_alone)


def current_user(config: Config) -> str:
    """Who corrects: as the settings say, or the name that somebody is logged in by."""
    return config.review.user or film_workspace.login_name("")


def serve(
    chosen: FilmOptions, options: BoardOptions, *, say: Callable[[str], None] = print
) -> None:
    """Serve the boards of a workspace, and its page for adding films, until it is stopped.

    Parameters
    ----------
    chosen : FilmOptions
        Where there is no film yet, the page for adding films is what is seen first.
    options : BoardOptions
        Beyond this machine everybody with the address and its token may correct. Port 0 is any free
        one; by default it is `review.port` or, when that is taken, one of those after it.
    say : callable
        Gets the lines for a person.

    Raises
    ------
    UserError
        If there is no such film, it has no library, no port is free, or others could read along.
    """
    from bunny.batch.film_queue import FilmQueue  # not in the kernels that show boards
    from bunny.batch.queue_worker import QueueWorker
    from bunny.command import film_page

    space, config, root = _open_any(chosen)
    data = workspace.data_folder(root, config.project.data_dir)
    binding = review_server.check_binding(
        options.ip,
        config.review.port if options.port is None else options.port,
        options.certfile,
        options.keyfile,
        is_unencrypted=options.is_unencrypted,
    )
    token = secrets.token_urlsafe(TOKEN_BYTES)
    hashed = login.take_password(is_asked=options.is_password_asked)
    if not binding.is_local:
        read = "" if options.certfile else ", and everyone on the network can read the traffic"
        say(
            f"bunny: warning: {options.ip} is reachable from other machines: anyone with this URL "
            f"{'or the password ' if hashed else ''}can view and correct the film{read}"
        )
    url = f"{binding.url}?token={token}"
    given = {
        "film_id": space.film_id if space else None,
        "data_dir": str(data),
        "overrides": chosen.overrides,
        "user": options.user,
    }

    def begin() -> None:
        what = f"{space.film_id}: the review board" if space else "the page for adding films"
        say(f"{what} is at {url}")
        if hashed:
            say(f"others can open {binding.url} with the password that you chose")
        say("press Ctrl+C to stop")
        if not options.no_browser:
            webbrowser.open(url)

    queue = FilmQueue(data, int(config.review.max_upload_gib * 2**30))
    worker = QueueWorker(queue, root, str(data), chosen.overrides, config.review.run_until)
    routes = film_page.make_routes(queue, film_page.FilmFolders(data))
    routes += [] if space else film_page.FIRST_PAGE
    with tempfile.TemporaryDirectory(prefix="bunny-board-") as folder:
        path = Path(folder) / "board.ipynb"
        path.write_text(json.dumps(voila_notebook(given)), encoding="utf-8", newline="\n")
        template = Path(folder) / "voila" / "templates" / TEMPLATE
        shutil.copytree(Path(board.__file__).parent / "voila", template)
        measure = None
        if space is not None and config.pipeline.has_metrics:
            measure = partial(metric.film_text, space.root)
        server = review_server.BoardServer(
            binding=binding,
            token=token,
            hashed_password=hashed,
            template=TEMPLATE,
            idle_s=config.review.idle_seconds,
            routes=routes,
            measure=measure,
        )
        worker.begin()
        try:
            with notebook.own_kernel(), _jupyter_path(folder):
                review_server.run_voila(path, begin, server)
        finally:
            worker.end()


def _open_any(chosen: FilmOptions) -> tuple[Workspace | None, Config, Path]:
    """A film to show first, if there is any; refuses in a sentence what would fail in a kernel."""
    film, data_dir, overrides = chosen.film, chosen.data_dir, chosen.overrides
    root, config = film_workspace.load_settings(data_dir, overrides)
    if not film:  # the newest one may be running for the first time
        known = list_reviewable(data_dir, overrides)
        if not known:
            return None, config, root
        film = known[-1].film_id
    space, config = film_workspace.open_film(film, data_dir, overrides, workspace.PICTURES)
    open_session(space, config)
    return space, config, root


def show_asked(
    film_id: str | None, data_dir: str, overrides: Sequence[str], user: str
) -> AnyWidget | HTML:
    """Show the board of the film that a page's address names, `?film=...`.

    Parameters
    ----------
    film_id : str or None
        Of the film of an address that names none.
    data_dir, overrides, user : str, sequence of str, str
        As of `bunny review`.

    Returns
    -------
    AnyWidget or HTML
        Where there is no board of that film, a sentence and the boards that there are.
    """
    query = parse_qs(os.environ.get("QUERY_STRING", ""))  # Voilà's word for the page's address
    film = query.get("film", [film_id])[0]
    try:
        if film and not workspace.find(workspace.project_root(), data_dir, film):
            raise UserError(f"{film}: expected a film of this server, found none; choose another")
        space, config = film_workspace.open_film(film, data_dir, overrides, workspace.PICTURES)
        return show(space, config, user=user, overrides=overrides, is_alone=True)
    except UserError as error:
        from IPython.display import HTML

        known = list_reviewable(data_dir, overrides)
        return HTML(_no_board(str(error), sorted(space.film_id for space in known), query))


def list_reviewable(data_dir: str | None, overrides: Sequence[str] = ()) -> list[Workspace]:
    """Films that have something to review, newest last."""
    root, config = film_workspace.load_settings(data_dir, overrides)
    found = workspace.find(root, config.project.data_dir)
    return [s for s in found if any(store.exists(s.table, t) for t in ("asset", "cluster"))]


def _no_board(sentence: str, film_ids: Sequence[str], query: dict[str, list[str]]) -> str:
    """Page that says why there is no board, with links to those that there are."""
    from html import escape

    def address(path: str, **more: str) -> str:
        token = {"token": query["token"][0]} if "token" in query else {}
        return escape(f"{path}?{urlencode(token | more)}")

    def link(text: str, path: str, **more: str) -> str:
        """A link that JupyterLab's renderer does not send to a new tab."""
        return f'<a target="_self" href="{address(path, **more)}">{escape(text)}</a>'

    links = [f"<li>{link(film_id, '/', film=film_id)}</li>" for film_id in film_ids]
    known = f"<p>Films with a board:</p><ul>{''.join(links)}</ul>" if links else ""
    return (
        f'<div class="bunny-no-board"><style>{NO_BOARD_STYLE}</style><h1>No such board</h1>'
        f'<p role="alert">{escape(sentence)}</p>{known}'
        f"<p>{link('Add or run films', '/films')}</p></div>"
    )


def voila_notebook(given: dict[str, Any]) -> dict[str, Any]:
    """The notebook that Voilà runs for each browser: it opens the film and shows its board."""
    lines = ["from bunny.command import review", f"given = {given!r}", "review.show_asked(**given)"]
    cell = {
        "cell_type": "code",
        "id": "board",
        "metadata": {},
        "source": "\n".join(lines),
        "outputs": [],
        "execution_count": None,
    }
    kernel = {"display_name": "Python 3", "language": "python", "name": notebook.KERNEL}
    return {"cells": [cell], "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def add_references(space: Workspace, name: str, files: Sequence[tuple[str, bytes]]) -> str:
    """Keep pictures that somebody dropped on a character as references, in the film's own folder.

    Parameters
    ----------
    name : str
        The character's.
    files : sequence of (str, bytes)
        File name and content of each picture.

    Returns
    -------
    str
        What was done and what is to be run.

    Raises
    ------
    UserError
        If one is no picture or too large; then none is kept.
    """
    reference.check_name(name)
    checked = [check_picture(file, data) for file, data in files]
    target = space.root / reference_folder.NAMED / name
    with workspace.lock(space):
        for stem, suffix, data in checked:
            digest = hashlib.sha256(data).hexdigest()[:8]
            atomic.write_bytes(target / f"{stem}-{digest}{suffix}", data)
        workspace.update_references(space)
    number = f"{len(checked)} reference picture{'' if len(checked) == 1 else 's'}"
    return (
        f"{number} of {name} added; to use them, press {set_update.BUTTON} or run "
        f"`{set_update.command(space)}`"
    )


def check_picture(file: str, data: bytes) -> tuple[str, str, bytes]:
    """Stem, suffix and content of what can be a reference.

    Raises
    ------
    UserError
        If it is no picture, or too large.
    """
    suffix = Path(file).suffix.lower()
    if suffix not in reference_folder.PICTURE_SUFFIXES:
        known = ", ".join(sorted(reference_folder.PICTURE_SUFFIXES))
        raise UserError(f"{file}: expected a picture ({known}), got '{suffix}'; convert it")
    if len(data) > MAX_UPLOAD:
        raise UserError(
            f"{file}: expected at most 20 MB, got {len(data) / 2**20:.0f} MB; reduce it"
        )
    size = image_file.read_size(data)
    if size is None or max(size) > MAX_SIDE_PX or image_file.decode(data) is None:
        raise UserError(
            f"{file}: expected a readable picture of at most {MAX_SIDE_PX} px a side; save it again"
        )
    return workspace.make_film_id(Path(file), "0" * 64)[:-9], suffix, data


def _folder_tables(opened: session.BoardSession) -> str:
    """Folders of both levels, and the training sets, as tables."""
    from bunny.view import html
    from bunny.view.board import query, training_set

    parts = []
    for level in ("scene", "character"):
        rows = [
            [
                f["name"] or f["id"] or "noise",
                str(f["count"]),
                f"{f['approved']:.0%}",
                f"{f['doubt']:.2f}",
            ]
            for f in query.list_folders(opened.table, level)
        ]
        heading = ("scene" if level == "scene" else "character", "items", "approved", "doubt")
        parts.append(html.table(heading, rows))
    if training_set.exists(opened.film.root):
        heading = ("training set", "pictures", "state", "by", "at")
        rows = [
            [one["character"], str(len(one["pictures"])), one["state"], one["by"], one["at"]]
            for one in training_set.list_sets(opened.film.root)
        ]
        parts.append(html.table(heading, rows))
    return "".join(parts)


@contextmanager
def _jupyter_path(folder: str) -> Iterator[None]:
    """Let Jupyter look for templates here, too."""
    before = os.environ["JUPYTER_PATH"]
    os.environ["JUPYTER_PATH"] = os.pathsep.join([folder, before])
    try:
        yield
    finally:
        os.environ["JUPYTER_PATH"] = before
