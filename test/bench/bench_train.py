"""Our trainer against diffusers' own DreamBooth-LoRA example script, on the same model and data.

    python test/bench/bench_train.py --reference-script FOLDER/train_dreambooth_lora.py
        [--shape toy|sd15|tiny] [--pairs 3] [--steps 60] [--precision fp32] [--markdown FILE]

The script is that of github.com/huggingface/diffusers, examples/dreambooth; it is run as it is, in
a process of its own, one after the other with ours. Both have LoRAs on the same attention layers,
the same pictures, caption, rank, batch, precision and number of steps. Steps are counted by a hook
on torch's optimizers, alike in both; memory is the largest resident set of the process with its
children, on a GPU what torch reserved. Where torchvision is missing a stand-in takes its place.
"""

import argparse
import json
import os
import resource
import runpy
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

EVERY_S = 0.1  # memory of a process with its children is read so often
WARM = 5  # steps that do not count for the steady rate
LEARNING_RATE = 1e-4
CAPTION = "bunny character in a meadow, medium shot"
FASTER, SMALLER = 1.5, 0.7  # goals
SEED = 3


def main() -> None:
    """Run pairs and print a table."""
    args = parse()
    if args.child:
        return run_child(args)
    with tempfile.TemporaryDirectory() as folder:
        base = make_base(args.shape, Path(folder))
        data = make_pictures(Path(folder) / "picture", args.pictures, side_of(base, args))
        results = []
        for number in range(args.pairs):
            pair = {who: measure(who, args, base, data, Path(folder)) for who in ("ours", "theirs")}
            print(f"pair {number + 1}: {json.dumps(pair)}", file=sys.stderr, flush=True)
            results.append(pair)
    text = to_markdown(results, args)
    print(text)
    if args.markdown:
        args.markdown.write_text(text + "\n")


def parse() -> argparse.Namespace:
    """Read the command line; `--child` and `--out` are for this file's own processes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reference-script", type=Path, required=True)
    parser.add_argument("--reference-flag", action="append", default=[], help="added to its own")
    parser.add_argument("--shape", choices=["toy", "tiny", "sd15"], default="toy")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--pictures", type=int, default=24)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--resolution", type=int, default=0, help="0: the base's own")
    parser.add_argument("--precision", choices=["fp32", "fp16", "bf16"], default="fp32")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--child", choices=["ours", "theirs"], help=argparse.SUPPRESS)
    parser.add_argument("--base", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--data", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


# -- what both are given ---------------------------------------------------------------------


def make_base(shape: str, folder: Path) -> Path:
    """A model folder: the toy, a tiny one, or the shape of SD 1.5 with random weights."""
    from toy import model

    from bunny.training.family import folder as family_folder

    if shape == "toy":
        return Path(family_folder.find_folder("toy"))
    target = folder / "base"
    if shape == "tiny":
        model.save_tiny(target, seed=SEED)
    else:
        save_sd15(target)
    return target


def save_sd15(target: Path) -> None:
    """The architecture of Stable Diffusion 1.5 (runwayml's configs), weights random."""
    import torch
    from diffusers import (
        AutoencoderKL,
        DDPMScheduler,
        StableDiffusionPipeline,
        UNet2DConditionModel,
    )
    from transformers import CLIPTextConfig, CLIPTextModel

    from bunny.training import base as bases

    torch.manual_seed(SEED)
    channels = (320, 640, 1280, 1280)
    unet = UNet2DConditionModel(
        sample_size=64, block_out_channels=channels, cross_attention_dim=768, attention_head_dim=8
    )
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(128, 256, 512, 512),
        layers_per_block=2,
        latent_channels=4,
        sample_size=512,
    )
    tokenizer = bases.load_base("toy", "cpu").tokenizer
    text = CLIPTextConfig(
        vocab_size=max(49408, len(tokenizer)),
        hidden_size=768,
        intermediate_size=3072,
        num_hidden_layers=12,
        num_attention_heads=12,
        max_position_embeddings=77,
        projection_dim=768,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=tokenizer.bos_token_id,
    )
    StableDiffusionPipeline(
        vae=vae,
        unet=unet,
        text_encoder=CLIPTextModel(text),
        tokenizer=tokenizer,
        scheduler=DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear"),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(target)


def side_of(base: Path, args: argparse.Namespace) -> int:
    """Side of the training pictures in pixels."""
    if args.resolution:
        return args.resolution
    unet = json.loads((base / "unet" / "config.json").read_text())["sample_size"]
    channels = json.loads((base / "vae" / "config.json").read_text())["block_out_channels"]
    return unet * 2 ** (len(channels) - 1)


def make_pictures(folder: Path, number: int, side: int) -> Path:
    """Square pictures with low and high frequencies."""
    import cv2
    import numpy as np

    folder.mkdir(parents=True)
    rng = np.random.default_rng(SEED)
    for index in range(number):
        small = rng.integers(0, 256, (6, 6, 3), np.uint8)
        picture = cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f"{index:03d}.png"), picture)
    return folder


