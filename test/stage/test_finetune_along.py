"""Two processes through the command line, as torchrun starts them: one run, written once."""

import hashlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from bunny.core import workspace
from bunny.core.config import Config
from bunny.stage.dataset import Dataset
from bunny.stage.finetune import Finetune
from bunny.table import store

MODELS = {"training_steps": 2, "checkpoint_every": 2, "batch_size": 1, "lora_rank": 2}

pytestmark = pytest.mark.slow


@pytest.fixture
def film(labelled_film, tiny_base_folder) -> tuple[Path, Path, dict]:
    """A film whose training set is chosen: the file, its folder, the settings."""
    models = {**MODELS, "base_model": str(tiny_base_folder)}
    Dataset(Config(models=models), labelled_film, labelled_film).execute()
    data_dir = labelled_film.parents[1]
    path = data_dir.parent / "film.mp4"
    path.write_bytes(b"nobody decodes this")
    film_id = workspace.make_film_id(path, hashlib.sha256(path.read_bytes()).hexdigest())
    return path, labelled_film.rename(labelled_film.with_name(film_id)), models


def test_two_processes_train_once_and_report_once(film):
    path, film_dir, models = film
    chosen = [part for key, value in models.items() for part in ("--set", f"models.{key}={value}")]
    both = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    line = ["-m", "bunny", "run", str(path), "--data-dir", str(film_dir.parents[1])]
    command = [sys.executable, *both, *line, "--only", "finetune", "--json", *chosen]
    one = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=one)
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    said = json.loads(line)["stages"]["finetune"]
    assert said["status"] == "done" and "bunny" in said["note"]
    assert said["tables"] == {"training_run": 1, "training_step": 3, "adapter": 1}
    steps = store.read(film_dir / "table", "training_step")["step"].sort().to_list()
    assert steps == [0, 1, 2]
    (run,) = store.read(film_dir / "table", "training_run").to_dicts()
    assert (run["status"], run["num_steps"]) == ("done", 2)


def test_a_further_process_runs_no_other_stage_and_reports_nothing(bunny, monkeypatch, film):
    path, film_dir, _models = film
    monkeypatch.setenv("RANK", "1")
    arguments = ("run", path, "--data-dir", film_dir.parents[1], "--only", "filter", "--json")
    code, said, _bars = bunny(*arguments)
    assert (code, said) == (0, "")
    assert not (film_dir / "stage" / "filter").exists()


ALONG = """
import sys
from pathlib import Path
from bunny.core.config import Config
from bunny.stage.finetune import Finetune
folder, models = Path(sys.argv[1]), {"base_model": sys.argv[2]}
for is_forced in (False, True):
    config = Config(models=models, pipeline={"force_rerun": is_forced})
    print(Finetune(config, folder, folder).execute().status)
"""


def test_a_forced_run_is_done_by_every_process(labelled_film, tiny_base_folder):
    """Without training pictures, so that there is nothing to train; the stage is done before."""
    store.write(labelled_film / "table", "dataset", store.from_rows("dataset", []))
    models = {"base_model": str(tiny_base_folder)}
    assert Finetune(Config(models=models), labelled_film, labelled_film).execute().status == "done"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    both = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    command = [sys.executable, "-c", ALONG, str(labelled_film), str(tiny_base_folder)]
    started = [
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | both | {"RANK": rank, "LOCAL_RANK": rank, "OMP_NUM_THREADS": "1"},
        )
        for rank in "01"
    ]
    said = [one.communicate(timeout=300)[0].split() for one in started]
    assert said == [["skipped", "done"]] * 2
