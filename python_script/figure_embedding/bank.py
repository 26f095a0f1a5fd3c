"""Make the bank of figures that are in no film: `python bank.py --scripted FOLDER --drawn FOLDER`.

`--drawn` is what `collect.py` wrote: so many identities of people's drawings by lot. `--scripted`
is what `python_script/draw_figures.py` writes (`<style>_<identity>_<view>.png`); of each identity
one view is taken, and as many random creatures are drawn beside. Names of identities that look like
somebody in the benchmark's films are left out.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import creature
import cv2
import describe
import numpy as np
from safetensors.numpy import save_file
from tqdm.auto import tqdm

from bunny.character.drawn import figure_embedding

LEFT_OUT = {"0051", "0068", "0134", "0174"}  # share species, colour and garment with a film's cast


def main() -> None:
    """Draw, describe, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scripted", type=Path)
    parser.add_argument("--creatures", type=int, default=0)
    parser.add_argument("--drawn", type=Path)
    parser.add_argument("--num-drawn", type=int, default=900)
    parser.add_argument("--out", type=Path, default=figure_embedding.FOLDER)
    wanted = parser.parse_args()
    net = figure_embedding.FigureNet()
    images = tqdm(choose(wanted), unit="figure")
    raw = np.stack([net.describe_reference(image).mean(axis=0) for image in images])
    path = wanted.out / figure_embedding.BANK_FILE
    save_file({"raw": raw.astype(np.float16)}, path, metadata={"made by": "python_script"})
    print(f"{len(raw)} figures, {path.stat().st_size / 1e3:.0f} kB")


def choose(wanted: argparse.Namespace) -> Iterator[np.ndarray]:
    """Pictures of the bank, each of another identity."""
    first = {}
    for path in sorted(wanted.scripted.glob("*.png")) if wanted.scripted else ():
        identity = path.stem.split("_")[1]
        if identity not in LEFT_OUT:
            first.setdefault(identity, path)
    yield from (cv2.imread(str(path)) for path in first.values())
    for k in range(wanted.creatures):
        yield creature.film(np.random.default_rng([11, k]), 1, 1)[0][0, 0]
    folders = sorted(p for p in wanted.drawn.glob("*/*") if p.is_dir()) if wanted.drawn else []
    order = np.random.default_rng(17).permutation(len(folders))[: wanted.num_drawn]
    yield from (describe.read_figure(folders[k] / "0.png") for k in sorted(order))


if __name__ == "__main__":
    main()
