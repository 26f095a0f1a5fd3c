"""Notebooks run under papermill with other parameters, and refuse wrong ones.

That every notebook gives its stage's tables stands in test_run.py.
"""

import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from bunny import notebook, pipeline
from bunny.core import config, workspace
from bunny.core.error import UserError

ROOT = Path(__file__).resolve().parents[1]
CHEAP = ("extract", "filter")

pytestmark = pytest.mark.slow


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


def test_a_parameter_changes_what_the_stage_decides(tmp_path, film, monkeypatch):
    monkeypatch.chdir(ROOT)
    space, settings = open_space(tmp_path, film, "data")
    pipeline.run(space, settings, CHEAP)
    with pytest.raises(UserError, match="unknown parameter sharpness"):
        notebook.run(space, settings, ["filter"], parameters={"sharpness": 1})
    (result,) = notebook.run(space, settings, ["filter"], parameters={"blur_threshold": 1.0})
    assert result.status == "done" and "no frame is kept" in result.note


def test_script_refuses_with_one_sentence(tmp_path):
    script = ROOT / "python_script" / "run_notebook.py"
    command = [sys.executable, str(script), "nobody", "filter", "--data-dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert done.returncode == 2
    assert "expected a film whose id begins with nobody" in done.stderr
    assert "Traceback" not in done.stderr and done.stdout == ""


def test_papermill_by_hand_in_any_folder_leaves_nothing_stale(tmp_path, film):
    """From a folder outside the project; the film by its path, then by its id."""
    data = tmp_path / "data"
    for name, given in (("01_extract", ["film", film.name]), ("02_filter", ["film_id", "stripes"])):
        values = ["-p", *given, "-p", "data_dir", data, "-p", "is_interactive", "False"]
        command = [sys.executable, "-m", "papermill", ROOT / "notebook" / f"{name}.ipynb"]
        with notebook.own_kernel():
            subprocess.run(
                [*map(str, [*command, tmp_path / f"{name}.ipynb", *values])],
                cwd=tmp_path,
                check=True,
                capture_output=True,
                timeout=300,
            )
        text = (tmp_path / f"{name}.ipynb").read_text(encoding="utf-8")
        assert "object at 0x" not in text and "Config(" not in text
    (space,) = workspace.find(ROOT, str(data))
    states = pipeline.status(space, config.load(ROOT, [f"project.data_dir={data}"]))
    assert {one.state for one in states[:2]} == {"done"}
    assert {one.state for one in states[2:]} == {"never run"}
