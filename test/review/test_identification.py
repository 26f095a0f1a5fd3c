"""Doubtful figures, the evidence of a model, and what it does to names."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import polars as pl
import pytest
import table_row

from bunny.caption import identity
from bunny.core.error import UserError
from bunny.review import identification
from bunny.table import store

service = SimpleNamespace(
    **runpy.run_path(str(Path(__file__).parents[1] / "caption" / "service.py"))
)
BOX = {"x0_px": 10.0, "y0_px": 20.0, "x1_px": 30.0, "y1_px": 60.0}
ANNA, BEN = (30, 30, 30), (220, 220, 220)  # BGR


def label_row(subject: str, frame: str, who: str | None, confidence: float, **own) -> dict:
    ids = {"subject_id": subject, "character": who, "frame_id": frame}
    return table_row.fill("label", own, **ids, **BOX, margin=0.05, confidence=confidence)


def labels(*rows: dict) -> pl.DataFrame:
    return store.from_rows("label", rows)


def subjects(pairs: dict[str, str]) -> pl.DataFrame:
    return pl.DataFrame({"subject_id": list(pairs), "asset_id": list(pairs.values())})


def evidence(asset: str, chance: float, answer: str | None, candidate: str = "anna"):
    answers = dict.fromkeys(("first_answer", "second_answer", "answer"), answer)
    ids = {"asset_id": asset, "subject_id": f"{asset}-best", "frame_id": "f1"}
    asked = {"candidate": candidate, "chance": chance, "margin": 0.05, "choices": ["anna", "ben"]}
    model = {"provider": "local", "model": "seer"}
    return table_row.table("identification", [ids | asked | answers | model])


@pytest.mark.parametrize(
    ("who", "chance", "answer", "weight", "name", "confidence", "source"),
    [
        # odds 4 to 1; times 9 they are 36 to 1, divided by 9 they are 4 to 9
        ("anna", 0.8, "anna", 1.0, "anna", 36 / 37, "reference"),
        ("anna", 0.8, "none", 1.0, None, 9 / 13, "reference"),
        ("anna", 0.8, "ben", 1.0, None, 9 / 13, "reference"),
        # odds 1 to 4; times 9 they are 9 to 4; times 3 (weight 1/2) they are 3 to 4
        (None, 0.2, "anna", 1.0, "anna", 9 / 13, "model"),
        (None, 0.2, "anna", 0.5, None, 4 / 7, "reference"),
        # what is not agreed, and a weight of 0, change nothing
        ("anna", 0.8, None, 1.0, "anna", 0.7, "reference"),
        ("anna", 0.8, "none", 0.0, "anna", 0.7, "reference"),
    ],
)
def test_an_answer_multiplies_the_odds(who, chance, answer, weight, name, confidence, source):
    label = labels(label_row("a-1", "f1", who, 0.7))
    found = identification.apply_evidence(
        label, subjects({"a-1": "a"}), evidence("a", chance, answer), weight
    ).row(0, named=True)
    assert found["character"] == name
    assert found["confidence"] == pytest.approx(confidence, abs=1e-6)
    assert found["source"] == source


def test_a_name_that_somebody_else_bears_in_the_frame_is_not_given_twice():
    label = labels(
        label_row("a-1", "f1", None, 0.8),
        label_row("a-2", "f2", None, 0.8),
        label_row("b-1", "f2", "anna", 0.9),
    )
    found = identification.apply_evidence(
        label, subjects({"a-1": "a", "a-2": "a", "b-1": "b"}), evidence("a", 0.2, "anna"), 1.0
    )
    assert found["character"].to_list() == [None, None, "anna"]


def test_views_of_other_figures_stay_as_they_are():
    label = labels(label_row("a-1", "f1", "anna", 0.8), label_row("c-1", "f3", "ben", 0.6))
    found = identification.apply_evidence(
        label, subjects({"a-1": "a", "c-1": "c"}), evidence("a", 0.8, "none"), 1.0
    )
    assert found.row(1) == label.row(1)


def test_a_view_that_has_another_name_than_the_candidate_stays():
    label = labels(label_row("a-1", "f1", "ben", 0.8))
    found = identification.apply_evidence(
        label, subjects({"a-1": "a"}), evidence("a", 0.8, "none"), 1.0
    )
    assert found.rows() == label.rows()


def figure(choices=("anna", "ben"), asset="a") -> identification.DoubtfulFigure:
    return identification.DoubtfulFigure(
        asset_id=asset,
        subject_id="s",
        frame_id="f1",
        box=(40.0, 30.0, 60.0, 60.0),
        candidate=choices[0],
        chance=0.5,
        margin=0.05,
        choices=choices,
    )


@pytest.fixture
def maker(tmp_path: Path):
    """A frame, red left of its middle and blue right of it, and grey references."""
    frame = np.zeros((90, 100, 3), np.uint8)
    frame[:, :50], frame[:, 50:] = (0, 0, 255), (255, 0, 0)
    for name, colour in {"anna": ANNA, "ben": BEN}.items():
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((50, 50, 3), colour, np.uint8))
    cv2.imwrite(str(tmp_path / "f1.png"), frame)

    def make(*figures: identification.DoubtfulFigure) -> identification.StripMaker:
        return identification.StripMaker(
            folder=tmp_path,
            figures=figures,
            file={"f1": "f1.png"},
            reference={name: tmp_path / f"{name}.png" for name in ("anna", "ben")},
        )

    return make


def tile(picture: np.ndarray, place: int) -> np.ndarray:
    """Pixels of the tile at a place of a strip."""
    x0 = place * (identity.TILE_PX + identity.GAP_PX)
    return picture[identity.TITLE_PX :, x0 : x0 + identity.TILE_PX]


def test_a_figure_is_shown_twice_in_two_orders(maker):
    strips = maker(figure())
    assert strips.order(0) == strips.order(1)[::-1]
    for number in (0, 1):
        asked = strips.make(number)
        picture = cv2.imdecode(np.frombuffer(asked.picture, np.uint8), cv2.IMREAD_COLOR)
        assert asked.facts == strips.order(number)
        # the picture is as wide as three tiles; tiles of references are grey as their character
        for place, name in enumerate(asked.facts, start=1):
            wanted = {"anna": 30, "ben": 220}[name]
            middle = tile(picture, place)[100:150, 100:150]
            assert abs(float(middle.mean()) - wanted) < 4


def test_the_crop_has_its_figure_in_the_middle(maker):
    picture = cv2.imdecode(np.frombuffer(maker(figure()).make(0).picture, np.uint8), 1)
    # box 20 x 30 px with 7.5 px around it, so 35 x 45: 256 px high and 199 wide
    crop = tile(picture, 0)
    red, blue = crop[100, 60], crop[100, 196]
    assert red[2] > 200 > 60 > red[0]
    assert blue[0] > 200 > 60 > blue[2]
    assert crop[100, 10].min() > 240  # white beside it


def test_one_character_has_no_second_order_so_the_crop_is_mirrored(maker):
    strips = maker(figure(choices=("anna",)))
    first, second = (
        cv2.imdecode(np.frombuffer(strips.make(number).picture, np.uint8), 1) for number in (0, 1)
    )
    assert np.abs(tile(first, 0).astype(int) - tile(second, 0)[:, ::-1]).mean() < 3


def test_numbers_of_questions_tell_all_that_is_asked(maker):
    alike = [maker(figure()).key(number, ("local", "seer")) for number in (0, 0, 1)]
    other = [
        maker(figure()).key(0, ("local", "better")),
        maker(figure(choices=("anna",))).key(0, ("local", "seer")),
    ]
    assert alike[0] == alike[1]
    assert len({*alike, *other}) == 4


def test_pictures_stay_here_unless_it_is_allowed(maker, tmp_path):
    model = service.served_model("openai", model="gpt-4o-mini")
    said = []
    with pytest.raises(UserError, match=r"allow_upload: 2 crops .* openai at api.openai.com"):
        identification.ask(maker(figure()), model, tmp_path / "answer", said.append)
    assert not said


def test_a_figure_is_asked_about_anew_at_another_temperature(maker, tmp_path):
    """Twice each, in two orders; what was asked at a temperature before is not asked again."""
    reply = service.Reply(text="[[ ## number ## ]]\n1\n\n[[ ## completed ## ]]")
    num_asked = []
    with service.serve(lambda n: reply) as server:
        for temperature in (0.0, 0.5, 0.5, 0.0):
            url = f"{server.url}/v1"
            model = service.served_model(
                "local", model="m", endpoint_url=url, temperature=temperature
            )
            identification.ask(maker(figure()), model, tmp_path / "answer")
            num_asked.append(len(server.requests))
    assert num_asked == [2, 4, 4, 4]


def test_the_summary_counts_what_model_and_embedding_say():
    parts = [
        evidence("a", 0.5, "anna"),
        evidence("b", 0.5, "none"),
        evidence("c", 0.5, "ben"),
        evidence("d", 0.5, None),
    ]
    assert identification.summarise(pl.concat(parts)) == (
        "4 doubtful figures shown to local: agrees with the embedding on 1, nobody of the "
        "references 1, somebody else 1, no answer that counts on 1"
    )
    assert identification.summarise(parts[0].clear()) == ""
