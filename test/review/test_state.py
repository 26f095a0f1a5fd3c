"""What each kind of event does, by hand on seven shots and seven figures."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from rejection import is_rejected, touched_number

from bunny.core.error import UserError
from bunny.review import cluster_reference, create_event, look_alike
from bunny.review.create_event import EventContext
from bunny.review.state import ReviewState

ANA = EventContext(user="ana")


def s(number: int) -> str:
    return f"film-s{number:05d}"


def test_it_starts_where_the_machine_put_things(shots):
    state = ReviewState.of(shots)
    assert state.clusters("scene").rows() == [("scene-001", None, 3), ("scene-002", None, 3)]
    assert state.members("", "scene") == [s(6)]
    assert state.frame()["cluster_id"].to_list() == shots["machine_cluster_id"].to_list()


def test_assign_moves_and_ends_all_doubt(shots):
    state = ReviewState.of(shots)
    changed = state.apply(create_event.assign(state, ANA, [s(6), s(3)], "scene-001"))
    assert changed == [s(3), s(6)]
    rows = state.frame().filter(state.frame()["asset_id"] == s(6)).to_dicts()[0]
    assert (rows["cluster_id"], rows["source"], rows["doubt"]) == ("scene-001", "person", 0.0)
    assert state.frame().filter(state.frame()["asset_id"] == s(0))["doubt"].item() == 0.5


def test_assign_to_a_new_name_makes_one_cluster_for_two_people(shots):
    state = ReviewState.of(shots)
    one = create_event.assign(state, ANA, [s(6)], "attic")
    other = create_event.assign(state, EventContext(user="ben"), [s(0)], "attic")
    state.replay([other, one])
    assert state.cluster_of(s(6)) == state.cluster_of(s(0))
    assert state.clusters("scene")["name"].to_list()[-1] == "attic"


def test_a_rejected_shot_falls_to_the_next_best_or_to_noise(lib, shots):
    angles = {s(i): a for i, a in enumerate([0, 10, 50, 90, 80, 85])}
    state = ReviewState.of(shots, lib.vectors(angles), noise_threshold=0.5)
    state.apply(create_event.reject(state, ANA, [s(2)]))  # 35 degrees from the other: cosine 0.82
    assert state.cluster_of(s(2)) == "scene-002"
    state.apply(create_event.reject(state, ANA, [s(2)]))
    assert state.cluster_of(s(2)) is None
    assert is_rejected(state, s(2), "scene-001")
    state.apply(create_event.reject(state, ANA, [s(0)]))  # 85 degrees: cosine 0.09
    assert state.cluster_of(s(0)) is None


def test_a_rejected_figure_falls_to_no_other_name(figures):
    state = ReviewState.of(figures)
    state.apply(create_event.reject(state, ANA, ["film-t0"]))
    assert state.cluster_of("film-t0") is None
    assert state.frame()["rejected_from"].to_list()[0] == ["bunny"]


def test_neither_merge_nor_propagation_nor_approval_brings_a_rejected_one_back(shots):
    state = ReviewState.of(shots)
    state.apply(create_event.reject(state, ANA, [s(0)], "scene-002"))
    state.apply(create_event.assign(state, replace(ANA, origin="propagated"), [s(0)], "scene-002"))
    state.apply(create_event.approve(state, ANA, [s(0)], "scene-002"))
    assert state.cluster_of(s(0)) == "scene-001"
    state.apply(create_event.merge(state, ANA, "scene-002", "scene-001", level="scene"))
    assert state.cluster_of(s(0)) is None
    assert state.cluster_of(s(1)) == "scene-002"
    state.apply(create_event.assign(state, ANA, [s(0)], "scene-002"))
    assert state.cluster_of(s(0)) == "scene-002"


def test_merge_takes_names_along(figures):
    state = ReviewState.of(figures)
    state.apply(create_event.merge(state, ANA, "person-01", "pip", level="character"))
    assert state.cluster_of("film-u0") == state.cluster_of("film-t3") == "pip"


def test_split_makes_a_cluster_that_keeps_its_id_in_each_replay(shots):
    state = ReviewState.of(shots)
    event = create_event.split(state, ANA, [s(0), s(1)])
    state.apply(event)
    name = state.cluster_of(s(0))
    assert name.startswith("scene-") and name == state.cluster_of(s(1)) != "scene-001"
    assert ReviewState.of(shots).replay([event]).cluster_of(s(0)) == name


def test_naming_a_person_makes_its_figures_that_character(figures):
    state = ReviewState.of(figures)
    state.apply(create_event.rename(state, ANA, "person-01", "anna", level="character"))
    assert [state.cluster_of(f"film-u{i}") for i in range(3)] == ["anna"] * 3
    assert state.frame()["who"].to_list()[0] == ["anna", "bunny"]
    state.apply(create_event.rename(state, ANA, "anna", "bunny", level="character"))
    assert state.members("bunny", "character") == [
        *(f"film-t{i}" for i in range(3)),
        *(f"film-u{i}" for i in range(3)),
    ]


def test_a_name_sticks_to_the_content_when_scenes_are_numbered_and_cut_anew(lib, shots):
    state = ReviewState.of(shots)
    named = create_event.rename(state, ANA, "scene-002", "kitchen", level="scene")
    other = {"scene-001": "scene-002", "scene-002": "scene-001", None: None}
    rows = [lib.shot_row(i, other[c], "new") for i, c in enumerate(shots["machine_cluster_id"])]
    rows[5] |= {"machine_cluster_id": "scene-002"}  # the plurality counts
    again = ReviewState.of(lib.table(rows)).replay([named])
    assert again.find_cluster("kitchen", "scene") == "scene-001"
    assert again.members("scene-001", "scene") == ["new-s00003", "new-s00004"]


def test_a_name_is_free_again_once_its_cluster_is_called_otherwise(shots):
    state = ReviewState.of(shots)
    for name in ("kitchen", "bath"):
        state.apply(create_event.rename(state, ANA, "scene-001", name, level="scene"))
    state.apply(create_event.assign(state, ANA, [s(6)], "kitchen"))
    assert state.cluster_of(s(6)) != "scene-001"
    assert state.find_cluster("bath", "scene") == "scene-001"


def test_an_old_name_that_somebody_still_saw_leads_to_the_cluster(figures):
    before = ReviewState.of(figures)
    late = create_event.assign(before, EventContext(user="ben"), ["film-u0"], "bunny")
    early = create_event.rename(
        ReviewState.of(figures),
        EventContext(user="ana", seen=0),
        "bunny",
        "rabbit",
        level="character",
    )
    early = type(early)(**{**vars(early), "time": "2020-01-01T00:00:00+00:00"})
    assert ReviewState.of(figures).replay([late, early]).cluster_of("film-u0") == "rabbit"


def test_approval_pins_through_another_clustering(lib, shots):
    state = ReviewState.of(shots)
    pinned = create_event.approve(state, ANA, [s(0)])
    rows = [lib.shot_row(i, c) for i, c in enumerate(["x", "y", "y", "z", "z", "z", None])]
    again = ReviewState.of(lib.table(rows)).replay([pinned])
    assert again.cluster_of(s(0)) == "y"
    assert again.frame()["is_approved"].to_list()[:2] == [True, False]


def test_what_was_said_to_belong_nowhere_stays_nowhere(lib, shots):
    state = ReviewState.of(shots)
    out = create_event.assign(state, ANA, [s(0)], "")
    rows = [lib.shot_row(i, "scene-007") for i in range(7)]
    assert ReviewState.of(lib.table(rows)).replay([out]).members("", "scene") == [s(0)]


def test_a_target_whose_members_are_all_noise_today_is_made_anew(lib, shots):
    moved = create_event.assign(ReviewState.of(shots), ANA, [s(6)], "scene-001")
    rows = [lib.shot_row(i, None) for i in range(7)]
    again = ReviewState.of(lib.table(rows)).replay([moved])
    name = again.cluster_of(s(6))
    assert again.members(name, "scene") == [s(0), s(1), s(2), s(6)]


def test_comments_and_captions_change_no_label(shots):
    state = ReviewState.of(shots)
    before = state.frame()["cluster_id"].to_list()
    state.apply(create_event.comment(state, ANA, [s(0)], "too dark"))
    state.apply(create_event.caption_edit(state, ANA, [s(1)], "a kitchen at night"))
    assert state.frame()["cluster_id"].to_list() == before
    assert state.frame()["comments"].to_list()[0] == 1
    assert [e.text for e in state.comments(s(0))] == ["too dark"]
    assert state.captions() == {s(1): ("a kitchen at night", "ana")}
    state.apply(create_event.caption_edit(state, ANA, [s(1)], ""))
    assert state.captions() == {}


def test_undo_and_undo_of_undo(shots):
    state = ReviewState.of(shots)
    moved = create_event.assign(state, ANA, [s(6)], "scene-001")
    state.apply(moved)
    undone = create_event.undo(state, ANA, moved.event_id)
    assert state.apply(undone) == [s(6)]
    assert state.cluster_of(s(6)) is None and state.is_undone(moved.event_id)
    state.apply(create_event.undo(state, ANA, undone.event_id))
    assert state.cluster_of(s(6)) == "scene-001"


@pytest.mark.attack
def test_corrections_stay_in_order_when_the_clock_is_set_back(shots):
    state = ReviewState.of(shots)
    first = create_event.rename(state, ANA, "scene-001", "attic", level="scene")
    ahead = datetime.now(UTC) + timedelta(hours=1)  # the clock showed this before it was set back
    state.apply(replace(first, time=ahead.isoformat()))
    later = [
        create_event.rename(state, ANA, "scene-001", name, level="scene")
        for name in ("cellar", "loft")
    ]
    assert [e.event_id for e in ReviewState.of(shots).replay([*later, *state.every]).every] == [
        first.event_id,
        *(e.event_id for e in later),
    ]
    for event in later:
        state.apply(event)
    assert state.clusters("scene")["name"].drop_nulls().to_list() == ["loft"]
    assert create_event.last_event_by(state, "ana") == later[1]
    state.apply(create_event.undo(state, ANA, later[1].event_id))
    assert state.clusters("scene")["name"].drop_nulls().to_list() == ["cellar"]


def test_undoing_an_early_event_replays_the_later_ones(shots):
    state = ReviewState.of(shots)
    first = create_event.rename(state, ANA, "scene-001", "kitchen", level="scene")
    state.apply(first)
    state.apply(create_event.assign(state, ANA, [s(6)], "kitchen"))
    state.apply(create_event.undo(state, ANA, first.event_id))
    assert state.cluster_of(s(6)) == "scene-001"  # by its exemplars
    assert state.clusters("scene")["name"].to_list() == [None, None]


def _learned(state):
    """What the events so far say of likeness: label, shots, others."""
    return [(one.label, one.items, one.others) for one in state.evidence()]


def test_what_is_learned_from_each_kind_of_event(shots):
    """Shots as alike stand for their cluster in order, those that people spoke of first."""
    said = {
        "assign": (
            lambda st: create_event.assign(st, ANA, [s(6)], "scene-001"),
            [(1, (6,), (0, 1, 2))],
        ),
        "move": (
            lambda st: create_event.assign(st, ANA, [s(3)], "scene-001"),
            [(1, (3,), (0, 1, 2)), (0, (3,), (4, 5))],
        ),
        "out": (lambda st: create_event.assign(st, ANA, [s(0)], ""), [(0, (0,), (1, 2))]),
        "approve": (lambda st: create_event.approve(st, ANA, [s(0)]), [(1, (0,), (1, 2))]),
        "reject": (lambda st: create_event.reject(st, ANA, [s(0)]), [(0, (0,), (1, 2))]),
        "split": (
            lambda st: create_event.split(st, ANA, [s(0), s(1)]),
            [(0, (0, 1), (2,)), (1, (0,), (1,))],
        ),
        "split of one": (lambda st: create_event.split(st, ANA, [s(0)]), [(0, (0,), (1, 2))]),
        "merge": (
            lambda st: create_event.merge(st, ANA, "scene-001", "scene-002", level="scene"),
            [(1, (3, 4, 5), (0, 1, 2))],
        ),
        "rename": (
            lambda st: create_event.rename(st, ANA, "scene-001", "attic", level="scene"),
            [],
        ),
        "comment": (lambda st: create_event.comment(st, ANA, [s(0)], "dark"), []),
    }
    for name, (call, expected) in said.items():
        state = ReviewState.of(shots)
        event = call(state)
        state.apply(event)
        assert _learned(state) == expected, name
        assert {(e.event_id, e.level) for e in state.evidence()} <= {(event.event_id, "scene")}
    state = ReviewState.of(shots)
    for call in (said["assign"][0], said["move"][0]):
        state.apply(call(state))
    assert _learned(state)[1:] == [(1, (3,), (6, 0, 1, 2)), (0, (3,), (4, 5))]


def test_apply_tells_which_items_changed(shots):
    state = ReviewState.of(shots)
    named = create_event.rename(state, ANA, "scene-001", "attic", level="scene")
    for event, changed in [
        (create_event.comment(state, ANA, [s(0)], "dark"), [0]),
        (create_event.caption_edit(state, ANA, [s(1)], "a kitchen"), [1]),
        (create_event.approve(state, ANA, [s(3), s(2)], "scene-002"), [2, 3]),
        (create_event.approve(state, ANA, [s(3), s(2)], "scene-002"), []),
        (create_event.reject(state, ANA, [s(0)], "scene-002"), [0]),
        (named, [0, 1]),
        (named, []),
    ]:
        assert state.apply(event) == [s(i) for i in changed], event.kind
    assert state.num_events == 6 and state.events[0] == named  # it was said first


def test_where_the_machine_began_is_found_again_after_many_events(shots):
    """More than the moments that are kept to go back to."""
    state = ReviewState.of(shots)
    first = create_event.assign(state, ANA, [s(6)], "scene-001")
    state.apply(first)
    for number in range(90):
        state.apply(create_event.comment(state, ANA, [s(number % 7)], "x"))
    middle = state.events[45]
    for target in (first, middle):
        state.apply(create_event.undo(state, ANA, target.event_id))
        assert state.is_undone(target.event_id)
        again = ReviewState.of(shots).replay(state.every)
        assert state.frame().equals(again.frame()) and len(state.events) == len(again.events)
    assert state.cluster_of(s(6)) is None
    assert sum(state.frame()["comments"]) == 89


def test_what_an_event_was_about(shots):
    state = ReviewState.of(shots)
    moved = create_event.assign(state, ANA, [s(6), s(3)], "scene-001")
    noise = create_event.assign(state, ANA, [s(0)], "")
    gone = create_event.split(state, ANA, [s(4)], "attic")
    state.replay([moved, noise, gone])
    assert state.touched(moved.event_id) == ([s(6), s(3)], "scene-001")
    assert state.touched(noise.event_id) == ([s(0)], None)
    assert touched_number(state, noise.event_id) is None
    assert touched_number(state, moved.event_id) == state.number("scene-001", "scene")
    state.apply(create_event.merge(state, ANA, "scene-002", "scene-001", level="scene"))
    assert state.touched(moved.event_id) == ([s(6), s(3)], "scene-002")  # where it went
    assert touched_number(state, moved.event_id) == state.number("scene-002", "scene")
    state.apply(create_event.undo(state, ANA, gone.event_id))
    assert state.touched(gone.event_id) == ([s(4)], "scene-002")
    assert touched_number(state, gone.event_id) is None
    assert state.find_cluster("attic", "scene") is None


def test_a_shot_is_rejected_from_each_part_that_holds_a_quarter_of_its_cluster(lib):
    """Five shots were one scene; of the four others a quarter is with the rejected one today."""
    before = ReviewState.of(lib.table([lib.shot_row(i, "scene-001") for i in range(5)]))
    said = create_event.reject(before, ANA, [s(4)])
    assert [a.asset_id for a in said.cluster.exemplars] == [s(0), s(1), s(2), s(3)]
    today = lib.table([lib.shot_row(i, c) for i, c in enumerate("xxxyy")])
    again = ReviewState.of(today).replay([said])
    assert again.cluster_of(s(4)) is None and is_rejected(again, s(4), "y")
    assert is_rejected(again, s(4), "x") and not is_rejected(again, s(3), "y")

    before = ReviewState.of(lib.table([lib.shot_row(i, "scene-001") for i in range(6)]))
    said = create_event.reject(before, ANA, [s(5)])
    today = lib.table([lib.shot_row(i, c) for i, c in enumerate("xxxxyy")])
    again = ReviewState.of(today).replay([said])  # a fifth is too few
    assert again.cluster_of(s(5)) == "y" and is_rejected(again, s(5), "x")


def test_an_event_keeps_as_many_members_as_it_is_told(shots):
    state = ReviewState.of(shots)
    few = create_event.assign(state, replace(ANA, exemplars=2), [s(6)], "scene-001")
    assert [a.asset_id for a in few.cluster.exemplars] == [s(0), s(1)]
    assert few.cluster.members == ()
    state.apply(create_event.approve(state, ANA, [s(2)]))
    few = create_event.assign(state, replace(ANA, exemplars=2), [s(6)], "scene-001")
    assert [a.asset_id for a in few.cluster.exemplars] == [s(2), s(0)]
    state.apply(few)
    whole = create_event.rename(state, ANA, "scene-001", "attic", level="scene")
    assert [a.asset_id for a in whole.cluster.members] == [
        s(0),
        s(1),
        s(2),
    ]  # as the machine has it
    alone = create_event.approve(state, ANA, [s(0), s(1), s(2), s(6)])
    assert len(alone.cluster.exemplars) == 4  # nobody else stands for it


def test_what_belongs_nowhere_may_be_approved_there(lib, shots):
    state = ReviewState.of(shots)
    right = create_event.approve(state, ANA, [s(6)])
    state.apply(right)
    row = state.frame().filter(pl.col("asset_id") == s(6)).row(0, named=True)
    assert row["is_approved"] and row["cluster_id"] is None and row["doubt"] == 0
    rows = [lib.shot_row(i, "scene-007") for i in range(7)]
    assert ReviewState.of(lib.table(rows)).replay([right]).members("", "scene") == [s(6)]


def test_two_people_who_split_into_one_name_make_one_cluster(shots):
    one = create_event.split(ReviewState.of(shots), ANA, [s(0)], "attic")
    other = create_event.split(ReviewState.of(shots), EventContext(user="ben"), [s(3)], "attic")
    state = ReviewState.of(shots).replay([other, one])
    assert state.cluster_of(s(0)) == state.cluster_of(s(3))
    assert state.clusters("scene")["name"].to_list() == [None, None, "attic"]
    three = create_event.split(ReviewState.of(shots), ANA, [s(0), s(1), s(2)])
    state = ReviewState.of(shots).replay([three])
    assert _learned(state) == [(1, (0,), (1, 2))]


def test_a_name_that_is_gone_leads_to_no_cluster_of_another_name(shots):
    """The shots that were the kitchen are called the bath today: the kitchen is made anew."""
    bath = create_event.rename(ReviewState.of(shots), ANA, "scene-001", "bath", level="scene")
    before = ReviewState.of(shots)
    before.apply(create_event.rename(before, ANA, "scene-001", "kitchen", level="scene"))
    late = create_event.assign(before, ANA, [s(6)], "kitchen")
    state = ReviewState.of(shots).replay([bath, late])
    assert state.find_cluster("bath", "scene") == "scene-001" != state.cluster_of(s(6))
    assert state.find_cluster("kitchen", "scene") == state.cluster_of(s(6))


def test_an_id_is_not_believed_where_the_members_say_otherwise(lib, shots):
    moved = create_event.assign(ReviewState.of(shots), ANA, [s(6)], "scene-001")
    clusters = [None, None, None, "scene-001", "scene-001", "scene-001", None]
    again = ReviewState.of(lib.table([lib.shot_row(i, c) for i, c in enumerate(clusters)]))
    again.replay([moved])
    assert again.members(again.cluster_of(s(6)), "scene") == [s(0), s(1), s(2), s(6)]
    assert again.members("scene-001", "scene") == [s(3), s(4), s(5)]


def test_ids_of_clusters_that_people_make(lib, shots):
    rows = [lib.figure_row("film-t0", 0, "left", "figure-01")]
    rows += [lib.figure_row(f"film-t{i}", i, "left", "figure-01") for i in (1, 2)]
    rows += [lib.figure_row("film-u0", 0, "right", "person-01")]
    state = ReviewState.of(lib.table(rows))
    for item, prefix in (("film-t0", "figure-"), ("film-u0", "person-")):
        event = create_event.split(state, ANA, [item])
        state.apply(event)
        digest = hashlib.sha256(event.event_id.encode()).hexdigest()[:8]
        assert state.cluster_of(item) == prefix + digest
    named = create_event.split(state, ANA, ["film-t1"], "anna")
    state.apply(named)
    assert state.cluster_of("film-t1") == "anna"
    assert state.find_cluster("anna", "character") == "anna"
    assert state.find_cluster("anna", "scene") is None
    scenes = ReviewState.of(shots)
    event = create_event.split(scenes, ANA, [s(0)], "attic")
    scenes.apply(event)
    digest = hashlib.sha256(event.event_id.encode()).hexdigest()[:8]
    assert scenes.find_cluster("attic", "scene") == scenes.cluster_of(s(0)) == f"scene-{digest}"


@pytest.mark.parametrize(
    ("level", "name", "is_name"),
    [
        ("character", "x" * 64, True),
        ("character", "x" * 65, False),
        ("character", "anna b", True),
        ("character", " anna", False),
        ("character", "", False),
        ("character", "an\nna", False),
        ("character", ".anna", False),
        ("character", "person-1", False),
        ("character", "figure-0123abcd", False),
        ("character", "person-abc", True),
        ("character", "scene", False),
        ("character", "unknown", False),
        *(("character", f"a{mark}b", False) for mark in '/\\:*?"<>|'),
        ("scene", "unknown", True),
        ("scene", ".a:b", True),
        ("scene", "a/b", False),
        ("scene", "a ", False),
    ],
)
def test_what_a_cluster_may_be_called(level, name, is_name):
    assert cluster_reference.is_name(level, name) is is_name


def test_of_clusters_of_one_size_the_first_id_comes_first(shots):
    state = ReviewState.of(shots)
    state.apply(create_event.assign(state, ANA, [s(6)], "scene-002"))
    assert state.clusters("scene").rows() == [("scene-002", None, 4), ("scene-001", None, 3)]
    assert state.clusters("character").is_empty()
    assert state.members("", "scene") == [] and state.members("scene-002", "scene")[-1] == s(6)
    for call in (lambda: state.number("x", "scene"), lambda: state.item("x")):
        with pytest.raises(UserError, match=r"x: no .* has this id"):
            call()


def test_items_of_two_kinds_are_not_spoken_of_at_once(lib):
    rows = [lib.shot_row(0, "scene-001"), lib.figure_row("film-t0", 0, "left", "bunny")]
    state = ReviewState.of(lib.table(rows))
    assert (state.level_of([s(0)]), state.level_of(["film-t0"])) == ("scene", "character")
    with pytest.raises(UserError, match="got shots and figures at once"):
        state.level_of([s(0), "film-t0"])
    assert state.frame()["who"].to_list() == [["bunny"], ["bunny"]]
    state.apply(create_event.reject(state, ANA, ["film-t0"]))
    assert state.frame()["who"].to_list() == [[], []]
    assert state.members("", "scene") == [] and state.members("", "character") == ["film-t0"]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda st: create_event.assign(st, ANA, ["nobody"], "scene-001"),
            "no shot or figure of this film has this id",
        ),
        (lambda st: create_event.assign(st, ANA, [], "scene-001"), "got none"),
        (lambda st: create_event.assign(st, ANA, [s(0)], "a/b"), "expected a plain name"),
        (lambda st: create_event.reject(st, ANA, [s(6)]), "in no cluster"),
        (lambda st: create_event.reject(st, ANA, [s(0), s(3)]), "got items of 2 clusters"),
        (lambda st: create_event.merge(st, ANA, "scene-001", "scene-001", level="scene"), "twice"),
        (lambda st: create_event.comment(st, ANA, [s(0)], " "), "got an empty text"),
        (lambda st: create_event.undo(st, ANA, "e"), "no correction has this id"),
        (
            lambda st: create_event.approve(st, EventContext(user=" "), [s(0)]),
            ("expected the name of the person who"),
        ),
    ],
)
def test_what_cannot_be_said_is_refused_in_one_sentence(shots, call, words):
    with pytest.raises(UserError, match=words):
        call(ReviewState.of(shots))


@pytest.mark.parametrize("name", ["../x", ".hidden", "person-03", "a:b", "x" * 65, "unknown"])
def test_a_character_cannot_be_called_what_no_folder_can(figures, name):
    with pytest.raises(UserError, match="expected a plain name"):
        create_event.rename(ReviewState.of(figures), ANA, "person-01", name, level="character")


def test_what_was_learned_lies_under_what_people_said(shots):
    state = ReviewState.of(shots)
    named = create_event.rename(state, ANA, "scene-002", "kitchen", level="scene")
    state.apply(named)
    apart = create_event.split(state, ANA, [s(5)], "attic")
    state.apply(apart)
    attic = state.cluster_of(s(5))
    place = {s(0): "scene-002", s(1): attic, s(2): None, s(5): "scene-001", s(3): "scene-002"}
    learned = state.with_learned(
        pl.DataFrame({"asset_id": list(place), "cluster_id": list(place.values())})
    )
    again = ReviewState.of(learned).replay([apart, named])
    # 0 joins the kitchen, 1 the attic that a person made, 2 noise; 5 was said, 3 is there already.
    assert [again.cluster_of(s(i)) for i in range(7)] == [
        "scene-002",
        attic,
        None,
        "scene-002",
        "scene-002",
        attic,
        None,
    ]
    assert again.frame()["source"].cast(pl.String).to_list() == [
        "learned",
        "learned",
        "learned",
        "machine",
        "machine",
        "person",
        "machine",
    ]
    assert again.clusters("scene")["name"].to_list() == ["kitchen", "attic"]


def test_an_assignment_takes_an_earlier_approval_back(shots):
    state = ReviewState.of(shots)
    for cluster in ("scene-002", "scene-001"):  # elsewhere, and where it is
        approved = create_event.approve(state, ANA, [s(0), s(1)], "scene-001")
        state.apply(approved)
        assert state.frame()["is_approved"].to_list()[:2] == [True, True]
        state.apply(create_event.assign(state, ANA, [s(0)], cluster))
        assert state.frame()["is_approved"].to_list()[:2] == [False, True]
        assert (state.cluster_of(s(0)), state.cluster_of(s(1))) == (cluster, "scene-001")
    state.apply(create_event.approve(state, ANA, [s(0)]))
    state.apply(create_event.split(state, ANA, [s(0)]))  # so does a split
    assert state.frame()["is_approved"].to_list()[:2] == [False, True]


@pytest.mark.parametrize("is_rejected", [False, True])
def test_who_was_rejected_from_a_cluster_falls_into_no_part_of_it(lib, shots, is_rejected):
    """Shot 3 is most like 0 and 1, which somebody splits off."""
    angles = {s(i): a for i, a in enumerate([0, 4, 88, 10, 80, 90])}
    state = ReviewState.of(shots, lib.vectors(angles), noise_threshold=0.5)
    if is_rejected:
        state.apply(create_event.reject(state, ANA, [s(3)], "scene-001"))
    state.apply(create_event.split(state, ANA, [s(0), s(1)], "attic"))
    state.apply(create_event.reject(state, ANA, [s(3)], "scene-002"))
    attic = state.cluster_of(s(0))
    assert attic == state.cluster_of(s(1)) != "scene-001"
    assert state.cluster_of(s(3)) == (None if is_rejected else attic)
    found = look_alike.look_alikes(state, lib.vectors(angles), [s(0)], 0.9, 9)
    assert found["asset_id"].to_list() == []  # nor by likeness: it is there, or was rejected
    state.apply(create_event.assign(state, replace(ANA, origin="propagated"), [s(3)], attic))
    assert state.cluster_of(s(3)) == (None if is_rejected else attic)
    state.apply(create_event.assign(state, ANA, [s(3)], attic))  # a person may
    assert state.cluster_of(s(3)) == attic
