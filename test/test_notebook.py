"""The notebooks are thin and clean, and the runner says what it refuses."""

import ast
import itertools
import json
import os
import re
import sys
from pathlib import Path

import bare_film
import nbformat
import pytest

from bunny import notebook, pipeline
from bunny.contract import fingerprint
from bunny.contract.result import StageState
from bunny.core import atomic
from bunny.core.config import Config
from bunny.core.error import StageError, UserError

FOLDER = Path(__file__).resolve().parents[1] / "notebook"
NAMES = sorted(["00_start", *notebook.NOTEBOOK.values(), "11_search", "14_series"])
MAX_LINES = 15
BANNED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.For, ast.While)
COMMON = {"film_id", "data_dir", "is_interactive", "overrides"}


def read(name: str):
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def code(book) -> list:
    return [cell for cell in book.cells if cell.cell_type == "code"]


def parameter_cell(book):
    (cell,) = [c for c in book.cells if "parameters" in c.metadata.get("tags", [])]
    return cell


def test_one_notebook_a_stage_in_run_order():
    assert list(notebook.NOTEBOOK) == list(pipeline.STAGE)
    assert all(book.partition("_")[2] == stage for stage, book in notebook.NOTEBOOK.items())
    later = {"review", "clip", "pair"}  # numbered after those that were there before them
    in_order = [book for stage, book in notebook.NOTEBOOK.items() if stage not in later]
    assert in_order == sorted(in_order)  # the board stands behind all that it corrects
    assert notebook.NOTEBOOK["filter"] == "02_filter"
    assert sorted(p.stem for p in FOLDER.glob("*.ipynb")) == NAMES
    assert [name[:2] for name in NAMES] == [f"{i:02d}" for i in range(len(NAMES))]


@pytest.mark.parametrize("name", NAMES)
def test_notebook_is_thin(name):
    for cell in code(read(name)):
        assert len(cell.source.splitlines()) <= MAX_LINES, cell.source
        found = [n for n in ast.walk(ast.parse(cell.source)) if isinstance(n, BANNED)]
        assert not found, cell.source


@pytest.mark.parametrize("name", NAMES)
def test_notebook_is_clean(name):
    text = (FOLDER / f"{name}.ipynb").read_text(encoding="utf-8")
    book = read(name)
    nbformat.validate(book)
    assert all(not c.outputs and c.execution_count is None for c in code(book))
    assert set(book.metadata) == {"kernelspec", "language_info"}
    assert book.metadata.kernelspec.name == "python3"
    assert len({c.id for c in book.cells}) == len(book.cells)
    assert str(FOLDER.parent) not in text and str(Path.home()) not in text


@pytest.mark.parametrize("name", NAMES)
def test_notebook_begins_with_its_question_and_tables(name):
    first = read(name).cells[0]
    number, _, word = name.partition("_")
    assert first.cell_type == "markdown"
    assert first.source.startswith(f"# {number} {word[:4].capitalize()}")
    _title, question, tables = [line for line in first.source.splitlines() if line]
    assert question.endswith("?**") and "Reads" in tables and "rites" in tables


@pytest.mark.parametrize("name", NAMES)
def test_notebook_ends_with_what_comes_next(name):
    """By names of notebooks that there are; those of a stage say what is still to be run, too."""
    cells = read(name).cells
    (place,) = [i for i, c in enumerate(cells) if c.source.startswith("## What comes next\n")]
    named = re.findall(r"`(\d\d_\w+)`", cells[place].source)
    assert named and set(named) <= set(NAMES) - {name}
    after = [cell.source for cell in cells[place + 1 :]]
    status = "notebook.next_step(pipeline.status(space, config))"
    assert after == ([status] if name in notebook.NOTEBOOK.values() else [])


