"""What a desk answers: corrections, several people at once, pictures."""

import shutil

import cv2
import numpy as np
import polars as pl
import pytest

from bunny.core.config import ReviewConfig
from bunny.review import event_log
from bunny.table import store
from bunny.view.board import items, query, serialize, session, thumbnail


def kinds(film_dir):
    return [event.kind for event in event_log.read(film_dir)]


def test_hello_says_what_there_is(opened):
    answer = opened.ask("hello", query={"sort": "film"})
    assert answer["levels"] == ["scene", "character"] and answer["film_id"] == "made-00000000"
    assert [f["count"] for f in answer["folders"]] == [5, 6, 6, 6, 6]
    assert answer["folders"][0]["id"] == "" and answer["aspect"] == pytest.approx(320 / 180)
    assert len(opened.order) == 29 and answer["undo"] is None


def test_from_noise_to_a_cluster_and_back(opened, film_dir):
    assert opened.rows(cluster="", sort="film") == [24, 25, 26, 27, 28]
    row = int(opened.order[1])
    answer = opened.act("assign", [row], cluster="scene-002")
    assert opened.where(row) == "scene-002" and kinds(film_dir) == ["assign"]
    assert opened.desk.table["shot_index"].gather(opened.order).to_list() == [24, 26, 27, 28]
    assert [item["row"] for item in answer["items"]] == [row]
    assert answer["undo"] == answer["done"] == "moved 1 shot to scene-002"
    event = event_log.read(film_dir)[0]
    assert (event.user, event.seen, event.items[0].start_s) == ("ann", 0, 50.0)
    answer = opened.ask("undo")
    assert opened.where(row) is None and len(opened.order) == 5
    assert answer["redo"] == "moved 1 shot to scene-002" and answer["undo"] is None
    assert opened.ask("redo")["done"] == "redid: moved 1 shot to scene-002"
    assert opened.where(row) == "scene-002"
    assert kinds(film_dir) == ["assign", "undo", "undo"]


@pytest.mark.parametrize(("threshold", "falls_to"), [(0.0, True), (0.5, False)])
def test_a_rejected_shot_falls_to_a_scene_that_is_as_like_it_as_is_set(
    film_dir, threshold, falls_to
):
    """Shots of other scenes are at most 0.04 alike."""
    film = items.read_film(film_dir.name, film_dir)
    desk = session.BoardSession(film, ReviewConfig(), noise_threshold=threshold)
    row = desk.table.filter(level="scene", shot_index=0)["row"].item()
    about = {"user": "ann", "view": "v", "seen": 0}
    desk.handle({**about, "kind": "hello", "query": {}, "id": 1})
    act = {"kind": "act", "action": "reject", "level": "scene", "rows": [row], "id": 2}
    answer, _ = desk.handle({**about, **act})
    assert "moved" in answer["done"] or "rejected" in answer["done"]
    assert (desk.table["cluster_id"][row] is not None) == falls_to


def test_a_message_that_comes_twice_is_done_once(opened, film_dir):
    """A front end sends again what a broken connection may have lost."""
    opened.ask("hello", query={})
    one = opened.act("rename", cluster="scene-001", text="kitchen", id="x")
    two = opened.act("rename", cluster="scene-001", text="kitchen", id="x")
    assert two["done"] == one["done"] and kinds(film_dir) == ["rename"]
    opened.ask("undo", id="y")
    opened.ask("undo", id="y")
    assert kinds(film_dir) == ["rename", "undo"]


def test_what_is_taken_back_is_doubtful_again(opened, film_dir, browser):
    """Stage review wrote doubt 0 for them; the vectors say how sure the machine was.

    Of shot 0 the others of its scene have cosine 0.99295, other scenes 0: 1 - sqrt(0.9859). Shot 25
    is in noise, and its cosine to the nearest scene 0.0098: 0.5 + 0.0049.
    """
    opened.rows(sort="film")
    first, odd = (int(opened.order[i]) for i in (0, 25))
    opened.act("approve", [first])
    opened.act("assign", [odd], cluster="scene-002")
    store.write(film_dir / "table", "asset", opened.desk.state.frame())
    again = browser(film_dir)
    again.rows(sort="film")
    assert again.desk.table["doubt"].gather([first, odd]).to_list() == [0, 0]
    again.ask("undo")
    answer = again.ask("undo")
    assert [item["row"] for item in answer["items"]] == [first] and again.where(odd) is None
    found = again.desk.table["doubt"].gather([first, odd]).to_list()
    assert found == pytest.approx([0.0071, 0.5049], abs=2e-4)
    again.ask("redo")
    assert again.desk.table["doubt"][first] == 0


