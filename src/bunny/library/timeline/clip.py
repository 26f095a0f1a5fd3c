"""Clips, markers and edit sequences of a timeline before it is written."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath
from urllib.parse import quote

from bunny.core.error import UserError
from bunny.library.timeline import timecode
from bunny.library.timeline.timecode import FrameGrid

RECORD_START = "01:00:00:00"  # where programmes begin by custom, EBU R 122
EDL_REEL_MAX = 8  # characters of a reel in CMX 3600
REEL_MAX = 32  # in the XML forms, as editors show them
RESERVED_REELS = ("AX", "BL", "BLACK", "BARS")  # CMX 3600: auxiliary, black, colour bars
WINDOWS = re.compile(r"[A-Za-z]:[\\/]")


@dataclass(frozen=True, kw_only=True)
class Marker:
    """Something to see at a frame."""

    frame: int  # of the film, from its first picture
    name: str
    text: str = ""
    color: str = "BLUE"  # of OpenTimelineIO's names
    image_id: str = ""  # the training picture that came from here


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A part of the film, half-open."""

    shot_index: int
    first: int  # frames from the film's first picture, handles included
    end: int
    markers: tuple[Marker, ...] = ()
    score: float | None = None

    @property
    def length(self) -> int:
        """In frames."""
        return self.end - self.first


@dataclass(frozen=True, kw_only=True)
class Media:
    """The film as an editor finds it."""

    film_id: str
    path: str  # as the editor's machine names it
    reel: str
    width_px: int
    height_px: int
    has_audio: bool
    clock: FrameGrid

    @property
    def name(self) -> str:
        """The file's name."""
        return file_name(self.path)


@dataclass(frozen=True, kw_only=True)
class EditSequence:
    """One sequence of clips of one film, one after the other."""

    name: str
    media: Media
    clips: tuple[Clip, ...]
    record_start: int  # number of the sequence's first frame

    @property
    def length(self) -> int:
        """In frames."""
        return sum(c.length for c in self.clips)

    def records(self) -> list[int]:
        """Start of each clip in the sequence; its first frame is `record_start`."""
        at, found = self.record_start, []
        for clip in self.clips:
            found.append(at)
            at += clip.length
        return found


def shot_frames(
    timing: FrameGrid, start_pts: int, end_pts: int, handle_frames: int = 0
) -> tuple[int, int]:
    """Frames of a shot with handles on both sides, inside the film; never none.

    Parameters
    ----------
    start_pts, end_pts : int
        Half-open, in the film's time base.
    handle_frames : int
        Added on each side.

    Returns
    -------
    tuple of int
        First frame and the one after the last, from the film's first picture.

    Examples
    --------
    A shot of frames 4 to 9 with 6 more on each side: 0 to 16.
    """
    first = timecode.frame_number(timing, start_pts)
    end = max(timecode.frame_number(timing, end_pts), first + 1)
    last = min(end + handle_frames, timing.num_frames)
    return max(0, min(first - handle_frames, last - 1)), last


def choose_reel(wanted: str, path: str, longest: int) -> str:
    """Reel name: the wanted one, else made of the film's file name.

    Parameters
    ----------
    wanted : str
        Setting `timeline.reel`; empty: from `path`.
    longest : int
        Characters that the form allows.

    Raises
    ------
    UserError
        If the wanted one is too long, has characters that an event line cannot hold, or means
        something else to an editor.
    """
    if not wanted:
        stem = unicodedata.normalize("NFKD", file_name(path).rsplit(".", 1)[0]).upper()
        made = re.sub(r"[^A-Z0-9]", "", stem) or "FILM"
        return f"{made[: longest - 1]}1" if made in RESERVED_REELS else made[:longest]
    if len(wanted) > longest:
        raise UserError(
            f"timeline.reel: expected at most {longest} characters for this format, got "
            f"{len(wanted)} ({wanted}); shorten it, or leave it empty"
        )
    if not re.fullmatch(r"[A-Za-z0-9_.\-]+", wanted) or wanted.upper() in RESERVED_REELS:
        raise UserError(
            f"timeline.reel: expected letters, digits, '_', '.' or '-' and none of "
            f"{', '.join(RESERVED_REELS)}, got {wanted!r}; choose another"
        )
    return wanted


def file_name(path: str) -> str:
    """Last part of a path of any system."""
    kind = PureWindowsPath if WINDOWS.match(path) or path.startswith("\\\\") else PurePosixPath
    return kind(path).name or path


def media_path(setting: str, path: str) -> str:
    """Path at which the editor finds the film.

    Parameters
    ----------
    setting : str
        Setting `timeline.media_path`: a file, a folder (its name ends in a slash), or empty.
    path : str
        Where it lies here.
    """
    if not setting:
        return path
    return setting + file_name(path) if setting[-1] in "/\\" else setting


def file_url(path: str, host: str = "") -> str:
    """A path as a URL, all but plain characters escaped.

    Parameters
    ----------
    path : str
        Absolute, of any system; what is a URL already stays as it is.
    host : str
        ``localhost`` as Final Cut Pro 7's form has it; empty as Final Cut Pro X's.
    """
    if re.match(r"[a-z][a-z0-9+]+://", path):
        return path
    plain = "/" + path.replace("\\", "/") if WINDOWS.match(path) else path
    return f"file://{host}{quote(plain)}"


def one_line(text: str, longest: int = 0) -> str:
    """Text without breaks and control characters, cut at `longest` characters where that is set."""
    plain = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return plain if not longest or len(plain) <= longest else plain[: longest - 1].rstrip() + "…"


def order_clips(clips: Sequence[Clip], order: str) -> tuple[Clip, ...]:
    """In film order, or the best score first (ties and those without one in film order)."""
    by_film = sorted(clips, key=lambda c: (c.first, c.shot_index))
    if order == "film":
        return tuple(by_film)
    return tuple(sorted(by_film, key=lambda c: (c.score is None, -(c.score or 0.0))))
