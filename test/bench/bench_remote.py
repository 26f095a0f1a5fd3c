"""Requests and bytes of commands on a machine that has nothing of a film on object storage yet.

    python test/bench/bench_remote.py FOLDER

FOLDER is a project in which a film has run (`small_project.make` makes one, with every stage); its
workspace is put on a local S3 server (moto's). Each command runs as a process on a new, empty
machine, but where it says "again", and what it asks of the server goes through a proxy that counts.
"""

import argparse
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import boto3

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "common"))

from fault_proxy import FaultProxy
from small_project import QUICK, command

BUCKET = "films"


def serve():
    """Start a server; a proxy before it, by which this process and those it starts go."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    proxy = FaultProxy("http://{}:{}".format(*server.get_host_and_port()))
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "who",
        "AWS_SECRET_ACCESS_KEY": "what",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": proxy.address,
    }
    boto3.client("s3").create_bucket(Bucket=BUCKET)
    return proxy


def send(project, home):
    """Put the one film of a project there; its id."""
    from bunny.remote.film_sync import FilmSync
    from bunny.remote.object_store import ObjectStore

    shutil.copytree(project / "data", home / "data")
    [film] = [path.parent for path in (home / "data").glob("output/*/source.json")]
    places = {"film": film, "checkpoint": home / "checkpoint" / film.name}
    shutil.copytree(project / "checkpoint" / film.name, places["checkpoint"])
    sent = FilmSync(ObjectStore(f"s3://{BUCKET}/work"), film.name, places).push()
    return film.name, len(sent.files)


def make_machine(project, folder):
    """A project of its own with the settings of the first."""
    shutil.copytree(project / "config", folder / "config")
    (folder / "config" / "local_quick.yaml").write_text(QUICK, encoding="utf-8")
    return folder


def measure(proxy, home, what, *words):
    """Run a command; say what it asked for."""
    proxy.count = proxy.num_bytes = 0
    started = time.monotonic()
    line = command(*words, "--data-dir", f"s3://{BUCKET}/work")
    done = subprocess.run(line, cwd=home, capture_output=True, text=True)
    seconds = time.monotonic() - started
    if done.returncode:
        raise SystemExit(f"{what}: {done.stderr}")
    print(
        f"{what:44} {proxy.count:5d} requests {proxy.num_bytes:12,d} bytes {seconds:6.1f} s",
        flush=True,
    )
    return done


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("project", type=Path)
    project = parser.parse_args().project.resolve()
    proxy = serve()
    with tempfile.TemporaryDirectory() as folder:
        homes = (make_machine(project, Path(folder) / f"{n}") for n in range(20))
        film, num_files = send(project, Path(folder))
        print(f"{num_files} files; fetched by a new machine for")
        for words in (("status",), ("search", "bunny"), ("export", "json", film)):
            measure(proxy, next(homes), f"bunny {' '.join(words)}", *words)
        home = next(homes)
        measure(proxy, home, "a run with nothing to do", "run", film)
        measure(proxy, home, "the same again", "run", film)
        home = next(homes)
        more = ("--set", "dataset.num_class_images=3", "--only", "dataset")
        measure(proxy, home, "a run of stage dataset with another setting", "run", film, *more)
    proxy.shutdown()


if __name__ == "__main__":
    main()
