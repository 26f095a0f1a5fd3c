"""How often is a picture's light named rightly? `python test/bench/bench_light.py [WORKSPACE]`.

Scenes of the sample world (drawn at random, not the sample film) and, where a run of the sample is
there (workspace: the film's folder, by default data/output/sample-*), its kept pictures, against
the light they were rendered in. The peer names every light by mean luma alone (night below 0.25,
dusk below 0.40), as captions did before colour casts were measured. Needs skia-python.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import polars as pl
from sample import render

from bunny import demo
from bunny.caption import metadata_facts
from bunny.library.search.ranking import LIGHT
from bunny.quality.measure import measure_frame

SIDE_PX = (320, 180)


def main():
    """Print one table for each set of pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workspace", type=Path, nargs="?")
    parser.add_argument("--scenes", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=7)
    chosen = parser.parse_args()
    show(f"{chosen.scenes} random scenes", *rendered(chosen.scenes, chosen.seed))
    found = sorted(Path("data/output").glob("sample-*"))
    if folder := chosen.workspace or (found[-1] if found else None):
        show("the sample's kept pictures", *of_the_sample(folder))


def rendered(num, seed):
    """Measures and true light of random scenes; a studio has no light of its own."""
    rng = np.random.default_rng(seed)
    scenes = [render.random_scene(rng) for _ in range(num)]
    scenes = [scene for scene in scenes if scene.place != "studio"]
    pictures = (
        cv2.cvtColor(render.render(s, *SIDE_PX)[..., :3], cv2.COLOR_RGB2BGR) for s in scenes
    )
    found = [measure_frame(picture) for picture in pictures]
    return [[getattr(m, name) for name in metadata_facts.LIGHT_COLUMNS] for m in found], [
        s.light for s in scenes
    ]


def of_the_sample(folder):
    """Measures and true light of the sample's kept pictures; photographs have none, nor cards."""
    table = folder / "table"
    truth = pl.read_parquet(Path(demo.__file__).parent / "truth" / "shot.parquet")
    truth = truth.filter(pl.col("card") == "none", ~pl.col("is_archive"))
    frame = pl.read_parquet(table / "frame.parquet").select("frame_id", "frame_index")
    kept = pl.read_parquet(table / "quality.parquet").filter("is_kept")
    rows = kept.join(frame.cast({"frame_index": pl.Int32}), on="frame_id").join_where(
        truth.select("first_frame_index", "end_frame_index", "light"),
        pl.col("frame_index") >= pl.col("first_frame_index"),
        pl.col("frame_index") < pl.col("end_frame_index"),
    )
    return rows.select(metadata_facts.LIGHT_COLUMNS).rows(), rows["light"].to_list()


def by_luma(brightness, *_):
    """The peer: every picture has a light."""
    return "night" if brightness < 0.25 else "dusk" if brightness < 0.40 else "day"


def show(name, measures, truth):
    """Said and right by rule and light."""
    truth = np.array(truth)
    print(f"\n{name}: {len(truth)}\n")
    print(
        "| rule | said | right of said | " + " | ".join(f"{x} right, wrong" for x in LIGHT) + " |"
    )
    print("|---|---|---|" + "---|" * len(LIGHT))
    for rule, ask in (("luma and cast", metadata_facts.light_word), ("luma alone", by_luma)):
        word = np.array([ask(*row) or "" for row in measures])
        is_said, is_right = word != "", word == truth
        of = [truth == light for light in LIGHT]
        each = [
            f"{(is_right & m).sum()}, {(is_said & ~is_right & m).sum()} of {m.sum()}" for m in of
        ]
        right = f"{is_right.sum() / is_said.sum():.2f}"
        print(f"| {rule} | {is_said.mean():.2f} | {right} | " + " | ".join(each) + " |")


if __name__ == "__main__":
    main()
