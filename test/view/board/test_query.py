"""Which items are shown, in which order; folders; undo by person."""

import numpy as np
import pytest

from bunny.core.error import UserError
from bunny.review.event_log import Event
from bunny.view.board import action, query, serialize, widget


@pytest.fixture
def table(made):
    rows = [
        made.asset_row(0, cluster="scene-002", doubt=0.1, who=["anna"]),
        made.asset_row(1, cluster="scene-010", doubt=0.9, name="kitchen", comments=1),
        made.asset_row(2, cluster=None, doubt=1.0, rejected_from=["scene-002"]),
        made.asset_row(3, cluster="scene-002", doubt=0.0, is_approved=True, source="person"),
        made.asset_row(4, cluster="scene-002", doubt=0.1, who=["anna", "bruno"]),
        made.asset_row(5, "character", "anna", doubt=0.2, who=["anna"]),
    ]
    return query.number_rows(made.asset(rows))


def shots(table, **values):
    rows = query.select(table, query.from_dict(values))
    return table["shot_index"].gather(rows).to_list()


def test_doubtful_first_and_the_film_decides_between_equals(table):
    assert shots(table) == [2, 1, 0, 4, 3]
    assert shots(table, sort="film") == [0, 1, 2, 3, 4]
    assert shots(table, sort="name")[:4] == [1, 0, 3, 4]  # kitchen, scene-002, then noise


def test_what_is_asked_together_stands_together_before_the_doubtful(made):
    rows = [
        made.asset_row(0, cluster="scene-001", doubt=0.2, question=1),
        made.asset_row(1, cluster="scene-002", doubt=0.9),
        made.asset_row(2, cluster="scene-003", doubt=0.3, question=0),
        made.asset_row(3, cluster="scene-001", doubt=0.4, question=1),
        made.asset_row(4, cluster="scene-001", doubt=0.0, question=0, source="person"),
    ]
    table = query.number_rows(made.asset(rows))
    assert shots(table) == [2, 3, 0, 1, 4]  # who was spoken of is asked about no more
    old = query.number_rows(made.asset(rows).drop("question"))  # of a film run by an older version
    assert shots(old) == [1, 3, 2, 0, 4]


def test_largest_first(made):
    rows = [
        made.asset_row(0, "character", "anna", x1_px=110.0),  # 10 x 120
        made.asset_row(1, "character", "anna", x1_px=180.0),  # 80 x 120
        made.asset_row(2, "character", "anna", x1_px=120.0),
        made.asset_row(3, cluster="scene-001"),
        made.asset_row(4, cluster="scene-001", end_frame_index=999),
    ]
    table = query.number_rows(made.asset(rows))
    assert shots(table, level="character", sort="size") == [1, 2, 0]
    assert shots(table, sort="size") == [4, 3]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"cluster": "scene-002"}, [0, 3, 4]),
        ({"cluster": ""}, [2]),
        ({"cluster": "scene-002", "who": ["anna", "bruno"]}, [4]),
        ({"who": []}, [1, 2, 3]),
        ({"search": "KITCH"}, [1]),
        ({"search": "anna bruno"}, [4]),
        ({"search": "shot 3"}, [3]),
        ({"search": "noise"}, [2]),
        ({"search": "(["}, []),
        ({"status": "approved"}, [3]),
        ({"status": "open"}, [0, 1, 2, 4]),
        ({"status": "moved"}, [3]),
        ({"status": "commented"}, [1]),
        ({"status": "rejected"}, [2]),
        ({"level": "character"}, [5]),
    ],
)
def test_what_is_asked_for(table, values, expected):
    assert shots(table, sort="film", **values) == expected


def test_unknown_words_are_refused():
    with pytest.raises(UserError, match="sort: expected one of doubt, film"):
        query.from_dict({"sort": "luck"})


