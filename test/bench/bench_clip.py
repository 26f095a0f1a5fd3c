"""Clips of a film against its truth, and how fast they are made beside plain cutting by FFmpeg.

    python test/bench/bench_clip.py --data-dir DATA [FILM]

FILM is a film of DATA whose stages up to `dataset` are done, by default the sample film; its clips
are made anew in a copy of its folder. Only of the sample film the truth is known.
"""

import argparse
import shutil
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import polars as pl

from bunny import demo
from bunny.clip import write
from bunny.core import workspace
from bunny.core.config import Config
from bunny.stage.clip import Clip
from bunny.table import store

CAMERA = {"locked": {"static"}, "zoom": {"zoom in", "zoom out"}}
MOVES = {"pan left", "pan right", "tilt up", "tilt down"}  # of pan and track
PRESENT = 0.25  # of the body that is visible, so that somebody is in the picture


def main() -> None:
    """Make the clips, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("film", nargs="?", default="sample")
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--preset", default="wan")
    args = parser.parse_args()
    [root] = (args.data_dir.resolve() / "output").glob(f"{args.film}*/")
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        shutil.copytree(root, data / "output" / root.name)
        space = workspace.locate(Path(folder), str(data), root.name)
        shutil.rmtree(space.stage("clip"), ignore_errors=True)
        config = Config.model_validate({"clip": {"preset": args.preset}})
        start = time.perf_counter()
        result = Clip(config, space.root, space.root).execute()
        took = time.perf_counter() - start
        clip = store.read(space.table, "clip")
        tried = store.read(space.table, "clip_candidate")
        print(result.note)
        print(f"{clip.height} clips in {took:.1f} s: {60 * clip.height / took:.0f} a minute")
        start = time.perf_counter()
        cut_plainly(Path(space.source()["film"]), clip, Path(folder))
        plain = time.perf_counter() - start
        print(f"plain cutting of the same spans {plain:.1f} s: {took / plain:.1f} times that")
        seconds = clip["num_frames"] / clip["fps"]
        error = (seconds - (clip["end_s"] - clip["start_s"])).abs()
        print(f"largest error of duration {error.max() or 0:.4f} s")
        if args.film == "sample":
            compare(clip, tried)


def cut_plainly(film: Path, clips: pl.DataFrame, folder: Path) -> None:
    """Each span by itself: seek, scale by swscale, encode with the same settings, no look at it."""
    for row in clips.iter_rows(named=True):
        rate = Fraction(row["fps"]).limit_denominator(1001)
        with av.open(str(film)) as opened, av.open(str(folder / "plain.mp4"), "w") as out:
            stream = out.add_stream(
                "libx264", rate=rate, options={"crf": str(write.CRF), "preset": "fast"}
            )
            stream.width, stream.height, stream.pix_fmt = (
                row["width_px"],
                row["height_px"],
                "yuv420p",
            )
            opened.seek(int(row["start_s"] * av.time_base))
            done = 0
            for frame in opened.decode(video=0):
                while done < row["num_frames"] and frame.time >= row["start_s"] + done / row["fps"]:
                    small = frame.reformat(row["width_px"], row["height_px"], "yuv420p")
                    small.pts, small.time_base = done, 1 / rate
                    out.mux(stream.encode(small))
                    done += 1
                if done == row["num_frames"]:
                    break
            out.mux(stream.encode(None))


def compare(clip: pl.DataFrame, tried: pl.DataFrame) -> None:
    """Print what the truth says of the sample film's clips."""
    folder = Path(str(demo.__file__)).parent / "truth"
    shot, box = (pl.read_parquet(folder / f"{name}.parquet") for name in ("shot", "box"))
    body = box.filter(pl.col("visible_share") >= PRESENT)  # whole figures, and heads of photographs
    at = {(c, i) for c, i in body.select("character", "frame_index").iter_rows()}
    shots = shot.to_dicts()
    cut = wrong = absent = frames = camera = 0
    for row in clip.iter_rows(named=True):
        indices = np.array(row["frame_indices"])
        own = next(s for s in shots if s["first_frame_index"] <= indices[0] < s["end_frame_index"])
        cut += not _is_clear(indices, own, shots)
        missing = sum((row["character"], i) not in at for i in indices.tolist())
        absent, frames = absent + missing, frames + len(indices)
        wrong += missing == len(indices)
        camera += row["camera"] in CAMERA.get(own["camera"], MOVES)
    possible = _possible(shots, at, clip)
    found = {(r["character"], r["shot_index"]) for r in clip.iter_rows(named=True)}
    print(
        f"a cut or transition inside {cut}, wrong person {wrong}, out of the picture "
        f"{absent / max(1, frames):.2%} of frames, camera rightly named {camera} of {clip.height}"
    )
    print(f"{len(possible & found)} of the {len(possible)} shots and characters that allow a clip")
    for name, index in sorted(possible - found):
        why = tried.filter((pl.col("character") == name) & (pl.col("shot_index") == index))
        print(f"  without: {name}, shot {index}: {why['reason'].cast(str).to_list()}")


def _is_clear(indices: np.ndarray, own: dict, shots: list[dict]) -> bool:
    """Whether frames lie inside one shot, outside of its transitions."""
    inside = indices[-1] < own["end_frame_index"]
    for one in shots:
        first, end = one["transition_first_frame_index"], one["transition_end_frame_index"]
        if first is not None and ((indices >= first) & (indices < end)).any():
            return False
    return bool(inside)


def _possible(shots: list[dict], at: set, clip: pl.DataFrame) -> set[tuple[str, int]]:
    """Shots and characters with room for 33 frames, two film frames from any cut."""
    fps = clip["fps"][0] if clip.height else 16.0
    need = round(32 / fps * 24) + 1
    found = set()
    for one in shots:
        frames = np.arange(one["first_frame_index"] + 2, one["end_frame_index"] - 2)
        frames = np.array([i for i in frames if _is_clear(np.array([i]), one, shots)])
        if one["is_blurred"]:
            frames = frames[frames >= one["blur_end_frame_index"]]
        for name in sorted({c for c, _ in at}):
            own = [(name, int(i)) in at for i in frames]
            if len(frames) >= need and np.mean(own) >= 0.9:
                found.add((name, one["shot_index"]))
    return found


if __name__ == "__main__":
    main()
