"""A feature film: time for each minute of it by the default command, and whether names are right.

    python test/bench/bench_feature.py --material FOLDER [--minutes 45] [--keep FOLDER] [--peers]

The film is 720p and made of every clip of the material in several variants: mirrored, cropped,
graded, with grain. Which characters a clip can show is known, so a name that its piece cannot have
is wrong. `bunny run FILM --until dataset` runs in a process of its own beside ffmpeg's decoder
(PyAV, all cores) for scale; times of stages are those in the run's record. With `--peers` the plain
loop of face_recognition looks at as many frames as stage detect did.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import count, cycle
from pathlib import Path

import av
import cv2
import numpy as np
import polars as pl

SIZE = (1280, 720)
RATE = 24
# Clips and whom they can show; characters are folders of refs/hamilton and refs/open_reel, the rest
# of the references are people of faces/johns, who are in no clip.
CLIPS: dict[str, tuple[str, ...]] = {
    "video/sintel_trailer-720p.mp4": ("sintel", "shaman"),
    "video/short_hamilton_clip.mp4": ("lin-manuel-miranda", "alex-lacamoire", "obama"),
    "video/open_reel.mp4": ("bunny", "sintel", "bird", "shaman"),
    "video/WolfgangLanger_Pexels.mp4": (),
    "video/big_buck_bunny_0_30.webm": ("bunny", "bird"),
    "video/chaplin.mp4": (),
    "video/single_face.mp4": (),
    "video/play113.mkv": (),
    "toon/steamboat.mp4": (),
    "toon/popeye-sindbad-a.mp4": (),
}
STRANGERS = 4


def main() -> None:
    """Make the film, run it, print shares of its length and wrong names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--material", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=45)
    parser.add_argument("--keep", type=Path, help="where the film is kept for the next time")
    parser.add_argument("--data-dir", type=Path, help="new folder in which the run is kept")
    parser.add_argument("--only-live", action="store_true", help="leave drawn clips out")
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    parser.add_argument("--peers", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = args.keep or Path(folder)
        film, truth = make(args.material, place, args.minutes, is_live=args.only_live)
        references = copy_references(args.material, Path(folder) / "references")
        seconds = truth["end_s"].max()
        print(f"film {seconds / 60:.1f} min, {len(os.sched_getaffinity(0))} cores")
        print(f"decode   {measure_decode(film) / seconds:.4f} of its length")
        data = args.data_dir or Path(folder) / "data"
        took, cpu, peak = run(film, references, data, args.overrides)
        table = next(path for path in (data / "output").iterdir() if path.is_dir())
        report(table, truth, seconds, took, cpu, peak)
        if args.peers:
            measure_peer(table, film)


def make(
    material: Path, place: Path, minutes: float, *, is_live: bool
) -> tuple[Path, pl.DataFrame]:
    """The film and its truth, columns start_s, end_s, clip, may_show."""
    place.mkdir(parents=True, exist_ok=True)
    film = place / f"feature{'_live' if is_live else ''}_{minutes:g}.mp4"
    truth = film.with_suffix(".json")
    if film.exists() and truth.exists():
        return film, pl.DataFrame(json.loads(truth.read_text()))
    clips = [name for name in CLIPS if not (is_live and name.startswith("toon"))]
    rows, written = [], 0
    partial = film.with_suffix(".part.mp4")
    with av.open(str(partial), "w") as out:
        stream = out.add_stream("libx264", rate=RATE, options={"preset": "ultrafast", "crf": "21"})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for number, name in zip(count(), cycle(clips), strict=False):
            first = written
            for picture in pictures(material / name, variant=number // len(clips)):
                for packet in stream.encode(av.VideoFrame.from_ndarray(picture, "bgr24")):
                    out.mux(packet)
                written += 1
            may = list(CLIPS[name])
            rows.append(
                {"start_s": first / RATE, "end_s": written / RATE, "clip": name, "may_show": may}
            )
            if written / RATE >= 60 * minutes:
                break
        for packet in stream.encode():
            out.mux(packet)
    truth.write_text(json.dumps(rows))
    partial.replace(film)
    return film, pl.DataFrame(rows)


def pictures(clip: Path, variant: int) -> Iterator[np.ndarray]:
    """Frames of a clip at `RATE` and `SIZE`, altered by the variant's number."""
    rng = np.random.default_rng(variant)
    is_mirrored, zoom = variant % 2 == 1, 1 + 0.08 * (variant % 4)
    gain, gamma = 1 + 0.15 * ((variant + 1) % 3 - 1), (1.0, 0.85, 1.2)[variant % 3]
    curve = np.clip(255 * gain * (np.arange(256) / 255) ** gamma, 0, 255).astype(np.uint8)
    grain = rng.normal(0, 5, (8, *SIZE[::-1], 1)) if variant % 3 == 2 else None
    shown = 0
    with av.open(str(clip)) as film:
        rate = float(film.streams.video[0].average_rate or RATE)
        for index, frame in enumerate(film.decode(video=0)):
            if index / rate < shown / RATE:
                continue
            image = fill(frame.to_ndarray(format="bgr24"), zoom)
            image = curve[image[:, ::-1] if is_mirrored else image]
            if grain is not None:
                image = np.clip(image + grain[shown % 8], 0, 255).astype(np.uint8)
            while shown / RATE <= index / rate:
                yield np.ascontiguousarray(image)
                shown += 1


def fill(image: np.ndarray, zoom: float) -> np.ndarray:
    """Scale a picture so that it fills the frame, `zoom` times as large, from its middle."""
    factor = zoom * max(SIZE[0] / image.shape[1], SIZE[1] / image.shape[0])
    size = (round(image.shape[1] * factor), round(image.shape[0] * factor))
    large = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC)
    x, y = (size[0] - SIZE[0]) // 2, (size[1] - SIZE[1]) // 2
    return large[y : y + SIZE[1], x : x + SIZE[0]]


def copy_references(material: Path, folder: Path) -> Path:
    """One folder of references: those of the clips, and people who are in none."""
    folder.mkdir()
    for film in ("hamilton", "open_reel"):
        for one in sorted((material / "refs" / film).iterdir()):
            shutil.copytree(one, folder / one.name)
    for one in sorted((material / "faces" / "johns").iterdir())[:STRANGERS]:
        (folder / one.name.lower()).mkdir()
        for picture in sorted(one.iterdir())[:3]:
            shutil.copy(picture, folder / one.name.lower())
    return folder


def measure_decode(film: Path) -> float:
    """Seconds that ffmpeg's decoder takes with all cores."""
    start = time.perf_counter()
    with av.open(str(film)) as container:
        container.streams.video[0].thread_type = "AUTO"
        for _ in container.decode(video=0):
            pass
    return time.perf_counter() - start


def run(
    film: Path, references: Path, data: Path, overrides: list[str]
) -> tuple[float, float, float]:
    """Seconds, CPU seconds and peak MiB of the default command."""
    command = [sys.executable, "-m", "bunny", "run", str(film), "--references", str(references)]
    command += ["--data-dir", str(data), "--until", "dataset"]
    for override in overrides:
        command += ["--set", override]
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    took = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return took, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def report(folder: Path, truth: pl.DataFrame, seconds: float, took: float, cpu: float, peak: float):
    """Print shares of the film's length by stage, and labels by character."""
    for record in sorted(folder.glob("stage/*/stage.json"), key=os.path.getmtime):
        about = json.loads(record.read_text())
        print(f"{about['name']:8} {about['seconds'] / seconds:.4f}")
    print(f"whole    {took / seconds:.4f}, {cpu / took:.2f} cores busy, peak {peak:.0f} MiB")
    labels = pl.read_parquet(folder / "table" / "label.parquet").drop_nulls("character")
    frames = pl.concat(
        pl.read_parquet(folder / "table" / f"{name}.parquet").select("frame_id", "timestamp_s")
        for name in ("frame", "extra_frame")
    )
    looked = frames.height
    named = labels.join(frames, on="frame_id").sort("timestamp_s")
    pieces = truth.sort("start_s").with_row_index("piece")
    named = named.join_asof(pieces, left_on="timestamp_s", right_on="start_s")
    named = named.with_columns(right=pl.col("character").is_in(pl.col("may_show")))
    print(f"frames {looked}, labels {named.height}, wrong {named.filter(~pl.col('right')).height}")
    with pl.Config(tbl_rows=-1, tbl_hide_column_data_types=True, tbl_hide_dataframe_shape=True):
        print(
            named.group_by("character", "clip")
            .agg(
                pl.len().alias("labels"),
                pl.col("piece").n_unique().alias("pieces"),
                pl.col("right").all(),
            )
            .sort("character", "clip")
        )


def measure_peer(folder: Path, film: Path) -> None:
    """Print the time of face_recognition's plain loop, from a sample of the same frames."""
    import face_recognition

    frames = pl.read_parquet(folder / "table" / "frame.parquet").drop_nulls("file")
    sample = frames.gather_every(max(1, frames.height // 40))
    start = time.perf_counter()
    for file in sample["file"]:
        face_recognition.face_encodings(face_recognition.load_image_file(folder / file))
    each = (time.perf_counter() - start) / sample.height
    record = json.loads((folder / "stage" / "detect" / "stage.json").read_text())
    looked = frames.height + pl.read_parquet(folder / "table" / "extra_frame.parquet").height
    print(f"face_recognition {each:.3f} s a frame; ours {record['seconds'] / looked:.3f} s")


if __name__ == "__main__":
    main()
