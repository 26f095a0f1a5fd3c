"""Settings that a film's own folder may give, in its `own_setting.json`.

That folder may come from a stranger, as an archive or a clone. It may say how the film is worked
on. Where pictures go, which models and files are loaded, what may be spent and what is asked of
people is said by the user alone: in `config/`, the environment or on the command line.
"""

from collections.abc import Iterable

SECTIONS = frozenset(
    {
        "extraction",
        "filtering",
        "detection",
        "clustering",
        "dataset",
        "clip",
        "pair",
        "rights",
        "models",
        "generation",
        "evaluation",
        "seed",
    }
)
# Keys of those sections that only the user may set.
USER_KEYS = frozenset(
    {
        "detection.drawn_detector",
        "detection.drawn_embedding",
        "detection.drawn_classifier",
        "clip.caption_provider",
        "models.base_model",
        "generation.blend",
        "generation.has_safety_checker",
        "evaluation.text_model",
    }
)
# Keys of other sections that a film may set.
FILM_KEYS = frozenset(
    {
        "captioning.trigger_word",
        "captioning.class_word",
        "captioning.style",
        "captioning.variants.short",
        "captioning.variants.long",
        "captioning.variants.tags",
        "captioning.has_sides",
        "captioning.has_background_colours",
        "captioning.max_tag_share",
        "captioning.keep_tags",
        "captioning.prune_tags",
        "captioning.max_caption_tokens",
    }
)
BUNDLED = "models.base_model=toy"  # the base in this package, which the demo is drawn with


def split(settings: Iterable[str]) -> tuple[list[str], list[str]]:
    """Part a film's own settings into those that hold and the keys of those that do not.

    Parameters
    ----------
    settings : iterable of str
        `section.key=value`. A whole section, `section={...}`, never holds.
    """
    held, ignored = [], []
    for text in settings:
        key, _, value = (part.strip() for part in text.partition("="))
        section, dot, _ = key.partition(".")
        is_listed = section in SECTIONS and (dot or section == "seed") and key not in USER_KEYS
        if f"{key}={value}" == BUNDLED or key in FILM_KEYS or is_listed:
            held.append(text)
        else:
            ignored.append(key)
    return held, ignored
