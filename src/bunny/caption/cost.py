"""Prices of served models, what a run will cost at most, and the limit that a run keeps to."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bunny.caption.provider import PREFIX, ServedModel, import_dspy
from bunny.core.error import UserError

MILLION = 1_000_000
CHARACTERS_PER_TOKEN = 4  # of English, by OpenAI's rule of thumb
# A picture of 768 px has at most four tiles of 512 px at 170 tokens, and 85 for the whole: OpenAI,
# "Images and vision". Anthropic's rule (width * height / 750) gives 786 for a square.
PICTURE_TOKENS = 786


@dataclass(frozen=True, kw_only=True)
class Price:
    """Price of a model in USD for a million tokens."""

    input_usd: float
    output_usd: float

    def cost_usd(self, input_tokens: int, output_tokens: int) -> float:
        """What so many tokens cost."""
        return (input_tokens * self.input_usd + output_tokens * self.output_usd) / MILLION


@dataclass(frozen=True, kw_only=True)
class CostEstimate:
    """What is still to ask of one provider, and what it costs at most, about."""

    provider: str
    model: str
    num_pictures: int
    num_tokens: int  # of input and output together
    cost_usd: float | None  # None: the price is not known

    def to_text(self) -> str:
        """One line, e.g. ``openai gpt-4o-mini: 12 pictures, about 17400 tokens, 0.0035 USD``."""
        cost = "price unknown" if self.cost_usd is None else f"{self.cost_usd:.4f} USD"
        return (
            f"{self.provider} {self.model}: {self.num_pictures} pictures, "
            f"about {self.num_tokens} tokens, {cost}"
        )


def find_price(model: ServedModel) -> Price | None:
    """The price of a model: that of the settings, else of dspy's list.

    Returns
    -------
    Price or None
        None where neither knows it; a local server without a price costs nothing.
    """
    config = model.config
    if config.input_price_usd or config.output_price_usd:
        return Price(input_usd=config.input_price_usd, output_usd=config.output_price_usd)
    if model.provider == "local":
        return Price(input_usd=0.0, output_usd=0.0)
    import_dspy()
    from dspy.clients.model_metadata import model_info, rate

    info = model_info(PREFIX[model.provider], model.name)
    rates = [rate(info, f"{side}_cost_per_token") for side in ("input", "output")]
    if rates[0] is None or rates[1] is None:
        return None
    return Price(input_usd=rates[0] * MILLION, output_usd=rates[1] * MILLION)


def count_prompt_tokens(text: str) -> int:
    """Tokens of a question with its picture, at most about."""
    return len(text) // CHARACTERS_PER_TOKEN + PICTURE_TOKENS


def check_limit(max_cost_usd: float, prices: Mapping[str, Price | None]) -> None:
    """Refuse a limit that cannot be kept because a provider's price is not known (`UserError`)."""
    unknown = [name for name, price in prices.items() if price is None]
    if max_cost_usd and unknown:
        raise UserError(
            f"captioning.max_cost_usd: expected to know the price of {unknown[0]}'s model, found "
            f"none; set captioning.{unknown[0]}.input_price_usd and output_price_usd"
        )


class Budget:
    """What a run may still spend; any number of threads.

    Parameters
    ----------
    max_usd : float
        0: no limit.
    """

    def __init__(self, max_usd: float = 0.0) -> None:
        self.max_usd = max_usd
        self._spent = 0.0
        self._lock = threading.Lock()

    @property
    def spent_usd(self) -> float:
        """What was spent or is set aside for requests under way."""
        return self._spent

    def reserve(self, usd: float) -> bool:
        """Set aside what a request may cost; False where that is more than is left."""
        with self._lock:
            if self.max_usd and self._spent + usd > self.max_usd:
                return False
            self._spent += usd
            return True

    def settle(self, reserved_usd: float, usd: float) -> None:
        """Replace what was set aside by what it did cost."""
        with self._lock:
            self._spent += usd - reserved_usd


def mean_tokens(used: Sequence[tuple[int, int]], otherwise: tuple[int, int]) -> tuple[int, int]:
    """Mean input and output tokens of answers, or what is taken where there are none."""
    if not used:
        return otherwise
    return (
        -(-sum(one for one, _ in used) // len(used)),
        -(-sum(two for _, two in used) // len(used)),
    )
