"""Does the demo's adapter draw the bunny? `python test/bench/bench_demo.py [WORKSPACE]`.

Reads the pictures that stages generate and evaluate drew (workspace: the film's folder, by default
data/output/sample-*) and asks the toy world's judge, which was trained on renders alone: share of
pictures that are a white rabbit (and in teal overalls), share whose place, light and framing are
the prompt's, with the adapter and by the base alone; beside it what stage evaluate measured.
"""

import argparse
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image
from sample.script import CLOVER

from bunny.demo import judge as demo_judge

ATTRIBUTES = ("place", "light", "size")
SURE = 0.5


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workspace", type=Path, nargs="?")
    chosen = parser.parse_args()
    found = sorted(Path("data/output").glob("sample-*"))
    folder = chosen.workspace or (found[-1] if found else None)
    if folder is None:
        parser.error("expected a workspace, found none in data/output; run `bunny demo` first")
    judge = demo_judge.ToyJudge.load()
    print("| pictures | n | rabbit | white rabbit | in teal overalls | place | light | framing |")
    print("|---|---|---|---|---|---|---|---|")
    for name, picture in pictures(folder).items():
        print(f"| {name} | {picture.height} | " + " | ".join(shares(judge, folder, picture)) + " |")
    show_evaluation(folder)


def pictures(folder):
    """Prompt and file of the drawn pictures, by stage and by who drew."""
    table = pl.read_parquet(folder / "table" / "picture.parquet")
    table = table.filter(pl.col("file").is_not_null())
    has_adapter = pl.col("adapter_hash").is_not_null()
    groups = {
        "generate, adapter": table.filter(has_adapter),
        "generate, base": table.filter(~has_adapter),
    }
    proof = folder / "table" / "evaluation_picture.parquet"
    if proof.exists():
        report = pl.read_parquet(proof).filter(pl.col("prompt_set") == "report")
        report = report.filter(pl.col("file").is_not_null())
        groups["evaluate, adapter"] = report.filter(pl.col("step") > 0)
        groups["evaluate, base"] = report.filter(pl.col("step") == 0)
    return {name: group.select("prompt", "file") for name, group in groups.items() if group.height}


def shares(judge, folder, picture):
    """What the judge says of one group, as texts."""
    pixels = np.stack([np.array(Image.open(folder / f).convert("RGB")) for f in picture["file"]])
    who = {"species": CLOVER.species}
    asked = (
        who,
        who | {"colour": CLOVER.colour},
        who | {"colour": CLOVER.colour, "garment": CLOVER.wear},
    )
    said = [float((judge.says_character(pixels, **one) >= SURE).mean()) for one in asked]
    details = judge.details(pixels, picture["prompt"].to_list())
    right = [details.filter(pl.col("attribute") == name)["is_right"].mean() for name in ATTRIBUTES]
    return ["-" if value is None else f"{value:.2f}" for value in (*said, *right)]


def show_evaluation(folder):
    """What stage evaluate measured with its own means."""
    path = folder / "table" / "evaluation.parquet"
    if not path.exists():
        return
    table = pl.read_parquet(path).filter(pl.col("prompt_set") == "report", pl.col("about") == "")
    print("\n| measure | step (0: base) | value | interval | n |\n|---|---|---|---|---|")
    for row in table.sort("metric", "step").to_dicts():
        ends = [row["low"], row["high"]]
        interval = "-" if None in ends else f"{ends[0]:.2f} to {ends[1]:.2f}"
        value = "-" if row["value"] is None else f"{row['value']:.2f}"
        print(f"| {row['metric']} | {row['step']} | {value} | {interval} | {row['n']} |")


if __name__ == "__main__":
    main()
