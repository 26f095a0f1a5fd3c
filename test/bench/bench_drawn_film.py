"""Who is named in drawn films, by shot: `python test/bench/bench_drawn_film.py --rendered FOLDER`.

Runs the pipeline until stage detect on every drawn clip at hand: the three classic cartoons, the
reel and the sample, the films that `drawn_film.py` rendered, and those of `--more` (a folder with a
truth.json of the same form). References of all of them, and of people, are given to each. Prints
tables in Markdown: right (and of these on its figure, where the truth has boxes), missed and wrong
by film and by style, then how far confidence can be believed. It reads the tables label and frame
alone, so that any version of the code can be measured:

    PYTHONPATH=OTHER_CHECKOUT/src python test/bench/bench_drawn_film.py --rendered FOLDER
"""

import argparse
import json
import shutil
import sys
import tempfile
import zlib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import av
import cv2
import drawn_score
import numpy as np
import polars as pl
from drawn_score import Character, Clip

from bunny import demo
from bunny.command import run
from bunny.command.option.film import RunOptions
from bunny.table import store
from bunny.view import style

BESIDE = Path(__file__).resolve().parents[3] / "shared" / "material"
GROUPS = ("toon", "reel", "sample", "rendered", "more")
TILE_PX = (480, 270)  # of a contact sheet
COLUMNS = 4
COLOUR = {"right": (60, 160, 40), "wrong": (40, 40, 220), "may": (150, 150, 150)}  # BGR
MUST_HEIGHT, MUST_SHARE, MUST_FRAMES = 0.15, 0.6, 0.5  # as drawn_film.py has them


def main() -> None:
    """Run, score, print, draw."""
    wanted = _arguments()
    clips, cast = gather(wanted)
    boxes = read_boxes(wanted)
    if not clips:
        sys.exit("no film at hand: expected --material, --rendered or --more to name a folder")
    judged, spent = [], {}
    with tempfile.TemporaryDirectory() as scratch:
        data = wanted.data or Path(scratch) / "data"
        for clip in clips:
            given = choose(clip, cast, wanted.impostors, wanted.seed)
            references = Path(scratch) / "reference" / clip.name
            write_references(references, given, wanted.references)
            report = run.run_film(
                clip.path,
                references,
                RunOptions(data_dir=str(data), settings=[*wanted.set], until="detect"),
            )
            table = {
                "label": store.read(report.space.table, "label"),
                "frame": looked_at(report.space.table),
            }
            here = boxes.filter(film=clip.name)
            judged.append(
                drawn_score.judge(
                    table["label"], table["frame"], clip, given, None if here.is_empty() else here
                )
            )
            spent[clip.name] = next(r.seconds for r in report.results if r.name == "detect")
            if wanted.sheet:
                draw_sheet(wanted.sheet, clip, judged[-1], table, report.space.root)
            print(f"{clip.name}: {spent[clip.name]:.0f} s", file=sys.stderr, flush=True)
    everything = pl.concat(judged)
    if wanted.save:
        everything.write_parquet(wanted.save)
    show(everything, clips, spent)
    if wanted.plot:
        wanted.plot.write_bytes(style.to_png(plot(everything)))


def looked_at(folder: Path) -> pl.DataFrame:
    """Frames that stage detect looked at: the kept ones and those between them."""
    kept, between = (store.read(folder, name) for name in ("frame", "extra_frame"))
    columns = ["frame_id", "frame_index", "shot_index", "width_px", "height_px"]
    crops = [c for c in kept.columns if c.startswith("crop_") and c in between.columns]
    file = [pl.col("file"), pl.lit(None, pl.String).alias("file")]
    parts = [kept.select(*columns, *crops, file[0]), between.select(*columns, *crops, file[1])]
    return pl.concat(parts, how="vertical_relaxed")


