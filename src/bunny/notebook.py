"""Notebooks run through papermill: one for each stage, parameters checked, copies kept.

A notebook's number is its place in the folder and nothing else: stages are named. The board stands
near the end, where a person comes to it, though stage review runs right after cluster.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bunny import pipeline
from bunny.contract import fingerprint
from bunny.contract.result import StageResult, StageState
from bunny.core import config as configuration
from bunny.core import workspace
from bunny.core.error import StageError, UserError
from bunny.view.html import Note

if TYPE_CHECKING:
    from bunny.core.config import Config
    from bunny.core.workspace import Workspace

logger = logging.getLogger(__name__)

KERNEL = "python3"
# Their text says it all.
USER_ERRORS = {"UserError", "DamagedTableError", "TableVersionError"}
OWN_ERRORS = {"BunnyError", "StageError", "TableError", *USER_ERRORS}
NOTEBOOK = {
    "extract": "01_extract",
    "filter": "02_filter",
    "detect": "03_detect",
    "cluster": "04_cluster",
    "review": "10_review",
    "caption": "05_caption",
    "dataset": "06_dataset",
    "clip": "12_clip",
    "pair": "13_pair",
    "finetune": "07_finetune",
    "evaluate": "08_evaluate",
    "generate": "09_generate",
}


def run(
    space: Workspace,
    config: Config,
    stages: Iterable[str],
    *,
    overrides: Sequence[str] = (),
    data_dir: str | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> list[StageResult]:
    """Run the notebooks of `stages` in order, as `pipeline.run` would run the stages.

    A notebook is passed over when its stage is up to date and a whole executed copy of it, not
    older than the stage's last run, is there already, so that a rerun after a failure goes on
    where it stopped.

    Parameters
    ----------
    overrides : sequence of str
        `section.key=value`, as given to `--set`.
    data_dir : str, optional
        As given to `--data-dir`; default where the workspace lies.
    parameters : mapping, optional
        More parameters, by name, given to every notebook.

    Raises
    ------
    UserError
        For a parameter that a notebook does not have, or a cell that raised one.
    StageError
        For any other failing cell; it names notebook, cell and the error.
    """
    folder = notebook_dir()
    configured = config.project.data_dir
    here = configured if "://" in configured else str(space.root.parent.parent)
    given = {
        "film_id": space.film_id,
        "data_dir": data_dir or here,
        "is_interactive": False,
        "overrides": list(overrides),
        **(parameters or {}),
    }
    stages = list(stages)
    paths = {stage: folder / f"{NOTEBOOK[stage]}.ipynb" for stage in stages}
    for path in paths.values():
        check_parameters(path, given)
    before = {stage: fingerprint.read_record(space.root, stage) for stage in stages}
    return [
        _run_one(path, stage, space, config, given, before[stage], is_forced=bool(parameters))
        for stage, path in paths.items()
    ]


def execute(path: Path, copy: Path, parameters: Mapping[str, Any]) -> None:
    """Run one notebook in a fresh kernel of this very Python and keep the executed copy.

    Parameters
    ----------
    path, copy : Path
        The notebook and where its executed copy goes, partly executed when a cell fails.
    parameters : mapping
        Checked by `check_parameters`.

    Raises
    ------
    UserError, StageError
        As `run`.
    """
    import papermill
    from nbclient.exceptions import DeadKernelError

    check_parameters(path, parameters)
    copy.parent.mkdir(parents=True, exist_ok=True)
    try:
        with own_kernel():
            papermill.execute_notebook(
                path,
                copy,
                parameters=dict(parameters),
                kernel_name=KERNEL,
                cwd=path.parent,
                progress_bar={"desc": path.stem, "unit": "cell"},  # pyright: ignore[reportArgumentType] of tqdm
            )
    except papermill.PapermillExecutionError as error:
        raise _explain(path, copy, error) from None
    except DeadKernelError as error:
        raise StageError(
            f"notebook {path.stem}: the kernel died ({error}), perhaps because memory ran out; see "
            f"{copy}"
        ) from None


def check_parameters(path: Path, parameters: Mapping[str, Any]) -> None:
    """Refuse parameters that the notebook does not declare; papermill would only warn.

    Raises
    ------
    UserError
        Naming the first unknown parameter and those that there are.
    """
    import papermill

    if not path.exists():
        raise UserError(f"{path}: this notebook is missing; run inside the project folder")
    known = papermill.inspect_notebook(path)
    for name in parameters:
        if name not in known:
            raise UserError(
                f"notebook {path.stem}: unknown parameter {name}; expected one of "
                f"{', '.join(known) or 'none'}"
            )


def notebook_dir() -> Path:
    """Folder of the numbered notebooks.

    Raises
    ------
    UserError
        If there is none: notebooks belong to the project, not to the installed package.
    """
    folder = workspace.project_root() / "notebook"
    if not folder.is_dir():
        raise UserError(f"{folder}: the notebook folder is missing; run inside the project folder")
    return folder


def create_workspace(
    film: str, references: str, data_dir: str | None, overrides: Sequence[str] = ()
) -> str:
    """Make the folder of a film that is new here; gives its film_id, or "" when none is named.

    Parameters
    ----------
    film, references : str
        Paths; relative ones count from the project's folder. `film` may also be the id of a
        film that is here. Empty: none.

    Raises
    ------
    UserError
        For a path that holds no film, or no reference pictures.
    """
    if not film:
        return ""
    root = workspace.project_root()
    last = [f"project.data_dir={json.dumps(data_dir)}"] if data_dir else []
    config = configuration.load(root, [*overrides, *last])
    folder = root / references if references else None
    return workspace.create(root, config.project.data_dir, root / film, folder).film_id


def to_overrides(values: Mapping[str, Any]) -> list[str]:
    """Settings chosen in a parameters cell as `section.key=value`; None means as configured.

    Examples
    --------
    >>> to_overrides({"filtering.blur_threshold": 0.4, "filtering.batch_size": None})
    ['filtering.blur_threshold=0.4']
    """
    return [f"{key}={json.dumps(v)}" for key, v in values.items() if v is not None]


def describe_result(result: StageResult) -> Note:
    """A stage's result and its note, for a notebook."""
    done = "was up to date" if result.status == "skipped" else f"{result.status} in"
    took = "" if result.status == "skipped" else f" {result.seconds:.1f} s"
    failed = f"; {result.failed} failed" if result.failed else ""
    sentence = f"Stage {result.name} {done}{took}{failed}."
    return Note([sentence, result.note] if result.note else [sentence])


