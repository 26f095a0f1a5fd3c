"""Tables of notebooks: whole, with words for columns, readable values."""

import re
from datetime import datetime

import polars as pl
import pytest

from bunny.view import data_table


def cells(page: str) -> list[list[str]]:
    rows = re.findall(r"<tr>(.*?)</tr>", page)
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in rows]


def test_values_are_readable_and_columns_have_words():
    table = pl.DataFrame(
        {
            "frame_id": ["f<1>"],
            "start_s": [75.5],
            "duration_s": [89.0],
            "num_frames": [2136],
            "score": [0.123456],
            "is_kept": [True],
            "who": [["anna", "ben"]],
            "detail": [None],
            "time": [datetime(2026, 11, 25, 1, 2)],
        }
    )
    head, row = cells(data_table.show(table).data)
    assert head == ["frame", "start", "length", "frames", "score", "kept", "who", "detail", "time"]
    values = ["f&lt;1&gt;", "1:15", "1 min 29 s", "2136", "0.123", "yes", "anna, ben", ""]
    assert row == [*values, "2026-11-25 01:02"]


@pytest.mark.parametrize(("height", "said"), [(30, ""), (501, "1 more row not shown")])
def test_a_table_is_whole(height, said):
    page = data_table.show(pl.DataFrame({"step": range(height)})).data
    assert len(cells(page)) == 1 + min(height, data_table.MAX_ROWS)
    assert said in page and "hellip" not in page


def test_a_table_without_rows_says_so():
    page = data_table.show(pl.DataFrame({"error": []}), "Every frame was extracted.").data
    assert page == "<p>Every frame was extracted.</p>"


def test_facts_are_a_line_each():
    page = data_table.facts({"width_px": 1280, "drop_kinds": ("black", "title")}).data
    assert cells(page) == [["width (px)", "1280"], ["drop kinds", "black, title"]]
