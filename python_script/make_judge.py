"""Make the toy judge: draw pictures, train the network, measure it, export.

    python python_script/make_judge.py draw                 (pictures to checkpoint/toy_judge)
    python python_script/make_judge.py train --steps 3200   (again: goes on where it stopped)
    python python_script/make_judge.py export               (figures and weights to the sample)

Some twenty minutes of one core.
"""

import argparse
import json
import logging
from pathlib import Path

import cv2
import numpy as np
import polars as pl
from sample.script import CLOVER
from toy import judge_picture, judge_score, judge_train

from bunny.demo import judge as demo_judge
from bunny.demo import judge_net

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / "checkpoint" / "toy_judge"
VAE = ROOT / "src" / "bunny" / "demo" / "base" / "vae"
EXPORT = ROOT / "src" / "bunny" / "demo" / "judge"
WIDTHS = (32, 64, 104)
TRAIN_SEED, FIT_SEED, TEST_SEED, LIKE_SEED = 0, 1001, 2001, 3001
NUM_FIT, NUM_TEST, NUM_LIKES = 500, 1000, 200
logger = logging.getLogger("make_judge")


def draw(count: int, vae_folder: Path) -> None:
    """Render `count` scenes once, and half of them through the autoencoder."""
    WORK.mkdir(parents=True, exist_ok=True)
    pictures, facts = judge_picture.render_many(count, TRAIN_SEED)
    np.save(WORK / "pictures.npy", pictures)
    (WORK / "facts.json").write_text(json.dumps(facts), encoding="utf-8", newline="\n")
    softened = judge_picture.round_trip(_vae(vae_folder), pictures[: count // 2])
    np.save(WORK / "softened.npy", softened)
    logger.info("%d pictures, %d of them softened too", count, len(softened))


def train(steps: int) -> None:
    """Train the network and keep its figures."""
    import torch

    torch.manual_seed(0)
    net = judge_net.make_net(WIDTHS)
    report = judge_train.train(
        net,
        np.load(WORK / "pictures.npy", mmap_mode="r"),
        np.load(WORK / "softened.npy", mmap_mode="r"),
        json.loads((WORK / "facts.json").read_text(encoding="utf-8")),
        WORK,
        judge_train.JudgeTraining(steps=steps),
    )
    (WORK / "train.json").write_text(json.dumps(report, indent=1), encoding="utf-8", newline="\n")
    logger.info("%s", report)


def export(vae_folder: Path) -> None:
    """Fit the temperatures, measure on held-out pictures, write weights and figures."""
    import torch

    net = judge_net.make_net(WIDTHS)
    net.load_state_dict(torch.load(WORK / "judge.pt", weights_only=True)["net"])
    config = {"widths": WIDTHS, "licence": "MIT", "made_by": "python_script/make_judge.py"}
    vae = _vae(vae_folder)
    pictures, facts = judge_picture.render_many(NUM_FIT, FIT_SEED)
    shown = np.concatenate([pictures, judge_picture.round_trip(vae, pictures, seed=FIT_SEED)])
    judge = demo_judge.ToyJudge(net, config)
    config["temperature"] = judge_score.fit_temperature(
        judge.probabilities(shown), [*facts, *facts]
    )
    config["training"] = json.loads((WORK / "train.json").read_text(encoding="utf-8"))
    demo_judge.save(EXPORT, net, config)
    config["figures"] = figures(demo_judge.ToyJudge.load(EXPORT), vae)
    demo_judge.save(EXPORT, net, config)
    logger.info("%s", json.dumps(config["figures"], indent=1))


def figures(judge: demo_judge.ToyJudge, vae) -> dict:
    """Measure the judge on pictures of other seeds than it was trained on."""
    pictures, facts = judge_picture.render_many(NUM_TEST, TEST_SEED)
    looks = _looks(vae, pictures)
    compared = pl.concat(
        judge_score.compare(judge.probabilities(shown), facts, look)
        for look, shown in looks.items()
    )
    softening = np.abs(looks["autoencoder"].astype(np.int16) - pictures).mean()
    by_look = judge_score.accuracy(compared, "look", "attribute")
    by_size = judge_score.accuracy(
        compared.filter(pl.col("look") == "autoencoder"), "size", "attribute"
    )
    return {
        "held_out_pictures": NUM_TEST,
        "autoencoder_l1_of_255": round(float(softening), 2),
        "accuracy": _nested(by_look, "look"),
        "accuracy_by_size_after_autoencoder": _nested(by_size, "size"),
        "calibration_error": {
            str(look): round(judge_score.calibration_error(part), 4)
            for (look,), part in compared.group_by("look", maintain_order=True)
        },
        "character": _likes(judge, vae),
    }


def _looks(vae, pictures: np.ndarray) -> dict[str, np.ndarray]:
    """Pictures as they are and worn down in the ways that matter."""
    half = judge_net.INPUT_PX // 2
    return {
        "clean": pictures,
        "blurred": np.stack([cv2.GaussianBlur(one, (0, 0), 1.5) for one in pictures]),
        "64 px": np.stack(
            [cv2.resize(p, (half, half), interpolation=cv2.INTER_AREA) for p in pictures]
        ),
        "autoencoder": judge_picture.round_trip(vae, pictures, noise_max=0.0),
        "noisy latents": judge_picture.round_trip(vae, pictures, seed=TEST_SEED),
    }


def _nested(table: pl.DataFrame, first: str) -> dict:
    """Accuracy as a dict of dicts."""
    found: dict = {}
    for row in table.iter_rows(named=True):
        found.setdefault(row[first], {})[row["attribute"]] = round(row["accuracy"], 4)
    return found


def _likes(judge: demo_judge.ToyJudge, vae) -> dict:
    """How often the judge says the sample's bunny, of pictures of it and of others."""
    questions = {
        "species": {"species": CLOVER.species},
        "species, colour": {"species": CLOVER.species, "colour": CLOVER.colour},
        "species, colour, garment": {
            "species": CLOVER.species,
            "colour": CLOVER.colour,
            "garment": CLOVER.wear,
        },
    }
    found: dict = {"who": f"{CLOVER.colour} {CLOVER.species}, {CLOVER.wear}", "count": NUM_LIKES}
    for kind, (pictures, _) in judge_score.draw_test_sets(CLOVER, NUM_LIKES, LIKE_SEED).items():
        soft = judge_picture.round_trip(vae, pictures, noise_max=0.0)
        for look, shown in (("clean", pictures), ("autoencoder", soft)):
            found[f"{kind}, {look}"] = {
                name: float((judge.says_character(shown, **asked) >= 0.5).mean().round(4))
                for name, asked in questions.items()
            }
    return found


def _vae(folder: Path):
    from diffusers import AutoencoderKL

    return AutoencoderKL.from_pretrained(folder).float()


def main() -> None:
    """Run one step of the making."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", choices=("draw", "train", "export"))
    parser.add_argument("--count", type=int, default=16_000)
    parser.add_argument("--steps", type=int, default=3200)
    parser.add_argument("--vae", type=Path, default=VAE, help="whose round trip softens pictures")
    args = parser.parse_args()
    torch.set_num_threads(1)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    if args.step == "draw":
        draw(args.count, args.vae)
    elif args.step == "train":
        train(args.steps)
    else:
        export(args.vae)


if __name__ == "__main__":
    main()