def bullet_list(sentences: Iterable[str]) -> Note:
    """Sentences as a list, whole and wrapped, for a notebook."""
    return Note(list(sentences) or ["none"], is_list=True)


def next_step(states: Iterable[StageState]) -> Note:
    """Say what to open next, in a notebook."""
    for state in states:
        if state.state != "done":
            how = "has not run yet" if state.state == "never run" else f"is {state.state}"
            why = f" ({state.why})" if state.why else ""
            name = f"`{NOTEBOOK[state.name]}.ipynb`"
            return Note([f"Next: open {name}, since stage {state.name} {how}{why}."])
    return Note(["All stages are done. The result is in `report.html` in the film's workspace."])


def _run_one(
    path: Path,
    stage: str,
    space: Workspace,
    config: Config,
    parameters: Mapping[str, Any],
    before: Mapping[str, Any],
    *,
    is_forced: bool,
) -> StageResult:
    """Run one stage's notebook; `before` is its record when the whole run began.

    What an earlier notebook of this run did of the stage counts: that of cluster runs review too.
    """
    folder = space.log / "notebook" / space.film_id
    is_done = pipeline.make_stage(stage, space, config).can_resume()
    if (
        is_done
        and not (is_forced or config.pipeline.force_rerun)
        and _has_copy(space, folder, stage)
    ):
        return _result(fingerprint.read_record(space.root, stage), before)
    copy = _copy_path(folder, stage)
    logger.info("notebook %s -> %s", path.stem, copy)
    execute(path, copy, parameters)
    return _result(fingerprint.read_record(space.root, stage), before)


def _has_copy(space: Workspace, folder: Path, stage: str) -> bool:
    """Whether the newest executed copy ran to its end and is not older than the stage's run."""
    copies = sorted(folder.glob(f"{stage}-*.ipynb"))
    record = space.stage(stage) / "stage.json"
    if not copies or copies[-1].stat().st_mtime < record.stat().st_mtime:
        return False
    try:
        body = json.loads(copies[-1].read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    state = body.get("metadata", {}).get("papermill", {})
    return bool(state.get("end_time")) and not state.get("exception")


def _copy_path(folder: Path, stage: str) -> Path:
    """A name that no earlier copy has; names sort by time."""
    return folder / f"{stage}-{datetime.now(UTC):%Y%m%dT%H%M%S-%f}.ipynb"


def _result(record: Mapping[str, Any], before: Mapping[str, Any]) -> StageResult:
    """Read back what the stage recorded; the same record as before means nothing was done."""
    rows = {table: value["rows"] for table, value in record["tables"].items()}
    is_same = record == before
    return StageResult(
        name=record["name"],
        status="skipped" if is_same else record["status"],
        seconds=0.0 if is_same else record["seconds"],
        rows=next(iter(rows.values()), 0),
        failed=record["failed"],
        peak_memory_mb=record["peak_memory_mb"],
        tables=rows,
        note=record.get("note", ""),
    )


def _explain(path: Path, copy: Path, error: Any) -> UserError | StageError:
    """Turn a failing cell into one sentence; our own errors keep their text."""
    lines = [line for line in str(error.evalue).splitlines() if line.strip()]
    text = lines[-1] if lines else "no message"
    if error.ename not in OWN_ERRORS:
        text = f"{error.ename}: {text}"
    kind = UserError if error.ename in USER_ERRORS else StageError
    return kind(f"notebook {path.stem}, cell {error.exec_count}: {text} (executed copy: {copy})")


@contextmanager
def own_kernel() -> Iterator[None]:
    """Make the kernel name `python3` mean this interpreter, whatever else is registered.

    The user's own IPython profile is left aside too, so that a notebook runs alike everywhere.
    """
    launch = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {
        "argv": [*launch, "--log-level=CRITICAL"],
        "display_name": "Python 3",
        "language": "python",
    }
    with tempfile.TemporaryDirectory(prefix="bunny-kernel-") as name:
        home = Path(name)
        folder = home / "kernels" / KERNEL
        folder.mkdir(parents=True)
        (folder / "kernel.json").write_text(json.dumps(spec), encoding="utf-8", newline="\n")
        known = os.environ.get("JUPYTER_PATH")
        path = os.pathsep.join([str(home), *([known] if known else [])])
        with _environment(JUPYTER_PATH=path, IPYTHONDIR=str(home / "ipython")):
            yield


@contextmanager
def _environment(**values: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
