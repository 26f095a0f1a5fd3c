"""Characters of the sample world: body, limbs, clothes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sample import draw_head
from sample.pen import (
    LINE,
    PALETTE,
    Pen,
    SpeciesLook,
    blob,
    box,
    curve,
    darker,
    lighter,
    look_of,
    mix,
    oval,
    polygon,
)

if TYPE_CHECKING:
    from bunny.demo.world import Actor

ORANGE_FOOT = (240, 150, 50)
NECK_Y = -0.455


def draw_shadow(ink: Pen, actor: Actor) -> None:
    """Lay the soft shadow on the ground."""
    with ink.at(actor.x, actor.y, actor.scale, actor.scale * 0.22):
        ink.blush(0.02, 0.0, 0.42, (30, 22, 40), 0.5)


def draw_actor(ink: Pen, actor: Actor, look: SpeciesLook | None = None) -> None:
    """Draw an actor where it stands, without its shadow; `look` None: as its species is built."""
    look = look or look_of(actor.character.species, actor.character.colour)
    bob = -0.012 * abs(math.sin(2 * math.pi * actor.phase)) * actor.stride
    with ink.at(actor.x, actor.y, actor.scale):
        _draw_tail(ink, actor, look, bob)
        _draw_legs(ink, actor, look)
        with ink.at(0, bob):
            _draw_arm(ink, actor, look, side=-1 if actor.yaw >= 0 else 1)
            _draw_body(ink, actor, look)
            _draw_arm(ink, actor, look, side=1 if actor.yaw >= 0 else -1)
            with ink.turned(actor.tilt, 0, NECK_Y):
                draw_head.draw_head(ink, actor, look)
            _draw_neckwear(ink, actor)


def turn(actor: Actor) -> float:
    """Angle of the body about the upright axis, radians; 0 faces us."""
    return actor.yaw * draw_head.TURN_RAD


def _garment(actor: Actor) -> tuple[str, tuple[float, float, float]]:
    """Split 'blue scarf' into the garment and its colour."""
    if actor.character.wear == "none":
        return "none", PALETTE["white"]
    colour, garment = actor.character.wear.split(" ", 1)
    return garment, PALETTE[colour]


def _draw_legs(ink: Pen, actor: Actor, look: SpeciesLook) -> None:
    """Draw two legs; they swing against each other along the way the actor faces."""
    garment, cloth = _garment(actor)
    angle = turn(actor)
    swing = math.sin(2 * math.pi * actor.phase) * actor.stride
    for side in (-1, 1):
        ahead = 0.11 * swing * side
        x = 0.1 * side * max(0.45, math.cos(angle)) + ahead * math.sin(angle)
        lift = max(0.0, swing * side) * 0.05
        foot_x = x + 0.035 * math.sin(angle)
        colour = cloth if garment == "overalls" else look.fur
        if look.legs == "bird":
            ink.limb(curve((x, -0.12), (x, -0.06), (x, -0.04 - lift)), ORANGE_FOOT, 0.035, LINE)
            ink.soft(oval(foot_x, -0.025 - lift, 0.085, 0.035), ORANGE_FOOT, line=LINE)
            continue
        ink.limb(curve((x, -0.16), (x, -0.1), (x, -0.06 - lift)), colour, 0.115, LINE)
        foot = look.foot or look.fur
        ink.soft(oval(foot_x, -0.035 - lift, 0.088, 0.042), foot, line=LINE)


def _draw_body(ink: Pen, actor: Actor, look: SpeciesLook) -> None:
    """Draw the trunk, its pale belly, and what is worn on it."""
    garment, cloth = _garment(actor)
    shift = math.sin(turn(actor))
    trunk = _trunk(look)
    ink.soft(trunk, look.fur, line=LINE)
    with ink.inside(trunk):
        if look.belly:
            ink.flat(oval(shift * 0.13, -0.25, 0.135, 0.17), look.belly)
        if garment == "shirt":
            ink.soft(box(-0.4, -0.56, 0.4, -0.19), cloth)
            ink.stroke(curve((-0.3, -0.19), (0, -0.16), (0.3, -0.19)), darker(cloth, 0.4), LINE)
            for y in (-0.38, -0.27):
                ink.flat(oval(shift * 0.19, y, 0.018, 0.018), lighter(cloth, 0.75))
        elif garment == "overalls":
            _draw_overalls(ink, cloth, shift)
        elif look.species == "robot":
            _draw_panel(ink, shift)
    ink.stroke(trunk, mix(darker(look.fur, 0.6), (58, 42, 52), 0.4), LINE)


def _trunk(look: SpeciesLook):
    """Outline of the trunk."""
    if look.species == "robot":
        return box(-0.2, -0.48, 0.2, -0.1, 0.06)
    wide = look.girth
    return blob(
        [
            (0, -0.53),
            (0.14 * wide, -0.44),
            (0.21 * wide, -0.24),
            (0.13 * wide, -0.09),
            (-0.13 * wide, -0.09),
            (-0.21 * wide, -0.24),
            (-0.14 * wide, -0.44),
        ]
    )


def _draw_overalls(ink: Pen, cloth, shift: float) -> None:
    """Trousers with a bib, two straps and yellow buttons."""
    ink.soft(box(-0.4, -0.27, 0.4, 0.0), cloth)
    middle = shift * 0.13
    for side in (-1, 1):
        strap = curve(
            (middle + side * 0.07, -0.36), (middle + side * 0.1, -0.44), (side * 0.13, -0.54)
        )
        ink.stroke(strap, darker(cloth, 0.35), 0.062)
        ink.stroke(strap, cloth, 0.044)
    ink.soft(box(middle - 0.1, -0.38, middle + 0.1, -0.2, 0.02), cloth)
    ink.stroke(box(middle - 0.05, -0.3, middle + 0.05, -0.2, 0.015), darker(cloth, 0.35), 0.01)
    for side in (-1, 1):
        ink.flat(oval(middle + side * 0.072, -0.35, 0.02, 0.02), (250, 208, 70))


def _draw_panel(ink: Pen, shift: float) -> None:
    """Lamps and a dial on a robot's chest."""
    x = shift * 0.12
    ink.flat(box(x - 0.1, -0.4, x + 0.1, -0.18, 0.03), (60, 66, 84))
    for i, colour in enumerate(((236, 84, 70), (250, 208, 70), (96, 200, 110))):
        ink.flat(oval(x - 0.055 + 0.055 * i, -0.34, 0.019, 0.019), colour)
    ink.flat(oval(x, -0.25, 0.04, 0.04), (200, 232, 240))
    ink.stroke(curve((x, -0.25), (x, -0.25), (x + 0.025, -0.275)), (200, 60, 60), 0.012)


