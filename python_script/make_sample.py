"""Make the sample film, its references and its truth anew, in the package or in --folder."""

import argparse
import logging
from pathlib import Path

from sample import write
from tqdm.auto import tqdm

from bunny import demo


def main() -> None:
    """Read the folder from the command line and make the sample there."""
    parser = argparse.ArgumentParser(description=__doc__)
    default = demo.film_path().parent
    parser.add_argument("--folder", type=Path, default=default, help="where the sample goes")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    write.make_sample(
        parser.parse_args().folder, lambda frames: tqdm(frames, desc="sample film", unit="frame")
    )


if __name__ == "__main__":
    main()