def test_no_stage_or_notebook_goes_by_its_number_alone():
    """Numbers in settings, texts and docstrings disagreed; names cannot."""
    root = FOLDER.parent
    texts = [*root.glob("*.md"), *root.glob("config/main.yaml"), *FOLDER.glob("*.ipynb")]
    texts += [*(root / "src").rglob("*.py"), *root.glob("memory_bank/*.md")]
    number = re.compile(r"\b(?:[Ss]tages? \d|[Nn]otebooks? \d\d(?!_))")
    found = [p.name for p in texts if number.search(p.read_text(encoding="utf-8"))]
    assert [name for name in found if name != "progress.md"] == []  # a log of what was


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_plain_literals_that_papermill_can_read(name):
    import papermill

    cell = parameter_cell(read(name))
    lines = ast.parse(cell.source).body
    assert all(isinstance(line, ast.AnnAssign) for line in lines)
    values = {line.target.id: ast.literal_eval(line.value) for line in lines}
    assert set(papermill.inspect_notebook(FOLDER / f"{name}.ipynb")) == set(values)
    assert set(values) >= COMMON
    assert values["film_id"] == "" and values["is_interactive"] is True


@pytest.mark.parametrize("name", NAMES)
def test_text_stands_before_each_picture(name):
    cells = read(name).cells
    for before, cell in itertools.pairwise(cells):
        is_figure = re.search(r"(?m)^(plot_|gallery\.|widget\.)", cell.source)
        if cell.cell_type == "code" and is_figure:
            assert before.cell_type == "markdown", cell.source


@pytest.mark.parametrize("stage", list(notebook.NOTEBOOK))
def test_stage_runs_through_the_pipeline(stage):
    text = "\n".join(c.source for c in code(read(notebook.NOTEBOOK[stage])))
    assert f'pipeline.run_stage("{stage}", space, config)' in text


@pytest.mark.parametrize("name", NAMES)
def test_names_of_settings_are_real(name):
    """Each `section.key` that a notebook sets is a key of the settings."""
    text = "\n".join(c.source for c in code(read(name)))
    for section, key in re.findall(r'"(\w+)\.(\w+)":', text):
        assert key in getattr(Config(), section).model_dump()
    for cell in code(read(name)):
        for section in re.findall(r'f"(\w+)\.\{key\}"', cell.source):
            keys = re.findall(r'[{ ]"(\w+)": ', cell.source)
            assert keys and set(keys) <= set(getattr(Config(), section).model_dump())


def test_unknown_parameter_is_refused_by_name():
    path = FOLDER / "02_filter.ipynb"
    with pytest.raises(UserError, match="02_filter: unknown parameter blur; expected one of film"):
        notebook.check_parameters(path, {"film_id": "x", "blur": 1})
    notebook.check_parameters(path, {"blur_threshold": 0.3})


def test_missing_notebook_is_refused(tmp_path):
    with pytest.raises(UserError, match="this notebook is missing"):
        notebook.check_parameters(tmp_path / "09_none.ipynb", {})


def test_no_notebook_folder_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="run inside the project"):
        notebook.notebook_dir()


def test_overrides_skip_what_is_as_configured():
    chosen = {"a.b": None, "a.c": 0.5, "a.d": ["x"], "a.e": "tags", "a.f": False}
    assert notebook.to_overrides(chosen) == ["a.c=0.5", 'a.d=["x"]', 'a.e="tags"', "a.f=false"]


def test_sentences_are_said_as_a_list():
    assert str(notebook.bullet_list(["one.", "two."])) == "- one.\n- two."
    assert str(notebook.bullet_list([])) == "- none"


def test_the_next_step_is_the_first_stage_that_is_not_done():
    def state(name: str, how: str, why: str = "") -> StageState:
        return StageState(
            name=name, state=how, why=why, progress=0, rows=None, seconds=None, finished_at=None
        )

    done = state("cluster", "done")
    stale = notebook.next_step([done, state("review", "stale", "feedback changed")])
    assert (
        str(stale)
        == "Next: open `10_review.ipynb`, since stage review is stale (feedback changed)."
    )
    new = notebook.next_step([done, state("caption", "never run"), state("dataset", "stale")])
    assert str(new) == "Next: open `05_caption.ipynb`, since stage caption has not run yet."
    assert "All stages are done" in str(notebook.next_step([done]))
    hostile = notebook.next_step([state("review", "stale", "`x` is <script>alert(1)</script>")])
    assert "<code>x</code> is &lt;script&gt;" in hostile._repr_html_()


