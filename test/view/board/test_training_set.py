"""Training sets on the board: what is shown, who may approve what, and two people at once."""

import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from set_on_disk import make_set

from bunny.core.config import ReviewConfig, RightsConfig
from bunny.dataset import approval, rights
from bunny.table import store
from bunny.view.board import training_set


@pytest.fixture
def with_sets(film_dir):
    """The film's folder with sets of anna (three pictures and one held out) and bo."""
    space = SimpleNamespace(root=film_dir)
    rows = make_set(space, "anna", 4, 0) + make_set(space, "bo", 3, 50)
    rows[0] |= {"role": "class", "caption": "a woman"}
    store.write(film_dir / "table", "dataset", store.from_rows("dataset", rows))
    known = rights.make_record("a.mp4", "00", RightsConfig(film_licence="CC0-1.0"))
    (film_dir / "dataset" / "rights.json").write_text(json.dumps(known))
    return film_dir


def state_of(person, name="anna"):
    return next(one for one in person.ask("sets")["sets"] if one["character"] == name)


def decide(person, shown, **values):
    keys = ("character", "set_hash", "num_said")
    return person.ask("set_decide", **{key: shown[key] for key in keys}, **values)


def holds(root, name="anna"):
    found = approval.find(store.read(root / "table", "dataset"), root, name)
    return found and found.by


def test_what_is_approved_is_shown_first(with_sets, browser):
    ann = browser(with_sets)
    assert ann.ask("query", query={})["has_sets"]
    answer = ann.ask("sets")
    assert [one["character"] for one in answer["sets"]] == ["anna", "bo"]
    assert not answer["needs_approval"]
    assert answer["rights"] == ["Film: a.mp4, CC0-1.0", "Consent of the people shown not given."]
    anna = answer["sets"][0]
    ids = [one["image_id"] for one in anna["pictures"]]
    assert ids == ["anna-1", "anna-2", "anna-3", "anna-0"]  # the class picture last
    assert (anna["state"], anna["by"], anna["num_said"]) == ("open", "", 0)
    parts = ann.ask("set_pictures", images=[*ids, "no-such"])["parts"]
    assert parts[-1] == b"" and len(parts) == 5
    seen = cv2.imdecode(np.frombuffer(parts[0], np.uint8), cv2.IMREAD_COLOR)
    cv2.imwrite(str(with_sets / "dataset" / "anna" / "0001.png"), np.zeros((64, 64, 3), np.uint8))
    (part,) = ann.ask("set_pictures", images=["anna-1"])["parts"]  # read anew, not remembered
    black = cv2.imdecode(np.frombuffer(part, np.uint8), cv2.IMREAD_COLOR)
    assert seen.mean() > 90 and black.mean() < 5


def test_approved_changed_withdrawn(with_sets, browser):
    ann = browser(with_sets)
    shown = state_of(ann)
    first = decide(ann, shown, id="x")
    assert first["done"] == "approved 4 pictures of anna"
    assert decide(ann, shown, id="x")["done"] == first["done"]  # sent again by a broken connection
    (line,) = (with_sets / approval.FILE).read_text().splitlines()
    assert json.loads(line) | {"at": ""} == {
        "character": "anna",
        "set_hash": shown["set_hash"],
        "num_images": 4,
        "by": "ann",
        "at": "",
        "is_withdrawn": False,
    }
    now = state_of(ann)
    assert (now["state"], now["by"], now["num_said"]) == ("approved", "ann", 1)
    assert state_of(ann, "bo")["state"] == "open"
    picture = with_sets / "dataset" / "anna" / "0001.png"
    before = picture.read_bytes()
    picture.write_bytes(before + b"\0")
    assert state_of(ann)["state"] == "changed" and holds(with_sets) is None
    picture.write_bytes(before)
    assert holds(with_sets) == "ann"
    assert decide(ann, now, is_withdrawn=True)["done"].startswith("withdrew the approval")
    assert state_of(ann)["state"] == "withdrawn" and holds(with_sets) is None


def test_a_stale_page_approves_nothing(with_sets, browser):
    ann = browser(with_sets)
    shown = state_of(ann)
    picture = with_sets / "dataset" / "anna" / "0001.png"
    before = picture.read_bytes()
    picture.write_bytes(before + b"\0")
    with pytest.raises(LookupError, match="has changed since; look at it again"):
        decide(ann, shown)
    picture.unlink()
    with pytest.raises(LookupError, match="1 of 4 are missing"):
        decide(ann, state_of(ann))
    picture.write_bytes(before)
    with pytest.raises(LookupError, match="training set of cleo as it was shown"):
        decide(ann, {**shown, "character": "cleo"})
    assert not (with_sets / approval.FILE).exists()
    decide(ann, shown)  # the same set again as was shown
    assert holds(with_sets) == "ann"


def test_two_people_decide_at_once(with_sets, browser):
    """Both may approve; nobody overrules what was said after the page was shown."""
    ann, bob = browser(with_sets), browser(with_sets, user="bob")
    of_ann, of_bob = state_of(ann), state_of(bob)
    decide(bob, of_bob)
    decide(ann, of_ann)
    assert [one.by for one in approval.read(with_sets)] == ["bob", "ann"]
    seen = state_of(ann)
    decide(bob, state_of(bob), is_withdrawn=True)
    with pytest.raises(LookupError, match="bob withdrew the approval of anna at"):
        decide(ann, seen)
    assert holds(with_sets) is None
    decide(ann, state_of(ann))
    assert holds(with_sets) == "ann"


def test_what_cannot_be_shown_is_one_sentence(with_sets, browser):
    ann = browser(with_sets)
    shown = state_of(ann)
    with pytest.raises(LookupError, match="needs the name of the person"):
        ann.desk.review = ReviewConfig()
        decide(ann, shown, user=" ")
    with pytest.raises(LookupError, match="set_decide: missing or malformed field"):
        ann.ask("set_decide", character="anna")
    path = with_sets / training_set.RIGHTS
    path.write_text("[]")
    with pytest.raises(LookupError, match=r"rights.json: expected a rights record"):
        ann.ask("sets")
    path.unlink()
    assert ann.ask("sets")["rights"] == ["Nothing is known of the rights of this set."]
    (with_sets / "table" / "dataset.parquet").unlink()
    assert not ann.ask("query", query={})["has_sets"]
    with pytest.raises(LookupError, match="expected a training set, found none"):
        ann.ask("sets")
