"""Captions composed for windows: who and how many are in it, view, clothes, background, framing.

A frame's composed caption speaks of the whole frame; a window shows a part of it. So captions of
provider `tags` are composed once more for each window, from the same measures. What a model or a
person wrote is fitted to the window instead, by `crop_caption`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bunny.caption import (
    background,
    metadata_facts,
    replacement,
    statement,
    style,
    tags,
    writing,
)
from bunny.caption.pruning import CoreTags
from bunny.caption.writing import CaptionDraft, WritingSettings
from bunny.core.config import CaptioningConfig
from bunny.dataset import crop
from bunny.dataset import view as view_module
from bunny.dataset.crop import CropWindow
from bunny.dataset.crop_caption import CaptionVariant, CaptionWords
from bunny.dataset.view import CharacterView, OtherCharacter

# Share of another's face in a window from which it is one of its people, and up to which it is not.
SEEN_FROM, UNSEEN_UP_TO = 0.75, 0.05


@dataclass(frozen=True, kw_only=True)
class WindowCaptions:
    """The writer of captions for a character's windows."""

    words: CaptionWords
    settings: WritingSettings
    core: CoreTags = field(default_factory=CoreTags)

    @classmethod
    def of(
        cls,
        captioning: CaptioningConfig,
        words: CaptionWords,
        triggers: Mapping[str, str],
        picked: Sequence[tuple[CharacterView, CropWindow]],
    ) -> "WindowCaptions":
        """Find out, for all windows of a set, what is left to the trigger word.

        Parameters
        ----------
        triggers : mapping
            Trigger word of every character of the film.
        picked : sequence of (CharacterView, CropWindow)
            The set.
        """
        settings = WritingSettings(
            captioning=captioning,
            triggers=triggers,
            replacements=replacement.read_replacements(captioning.replacements),
        )
        drafts = [make_draft(view, window) for view, window in picked if view.statements]
        return cls(words=words, settings=settings, core=writing.find_core_tags(drafts, settings))

    def write(
        self, view: CharacterView, window: CropWindow
    ) -> tuple[str, tuple[CaptionVariant, ...]]:
        """Caption of a window and its variants."""
        shares = self.settings.captioning.variants.shares
        if view.statements is None or self.settings.captioning.has_background_colours:
            text = crop.caption_of(view, window, self.words)
            return text, crop.variants_of(view, window, self.words, shares)
        written = writing.write(make_draft(view, window), self.settings, self.core)
        variants = tuple(
            CaptionVariant(text=text, share=shares[name]) for name, text in written.variants.items()
        )
        return written.text, variants


def make_draft(view: CharacterView, window: CropWindow) -> CaptionDraft:
    """Statements about a window; characters go by their names.

    Parameters
    ----------
    view : CharacterView
        With `statements`.
    """
    known = view.statements or {}
    named, number = _people(view, window)
    who = " ".join(filter(None, (view.character, known.get("view"))))
    beside = known.get("beside", "")
    behind = beside if view.is_face else _background(view, window) or beside
    more = tags.unknown_words(number or 0, 0)
    parts = {
        "subject": " and ".join([who, *(o.character or "" for o in named), *more]),
        "clothes": "" if named or more else known.get("clothes", ""),
        "place": " ".join(filter(None, (known.get("place"), behind))),
        "light": known.get("light", ""),
        "framing": _framing(view, window),
    }
    parts = {name: text for name, text in parts.items() if text}
    listed = [known.get("view", ""), *(parts.get(n, "") for n in ("clothes", "framing", "light"))]
    listed += [known.get("place", ""), behind]
    return CaptionDraft(
        characters=(view.character, *(o.character for o in named if o.character)),
        parts=parts,
        tags=tuple(style.bare(words) for words in listed if words),
        sides=_sides(view, window, named),
    )


def _framing(view: CharacterView, window: CropWindow) -> str:
    """Framing in words; empty where it is not sure."""
    height = window.y1_px - window.y0_px
    if view.is_face:
        return statement.face_framing((view.box[3] - view.box[1]) / height)
    if not view.is_steady:
        return ""
    own = view.box[3] - view.box[1]
    room = min(view.box[1] - window.y0_px, window.y1_px - view.box[3]) / own
    return statement.figure_framing(own / height, room)


def _background(view: CharacterView, window: CropWindow) -> str:
    """Colours around the figures of a window."""
    width, height = view.frame_size
    x0, y0, x1, y1 = crop.box_of(window)
    area = (x0 / width, y0 / height, x1 / width, y1 / height)
    boxes = [(view.box, view.is_face), *((o.box, o.is_face) for o in view.others)]
    figures = [
        metadata_facts.figure_box(box, view.frame_size, is_face=is_face) for box, is_face in boxes
    ]
    return background.background_words(view.colour_cells, area, figures)


def _people(view: CharacterView, window: CropWindow) -> tuple[list[OtherCharacter], int | None]:
    """Named others in a window, and the number of unknown ones; None where it is not sure."""
    box = crop.box_of(window)
    share = [(o, view_module.share_inside(o.box, box)) for o in view.others]
    named = {o.character: o for o, _ in share if o.character in window.others and o.character}
    unknown = [(o, part) for o, part in share if o.character is None and part > UNSEEN_UP_TO]
    is_sure = all(o.is_seen and part >= SEEN_FROM for o, part in unknown)
    return [named[name] for name in sorted(named)], len(unknown) if is_sure else None


def _sides(
    view: CharacterView, window: CropWindow, named: Sequence[OtherCharacter]
) -> dict[str, str]:
    """Who is left and right of whom, of the character and named others; or where it is, alone."""
    middle = {o.character: (o.box[0] + o.box[2]) / 2 for o in named if o.character}
    if not middle and view.is_face:
        return {}
    if not middle:
        wide = window.x1_px - window.x0_px
        left, right = ((side - window.x0_px) / wide for side in (view.box[0], view.box[2]))
        side = statement.side_words(left, right)
        return {view.character: side} if side else {}
    middle[view.character] = (view.box[0] + view.box[2]) / 2
    width = view.frame_size[0]
    return tags.name_sides({name: at / width for name, at in middle.items()})
