"""Pictures a second of the trainer-faithful check, against reading them with Pillow alone."""

import argparse
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from bunny.trainer_format.check import picture_preview


def make(folder: Path, number: int, side_px: int) -> Path:
    """A folder of kohya's with smooth pictures and captions."""
    own = folder / "1_zoe woman"
    own.mkdir()
    for index in range(number):
        small = np.random.default_rng(index).integers(0, 256, (32, 32, 3), np.uint8)
        picture = cv2.resize(small, (side_px, side_px), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(own / f"{index:05d}.png"), picture)
        (own / f"{index:05d}.txt").write_text("zoe woman in the snow")
    return own


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--side-px", type=int, default=512)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        own = make(Path(folder), options.pictures, options.side_px)
        started = time.perf_counter()
        for path in sorted(own.glob("*.png")):
            with Image.open(path) as image:
                np.asarray(image.convert("RGB"))
        plain = time.perf_counter() - started
        started = time.perf_counter()
        findings = picture_preview.preview_folder(
            Path(folder), "kohya", resolution_px=options.side_px
        )
        ours = time.perf_counter() - started
    print(f"{findings.to_line()}\n")
    print("| way | pictures/s | ratio of times |\n|---|---|---|")
    print(f"| Pillow, read alone | {options.pictures / plain:.0f} | 1 |")
    print(f"| bunny check | {options.pictures / ours:.0f} | {ours / plain:.2f} |")


if __name__ == "__main__":
    main()
