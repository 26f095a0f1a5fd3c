"""Training pictures of the toy judge: rendered scenes with their truth, degraded.

The judge will look at pictures that a model drew: softer and a little crooked. So most of what it
learns from is blurred, noisy, resampled, warped, or went through the toy base's autoencoder.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from sample import render as sample_render

from bunny.demo import judge_net, world
from toy import vae as toy_vae

logger = logging.getLogger(__name__)

EMPTY_SHARE = 0.05  # of the pictures show nobody
SEEN_MIN, SEEN_SURE = 0.004, 0.02  # share of the picture's pixels that a figure covers
LATENT_NOISE_MAX = 0.35  # over the latents' standard deviation


def random_scene(rng: np.random.Generator) -> world.Scene:
    """Make up a scene with every species and every wear colour, now and then with nobody."""
    scene = sample_render.random_scene(rng, world.SPECIES)
    if rng.random() < EMPTY_SHARE:
        return dataclasses.replace(scene, actors=())
    return dataclasses.replace(scene, actors=tuple(_dress(a, rng) for a in scene.actors))


def _dress(actor: world.Actor, rng: np.random.Generator) -> world.Actor:
    """Give what is worn a colour of the judge's, teal among them."""
    wear = actor.character.wear
    if wear == "none":
        return actor
    wear = f"{rng.choice(judge_net.WEAR_COLOURS)} {wear.split(' ', 1)[1]}"
    character = dataclasses.replace(actor.character, wear=wear)
    return dataclasses.replace(actor, character=character)


def render(scene: world.Scene) -> tuple[np.ndarray, dict[str, Any]] | None:
    """Render a scene and tell its truth.

    Parameters
    ----------
    scene : world.Scene

    Returns
    -------
    tuple of np.ndarray, shape (128, 128, 3), uint8, and dict, or None
        RGB and what `toy_judge_net.targets` reads. Figures that cover less than `SEEN_MIN` of the
        picture are not told of; None where one covers more but less than `SEEN_SURE`, for then
        nobody could say.
    """
    size = judge_net.INPUT_PX
    shares = _seen_shares(scene, size)
    if any(SEEN_MIN <= share < SEEN_SURE for share in shares):
        return None
    seen = [a for a, share in zip(scene.actors, shares, strict=True) if share >= SEEN_SURE]
    who = [
        (a.character.colour, a.character.species, a.character.wear)
        for a in sorted(seen, key=lambda actor: actor.x)
    ]
    facts = {"who": who, "place": scene.place, "light": scene.light}
    return sample_render.render(scene, size, size), facts | {"size": world.shot_size(scene)}


def _seen_shares(scene: world.Scene, size: int) -> list[float]:
    """Which share of the picture each actor covers with no nearer one before it."""
    masks = [sample_render.actor_mask(scene, i, size, size) for i in range(len(scene.actors))]
    shares = []
    for index, actor in enumerate(scene.actors):
        seen = masks[index].copy()
        for other, mask in zip(scene.actors, masks, strict=True):
            if other.y > actor.y:
                seen &= ~mask
        shares.append(float(seen.mean()))
    return shares


