"""Training crops of each character: views judged and chosen, windows, words and split.

No pixel is read. What a person added stands on top of what is chosen and moves nothing else.

Class pictures show the same film without the character, so that the class keeps its look: prior
preservation (Ruiz et al. 2022, "DreamBooth") trains on the class beside the subject. Shots in which
the character is labelled, and frames with somebody unnamed who may be it, are not taken.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import polars as pl

from bunny.caption.trigger import trigger_word
from bunny.core.config import CaptioningConfig, FilteringConfig
from bunny.core.error import UserError
from bunny.dataset import (
    addition,
    candidate,
    crop,
    image_folder,
    near_duplicate,
    select,
    split,
)
from bunny.dataset import lookalike as resembling
from bunny.dataset.addition import Addition
from bunny.dataset.appearance import measure_subjects
from bunny.dataset.candidate import CandidateVerdict
from bunny.dataset.crop import Crop, CropWindow
from bunny.dataset.crop_caption import CaptionVariant, CaptionWords, with_shot_size
from bunny.dataset.view import CharacterView
from bunny.dataset.window_caption import WindowCaptions


def choose_crops(
    character: str,
    tables: Mapping[str, pl.DataFrame],
    views: Mapping[str, Sequence[CharacterView]],
    rule: crop.CropSetting,
    words: CaptionWords,
    number: int,
    *,
    forbidden: Collection[int] = (),
    captions: WindowCaptions | None = None,
) -> list[Crop]:
    """Choose pictures without the character, one a frame, spread over the shots.

    Parameters
    ----------
    tables : mapping
        Tables frame, quality, label, cluster, caption, and those of `lookalike.frames_with`.
    views : mapping
        Views of the film's other characters, by name, see `candidate.gather`; their frames are cut
        around them, frames with nobody in the middle.
    words : CaptionWords
        The captions lose every trigger word.
    number : int
        Pictures wanted; fewer when the film has not more.
    forbidden : collection of int
        Shots that nothing is taken from: those that are held out.
    captions : WindowCaptions, optional
        What writes the captions of windows around other characters.

    Returns
    -------
    list of Crop
        Role ``class``, split ``train``, by frame index.
    """
    shown = resembling.frames_with(character, tables)
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
        _crop(
            character,
            view,
            window,
            _caption(view, window, words, view.frame_id in of_frame, captions),
        )
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
    view: CharacterView,
    window: CropWindow,
    words: CaptionWords,
    has_somebody: bool,
    captions: WindowCaptions | None,
) -> str:
    """Words of a class picture, in which nobody has a name.

    They are fitted to the window as those of the subject are: where the class alone had words of
    framing, these words would come to mean the class.
    """
    text = view.text or ""
    if not has_somebody:
        return with_shot_size(words.unnamed(text), None) or words.class_word
    if captions is not None and view.statements is not None:
        return words.unnamed(captions.write(view, window)[0]) or words.class_word
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


@dataclass(frozen=True, kw_only=True)
class CropSelectionSettings:
    """Settings that crops are chosen, named and split by."""

    crop: crop.CropSetting
    captioning: CaptioningConfig
    filtering: FilteringConfig
    seed: int


class CropSelector:
    """Chooses the crops of each character of a film.

    Parameters
    ----------
    tables : mapping
        Those of `candidate.TABLES`, and embedding, drawn_face, region, figure and reference.
    additions : sequence of Addition
        What people added to the film's sets.
    """

    def __init__(
        self,
        tables: Mapping[str, pl.DataFrame],
        additions: Sequence[Addition],
        settings: CropSelectionSettings,
    ) -> None:
        self._tables, self._additions, self._settings = tables, additions, settings

    @cached_property
    def _subject(self) -> pl.DataFrame:
        """What the frames' measures say of each labelled box: sharpness, blur score, luma."""
        return measure_subjects(self._tables)

    def choose_characters(self) -> tuple[list[str], str]:
        """Choose the characters to train on.

        Returns
        -------
        list of str
            Those that the settings name and a picture shows; without names everybody who is
            labelled, first who is in most shots.
        str
            Who else was asked for and why there is no set of them; may be empty.

        Raises
        ------
        UserError
            If pictures of two of them would lie in one folder.
        """
        names = candidate.count_views(self._tables["label"])["character"].to_list()
        wanted = list(dict.fromkeys(self._settings.crop.models.characters))
        asked = wanted or self._tables["reference"]["character"].unique().sort().to_list()
        missing = [name for name in asked if name not in names]
        reason = "\n".join(f"{name}: 0 pictures, not found in the film" for name in missing)
        if wanted and len(missing) == len(wanted) and names:
            reason += f"\nlabelled characters: {', '.join(names)}"
        if not names:
            return [], reason or "nobody is labelled, so there is nothing to train on"
        found = [name for name in wanted or names if name in names]
        _check_folders(found)
        return found, reason

    def choose(self, character: str) -> tuple[list[CharacterView], select.ViewSelection]:
        """Choose among the views of a character.

        Returns
        -------
        list of CharacterView
            Every view, those that a person added last.
        ViewSelection
            What becomes of each.
        """
        rule, filtering = self._settings.crop, self._settings.filtering
        views = candidate.gather(character, self._tables, self._subject)
        score = dict(self._subject.select("subject_id", "blur_score").iter_rows())
        quality = self._tables["quality"]
        verdicts = candidate.judge(views, quality, score, rule.dataset, filtering)
        made = select.choose(views, verdicts, self._tables, rule, filtering)
        return self._add(character, views, made)

    def _add(
        self, character: str, views: list[CharacterView], made: select.ViewSelection
    ) -> tuple[list[CharacterView], select.ViewSelection]:
        """What a person added on top, look-alikes without the character's name among it."""
        own = [one for one in self._additions if one.character == character]
        if not own:
            return views, made
        more = resembling.confirmed_views(character, self._tables, self._subject, own)
        verdicts = [*made.verdicts, *[CandidateVerdict(reason=addition.UNLABELLED) for _ in more]]
        every = [*views, *more]
        made = select.ViewSelection(verdicts=verdicts, gains=made.gains, picked=made.picked)
        return every, addition.extend_selection(
            every, made, own, self._settings.crop, self._settings.filtering.duplicate_distance
        )

    def make_crops(
        self, character: str, views: Sequence[CharacterView], made: select.ViewSelection
    ) -> list[crop.Crop]:
        """Crops to be written: the chosen windows with words and split, and class pictures.

        Parameters
        ----------
        views, made
            From `choose`.

        Returns
        -------
        list of Crop
            By frame index.
        """
        words, number = self._words(character), self._settings.crop.dataset.num_class_images
        side, group = self._split(views, made, has_all=number > 0)
        written = self._write_captions(views, made, words)
        crops = [
            crop.Crop(
                image_id=f"{views[row].subject_id}-c{window.index}",
                view=views[row],
                window=window,
                caption=caption,
                variants=variants,
                split=side[views[row].shot_index],
            )
            for (row, window), (caption, variants) in zip(made.picked, written, strict=True)
        ]
        if number:
            held = {group[shot] for shot, name in side.items() if name == split.HELD_OUT}
            forbidden = {shot for shot, root in group.items() if root in held}
            by_hand = {views[row].subject_id for row in addition.added_rows(made)}
            crops += self._class_crops(character, words, number, forbidden, by_hand)
        return sorted(crops, key=lambda c: (c.view.frame_index, c.image_id))

    def _write_captions(
        self, views: Sequence[CharacterView], made: select.ViewSelection, words: CaptionWords
    ) -> list[tuple[str, tuple[CaptionVariant, ...]]]:
        """Captions and variants of the picked windows, in their order."""
        picked = [(views[row], window) for row, window in made.picked]
        captions = self._captions(words, picked[0][0].character if picked else "", picked)
        return [captions.write(view, window) for view, window in picked]

    def _captions(
        self,
        words: CaptionWords,
        character: str,
        picked: Sequence[tuple[CharacterView, CropWindow]],
    ) -> WindowCaptions:
        """The writer of captions for a character's windows."""
        triggers = {**words.other_triggers, character: words.trigger}
        return WindowCaptions.of(self._settings.captioning, words, triggers, picked)

    def _split(
        self, views: Sequence[CharacterView], made: select.ViewSelection, *, has_all: bool
    ) -> tuple[dict[int, str], dict[int, int]]:
        """Side of each shot, and its group; what was added by hand moves nobody else."""
        by_hand = addition.added_rows(made)
        shots = {row: views[row].shot_index for row, _ in made.picked}
        chosen = [views[row].shot_index for row, _ in made.picked if row not in by_hand]
        chosen = chosen or list(shots.values())  # all of the set is by hand
        every = set(shots.values())
        group = self._groups(set(chosen), has_all)
        side = split.split_shots(
            chosen, self._settings.crop.models.held_out_share, self._settings.seed, group
        )
        if every - set(chosen):
            group = self._groups(every, has_all)
        return addition.extend_split(side, every, group), group

    def _class_crops(
        self,
        character: str,
        words: CaptionWords,
        number: int,
        forbidden: set[int],
        by_hand: set[str],
    ) -> list[crop.Crop]:
        names = candidate.count_views(self._tables["label"])["character"].to_list()
        others = {
            name: candidate.gather(name, self._tables, self._subject)
            for name in names
            if name != character
        }
        tables = self._tables
        if by_hand:  # a look-alike that was said to be the character is no class picture of it
            like = resembling.find(character, tables).filter(pl.col("subject_id").is_in(by_hand))
            tables = {**tables, "label": resembling.with_names(tables["label"], like)}
        return choose_crops(
            character,
            tables,
            others,
            self._settings.crop,
            words,
            number,
            forbidden=forbidden,
            captions=self._captions(words, character, []),
        )

    def _groups(self, shots: set[int], has_all: bool) -> dict[int, int]:
        return group_camera_setups(
            shots,
            self._tables["frame"],
            self._tables["measure"],
            self._settings.filtering,
            has_all=has_all,
        )

    def _words(self, character: str) -> CaptionWords:
        """What stands for each character in captions."""
        template = self._settings.captioning.trigger_word
        names = self._tables["label"]["character"].drop_nulls().unique(maintain_order=True)
        triggers = {name: trigger_word(template, name) for name in names}
        return CaptionWords(
            trigger=triggers.pop(character),
            class_word=self._settings.captioning.class_word,
            other_triggers=triggers,
        )


