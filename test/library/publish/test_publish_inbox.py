"""Comments and approvals of dashboards come in, once; our events go out."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from bunny.review import event_log as record
from bunny.review.event_log import AssetAnchor, ClusterRef, Event

FILM = "film-0a1b2c3d"


def write(database, kind, text, asset="t0", film=FILM, reason=None):
    """What a dashboard does, with the owner's rights."""
    with database.cursor() as cursor:
        cursor.execute(
            "INSERT INTO review_event (film_id, item_id, kind, text, reason) "
            "VALUES ($1, (SELECT id FROM shots WHERE asset_id = $2), $3, $4, $5)",
            (film, f"{FILM}-{asset}", kind, text, reason),
        )


def test_a_comment_becomes_an_event_about_the_figure(publish, database, film):
    publish()
    write(database, "comment", "  too dark  ", reason="for print")
    done = publish()
    (event,) = record.read(film)
    assert done.taken == 1
    assert (event.kind, event.level, event.text, event.reason, event.origin, event.user) == (
        "comment",
        "character",
        "too dark",
        "for print",
        "database",
        "postgres",
    )
    (anchor,) = event.items
    assert (anchor.start_s, anchor.end_s, anchor.asset_id) == (0.2, 1.0, f"{FILM}-t0")
    assert anchor.boxes == ((pytest.approx(0.3), 0.1, 0.1, 0.3, 0.5),)
    assert event.time.endswith("+00:00")


def test_an_approval_says_of_which_cluster_with_its_members(publish, database, film):
    publish()
    write(database, "approve", None)
    write(database, "approve", None, asset="s1")
    publish()
    figure, noise = record.read(film)
    assert (figure.cluster.cluster_id, figure.cluster.name) == ("anna", "anna")
    assert {a.asset_id for a in figure.cluster.exemplars} == {f"{FILM}-t0", f"{FILM}-t1"}
    assert noise.cluster == ClusterRef(cluster_id="")


def test_nothing_is_taken_twice(publish, database, film):
    publish()
    write(database, "comment", "one")
    assert publish(is_pull_only=True).taken == 1
    database.run("UPDATE review_event SET status = 'new'")  # as after a kill before the commit
    assert publish().taken == 0
    assert len(record.read(film)) == 1
    assert database.query("SELECT status, count(*) FROM review_event GROUP BY 1") == [("taken", 1)]


def test_pulling_alone_changes_no_table_and_a_dry_run_takes_nothing(publish, database, film):
    publish()
    write(database, "comment", "one")
    (film / "table" / "asset.parquet").unlink()
    done = publish(is_pull_only=True, is_dry_run=True)
    assert (done.taken, len(record.read(film))) == (1, 0)
    assert database.query("SELECT status FROM review_event") == [("new",)]
    assert publish(is_pull_only=True).taken == 1
    assert database.query("SELECT count(*) FROM shots") == [(4,)]


HOSTILE = [
    "'); DROP TABLE shots; --",
    "$1 {film_id} %s \\",
    "<script>alert(1)</script>",
    '{"kind": "merge"}\n{"event_id": "x"}',
    "\u202e\u0007 🐇",
]


@pytest.mark.attack
def test_hostile_text_is_data(publish, database, film):
    publish()
    for text in HOSTILE:
        write(database, "comment", text, reason=text)
    assert publish().taken == len(HOSTILE)
    assert sorted(e.text for e in record.read(film)) == sorted(text.strip() for text in HOSTILE)
    assert database.query("SELECT count(*) FROM shots") == [(4,)]


@pytest.mark.attack
def test_what_makes_no_sense_is_refused_with_a_note_and_not_looked_at_again(
    publish, database, film, make_film, tmp_path
):
    make_film(tmp_path, "other-99999999")
    publish()
    write(database, "comment", "   ")
    write(database, "comment", "lost", asset="nowhere")
    write(database, "merge", "everything")
    write(database, "comment", "of another film", film="other-99999999")
    done = publish()
    assert (done.taken, len(done.refused)) == (0, 3)
    assert len(publish("other-99999999").refused) == 1
    notes = database.query("SELECT note FROM review_event WHERE status = 'refused' ORDER BY kind")
    assert sorted(n for (n,) in notes) == [
        "a comment needs a text, got an empty one",
        "expected kind comment or approve",
        "no item of this film has this item_id",
        "no item of this film has this item_id",
    ]
    assert publish().refused == {}
    assert record.read(film) == []


def test_our_events_go_out_once_and_whole(publish, database, film):
    anchor = AssetAnchor(start_s=0.2, end_s=1.0, asset_id=f"{FILM}-t0")
    odd = Event(event_id="no uuid", user="Zoë", kind="comment", level="character", items=(anchor,))
    many = Event(user="o'neil", kind="approve", level="character", items=(anchor, anchor))
    record.append(film, [odd, many])
    assert publish().given == 2
    assert publish().given == 0
    rows = database.query(
        "SELECT r.user_name, r.kind, r.origin, r.status, s.asset_id, r.event::text "
        "FROM review_event r LEFT JOIN shots s ON s.id = r.item_id ORDER BY r.kind"
    )
    assert [row[:5] for row in rows] == [
        ("o'neil", "approve", "board", "pushed", None),
        ("Zoë", "comment", "board", "pushed", f"{FILM}-t0"),
    ]
    assert json.loads(rows[1][5]) == json.loads(json.dumps(odd.to_dict()))
    assert publish(is_pull_only=True).taken == 0


def test_an_event_says_how_many_the_dashboard_could_know(publish, database, film):
    anchor = AssetAnchor(start_s=0.2, end_s=1.0)
    events = [
        Event(user="a", kind="comment", level="character", items=(anchor,), text=str(n))
        for n in range(3)
    ]
    record.append(film, events[:2])
    publish()
    record.append(film, events[2:])
    write(database, "approve", None)
    publish()
    assert record.read(film)[-1].seen == 2


def test_a_comment_outlives_its_item(publish, database, film):
    from bunny.table import store

    publish()
    write(database, "comment", "nice")
    asset = store.read(film / "table", "asset")
    store.write(film / "table", "asset", asset.filter(asset["asset_id"] != f"{FILM}-t0"))
    assert publish().taken == 1
    assert [a.asset_id for a in record.read(film)[0].items] == [f"{FILM}-t0"]
    assert database.query("SELECT item_id, text, status FROM review_event") == [
        (None, "nice", "taken")
    ]


def test_what_came_in_holds_when_the_corrections_are_replayed(publish, database, film):
    from bunny.review.state import ReviewState
    from bunny.table import store

    publish()
    write(database, "approve", None)
    write(database, "comment", "nice", asset="s0")
    publish()
    state = ReviewState.of(store.read(film / "table", "asset"))
    state.replay(record.read(film))
    asset = {row["asset_id"][-2:]: row for row in state.frame().iter_rows(named=True)}
    assert [a for a, row in asset.items() if row["is_approved"]] == ["t0"]
    assert [a for a, row in asset.items() if row["comments"]] == ["s0"]


def test_two_who_pull_at_once_take_a_comment_once(publish, database, film):
    publish()
    write(database, "comment", "one")
    with ThreadPoolExecutor(2) as pool:
        done = [pool.submit(publish, is_pull_only=True) for _ in range(2)]
    assert sorted(d.result().taken for d in done) == [0, 1]
    assert len(record.read(film)) == 1
