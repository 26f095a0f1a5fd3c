"""The board of a film as a job: ports, references dropped on it, the page for papermill."""

import json
import re
import sys
from pathlib import Path

import cv2
import nbformat
import numpy as np
import pytest
from set_on_disk import make_set

from bunny.command import film_workspace, review
from bunny.core import reference_folder
from bunny.core.error import UserError
from bunny.table import store
from bunny.view.board import widget

sys.path.insert(0, str(Path(__file__).parents[1] / "view" / "board"))
import made

sys.path.pop(0)


@pytest.fixture
def opened(tmp_path, monkeypatch):
    """Workspace and settings of a made-up film."""
    monkeypatch.chdir(tmp_path)
    made.write_film(tmp_path / "output" / "made-00000000", made.small_rows())
    return film_workspace.open_film("made", str(tmp_path))


def png(size=64):
    noise = np.random.default_rng(0).integers(0, 255, (size, size, 3), np.uint8)
    return cv2.imencode(".png", noise)[1].tobytes()


def test_references_dropped_on_a_character(opened):
    space, _ = opened
    said = review.add_references(space, "anna", [("My pic (1).PNG", png()), ("b.jpg", png(32))])
    assert said.startswith("2 reference pictures of anna added")
    kept = reference_folder.list_pictures(space.root / "reference")
    assert [p.relative_to(space.root).parts[:2] for p in kept] == [("reference", "anna")] * 2
    assert [p.suffix for p in kept] == [".jpg", ".png"] and kept[1].read_bytes() == png()
    assert kept[1].name.startswith("my-pic-1-")
    source = space.source()
    assert source["references"] == str(space.root / "reference") and source["reference_hash"]


@pytest.mark.parametrize(
    ("name", "file", "data", "sentence"),
    [
        ("anna", "a.txt", png(), "expected a picture"),
        ("anna", "a.png", b"no picture", "expected a readable picture"),
        ("anna", "a.png", b"", "expected a readable picture"),
        ("anna", "a.png", b"0" * (20 * 2**20 + 1), "expected at most 20 MB"),
        ("../anna", "a.png", png(), "expected a plain character name"),
    ],
)
def test_what_is_no_reference_is_refused_and_nothing_is_kept(opened, name, file, data, sentence):
    space, _ = opened
    with pytest.raises(UserError, match=sentence):
        review.add_references(space, name, [("good.png", png()), (file, data)])
    assert not (space.root / "named").exists()


def test_upload_goes_through_the_desk(opened):
    desk = review.open_session(*opened, user="ann")
    message = {"kind": "upload", "view": "v", "id": 1, "names": ["a.png"], "cluster": "anna"}
    answer, _ = desk.handle(message, [png()])
    assert answer["done"].startswith("1 reference picture of anna added")
    answer, _ = desk.handle({**message, "cluster": "person-01"}, [png()])
    assert answer["error"].startswith("person-01: reference pictures need a named character")


def test_the_page_that_is_served_is_a_notebook():
    given = {"film_id": "a", "data_dir": "b", "overrides": ["x=1"], "user": 'a "quoted" \\ name'}
    book = nbformat.reads(json.dumps(review.voila_notebook(given)), as_version=4)
    nbformat.validate(book)
    scope = {}
    exec("\n".join(book.cells[0].source.splitlines()[:2]), scope)
    assert scope["given"] == given
    assert book.cells[0].source.splitlines()[2:] == ["review.show_asked(**given)"]


@pytest.mark.parametrize("query", ["token=t%26&film=nobody", "film=nobody"])
def test_an_unknown_film_in_the_address_is_a_sentence_with_the_films_that_there_are(
    opened, tmp_path, monkeypatch, query
):
    monkeypatch.setenv("QUERY_STRING", query)
    page = review.show_asked("made", str(tmp_path), [], "").data
    assert "nobody: expected a film of this server, found none" in page
    token = "token=t%26&amp;" if "token" in query else ""
    assert f'href="/?{token}film=made-00000000">made-00000000</a>' in page
    assert f'href="/films?{token.removesuffix("&amp;")}">' in page


def test_a_table_where_nothing_can_be_clicked(opened):
    space, _ = opened
    store.write(space.table, "dataset", store.from_rows("dataset", make_set(space, "anna", 4, 0)))
    page = review.show(*opened, is_interactive=False).data
    assert re.search(r"<td[^>]*>anna</td>\s*<td[^>]*>4</td>\s*<td[^>]*>open</td>", page)
    assert "scene-004" in page and "person-01" in page and ">0.30<" in page


def test_the_board_knows_whether_training_waits_for_an_approval(opened):
    space, config = opened
    assert not review.open_session(space, config).review.needs_approval
    data_dir = str(space.root.parents[1])
    waiting = film_workspace.open_film("made", data_dir, ["review.needs_approval=true"])
    assert review.open_session(*waiting).review.needs_approval


@pytest.mark.parametrize(("threshold", "falls_to"), [(0.015, True), (0.025, False)])
def test_on_the_board_a_rejected_shot_falls_to_a_place_that_is_as_like_it_as_is_set(
    opened, threshold, falls_to
):
    """Shot 5 shares only the last number with other scenes: 0.196 of it, 0.099 of theirs."""
    space, _ = opened
    override = f"clustering.noise_threshold={threshold}"
    data_dir = str(space.root.parents[1])
    desk = review.open_session(*film_workspace.open_film("made", data_dir, [override]))
    row = desk.table.filter(level="scene", shot_index=5)["row"].item()
    desk.handle({"view": "v", "kind": "hello", "query": {}, "id": 1})
    act = {"kind": "act", "action": "reject", "level": "scene", "rows": [row]}
    desk.handle({"user": "ann", "view": "v", "seen": 0, "id": 2, **act})
    assert (desk.table["cluster_id"][row] not in ("scene-001", None)) == falls_to


def test_a_widget_carries_messages(opened):
    desk = review.open_session(*opened, user="ann")
    board = widget.make_board(desk, is_alone=True)
    sent = []
    board.send = lambda answer, parts: sent.append((answer, parts))
    board._handle_custom_msg({"kind": "hello", "view": "v", "id": 3, "query": {}}, [])
    assert sent[0][0]["id"] == 3 and len(sent[0][1][0]) == 4 * 29
    assert board.is_alone and board.height_px == 760
    board.close()


def test_a_film_that_was_not_clustered_is_refused(opened, bunny):
    space, _ = opened
    (space.table / "asset.parquet").unlink()
    data_dir = space.root.parents[1]
    code, _, error = bunny("review", "made", "--data-dir", data_dir, "--no-browser")
    assert code == 2 and "run the film up to stage review first" in error
    code, _, error = bunny("review", "nobody", "--data-dir", data_dir, "--no-browser")
    assert code == 2 and "found none" in error