def _arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--material", type=Path, default=BESIDE)
    parser.add_argument("--rendered", type=Path, help="what drawn_film.py wrote")
    parser.add_argument("--more", type=Path, help="further clips with a truth.json")
    parser.add_argument("--only", nargs="*", default=list(GROUPS), choices=GROUPS)
    parser.add_argument("--film", nargs="*", help="names of the films to run; all are impostors")
    parser.add_argument("--impostors", type=int, help="foreign characters a film; all of them")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of impostors")
    parser.add_argument("--references", type=int, help="pictures of each character; all of them")
    parser.add_argument("--data", type=Path, help="keep the films' workspaces here")
    parser.add_argument("--set", action="append", default=[], help="a setting, section.key=value")
    parser.add_argument("--save", type=Path, help="write what became of each name as parquet")
    parser.add_argument("--plot", type=Path, help="write a reliability plot")
    parser.add_argument("--sheet", type=Path, help="write a contact sheet of each film here")
    return parser.parse_args()


# -- films and references ---------------------------------------------------------------------


def gather(wanted: argparse.Namespace) -> tuple[list[Clip], list[Character]]:
    """Find the films to run, and everybody whose references are at hand."""
    found = {"sample": _sample()}
    toon, reel = (wanted.material / "gt" / name for name in ("toon.json", "shots.json"))
    if toon.exists():
        found["toon"] = drawn_score.read_truth(toon, wanted.material)
    if reel.exists():
        found["reel"] = _reel(json.loads(reel.read_text())["open-reel"], wanted.material)
    for group, folder in (("rendered", wanted.rendered), ("more", wanted.more)):
        if folder:
            found[group] = drawn_score.read_truth(folder / "truth.json", folder)
    cast = [one for _, characters in found.values() for one in characters]
    cast += _people(wanted.material / "refs" / "hamilton")
    clips = [
        clip
        for group in GROUPS
        if group in found
        for clip in found[group][0]
        if group in wanted.only and (not wanted.film or clip.name in wanted.film)
    ]
    return clips, cast


def _people(folder: Path, film: str | None = None) -> list[Character]:
    """Everybody with a folder of pictures."""
    return [
        Character(name=one.name, film=film, files=tuple(sorted(one.iterdir())))
        for one in (sorted(folder.iterdir()) if folder.is_dir() else ())
    ]


def _reel(said: dict, material: Path) -> tuple[list[Clip], list[Character]]:
    """The reel made of pieces of two computer-animated films."""
    starts = (0, *said["cuts_first_frame_of_new_shot"])
    clip = Clip(
        name="open_reel",
        path=material / said["file"],
        shot_starts=starts,
        style="computer animation",
    )
    cast = []
    for one in _people(material / "refs" / "open_reel", clip.name):
        seen = [r["first_frame"] for r in said["characters"] if r["character"] == one.name]
        cast.append(
            Character(name=one.name, film=one.film, files=one.files, must={clip.name: seen})
        )
    return [clip], cast


def _sample() -> tuple[list[Clip], list[Character]]:
    """The sample film; who is in it is said by frame."""
    shot, box = demo.truth("shot"), demo.truth("box")
    clip = Clip(
        name="sample",
        path=demo.film_path(),
        shot_starts=tuple(shot["first_frame_index"].to_list()),
        style="sample",
    )
    height = pl.col("y1_px") - pl.col("y0_px")
    is_clear = (height >= MUST_HEIGHT * 720) & (pl.col("visible_share") >= MUST_SHARE)
    seen = (
        box.group_by("character", "shot_index")
        .agg(clear=is_clear.sum())
        .join(shot, on="shot_index")
        .with_columns(
            is_must=pl.col("clear")
            >= MUST_FRAMES * (pl.col("end_frame_index") - pl.col("first_frame_index"))
        )
    )
    cast = []
    for one in _people(demo.reference_dir(), clip.name):
        here = seen.filter(character=one.name).sort("shot_index")
        must, may = (
            {clip.name: here.filter(is_must=kind)["first_frame_index"].to_list()}
            for kind in (True, False)
        )
        cast.append(
            Character(
                name=f"sample-{one.name}", film=clip.name, files=one.files, must=must, may=may
            )
        )
    return [clip], cast