def render_many(
    count: int, seed: int, make: Callable[[np.random.Generator], world.Scene] = random_scene
) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Draw `count` pictures whose truth is clear.

    Returns
    -------
    tuple of np.ndarray, shape (count, 128, 128, 3), uint8, and list of dict
        The same seed gives the same pictures.
    """
    rng = np.random.default_rng(seed)
    size = judge_net.INPUT_PX
    pictures = np.empty((count, size, size, 3), dtype=np.uint8)
    facts: list[dict[str, Any]] = []
    while len(facts) < count:
        drawn = render(make(rng))
        if drawn is None:
            continue
        pictures[len(facts)] = drawn[0]
        facts.append(drawn[1])
        if len(facts) % 2000 == 0:
            logger.info("%d of %d pictures", len(facts), count)
    return pictures, facts


def round_trip(
    vae: Any, pictures: np.ndarray, seed: int = 0, noise_max: float = LATENT_NOISE_MAX
) -> np.ndarray:
    """Show what the autoencoder makes of pictures, their latents a little disturbed.

    Parameters
    ----------
    vae : AutoencoderKL
    pictures : np.ndarray, shape (n, height, width, 3), uint8
    seed : int
    noise_max : float
        Each picture's noise is up to this times the standard deviation of all latents.

    Returns
    -------
    np.ndarray, shape (n, height, width, 3), uint8
    """
    import torch

    vae.eval().to(memory_format=torch.channels_last)
    generator = torch.Generator().manual_seed(seed)
    drawn = []
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        for start in range(0, len(pictures), 32):
            pixels = toy_vae.to_tensor(pictures[start : start + 32])
            latents = vae.encode(pixels.to(memory_format=torch.channels_last)).latent_dist.mean
            level = torch.rand((len(latents), 1, 1, 1), generator=generator) * noise_max
            noise = torch.randn(latents.shape, generator=generator)
            latents = latents + level * latents.float().std() * noise
            decoded = vae.decode(latents).sample.float().clamp(-1, 1)
            decoded = ((decoded + 1) * 127.5).round().to(torch.uint8)
            drawn.append(decoded.permute(0, 2, 3, 1).numpy())
    return np.concatenate(drawn)


def degrade(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Mirror, move, warp, tint, blur, resample, press and grain one picture, each now and then.

    Parameters
    ----------
    picture : np.ndarray, shape (height, width, 3), uint8
    rng : np.random.Generator

    Returns
    -------
    np.ndarray, same shape, uint8
    """
    draw = rng.random(8)
    if draw[0] < 0.5:
        picture = picture[:, ::-1]
    if draw[1] < 0.6:
        picture = _warp(picture, rng, bend_px=2.0 * float(draw[2] < 0.5))
    if draw[3] < 0.6:
        gain = rng.uniform(0.88, 1.12) * rng.uniform(0.95, 1.05, 3)
        table = np.arange(256)[:, None] * gain + rng.uniform(-10, 10)
        picture = cv2.LUT(np.ascontiguousarray(picture), _byte(table[None]))
    if draw[4] < 0.4:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 2.2))
    if draw[5] < 0.3:
        picture = _resample(picture, rng.uniform(0.4, 0.9))
    if draw[6] < 0.25:
        noise = rng.standard_normal(picture.shape, dtype=np.float32)
        picture = _byte(picture + np.float32(rng.uniform(1, 10)) * noise)
    if draw[7] < 0.25:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 90))]
        picture = cv2.imdecode(cv2.imencode(".jpg", picture, quality)[1], cv2.IMREAD_COLOR)
    return np.ascontiguousarray(picture)


def _warp(picture: np.ndarray, rng: np.random.Generator, bend_px: float) -> np.ndarray:
    """Shift and scale a little and bend the picture smoothly."""
    height, width = picture.shape[:2]
    bend = rng.normal(0, bend_px, (5, 5, 2)).astype(np.float32)
    bend = cv2.resize(bend, (width, height), interpolation=cv2.INTER_CUBIC)
    zoom, shift = rng.uniform(0.95, 1.05), rng.uniform(-0.05, 0.05, 2)
    x = ((np.arange(width) / width - 0.5) * zoom + 0.5 + shift[0]) * width
    y = ((np.arange(height) / height - 0.5) * zoom + 0.5 + shift[1]) * height
    x, y = x.astype(np.float32)[None] + bend[..., 0], y.astype(np.float32)[:, None] + bend[..., 1]
    return cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)


def _byte(values: np.ndarray) -> np.ndarray:
    """Round to 8 bits."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _resample(picture: np.ndarray, share: float) -> np.ndarray:
    """Make a picture smaller and large again."""
    height, width = picture.shape[:2]
    size = (max(1, round(width * share)), max(1, round(height * share)))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
