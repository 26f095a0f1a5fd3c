"""Time to open a data folder on object storage with many films, on a machine that has none of it.

    python test/bench/bench_open.py --films 20 --files 60 --delay-ms 20

Films are of small files, put on a local S3 server (moto's); a proxy before it waits before each
request, as a server that is far away.
"""

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "common"))

from bench_remote import BUCKET, serve

from bunny.command.remote_folder import S3Folders
from bunny.remote.film_sync import FilmSync
from bunny.remote.object_store import ObjectStore

ADDRESS = f"s3://{BUCKET}/work"


def send(folder, film_id, num_files):
    """Put a film there, of files of about 8 kB."""
    rng = random.Random(film_id)
    places = {"film": folder / film_id / "film", "checkpoint": folder / film_id / "checkpoint"}
    for number in range(num_files):
        path = places["film"] / "table" / f"{number}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(rng.randbytes(rng.randrange(1000, 15_000)))
    FilmSync(ObjectStore(ADDRESS), film_id, places).push()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=int, default=20)
    parser.add_argument("--files", type=int, default=60)
    parser.add_argument("--delay-ms", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    proxy = serve()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(given.films):
            send(folder / "sender", f"film-{number:08d}", given.files)
        proxy.delay_s = given.delay_ms / 1000
        for number in range(given.rounds):
            proxy.count = proxy.most = 0
            started = time.monotonic()
            home = folder / f"machine-{number}"
            home.mkdir()
            place = S3Folders().open(home, ADDRESS)
            seconds = time.monotonic() - started
            num_files = len(list(place.glob("output/*/table/*")))
            print(
                f"{num_files} files, {proxy.count} requests, {proxy.most} at once, {seconds:.2f} s"
            )
    proxy.shutdown()


if __name__ == "__main__":
    main()
