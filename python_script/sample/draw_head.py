"""Heads of the characters: ears, face, snout or beak, eyes, mouth, hat.

The head is a ball that turns: a feature at longitude `lon` (0 is the middle of the face) stands at
x = radius * sin(lon + turn) and narrows by the cosine of the same angle.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sample.pen import (
    INK,
    LINE,
    PALETTE,
    Pen,
    SpeciesLook,
    blob,
    box,
    curve,
    darker,
    lighter,
    mix,
    oval,
    polygon,
)

if TYPE_CHECKING:
    from bunny.demo.world import Actor

HEAD_Y = -0.69
BEAK = (246, 164, 52)
CHEEK = (246, 112, 122)
EYE_LON = 0.46
TURN_RAD = math.radians(70)  # of the head at yaw 1


def draw_head(ink: Pen, actor: Actor, look: SpeciesLook) -> None:
    """Draw the head of an actor around (0, HEAD_Y)."""
    face = _Face(ink, actor, look)
    with ink.at(0, HEAD_Y):
        face.draw_ears()
        face.draw_skull()
        face.draw_snout()
        face.draw_cheeks()
        face.draw_eyes()
        face.draw_hat()


class _Face:
    """One head being drawn: keeps the turn of the head at hand."""

    def __init__(self, ink: Pen, actor: Actor, look: SpeciesLook):
        self.ink, self.actor, self.look = ink, actor, look
        self.angle = actor.yaw * TURN_RAD
        self.front = math.sin(self.angle)
        self.line = mix(darker(look.fur, 0.6), INK, 0.4)

    def place(self, lon: float, reach: float = 1.0) -> tuple[float, float]:
        """Give x and the narrowing of a feature at a longitude."""
        return reach * self.look.head_rx * math.sin(lon + self.angle), math.cos(lon + self.angle)

    def draw_ears(self) -> None:
        """Draw both ears behind the skull, the farther one first."""
        near = -1 if self.actor.yaw > 0 else 1
        draw = getattr(self, f"_ear_{self.look.species}", None)
        if self.look.species == "robot":
            self._antenna()
        if draw:
            for side in (-near, near):
                draw(side)

    def _ear_x(self, side: int, spread: float) -> float:
        """Stand an ear on the crown: ears close up in profile and move back."""
        return side * spread * max(0.32, math.cos(self.angle)) - 0.07 * self.front

    def _ear_bear(self, side: int) -> None:
        x = self._ear_x(side, 0.2)
        self.ink.soft(oval(x, -0.2, 0.09, 0.09), self.look.fur, line=LINE)
        self.ink.flat(oval(x, -0.195, 0.05, 0.05), self.look.inner)

    def _ear_mouse(self, side: int) -> None:
        x = self._ear_x(side, 0.235)
        self.ink.soft(oval(x, -0.17, 0.155, 0.155), self.look.fur, line=LINE)
        self.ink.flat(oval(x, -0.165, 0.105, 0.105), self.look.inner)

    def _pointed(self, side: int, spread: float, half: float, height: float, tip=None) -> None:
        """A pointed ear; `tip` colours its end."""
        x = self._ear_x(side, spread)
        lean = side * 0.05
        ear = blob(
            [
                (x - half, -0.1),
                (x + lean - 0.012, -0.1 - height),
                (x + lean + 0.012, -0.1 - height),
                (x + half, -0.1),
            ],
            0.45,
        )
        self.ink.soft(ear, self.look.fur, line=LINE)
        with self.ink.inside(ear):
            if tip:
                self.ink.flat(oval(x + lean, -0.1 - height, half, height * 0.36), tip)
            inner = [
                (x - half * 0.5, -0.08),
                (x + lean, -0.1 - height * 0.72),
                (x + half * 0.5, -0.08),
            ]
            self.ink.flat(blob(inner, 0.4), self.look.inner)

    def _ear_fox(self, side: int) -> None:
        self._pointed(side, 0.17, 0.115, 0.34, darker(self.look.fur, 0.62))

    def _ear_cat(self, side: int) -> None:
        self._pointed(side, 0.175, 0.1, 0.24)

    def _ear_owl(self, side: int) -> None:
        x = self._ear_x(side, 0.21)
        tuft = polygon([(x - 0.1 * side, -0.2), (x + 0.07 * side, -0.33), (x + 0.06 * side, -0.1)])
        self.ink.soft(tuft, darker(self.look.fur, 0.15), line=LINE)

    def _ear_pig(self, side: int) -> None:
        x = self._ear_x(side, 0.18)
        ear = blob(
            [
                (x - 0.08 * side, -0.2),
                (x + 0.05 * side, -0.26),
                (x + 0.15 * side, -0.16),
                (x + 0.12 * side, -0.04),
                (x + 0.03 * side, -0.12),
            ],
            0.8,
        )
        self.ink.soft(ear, darker(self.look.fur, 0.12), line=LINE)

    def _ear_elephant(self, side: int) -> None:
        x = side * 0.3 * max(0.25, math.cos(self.angle)) - 0.12 * self.front
        wide = 0.19 * max(0.7, math.cos(self.angle))
        self.ink.soft(oval(x, -0.01, wide, 0.21), self.look.fur, line=LINE)
        self.ink.flat(oval(x, 0.0, wide * 0.68, 0.145), lighter(self.look.inner, 0.1))

    def _ear_rabbit(self, side: int) -> None:
        x = self._ear_x(side, 0.105)
        lean = side * 5 + 4 * math.sin(2 * math.pi * self.actor.phase) * self.actor.stride
        with self.ink.turned(lean - 10 * self.front, x, -0.18):
            ear = blob(
                [
                    (x - 0.05, -0.12),
                    (x - 0.085, -0.38),
                    (x, -0.61),
                    (x + 0.085, -0.38),
                    (x + 0.05, -0.12),
                ]
            )
            self.ink.soft(ear, self.look.fur, line=LINE)
            inner = blob(
                [
                    (x - 0.02, -0.2),
                    (x - 0.046, -0.38),
                    (x, -0.54),
                    (x + 0.046, -0.38),
                    (x + 0.02, -0.2),
                ]
            )
            self.ink.flat(inner, self.look.inner)

    def _antenna(self) -> None:
        x = -0.05 * self.front
        self.ink.stroke(curve((x, -0.2), (x, -0.25), (x, -0.33)), self.line, 0.03)
        self.ink.soft(oval(x, -0.35, 0.05, 0.05), (236, 84, 70), line=LINE)
        for side in (-1, 1):
            bolt = self._ear_x(side, 0.29)
            self.ink.soft(
                box(bolt - 0.04, -0.08, bolt + 0.04, 0.08, 0.02), (120, 126, 140), line=LINE
            )

    def draw_skull(self) -> None:
        """Draw the head's outline and the markings on it."""
        look, ink = self.look, self.ink
        skull = self._skull()
        ink.soft(skull, look.fur, depth=0.18, line=LINE)
        with ink.inside(skull):
            self._draw_marking()
        ink.stroke(skull, self.line, LINE)

    def _skull(self):
        """Outline of the head."""
        rx, ry = self.look.head_rx, self.look.head_ry
        if self.look.species == "robot":
            return box(-rx, -ry * 0.9, rx, ry * 0.9, 0.07)
        if self.look.species == "fox":
            left, right = 1 + 0.12 * max(0, -self.front), 1 + 0.12 * max(0, self.front)
            return blob(
                [
                    (0, -ry),
                    (rx * 0.82, -ry * 0.5),
                    (rx * 1.12 * right, ry * 0.3),
                    (rx * 0.5, ry * 0.86),
                    (self.front * 0.12, ry * 1.06),
                    (-rx * 0.5, ry * 0.86),
                    (-rx * 1.12 * left, ry * 0.3),
                    (-rx * 0.82, -ry * 0.5),
                ]
            )
        return oval(0, 0, rx, ry)

    def _draw_marking(self) -> None:
        """Colour parts of the face: fox cheeks, penguin mask, owl discs, robot screen."""
        look, ink, species = self.look, self.ink, self.look.species
        x, _ = self.place(0, 0.75)
        if species == "fox":
            for lon in (-0.75, 0.75):
                cheek, narrow = self.place(lon, 0.95)
                ink.flat(oval(cheek, 0.15, 0.17 * max(0.35, narrow), 0.14), (252, 246, 236))
        elif species == "penguin":
            for lon in (-0.42, 0.42):
                disc, narrow = self.place(lon, 0.85)
                ink.flat(oval(disc, 0.0, 0.15 * max(0.3, narrow), 0.15), (252, 250, 246))
            ink.flat(oval(x, 0.1, 0.2 * max(0.5, math.cos(self.angle)), 0.14), (252, 250, 246))
        elif species == "cat":
            for lon in (-0.22, 0.0, 0.22):
                stripe, _ = self.place(lon, 0.8)
                ink.stroke(
                    curve((stripe, -0.25), (stripe, -0.2), (stripe, -0.15)),
                    darker(look.fur, 0.4),
                    0.026,
                )
        elif species == "robot":
            ink.flat(box(x - 0.19, -0.13, x + 0.19, 0.13, 0.06), (44, 50, 70))
        elif species == "elephant":
            ink.flat(oval(x, -0.16, 0.1, 0.05), lighter(look.fur, 0.2))

    def draw_snout(self) -> None:
        """Draw nose, muzzle, beak or trunk, and the mouth."""
        getattr(self, f"_snout_{self.look.species}", self._snout_small)()

    def _muzzle(self, rx: float, ry: float, y: float, colour, nose: float, ink_nose=INK) -> None:
        """A pale muzzle standing out to the front, with nose and mouth."""
        x, narrow = self.place(0, 0.92)
        x += 0.06 * self.front
        wide = rx * (0.72 + 0.28 * max(0, narrow))
        edge = LINE * 0.8 if abs(self.front) > 0.55 else 0.0
        self.ink.soft(oval(x, y, wide, ry), colour, depth=0.12, line=edge)
        tip = x + wide * 0.55 * self.front
        self._mouth(x + wide * 0.25 * self.front, y + ry * 0.25, rx * 0.55)
        self.ink.flat(oval(tip, y - ry * 0.5, nose, nose * 0.72), ink_nose)
        self.ink.flat(
            oval(tip - nose * 0.3, y - ry * 0.66, nose * 0.28, nose * 0.2), (255,) * 3, 0.7
        )

    def _mouth(self, x: float, y: float, half: float) -> None:
        """A smile, or an open mouth with a tongue."""
        gape = self.actor.mouth
        if gape < 0.12:
            self.ink.stroke(curve((x - half, y), (x, y + half * 0.9), (x + half, y)), INK, 0.018)
            return
        deep = half * (0.5 + 1.1 * gape)
        mouth = blob([(x - half, y), (x, y + half * 0.1), (x + half, y), (x, y + deep)], 0.9)
        self.ink.flat(mouth, (110, 34, 48))
        with self.ink.inside(mouth):
            self.ink.flat(oval(x, y + deep, half * 0.65, deep * 0.45), (240, 110, 120))
        self.ink.stroke(mouth, INK, 0.012)

    def _snout_bear(self) -> None:
        self._muzzle(0.125, 0.095, 0.1, lighter(self.look.fur, 0.6), 0.048)

    def _snout_fox(self) -> None:
        self._muzzle(0.085, 0.075, 0.13, (252, 246, 236), 0.042)

    def _snout_mouse(self) -> None:
        self._muzzle(0.08, 0.065, 0.09, lighter(self.look.fur, 0.55), 0.04, (240, 110, 140))

    def _snout_cat(self) -> None:
        self._muzzle(0.095, 0.068, 0.1, lighter(self.look.fur, 0.7), 0.032, (240, 110, 140))
        x, _ = self.place(0, 0.92)
        for side in (-1, 1):
            for dy in (-0.02, 0.03):
                start = (x + side * 0.1 + 0.06 * self.front, 0.09 + dy)
                end = (x + side * 0.27, 0.08 + 2.4 * dy)
                self.ink.stroke(curve(start, start, end), INK, 0.009)

    def _snout_rabbit(self) -> None:
        x, _ = self.place(0, 0.92)
        self._muzzle(0.098, 0.068, 0.1, (255, 253, 248), 0.036, (240, 110, 140))
        tooth, drop = x + 0.075 * self.front, 0.01 * self.actor.mouth
        teeth = box(tooth - 0.022, 0.128 + drop, tooth + 0.022, 0.162 + drop, 0.012)
        self.ink.flat(teeth, (255,) * 3)
        self.ink.stroke(teeth, INK, 0.006)

    def _snout_pig(self) -> None:
        x, narrow = self.place(0, 0.95)
        x += 0.03 * self.front
        wide = 0.095 * (0.6 + 0.4 * max(0, narrow))
        self._mouth(x - 0.01 * self.front, 0.145, 0.06)
        self.ink.soft(oval(x, 0.075, wide, 0.075), darker(self.look.fur, 0.14), line=LINE)
        for side in (-1, 1):
            self.ink.flat(
                oval(x + side * wide * 0.4, 0.075, 0.017, 0.028), darker(self.look.fur, 0.7)
            )

    def _snout_elephant(self) -> None:
        x, _ = self.place(0, 0.9)
        side = 1 if self.front >= 0 else -1
        self._mouth(x - 0.09 * side, 0.16, 0.045)
        trunk = curve((x, 0.03), (x + 0.03 * side, 0.26), (x + side * 0.12, 0.29))
        trunk.quadTo(x + side * 0.2, 0.3, x + side * 0.2, 0.2)
        self.ink.limb(trunk, mix(self.look.fur, lighter(self.look.fur), 0.4), 0.1, LINE)
        for y in (0.09, 0.14, 0.19):
            self.ink.stroke(
                curve((x - 0.03, y), (x, y + 0.012), (x + 0.035, y)),
                darker(self.look.fur, 0.3),
                0.01,
            )

    def _snout_frog(self) -> None:
        x, narrow = self.place(0, 0.8)
        wide = 0.2 * (0.45 + 0.55 * max(0, narrow))
        for lon in (-0.1, 0.1):
            nostril, _ = self.place(lon, 0.95)
            self.ink.flat(oval(nostril, 0.0, 0.012, 0.014), darker(self.look.fur, 0.6))
        with self.ink.inside(self._skull()):
            self._mouth(x, 0.055, wide)

    def _beak(self, rx: float, upper: float, lower: float, y: float, reach: float) -> None:
        """A beak that opens."""
        x, narrow = self.place(0, 0.95)
        wide = rx * (0.55 + 0.45 * max(0, narrow))
        out = x + reach * self.front
        gape = 0.045 * self.actor.mouth
        if gape:
            self.ink.soft(
                blob([(x - wide * 0.8, y), (out, y + lower + gape), (x + wide * 0.8, y)], 0.6),
                darker(BEAK, 0.25),
                line=LINE,
            )
        top = blob([(x - wide, y), (x, y - upper), (x + wide, y), (out, y + lower)], 0.7)
        self.ink.soft(top, BEAK, line=LINE)

    def _snout_penguin(self) -> None:
        self._beak(0.1, 0.05, 0.07, 0.08, 0.12)

    def _snout_owl(self) -> None:
        self._beak(0.06, 0.05, 0.1, 0.05, 0.05)

    def _snout_robot(self) -> None:
        x, _ = self.place(0, 0.75)
        gape = 0.012 + 0.045 * self.actor.mouth
        mouth = box(x - 0.075, 0.06, x + 0.075, 0.06 + gape + 0.012, 0.012)
        self.ink.flat(mouth, (120, 236, 240))

    def _snout_small(self) -> None:
        self._muzzle(0.1, 0.07, 0.1, lighter(self.look.fur, 0.6), 0.035)

    def draw_cheeks(self) -> None:
        """Redden the cheeks that face us."""
        if self.look.species == "robot":
            return
        for lon in (-0.85, 0.85):
            x, narrow = self.place(lon, 0.9)
            if narrow > 0.1:
                with self.ink.at(x, 0.085, max(0.35, narrow), 0.8):
                    self.ink.blush(0, 0, 0.085, CHEEK, 0.75)

    def draw_eyes(self) -> None:
        """Draw the eyes that face us."""
        species = self.look.species
        for side in (-1, 1):
            x, narrow = self.place(side * EYE_LON, 0.92)
            if narrow < 0.12:
                continue
            if species == "robot":
                self._lamp(self.place(side * 0.4, 0.8)[0])
            elif species == "frog":
                self._bulge(side)
            elif species == "owl":
                self.ink.soft(
                    oval(x, -0.03, 0.135 * max(0.4, narrow), 0.135),
                    lighter(self.look.fur, 0.6),
                    line=LINE * 0.8,
                )
                self._eye(x, -0.03, 0.088, narrow)
            else:
                self._eye(x, -0.035, 0.066, narrow)

    def _eye(self, x: float, y: float, size: float, narrow: float) -> None:
        """One eye: white, pupil, two lights; an arc when it is shut."""
        wide = size * max(0.45, min(1.0, narrow * 1.1))
        if self.actor.eyes < 0.25:
            self.ink.stroke(curve((x - wide, y), (x, y + size * 0.9), (x + wide, y)), INK, 0.022)
            return
        tall = size * 1.2 * self.actor.eyes
        self.ink.flat(oval(x, y, wide + 0.012, tall + 0.012), INK)
        self.ink.flat(oval(x, y, wide, tall), (255, 255, 255))
        gaze = x + 0.022 * self.front
        self.ink.flat(oval(gaze, y + 0.006, wide * 0.74, min(tall, size * 0.9)), INK)
        self.ink.flat(oval(gaze - wide * 0.24, y - tall * 0.3, wide * 0.3, tall * 0.24), (255,) * 3)
        self.ink.flat(
            oval(gaze + wide * 0.26, y + tall * 0.34, wide * 0.14, tall * 0.11), (255,) * 3
        )

    def _lamp(self, x: float) -> None:
        """A robot's glowing eye."""
        tall = 0.052 * max(0.15, self.actor.eyes)
        self.ink.glow(x, -0.03, 0.1, (90, 220, 240), 0.6)
        self.ink.flat(oval(x, -0.03, 0.046, tall), (120, 236, 240))
        self.ink.flat(oval(x - 0.012, -0.04, 0.014, tall * 0.3), (255,) * 3)

    def _bulge(self, side: int) -> None:
        """A frog's eye on top of its head."""
        x = self._ear_x(side, 0.175) + 0.15 * self.front
        self.ink.soft(oval(x, -0.185, 0.105, 0.1), self.look.fur, line=LINE)
        self._eye(x + 0.02 * self.front, -0.185, 0.06, 1.0)

    def draw_hat(self) -> None:
        """Put on a hat with a round crown, a brim and a band."""
        if not self.actor.character.wear.endswith(" hat"):
            return
        cloth = PALETTE[self.actor.character.wear.split(" ")[0]]
        y = -self.look.head_ry * 0.72
        crown = blob(
            [(-0.125, y), (-0.115, y - 0.17), (0, y - 0.22), (0.115, y - 0.17), (0.125, y)], 0.8
        )
        self.ink.soft(crown, cloth, line=LINE)
        with self.ink.inside(crown):
            self.ink.flat(box(-0.2, y - 0.075, 0.2, y - 0.015), darker(cloth, 0.4))
        self.ink.soft(oval(0, y, 0.225, 0.042), cloth, line=LINE)
