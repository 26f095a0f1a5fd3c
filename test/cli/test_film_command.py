"""`bunny run`, `demo`, `report` and `review`: what their options change, on films of seconds."""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from small_project import command

from bunny import demo
from bunny.table import store

sys.path.insert(0, str(Path(__file__).parents[1] / "view" / "board"))
import made

sys.path.pop(0)

pytestmark = pytest.mark.slow


@pytest.fixture
def copied(small_project, tmp_path):
    """The film's folder in a data folder of its own."""
    root = tmp_path / "copy" / "output" / small_project.done["film_id"]
    shutil.copytree(small_project.done["workspace"], root)
    return root


def _ran(bunny, *words):
    """Status of each stage that a run had."""
    code, out, err = bunny(*words, "--json")
    assert code == 0, err
    return {name: s["status"] for name, s in json.loads(out.splitlines()[-1])["stages"].items()}


def test_only_the_named_stages_run_and_force_runs_what_is_up_to_date(bunny, copied, small_project):
    run = ("run", small_project.film, "--data-dir", copied.parents[1], "--only", "filter")
    assert _ran(bunny, *run) == {"filter": "skipped"}
    record = copied / "stage/filter/stage.json"
    before, content = record.read_bytes(), store.read(copied / "table", "quality")
    assert _ran(bunny, *run, "--force") == {"filter": "done"}
    assert record.read_bytes() != before
    assert store.read(copied / "table", "quality").equals(content)
    assert _ran(bunny, *run) == {"filter": "skipped"}


def test_a_report_is_written_again(bunny, copied):
    report = copied / "report.html"
    report.write_text("old", encoding="utf-8")
    code, out, _ = bunny("report", copied.name, "--data-dir", copied.parents[1])
    assert (code, out.strip()) == (0, str(report))
    html = report.read_text(encoding="utf-8")
    assert copied.name in html and html.count("<img") > 3


def test_the_demo_is_the_sample_with_its_own_settings_which_given_ones_override(bunny, tmp_path):
    """Its first stage is run, and looks at few frames; the whole demo takes minutes."""
    few = ["--set", "extraction.method=interval", "--set", "extraction.interval_seconds=20"]
    less = ["--set", "pipeline.stages=[extract]", "--set", "models.training_steps=7"]
    code, out, _ = bunny("demo", "--data-dir", tmp_path / "mine", *less, *few)
    assert code == 0
    (root,) = (tmp_path / "mine" / "output").glob("sample-*")
    assert out.startswith(f"{root.name}: ") and re.search(r"The demo took 0\.\d minutes\.", out)
    assert str(root / "report.html") in out and (root / "report.html").is_file()
    source = json.loads((root / "source.json").read_text(encoding="utf-8"))
    assert source["film"] == str(demo.film_path())
    assert source["references"] == str(demo.reference_dir())
    assert sorted(path.name for path in (root / "stage").iterdir() if path.is_dir()) == ["extract"]
    assert 1 < store.read(root / "table", "frame").height < 10
    kept = json.loads((root / "own_setting.json").read_text(encoding="utf-8"))
    assert {"models.characters=[bunny]", "models.training_steps=400"} <= set(kept)


@pytest.mark.skipif(sys.platform != "linux", reason="needs a second address of this machine")
def test_the_board_listens_where_it_is_told_and_knows_who_corrects(tmp_path):
    """Each browser gets the notebook that lies in the served folder; none is opened here."""
    film = made.write_film(tmp_path / "output" / "made-00000000", made.small_rows())
    place = ["--ip", "127.0.0.2", "--port", "0", "--no-browser", "--data-dir", film.parents[1]]
    process = subprocess.Popen(
        command("review", "made", "--user", "ann", *place),
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            line = process.stdout.readline()  # no warning: 127.0.0.2 is this machine alone
            port = int(re.search(r"http://127\.0\.0\.2:(\d+)/\?token=\S+", line)[1])
            with contextlib.closing(socket.create_connection(("127.0.0.2", port))):
                pass
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port))
            (page,) = tmp_path.glob("bunny-board-*/board.ipynb")
            assert "'user': 'ann'" in page.read_text(encoding="utf-8")
        finally:
            process.kill()
