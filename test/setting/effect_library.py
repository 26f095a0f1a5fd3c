"""Effects of the settings of captions, the training set, the asset library and the whole run."""

from setting_effect import Effect, Seen


def _num_pictures(seen: Seen) -> int:
    return seen.table("dataset").height


EFFECT: dict[str, Effect] = {}
NOT_SEEN: dict[str, str] = {}
