"""Fine-tunes in processes of their own, forked before torch computes: run by test_trainer_apart.

Prints one line of JSON: what each of its functions found.
"""

import json
import os
import random
import signal
import socket
import sys
import time
import traceback
from pathlib import Path

import diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion  # noqa: F401
import numpy as np
import torch

from bunny.core.config import ModelsConfig
from bunny.dataset import image_folder
from bunny.training import base, trainer
from bunny.training.settings import TrainingSettings
from bunny.training.trainer import TrainingLoop

torch.set_num_threads(1)
STEPS = 6
MODELS = ModelsConfig(
    lora_rank=2,
    learning_rate=1e-2,
    warmup_steps=1,
    training_steps=STEPS,
    batch_size=2,
    ema_decay=0.9,
    checkpoint_every=1,
)


def example(value: int) -> image_folder.TrainingExample:
    picture = np.full((32, 32, 3), value, np.uint8)
    picture[8:24, 8:24] = 255 - value
    return image_folder.TrainingExample(picture=picture, caption="bunny")


TRAIN, HELD_OUT = [example(v) for v in (40, 90, 150)], [example(60)]


def fork(work) -> int:
    """Do `work` in a child; it exits with 130 after an interrupt."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        work()
        code = 0
    except KeyboardInterrupt:
        code = 130
    except Exception:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def wait(pid: int) -> int:
    """Exit code; below 0 it is the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def train(base_folder: str, folder: Path, models: ModelsConfig, on_step=None) -> None:
    loaded = base.load_base(base_folder, device="cpu")
    settings = TrainingSettings(models=models)
    trainer.train_lora(loaded, TRAIN, HELD_OUT, folder, settings, on_step=on_step)


def hashes(folder: Path) -> dict[str, str]:
    from bunny.core.file_hash import hash_file

    return {p.name: hash_file(p) for p in sorted(folder.glob("*.safetensors"))}


def newest(folder: Path) -> int:
    return max((int(p.name[-6:]) for p in folder.glob("checkpoint-*")), default=0)


def kill(base_folder: str, folder: Path) -> dict:
    """Kill a run again and again, every other time while a checkpoint is being written."""
    short = MODELS.model_copy(update={"training_steps": 4})
    assert wait(fork(lambda: train(base_folder, folder / "whole", short))) == 0
    run, rng = folder / "killed", random.Random(1)
    run.mkdir()
    kills, in_save, code = 0, 0, -9
    while code:
        aims_at_save = kills % 2 == 0
        goal, pause = newest(run) + 1, rng.random() * 0.05
        pid = fork(lambda: train(base_folder, run, short))
        while not os.waitpid(pid, os.WNOHANG)[0]:
            time.sleep(0.0005)  # the run needs the processor more
            is_saving = any(run.glob(".checkpoint-*.tmp"))
            if is_saving if aims_at_save else newest(run) >= goal:
                time.sleep(0 if aims_at_save else pause)
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                kills += 1
                in_save += any(run.glob(".checkpoint-*.tmp"))
                break
        else:
            code = 0
    return {
        "kills": kills,
        "in_save": in_save,
        "whole": hashes(folder / "whole"),
        "killed": hashes(run),
    }


def interrupt(base_folder: str, folder: Path) -> dict:
    """Ask a run to stop, once with each signal, then let it end."""
    rare = MODELS.model_copy(update={"checkpoint_every": STEPS})
    whole, run, told = folder / "calm", folder / "stopped", folder / "told"
    assert wait(fork(lambda: train(base_folder, whole, rare))) == 0
    codes, steps = [], []
    for number in (signal.SIGINT, signal.SIGTERM):
        told.write_text("")
        note = lambda step: (told.write_text(str(step.step)), time.sleep(0.05))  # noqa: E731
        pid = fork(lambda: train(base_folder, run, rare, on_step=note))  # noqa: B023
        while not told.read_text():
            time.sleep(0.005)
        os.kill(pid, number)
        codes.append(wait(pid))
        steps.append(newest(run))
    assert wait(fork(lambda: train(base_folder, run, rare))) == 0
    return {"codes": codes, "steps": steps, "whole": hashes(whole), "run": hashes(run)}


def two_processes(base_folder: str, folder: Path) -> dict:
    """Two processes with a batch each, against one that accumulates two."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    few = MODELS.model_copy(update={"checkpoint_every": STEPS})

    def one(rank: int, size: int, models: ModelsConfig, run: Path) -> None:
        os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size)}
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        loaded = base.load_base(base_folder, device="cpu")
        settings = TrainingSettings(models=models)
        made = TrainingLoop(loaded, TRAIN, HELD_OUT, run, settings, None)
        result = made.train(None)
        state = made.weights.state()
        torch.save(
            {
                "weights": state["weights"],
                "has_fallen": result.has_fallen,
                "hash": result.adapter_hash,
                "losses": [s.loss for s in result.curve[1:]],
            },
            folder / f"{run.name}-{rank}.pt",
        )
        made.close()

    pids = [fork(lambda r=r: one(r, 2, few, folder / "two")) for r in range(2)]
    codes = [wait(pid) for pid in pids]
    alone = few.model_copy(update={"gradient_accumulation": 2})
    codes.append(wait(fork(lambda: one(0, 1, alone, folder / "alone"))))
    first, second, third = (
        torch.load(folder / f"{name}.pt") for name in ("two-0", "two-1", "alone-0")
    )
    names = list(first["weights"])

    def learned(run: dict) -> torch.Tensor:
        """All B matrices, which began at 0."""
        return torch.cat([run["weights"][n].flatten() for n in names if "lora_B" in n])

    return {
        "codes": codes,
        "is_equal": all(torch.equal(first["weights"][n], second["weights"][n]) for n in names),
        "apart": float((learned(first) - learned(third)).abs().mean()),
        "size": float(learned(first).abs().mean()),
        "has_fallen": [first["has_fallen"], second["has_fallen"]],
        "hashes": [first["hash"], second["hash"]],
        "losses": [first["losses"], second["losses"]],
    }


def tell(mode, base_folder: str, root: Path) -> None:
    """Do one of the above in a folder of its own and write down what it found."""
    (root / mode.__name__).mkdir()
    found = mode(base_folder, root / mode.__name__)
    (root / f"{mode.__name__}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    own_base, place = sys.argv[1], Path(sys.argv[2])
    modes = (kill, interrupt, two_processes)
    side_by_side = [fork(lambda m=mode: tell(m, own_base, place)) for mode in modes]
    assert [wait(pid) for pid in side_by_side] == [0, 0, 0]
    told = {
        mode.__name__: json.loads((place / f"{mode.__name__}.json").read_text()) for mode in modes
    }
    sys.stdout.write(json.dumps(told))
