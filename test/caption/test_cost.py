"""Prices, estimates and the limit on costs."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

from bunny.caption import cost
from bunny.caption.cost import Budget, CostEstimate, Price
from bunny.core.error import UserError

service = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("service.py"))))


def find_price(provider, **section):
    return cost.find_price(service.served_model(provider, **section))


def test_what_tokens_cost():
    price = Price(input_usd=0.15, output_usd=0.6)
    assert price.cost_usd(1_000_000, 500_000) == pytest.approx(0.45)


def test_the_price_of_the_settings_goes_before_that_of_the_list():
    known = find_price("openai", model="gpt-4o-mini")
    assert known is not None
    assert 0 < known.input_usd < known.output_usd
    own = find_price("openai", model="gpt-4o-mini", input_price_usd=3.0)
    assert own == Price(input_usd=3.0, output_usd=0.0)
    local = find_price("local", model="seer", endpoint_url="http://x")
    assert local == Price(input_usd=0.0, output_usd=0.0)
    assert find_price("openai", model="no-such-model") is None


def test_a_limit_needs_prices():
    cost.check_limit(0.0, {"openai": None})
    cost.check_limit(1.0, {"openai": Price(input_usd=1.0, output_usd=1.0)})
    with pytest.raises(UserError, match=r"captioning\.openai\.input_price_usd"):
        cost.check_limit(1.0, {"openai": None})


def test_no_more_is_set_aside_than_there_is():
    budget = Budget(1.0)
    assert budget.reserve(0.6)
    assert not budget.reserve(0.6)
    budget.settle(0.6, 0.3)  # it cost less
    assert budget.reserve(0.6)
    assert budget.spent_usd == pytest.approx(0.9)
    assert all(Budget().reserve(1e9) for _ in range(3))  # 0 is no limit


def test_tokens_are_the_mean_of_known_answers():
    assert cost.mean_tokens([], (900, 120)) == (900, 120)
    assert cost.mean_tokens([(10, 4), (11, 5)], (900, 120)) == (11, 5)  # rounded up


def test_an_estimate_in_words():
    one = CostEstimate(
        provider="openai", model="m", num_pictures=2, num_tokens=300, cost_usd=0.00354
    )
    assert one.to_text() == "openai m: 2 pictures, about 300 tokens, 0.0035 USD"
    unknown = CostEstimate(
        provider="bedrock", model="m", num_pictures=2, num_tokens=300, cost_usd=None
    )
    assert unknown.to_text().endswith("price unknown")