def read_boxes(wanted: argparse.Namespace) -> pl.DataFrame:
    """Where everybody is in the films whose truth says so: film, frame, character, box."""
    own = demo.truth("box").with_columns(
        film=pl.lit("sample"), character="sample-" + pl.col("character")
    )
    tables = [own] + [
        pl.read_parquet(folder / "box.parquet")
        for folder in (wanted.rendered, wanted.more)
        if folder and (folder / "box.parquet").exists()
    ]
    columns = ("film", "frame_index", "character", *drawn_score.BOX)
    return pl.concat([table.select(columns) for table in tables])


def choose(clip: Clip, cast: list[Character], num: int | None, seed: int) -> list[Character]:
    """Give all whom a film may show, and so many of the others, drawn by lot."""
    own = [one for one in cast if one.is_of(clip)]
    others = [one for one in cast if not one.is_of(clip)]
    if num is None or num >= len(others):
        return own + others
    rng = np.random.default_rng([seed, zlib.crc32(clip.name.encode())])
    return own + [others[i] for i in sorted(rng.permutation(len(others))[:num])]


def write_references(folder: Path, cast: Iterable[Character], num: int | None) -> None:
    """Lay out reference pictures as a user would: one folder a character."""
    for one in cast:
        (folder / one.name).mkdir(parents=True)
        for path in one.files[:num]:
            shutil.copyfile(path, folder / one.name / path.name)
        if one.cut_from:
            cv2.imwrite(str(folder / one.name / "1.png"), read_reference(one))


def read_reference(one: Character) -> np.ndarray:
    """The first reference picture of a character, cut from a film or a file, as BGR."""
    if one.cut_from:
        frame, (x0, y0, x1, y1) = one.cut_from
        return np.ascontiguousarray(read_frame(one.cut_path, frame)[y0:y1, x0:x1])
    return cv2.imread(str(one.files[0]))


@lru_cache(maxsize=16)
def read_frame(path: Path, index: int) -> np.ndarray:
    """Decode one frame, counted from the film's first, as BGR."""
    with av.open(str(path)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number == index:
                return frame.to_ndarray(format="bgr24")
    raise ValueError(f"{path}: expected more than {index} frames")


# -- output -----------------------------------------------------------------------------------


def show(judged: pl.DataFrame, clips: list[Clip], spent: dict[str, float]) -> None:
    """Print the tables."""
    empty = dict.fromkeys(("right", "on_figure", "missed", "wrong", "wrong_sure"), 0)
    counted = {
        row.pop("film"): row for row in drawn_score.count(judged, ["film"]).iter_rows(named=True)
    }
    films = [
        {"film": clip.name, "style": clip.style}
        | counted.get(clip.name, empty)
        | {"seconds": spent[clip.name]}
        for clip in clips
    ]
    _print_table("Films", films)
    styles = list(drawn_score.count(judged, ["style"]).iter_rows(named=True))
    total = {"style": "all"} | {key: sum(row[key] or 0 for row in styles) for key in empty}
    _print_table("Styles", [*styles, total])
    bins = drawn_score.reliability(judged)
    rows = [
        {
            "confidence": f"{r['low']:.2f} to {r['high']:.2f}",
            "named": r["num_named"],
            "mean confidence": r["confidence"],
            "right": r["share_right"],
        }
        for r in bins.iter_rows(named=True)
    ]
    _print_table("Confidence", rows)
    error = drawn_score.calibration_error(bins)
    print("\nnobody was named" if error is None else f"\nexpected calibration error: {error:.3f}")


def _print_table(title: str, rows: list[dict]) -> None:
    """Print rows as Markdown."""
    print(f"\n## {title}\n")
    if not rows:
        return
    words = {"wrong_sure": f"wrong at {drawn_score.SURE} or more", "on_figure": "on its figure"}
    names = [words.get(name, name) for name in rows[0]]
    print("| " + " | ".join(names) + " |\n|" + "---|" * len(names))
    for row in rows:
        print("| " + " | ".join(_text(value) for value in row.values()) + " |", flush=True)


def _text(value) -> str:
    return "–" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)