def group_camera_setups(
    shots: Collection[int],
    frame: pl.DataFrame,
    measure: pl.DataFrame,
    wanted: FilteringConfig,
    *,
    has_all: bool,
) -> dict[int, int]:
    """Shots joined where any of their stored frames show the same set-up.

    Parameters
    ----------
    frame, measure : pl.DataFrame
        Tables of stage extract.
    wanted : FilteringConfig
        Its `duplicate_distance` and `duplicate_structure`.
    has_all : bool
        Shots of the whole film are grouped, not `shots` alone.

    Returns
    -------
    dict
        As of `split.group_shots`.
    """
    known = frame.join(measure.drop_nulls(["phash", "signature"]), on="frame_id")
    if not has_all:
        known = known.filter(pl.col("shot_index").is_in(list(shots)))
    known = known.sort("frame_id")
    pairs = near_duplicate.same_camera_setup(
        known["phash"].to_numpy(),
        known["signature"].to_numpy(),
        wanted.duplicate_distance,
        wanted.duplicate_structure,
    )
    shot = known["shot_index"].to_numpy()
    alike = np.unique(shot[pairs], axis=0).tolist() if len(pairs) else []
    return split.group_shots([*shots, *shot.tolist()], [tuple(p) for p in alike])


def _check_folders(characters: Sequence[str]) -> None:
    """Refuse two characters whose pictures would lie in one folder, here or on another system."""
    seen: dict[str, str] = {}
    for name in characters:
        folder = image_folder.folder_name(unicodedata.normalize("NFC", name)).casefold()
        other = seen.setdefault(folder, name)
        if other != name:
            raise UserError(
                f"models.characters: {other} and {name} would share a folder on some systems; "
                "rename one of them"
            )
