"""Make the bank of figures that are in no film: `python bank.py --pictures FOLDER`.

FOLDER is what `python_script/draw_figures.py` writes (`<style>_<identity>_<view>.png`); of each
identity one view is taken, and as many random creatures are drawn beside. Names of identities that
look like somebody in the benchmark's films are left out.
"""

import argparse
from pathlib import Path

import creature
import cv2
import numpy as np
from safetensors.numpy import save_file

from bunny.character.drawn import figure_embedding

LEFT_OUT = {"0051", "0068", "0134", "0174"}  # share species, colour and garment with a film's cast


def main() -> None:
    """Draw, describe, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--creatures", type=int, default=200)
    wanted = parser.parse_args()
    net = figure_embedding.FigureNet()
    first = {}
    for path in sorted(wanted.pictures.glob("*.png")):
        identity = path.stem.split("_")[1]
        if identity not in LEFT_OUT:
            first.setdefault(identity, path)
    images = [cv2.imread(str(path)) for path in first.values()]
    images += [
        creature.film(np.random.default_rng([11, k]), 1, 1)[0][0, 0]
        for k in range(wanted.creatures)
    ]
    raw = np.stack([net.describe_reference(image).mean(axis=0) for image in images])
    path = figure_embedding.FOLDER / "figure_bank.safetensors"
    save_file({"raw": raw.astype(np.float16)}, path, metadata={"made by": "python_script"})
    print(f"{len(raw)} figures, {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