def test_items_without_vectors_are_taken_back_to_the_middle(opened):
    asset = opened.desk.film.asset
    said = asset.with_columns(
        pl.lit("person").alias("source"), pl.lit(0.0, pl.Float32).alias("doubt")
    )
    assert items.restore_doubt(said, {"scene": None})["doubt"].unique().to_list() == [0.5]
    assert items.restore_doubt(asset, {"scene": None}) is asset


def test_reject_is_one_event_a_cluster(opened, film_dir):
    opened.rows(sort="film")
    rows = [int(opened.order[i]) for i in (0, 1, 7, 25)]  # two scenes and one in noise already
    opened.act("reject", rows)
    found = event_log.read(film_dir)
    assert [(e.cluster.cluster_id, len(e.items)) for e in found] == [
        ("scene-001", 2),
        ("scene-002", 1),
    ]
    assert all(opened.where(row) not in ("scene-001", "scene-002") for row in rows[:2])
    with pytest.raises(LookupError, match="already in the noise bucket"):
        opened.act("reject", rows[3:])
    assert len(event_log.read(film_dir)) == 2


def test_merge_rename_split_approve(opened):
    opened.rows(cluster="scene-001", sort="film")
    rows = opened.order.tolist()
    opened.act("rename", cluster="scene-001", text="kitchen")
    answer = opened.act("merge", cluster="scene-001", other="scene-002")
    by_id = {f["id"]: f for f in answer["folders"]}
    assert by_id["scene-001"]["name"] == "kitchen" and by_id["scene-001"]["count"] == 12
    assert "scene-002" not in by_id and len(opened.order) == 12
    assert answer["done"] == "merged scene-002 into kitchen"
    opened.act("split", rows[:2], text="garden")
    assert len(opened.order) == 10 and opened.desk.table["name"][rows[0]] == "garden"
    answer = opened.act("approve", rows[2:5])
    share = {f["name"]: f["approved"] for f in answer["folders"]}
    assert share["kitchen"] == pytest.approx(0.3) and share["garden"] == 0
    assert {item["doubt"] for item in answer["items"]} == {0.0}


def test_look_alikes_are_shown_before_anything_is_changed(opened, film_dir):
    """Shots 24 to 28 differ by 0, 0.1, 0.2, 0, 0.1 in one coordinate."""
    opened.rows(cluster="", sort="film")
    rows = opened.order.tolist()
    opened.act("assign", rows[:1], cluster="scene-001")  # shot 24
    answer = opened.ask("preview", rows=rows[:1])
    assert [one["row"] for one in answer["found"]] == [rows[i] for i in (3, 1, 4, 2)]
    assert answer["found"][0]["similarity"] == 1.0 and answer["cluster"] == "scene-001"
    assert answer["found"][1]["similarity"] == pytest.approx(1 / 1.01**0.5, abs=1e-3)
    assert [len(part) > 500 for part in answer["parts"]] == [True] * 4
    assert kinds(film_dir) == ["assign"] and opened.where(rows[3]) is None
    opened.act("propagate", [one["row"] for one in answer["found"]], cluster="scene-001")
    assert (
        opened.where(rows[3]) == "scene-001" and event_log.read(film_dir)[1].origin == "propagated"
    )
    opened.ask("undo")
    assert [opened.where(row) for row in rows] == ["scene-001", None, None, None, None]


def test_comments_and_captions(opened):
    opened.rows(sort="film")
    first, second = opened.order[:2].tolist()
    answer = opened.act("comment", [first, second], text=" too dark ")
    assert [item["comments"] for item in answer["items"]] == [1, 1]
    opened.act("caption", [first], text="a kitchen at night")
    known = opened.ask("detail", row=first)
    assert known["caption"] == "a kitchen at night"
    assert [(c["user"], c["text"]) for c in known["comments"]] == [("ann", "too dark")]
    assert ["shot", "0"] not in known["facts"] and ["cluster", "scene-001"] in known["facts"]
    assert opened.ask("detail", row=second)["caption"] == ""


def test_character_view(opened):
    answer = opened.ask("query", query={"level": "character"})
    assert [f["id"] for f in answer["folders"]] == ["", "anna", "bruno", "person-01"]
    rows = opened.rows(level="character", cluster="person-01", sort="film")
    assert rows == [4, 10, 16, 22, 28]
    opened.act("rename", cluster="person-01", text="carla", level="character")
    table = opened.desk.table
    assert table.filter(table["name"] == "carla").height == 5
    assert "carla" in opened.ask("query", query={})["folders"][1]["who"][-1]["who"]


