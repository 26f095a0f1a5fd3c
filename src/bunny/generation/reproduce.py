"""Reproduction of a picture from the provenance in its PNG, and why it may differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bunny.core import file_hash
from bunny.core.error import UserError
from bunny.generation import provenance, request
from bunny.generation import sampler as generation_sampler
from bunny.generation.request import GenerationRequest, InitImage, WeightedAdapter
from bunny.generation.sampler import GeneratedPicture
from bunny.training.base import Base

NEEDED = (
    *("prompt", "seed", "num_steps", "guidance_scale", "width_px", "height_px", "scheduler"),
    *("scheduler_hash", "base_model", "base_hash", "adapters", "batch_size", "batch_index"),
)
VERSIONS = ("torch", "diffusers", "transformers", "device", "dtype", "num_threads")


def read_reproducible(path: Path) -> dict[str, Any]:
    """Provenance of a picture that can be drawn again.

    Parameters
    ----------
    path : Path
        A PNG as `provenance.save_png` writes it.

    Returns
    -------
    dict

    Raises
    ------
    UserError
        If there is no such picture, or it does not say all that is needed.
    """
    if not path.is_file():
        raise UserError(f"{path}: expected a picture to draw again, found no such file")
    try:
        facts = provenance.read_provenance(path)
    except (OSError, ValueError, SyntaxError) as error:
        raise UserError(
            f"{path}: expected a PNG that was drawn here, could not read it; give another"
        ) from error
    missing = [key for key in NEEDED if key not in facts]
    if missing:
        raise UserError(
            f"{path}: expected a PNG that was drawn here with its provenance, it does not say "
            f"{missing[0]}; only pictures as they were written can be drawn again"
        )
    return facts


def check_base(base: Base, facts: Mapping[str, Any]) -> None:
    """Refuse another base than the picture was drawn with, or another sampler of it.

    Raises
    ------
    UserError
    """
    if base.hash != facts["base_hash"]:
        raise UserError(
            f"base model {base.name}: expected the one that drew this picture (hash "
            f"{facts['base_hash'][:12]}), found {base.hash[:12]}; get back the base as it was"
        )
    sampler = provenance.scheduler.make(base, facts["scheduler"])
    if provenance.scheduler.config_hash(sampler) != facts["scheduler_hash"]:
        raise UserError(
            f"scheduler {facts['scheduler']}: expected the settings that drew this picture, this "
            "version of diffusers has others; install the version that the picture names "
            f"({facts.get('diffusers')})"
        )


def find_adapters(facts: Mapping[str, Any], files: Sequence[Path]) -> list[WeightedAdapter]:
    """The adapters of a picture.

    Parameters
    ----------
    facts : mapping
    files : sequence of Path
        Where they may lie; each is told by its content.

    Raises
    ------
    UserError
        If one of them is none of the files.
    """
    found = []
    for wanted in facts["adapters"]:
        name = Path(wanted["file"]).name
        likely = sorted(files, key=lambda path, name=name: path.name != name)
        path = next((p for p in likely if file_hash.hash_file(p) == wanted["hash"]), None)
        if path is None:
            like = [p for p in files if p.as_posix().endswith(wanted["file"])]
            word = f"{like[0]} has changed since" if like else "found none"
            raise UserError(
                f"adapter {wanted['file']}: expected the one that drew this picture (hash "
                f"{wanted['hash'][:12]}), {word}; get it back, or give its file with --adapter"
            )
        found.append(WeightedAdapter(path=path, hash=wanted["hash"], strength=wanted["strength"]))
    return found


def to_request(facts: Mapping[str, Any], start: Path | None = None) -> GenerationRequest:
    """What a picture was drawn from.

    Parameters
    ----------
    facts : mapping
    start : Path, optional
        The picture that it started from, where there was one.

    Raises
    ------
    UserError
        If that picture is missing or another one.
    """
    begun = None
    if facts.get("init_hash"):
        if start is None or not start.is_file() or file_hash.hash_file(start) != facts["init_hash"]:
            raise UserError(
                f"{start or facts.get('init_file')}: expected the picture that the drawing started "
                f"from (hash {facts['init_hash'][:12]}), found "
                f"{'another' if start and start.is_file() else 'none'}; give it with --frame"
            )
        frame_id, strength = facts.get("init_frame"), facts["init_strength"]
        begun = InitImage(path=start, hash=facts["init_hash"], strength=strength, frame_id=frame_id)
    same = ("prompt", "seed", "num_steps", "guidance_scale", "width_px", "height_px", "scheduler")
    return GenerationRequest(
        **{key: facts[key] for key in same},
        negative_prompt=facts.get("negative_prompt") or "",
        start=begun,
    )


def draw_again(
    base: Base,
    facts: Mapping[str, Any],
    drawing: GenerationRequest,
    adapters: Sequence[WeightedAdapter],
) -> GeneratedPicture:
    """Draw in the same place of a batch of the same size, on as many threads.

    Parameters
    ----------
    base : Base
    facts : mapping
        As `read_reproducible` gives them; `drawing` and `adapters` are made of them.
    drawing : GenerationRequest
    adapters : sequence of WeightedAdapter

    Returns
    -------
    GeneratedPicture
        Bit for bit the same picture on the same machine and versions.
    """
    check_base(base, facts)
    size, place = facts["batch_size"], facts["batch_index"]
    is_checked = facts.get("safety_checker") == request.CHECKER_ON
    with _threads(facts.get("num_threads")):
        batches = generation_sampler.draw_batches(
            base, [drawing] * size, [range(size)], adapters, has_safety_checker=is_checked
        )
        return [drawn for made in batches for drawn in made][place]


def differences(base: Base, facts: Mapping[str, Any]) -> list[str]:
    """Versions and devices that are others than those of a picture, in words.

    Returns
    -------
    list of str
        E.g. ``torch 2.14 -> 2.15``; empty where all are the same.
    """
    now = provenance.machine(base)
    changed = [key for key in VERSIONS if key in facts and facts[key] != now[key]]
    return [f"{key} {facts[key]} -> {now[key]}" for key in changed if key != "num_threads"]


@contextmanager
def _threads(number: int | None) -> Iterator[None]:
    """So many threads of torch inside the block."""
    import torch

    before = torch.get_num_threads()
    if number:
        torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
