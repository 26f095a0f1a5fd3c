import pytest

from bunny.view import style


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (59.99, "0:59"), (60, "1:00"), (3661, "1:01:01")]
)
def test_clock(seconds, text):
    assert style.clock(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0 ms"), (0.5, "500 ms"), (1.0, "1.0 s"), (59.9, "59.9 s"), (119.7, "2 min 0 s")],
)
def test_duration(seconds, text):
    assert style.duration(seconds) == text


def test_clocks_of_a_padded_axis_are_never_negative():
    assert style.time_axis().labels([-3.0, 5.0]) == ["0:00", "0:05"]


def test_each_name_keeps_its_colour_and_the_first_eight_differ():
    names = [f"n{i}" for i in range(9)]
    given = style.colours([*names, "n0"])
    assert list(given) == names
    assert len({given[n] for n in names[:8]}) == 8
    assert given["n8"] == given["n0"]


@pytest.mark.parametrize(
    ("limits", "ticks"),
    [((0.0, 4.0), [0, 1, 2, 3, 4]), ((-0.4, 1.3), [0, 1]), ((0.2, 0.8), []), ((0, 24), None)],
)
def test_ticks_of_counts_are_whole(limits, ticks):
    found = style.whole_number_ticks(limits)
    assert all(t == int(t) and limits[0] <= t <= limits[1] for t in found)
    assert ticks is None or found == ticks
    assert len(found) <= 9


def test_nothing_draws_its_sentence():
    png = style.to_png(style.empty_plot("no shots"))
    assert png.startswith(b"\x89PNG")