def test_two_people_see_each_other_and_conflicts_are_said(opened, film_dir, browser):
    other = browser(film_dir, "bob")
    opened.rows(cluster="", sort="film")
    row = int(opened.order[0])
    other.act("assign", [row], cluster="scene-003")
    answer = opened.act("assign", [row], cluster="scene-001")
    said = [news["text"] for news in answer["news"] if news["is_conflict"]]
    assert said == [
        (
            "In the meantime bob moved 1 shot to scene-003. Both corrections are kept; yours "
            "is later and takes effect."
        )
    ]
    news = other.ask("poll")
    assert [n["text"] for n in news["news"]] == ["ann moved 1 shot to scene-001"]
    assert other.where(row) == opened.where(row) == "scene-001"
    assert len(event_log.read(film_dir)) == 2  # both are kept
    assert "folders" not in other.ask("poll")  # nothing is new


def test_a_rename_by_another_of_the_same_cluster_is_a_conflict(opened, film_dir, browser):
    other = browser(film_dir, "bob")
    other.act("rename", cluster="scene-001", text="hall")
    answer = opened.act("rename", cluster="scene-001", text="kitchen")
    assert sum(n["is_conflict"] for n in answer["news"]) == 1
    other.ask("poll")
    assert other.desk.table.filter(cluster_id="scene-001")["name"].unique().to_list() == ["kitchen"]


def test_undo_takes_back_ones_own_only(opened, film_dir, browser):
    other = browser(film_dir, "bob")
    opened.act("rename", cluster="scene-001", text="kitchen")
    other.act("rename", cluster="scene-002", text="hall")
    assert opened.ask("undo")["done"] == "undid: renamed scene-001 to kitchen"
    with pytest.raises(LookupError, match="ann has nothing to undo"):
        opened.ask("undo")
    names = opened.desk.table["name"].unique().to_list()
    assert "hall" in names and "kitchen" not in names


def test_two_views_of_one_desk_are_told_apart(opened):
    """A notebook's output may be open twice; each has a query of its own."""
    opened.ask("hello", view="w", query={"cluster": ""})
    assert len(opened.order) == 5
    row = int(opened.order[0])
    opened.act("assign", [row], cluster="scene-001")
    answer = opened.ask("poll", view="w")
    assert answer["has_order"] and len(answer["parts"][0]) == 4 * 4


def test_the_film_was_run_again(opened, film_dir, made):
    opened.act("rename", cluster="scene-001", text="kitchen")
    shutil.rmtree(film_dir / "frame")
    record = (film_dir / event_log.FILE).read_bytes()
    shutil.rmtree(film_dir)
    made.write_film(film_dir, made.small_rows(num_noise=7))
    (film_dir / event_log.FILE).write_bytes(record)
    assert opened.ask("poll").get("is_closed")
    answer = opened.ask("hello", query={})
    assert answer["folders"][0]["count"] == 7
    assert answer["folders"][1]["name"] == "kitchen"


@pytest.mark.parametrize(
    ("kind", "values", "sentence"),
    [
        ("dance", {}, "expected one of hello, query"),
        ("page", {"rows": [99]}, "row index out of range: expected 0 to 43"),
        ("page", {}, "page: missing or malformed field"),
        ("act", {"action": "sing"}, "unknown action 'sing': expected one of assign"),
        ("act", {"action": "approve", "rows": []}, "no items are selected"),
        (
            "act",
            {"action": "rename", "cluster": "scene-009", "text": "x"},
            "scene-009: no cluster of level scene",
        ),
        ("query", {"query": {"level": "city"}}, "level: expected one of scene, character"),
        ("undo", {"user": ""}, "nobody has nothing to"),
        ("upload", {"names": [], "cluster": "anna"}, "this board cannot receive pictures"),
    ],
)
def test_what_cannot_be_is_one_sentence(opened, film_dir, kind, values, sentence):
    with pytest.raises(LookupError, match=sentence):
        opened.ask(kind, **values)
    assert not (film_dir / event_log.FILE).exists()


KINDS = {
    "hello": ("query",),
    "query": ("query",),
    "page": ("rows", "pictures"),
    "detail": ("row",),
    "preview": ("rows",),
    "act": ("action", "rows", "cluster", "other", "text", "seen", "level", "user"),
    "undo": ("user", "seen"),
    "redo": ("user", "seen"),
    "poll": ("user",),
    "upload": ("names", "cluster"),
    "sets": (),
    "set_pictures": ("images",),
    "set_decide": ("character", "set_hash", "num_said", "is_withdrawn", "text"),
    "apply": (),
}
WRONG = (None, True, -1, 1.5, float("inf"), float("nan"), 10**30, "", "x", "\ud800", b"x")
WRONG = (*WRONG, [], [None], [[]], ["x"], [10**30], {}, {"level": 3}, {"a": {}}, [[0]])
ACTS = ("assign", "propagate", "reject", "split", "approve", "comment", "caption", "merge")


