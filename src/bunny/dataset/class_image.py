"""Class pictures: the same film without the character, so that the class keeps its look.

Prior preservation (Ruiz et al. 2022, "DreamBooth") trains on the class beside the subject. Frames
in which the character is labelled, or in which a face has no name, are not taken: it may be they.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import polars as pl

from bunny.dataset import candidate, crop
from bunny.dataset.crop import Crop, CropWindow
from bunny.dataset.crop_caption import CaptionWords, with_shot_size
from bunny.dataset.view import CharacterView


def choose_crops(
    character: str,
    tables: Mapping[str, pl.DataFrame],
    views: Mapping[str, Sequence[CharacterView]],
    rule: crop.CropSetting,
    words: CaptionWords,
    number: int,
    *,
    forbidden: Collection[int] = (),
) -> list[Crop]:
    """Choose pictures without the character, one a frame, spread over the shots.

    Parameters
    ----------
    character : str
    tables : mapping
        Tables frame, quality, label, cluster, caption.
    views : mapping
        Views of the film's other characters, by name, see `candidate.gather`; their frames are cut
        around them, frames with nobody in the middle.
    rule : crop.Rule
    words : CaptionWords
        The captions lose every trigger word.
    number : int
        Pictures wanted; fewer when the film has not more.
    forbidden : collection of int
        Shots that nothing is taken from: those that are held out.

    Returns
    -------
    list of Crop
        Role ``class``, split ``train``, by frame index.
    """
    shown = set(
        tables["label"]
        .filter((pl.col("character") == character) | pl.col("character").is_null())["frame_id"]
        .to_list()
    )
    of_frame: dict[str, CharacterView] = {}
    for name in sorted(views):
        for view in views[name]:
            of_frame.setdefault(view.frame_id, view)
    found: dict[int, list[tuple[CharacterView, CropWindow]]] = {}
    for view in _frames(tables):
        if view.frame_id in shown or view.shot_index in forbidden:
            continue
        somebody = of_frame.get(view.frame_id)
        windows = crop.windows(somebody or view, rule)
        if windows:
            own = replace(somebody, text=view.text) if somebody else view
            found.setdefault(view.shot_index, []).append((own, windows[len(windows) // 2]))
    taken = _spread(list(found.values()), number)
    return [
        _crop(character, view, window, _caption(view, window, words, view.frame_id in of_frame))
        for view, window in taken
    ]


def _frames(tables: Mapping[str, pl.DataFrame]) -> list[CharacterView]:
    """Kept frames as views of nobody, by index."""
    kept = tables["quality"].filter("is_kept").select("frame_id")
    stored = tables["frame"].filter(pl.col("file").is_not_null(), pl.col("error").is_null())
    frames = stored.join(kept, on="frame_id", how="semi", maintain_order="left")
    return candidate.gather_frames(frames.sort("frame_index"), tables)


def _spread(queues: Sequence[Sequence], number: int) -> list:
    """One of each queue in turn, by frame."""
    taken: list = []
    for depth in range(max((len(q) for q in queues), default=0)):
        taken += [q[depth] for q in queues if depth < len(q)]
    return sorted(taken[:number], key=lambda t: t[0].frame_index)


def _caption(
    view: CharacterView, window: CropWindow, words: CaptionWords, has_somebody: bool
) -> str:
    """Words of a class picture, in which nobody has a name.

    They are fitted to the window as those of the subject are: where the class alone had words of
    framing, these words would come to mean the class.
    """
    text = view.text or ""
    if not has_somebody:
        return with_shot_size(words.unnamed(text), None) or words.class_word
    own = words.unnamed(words.without(text, crop.absent_from(view, window)))
    return with_shot_size(own or words.class_word, crop.certain_shot_size(view, window))


def _crop(character: str, view: CharacterView, window: CropWindow, caption: str) -> Crop:
    """A class picture of a frame."""
    own = replace(view, character=character, subject_id=view.frame_id, pose="unknown")
    return Crop(
        image_id=f"{view.frame_id}-class-{character}",
        view=own,
        window=window,
        caption=caption,
        role="class",
    )