def _draw_arm(ink: Pen, actor: Actor, look: SpeciesLook, side: int) -> None:
    """Draw one arm, hanging, swinging or raised."""
    garment, cloth = _garment(actor)
    angle = turn(actor)
    swing = math.sin(2 * math.pi * actor.phase) * actor.stride * -side
    shoulder = (0.15 * side * max(0.25, math.cos(angle)), -0.43)
    raised = actor.wave if side == 1 else 0.0
    flutter = math.sin(4 * math.pi * actor.phase) * 0.04 * raised
    down = (shoulder[0] + 0.1 * side * math.cos(angle) + 0.12 * swing * math.sin(angle), -0.22)
    up = (shoulder[0] + (0.2 + flutter) * side, -0.62)
    hand = (down[0] + (up[0] - down[0]) * raised, down[1] + (up[1] - down[1]) * raised)
    elbow = ((shoulder[0] + hand[0]) / 2 + 0.06 * side, (shoulder[1] + hand[1]) / 2 + 0.03)
    if look.arms == "wing":
        wing = blob(
            [
                shoulder,
                (elbow[0] + 0.05 * side, elbow[1]),
                hand,
                (elbow[0] - 0.05 * side, elbow[1] + 0.02),
            ]
        )
        ink.soft(wing, cloth if garment == "shirt" else darker(look.fur, 0.12), line=LINE)
        return
    ink.limb(curve(shoulder, elbow, hand), look.fur, 0.095, LINE)
    if garment == "shirt":
        middle = ((shoulder[0] + hand[0]) / 2 + 0.02 * side, (shoulder[1] + hand[1]) / 2)
        ink.limb(curve(shoulder, shoulder, middle), cloth, 0.105, LINE)
    palm = look.foot or look.fur
    ink.soft(oval(hand[0], hand[1], 0.058, 0.058), palm, line=LINE)


