"""Second opinions on doubtful figures: `python test/bench/bench_identification.py`.

A local server answers the questions of stage review rightly, wrongly or at random, by the truth of
films whose characters are known; precision and recall of the names are set against those without
it. The one that answers wrongly names the same wrong character, or nobody, both times. Of several
characters in a frame the server that answers rightly takes the one that the embedding holds for
likeliest, if it is there: the truth has frames and no boxes.
"""

import argparse
import base64
import hashlib
import http.server
import json
import random
import re
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import polars as pl
from bench_character import BESIDE, SETTINGS, known_films, show

from bunny.character import label_score, reference
from bunny.command import run
from bunny.command.option.film import RunOptions
from bunny.review import asset_table, identification
from bunny.table import store

PICTURE = re.compile(rb"data:image/jpeg;base64,([A-Za-z0-9+/=]+)")


def main() -> None:
    """Print a table, a row for each film and kind of answers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--material", type=Path, default=BESIDE)
    parser.add_argument("--film", nargs="*", default=["sample", "open_reel", "hamilton"])
    parser.add_argument("--margin", type=float, default=0.15)
    parser.add_argument("--weight", type=float, default=1.0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = [
            row
            for name, known in known_films(args.material).items()
            if name in args.film
            for row in measure(name, known, Path(folder) / name, args)
        ]
    show("Second opinions", rows)


def measure(
    name: str, known: tuple[Path, Path, pl.DataFrame], folder: Path, args: argparse.Namespace
) -> Iterator[dict]:
    """Rows of one film."""
    film, references, truth = known
    answer: dict[str, Callable[[str], int]] = {}

    def go(overrides: tuple[str, ...]) -> Path:
        return run.run_film(
            film,
            references,
            RunOptions(data_dir=str(folder), settings=[*SETTINGS, *overrides], until="review"),
        ).space.root

    root = go(())
    yield {"film": name, "answers": "none asked", **score(root, truth)}
    right = true_numbers(root, references, truth, args.margin)
    mixed = random.Random(0)
    kinds: Mapping[str, Callable[[int, int, int], int]] = {
        "right": lambda number, wrong, count: number,
        "wrong": lambda number, wrong, count: wrong,
        "at random": lambda number, wrong, count: mixed.randint(0, count),
    }
    for kind, choose in kinds.items():
        answer["it"] = lambda key, choose=choose: choose(*right[key])
        with serve(lambda key: answer["it"](key)) as url:
            root = go(
                (
                    "identification.provider=local",
                    f"identification.max_margin={args.margin}",
                    f"identification.weight={args.weight}",
                    f"captioning.local.endpoint_url={url}/v1",
                    f"captioning.local.model={kind.replace(' ', '-')}",
                )
            )
        yield {"film": name, "answers": kind, **score(root, truth)}


def true_numbers(
    root: Path, references: Path, truth: pl.DataFrame, margin: float
) -> dict[str, tuple[int, int, int]]:
    """The right number, a wrong one, and how many there are, by the hash of the picture."""
    names = (*asset_table.TABLES, "embedding", "subject_vector", "reference")
    tables = {name: store.read(root / "table", name) for name in names}
    tables["label"] = asset_table.add_missed_figures(tables)
    film_id = tables["film"]["film_id"][0]
    perhaps = asset_table.likely_characters(tables, asset_table.figure_candidates(tables))
    machine = asset_table.machine_assets(
        tables, asset_table.shot_vectors(tables, film_id), film_id, perhaps
    )
    figures = identification.find_doubtful(tables, machine, max_margin=margin, num_candidates=4)
    maker = identification.StripMaker(
        folder=root,
        figures=figures,
        file=dict(tables["frame"].drop_nulls("file").select("frame_id", "file").iter_rows()),
        reference={r.character: r.path for r in reversed(reference.list_files(references))},
    )
    there: dict[int, set[str]] = {}
    for index, who in truth.select("frame_index", "character").iter_rows():
        there.setdefault(index, set()).add(who)
    index_of = dict(tables["frame"].select("frame_id", "frame_index").iter_rows())
    found = {}
    for number in range(2 * len(figures)):
        figure, order = figures[number // 2], maker.order(number)
        seen = there.get(index_of[figure.frame_id], set())
        who = next((one for one in figure.choices if one in seen), None)
        key = hashlib.sha256(maker.make(number).picture).hexdigest()
        other = next((one for one in figure.choices if one not in seen), None)
        numbers = [order.index(one) + 1 if one else 0 for one in (who, other)]
        found[key] = (*numbers, len(order))
    return found


def score(root: Path, truth: pl.DataFrame) -> dict:
    """Precision and recall of names after stage review, and what was asked."""
    table = {
        name: store.read(root / "table", name)
        for name in ("label_corrected", "frame", "reference", "identification")
    }
    asked = table["reference"].filter(pl.col("error").is_null())["character"].unique().to_list()
    found = label_score.score_labels(
        table["label_corrected"], table["frame"], truth, characters=asked
    )
    whole = found.row(by_predicate=pl.col("character") == "all", named=True)
    evidence = table["identification"]
    heard = evidence.drop_nulls("answer")
    return {
        "named": whole["num_labelled"],
        "wrong": whole["num_labelled"] - whole["num_right"],
        "precision": whole["precision"],
        "recall": whole["recall"],
        "figures asked": evidence.height,
        "two answers agree": heard.height,
        "with the embedding": heard.filter(pl.col("answer") == pl.col("candidate")).height,
    }


@contextmanager
def serve(choose: Callable[[str], int]) -> Iterator[str]:
    """Run a server in OpenAI's form that answers the picture of each hash with a number."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["content-length"]))
            jpeg = base64.b64decode(PICTURE.search(raw)[1])
            number = choose(hashlib.sha256(jpeg).hexdigest())
            text = f"[[ ## number ## ]]\n{number}\n\n[[ ## completed ## ]]"
            message = {"role": "assistant", "content": text}
            body = json.dumps(
                {
                    "id": "x",
                    "object": "chat.completion",
                    "created": 1,
                    "model": "m",
                    "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
                }
            ).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


if __name__ == "__main__":
    main()
