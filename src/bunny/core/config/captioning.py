"""Section `captioning` of the settings: providers, and how captions are written."""

from typing import Any, Literal

from pydantic import Field, field_validator

from bunny.core.config.section import ConfigSection

CaptionProviderName = Literal[
    "bedrock", "openai", "anthropic", "local", "transformers", "tagger", "clip", "tags"
]


class ServedCaptionConfig(ConfigSection):
    """A caption model behind an address."""

    model: str = ""
    endpoint_url: str = ""
    requests_per_minute: int = Field(default=0, ge=0, le=1_000_000)
    tokens_per_minute: int = Field(default=0, ge=0, le=1_000_000_000)
    input_price_usd: float = Field(default=0.0, ge=0, le=1_000_000)
    output_price_usd: float = Field(default=0.0, ge=0, le=1_000_000)


class TransformersCaptionConfig(ConfigSection):
    """A captioning model that runs on this machine, from a folder or the hub."""

    model: str = ""
    prompt: str = ""
    batch_size: int = Field(default=4, ge=1, le=1024)
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"


class TaggerCaptionConfig(ConfigSection):
    """A tagger of anime pictures in ONNX, with its list of tags."""

    model: str = ""
    general_threshold: float = Field(default=0.35, ge=0, le=1)
    character_threshold: float = Field(default=0.85, ge=0, le=1)


class ClipCaptionConfig(ConfigSection):
    """CLIP or SigLIP, and the words that it chooses from."""

    model: str = ""
    vocabulary: str = ""
    min_probability: float = Field(default=0.5, ge=0, le=1)


class CaptionVariantsConfig(ConfigSection):
    """Shares of several captions for each picture, beside one another."""

    short: float = Field(default=0.0, ge=0, le=1)
    long: float = Field(default=0.0, ge=0, le=1)
    tags: float = Field(default=0.0, ge=0, le=1)

    @property
    def shares(self) -> dict[str, float]:
        """Share of each variant that is wanted, 1 in all; empty: pictures have one caption."""
        total = self.short + self.long + self.tags
        return {name: share / total for name, share in self if share}


class CaptioningConfig(ConfigSection):
    """Stage caption: words."""

    providers: tuple[CaptionProviderName, ...] = ("tags",)
    max_tokens: int = Field(default=300, ge=1, le=100_000)
    batch_size: int = Field(default=8, ge=1, le=1000)
    temperature: float = Field(default=0.0, ge=0, le=2)
    timeout_seconds: float = Field(default=60.0, gt=0, le=3600)
    connect_timeout_seconds: float = Field(default=10.0, gt=0, le=3600)
    max_retries: int = Field(default=4, ge=0, le=20)
    max_cost_usd: float = Field(default=0.0, ge=0, le=1_000_000)
    allow_upload: bool = False
    send: Literal["frame", "crop"] = "frame"
    trigger_word: str = "{name}"
    class_word: str = "character"
    style: Literal["sentence", "tags", "both", "structured"] = "sentence"
    variants: CaptionVariantsConfig = CaptionVariantsConfig()
    has_sides: bool = True
    max_tag_share: float = Field(default=1.0, ge=0, le=1)
    keep_tags: tuple[str, ...] = ()
    prune_tags: tuple[str, ...] = ()
    replacements: str = ""
    max_caption_tokens: int = Field(default=0, ge=0, le=4096)
    has_background_colours: bool = False
    bedrock: ServedCaptionConfig = ServedCaptionConfig()
    openai: ServedCaptionConfig = ServedCaptionConfig()
    anthropic: ServedCaptionConfig = ServedCaptionConfig()
    local: ServedCaptionConfig = ServedCaptionConfig()
    transformers: TransformersCaptionConfig = TransformersCaptionConfig()
    tagger: TaggerCaptionConfig = TaggerCaptionConfig()
    clip: ClipCaptionConfig = ClipCaptionConfig()

    @field_validator("providers", mode="before")
    @classmethod
    def _one_name(cls, value: Any) -> Any:
        """Take a single name for a list of it."""
        return (value,) if isinstance(value, str) else value

    @field_validator("providers")
    @classmethod
    def _check_order(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        """Refuse an order in which a provider can never be asked."""
        if not names:
            raise ValueError("should have at least one provider, e.g. [tags]")
        if len(set(names)) < len(names):
            raise ValueError("should name every provider once")
        if "tags" in names[:-1]:
            raise ValueError("should have tags last, because it always answers")
        return names
