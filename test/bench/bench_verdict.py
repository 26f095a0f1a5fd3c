"""Is the verdict true? Adapters of known quality, judged by it, by the toy world's judge, by eye.

    export PYTHONPATH=python_script
    bunny run sample --only dataset,finetune --set ...     (adapters of other steps or pictures)
    python test/bench/bench_verdict.py WORKSPACE NAME=FILE[@STRENGTH] ... [--sheet FILE]

WORKSPACE is the demo's film folder, which is only read. Each adapter draws the prompts for
reporting; beside them stand the base alone, an adapter of random weights and pictures of noise.
Prints the recogniser's rates on the film's own pictures, for each adapter the share of pictures
that the recogniser and the judge take for the bunny and the kind of the verdict, and Spearman's
rank correlation of the recogniser's mean identity with the judge's mean probability.
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file
from sample.script import CLOVER
from scipy.stats import spearmanr

from bunny.core import file_hash, image_file
from bunny.core.config import layer
from bunny.dataset.crop_caption import CaptionWords
from bunny.demo import judge as demo_judge
from bunny.evaluation import checkpoint_choice, identity_model, run_metric, verdict
from bunny.evaluation.settings import EvaluationInput, EvaluatorSettings
from bunny.generation import request, sampler
from bunny.table import store
from bunny.training import base as base_model

SURE = 0.5
SEEDS = (11, 12, 13)
STEP = 1  # that any adapter's pictures are filed under
TABLES = ("frame", "label", "reference", "candidate", "dataset")


def main():
    """Print the tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workspace", type=Path)
    parser.add_argument("adapter", nargs="*")
    parser.add_argument("--sheet", type=Path)
    given = parser.parse_args()
    root = given.workspace
    own = json.loads((root / "own_setting.json").read_text(encoding="utf-8"))
    config = layer.load(root, own=own, environment={})
    base = base_model.load_base(config.models.base_model)
    eyes = load_eyes(root, config, base)
    show_calibration(eyes)
    judge = demo_judge.ToyJudge.load()
    with tempfile.TemporaryDirectory() as folder:
        adapters = dict(parse(word) for word in given.adapter)
        source = next(iter(adapters.values()), None)
        if source:
            adapters["noise adapter"] = (write_noise(source[0], Path(folder)), 1.0)
        drawn = {"base alone": draw(base, config, None)}
        drawn |= {name: draw(base, config, one) for name, one in adapters.items()}
    rng = np.random.default_rng(0)
    shape = drawn["base alone"][0][2].shape
    drawn["pure noise"] = [
        (prompt, seed, rng.integers(0, 256, shape).astype(np.uint8))
        for prompt, seed, _ in drawn["base alone"]
    ]
    print("\n| adapter | pictures | recogniser | judge | verdict |\n|---|---|---|---|---|")
    ours, theirs = [], []
    before = rows(eyes, drawn["base alone"], 0)
    for name, pictures in drawn.items():
        now = rows(eyes, pictures, STEP)
        share = float(np.mean([row["recognised"] == eyes.character for row in now]))
        rgb = np.stack([picture[:, :, ::-1] for _, _, picture in pictures])
        said = judge.says_character(
            rgb, species=CLOVER.species, colour=CLOVER.colour, garment=CLOVER.wear
        )
        ours.append(float(np.mean([row["identity"] for row in now])))
        theirs.append(float(said.mean()))
        outcome = outcome_of(root, eyes, before + now)
        print(
            f"| {name} | {len(now)} | {share:.2f} (identity {ours[-1]:.2f}) | "
            f"{(said >= SURE).mean():.2f} (mean {theirs[-1]:.2f}) | {outcome} |"
        )
    print(f"\nSpearman, mean identity against mean of the judge: {spearmanr(ours, theirs)[0]:.3f}")
    if given.sheet:
        write_sheet(drawn, given.sheet)


def parse(word):
    """Name, file and strength of ``name=file@strength``."""
    name, _, rest = word.partition("=")
    file, _, strength = rest.partition("@")
    return name, (Path(file), float(strength or 1))