def _draw_tail(ink: Pen, actor: Actor, look: SpeciesLook, bob: float) -> None:
    """Draw the tail behind the body; it shows on the side turned from the face."""
    side = -1.0 if actor.yaw >= 0 else 1.0
    reach = 0.35 + 0.65 * abs(math.sin(turn(actor)))
    wag = 0.03 * math.sin(2 * math.pi * actor.phase)
    root = (side * 0.12 * reach, -0.17 + bob)
    with ink.at(*root):
        if look.tail == "bushy":
            tail = blob(
                [
                    (0, 0.03),
                    (side * 0.2, 0.05),
                    (side * 0.36, -0.1 + wag),
                    (side * 0.34, -0.36 + wag),
                    (side * 0.22, -0.18),
                    (side * 0.05, -0.08),
                ]
            )
            ink.soft(tail, look.fur, line=LINE)
            with ink.inside(tail):
                ink.flat(oval(side * 0.35, -0.36 + wag, 0.13, 0.13), (252, 246, 236))
            ink.stroke(tail, darker(look.fur, 0.6), LINE)
        elif look.tail == "long":
            ink.limb(_hook(side, 0.34, 0.3, wag), look.fur, 0.05, LINE)
        elif look.tail == "thin":
            ink.limb(_hook(side, 0.4, 0.1, wag), lighter(PALETTE["pink"], 0.2), 0.022, LINE)
        elif look.tail == "curl":
            ink.limb(_hook(side, 0.2, 0.12, wag), look.fur, 0.028, LINE)
        elif look.tail == "puff":
            ink.soft(oval(side * 0.11, -0.02, 0.08, 0.08), (255, 252, 246), line=LINE)
        elif look.tail == "stub":
            ink.soft(oval(side * 0.1, -0.02, 0.06, 0.055), look.fur, line=LINE)
        elif look.tail == "feather":
            ink.soft(polygon([(0, -0.05), (side * 0.2, 0.06), (0, 0.08)]), look.fur, line=LINE)


def _hook(side: float, reach: float, rise: float, wag: float):
    """A tail's line going out and curling up."""
    path = curve((0, 0), (side * reach * 0.8, 0.1), (side * reach, -rise * 0.4 + wag))
    path.quadTo(side * reach * 1.05, -rise * 1.2 + wag, side * reach * 0.75, -rise + wag)
    return path


def _draw_neckwear(ink: Pen, actor: Actor) -> None:
    """Tie on a scarf or a bow."""
    garment, cloth = _garment(actor)
    middle = math.sin(turn(actor)) * 0.1
    if garment == "scarf":
        end = box(middle + 0.06, NECK_Y, middle + 0.15, NECK_Y + 0.24, 0.02)
        with ink.turned(-8, middle, NECK_Y):
            ink.soft(end, darker(cloth, 0.08), line=LINE)
            for y in (0.1, 0.17):
                ink.flat(
                    box(middle + 0.06, NECK_Y + y, middle + 0.15, NECK_Y + y + 0.028),
                    lighter(cloth, 0.6),
                )
        ink.soft(box(-0.2, NECK_Y - 0.045, 0.2, NECK_Y + 0.065, 0.055), cloth, line=LINE)
    elif garment == "bow":
        for side in (-1, 1):
            wing = [(0, 0), (side * 0.15, -0.085), (side * 0.15, 0.085)]
            with ink.at(middle, NECK_Y + 0.03):
                ink.soft(blob(wing, 0.5), cloth, line=LINE)
        ink.soft(oval(middle, NECK_Y + 0.03, 0.04, 0.045), darker(cloth, 0.12), line=LINE)
