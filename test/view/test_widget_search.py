"""Search of notebook 11_search by its controls: what is asked of the function, what is shown."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
import table_row
from PIL import Image

from bunny.core.error import UserError
from bunny.library.search import ranking
from bunny.view import search_result
from bunny.view.widget import search


@pytest.fixture
def root(tmp_path):
    """A film of one shot, six pictures."""
    rows = []
    for i in range(6):
        name = f"frame/{i}.png"
        (tmp_path / "frame").mkdir(exist_ok=True)
        Image.fromarray(np.full((36, 64, 3), 40 * i, np.uint8)).save(tmp_path / name)
        at = {"shot_index": 7, "frame_index": i, "timestamp_s": float(i), "time_base_den": 1}
        rows.append({"frame_id": f"f{i}", "file": name, "reason": "interval", **at})
    table_row.write(tmp_path / "table", "frame", rows)
    return {"film": tmp_path}


@pytest.fixture
def shots():
    row = {"film_id": "film", "shot_index": 7, "start_s": 0.0, "end_s": 6.0, "matched_s": 1.0}
    row |= {"score": 0.5, "why": "words <b>", "frame_id": "f1", "file": "frame/1.png"}
    row |= {"who": ["bunny"], "place": "beach", "sentence": "", "asset_id": "film-s7"}
    return pl.DataFrame([row], schema=ranking.SHOTS)


@pytest.fixture
def opened(root, shots):
    """The widget, what it asked for and what it sent."""
    asked, sent = [], []

    def find(words, **more):
        asked.append((words, more))
        if words == "bad":
            raise UserError("expected <words>")
        return SimpleNamespace(shots=shots, root=root, question="q", notes=["note"])

    def send(chosen):
        sent.append(chosen["shot_index"].to_list())
        return "written"

    searcher = search.SearchWidget(find, dict, ["bunny"], ["beach"], send, "")
    return SimpleNamespace(widget=searcher, asked=asked, sent=sent)


def test_strip_shows_the_matched_picture_among_five(root, shots):
    (pictures,) = search_result.strip_pictures(shots, root).values()
    assert [at for _, at, _ in pictures] == ["0:00", "0:01", "0:02", "0:04", "0:05"]
    assert [is_matched for _, _, is_matched in pictures] == [False, True, False, False, False]
    page = search_result.page(shots, root, "<q>")
    assert "words &lt;b&gt;" in page and "&lt;q&gt;" in page and page.count("<img") == 5
    assert "shot 7" in page and "at <b>1.0 s</b>" in page and "beach" in page


def test_nothing_is_asked_before_somebody_asks(opened):
    assert opened.asked == [] and opened.widget.answer.children == ()


def test_words_and_filters_ask(opened):
    opened.widget.words.value = "bunny on a beach"
    words, more = opened.asked[-1]
    assert words == "bunny on a beach"
    assert more["wanted"] == {"who": "", "place": "", "shot_size": "", "light": ""}
    opened.widget.filters["who"].value = "bunny"
    assert opened.asked[-1][1]["wanted"]["who"] == "bunny"
    assert len(opened.widget.answer.children) == 1
    assert "note" in opened.widget.message.value


def test_a_picture_that_was_uploaded_is_asked_with(opened):
    opened.widget.upload.value = (
        {
            "name": "../a.png",
            "type": "image/png",
            "size": 3,
            "content": memoryview(b"abc"),
            "last_modified": __import__("datetime").datetime(2026, 1, 1),
        },
    )
    assert opened.asked[-1][1]["picture"].name == "a.png"
    opened.widget.kind.value = "face"
    opened.widget.ask()
    assert "face" in opened.asked[-1][1] and "picture" not in opened.asked[-1][1]


def test_more_like_this_and_send(opened):
    opened.widget.ask()
    buttons = opened.widget.answer.children[0].children[1].children
    buttons[0].click()
    assert opened.asked[-1][1]["like"] == "film-s7"
    assert opened.widget.send.disabled
    pick = opened.widget.answer.children[0].children[1].children[1]
    pick.value = True
    opened.widget.ask()  # what was picked stays picked
    assert opened.widget.answer.children[0].children[1].children[1].value
    opened.widget.send.click()
    assert opened.sent == [[7]] and "written" in opened.widget.message.value
    styles = [
        w for w in opened.widget.widget.children if search_result.STYLE in getattr(w, "value", "")
    ]
    assert styles and opened.widget.message not in styles  # a message does not take it away


def test_an_error_is_shown_not_raised(opened):
    opened.widget.words.value = "bad"
    assert opened.widget.message.value == "<b>expected &lt;words&gt;</b>"


def test_without_widgets_the_first_answer_is_a_page(root, shots):
    find = lambda words: SimpleNamespace(shots=shots, root=root, question=words, notes=[])  # noqa: E731
    page = search.explore_search(find, dict, words="bunny", is_interactive=False)
    assert "shot 7" in page.data
    assert ("enter a question or choose a picture") in search.explore_search(
        find, dict, is_interactive=False
    ).data


def test_each_film_becomes_a_timeline(shots):
    calls = []

    def export(film_id, what, *, data_dir):
        calls.append((film_id, what, data_dir))
        return SimpleNamespace(to_text=lambda: f"{film_id}: done")

    other = shots.with_columns(film_id=pl.lit("b"), shot_index=pl.lit(2, pl.Int32))
    earlier = shots.with_columns(shot_index=pl.lit(3, pl.Int32))
    said = search.to_timeline(export, data_dir="data")(pl.concat([shots, other, earlier]))
    assert calls == [("film", "shots:3,7", "data"), ("b", "shots:2", "data")]
    assert said == "film: done\nb: done"
