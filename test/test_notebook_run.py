"""Every notebook runs under papermill on a few seconds of film and gives the stages' tables."""

import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from bunny import config, notebook, pipeline, workspace
from bunny.error import UserError

ROOT = Path(__file__).resolve().parents[1]
SMALL = (
    "models.training_steps=2",
    "models.batch_size=1",
    "evaluation.num_steps=1",
    "evaluation.seeds=[1]",
    'evaluation.choose_prompts=["{trigger}"]',
    'evaluation.report_prompts=["{trigger} on a beach"]',
    "evaluation.max_checkpoints=1",
    "generation.num_steps=1",
    "generation.seeds=[1]",
    'generation.prompts=["{trigger}"]',
)
CHEAP = ("extract", "filter")

pytestmark = pytest.mark.notebook


def draw_film(path: Path) -> Path:
    """Three seconds of moving stripes, two shots, 160x96."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=24)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for index in range(72):
            column = (np.arange(160) + index * 2) // (12 if index < 36 else 5) % 2
            pixels = np.zeros((96, 160, 3), np.uint8)
            pixels[..., 0 if index < 36 else 2] = 60 + 150 * column
            pixels[30:60, 40:90, 1] = 200
            for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


@pytest.fixture
def film(tmp_path) -> Path:
    return draw_film(tmp_path / "stripes.mp4")


def open_space(tmp_path: Path, film: Path, name: str, *overrides: str):
    data_dir = str(tmp_path / name)
    space = workspace.create(ROOT, data_dir, film, None)
    return space, config.load(ROOT, [*overrides, f"project.data_dir={data_dir}"])


def tables(space) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(space.table.glob("*.parquet"))}


def test_a_parameter_changes_what_the_stage_decides(tmp_path, film, monkeypatch):
    monkeypatch.chdir(ROOT)
    space, settings = open_space(tmp_path, film, "data")
    pipeline.run(space, settings, CHEAP)
    with pytest.raises(UserError, match="unknown parameter sharpness"):
        notebook.run(space, settings, ["filter"], parameters={"sharpness": 1})
    (result,) = notebook.run(space, settings, ["filter"], parameters={"blur_threshold": 1.0})
    assert result.status == "done" and "no frame is kept" in result.note


def test_every_notebook_gives_the_tables_of_its_stage_and_resumes(tmp_path, film, monkeypatch):
    monkeypatch.chdir(ROOT)
    direct, settings = open_space(tmp_path, film, "direct", *SMALL)
    pipeline.run(direct, settings)
    space, settings = open_space(tmp_path, film, "book", *SMALL)
    results = notebook.run(space, settings, pipeline.STAGE, overrides=SMALL)
    assert [(r.name, r.status) for r in results] == [(name, "done") for name in pipeline.STAGE]
    assert tables(space) == tables(direct)

    folder = space.log / "notebook" / space.film_id
    copies = sorted(folder.iterdir())
    assert {c.name.partition("-")[0] for c in copies} == set(notebook.NOTEBOOK)
    again = notebook.run(space, settings, pipeline.STAGE, overrides=SMALL)
    assert {r.status for r in again} == {"skipped"}
    assert sorted(folder.iterdir()) == copies

    values = {"film_id": space.film_id, "data_dir": str(tmp_path / "book")}
    values |= {"overrides": list(SMALL), "is_interactive": False}
    copy = tmp_path / "start.ipynb"
    notebook.execute(ROOT / "notebook" / "00_start.ipynb", copy, values)
    assert "Everything is done" in copy.read_text(encoding="utf-8")


def test_script_refuses_with_one_sentence(tmp_path):
    script = ROOT / "python_script" / "run_notebook.py"
    command = [sys.executable, str(script), "nobody", "filter", "--data-dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert done.returncode == 2
    assert "expected a film whose id begins with nobody" in done.stderr
    assert "Traceback" not in done.stderr and done.stdout == ""
