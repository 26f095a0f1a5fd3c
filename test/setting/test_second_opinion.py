"""Stage review with a served model that looks at the strip, on faces made by hand.

The face of frame 2 is like Anna to 0.5 and like Ben to 0.42; by itself it is Anna's with a chance
of 0.75. References are grey pictures, so the server knows them by their brightness.
"""

import base64
import json
import re
import runpy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import polars as pl
import pytest
from setting_effect import Seen

from bunny.caption import identity
from bunny.core import config as configuration
from bunny.core.error import UserError

pytestmark = pytest.mark.slow

service = SimpleNamespace(
    **runpy.run_path(str(Path(__file__).parents[1] / "caption" / "service.py"))
)
GREY = {"anna": 60, "ben": 190}  # of their references
STAGES = ("detect", "cluster", "review")
CHANCE = 1 / (1 + np.exp(-(12 * (0.5 - 0.4) + 4 * (0.08 - 0.1))))  # see `match.FACE_WEIGHT`


def number_of(body: dict, name: str) -> int:
    """The number under which a request shows a character."""
    jpeg = base64.b64decode(re.search(r"base64,([\w+/=]+)", json.dumps(body))[1])
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
    tiles = picture.shape[1] // (identity.TILE_PX + identity.GAP_PX)
    y = identity.TITLE_PX + identity.TILE_PX // 2
    at = [k * (identity.TILE_PX + identity.GAP_PX) + identity.TILE_PX // 2 for k in range(tiles)]
    return next(k for k in range(1, tiles) if abs(int(picture[y, at[k]]) - GREY[name]) < 8)


@pytest.fixture
def opinion(film, tmp_path) -> Callable[..., tuple[Seen, list]]:
    """Run stages with a server whose answers a function of the request's body gives.

    `host` is how its address is spelt: 127.1 is this machine, but none of loopback by its letters.
    """
    made = film("doubtful")
    space = made.copy(tmp_path / "data")
    config = configuration.load(made.root, [], film_id=space.film_id, environment={})
    seen = Seen(space=space, config=config, root=made.root, settings={})

    def run(answer: Callable[[dict], int], *stages: str, host: str = "127.0.0.1", **more):
        def script(number: int):
            text = f"[[ ## number ## ]]\n{answer(server.requests[number][2])}\n\n"
            return service.Reply(text=text + "[[ ## completed ## ]]")

        with service.serve(script) as server:
            settings = {
                "identification.provider": "local",
                "captioning.local.model": "seer",
                "captioning.local.endpoint_url": f"{server.url.replace('127.0.0.1', host)}/v1",
                "captioning.batch_size": 1,
            }
            seen.run(*(stages or STAGES), more=settings | more)
        return seen, server.requests

    return run


def doubtful(seen: Seen) -> dict:
    """The label of the face of frame 2."""
    label = seen.table("label_corrected").filter(pl.col("frame_id").str.ends_with("2"))
    return label.row(0, named=True)


def test_a_model_that_agrees_makes_the_name_surer(opinion):
    seen, requests = opinion(lambda body: number_of(body, "anna"))
    [row] = seen.table("identification").iter_rows(named=True)
    assert (row["candidate"], row["answer"], row["choices"]) == ("anna", "anna", ["anna", "ben"])
    assert row["chance"] == pytest.approx(CHANCE, abs=0.01)
    assert (row["input_tokens"], row["output_tokens"], len(requests)) == (22, 14, 2)
    odds = 9 * row["chance"] / (1 - row["chance"])
    assert doubtful(seen)["character"] == "anna"
    assert doubtful(seen)["confidence"] == pytest.approx(odds / (1 + odds), abs=1e-4)


def test_a_model_that_names_somebody_else_leaves_nobody(opinion):
    seen, _ = opinion(lambda body: number_of(body, "ben"))
    assert seen.table("identification")["answer"].to_list() == ["ben"]
    assert doubtful(seen)["character"] is None


def test_a_model_that_always_takes_the_first_is_not_believed(opinion):
    seen, _ = opinion(lambda body: 1)
    [row] = seen.table("identification").iter_rows(named=True)
    assert {row["first_answer"], row["second_answer"]} == {"anna", "ben"}
    assert row["answer"] is None
    assert doubtful(seen)["character"] == "anna"
    assert doubtful(seen)["confidence"] == pytest.approx(CHANCE, abs=0.01)


def test_kept_answers_are_not_asked_for_again(opinion):
    first, requests = opinion(lambda body: number_of(body, "anna"))
    before = first.table("identification")
    second, more = opinion(lambda body: 0, "review", **{"pipeline.force_rerun": True})
    assert (len(requests), len(more)) == (2, 0)
    assert second.table("identification").equals(before)


def test_a_persons_word_stands_above_the_model(opinion):
    seen, _ = opinion(lambda body: number_of(body, "anna"))
    [asset] = seen.table("identification")["asset_id"]
    seen.bunny("correct", "assign", seen.space.film_id, asset, "--to", "ben")
    seen, requests = opinion(lambda body: 0, "review")
    assert requests == []  # who it is was said, so nobody is asked
    assert doubtful(seen)["character"] == "ben"
    assert doubtful(seen)["source"] == "person"


def test_no_more_is_spent_on_an_opinion_than_is_set(opinion):
    """An answer may cost 0.3 USD (300 tokens) and does cost 0.007 (7 tokens)."""
    price = {"captioning.local.output_price_usd": 1000, "captioning.max_cost_usd": 0.305}
    seen, requests = opinion(lambda body: number_of(body, "anna"), **price)
    [row] = seen.table("identification").iter_rows(named=True)
    assert (row["answer"], len(requests)) == (None, 1)


def test_pictures_go_to_another_machine_only_where_that_is_allowed(opinion):
    seen, requests = opinion(
        lambda body: number_of(body, "anna"), host="127.1", **{"captioning.allow_upload": True}
    )
    assert seen.table("identification")["answer"].to_list() == ["anna"]
    assert len(requests) == 2
    with pytest.raises(UserError, match=r"captioning\.allow_upload: 2 crops .* to local at 127\.1"):
        opinion(lambda body: 0, host="127.1", **{"captioning.temperature": 0.5})