@pytest.mark.parametrize("kind", KINDS)
def test_a_malformed_message_is_answered_by_a_sentence(opened, kind):
    """Each field in turn is absent and of every wrong type; the board goes on."""
    good = {
        "rows": [0],
        "row": 0,
        "action": "comment",
        "text": "a",
        "query": {},
        "names": ["a.png"],
        "cluster": "scene-001",
        "other": "scene-002",
        "images": ["x"],
    }
    fields = (*KINDS[kind], "id", "view", "kind")
    changes = [{field: value} for field in fields for value in WRONG] + [{}]
    if kind == "act":
        changes += [{"action": act, f: w} for act in ACTS for f in KINDS["act"][1:] for w in WRONG]
    if kind in ("hello", "query"):
        parts = ("level", "cluster", "who", "search", "status", "sort")
        changes += [{"query": {part: wrong}} for part in parts for wrong in WRONG]
    for change in changes:
        for given in ({**good, **change}, change):
            message = {"kind": kind, "view": opened.view, "user": "ann", "id": 7, **given}
            answer, parts = opened.desk.handle(message)
            assert isinstance(answer, dict) and isinstance(parts, list), change
            assert "\n" not in answer.get("error", "")
    for message in (None, "x", [], 1.5):
        assert "expected a message" in opened.desk.handle(message)[0]["error"]
    opened.ask("poll")


def test_pages_have_words_and_pictures(opened, film_dir):
    opened.rows(level="character", sort="film")
    rows = opened.order[:2].tolist()
    answer = opened.ask("page", rows=rows, pictures=rows[:1])
    assert [item["shot"] for item in answer["items"]] == [0, 2]
    assert [item["name"] for item in answer["items"]] == ["anna", "bruno"]
    (picture,) = answer["parts"]
    image = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
    assert image.shape == (160, 160, 3)  # the square around the figure, 180 high at most
    (film_dir / "frame" / "00000002.jpg").unlink()
    assert opened.ask("page", rows=[], pictures=rows[1:])["parts"] == [b""]


def test_what_is_settled_asks_nothing(made):
    told = made.asset_row(0, cluster="scene-001", question=3, doubt=0.5)
    settled = made.asset_row(1, cluster="scene-001", question=3, doubt=0.0)
    table = query.number_rows(made.asset([told, settled]))
    assert [serialize.item(row)["question"] for row in table.iter_rows(named=True)] == [3, None]
    of_old = query.number_rows(made.asset([told]).drop("question"))
    assert serialize.item(of_old.row(0, named=True))["question"] is None


def test_small_pictures(tmp_path):
    """A figure at the right edge: the square is moved into the picture; a large one is reduced."""
    image = np.zeros((720, 1280, 3), np.uint8)
    image[200:300, 1180:1280] = (0, 0, 255)
    cv2.imwrite(str(tmp_path / "a.png"), image)
    assert thumbnail.square((1180, 200, 1280, 300), 1280, 720) == (1120, 170, 1280, 330)
    source = thumbnail.ThumbnailSource(
        file=tmp_path / "a.png", width_px=1280, height_px=720, box=(1180, 200, 1280, 300)
    )
    small = cv2.imdecode(np.frombuffer(thumbnail.cut(source), np.uint8), cv2.IMREAD_COLOR)
    assert small.shape == (160, 160, 3)
    assert small[80, 130, 2] > 200 and small[80, 20, 2] < 40 and small[10, 130, 2] < 40
    whole = thumbnail.ThumbnailSource(file=tmp_path / "a.png", width_px=1280, height_px=720)
    small = cv2.imdecode(np.frombuffer(thumbnail.cut(whole), np.uint8), cv2.IMREAD_COLOR)
    assert small.shape == (90, 160, 3) and small[31, 154, 2] > 200
    held = thumbnail.ThumbnailCache(max_kept=1)
    assert held.get([source, None, whole, source])[1] == b""
    assert (
        thumbnail.cut(
            thumbnail.ThumbnailSource(file=tmp_path / "none.png", width_px=1, height_px=1)
        )
        == b""
    )


def test_a_board_that_nothing_updates_says_so(opened):
    assert "update" not in opened.ask("hello", query={})
    answer, _ = opened.desk.handle({"kind": "apply", "view": "v", "id": 99, "user": "ann"})
    assert "cannot make training sets; open it with `bunny review`" in answer["error"]