def test_start_without_a_film_makes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert notebook.create_workspace("", "", None) == ""
    assert not list(tmp_path.iterdir())


def test_start_refuses_a_film_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="found no such file"):
        notebook.create_workspace("no.mp4", "", str(tmp_path / "data"))


@pytest.mark.parametrize("name", ["data", "elsewhere"])
def test_start_makes_the_folder_where_it_is_told(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.mp4").write_bytes(b"film")
    film_id = notebook.create_workspace("a.mp4", "", name)
    assert [p.parent.name for p in tmp_path.glob(f"*/*/{film_id}")] == ["output"]
    assert (tmp_path / name / "output" / film_id / "source.json").is_file()


def write_book(path: Path, *sources: str) -> Path:
    cells = [nbformat.v4.new_code_cell(s) for s in sources]
    cells[0].metadata["tags"] = ["parameters"]
    kernel = {"name": "python3", "language": "python", "display_name": "x"}
    book = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(book, path)
    return path


@pytest.mark.slow
def test_execute_uses_this_interpreter_and_its_parameters(tmp_path):
    book = write_book(
        tmp_path / "a.ipynb", "x: int = 1", "import sys, os\nprint(sys.executable, x, os.getcwd())"
    )
    home = os.environ.get("JUPYTER_PATH")
    notebook.execute(book, tmp_path / "copy" / "a.ipynb", {"x": 41})
    (text,) = [o for c in code(nbformat.read(tmp_path / "copy" / "a.ipynb", 4)) for o in c.outputs]
    assert text.text.split() == [sys.executable, "41", str(tmp_path)]
    assert os.environ.get("JUPYTER_PATH") == home


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "kind", "words"),
    [
        (
            "from bunny.core.error import UserError; raise UserError('a: expected b, got c; do d')",
            UserError,
            r"notebook a, cell 3: a: expected b, got c; do d \(executed copy: ",
        ),
        ("1 / 0", StageError, r"notebook a, cell 3: ZeroDivisionError: division by zero \("),
        ("import os; os._exit(3)", StageError, "the kernel died"),
    ],
)
def test_a_failing_cell_is_one_sentence_and_the_copy_is_kept(tmp_path, line, kind, words):
    book = write_book(tmp_path / "a.ipynb", "x: int = 1", "print('done')", line, "print('never')")
    copy = tmp_path / "copy.ipynb"
    with pytest.raises(kind, match=words) as caught:
        notebook.execute(book, copy, {})
    assert type(caught.value) is kind
    assert "done" in json.dumps([c.get("outputs") for c in nbformat.read(copy, 4).cells])


@pytest.mark.slow
def test_a_notebook_that_was_run_is_run_again_where_the_settings_force_it(tmp_path):
    """On a film without frames, whose stage is done; a kernel is started once."""
    space = bare_film.make(tmp_path)
    book = write_book(tmp_path / "a.ipynb", "x: int = 1")
    pipeline.run_stage("cluster", space, Config())
    record = fingerprint.read_record(space.root, "cluster")
    folder = space.log / "notebook" / space.film_id
    whole = {"metadata": {"papermill": {"end_time": "2026-01-01T00:00:00"}}}
    atomic.write_bytes(folder / "cluster-1.ipynb", json.dumps(whole).encode())
    for is_forced, number in ((False, 1), (True, 2)):
        config = Config(pipeline={"force_rerun": is_forced})
        notebook._run_one(book, "cluster", space, config, {}, record, is_forced=False)
        assert len(list(folder.glob("*.ipynb"))) == number
