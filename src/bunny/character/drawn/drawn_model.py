"""Models that the settings choose for drawn figures, with `auto` decided by what is here.

A model that the settings name searches every frame. Those that `auto` finds search drawn shots
alone, beside the built-in search: CCIP and the anime detectors know human-like figures only.
"""

from bunny.character.drawn import anime_detector, ccip
from bunny.core import hub_model
from bunny.core.config import DetectionConfig

AUTO = "auto"
DETECTOR = "anime-person"  # the one that `auto` uses
BUILT_IN = ""


def resolve(wanted: DetectionConfig) -> DetectionConfig:
    """The settings of a search of every frame: `auto` is what a model that is named needs.

    Parameters
    ----------
    wanted : DetectionConfig
        Its `drawn_detector` and `drawn_embedding`; resolving twice changes nothing.

    Returns
    -------
    DetectionConfig
        Without `auto`; both empty: the built-in search.
    """
    detector, embedding = wanted.drawn_detector, wanted.drawn_embedding
    if embedding == AUTO:
        is_missing = anime_detector.is_named(detector) and hub_model.is_here(ccip.NAME)
        embedding = ccip.NAME if is_missing else BUILT_IN
    if detector == AUTO:
        is_missing = ccip.is_named(embedding) and hub_model.is_here(DETECTOR)
        detector = DETECTOR if is_missing else BUILT_IN
    return wanted.model_copy(update={"drawn_detector": detector, "drawn_embedding": embedding})


def find_auto(wanted: DetectionConfig) -> DetectionConfig | None:
    """The settings of the search of drawn shots by models that `auto` found on this machine.

    Returns
    -------
    DetectionConfig or None
        None where the settings do not say `auto`, or CCIP is not here.
    """
    if not is_auto(wanted) or not wanted.is_drawn_enabled or not hub_model.is_here(ccip.NAME):
        return None
    has_detector = wanted.drawn_detector == AUTO and hub_model.is_here(DETECTOR)
    found = {"drawn_embedding": ccip.NAME, "drawn_detector": DETECTOR if has_detector else BUILT_IN}
    return wanted.model_copy(update=found)


def is_auto(wanted: DetectionConfig) -> bool:
    """Whether models for drawn shots are used as soon as they are here."""
    return wanted.drawn_embedding == AUTO and wanted.drawn_detector in (AUTO, BUILT_IN)


def describe(found: DetectionConfig | None) -> str:
    """Names of the models of `find_auto`; empty without."""
    names = (found.drawn_embedding, found.drawn_detector) if found else ()
    return " and ".join(name for name in names if name)
