"""Corrections without one person: what goes, what is taken out of others, what stays."""

from bunny.review.erase_event import erase
from bunny.review.event_log import AssetAnchor, ClusterRef, Event

ANNA = AssetAnchor(start_s=1, end_s=2, asset_id="t1")
BO = AssetAnchor(start_s=1, end_s=2, asset_id="t2")


def event(kind, **more):
    return Event(
        event_id=more.pop("event_id", kind), user="mia", kind=kind, level="character", **more
    )


def erased(*events):
    return erase(
        events, "anna", lambda one: one == ANNA, lambda text: text.replace("anna", "person")
    )


def test_what_names_the_person_goes_with_what_undoes_it():
    named = event("rename", cluster=ClusterRef(cluster_id="person-01"), text="anna")
    to_her = event("assign", items=(BO,), cluster=ClusterRef(cluster_id="scene-1/anna"))
    merged = event(
        "merge", cluster=ClusterRef(cluster_id="x", name="bo"), other=ClusterRef(cluster_id="anna")
    )
    back = event("undo", undoes="rename")
    kept = event("approve", items=(BO,), cluster=ClusterRef(cluster_id="bo", name="bo"))
    assert erased(named, to_her, merged, back, kept) == [kept]


def test_her_items_and_her_name_are_taken_out_of_what_is_about_others():
    said = event("comment", items=(ANNA, BO), text="anna left, bo right")
    members = ClusterRef(cluster_id="bo", exemplars=(BO, ANNA), members=(ANNA,))
    moved = event("assign", items=(BO,), cluster=members)
    comment, assign = erased(said, moved)
    assert (comment.items, comment.text) == ((BO,), "person left, bo right")
    assert (assign.cluster.exemplars, assign.cluster.members) == ((BO,), ())
    assert erased(event("approve", items=(ANNA,))) == []


def test_what_somebody_had_seen_is_counted_without_what_went():
    first = event("approve", event_id="1", items=(ANNA,))
    second = event("approve", event_id="2", items=(BO,), seen=1)
    third = event("approve", event_id="3", items=(BO,), seen=2)
    assert [one.seen for one in erased(first, second, third)] == [0, 1]
