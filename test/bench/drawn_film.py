"""Drawn films with known truth in three styles: `python test/bench/drawn_film.py --out FOLDER`.

Each film has about twenty seconds and a cast of four, made up from its seed: three have reference
pictures, two of the three look alike, and the fourth, who has none, looks like one of them.
Writes `film-00.mp4`, `film-00/reference/<name>/1.png`, ...; `truth.json` in the form of the
material's `gt/toon.json`, where `reference` names files; and `box.parquet`, every figure's box in
every frame.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import polars as pl
from av.video.reformatter import Colorspace
from sample import film, render, style
from sample.pen import PALETTE
from sample.script import FRAME_RATE, ActorMotion, PlacedShot, ScriptShot, place_shots

from bunny.demo import world

WIDTH_PX, HEIGHT_PX = 640, 360
HOLD = 2  # frames that a drawing stays: "on twos", twelve drawings a second
CRF = 20
MUST_HEIGHT, MUST_SHARE = 0.15, 0.6  # of the picture's height; of the figure, inside and not hidden
MUST_FRAMES = 0.5  # of the shot's frames
SEEN_SHARE = 0.03  # of a figure; who shows less is not in the shot
REFERENCE_PX = (150, 400)  # shorter and longer side that a cut-out reference may have
MIN_TONES = 50  # grey levels that tell two furs apart in a film without colours
MIN_COLOURS = 110  # distance in RGB, of any two furs
PLACES = tuple(place for place in world.PLACES if place != "studio")
BOX_SCHEMA = {
    "film": pl.String,
    "frame_index": pl.Int32,
    "shot_index": pl.Int32,
    "character": pl.String,
    "has_reference": pl.Boolean,
    **dict.fromkeys(("x0_px", "y0_px", "x1_px", "y1_px", "visible_share", "yaw"), pl.Float32),
}


@dataclass(frozen=True, kw_only=True)
class Film:
    """What is drawn for one seed."""

    name: str
    seed: int
    style: style.Style
    cast: tuple[world.Character, ...]  # the last has no reference
    shots: tuple[PlacedShot, ...]


def main() -> None:
    """Make films from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the first film")
    parser.add_argument("--references", type=int, help="pictures of each; one or two by lot")
    wanted = parser.parse_args()
    make(wanted.out, range(wanted.seed, wanted.seed + wanted.count), wanted.references)


def make(folder: Path, seeds, num_references: int | None = None) -> None:
    """Write the films of these seeds, their references, and the truth of all."""
    folder.mkdir(parents=True, exist_ok=True)
    truth = {"how": "rendered by test/bench/drawn_film.py; exact", "films": {}, "characters": {}}
    tables = []
    for seed in seeds:
        made = plan(seed)
        boxes = pl.DataFrame(write_film(made, folder), schema=BOX_SCHEMA, orient="row")
        references = write_references(made, folder, num_references)
        tables.append(boxes)
        truth["films"][made.name] = {
            "file": f"{made.name}.mp4",
            "style": made.style.name,
            "variant": made.style.variant,
            "shot_starts": [item.first_frame_index for item in made.shots],
        }
        for character in made.cast[:-1]:
            truth["characters"][character.name] = {
                "film": made.name,
                "reference": {"files": references[character.name]},
            } | presence(boxes, made, character.name)
        print(f"{made.name}: {made.style.name}, {len(made.shots)} shots", flush=True)
    pl.concat(tables).write_parquet(folder / "box.parquet")
    (folder / "truth.json").write_text(json.dumps(truth, indent=1))


def plan(seed: int) -> Film:
    """Make up the film of a seed: style, cast and shots."""
    rng = np.random.default_rng([seed, 1])
    cast = cast_of(seed)
    return Film(
        name=f"film-{seed:02d}",
        seed=seed,
        style=style_of(seed),
        cast=cast,
        shots=place_shots(tuple(_shots(rng, cast))),
    )


