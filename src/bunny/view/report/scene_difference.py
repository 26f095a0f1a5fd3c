"""Scenes of two runs of one film: which correspond, and which split, merged, appeared or vanished.

Ids of scene clusters are arbitrary, so scenes are matched by the frames that they share: the
assignment of one run's scenes to the other's under which most frames keep their scene (Hungarian
method, Kuhn 1955). What is left over is told by the scene that has most of its frames.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

NOISE = "no scene"
ChangeKind = Literal["split", "merged", "appeared", "vanished"]
Scenes = Mapping[str, str | None]  # scene of each frame; None: in none


@dataclass(frozen=True, kw_only=True)
class SceneChange:
    """Scenes that do not correspond one to one."""

    kind: ChangeKind
    one: tuple[str, ...]  # scenes of the first run: several where they merged
    other: tuple[str, ...]  # of the second: several where one split; the first corresponds


@dataclass(frozen=True, kw_only=True)
class MovedShot:
    """A shot in a scene that does not correspond to the one it was in."""

    shot: str  # key of the shot
    one: str  # scene in the first run, `NOISE` for none
    other: str
    frame: str  # key of its first frame that both runs have


@dataclass(frozen=True, kw_only=True)
class SceneDifference:
    """How the scenes of two runs correspond."""

    matched: tuple[tuple[str, str], ...]  # by name of the first
    changes: tuple[SceneChange, ...]
    moved: tuple[MovedShot, ...]
    num_scenes: tuple[int, int] = (0, 0)

    def is_same(self) -> bool:
        """Whether every scene corresponds to one with the same shots."""
        return not (self.changes or self.moved)


def compare_scenes(one: Scenes, other: Scenes, shots: Mapping[str, str]) -> SceneDifference:
    """Match the scenes of two runs.

    Parameters
    ----------
    one, other : mapping of frame to scene
        Frames that both runs have are compared.
    shots : mapping of frame to shot
        A shot is in the scene that most of its frames are in; of several the first by name.

    Returns
    -------
    SceneDifference
        Moved shots are those that no split or merger of whole scenes explains, by their keys.

    Examples
    --------
    >>> found = compare_scenes({"a": "1", "b": "1", "c": "2"}, {"a": "7", "b": "7", "c": "7"},
    ...                        {"a": "x", "b": "y", "c": "z"})
    >>> found.matched, found.changes[0].kind, found.changes[0].one, found.moved
    ((('1', '7'),), 'merged', ('1', '2'), ())
    """
    frames = sorted(one.keys() & other.keys() & shots.keys())
    first, second = _names(one), _names(other)
    overlap = np.zeros((len(first), len(second)), int)
    for frame in frames:
        before, after = one[frame], other[frame]
        if before is not None and after is not None:
            overlap[first.index(before), second.index(after)] += 1
    matched = _assign(first, second, overlap)
    changes, explained = _changes(first, second, overlap, matched)
    same = set(matched.items()) | explained | {(NOISE, NOISE)}
    moved = [m for m in _shots(frames, one, other, shots) if (m.one, m.other) not in same]
    return SceneDifference(
        matched=tuple(sorted(matched.items())),
        changes=tuple(changes),
        moved=tuple(moved),
        num_scenes=(len(first), len(second)),
    )


def _names(scenes: Scenes) -> list[str]:
    return sorted({name for name in scenes.values() if name is not None})


def _assign(first: list[str], second: list[str], overlap: np.ndarray) -> dict[str, str]:
    """Scenes of the first run and those of the second that they correspond to."""
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(overlap, maximize=True)
    pairs = zip(rows.tolist(), columns.tolist(), strict=True)
    return {first[i]: second[j] for i, j in pairs if overlap[i, j]}


def _changes(
    first: list[str], second: list[str], overlap: np.ndarray, matched: Mapping[str, str]
) -> tuple[list[SceneChange], set[tuple[str, str]]]:
    """What became of scenes that have no counterpart, and pairs of scenes which that explains."""
    back = {after: before for before, after in matched.items()}
    parts: dict[str, list[str]] = {}  # of a scene of the first run
    sources: dict[str, list[str]] = {}  # of a scene of the second
    changes: list[SceneChange] = []
    for j, name in enumerate(second):
        if name in back:
            continue
        if overlap[:, j].any():
            parts.setdefault(first[int(overlap[:, j].argmax())], []).append(name)
        else:
            changes.append(SceneChange(kind="appeared", one=(), other=(name,)))
    for i, name in enumerate(first):
        if name in matched:
            continue
        if overlap[i].any():
            sources.setdefault(second[int(overlap[i].argmax())], []).append(name)
        else:
            changes.append(SceneChange(kind="vanished", one=(name,), other=()))
    for name, found in sorted(parts.items()):
        whole = (*([matched[name]] if name in matched else []), *found)
        changes.append(SceneChange(kind="split", one=(name,), other=whole))
    for name, found in sorted(sources.items()):
        whole = (*([back[name]] if name in back else []), *found)
        changes.append(SceneChange(kind="merged", one=whole, other=(name,)))
    explained = {(name, part) for name, found in parts.items() for part in found}
    explained |= {(source, name) for name, found in sources.items() for source in found}
    return changes, explained


def _shots(
    frames: list[str], one: Scenes, other: Scenes, shots: Mapping[str, str]
) -> list[MovedShot]:
    """The scenes of each shot in both runs."""
    own: dict[str, list[str]] = {}
    for frame in frames:
        own.setdefault(shots[frame], []).append(frame)
    return [
        MovedShot(shot=shot, one=_most(one, found), other=_most(other, found), frame=found[0])
        for shot, found in sorted(own.items())
    ]


def _most(scenes: Scenes, frames: list[str]) -> str:
    """The scene of most of these frames."""
    counts = Counter(scenes[frame] or NOISE for frame in frames)
    return min(counts, key=lambda name: (-counts[name], name))
