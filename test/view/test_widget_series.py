"""Notebook 14_series by its tables and controls: who is where, who is unknown, what clicks ask."""

import cv2
import numpy as np
import polars as pl
import pytest

from bunny.command import library_view
from bunny.core.error import UserError
from bunny.series import picture_set
from bunny.view import style
from bunny.view.plot import series as plot_series
from bunny.view.tile import Tile
from bunny.view.widget import series

PNG = b"\x89PNG"


def members(*rows):
    """Members by hand: film, what it calls them, identity, name, views."""
    made = [
        {"member_id": f"{film}/{called}", "film_id": film, "called": called, "name": name}
        | {"identity_id": identity, "kind": "face", "num_views": views, "num_shots": 1}
        for film, called, identity, name, views in rows
    ]
    return pl.DataFrame(made, schema=library_view.COLUMNS)


@pytest.fixture
def member():
    return members(
        ("one", "anna", "identity-0001", "anna", 9),
        ("one", "person-01", "identity-0002", None, 3),
        ("one", "person-02", None, None, 7),
        ("two", "Ann", "identity-0001", "anna", 4),
        ("two", "person-01", "identity-0002", None, 2),
        ("two", "person-03", "identity-0003", None, 6),
    )


@pytest.fixture
def pictures(tmp_path, member):
    """A grey picture for all members but one."""
    path = tmp_path / "grey.png"
    path.write_bytes(cv2.imencode(".png", np.full((40, 40, 3), 99, np.uint8))[1].tobytes())
    return {one: Tile(file=path) for one in member["member_id"] if one != "two/person-03"}


def test_identities_by_films_are_named_ones_first_then_those_of_most_films(member):
    assert plot_series.presence(member).rows() == [
        ("anna", "one", 9),
        ("anna", "two", 4),
        ("identity-0002", "one", 3),
        ("identity-0002", "two", 2),
        ("identity-0003", "two", 6),
    ]
    assert style.to_png(plot_series.plot_presence(member)).startswith(PNG)
    assert style.to_png(plot_series.plot_presence(members())).startswith(PNG)


def test_unknown_people_are_those_of_most_films_and_those_of_the_noise(member):
    found = series.unknown_people(member)
    assert found.select("who", "num_films", "num_views").rows() == [
        ("identity-0002", 2, 5),
        ("one:person-02", 1, 7),
        ("identity-0003", 1, 6),
    ]
    assert found["film_id"].to_list()[0] == ["one", "two"]


def test_the_page_has_a_picture_from_each_film(member, pictures, tmp_path):
    page = series.explore_identities(
        member, pictures, tmp_path, name=lambda _: None, is_interactive=False
    ).data
    assert page.index("identity-0002: 5 views in 2 films") < page.index("one:person-02: 7 views")
    assert page.count("<img") == 3  # identity-0003's member has none
    nobody = series.explore_identities(
        members(), {}, tmp_path, name=lambda _: None, is_interactive=False
    )
    assert nobody.data == series.NOBODY


class Report:
    """Of a name that was given."""

    def to_text(self):
        return "identity-0002 is now bert\nrun <this>"


def test_a_click_names_who_is_shown_and_goes_on_to_the_next(member, pictures, tmp_path):
    asked = []

    def name(choices):
        asked.extend(choices)
        if choices[0].endswith("=scene"):
            raise UserError("scene: expected a name")
        return Report()

    widget = series.explore_identities(member, pictures, tmp_path, name=name)
    (who, text, button), words, shown = widget.children[0].children, *widget.children[1:]
    assert button.disabled and words.value == "type a name" and shown.value.count("<img") == 2
    text.value = "Anna"
    assert (
        not button.disabled
        and words.value == "identity-0002 joins anna, who is in the library already"
    )
    text.value = "scene"
    button.click()
    assert words.value == "<b>not named:</b> scene: expected a name"
    text.value = " bert"
    button.click()
    assert asked == ["identity-0002=scene", "identity-0002=bert"]
    assert words.value == "identity-0002 is now bert<br>run &lt;this&gt;"
    assert who.value == "one:person-02" and text.value == "" and button.disabled
    text.value = "BERT"
    assert words.value == "one:person-02 joins bert, who is in the library already"
    for _ in range(2):
        text.value = "bert"
        button.click()
    assert (who.value, shown.value) == (None, series.NOBODY)


def test_pictures_of_a_planned_set_are_counted_by_film_and_side():
    rows = [
        {"film_id": film, "shot_index": shot, "timestamp_s": 0.0, "split": side}
        | {"pose": "left", "shot_size": "wide", "light": "bright"}
        for film, shot, side in (("one", 0, "train"), ("one", 1, "held-out"), ("two", 0, "train"))
    ]
    planned = pl.DataFrame(rows, schema=picture_set.PLANNED)
    found = picture_set.coverage(planned).select("film_id", "pictures", "held_out", "pose left")
    assert found.rows() == [("one", 2, 1, 2), ("two", 1, 0, 1), ("all", 3, 1, 3)]
    assert style.to_png(plot_series.plot_split(planned)).startswith(PNG)
    assert style.to_png(plot_series.plot_split(planned.clear())).startswith(PNG)
