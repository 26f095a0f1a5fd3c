"""Describe figures that `collect.py` cut out: `python describe.py --pictures PICTURES --out FILE`.

Of each identity the first view is described, before a ground of one colour by lot (a figure in a
film has no white ground). FILE has `raw`, float16, and in its metadata who each row is of.
"""

import argparse
import json
import zlib
from pathlib import Path

import cv2
import numpy as np
from safetensors.numpy import save_file
from tqdm.auto import tqdm

from bunny.character.drawn import figure_embedding

MARGIN = 0.06  # share of the longer side; crops in films have the same


def main() -> None:
    """Describe one view of each identity."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    wanted = parser.parse_args()
    net = figure_embedding.FigureNet()
    folders = sorted(path for path in wanted.pictures.glob("*/*") if path.is_dir())
    raw = [
        net.describe_reference(read_figure(folder / "0.png")).mean(axis=0)
        for folder in tqdm(folders, unit="figure")
    ]
    names = [str(folder.relative_to(wanted.pictures)) for folder in folders]
    save_file({"raw": np.stack(raw).astype(np.float16)}, wanted.out, {"names": json.dumps(names)})


def read_figure(path: Path) -> np.ndarray:
    """Read a cut-out figure and lay it before a plain ground of a colour that its path decides."""
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image.shape[2] == 3:
        return image
    rng = np.random.default_rng(zlib.crc32("/".join(path.parts[-3:]).encode()))
    hsv = np.array([[[rng.integers(180), rng.integers(150), rng.integers(70, 256)]]], np.uint8)
    ground = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)
    edge = round(MARGIN * max(image.shape[:2]))
    image = cv2.copyMakeBorder(image, *[edge] * 4, cv2.BORDER_CONSTANT, value=(0, 0, 0, 0))
    share = image[..., 3:] / 255
    return (image[..., :3] * share + ground * (1 - share)).round().astype(np.uint8)


if __name__ == "__main__":
    main()