# -- one process -----------------------------------------------------------------------------


def measure(who: str, args: argparse.Namespace, base: Path, data: Path, folder: Path) -> dict:
    """Run one of the two in a process of its own; gives its figures."""
    out = folder / f"{who}.json"
    out.unlink(missing_ok=True)
    keep = ("steps", "rank", "batch_size", "precision", "threads", "resolution", "pictures")
    command = [
        sys.executable,
        Path(__file__).resolve(),
        "--child",
        who,
        "--base",
        base,
        "--data",
        data,
    ]
    command += ["--out", out, "--reference-script", args.reference_script.resolve()]
    command += [f"--reference-flag={flag}" for flag in args.reference_flag]
    for key in keep:
        command += [f"--{key.replace('_', '-')}", getattr(args, key)]
    threads = {n: str(args.threads) for n in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    quiet = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "OMP_WAIT_POLICY": "PASSIVE"}
    environment = {**os.environ, **threads, **quiet}
    with tempfile.TemporaryDirectory() as work:
        seconds, mib = watch([str(part) for part in command], environment, Path(work))
    if not out.exists():
        raise SystemExit(f"{who} failed: it wrote no figures")
    found = json.loads(out.read_text())
    found["seconds"] = round(seconds, 2)
    if found["is_cpu"]:
        found["mib"] = max(mib, found["mib"])
        found["own"] = found["mib"] - found["floor"]
    return found


def watch(command: list[str], environment: dict, folder: Path) -> tuple[float, float]:
    """Run a process to its end; gives its seconds and the largest resident MiB of its tree."""
    started, peak = time.perf_counter(), 0.0
    log = folder / "log.txt"
    with log.open("wb") as stream:
        child = subprocess.Popen(
            command, env=environment, cwd=folder, stdout=stream, stderr=subprocess.STDOUT
        )
        process = psutil.Process(child.pid)
        while child.poll() is None:
            try:
                tree = [process, *process.children(recursive=True)]
                peak = max(peak, sum(one.memory_info().rss for one in tree) / 2**20)
            except psutil.NoSuchProcess:
                pass
            time.sleep(EVERY_S)
    if child.returncode:
        raise SystemExit(f"{command[3]} failed:\n{log.read_text(errors='replace')[-4000:]}")
    return time.perf_counter() - started, peak


def run_child(args: argparse.Namespace) -> None:
    """Train in this process and write the figures down."""
    import torch
    from torch.optim.optimizer import register_optimizer_step_post_hook

    torch.set_num_threads(args.threads)
    load_libraries()
    floor = psutil.Process().memory_info().rss / 2**20
    clock = Clock(args.steps)
    register_optimizer_step_post_hook(clock.tick)
    {"ours": train_ours, "theirs": train_theirs}[args.child](args)
    figures = clock.figures() | memory() | {"floor": floor}
    args.out.write_text(json.dumps(figures))


def load_libraries() -> None:
    """Import what both need, so that memory beyond the libraries can be told.

    They ask once whether torchvision is there, so this comes before the stand-in.
    """
    import accelerate  # noqa: F401
    import diffusers
    import peft  # noqa: F401
    import transformers

    _ = transformers.CLIPTextModel, diffusers.StableDiffusionPipeline


class Clock:
    """Times optimizer steps; a GPU is waited for only where the steady stretch begins and ends."""

    def __init__(self, steps: int) -> None:
        self.steps, self.count, self.marks = steps, 0, {}

    def tick(self, *_: object) -> None:
        """Count one step."""
        import torch

        self.count += 1
        if self.count in (1, WARM, self.steps):
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            self.marks[self.count] = (time.perf_counter(), time.process_time())

    def figures(self) -> dict:
        """Steps a second after the first `WARM`, by the clock and by the processor's time."""
        if self.count != self.steps:
            raise SystemExit(f"expected {self.steps} optimizer steps, counted {self.count}")
        (wall, cpu), (wall_end, cpu_end) = self.marks[WARM], self.marks[self.steps]
        number = self.steps - WARM
        return {"rate": number / (wall_end - wall), "cpu_s": (cpu_end - cpu) / number}


