"""One drawn reference alone, in films of others and in its own: who gets a name by which bank.

`python test/bench/bench_lone_reference.py look --rendered FILMS --pictures PICTURES --out LOOKED`
searches frames of every film for every reference (PICTURES is what `collect.py` wrote); what is
kept does not depend on the bank. `... judge --looked LOOKED --bank FILE` then decides by a bank,
for each reference without the figures of its own source.
"""

import argparse
import json
from collections import defaultdict
from pathlib import Path

import bench_drawn_film
import cv2
import drawn_score
import numpy as np
import polars as pl
from safetensors import safe_open

from bunny.character.drawn import figure_embedding, figure_label, figure_search
from bunny.core.config import DetectionConfig
from bunny.table.box import BOX

NUM_FRAMES = 24  # in each film, evenly spaced
GIVEN = {  # so many references of each source of drawings
    "ardentryst": 5,
    "renpy": 4,
    "wesnoth-portrait": 5,
    "naev": 5,
    "openclipart": 6,
    "supertux": 5,
    "dicebear-lorelei": 4,
    "dicebear-adventurer": 4,
    "dicebear-micah": 4,
    "dicebear-notionists": 3,
    "dicebear-toonHead": 3,
    "facesjs": 3,
    "fluent": 3,
    "twemoji": 3,
    "wesnoth-unit": 3,
}