def load_eyes(root, config, base):
    """The recogniser of the film's first trained character."""
    tables = {name: store.read_or_empty(root / "table", name) for name in TABLES}
    film = EvaluationInput(tables=tables, film_dir=root, checkpoint_dir=root, reference_dir=None)
    settings = EvaluatorSettings(
        evaluation=config.evaluation,
        captioning=config.captioning,
        detection=config.detection,
        min_confidence=config.dataset.min_confidence,
        seed=config.seed,
    )
    return identity_model.load_identity_model(film, config.models.characters[0], base, settings)


def show_calibration(eyes):
    """Print what the recognisers make of the film's own pictures of held-out shots."""
    print("| character | real recognised | strangers recognised | shots | can judge |")
    print("|---|---|---|---|---|")
    for name, scale in eyes.scales.items():
        real, others = scale.real, scale.strangers
        print(
            f"| {name} | {real.value:.3f} ({real.low:.3f}-{real.high:.3f}), n={real.n} | "
            f"{others.value:.3f} ({others.low:.3f}-{others.high:.3f}), n={others.n} | "
            f"{scale.num_shots} | {scale.is_calibrated} |"
        )


def write_noise(source, folder):
    """An adapter like another one, of random weights of ten times their spread."""
    rng = np.random.default_rng(0)
    weights = load_file(source)
    noise = {
        name: (rng.standard_normal(w.shape) * 10 * max(float(w.std()), 1e-3)).astype(w.dtype)
        for name, w in weights.items()
    }
    save_file(noise, folder / "noise.safetensors")
    return folder / "noise.safetensors"


def draw(base, config, adapter):
    """Prompt, seed and BGR picture of each prompt for reporting."""
    asked = config.evaluation
    trigger = CaptionWords.of(config.captioning, config.models.characters[0]).subject
    jobs = [(p.replace("{trigger}", trigger), s) for p in asked.report_prompts for s in SEEDS]
    wanted = [
        request.GenerationRequest(
            prompt=prompt,
            seed=seed,
            num_steps=asked.num_steps,
            guidance_scale=asked.guidance_scale,
            width_px=base.resolution_px,
            height_px=base.resolution_px,
        )
        for prompt, seed in jobs
    ]
    weighted = None
    if adapter:
        path, strength = adapter
        weighted = request.WeightedAdapter(
            path=path, hash=file_hash.hash_file(path), strength=strength
        )
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for made in sampler.generate(base, wanted, weighted):
            file = Path(folder) / f"{made.index}.png"
            made.save(file, {})
            found.append((*jobs[made.index], image_file.read(file)))
    return found


def rows(eyes, pictures, step):
    """Rows of `evaluation_picture` of one adapter."""
    return [
        {
            "picture_id": f"{step}-{index}",
            "run_id": "bench",
            "character": eyes.character,
            "step": step,
            "prompt_set": "report",
            "prompt": prompt,
            "seed": seed,
            **eyes.see(picture, is_pair=False),
        }
        for index, (prompt, seed, picture) in enumerate(pictures)
    ]


def outcome_of(root, eyes, pictures):
    """Kind of the verdict's first sentence."""
    shown = store.from_rows("evaluation_picture", pictures)
    who = eyes.character
    found = run_metric.run_rows(shown, {}, who, STEP)
    choice = checkpoint_choice.CheckpointChoice(step=STEP, reason="", over_last=None)
    found += run_metric.choice_rows("bench", who, choice)
    for name, scale in eyes.scales.items():
        found += run_metric.scale_rows("bench", name, scale)
    label, frame = (store.read(root / "table", name) for name in ("label", "frame"))
    found += run_metric.count_rows("bench", who, *identity_model.count_real(label, frame, who))
    about = verdict.RunInfo(character=who, class_word="", num_images=0, num_held_out=0)
    return verdict.judge(store.from_rows("evaluation", found), about)[0].kind


def write_sheet(drawn, file):
    """One row of pictures an adapter, in the order of the table."""
    import cv2

    strips = [np.hstack([picture for _, _, picture in pictures]) for pictures in drawn.values()]
    file.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(file), np.vstack(strips))


if __name__ == "__main__":
    main()
