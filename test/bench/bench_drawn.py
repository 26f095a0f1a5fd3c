"""How well drawn characters are found: names, boxes, time, and who is found that is not there.

For each workspace (``data/output/<film_id>``; only table ``frame`` and its pictures are read):

    python test/bench/bench_drawn.py data/output/sample-f070d83b --references REFS \\
        --impostors OTHER_REFS --truth-sample

prints a Markdown table of each character: in how many frames and shots it was named, with
``--truth-sample`` precision, recall and IoU; then the names that the impostors' pictures got, which
should be none; then milliseconds a frame against the peer ``describe`` alone, in the same run.
"""

import argparse
import time
from pathlib import Path

import cv2
import numpy as np
import polars as pl

from bunny.character import label_score, reference, track
from bunny.character.drawn import efficientnet, figure_label, region_search, window_search
from bunny.table import box as table_box

THRESHOLD, MARGIN = 0.45, 0.10  # the defaults of config/main.yaml
PEER, OURS = "windows alone", "all of it"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workspace", type=Path, nargs="+")
    parser.add_argument("--references", type=Path, required=True)
    parser.add_argument("--impostors", type=Path, help="references of another film")
    parser.add_argument("--truth-sample", action="store_true", help="the film is the sample")
    parser.add_argument("--by-track", action="store_true", help="tracks vote, not whole shots")
    parser.add_argument("--every", type=int, default=1, help="look at each nth frame only")
    wanted = parser.parse_args()
    net = efficientnet.EfficientNet()
    for workspace in wanted.workspace:
        frame = _frames(workspace)[:: wanted.every]
        print(f"\n## {workspace.name}, {frame.height} frames\n")
        spent = {PEER: 0.0, OURS: 0.0}
        found = _label(net, workspace, frame, wanted.references, spent, wanted.by_track)
        print(_table(found, frame, wanted.truth_sample))
        print(f"\n{OURS}: {1000 * spent[OURS] / max(1, frame.height):.0f} ms a frame, ", end="")
        print(f"{spent[OURS] / max(1e-9, spent[PEER]):.2f} x {PEER}")
        if wanted.impostors:
            wrong = _label(
                net, workspace, frame, wanted.impostors, dict.fromkeys(spent, 0.0), wanted.by_track
            )
            print(f"\nImpostors named: {wrong.height} {wrong['candidate'].unique().to_list()}")


def _frames(workspace: Path) -> pl.DataFrame:
    frame = pl.read_parquet(workspace / "table" / "frame.parquet")
    return frame.filter(pl.col("file").is_not_null()).sort("frame_index")


def _label(net, workspace: Path, frame: pl.DataFrame, folder: Path, spent: dict, by_track: bool):
    """Regions that get their name; adds the seconds spent on them."""
    looks: dict[str, list[np.ndarray]] = {}
    for source in reference.list_files(folder):
        feature = window_search.describe_reference(net, reference.read_picture(source.path))
        looks.setdefault(source.character, []).append(feature)
    stacked = {name: np.vstack(one) for name, one in looks.items()}
    paths = [workspace / name for name in frame["file"]]
    spread = np.unique(
        np.linspace(0, len(paths) - 1, window_search.MEAN_FRAMES).round().astype(int)
    )
    mean = np.mean(
        [window_search.mean_window(net, cv2.imread(str(paths[i]))) for i in spread], axis=0
    )
    rows = []
    for path, row in zip(paths, frame.iter_rows(named=True), strict=True):
        image = cv2.imread(str(path))
        begin = time.process_time()
        window_search.describe(net, image)
        middle = time.process_time()
        candidates = region_search.search_frame(net, image, mean, stacked)
        spent[PEER] += middle - begin
        spent[OURS] += time.process_time() - middle
        rows += [_row(one, i, row, image.shape) for i, one in enumerate(candidates)]
    region = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    region = region.with_columns(track_id=pl.lit(None, dtype=pl.String))
    if by_track:
        region = figure_label.link_regions(region, frame, "film")
    counts = frame.group_by("shot_index").agg(pl.len().alias("num_frames"))
    voted = window_search.vote(
        region.lazy(), counts.lazy(), min_margin=MARGIN, is_by_track=by_track
    )
    chosen = {"threshold": THRESHOLD, "min_margin": MARGIN, "num_candidates": len(stacked)}
    return window_search.select_regions(voted, sorted(stacked), **chosen).collect()


SCHEMA = {
    "region_id": pl.String,
    "frame_id": pl.String,
    "shot_index": pl.Int32,
    "candidate": pl.String,
    **dict.fromkeys(table_box.BOX, pl.Float32),
    "similarity": pl.Float32,
    "margin": pl.Float32,
}


def _row(
    one: window_search.RegionCandidate, number: int, frame: dict, shape: tuple[int, ...]
) -> tuple:
    box = one.box * np.array([shape[1], shape[0]] * 2)
    where = (frame["frame_id"], frame["shot_index"])
    return (f"{where[0]}-{number}", *where, one.character, *box, one.similarity, one.margin)


def _table(found: pl.DataFrame, frame: pl.DataFrame, has_truth: bool) -> str:
    lines = [
        "| character | frames | shots | precision | recall | IoU |",
        "|---|---|---|---|---|---|",
    ]
    right = _against_truth(found, frame) if has_truth else {}
    for (name,), own in sorted(found.group_by("candidate")):
        shots = ", ".join(map(str, sorted(set(own["shot_index"]))))
        lines.append(f"| {name} | {own.height} | {shots} | {right.pop(name, '– | – | –')} |")
    lines += [f"| {name} | 0 | | {text} |" for name, text in right.items()]
    return "\n".join(lines)


def _against_truth(found: pl.DataFrame, frame: pl.DataFrame) -> dict[str, str]:
    """Precision, recall and mean IoU of each drawn character of the sample and of all."""
    from bunny import demo

    body = demo.truth("box").filter(pl.col("region") == "body")
    due = set(body["character"]) - {"astronaut", "bolt"}  # one has a face, one no reference
    label = found.filter(pl.col("candidate").is_in(list(due))).rename({"candidate": "character"})
    result = {}
    fit = _overlaps(label, frame, body)
    for row in label_score.score_labels(label, frame, body, characters=due).iter_rows(named=True):
        name = row["character"]
        own = [value for who, value in fit if name in (who, "all")]
        mean = f"{np.mean(own):.2f}" if own else "–"
        result[name] = f"{row['precision'] or 0:.3f} | {row['recall'] or 0:.3f} | {mean}"
    return result


def _overlaps(label: pl.DataFrame, frame: pl.DataFrame, body: pl.DataFrame) -> list:
    index = dict(frame.select("frame_id", "frame_index").iter_rows())
    true = {
        (row["frame_index"], row["character"]): [row[c] for c in table_box.BOX]
        for row in body.iter_rows(named=True)
    }
    said = [
        (index[r["frame_id"]], r["character"], [r[c] for c in table_box.BOX])
        for r in label.iter_rows(named=True)
    ]
    return [(who, track.overlap(box, true[i, who])) for i, who, box in said if (i, who) in true]


if __name__ == "__main__":
    main()