def style_of(seed: int) -> style.Style:
    """Give the styles and their variants in turn."""
    count = len(style.STYLE_NAMES)
    return style.Style(
        name=style.STYLE_NAMES[seed % count], variant=(seed // count) % style.NUM_VARIANTS
    )


# -- cast -------------------------------------------------------------------------------------


def cast_of(seed: int) -> tuple[world.Character, ...]:
    """Make up the cast of a film; nobody looks as somebody of a film with a lower seed."""
    taken: set[tuple] = set()
    for number in range(seed + 1):
        rng, drawn = np.random.default_rng([number, 2]), style_of(number)
        first = _anybody(rng, drawn, taken, ())
        second = _alike(rng, drawn, taken, first, (first,))
        third = _anybody(rng, drawn, taken, (first, second))
        near = (first, third)[int(rng.integers(2))]
        stranger = _alike(rng, drawn, taken, near, (first, second, third))
        cast = (first, second, third, stranger)
        taken |= {_look(character, drawn) for character in cast}
    return tuple(replace(one, name=_name(seed, one)) for one in cast)


def _name(seed: int, character: world.Character) -> str:
    """A name that says how someone looks: '07-red-cat-blue-scarf'."""
    wear = "plain" if character.wear == "none" else character.wear.replace(" ", "-")
    return f"{seed:02d}-{character.colour}-{character.species}-{wear}"


def _anybody(rng, drawn: style.Style, taken: set, cast: tuple) -> world.Character:
    """Make up someone of a species that the cast has not yet."""
    while True:
        wear = "none" if rng.random() < 0.15 else str(rng.choice(world.WEARS[1:]))
        one = world.Character(
            name="",
            species=str(rng.choice(world.SPECIES)),
            colour=str(rng.choice(world.COLOURS)),
            wear=wear,
        )
        if one.species not in {c.species for c in cast} and _is_new(one, drawn, taken, cast):
            return one


def _alike(rng, drawn: style.Style, taken: set, of: world.Character, cast) -> world.Character:
    """Make up someone who shares the species, or the colours and the garment, of another."""
    while True:
        if rng.random() < 0.7:
            one = replace(
                of, colour=str(rng.choice(world.COLOURS)), wear=str(rng.choice(world.WEARS))
            )
        else:
            one = replace(of, species=str(rng.choice(world.SPECIES)))
        if _is_new(one, drawn, taken, cast):
            return one


def _is_new(one: world.Character, drawn: style.Style, taken: set, cast) -> bool:
    """Tell whether someone can be told from the cast, and from whoever was drawn before."""
    return _look(one, drawn) not in taken and all(is_told(one, c, drawn) for c in cast)


def is_told(one: world.Character, other: world.Character, drawn: style.Style) -> bool:
    """Tell whether two can be told apart by species, by garment, or by clearly other fur."""
    if one.species != other.species or _garment(one) != _garment(other):
        return True
    return _distance(one, other, drawn) >= (MIN_TONES if drawn.is_grey else MIN_COLOURS)


def _distance(one: world.Character, other: world.Character, drawn: style.Style) -> float:
    """How far two furs are apart, in levels of grey or of RGB."""
    first, second = PALETTE[one.colour], PALETTE[other.colour]
    if drawn.is_grey:
        return abs(style.luma(first) - style.luma(second))
    return float(np.linalg.norm(np.subtract(first, second)))


def _garment(character: world.Character) -> str:
    """What someone wears, whatever its colour."""
    return character.wear.split(" ")[-1]


def _look(character: world.Character, drawn: style.Style) -> tuple:
    """All that can be seen of someone in a style."""
    if drawn.is_grey:
        return ("grey", character.species, _garment(character))
    return (drawn.name, character.species, character.colour, character.wear)


# -- shots ------------------------------------------------------------------------------------


def _shots(rng: np.random.Generator, cast: tuple[world.Character, ...]) -> Iterator[ScriptShot]:
    """Seven shots in a random order: each of the cast in two or three, one without anybody."""
    first, second, third, stranger = cast
    places = [str(place) for place in rng.permutation(PLACES)[:4]]
    makers = [
        lambda: _walk(rng, (first, third)),
        lambda: _close(rng, first),
        lambda: _together(rng, (first, second)),
        lambda: _together(rng, (stranger, third)),
        lambda: _walk(rng, (second,)),
        lambda: _far(rng, (third, second)),
        lambda: {},
        lambda: _close(rng, (second, third, stranger)[int(rng.integers(3))]),
    ]
    for number, index in enumerate(rng.permutation(len(makers))):
        place = places[int(rng.integers(len(places)))]
        light = str(rng.choice(("day", "day", "day", "dusk", "night")))
        made = {"camera": ((0.0, 0.5, 1.0),) * 2} | makers[index]()
        yield ScriptShot(
            setup_id=f"{place}-{number}",
            seconds=float(rng.integers(24, 37)) / 12,
            place=place,
            light=light,
            seed=int(rng.integers(1000)),
            transition_in="cut" if number else "start",
            **made,
        )


def _part(rng, who: world.Character, x: float, does: str | None = None, **more) -> ActorMotion:
    """Someone on one spot, turning a little."""
    yaw = float(rng.uniform(-0.8, 0.8))
    does = does or str(rng.choice(("stand", "talk", "talk", "wave")))
    turn = float(rng.uniform(-0.5, 0.5))
    yaws = (yaw, float(np.clip(yaw + turn, -1, 1)))
    return ActorMotion(character=who, x=(x, x), yaw=yaws, does=does, **more)


def _close(rng, who: world.Character) -> dict:
    """A face that fills the picture."""
    scale, fill = 0.5, float(rng.uniform(1.15, 1.5))
    camera = (float(rng.uniform(-0.15, 0.15)), 0.9 - 0.64 * scale, fill / scale)
    return {"camera": (camera, camera), "parts": (_part(rng, who, 0.0, scale=scale),)}


def _together(rng, pair: tuple[world.Character, ...]) -> dict:
    """Two side by side, whole."""
    order = rng.permutation(len(pair))
    scale, fill = 0.5, float(rng.uniform(0.58, 0.74))
    gap = float(rng.uniform(0.22, 0.3))
    parts = tuple(
        _part(rng, pair[i], (-gap, gap)[k], scale=scale * float(rng.uniform(0.88, 1.0)))
        for k, i in enumerate(order)
    )
    camera = (0.0, 0.9 - 0.6 * scale, fill / scale)
    return {"camera": (camera, camera), "parts": parts}


def _walk(rng, who: tuple[world.Character, ...]) -> dict:
    """The first walks and the camera goes along; the others stand by the way."""
    side = 1 if rng.random() < 0.5 else -1
    scale, fill = 0.45, float(rng.uniform(0.42, 0.68))
    start, end = -0.45 * side, 0.4 * side
    zoom, y = fill / scale, 0.9 - 0.62 * scale
    walker = ActorMotion(
        character=who[0],
        x=(start, end),
        scale=scale,
        yaw=(0.7 * side, 0.55 * side),
        does="walk",
        y=0.91,
    )
    by = [
        _part(rng, one, float(rng.uniform(-0.2, 0.9)) * side, scale=0.42, y=0.86) for one in who[1:]
    ]
    lag = float(rng.uniform(0.5, 0.9))
    camera = ((start * lag, y, zoom), (end * lag, y, zoom))
    return {"camera": camera, "camera_kind": "track", "parts": (walker, *by)}


def _far(rng, who: tuple[world.Character, ...]) -> dict:
    """Wide: the first far off and small, the second large and cut by the picture's edge."""
    side = 1 if rng.random() < 0.5 else -1
    far = _part(rng, who[0], -0.35 * side, scale=float(rng.uniform(0.1, 0.3)), y=0.78)
    near = _part(rng, who[1], float(rng.uniform(0.62, 0.95)) * side, scale=0.6, y=0.98)
    return {"parts": (far, near)}


# -- pictures ---------------------------------------------------------------------------------


def write_film(made: Film, folder: Path) -> list[dict]:
    """Encode a film; gives the rows of its boxes, for every frame.

    Notes
    -----
    One thread and no version or date in the file: two runs give the same bytes.
    """
    rows: list[dict] = []
    path = folder / f"{made.name}.mp4"
    with av.open(str(path), "w", options={"fflags": "+bitexact", "movflags": "faststart"}) as out:
        stream = out.add_stream("libx264", rate=FRAME_RATE)
        stream.width, stream.height, stream.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
        stream.time_base = Fraction(1, FRAME_RATE)
        stream.codec_context.thread_count = 1
        stream.codec_context.options = {"crf": str(CRF), "preset": "veryfast", "g": "96"}
        for index, picture, boxes in drawings(made):
            rows += boxes
            for pts in range(index, index + HOLD):
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(
                    format="yuv420p", dst_colorspace=Colorspace.ITU709
                )
                frame.pts, frame.time_base = pts, Fraction(1, FRAME_RATE)
                out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return rows


def drawings(made: Film) -> Iterator[tuple[int, np.ndarray, list[dict]]]:
    """Draw a film: (first frame, picture, rows of boxes of the frames it is held for)."""
    for item in made.shots:
        ground = _Ground(made.style, item.shot)
        for frame in range(0, item.end_frame_index - item.first_frame_index, HOLD):
            scene, index = film.scene_at(item.shot, frame), item.first_frame_index + frame
            picture, boxes = draw(made, scene, ground.at(scene), index // HOLD)
            where = {"film": made.name, "shot_index": item.shot_index}
            held = [
                {"frame_index": i, **where, **box}
                for i in range(index, index + HOLD)
                for box in boxes
            ]
            yield index, picture, held


def draw(
    made: Film, scene: world.Scene, ground: np.ndarray, drawing: int
) -> tuple[np.ndarray, list[dict]]:
    """Draw the figures of a scene over its background; gives the picture and their boxes."""
    size = (WIDTH_PX, HEIGHT_PX)
    order = render.drawing_order(scene)
    figures = [style.figure_layer(made.style, scene, actor, *size, drawing) for actor in order]
    shadow = style.shadow_layer(made.style, scene, *size) if figures else None
    layers = [shadow, *figures] if figures else []
    picture = style.finish(made.style, style.compose(ground, layers), drawing)
    shares = visible_shares(made.style, scene, order)
    boxes = []
    for actor, layer, share in zip(order, figures, shares, strict=True):
        box = box_of(layer)
        if box is not None and share >= SEEN_SHARE:
            boxes.append(
                {
                    "character": actor.character.name,
                    "has_reference": actor.character != made.cast[-1],
                    **dict(zip(("x0_px", "y0_px", "x1_px", "y1_px"), box, strict=True)),
                    "visible_share": share,
                    "yaw": actor.yaw,
                }
            )
    return picture, boxes


def box_of(layer: np.ndarray) -> tuple[int, int, int, int] | None:
    """Tight box of what a layer covers by a third or more; x1 and y1 exclusive, None: nothing."""
    mask = layer[..., 3] >= render.MASK_MIN
    if not mask.any():
        return None
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    return int(columns[0]), int(rows[0]), int(columns[-1] + 1), int(rows[-1] + 1)


def visible_shares(
    drawn: style.Style, scene: world.Scene, order: tuple[world.Actor, ...]
) -> list[float]:
    """What part of each figure is inside the picture and not behind a nearer one, in [0, 1]."""
    x, y, zoom = scene.camera
    wide = replace(scene, camera=(x, y, zoom / 3))
    height, width = 120, 3 * (2 * WIDTH_PX * 40 // HEIGHT_PX // 2)
    plain = replace(drawn, name="flat", variant=0) if drawn.name == "sketch" else drawn
    whole = [
        style.figure_layer(plain, wide, actor, width, height)[..., 3] >= render.MASK_MIN
        for actor in order
    ]
    shares = []
    for i, mask in enumerate(whole):
        seen = np.zeros_like(mask)
        inner = np.s_[height // 3 : height * 2 // 3, width // 3 : width * 2 // 3]
        seen[inner] = mask[inner]
        for nearer in whole[i + 1 :]:
            seen &= ~nearer
        shares.append(float(seen.sum() / max(1, mask.sum())))
    return shares


class _Ground:
    """The background of a shot, painted once as wide as the camera will see of it."""

    def __init__(self, drawn: style.Style, shot: ScriptShot):
        (self.left, *_), (right, *_) = sorted(shot.camera)
        _, y, self.zoom = shot.camera[0]
        middle = (self.left + right) / 2
        self.width_px = WIDTH_PX + 2 * round((right - self.left) * self.zoom * HEIGHT_PX / 2)
        scene = world.Scene(
            place=shot.place, light=shot.light, seed=shot.seed, camera=(middle, y, self.zoom)
        )
        self.picture = style.plate(drawn, scene, self.width_px, HEIGHT_PX)

    def at(self, scene: world.Scene) -> np.ndarray:
        """What the camera sees of it."""
        x = round((scene.camera[0] - self.left) * self.zoom * HEIGHT_PX)
        x = min(self.width_px - WIDTH_PX, max(0, x))
        return self.picture[:, x : x + WIDTH_PX]


# -- truth and references ---------------------------------------------------------------------


def presence(boxes: pl.DataFrame, made: Film, name: str) -> dict:
    """In which shots somebody must and may be named, by the shots' first frames."""
    found = {"must": [], "may": []}
    for item in made.shots:
        here = boxes.filter(shot_index=item.shot_index, character=name)
        if here.is_empty():
            continue
        height = (here["y1_px"] - here["y0_px"]) / HEIGHT_PX
        is_clear = (height >= MUST_HEIGHT) & (here["visible_share"] >= MUST_SHARE)
        frames = item.end_frame_index - item.first_frame_index
        kind = "must" if is_clear.sum() >= MUST_FRAMES * frames else "may"
        found[kind].append(item.first_frame_index)
    return {kind: {made.name: starts} if starts else {} for kind, starts in found.items()}


def write_references(made: Film, folder: Path, num: int | None) -> dict[str, list[str]]:
    """Write reference pictures of each but the last of the cast, the second close; their paths."""
    written: dict[str, list[str]] = {}
    for number, character in enumerate(made.cast[:-1]):
        rng = np.random.default_rng([made.seed, 3, number])
        by_lot = 1 + int(rng.random() < 0.5)
        for k in range(num or by_lot):
            path = folder / made.name / "reference" / character.name / f"{k + 1}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), reference(made, character, rng, is_close=k == 1)[:, :, ::-1])
            written.setdefault(character.name, []).append(path.relative_to(folder).as_posix())
    return written


def reference(made: Film, character: world.Character, rng, *, is_close: bool) -> np.ndarray:
    """Cut somebody out of a moment that the film does not show, with background; RGB."""
    place = str(rng.choice([p for p in PLACES if p not in {i.shot.place for i in made.shots}]))
    fill = float(rng.uniform(1.15, 1.35) if is_close else rng.uniform(0.6, 0.72))
    actor = world.Actor(
        character=character,
        scale=0.5,
        yaw=float(rng.uniform(-0.5, 0.5)),
        phase=float(rng.random()),
        mouth=float(rng.integers(2)) * 0.7,
        wave=float(rng.random() < 0.3),
    )
    scene = world.Scene(
        place=place,
        actors=(actor,),
        seed=int(rng.integers(1000)),
        camera=(0.0, 0.9 - (0.64 if is_close else 0.62) * 0.5, fill / 0.5),
    )
    drawing = int(rng.integers(1000))
    picture = style.render(made.style, scene, WIDTH_PX, HEIGHT_PX, drawing)
    layer = style.figure_layer(made.style, scene, actor, WIDTH_PX, HEIGHT_PX, drawing)
    x0, y0, x1, y1 = box_of(layer)
    room = rng.uniform(0.0, 0.08, 4) * (x1 - x0)
    edges = np.round(np.array([x0, y0, x1, y1]) + room * (-1, -1, 1, 1)).astype(int)
    x0, y0, x1, y1 = np.clip(edges, 0, (WIDTH_PX, HEIGHT_PX) * 2)
    x1 = min(x1, x0 + REFERENCE_PX[1])
    if x1 - x0 < REFERENCE_PX[0]:
        x0, x1 = x0 - (REFERENCE_PX[0] - (x1 - x0)) // 2, x0 + REFERENCE_PX[0]
    return np.ascontiguousarray(picture[y0:y1, max(0, x0) : x1])


if __name__ == "__main__":
    main()