def memory() -> dict:
    """Peak memory in MiB."""
    import torch

    if torch.cuda.is_available():
        return {
            "mib": torch.cuda.max_memory_reserved() / 2**20,
            "mib_allocated": torch.cuda.max_memory_allocated() / 2**20,
            "is_cpu": False,
            "device": torch.cuda.get_device_name(0),
        }
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    return {"mib": peak, "is_cpu": True, "device": f"CPU, {torch.get_num_threads()} threads"}


def train_ours(args: argparse.Namespace) -> None:
    """`train_lora` with the same numbers: attention only, no checkpoints on the way."""
    import cv2

    from bunny.core.config import ModelsConfig
    from bunny.dataset.image_folder import TrainingExample
    from bunny.training import base as bases
    from bunny.training import optimizer, trainer
    from bunny.training.settings import TrainingSettings

    optimizer.WEIGHT_DECAY = 1e-2
    models = ModelsConfig(
        lora_rank=args.rank,
        lora_alpha=args.rank,
        targets="attention",
        learning_rate=LEARNING_RATE,
        warmup_steps=0,
        training_steps=args.steps,
        batch_size=args.batch_size,
        caption_dropout=0.0,
        checkpoint_every=args.steps,
        precision=args.precision,
        min_snr_gamma=0.0,
    )
    settings = TrainingSettings(models=models, seed=SEED)
    files = sorted(args.data.iterdir())
    examples = [
        TrainingExample(picture=cv2.imread(str(file))[..., ::-1].copy(), caption=CAPTION)
        for file in files
    ]
    options = {} if args.precision == "fp32" else {"precision": args.precision}
    base = bases.load_base(str(args.base), **options)
    trainer.train_lora(base, examples, [], Path("ours"), settings)


def train_theirs(args: argparse.Namespace) -> None:
    """The example script with the same numbers, as `python script.py ...` would run it."""
    from transformers.utils import is_torchvision_available

    if not is_torchvision_available():
        sys.path.insert(0, str(Path(__file__).parent))
        import torchvision_standin

        torchvision_standin.install()
    side = side_of(args.base, args)
    precision = {"fp32": "no"}.get(args.precision, args.precision)
    sys.argv = [
        str(args.reference_script),
        f"--pretrained_model_name_or_path={args.base}",
        f"--instance_data_dir={args.data}",
        f"--instance_prompt={CAPTION}",
        "--output_dir=theirs",
        f"--resolution={side}",
        f"--train_batch_size={args.batch_size}",
        f"--rank={args.rank}",
        f"--learning_rate={LEARNING_RATE}",
        "--lr_scheduler=constant",
        "--lr_warmup_steps=0",
        f"--max_train_steps={args.steps}",
        f"--checkpointing_steps={10 * args.steps}",
        f"--mixed_precision={precision}",
        "--report_to=tensorboard",
        f"--seed={SEED}",
        *args.reference_flag,
    ]
    runpy.run_path(str(args.reference_script), run_name="__main__")


# -- the table -------------------------------------------------------------------------------


def to_markdown(results: list[dict], args: argparse.Namespace) -> str:
    """Medians over the pairs, and the median of the pairs' ratios with its range."""

    def middle(who: str, key: str) -> float:
        return statistics.median(pair[who][key] for pair in results)

    def ratio(key: str, sign: int = 1) -> str:
        found = sorted((p["ours"][key] / p["theirs"][key]) ** sign for p in results)
        return f"{statistics.median(found):.2f} ({found[0]:.2f}-{found[-1]:.2f})"

    head = (
        f"{args.shape}, {results[0]['ours']['device']}, {args.precision}, batch {args.batch_size}, "
        f"rank {args.rank}, {args.steps} steps, {args.pictures} pictures, {len(results)} pairs"
    )
    rows = [
        ("steps a second, steady", "rate", 1, ".2f", f"≥ {FASTER}"),
        ("processor seconds a step", "cpu_s", 1, ".3f", ""),
        ("seconds in all, start included", "seconds", 1, ".1f", ""),
        ("peak memory, MiB", "mib", 1, ".0f", f"≤ {SMALLER}"),
    ]
    if "own" in results[0]["ours"]:
        rows.append(("of it beyond the libraries, MiB", "own", 1, ".0f", f"≤ {SMALLER}"))
    lines = [
        head,
        "",
        "| | ours | diffusers' script | ours / theirs | goal |",
        "|---|---|---|---|---|",
    ]
    for name, key, sign, form, goal in rows:
        mine, other = (f"{middle(who, key):{form}}" for who in ("ours", "theirs"))
        lines.append(f"| {name} | {mine} | {other} | {ratio(key, sign)} | {goal} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
