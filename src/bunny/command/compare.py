"""`bunny compare`: what changed between two runs of a film, or of two films."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from bunny.command import film_workspace
from bunny.core import input_path, workspace
from bunny.core.error import UserError
from bunny.view.report import compare as page
from bunny.view.report import run_difference
from bunny.view.report.run_difference import ComparedRun, RunDifference

MAX_LINES = 20  # of each part in the terminal
PARTS = ("settings", "counts", "seconds", "scores")


def run(
    one: str,
    other: str,
    *,
    data_dir: str | None = None,
    html: Path | None = None,
    num_pictures: int = 60,
) -> RunDifference:
    """Compare two runs.

    Parameters
    ----------
    one, other : str
        A film id or how it begins, the path of a film's folder, or ``DATA_DIR:FILM``.
    html : Path, optional
        Page to write.
    num_pictures : int
        Most pictures of each kind of item on the page.

    Raises
    ------
    UserError
        If a run is not found, or both are one.
    """
    if html is not None:
        input_path.check_output_file(html)
    roots = [_find_run(text, data_dir) for text in (one, other)]
    if roots[0] == roots[1]:
        raise UserError(f"{other}: expected a run other than {one}, found the same folder")
    names = _names(roots)
    runs = [ComparedRun(name=name, root=root) for name, root in zip(names, roots, strict=True)]
    found = run_difference.compare(*runs)
    if html is not None:
        for root in roots:
            workspace.fetch(workspace.from_film_dir(root), workspace.PICTURES)
        config = film_workspace.load_settings(data_dir, ())[1]
        project = f"{config.project.name} {config.project.version}"
        page.write(html, found, project, num_pictures)
    return found


def _find_run(text: str, data_dir: str | None) -> Path:
    """The film's folder that a text names."""
    path = Path(text).expanduser()
    if (path / "source.json").is_file():
        return path.resolve()
    folder, colon, film = text.rpartition(":")
    if colon and film and Path(folder).expanduser().is_dir():
        data_dir, text = str(Path(folder).expanduser().resolve()), film
    root, config = film_workspace.load_settings(data_dir, ())
    spaces = workspace.find(root, config.project.data_dir, text, has_series=True)
    if not spaces:
        raise UserError(
            f"{text}: expected a film id, a film's folder or DATA_DIR:FILM, found no such film in "
            f"{config.project.data_dir}/output; `bunny status` lists them"
        )
    film_workspace.check_one(text, spaces)
    return spaces[0].root


def to_text(found: RunDifference, *, html: Path | None = None) -> str:
    """Lines for a person; long parts are cut, with their number."""
    one, other = found.names
    lines = [f"{one} -> {other}", *(f"note: {note}" for note in found.notes)]
    for part in PARTS:
        rows = getattr(found, part)
        said = [f"  {r.where}: {r.what}  {page.show(r.one)} -> {page.show(r.other)}" for r in rows]
        lines += _cut(part, said)
    changes = Counter((item.kind, item.one, item.other) for item in found.items)
    for kind, total in found.num_compared.items():
        number = sum(count for (own, *_), count in changes.items() if own == kind)
        lines.append(f"{kind}s: {number} of {total} have a different label")
        kinds = [(key[1:], count) for key, count in changes.most_common() if key[0] == kind]
        said = [f"  {count:5} {before} -> {after}" for (before, after), count in kinds]
        lines += _cut("", said)
    if found.scenes is not None:
        lines.append(f"scenes: {page.scene_line(found.scenes)}")
        said = [f"  {page.describe_change(change)}" for change in found.scenes.changes]
        said += [f"  {m.shot}: {m.one} -> {m.other}" for m in found.scenes.moved]
        lines += _cut("", said)
    return "\n".join([*lines, f"page: {html}"] if html else lines)


def _cut(part: str, said: list[str]) -> list[str]:
    """The first lines under a heading, and how many more there are."""
    head = [f"{part}: {f'{len(said)} differ' if said else 'no difference'}"] if part else []
    more = len(said) - MAX_LINES
    rest = [f"  ... and {more} more; --json has all"] if more > 0 else []
    return [*head, *said[:MAX_LINES], *rest]


def _names(roots: list[Path]) -> list[str]:
    """Film ids; with the folder of the workspaces where both are the same."""
    names = [
        [root.name for root in roots],
        [f"{root.parents[1].name}:{root.name}" for root in roots],
        [f"{root.parents[1]}:{root.name}" for root in roots],
    ]
    return next((pair for pair in names if pair[0] != pair[1]), names[-1])
