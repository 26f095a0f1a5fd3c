"""Does the toy base draw what it is asked for? `python test/bench/bench_toy.py [--base FOLDER]`.

Draws 64 prompts with fixed seeds, lets the toy judge look at them, and prints the share of right
answers an attribute with bootstrap intervals; beside it the ceiling (the renderer's own pictures of
the same prompts, plain and through the base's autoencoder) and the floor (the base's pictures
against the prompts in another order). Writes the sheet with its marks.
"""

import argparse
import dataclasses
import time
from pathlib import Path

import numpy as np
import polars as pl
from sample import render as sample_render
from toy import judge_picture, prompt_sheet

from bunny.demo import judge as demo_judge
from bunny.demo import judge_prompt, world

BASE = Path(world.__file__).parent / "base"
NUM_RESAMPLES = 2000
BATCH = 16


def main():
    """Print the table and write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base", type=Path, default=BASE)
    parser.add_argument("--judge", type=Path)
    parser.add_argument("--sheet", type=Path, default=Path("log/toy_sheet.png"))
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=4.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=64, help="first so many prompts")
    chosen = parser.parse_args()
    judge = demo_judge.ToyJudge.load(chosen.judge)
    prompts = prompt_sheet.prompts()[: chosen.count]
    pipeline = load(chosen.base)
    begun = time.monotonic()
    drawn = draw(pipeline, prompts, chosen)
    seconds = time.monotonic() - begun
    details = judge.details(drawn, prompts)
    chosen.sheet.parent.mkdir(parents=True, exist_ok=True)
    prompt_sheet.draw_sheet(drawn, prompts, details).save(chosen.sheet)
    real = np.stack([render(prompt, index) for index, prompt in enumerate(prompts)])
    soft = judge_picture.round_trip(pipeline.vae, real, noise_max=0.0)
    columns = {
        "drawn": details,
        "renderer": judge.details(real, prompts),
        "renderer, autoencoder": judge.details(soft, prompts),
        "shuffled prompts": shuffled(judge, drawn, prompts),
    }
    show(columns, len(prompts))
    print(f"\n{len(prompts)} pictures in {seconds:.0f} s, {chosen.steps} steps; {chosen.sheet}")


def load(folder):
    """The base as a plain pipeline."""
    import torch
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None)
    pipeline = pipeline.to(torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def draw(pipeline, prompts, chosen):
    """Draw each prompt with a generator of its own."""
    import torch

    pictures = []
    for start in range(0, len(prompts), BATCH):
        part = prompts[start : start + BATCH]
        first = chosen.seed + start
        generators = [torch.Generator().manual_seed(first + i) for i in range(len(part))]
        pictures += pipeline(
            part,
            num_inference_steps=chosen.steps,
            guidance_scale=chosen.guidance,
            generator=generators,
        ).images
    return np.stack([np.asarray(picture) for picture in pictures])


def render(prompt, seed):
    """The renderer's own picture of a prompt."""
    asked = {name: words[0] for name, words in judge_prompt.parse(prompt).items()}
    wear = f"{asked['wear_colour']} {asked['garment']}" if "garment" in asked else "none"
    character = world.Character(
        name="", species=asked["species"], colour=asked["colour"], wear=wear
    )
    rng = np.random.default_rng([64, seed])
    while True:
        scene = sample_render.random_scene(rng)
        if len(scene.actors) == 1 and world.shot_size(scene) == asked["size"]:
            break
    actor = dataclasses.replace(scene.actors[0], character=character)
    scene = dataclasses.replace(scene, actors=(actor,), place=asked["place"], light=asked["light"])
    return sample_render.render(scene, 128, 128)


def shuffled(judge, drawn, prompts):
    """What is right by luck: every picture against the prompts of eight others."""
    parts = []
    for shift in range(1, len(prompts), max(1, len(prompts) // 8)):
        turned = [*prompts[shift:], *prompts[:shift]]
        parts.append(judge.details(drawn, turned))
    return pl.concat(parts)


def show(columns, count):
    """Print shares of right answers with 95 % intervals over resampled pictures, in Markdown."""
    print("| attribute | " + " | ".join(columns) + " |")
    print("|---|" + "---|" * len(columns))
    for name in (*judge_prompt.ATTRIBUTES, "all"):
        cells = []
        for details in columns.values():
            rows = details if name == "all" else details.filter(pl.col("attribute") == name)
            cells.append(interval(judge_prompt.agreement_of(rows, count)))
        print(f"| {name} | " + " | ".join(cells) + " |")


def interval(shares):
    """Mean and percentile bootstrap (Efron 1979)."""
    shares = shares[~np.isnan(shares)]
    if not len(shares):
        return "-"
    rng = np.random.default_rng(0)
    means = shares[rng.integers(len(shares), size=(NUM_RESAMPLES, len(shares)))].mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return f"{shares.mean():.2f} ({low:.2f}-{high:.2f})"


if __name__ == "__main__":
    main()
