"""Rendering of the sample world: scenes as pictures, masks and boxes of who is in them."""

from typing import NamedTuple

import numpy as np

from bunny.demo import world

MASK_MIN = 96  # alpha from which a pixel counts as drawn


class ActorBox(NamedTuple):
    """Where an actor is drawn, in pixels, and how much of it is seen."""

    x0: float
    y0: float
    x1: float
    y1: float
    visible_share: float


def render(scene: world.Scene, width_px: int, height_px: int) -> np.ndarray:
    """Draw a scene.

    Parameters
    ----------
    scene : Scene
    width_px, height_px : int
        Size of the picture; the height always shows 1 / zoom of the world.

    Returns
    -------
    np.ndarray, shape (height_px, width_px, 3), uint8
        RGB, gamma-encoded. The same scene gives the same bytes.

    Raises
    ------
    ValueError
        If the place, the light or a species has no drawing.
    ImportError
        If skia is not installed.
    """
    import skia

    from sample import draw_character, draw_place, pen

    check_scene(scene)
    pixels = np.zeros((height_px, width_px, 4), dtype=np.uint8)
    surface = skia.Surface(pixels, colorType=skia.kRGBA_8888_ColorType)
    ink = pen.Pen(surface.getCanvas())
    view = draw_place.SceneView(camera=scene.camera, width_px=width_px, height_px=height_px)
    painter = draw_place.Painter(ink, view, scene)
    painter.draw_behind()
    with view.layer(ink, 1.0):
        for actor in drawing_order(scene):
            draw_character.draw_shadow(ink, actor)
            draw_character.draw_actor(ink, actor)
    painter.draw_before()
    del surface
    return np.ascontiguousarray(pixels[:, :, :3])


def drawing_order(scene: world.Scene) -> tuple[world.Actor, ...]:
    """Give the actors from far to near: who stands lower in the picture is nearer."""
    return tuple(sorted(scene.actors, key=lambda actor: actor.y))


def actor_mask(scene: world.Scene, actor_index: int, width_px: int, height_px: int) -> np.ndarray:
    """Tell which pixels an actor would colour if nobody stood before it.

    Returns
    -------
    np.ndarray, shape (height_px, width_px), bool
        Without the shadow on the ground.
    """
    import skia

    from sample import draw_character, draw_place, pen

    pixels = np.zeros((height_px, width_px, 4), dtype=np.uint8)
    surface = skia.Surface(pixels, colorType=skia.kRGBA_8888_ColorType)
    ink = pen.Pen(surface.getCanvas())
    view = draw_place.SceneView(camera=scene.camera, width_px=width_px, height_px=height_px)
    with view.layer(ink, 1.0):
        draw_character.draw_actor(ink, scene.actors[actor_index])
    del surface
    return pixels[:, :, 3] >= MASK_MIN


def actor_box(
    scene: world.Scene, actor_index: int, width_px: int, height_px: int
) -> ActorBox | None:
    """Find the tight box of one actor, clipped to the picture.

    Returns
    -------
    ActorBox or None
        Edges in pixels (x1 and y1 exclusive) of all that would be drawn of the actor were it in
        front; `visible_share` in [0, 1] is what part of its whole body is inside the picture and
        not behind a nearer actor. None when nothing of it is inside the picture.
    """
    mask = actor_mask(scene, actor_index, width_px, height_px)
    if not mask.any():
        return None
    columns = np.flatnonzero(mask.any(axis=0))
    rows = np.flatnonzero(mask.any(axis=1))
    share = _visible_share(scene, actor_index, width_px / height_px)
    return ActorBox(
        float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1), share
    )


