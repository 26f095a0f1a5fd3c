"""Fine-tunes that are killed, asked to stop, or share the work: in processes of their own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).with_name("apart.py")


@pytest.fixture(scope="module")
def told(tiny_folder, tmp_path_factory) -> dict:
    """What `apart.py` found; it imports torch once for all."""
    arguments = [
        sys.executable,
        str(SCRIPT),
        str(tiny_folder),
        str(tmp_path_factory.mktemp("apart")),
    ]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=800, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


def test_killed_at_random_and_while_saving_it_ends_with_the_same_bytes(told):
    found = told["kill"]
    assert found["kills"] >= 3
    assert found["in_save"] >= 1  # a half-written checkpoint was lying there
    assert found["killed"] == found["whole"]
    assert len(found["whole"]) == 5  # an adapter for each of four steps, and the run's


def test_signals_finish_the_step_keep_it_and_the_rerun_goes_on(told):
    found = told["interrupt"]
    assert found["codes"] == [130, 130]
    first, second = found["steps"]
    assert 1 <= first < second < 6
    assert found["run"] == found["whole"]


def test_two_processes_learn_one_adapter_as_one_with_both_batches(told):
    found = told["two_processes"]
    assert found["codes"] == [0, 0, 0]
    assert found["is_equal"]
    assert found["has_fallen"] == [True, True]
    assert found["hashes"][0] == found["hashes"][1]
    assert found["losses"][0] == found["losses"][1]
    # Sums in another order, nothing more; Adam makes much of it where a gradient is next to 0.
    assert found["size"] > 1e-3
    assert found["apart"] < 0.02 * found["size"]
