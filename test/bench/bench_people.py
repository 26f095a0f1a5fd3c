"""How fast the explorer of notebook 03_detect answers: `python test/bench/bench_people.py`.

A made-up film of 20,000 faces in 4,000 tracks of eight characters and of strangers, and 6,000
places of two drawn figures. Each control is moved to a few places; the time is that of the whole
update without cutting new pictures: decision, counts, changes, HTML. The peer is what the stage
itself does at one setting, in the same run: compare with the references, decide, check the table
(learning from the film, which the stage does before, left away).
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from bunny.core import vector as core_vector
from bunny.core import workspace
from bunny.core.config import Config
from bunny.table import store
from bunny.view.widget import character, preview, track_table

FACES_A_TRACK = 5
TRACKS_A_SHOT = 4
NUM_PEOPLE, NUM_KNOWN, DIMENSION = 12, 8, 128
MOVES = {
    "similarity_threshold": (0.2, 0.35, 0.45, 0.6),
    "min_margin": (0.0, 0.1, 0.3),
    "drawn_threshold": (0.3, 0.4, 0.6),
    "drawn_margin": (0.0, 0.05, 0.2),
}


def make_tables(num_faces, seed=0):
    """Tables frame, face, track, region and reference of the made-up film."""
    rng = np.random.default_rng(seed)
    num_tracks = num_faces // FACES_A_TRACK
    people = core_vector.l2_normalize(rng.normal(size=(NUM_PEOPLE, DIMENSION)))
    who = rng.integers(0, NUM_PEOPLE, num_tracks)
    clear = rng.uniform(0.3, 0.9, num_tracks)[:, None]
    noise = rng.normal(size=(num_tracks, DIMENSION)) / np.sqrt(DIMENSION)
    vector = core_vector.l2_normalize(people[who] * clear + noise * (1 - clear))
    track = np.repeat(np.arange(num_tracks), FACES_A_TRACK)
    shot = track // TRACKS_A_SHOT
    # two tracks of a shot share its first five frames, two its next five
    step = (track % TRACKS_A_SHOT) // 2 * FACES_A_TRACK + np.tile(
        np.arange(FACES_A_TRACK), num_tracks
    )
    index = shot * 2 * FACES_A_TRACK + step
    own = vector[track] + rng.normal(size=(num_faces, DIMENSION)) * 0.02
    face = pl.DataFrame(
        {
            "face_id": [f"film-{i:08d}-f{t % 2:02d}" for i, t in zip(index, track, strict=True)],
            "frame_id": [f"film-{i:08d}" for i in index],
            "shot_index": shot,
            **_boxes(rng, num_faces),
            "detector": "yunet",
            "score": rng.uniform(0.7, 1, num_faces),
            "landmark": list(np.zeros((num_faces, 10), np.float32)),
            "yaw": rng.uniform(-1, 1, num_faces),
            "size_px": rng.uniform(30, 200, num_faces),
            "sharpness": rng.uniform(10, 200, num_faces),
            "recogniser": "sface",
            "embedding": list(core_vector.l2_normalize(own)),
            "track_id": [f"film-t{t:05d}" for t in track],
            "error": pl.Series([None] * num_faces, dtype=pl.String),
        }
    )
    return {
        "frame": _frames(int(index.max()) + 1),
        "face": face,
        "track": _tracks(face, vector),
        "region": _regions(rng, face),
        "reference": _references(people),
        "calibration": _calibration(),
    }


def _boxes(rng, number):
    x, y = rng.uniform(0, 900, (2, number))
    return {"x0_px": x, "y0_px": y, "x1_px": x + 80, "y1_px": y + 100}


def _frames(number):
    rows = np.arange(number)
    return pl.DataFrame(
        {
            "frame_id": [f"film-{i:08d}" for i in rows],
            "film_id": "film",
            "shot_index": rows // (2 * FACES_A_TRACK),
            "frame_index": rows,
            "pts": rows,
            "time_base_num": 1,
            "time_base_den": 2,
            "timestamp_s": rows / 2,
            "file": [f"frame/{i:08d}.jpg" for i in rows],
            "reason": "interval",
        }
    )


def _tracks(face, vector):
    own = face.group_by("track_id").agg(
        pl.first("shot_index"), pl.len().alias("num_faces"), best_face_id=pl.first("face_id")
    )
    return (
        own.sort("track_id")
        .with_columns(first_frame_index=0, last_frame_index=1)
        .with_columns(pl.Series("embedding", list(vector)))
    )


def _regions(rng, face):
    frames = face.select("frame_id", "shot_index").unique(maintain_order=True)
    number = frames.height
    parts = [
        frames.with_columns(
            region_id=pl.col("frame_id") + f"-r{k:02d}",
            candidate=pl.lit(name),
            similarity=pl.Series(rng.uniform(0.2, 0.8, number)),
            margin=pl.Series(rng.uniform(0.0, 0.3, number)),
            model=pl.lit("made up"),
            **{c: pl.Series(v) for c, v in _boxes(rng, number).items()},
        )
        for k, name in enumerate(("bunny", "bird"))
    ]
    return pl.concat(parts).head(6000)


def _references(people):
    rows = [
        {"character": f"person{k}", "route": "face", "num_faces": 1, "face_embedding": people[k]}
        for k in range(NUM_KNOWN)
    ]
    rows += [{"character": n, "route": "region", "num_faces": 0} for n in ("bunny", "bird")]
    return store.from_rows(
        "reference",
        [{"reference_id": f"{r['character']}/1.jpg", "content_hash": "-", **r} for r in rows],
    )


def _calibration():
    """That the stage learned from the film; the explorer then learns again when it is opened."""
    row = {"route": "face", "threshold": 0.4, "source": "film", "is_adapted": False}
    return store.from_rows("calibration", [row | {"num_same": 0, "num_different": 0}])


def write_film(folder, tables):
    """A workspace with the tables; returns it."""
    space = workspace.locate(folder, "data", "film-00000000")
    for name, table in tables.items():
        empty = store.from_rows(name, [])
        missing = {c: pl.lit(None) for c in empty.columns if c not in table.columns}
        store.write(space.table, name, table.with_columns(**missing).select(empty.columns))
    return space


def timed(function, *arguments):
    """Milliseconds of one call, and what it gave."""
    started = time.perf_counter()
    found = function(*arguments)
    return 1000 * (time.perf_counter() - started), found


def update(opened, values):
    """One whole update at other thresholds; gives the page."""
    now = character.decide(opened, values)
    look = character.TrackPage()
    found = track_table.select(now.tracks, look.name, look.sort)
    return character.page(opened, now, found, look)


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faces", type=int, default=20_000)
    given = parser.parse_args()
    config = Config()
    with TemporaryDirectory() as folder:
        space = write_film(Path(folder), make_tables(given.faces))
        opened_ms, opened = timed(character.open_people, space, config)
    print(
        f"{opened.seen.face.height:,} faces, {len(opened.seen.tracks):,} tracks, "
        f"{opened.seen.region.height:,} figures; opened in {opened_ms / 1000:.1f} s\n"
    )
    plain = replace(opened.seen, is_learned=False)

    def decide() -> None:
        preview.judge(plain, preview.compare(plain, opened.settings), opened.settings)

    stage_ms = min(timed(decide)[0] for _ in range(3))
    print(
        f"| control | decision ms | update ms, median | worst | stage {stage_ms:.0f} ms / median |"
    )
    print("|---|---|---|---|---|")
    for key, values in MOVES.items():
        settings = [opened.settings.model_copy(update={key: v}) for v in values]
        alone = [timed(preview.judge, opened.seen, opened.compared, s)[0] for s in settings]
        whole = [timed(update, opened, s)[0] for s in settings for _ in range(3)]
        middle = np.median(whole)
        print(
            f"| {key} | {np.median(alone):.0f} | {middle:.0f} | {max(whole):.0f} "
            f"| {stage_ms / middle:.1f} |"
        )


if __name__ == "__main__":
    main()