def plot(judged: pl.DataFrame):
    """Share of right names over confidence; on the line it says what it means."""
    bins = drawn_score.reliability(judged)
    if bins.is_empty():
        return style.empty_plot("nobody was named")
    import plotnine as p9

    error = drawn_score.calibration_error(bins)
    return (
        p9.ggplot(bins, p9.aes("confidence", "share_right"))
        + p9.geom_abline(intercept=0, slope=1, linetype="dashed", color=style.QUIET)
        + p9.geom_line(color=style.GOOD)
        + p9.geom_point(p9.aes(size="num_named"), color=style.GOOD)
        + p9.scale_size_area(max_size=9, name="names", breaks=style.whole_number_ticks)
        + p9.scale_x_continuous(limits=(0, 1))
        + p9.scale_y_continuous(limits=(0, 1))
        + p9.labs(
            x="mean confidence of the names in a bin",
            y="share of them that is right",
            title="Names in drawn films: confidence and share right",
            subtitle=f"expected calibration error {error:.3f}; dashed: confidence is the share",
        )
        + style.theme(4.2, 5.4)
    )


def draw_sheet(
    folder: Path, clip: Clip, judged: pl.DataFrame, table: dict[str, pl.DataFrame], root: Path
) -> None:
    """Write one picture with a labelled frame of each shot: green right, red wrong, grey may be."""
    folder.mkdir(parents=True, exist_ok=True)
    columns = judged.select("character", "shot_start", "outcome")
    outcome = {(who, start): said for who, start, said in columns.iter_rows()}
    frame = table["frame"].drop_nulls("file").sort("frame_index")
    named = table["label"].drop_nulls("character")
    surest = dict(named.group_by("frame_id").agg(pl.col("confidence").sum()).iter_rows())
    tiles = []
    for start in clip.shot_starts:
        here = [
            row
            for row in frame.select("frame_id", "frame_index", "file").iter_rows()
            if clip.shot_of(row[1]) == start
        ]
        if not here:
            continue
        frame_id, index, file = max(here, key=lambda row: surest.get(row[0], 0.0))
        picture = cv2.imread(str(root / file))
        for row in named.filter(frame_id=frame_id).iter_rows(named=True):
            said = outcome.get((row["character"], start), "may")
            _draw_label(picture, row, COLOUR.get(said, COLOUR["may"]))
        missed = [who for (who, at), said in outcome.items() if at == start and said == "missed"]
        tiles.append(_tile(picture, f"{index}" + "".join(f"  missed: {who}" for who in missed)))
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % COLUMNS)
    rows = [np.hstack(tiles[i : i + COLUMNS]) for i in range(0, len(tiles), COLUMNS)]
    cv2.imwrite(str(folder / f"{clip.name}.png"), np.vstack(rows))


def _draw_label(picture: np.ndarray, label: dict, colour: tuple[int, int, int]) -> None:
    """Draw one box with its name, readable once the picture has the size of a tile."""
    size = picture.shape[1] / TILE_PX[0]
    x0, y0, x1, y1 = (round(label[name]) for name in drawn_score.BOX)
    text = f"{label['character']} {label['confidence']:.2f}"
    cv2.rectangle(picture, (x0, y0), (x1, y1), colour, max(1, round(1.5 * size)))
    at = (x0 + 2, max(round(13 * size), y0 + round(13 * size)))
    for shade, width in (((255, 255, 255), 4), (colour, 1)):
        cv2.putText(picture, text, at, 0, 0.42 * size, shade, max(1, round(width * size)))


def _tile(picture: np.ndarray, text: str) -> np.ndarray:
    """Fit a picture into a tile with a line of text at its foot."""
    width, height = TILE_PX
    scale = min(width / picture.shape[1], height / picture.shape[0])
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    tile = np.zeros((height + 20, width, 3), np.uint8)
    tile[: small.shape[0], : small.shape[1]] = small
    cv2.putText(tile, text, (4, height + 14), 0, 0.4, (230, 230, 230), 1, cv2.LINE_AA)
    return tile


if __name__ == "__main__":
    main()
