"""Ways to damage a file, and what a damaged one is tried with."""

import random
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Case:
    """A damaged file in a folder of its own, and the command line that reads it."""

    subject: str
    way: str
    arguments: list[str]
    is_forked: bool = True  # False: in a process that begins anew


def damage(data: bytes, other: bytes, chance: random.Random) -> tuple[str, bytes]:
    """Damage a file in one of six ways; gives the way and the bytes."""
    ways = {
        "flip": _flip,
        "cut": lambda d, _o, c: d[: c.randrange(len(d))],
        "hole": _hole,
        "double": _double,
        "zero": _zero,
        "join": lambda d, o, c: d[: c.randrange(len(d))] + o[c.randrange(len(o)) :],
    }
    way = chance.choice(sorted(ways))
    return way, ways[way](data, other, chance)


def _flip(data: bytes, _other: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    end = len(data) if chance.random() < 0.5 else min(len(data), 512)  # heads matter most
    for _ in range(chance.choice((1, 2, 8, 64))):
        changed[chance.randrange(end)] = chance.randrange(256)
    return bytes(changed)


def _piece(data: bytes, chance: random.Random) -> tuple[int, int]:
    first = chance.randrange(len(data))
    return first, min(len(data), first + chance.randrange(1, max(2, len(data) // 4)))


def _hole(data: bytes, _other: bytes, chance: random.Random) -> bytes:
    first, end = _piece(data, chance)
    return data[:first] + data[end:]


def _double(data: bytes, _other: bytes, chance: random.Random) -> bytes:
    first, end = _piece(data, chance)
    return data[:end] + data[first:]


def _zero(data: bytes, _other: bytes, chance: random.Random) -> bytes:
    first, end = _piece(data, chance)
    return data[:first] + bytes(end - first) + data[end:]