def _visible_share(scene: world.Scene, actor_index: int, aspect: float) -> float:
    """Count what is seen of an actor on a coarse canvas three pictures wide and high."""
    height = 96
    width = round(height * aspect)
    cx, cy, zoom = scene.camera
    wide = world.Scene(place=scene.place, actors=scene.actors, camera=(cx, cy, zoom / 3))
    whole = actor_mask(wide, actor_index, width * 3 // 2, height * 3 // 2)
    seen = np.zeros_like(whole)
    top, left = whole.shape[0] // 3, whole.shape[1] // 3
    inner = np.s_[top : 2 * top, left : 2 * left]
    seen[inner] = whole[inner]
    order = drawing_order(scene)
    rank = order.index(scene.actors[actor_index])
    for nearer in order[rank + 1 :]:
        seen &= ~actor_mask(wide, scene.actors.index(nearer), *whole.shape[::-1])
    return float(seen.sum() / max(1, whole.sum()))


def check_scene(scene: world.Scene) -> None:
    """Raise ValueError for a word that has no drawing."""
    for word, known in ((scene.place, tuple(world.PLACES)), (scene.light, world.LIGHTS)):
        if word not in known:
            raise ValueError(f"expected one of {', '.join(known)}, found {word!r}")
    for actor in scene.actors:
        if actor.character.species not in world.SPECIES:
            raise ValueError(
                f"expected a species of {', '.join(world.SPECIES)}, "
                f"found {actor.character.species!r}"
            )


def random_scene(
    rng: np.random.Generator, species: tuple[str, ...] = world.BASE_SPECIES
) -> world.Scene:
    """Draw a scene at random: one actor in 85 of 100, all places, lights and framings.

    Parameters
    ----------
    rng : np.random.Generator
    species : tuple of str
        Species to choose from; the default has no rabbit.
    """
    count = 1 if rng.random() < 0.85 else 2
    size = world.SHOT_SIZES[rng.choice(3, p=(0.35, 0.45, 0.20))]
    places = [place for place in world.PLACES if place != "studio"]
    place = "studio" if rng.random() < 0.08 else str(rng.choice(places))
    light = world.LIGHTS[rng.choice(3, p=(0.6, 0.2, 0.2))]
    actors = tuple(_random_actor(rng, species, i, count) for i in range(count))
    return world.Scene(
        place=place,
        light=light,
        actors=actors,
        camera=_random_camera(rng, actors, size),
        seed=int(rng.integers(2**31)),
        time_s=float(rng.uniform(0, 60)),
    )


def _random_actor(
    rng: np.random.Generator, species: tuple[str, ...], index: int, count: int
) -> world.Actor:
    """Make someone up; of two, the first stands left."""
    wear = "none" if rng.random() < 0.25 else str(rng.choice(world.WEARS[1:]))
    side = 0.0 if count == 1 else (-0.2, 0.2)[index]
    return world.Actor(
        character=world.Character(
            name="",
            species=str(rng.choice(species)),
            colour=str(rng.choice(world.COLOURS)),
            wear=wear,
        ),
        x=side + float(rng.uniform(-0.03, 0.03)),
        y=float(rng.uniform(0.86, 0.94)),
        scale=float(rng.uniform(0.55, 0.65)) * (1.0 if count == 1 else 0.85),
        yaw=float(np.clip(rng.normal(-side * 2, 0.45), -1, 1)),
        phase=float(rng.random()),
        stride=float(rng.random() < 0.3),
        wave=float(rng.random() < 0.25),
        mouth=float(max(0.0, rng.uniform(-0.7, 1.0))),
        eyes=float(rng.random() > 0.06),
        tilt=float(rng.normal(0, 4)),
    )


def _random_camera(
    rng: np.random.Generator, actors: tuple[world.Actor, ...], size: str
) -> tuple[float, float, float]:
    """Frame the actors: faces for a close-up, whole figures for medium, all around for wide."""
    scale = max(actor.scale for actor in actors)
    x = float(np.mean([actor.x for actor in actors]))
    ground = max(actor.y for actor in actors)
    if size == "close-up":
        target = actors[int(rng.integers(len(actors)))]
        zoom = float(rng.uniform(1.18, 1.45)) / target.scale
        return (target.x + float(rng.normal(0, 0.03)), target.y - 0.66 * target.scale, zoom)
    if size == "medium":
        zoom = float(rng.uniform(0.6, 0.85)) / scale * (1.0 if len(actors) == 1 else 0.85)
        return (x + float(rng.normal(0, 0.06)), ground - 0.55 * scale, zoom)
    zoom = float(rng.uniform(0.34, 0.46)) / scale
    return (x + float(rng.normal(0, 0.2)), ground - 0.75 * scale, zoom)
