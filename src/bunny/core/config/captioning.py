"""Section `captioning` of the settings: providers, and how captions are written."""

from typing import Any, Literal

from pydantic import Field, field_validator

from bunny.core.config.section import ConfigSection, Share

CaptionProviderName = Literal[
    "auto", "bedrock", "openai", "anthropic", "local", "transformers", "tagger", "clip", "tags"
]


class ServedCaptionConfig(ConfigSection):
    """A caption model on a server."""

    model: str = ""
    """id of a vision model (bedrock: or of an inference profile); required to use this provider"""
    endpoint_url: str = ""
    """base URL; empty: the provider's own; required for local, e.g. http://localhost:11434/v1"""
    requests_per_minute: int = Field(default=0, ge=0, le=1_000_000)
    """maximum requests per minute; 0: no limit"""
    tokens_per_minute: int = Field(default=0, ge=0, le=1_000_000_000)
    """maximum tokens per minute; 0: no limit"""
    input_price_usd: float = Field(default=0.0, ge=0, le=1_000_000)
    """price of a million input tokens; both prices 0: from dspy's price list"""
    output_price_usd: float = Field(default=0.0, ge=0, le=1_000_000)
    """price of a million output tokens"""


class TransformersCaptionConfig(ConfigSection):
    """A captioning model on this machine: Florence-2, BLIP-2, LLaVA, Qwen-VL and others."""

    model: str = ""
    """folder or hub id"""
    prompt: str = ""
    """question to the model; empty: the model's usual prompt"""
    batch_size: int = Field(default=4, ge=1, le=1024)
    """pictures per batch"""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """auto: cuda or mps if available, else cpu"""


class TaggerCaptionConfig(ConfigSection):
    """WD14-style tagger: selected_tags.csv and model.onnx (or timm's files, `--extra vision`)."""

    model: str = ""
    """folder or hub id, e.g. SmilingWolf/wd-swinv2-tagger-v3"""
    general_threshold: Share = 0.35
    """minimum probability of a tag"""
    character_threshold: Share = 0.85
    """minimum probability of a booru character's name, which becomes a tag but not part of the
    caption"""


class ClipCaptionConfig(ConfigSection):
    """CLIP or SigLIP: the most likely places, actions, clothes and light from a vocabulary."""

    model: str = ""
    """folder or hub id of a CLIP or SigLIP"""
    vocabulary: str = ""
    """YAML file of words in groups; empty: src/bunny/caption/vocabulary.yaml"""
    min_probability: Share = 0.5
    """minimum probability of a word within its group"""


class CaptionVariantsConfig(ConfigSection):
    """Several captions per picture; training picks one at a time, by these shares."""

    short: Share = 0.0
    """share of short captions (who does what, and where); all 0: one caption per picture"""
    long: Share = 0.0
    """share of captions that are full sentences"""
    tags: Share = 0.0
    """share of captions that are lists of tags"""

    @property
    def shares(self) -> dict[str, float]:
        """Share of each variant that is wanted, 1 in all; empty: pictures have one caption."""
        total = self.short + self.long + self.tags
        return {name: share / total for name, share in self if share}


class CaptioningConfig(ConfigSection):
    """Stage caption: describe pictures in words."""

    providers: tuple[CaptionProviderName, ...] = ("tags",)
    """asked in this order until one answers; tags (offline, from the tables) always answers and
    must be last. [auto]: a captioner on this machine (one set below, Ollama or vLLM on loopback, or
    a model in the hub's cache), then tags; not the default, since captions and run time would
    depend on what happens to be running, and a loopback port may be a tunnel to another machine"""
    max_tokens: int = Field(default=300, ge=1, le=100_000)
    """maximum tokens of a model's answer"""
    batch_size: int = Field(default=8, ge=1, le=1000)
    """concurrent requests to bedrock, openai, anthropic and local"""
    temperature: float = Field(default=0.0, ge=0, le=2)
    """sampling temperature of the models"""
    timeout_seconds: float = Field(default=60.0, gt=0, le=3600)
    """seconds to wait for a whole answer"""
    connect_timeout_seconds: float = Field(default=10.0, gt=0, le=3600)
    """seconds to wait for a connection"""
    max_retries: int = Field(default=4, ge=0, le=20)
    """retries after 429, 5xx and time-outs, with exponential backoff"""
    max_cost_usd: float = Field(default=0.0, ge=0, le=1_000_000)
    """maximum cost of a run, which stops there and keeps what it has; 0: no limit"""
    allow_upload: bool = False
    """allow pictures to be sent to a server on another machine; a run reports which and where"""
    send: Literal["frame", "crop"] = "frame"
    """what models are shown; crop: only the figures (frames without any are not shown)"""
    trigger_word: str = "{name}"
    """word for the character in captions and prompts; {name}: the character's name"""
    class_word: str = "character"
    """what the character is: e.g. woman, rabbit, robot"""
    style: Literal["sentence", "tags", "both", "structured"] = "sentence"
    """form of the caption; structured: composed from the columns of table caption"""
    variants: CaptionVariantsConfig = CaptionVariantsConfig()
    has_sides: bool = True
    """with two or three characters, state who is on the left and who on the right"""
    max_tag_share: Share = 1.0
    """tags that a larger share of a character's pictures have are left out of its captions, so that
    the trigger word learns them, e.g. 0.9; 1: none"""
    keep_tags: tuple[str, ...] = ()
    """tags that max_tag_share never leaves out, e.g. [day]"""
    prune_tags: tuple[str, ...] = ()
    """tags that are left out of every caption, e.g. [blue eyes]"""
    replacements: str = ""
    """YAML (word: other) or CSV file (word,other); an empty replacement removes the word"""
    max_caption_tokens: int = Field(default=0, ge=0, le=4096)
    """longer captions lose clauses from the end; 0: as many tokens as the base model's text encoder
    reads"""
    has_background_colours: bool = False
    """provider tags writes "in a green place"; otherwise colours are only tags"""
    bedrock: ServedCaptionConfig = ServedCaptionConfig()
    """Caption models of Amazon Bedrock; see section aws."""
    openai: ServedCaptionConfig = ServedCaptionConfig()
    """Caption models of OpenAI."""
    anthropic: ServedCaptionConfig = ServedCaptionConfig()
    """Caption models of Anthropic."""
    local: ServedCaptionConfig = ServedCaptionConfig()
    """An OpenAI-compatible server: vLLM, Ollama, llama.cpp, LM Studio."""
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
        if "auto" in names and len(names) > 1:
            raise ValueError("should have auto alone, which asks tags last by itself")
        if "tags" in names[:-1]:
            raise ValueError("should have tags last, because it always answers")
        return names
