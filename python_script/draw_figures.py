"""Draw single figures of many characters in every drawing style, each from several sides.

    python python_script/draw_figures.py --out FOLDER [--identities 150] [--views 4] [--seed 0]

writes `<style>_<identity>_<view>.png`, 128 to 256 pixels high. Every second view has a background;
the others are transparent. Characters that are drawn in different styles are different ones. Light,
pose, framing and side vary from view to view, so that only the character stays the same.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
from sample import style
from tqdm.auto import tqdm

from bunny.demo import world

STYLES = ("sample", *style.STYLE_NAMES)
CANVAS_PX = 512  # drawn large, then made as small as wanted
HEIGHT_PX = (128, 256)
CLOSE_SHARE = 0.3  # of the views show the upper half alone


def main() -> None:
    """Draw from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--identities", type=int, default=150)
    parser.add_argument("--views", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    wanted = parser.parse_args()
    wanted.out.mkdir(parents=True, exist_ok=True)
    cast = characters(wanted.identities, wanted.seed)
    styles = choose_styles(cast)
    bar = tqdm(zip(cast, styles, strict=True), "figures", len(cast), unit="character")
    for number, (character, drawn) in enumerate(bar):
        for view in range(wanted.views):
            rng = np.random.default_rng([wanted.seed, number, view])
            picture = figure(drawn, character, rng, has_background=view % 2 == 1)
            name = f"{drawn.name}_{character.name}_{view}.png"
            cv2.imwrite(str(wanted.out / name), picture)


def choose_styles(cast: list[world.Character]) -> list[style.Style]:
    """Give the styles in turn, and their variants; no two grey sketches differ in colour alone."""
    chosen, grey = [], set()
    for number, one in enumerate(cast):
        variant = number // len(STYLES) % style.NUM_VARIANTS
        drawn = style.Style(name=STYLES[number % len(STYLES)], variant=variant)
        look = (one.species, one.wear.split(" ")[-1])
        if drawn.is_grey and look in grey:
            drawn = style.Style(name=drawn.name, variant=style.COLOURED_SKETCH)
        elif drawn.is_grey:
            grey.add(look)
        chosen.append(drawn)
    return chosen


def characters(count: int, seed: int) -> list[world.Character]:
    """Make up characters, no two alike in species, colour and garment.

    Raises
    ------
    ValueError
        If there are not so many.
    """
    every = [(s, c, w) for s in world.SPECIES for c in world.COLOURS for w in world.WEARS]
    if count > len(every):
        raise ValueError(f"expected at most {len(every)} characters, found {count}")
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(every))[:count]
    return [
        world.Character(name=f"{number:04d}", species=s, colour=c, wear=w)
        for number, (s, c, w) in enumerate(every[i] for i in chosen)
    ]


def figure(
    drawn: style.Style, character: world.Character, rng: np.random.Generator, *, has_background
) -> np.ndarray:
    """Draw one view of a character, cut out with a little room.

    Returns
    -------
    np.ndarray, shape (height, width, 3 or 4), uint8
        BGR with background, else BGRA with straight opacity.
    """
    is_close = rng.random() < CLOSE_SHARE
    actor = world.Actor(
        character=character,
        scale=0.5,
        yaw=float(rng.uniform(-0.9, 0.9)),
        phase=float(rng.random()),
        stride=float(rng.random() < 0.4),
        wave=float(rng.random() < 0.3),
        mouth=float(max(0.0, rng.uniform(-0.6, 1.0))),
        eyes=float(rng.random() > 0.08),
        tilt=float(rng.normal(0, 4)),
    )
    lights = ("day", "day", "dusk", "night") if has_background else ("day",)
    scene = world.Scene(
        place=str(rng.choice(list(world.PLACES))),
        light=str(rng.choice(lights)),
        actors=(actor,),
        seed=int(rng.integers(10000)),
        camera=(0.0, 0.9 - 0.68 * actor.scale, 2.4) if is_close else (0.0, 0.55, 1.15),
    )
    drawing = int(rng.integers(10000))
    layer = style.figure_layer(drawn, scene, actor, CANVAS_PX, CANVAS_PX, drawing)
    columns = np.flatnonzero(layer[..., 3].any(axis=0))
    rows = np.flatnonzero(layer[..., 3].any(axis=1))
    room = rng.uniform(0.0, 0.1, 4) * rows.size
    left, top = max(0, int(columns[0] - room[0])), max(0, int(rows[0] - room[1]))
    part = np.s_[top : int(rows[-1] + 1 + room[2]), left : int(columns[-1] + 1 + room[3])]
    if has_background:
        picture = style.render(drawn, scene, CANVAS_PX, CANVAS_PX, drawing)[part][..., ::-1]
    else:
        picture = _straight(layer[part])[..., [2, 1, 0, 3]]
    height = int(rng.integers(HEIGHT_PX[0], HEIGHT_PX[1] + 1))
    width = max(1, round(picture.shape[1] * height / picture.shape[0]))
    size = (width, height)
    return cv2.resize(np.ascontiguousarray(picture), size, interpolation=cv2.INTER_AREA)


def _straight(layer: np.ndarray) -> np.ndarray:
    """Divide colours by the opacity that they were multiplied with."""
    alpha = np.maximum(layer[..., 3:], 1).astype(np.float32) / 255
    colour = np.clip(np.round(layer[..., :3] / alpha), 0, 255).astype(np.uint8)
    return np.concatenate([colour, layer[..., 3:]], axis=2)


if __name__ == "__main__":
    main()
