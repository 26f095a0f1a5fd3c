"""How well words find shots of the sample film: word by word, by sentence vectors, by both.

    python test/bench/bench_search_words.py TABLE_FOLDER

TABLE_FOLDER holds the tables of the sample film after stage caption. Which shots answer a query
is known from the film's script. Three kinds of text are searched: `tags`, what the pipeline writes
without a model; `places`, the same after somebody named the places on the board; `sentences`, one
a shot, as a captioning model would write it, composed from the script.
"""

import argparse
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from sample import script

from bunny.library.search import catalogue, keyword, minilm, ranking

PLACE = {
    "studio": "a plain studio",
    "meadow": "a sunny meadow with flowers",
    "forest": "a forest with tall trees",
    "kitchen": "a kitchen",
    "beach": "a beach by the sea",
    "street": "a city street",
    "snow": "a snowy winter landscape",
    "desert": "a desert with cacti",
    "camp": "a camp with a fire",
    "bedroom": "a bedroom",
}
PHOTO = {
    "chelsea": "a ginger cat looks into the camera",
    "rocket": "a rocket on its launch pad",
    "astronaut": "a woman in an orange space suit, an astronaut",
    "coffee": "a cup of coffee on a table",
}
DOES = {"stand": "stands", "walk": "walks", "talk": "talks", "wave": "waves", "sleep": "sleeps"}


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which shots answer; empty fields ask nothing."""

    who: str = ""
    place: str = ""
    light: str = ""
    photo: str = ""
    does: str = ""
    is_close: bool | None = None

    def holds(self, shot) -> bool:
        """Whether a shot of the script answers."""
        seen = {p.character.name for p in shot.parts}
        return (
            set(self.who.split()) <= seen
            and self.place in ("", shot.place)
            and self.light in ("", shot.light)
            and self.photo in ("", shot.photo)
            and (not self.does or any(p.does == self.does for p in shot.parts))
            and self.is_close in (None, _is_close(shot))
        )


QUERY = {
    "bunny": Wanted(who="bunny"),
    "pip": Wanted(who="pip"),
    "ember the fox": Wanted(who="ember"),
    "bruno in close-up": Wanted(who="bruno", is_close=True),
    "bunny and bruno": Wanted(who="bunny bruno"),
    "pip with bunny": Wanted(who="bunny pip"),
    "bunny at night": Wanted(who="bunny", light="night"),
    "ember close up at night": Wanted(who="ember", light="night", is_close=True),
    "bunny on a beach": Wanted(who="bunny", place="beach"),
    "seaside": Wanted(place="beach"),
    "at the ocean": Wanted(place="beach"),
    "pip in the kitchen": Wanted(who="pip", place="kitchen"),
    "cooking room": Wanted(place="kitchen"),
    "bruno in the woods": Wanted(who="bruno", place="forest"),
    "trees": Wanted(place="forest"),
    "winter": Wanted(place="snow"),
    "bruno in the snow": Wanted(who="bruno", place="snow"),
    "campfire at night": Wanted(place="camp"),
    "everybody around the fire": Wanted(who="bunny bruno ember pip", place="camp"),
    "in bed": Wanted(place="bedroom"),
    "bunny sleeping": Wanted(who="bunny", does="sleep"),
    "desert": Wanted(place="desert"),
    "sand dunes at dusk": Wanted(place="desert"),
    "bunny on the grass, close-up": Wanted(who="bunny", place="meadow", is_close=True),
    "town at dusk": Wanted(place="street"),
    "robot": Wanted(who="bolt"),
    "astronaut": Wanted(photo="astronaut"),
    "kitten": Wanted(photo="chelsea"),
    "spaceship": Wanted(photo="rocket"),
    "hot drink": Wanted(photo="coffee"),
}


def sentence(shot) -> str:
    """What a captioning model would write."""
    if shot.photo:
        return PHOTO[shot.photo]
    if not shot.parts:
        return f"white letters on a dark ground, {shot.card}"
    seen = [
        f"{p.character.name}, a {p.character.colour} {p.character.species}"
        + (f" in {p.character.wear}" if p.character.wear else "")
        + f", {DOES[p.does]}"
        for p in shot.parts
    ]
    size = "close-up" if _is_close(shot) else "medium shot"
    return f"{' and '.join(seen)} in {PLACE[shot.place]}, {size}, {shot.light}"


def variants(folder: Path, film_id: str) -> dict[str, catalogue.Catalogue]:
    """The sample film with the three kinds of text."""
    plain = catalogue.read(folder, film_id, catalogue.describe_frames)
    place_of = _names(plain)
    told = {i: sentence(shot) for i, shot in enumerate(script.SCRIPT)}
    by_shot = pl.DataFrame(
        {"shot_index": list(told), "told": list(told.values())},
        schema_overrides={"shot_index": pl.Int32},
    )
    name = pl.col("place").replace_strict(place_of, default=None)
    named = plain.frame.with_columns(
        sentence=pl.concat_str("sentence", name, separator=", ", ignore_nulls=True),
        text=pl.concat_str("text", name, separator=". ", ignore_nulls=True),
    )
    spoken = plain.frame.join(by_shot, on="shot_index", how="left", maintain_order="left")
    spoken = spoken.with_columns(
        sentence="told", text=pl.concat_str("told", "text", separator=". ")
    )
    frames = {"tags": plain.frame, "places": named, "sentences": spoken.drop("told")}
    return {k: catalogue.Catalogue(frame=f, shot=plain.shot) for k, f in frames.items()}


def ranks(known: catalogue.Catalogue, embed, way) -> list[list[int]]:
    """Shots for each query, the best first."""
    frame = known.frame
    vector = embed(frame["sentence"].to_list())
    found = []
    for query in QUERY:
        match = keyword.match(query, frame["text"].to_list())
        cosine = vector @ embed([query])[0]
        part = ranking.QueryPart(score=way(match, cosine), why=lambda _: "")
        allowed = np.ones(frame.height, dtype=bool)
        found.append(ranking.rank_shots(known, [part], allowed, 34)["shot_index"].to_list())
    return found


def judge(found: list[list[int]]) -> dict[str, float]:
    """Precision at 1, recall at 5 (of five at most) and mean reciprocal rank."""
    right = [
        {i for i, shot in enumerate(script.SCRIPT) if wanted.holds(shot)}
        for wanted in QUERY.values()
    ]
    first = [o[0] in r for o, r in zip(found, right, strict=True)]
    recall = [len(r & set(o[:5])) / min(5, len(r)) for o, r in zip(found, right, strict=True)]
    reciprocal = [
        1 / next((k for k, i in enumerate(o, 1) if i in r), np.inf)
        for o, r in zip(found, right, strict=True)
    ]
    names = ("precision_at_1", "recall_at_5", "mrr")
    return {
        n: round(float(np.mean(v)), 3)
        for n, v in zip(names, (first, recall, reciprocal), strict=True)
    }


def reciprocal_ranks(match, cosine) -> np.ndarray:
    """Reciprocal rank fusion (Cormack, Clarke, Büttcher 2009), k = 60, equal scores one rank."""

    def part(score):
        _, place = np.unique(-score, return_inverse=True)
        return 1 / (61 + place)

    return (part(match.share) + part(cosine)).astype(np.float32)


def share_of(weight: float):
    """A weighted sum of both."""
    return lambda match, cosine: (
        weight * match.share + (1 - weight) * np.clip(cosine, 0, 1)
    ).astype(np.float32)


WAY = {
    "words": lambda match, cosine: match.share,
    "vectors": lambda match, cosine: cosine.astype(np.float32),
    "ranks fused": reciprocal_ranks,
    **{f"sum {w:g}": share_of(w) for w in (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)},
    "as built": lambda match, cosine: ranking.blend(match.share if match.known else None, cosine),
}


def _is_close(shot) -> bool:
    """Whether one face fills the picture: its figure is higher than the picture."""
    heights = [p.scale * shot.camera[1][2] for p in shot.parts]
    return len(heights) == 1 and heights[0] > 1.1


def _names(plain: catalogue.Catalogue) -> dict[str, str]:
    """What somebody would call each place: where most of its frames are."""
    seen: dict[str, Counter] = {}
    for place, shot in plain.frame.select("place", "shot_index").drop_nulls().rows():
        own = script.SCRIPT[shot]
        seen.setdefault(place, Counter())[own.place if not own.photo else "archive"] += 1
    return {place: counts.most_common(1)[0][0] for place, counts in seen.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--show", help="kind of text whose misses are listed")
    given = parser.parse_args()
    film_id = pl.read_parquet(given.folder / "film.parquet")["film_id"][0]
    model, kept = minilm.load(), {}

    def embed(sentences):
        new = [s for s in dict.fromkeys(sentences) if s not in kept]
        kept.update(zip(new, model(new), strict=True)) if new else None
        return np.stack([kept[s] for s in sentences])

    for kind, known in variants(given.folder, film_id).items():
        for name, way in WAY.items():
            found = ranks(known, embed, way)
            print(json.dumps({"text": kind, "way": name, "queries": len(QUERY), **judge(found)}))
        if given.show == kind:
            for (query, wanted), own in zip(QUERY.items(), found, strict=True):
                right = [i for i, s in enumerate(script.SCRIPT) if wanted.holds(s)]
                print(f"{query!r}: wanted {right}, found {own[:5]}")


if __name__ == "__main__":
    main()