def main() -> None:
    """Look or judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    step = parser.add_subparsers(dest="step", required=True)
    one = step.add_parser("look")
    one.add_argument("--material", type=Path, default=bench_drawn_film.BESIDE)
    one.add_argument("--rendered", type=Path, required=True)
    one.add_argument("--pictures", type=Path, required=True)
    one.add_argument("--out", type=Path, required=True)
    two = step.add_parser("judge")
    two.add_argument("--looked", type=Path, required=True)
    two.add_argument("--bank", type=Path, action="append", help="the one in use when not given")
    wanted = parser.parse_args()
    if wanted.step == "look":
        look(wanted)
    else:
        for bank in wanted.bank or [figure_embedding.FOLDER / "figure_bank.safetensors"]:
            show(bank, judge(wanted.looked, *read_bank(bank)))


# -- look -------------------------------------------------------------------------------------


def look(wanted: argparse.Namespace) -> None:
    """Search every film for every reference alone and keep what was found."""
    net = figure_embedding.FigureNet()
    wanted.out.mkdir(parents=True, exist_ok=True)
    wanted.more = None
    clips, cast = bench_drawn_film.gather(
        argparse.Namespace(**vars(wanted), only=["sample", "toon", "rendered"], film=None)
    )
    rendered = [clip.name for clip in clips if clip.path.parent == wanted.rendered][:3]
    clips = [c for c in clips if c.path.parent != wanted.rendered or c.name in rendered]
    names = {clip.name for clip in clips}
    views, people = {}, {}
    for one in cast:
        if one.film in names:
            image = bench_drawn_film.read_reference(one)
            views[one.name], people[one.name] = net.describe_reference(image), one
    for source, count in GIVEN.items():
        folders = sorted((wanted.pictures / source).iterdir())
        for folder in folders[:: max(1, len(folders) // count)][:count]:
            name = f"{source}/{folder.name}"
            views[name] = net.describe_reference(_on_white(folder / "0.png"))
    films = [(c.name, c.path, c.shot_starts) for c in clips]
    films.append(("play107", wanted.material / "video" / "play107.mkv", (0,)))
    for name, path, starts in films:
        _look_at(net, path, starts, views, wanted.out / f"{name}.npz")
        print(name, flush=True)
    truth = {
        name: {"film": one.film, "must": one.must, "may": one.may, "own": _own(one, clips)}
        for name, one in people.items()
    }
    (wanted.out / "truth.json").write_text(json.dumps(truth))


def _own(one, clips):
    return next((one.own_shot(c) for c in clips if c.name == one.film), None)


def _on_white(path: Path) -> np.ndarray:
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    share = image[..., 3:] / 255 if image.shape[2] == 4 else 1.0
    return (image[..., :3] * share + 255 * (1 - share)).round().astype(np.uint8)


def _look_at(net, path: Path, starts, views: dict, out: Path) -> None:
    """Keep, for each frame and reference, the best window and its crop."""
    import av

    with av.open(str(path)) as container:
        images = [f.to_ndarray(format="bgr24") for f in container.decode(video=0)]
    chosen = np.unique(np.linspace(0, len(images) - 1, NUM_FRAMES + 2).astype(int)[1:-1])
    described = [(i, *figure_search.describe(net, images[i])) for i in chosen]
    mean = np.mean([raw.mean(axis=0) for _, _, raw in described], axis=0)
    starts = np.array(starts)
    rows, window, crop = defaultdict(list), [], []
    vectors = {name: net.to_vector(view, mean) for name, view in views.items()}
    for i, box, raw in described:
        vector, chance = net.to_vector(raw, mean), figure_embedding.figureness(raw)
        again: dict[bytes, np.ndarray] = {}
        for name, own in vectors.items():
            like = figure_search.compare(vector, {name: own})
            for _, best, fitted in figure_search._of_characters(box, like, [name]):
                first = float(like[best, 0])
                shown = np.full(figure_embedding.UNIT, np.nan, np.float32)
                second = figure_search.UNSEEN
                if first >= figure_search.CROP_FLOOR:
                    key = fitted.tobytes()
                    if key not in again:
                        cells = figure_search._describe_crop(net, images[i], fitted)
                        again[key] = net.to_vector(cells, mean)
                    shown = again[key]
                    second = float((own @ shown).max())
                rows["name"].append(name)
                rows["frame"].append(int(i))
                rows["shot"].append(int(starts[np.searchsorted(starts, i, "right") - 1]))
                rows["box"].append(fitted * np.tile(images[i].shape[1::-1], 2))
                rows["chance"].append(float(chance[best]))
                rows["first"].append(first)
                rows["second"].append(second)
                window.append(vector[best])
                crop.append(shown)
    np.savez(
        out,
        mean=mean,
        window=np.array(window, np.float16),
        crop=np.array(crop, np.float16),
        **{key: np.array(value) for key, value in rows.items()},
    )


# -- judge ------------------------------------------------------------------------------------


def read_bank(path: Path) -> tuple[np.ndarray, list[str]]:
    """Figures of a bank and the source of each."""
    with safe_open(path, "np") as file:
        raw = file.get_tensor("raw").astype(np.float32)
        said = json.loads((file.metadata() or {}).get("names", "[]"))
    return raw, [name.split("/")[0] for name in said] + ["script"] * (len(raw) - len(said))


def family(source: str) -> str:
    """Sources of one hand are left out together."""
    return source if source.startswith("dicebear") else source.split("-")[0]


def judge(looked: Path, raw: np.ndarray, source: list[str]) -> pl.DataFrame:
    """Best support by film, reference and shot, by this bank."""
    net = figure_embedding.FigureNet()
    of = np.array([family(one) for one in source])
    parts = []
    for file in sorted(looked.glob("*.npz")):
        data = {**np.load(file)}
        bank = net.to_vector(raw, data["mean"])
        window, crop = (data[key].astype(np.float32) for key in ("window", "crop"))
        own = np.array([family(name.split("/")[0]) for name in data["name"]])
        rival = {key: np.empty(len(own)) for key in ("window", "crop")}
        for one in np.unique(own):
            rows, kept = own == one, bank[of != one]
            for key, vector in (("window", window), ("crop", crop)):
                like = np.nan_to_num(vector[rows] @ kept.T, nan=0.0)
                top = np.partition(like, -figure_search.NUM_RIVALS, axis=1)
                rival[key][rows] = top[:, -figure_search.NUM_RIVALS :].mean(axis=1)
        is_seen = data["second"] > figure_search.UNSEEN
        lead = data["first"] - rival["window"]
        again = np.where(is_seen, data["second"] - rival["crop"], figure_search.UNSEEN)
        figure = pl.DataFrame(
            {
                "figure_id": [f"f{i:06d}" for i in range(len(lead))],
                "frame_id": [f"{n:06d}" for n in data["frame"]],
                "shot_index": data["shot"],
                "candidate": data["name"],
                "similarity": (data["first"] + data["second"]) / 2,
                "margin": (lead + again) / 2,
                "objectness": data["chance"],
                "track_id": [""] * len(lead),
                "score": [0.0] * len(lead),
                **{side: data["box"][:, k] for k, side in enumerate(BOX)},
            }
        )
        frame = figure.select(
            "frame_id", "shot_index", pl.col("frame_id").cast(int).alias("frame_index")
        ).unique()
        voted = figure_label.vote(figure_label.link_figures(figure, frame, file.stem))
        voted = voted.with_columns(support=pl.col("score") + figure_label.REVIEW_FROM)
        voted = voted.with_columns(
            is_own=figure_label.score()
            >= DetectionConfig().figure_score + figure_label.ALONE_PENALTY - figure_label.OWN_SLACK
        )
        best = voted.group_by("candidate", "shot_index").agg(
            pl.col("support").filter("is_own").max(), peak=pl.col("support").max()
        )
        parts.append(best.with_columns(film=pl.lit(file.stem)))
    truth = json.loads((looked / "truth.json").read_text())
    everything = pl.concat(parts)

    def outcome(row):
        one = truth.get(row["candidate"])
        if one is None or (one["film"] != row["film"] and row["film"] not in one["must"]):
            return "foreign"
        if row["shot_index"] == one["own"] or row["shot_index"] in one["may"].get(row["film"], ()):
            return "may"
        return "right" if row["shot_index"] in one["must"].get(row["film"], ()) else "wrong"

    said = [outcome(row) for row in everything.iter_rows(named=True)]
    return everything.with_columns(outcome=pl.Series(said))


def named(judged: pl.DataFrame, more: float = figure_label.ALONE_PENALTY) -> pl.DataFrame:
    """Shots that get the name of the reference given alone, with its confidence."""
    wanted = DetectionConfig()
    there = pl.col("peak").max().over("film", "candidate") >= wanted.figure_presence + more
    rows = judged.filter(there, pl.col("support") >= wanted.figure_score + more)
    return rows.with_columns(confidence=figure_label.confidence(rows["support"].to_numpy()))


def show(bank: Path, judged: pl.DataFrame) -> None:
    """Print how many pairs and shots are named."""
    rows = named(judged)
    pair = judged.filter(outcome="foreign").select("film", "candidate").unique()
    hit = (
        rows.filter(outcome="foreign").group_by("film", "candidate").agg(pl.col("confidence").max())
    )
    drawn = pair["candidate"].str.contains("/").sum()
    sure = hit.filter(pl.col("confidence") >= drawn_score.SURE).height
    print(
        f"{bank.name}: {hit.height} of {pair.height} pairs with a window to judge are named "
        f"({drawn} of the pairs with drawings of held-out sources), {sure} at {drawn_score.SURE}"
    )
    count = {o: rows.filter(outcome=o).height for o in ("right", "wrong")}
    must = judged.filter(outcome="right").height
    print(f"  own film: {count['right']} of {must} shots right, {count['wrong']} wrong")
    with pl.Config(tbl_rows=40, tbl_width_chars=120):
        print(
            hit.with_columns(pl.col("candidate").str.extract(r"^([^/]+)"))
            .group_by("candidate")
            .len()
            .sort("len", descending=True)
            .head(12)
        )


if __name__ == "__main__":
    main()
