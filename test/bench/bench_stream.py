"""Extract of the sample film from the disk and from a local S3 server: seconds and bytes fetched.

    python test/bench/bench_stream.py

Each run is a process of its own; the server is moto's, in this one, without delay of a network.
`known.mp4` was uploaded with its SHA-256, `plain.mp4` was not and is read once more for it.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bunny import demo
from bunny.core import film_file

BUCKET, ROUNDS = "films", 3


def serve():
    """Start a server that has the sample film, with the SHA-256 that S3 keeps; its address."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "who",
        "AWS_SECRET_ACCESS_KEY": "what",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": "http://{}:{}".format(*server.get_host_and_port()),
    }
    client = boto3.client("s3")
    client.create_bucket(Bucket=BUCKET)
    data = demo.film_path().read_bytes()
    client.put_object(Bucket=BUCKET, Key="known.mp4", Body=data, ChecksumAlgorithm="SHA256")
    client.put_object(Bucket=BUCKET, Key="plain.mp4", Body=data)
    return server


def extract(film):
    """Run stage extract here; seconds and bytes that were fetched for it."""
    from bunny.command import run
    from bunny.command.option.film import RunOptions

    num_bytes, fetch = [0], film_file.StreamedFilm.fetch

    def count(self, start, end):
        data = fetch(self, start, end)
        num_bytes[0] += len(data)
        return data

    film_file.StreamedFilm.fetch = count
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        overrides = ["pipeline.has_report=false"]
        run.run_film(
            film_file.locate(film),
            None,
            RunOptions(data_dir=folder, settings=overrides, until="extract"),
        )
    print(json.dumps({"seconds": time.monotonic() - started, "bytes": num_bytes[0]}))


def main():
    server = serve()
    size = demo.film_path().stat().st_size
    films = (str(demo.film_path()), f"s3://{BUCKET}/known.mp4", f"s3://{BUCKET}/plain.mp4")
    for film in films * ROUNDS:
        line = [sys.executable, __file__, film]
        done = subprocess.run(line, capture_output=True, text=True, check=True)
        found = json.loads(done.stdout.splitlines()[-1])
        print(
            f"{Path(film).name:10} {found['seconds']:5.1f} s, {found['bytes']:9,d} bytes fetched "
            f"({found['bytes'] / size:.2f} of the film's)",
            flush=True,
        )
    server.stop()


if __name__ == "__main__":
    extract(sys.argv[1]) if len(sys.argv) > 1 else main()
