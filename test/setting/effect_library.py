"""Effects of the settings of captions, the training set, the asset library and the whole run."""

import effect_caption
import effect_dataset
import effect_review
import effect_run

EFFECT = {
    **effect_run.EFFECT,
    **effect_review.EFFECT,
    **effect_dataset.EFFECT,
    **effect_caption.EFFECT,
}
NOT_SEEN: dict[str, str] = {}
