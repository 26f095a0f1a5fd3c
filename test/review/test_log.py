"""The record: what is appended is read back, whatever was killed in between."""

import pytest

from bunny.core.error import UserError
from bunny.review import event_log
from bunny.review.event_log import AssetAnchor, ClusterRef, Event


def said(**own) -> Event:
    return Event(**{"user": "ana", "kind": "comment", "level": "scene", "text": "a\nb", **own})


def test_what_is_appended_is_read_back(tmp_path):
    box = (0.5, 0.1, 0.2, 0.3, 0.4)
    anchor = AssetAnchor(start_s=0.0, end_s=1.0, boxes=(box,), asset_id="x")
    ref = ClusterRef(cluster_id="scene-001", name="kitchen", exemplars=(anchor,))
    one = said(kind="assign", items=(anchor,), cluster=ref, seen=3, reason='"quoted" é')
    assert event_log.append(tmp_path, [said(), one]) == 2
    assert event_log.append(tmp_path, [said(text="third")]) == 3
    assert event_log.read(tmp_path)[1] == one
    assert [e.text for e in event_log.read(tmp_path, after=2)] == ["third"]
    assert event_log.count(tmp_path) == 3


def test_a_digest_is_of_the_set_of_events():
    one = said(event_id="a", time="2026-01-01T00:00:00+00:00")
    two = said(event_id="b", time="2026-01-02T00:00:00+00:00")
    both = event_log.digest([one, two])
    assert both == event_log.digest([two, one, two])
    assert both != event_log.digest([one])
    assert both != event_log.digest([one, said(event_id="b", time=two.time, text="other")])


def test_nothing_is_said_of_a_new_film(tmp_path):
    assert event_log.read(tmp_path) == []
    assert event_log.count(tmp_path) == 0
    assert event_log.append(tmp_path, []) == 0


def test_a_torn_last_line_is_passed_over_and_replaced(tmp_path):
    event_log.append(tmp_path, [said(text="whole")])
    path = tmp_path / event_log.FILE
    with path.open("ab") as stream:
        stream.write(b'{"event_id": "half')
    assert [e.text for e in event_log.read(tmp_path)] == ["whole"]
    assert event_log.append(tmp_path, [said(text="next")]) == 2
    assert [e.text for e in event_log.read(tmp_path)] == ["whole", "next"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{broken", "line 2: expected one event"),
        ("[1]", "line 2: expected one event"),
        (
            '{"event_id": "e", "time": "yesterday", "user": "u", "kind": "comment", '
            '"level": "scene"}',
            "yesterday",
        ),
        (
            '{"event_id": "e", "user": "u", "kind": "explode", "level": "scene", '
            '"time": "2026-01-01T00:00:00Z"}',
            "explode",
        ),
    ],
)
def test_a_broken_line_in_the_middle_is_named(tmp_path, line, words):
    event_log.append(tmp_path, [said()])
    with (tmp_path / event_log.FILE).open("a") as stream:
        stream.write(line + "\n")
    event_log.append(tmp_path, [said()])
    with pytest.raises(UserError, match=words.replace("[", r"\[")):
        event_log.read(tmp_path)


@pytest.mark.parametrize("time", ["noon", "9999-12-31T23:59:59.999999+00:00"])
@pytest.mark.attack
def test_a_time_that_cannot_be_read_back_is_never_written(tmp_path, time):
    with pytest.raises(UserError, match="not a valid correction"):
        event_log.append(tmp_path, [said(), said(time=time)])
    assert event_log.count(tmp_path) == 0
