"""Effects of the settings of finetune, evaluate and generate."""

from setting_effect import Effect

EFFECT: dict[str, Effect] = {}
NOT_SEEN: dict[str, str] = {}