def test_what_is_on_the_screen_stays_where_it_is(table):
    """Shot n is row n + 1. Sorted anew it would be 1, 5; once another comes in all is sorted."""
    asked = query.BoardQuery(cluster="scene-002", status="open")
    before = np.array([5, 4, 1], np.int32)
    assert query.keep_order(table, asked, before).tolist() == [5, 1]
    assert query.keep_order(table, asked, np.array([5], np.int32)).tolist() == [1, 5]


def test_folders_by_name_with_noise_first(table):
    found = query.list_folders(table, "scene")
    assert [(f["id"], f["name"], f["count"]) for f in found] == [
        ("", None, 1),
        ("scene-010", "kitchen", 1),
        ("scene-002", None, 3),
    ]
    scene = found[2]
    assert scene["approved"] == pytest.approx(1 / 3)
    assert scene["doubt"] == pytest.approx(0.2 / 3)
    assert scene["row"] == 4  # shot 3: the approved one stands for it
    assert [(part["who"], part["count"]) for part in scene["who"]] == [
        ([], 1),
        (["anna"], 1),
        (["anna", "bruno"], 1),
    ]


def test_folders_count_as_people_do_and_noise_is_always_there(made):
    rows = [made.asset_row(i, cluster=f"scene-{i}") for i in (10, 9, 100)]
    found = query.list_folders(query.number_rows(made.asset(rows)), "scene")
    assert [f["id"] for f in found] == ["", "scene-9", "scene-10", "scene-100"]
    assert found[0] | {"who": 0} == {
        "id": "",
        "name": None,
        "count": 0,
        "approved": 0.0,
        "doubt": 0.0,
        "row": None,
        "who": 0,
    }


def event(second, user="ann", kind="approve", **values):
    time = f"2026-01-01T00:00:{second:02d}"
    return Event(event_id=f"e{second}", time=time, user=user, kind=kind, level="scene", **values)


def steps(events, user="ann"):
    return tuple(None if e is None else e.event_id for e in action.undo_and_redo(events, user))


def test_undo_and_redo_are_ones_own():
    events = [event(1), event(2, "bob"), event(3)]
    assert steps(events) == ("e3", None)
    events.append(event(4, kind="undo", undoes="e3"))
    assert steps(events) == ("e1", "e4")
    assert steps(events, "bob") == ("e2", None)
    events.append(event(5, kind="undo", undoes="e1"))
    assert steps(events) == (None, "e5")
    events.append(event(6, kind="undo", undoes="e5"))  # e1 holds again
    assert steps(events) == ("e1", "e4")
    events.append(event(7))  # something new: nothing is left to redo
    assert steps(events) == ("e7", None)


def test_the_script_is_one_module():
    text = widget.bundle_script()
    assert text.count("export default") == 1 and "\nimport " not in text
    assert "\nexport function" not in text and "const makeShelf = shelf;" in text
    assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in text + widget.bundle_style()


def test_who_a_figure_may_be_is_found_by_the_word(made):
    """Not once it has a name, was spoken of, or is said not to be that one."""
    known = {"level": "character", "perhaps": "bunny"}
    rows = [
        made.asset_row(0, **known, cluster="figure-01", name=None),
        made.asset_row(1, **known, cluster="anna"),
        made.asset_row(2, **known, cluster=None, name=None, doubt=0.0, source="person"),
        made.asset_row(3, **known, cluster=None, name=None, rejected_from=["bunny"]),
        made.asset_row(4, "character", cluster=None, name=None),
    ]
    table = query.number_rows(made.asset(rows))
    assert shots(table, level="character", search="perhaps bunny") == [0]
    said = [serialize.item(row)["perhaps"] for row in table.iter_rows(named=True)]
    assert said == ["bunny", None, None, None, None]
    assert ["perhaps", "bunny"] in serialize.facts(table.row(0, named=True), "")
    assert all(key != "perhaps" for key, _ in serialize.facts(table.row(3, named=True), ""))
    old = query.number_rows(made.asset(rows).drop("perhaps"))  # of a film run by an older version
    assert shots(old, level="character", search="perhaps") == []
