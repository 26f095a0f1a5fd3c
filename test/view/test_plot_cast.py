import polars as pl
import pytest

from bunny.table import store
from bunny.view import style
from bunny.view.plot import recognition as plot_name

PLOT = {
    "coverage": lambda t: plot_name.plot_named_share(t("label"), t("frame")),
    "sizes": lambda t: plot_name.plot_face_sizes(t("face"), t("label")),
}


@pytest.mark.parametrize("name", PLOT)
def test_plot_of_a_film(name, table, look):
    """Drawn without a warning (they are errors), as it was kept."""
    look(f"plot-cast-{name}", style.to_png(PLOT[name](table)))


@pytest.mark.parametrize("name", PLOT)
def test_plot_of_nothing_says_so(name):
    figure = PLOT[name](lambda name: store.from_rows(name, []))
    assert type(figure.layers[0].geom).__name__ == "geom_text"
    assert style.to_png(figure).startswith(b"\x89PNG")


def test_coverage_by_hand():
    """Two stretches of 2 s; a frame with a named and an unknown face counts as named."""
    frame = pl.DataFrame({"frame_id": list("abcd"), "timestamp_s": [0.0, 1.0, 2.0, 4.0]})
    label = pl.DataFrame({"frame_id": list("aabc"), "character": ["x", None, None, "y"]})
    found = plot_name.count_named(label, frame, max_bins=2)
    assert found.select("middle_s", "state", "share").rows() == [
        (1.0, "known character", 0.5),
        (1.0, "unknown faces only", 0.5),
        (3.0, "known character", 0.5),
        (3.0, "nobody", 0.5),
    ]
    assert found["length_s"].unique().to_list() == [2.0]


def test_coverage_of_one_picture_at_time_zero():
    frame = pl.DataFrame({"frame_id": ["a"], "timestamp_s": [0.0]})
    label = pl.DataFrame(schema={"frame_id": pl.String, "character": pl.String})
    assert plot_name.count_named(label, frame)["share"].to_list() == [1.0]


def test_sizes_by_hand():
    """A face exactly at an edge belongs to the larger bin; regions are not counted."""
    face = pl.DataFrame({"face_id": list("abcd"), "size_px": [23.9, 24.0, 31.0, 400.0]})
    label = pl.DataFrame(
        {
            "subject_id": [*"abcd", "r"],
            "subject_type": ["face"] * 4 + ["region"],
            "character": [None, "x", "x", None, "y"],
        }
    )
    assert plot_name.count_face_sizes(face, label).rows() == [
        ("< 24", "unknown", 1),
        ("24–32", "named", 2),
        ("≥ 384", "unknown", 1),
    ]
