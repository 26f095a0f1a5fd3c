"""The gallery of captions: doubtful first, edited in place, find and replace with a preview."""

import polars as pl
import pytest
import table_row
from ipywidgets import Button, Textarea

from bunny.core import config, workspace
from bunny.core.error import UserError
from bunny.review import create_event, event_log
from bunny.review.create_event import EventContext
from bunny.view.widget import caption_gallery as gallery_widget

TEXTS = ("a hare <b>runs</b>", "bunny in a red hat", "bunny near a red house", "nobody is here")


@pytest.fixture
def space(tmp_path) -> workspace.Workspace:
    """Four pictures, one a second and a shot; bunny is labelled in the first three."""
    space = workspace.locate(tmp_path, "data", "film-0123abcd")
    box = table_row.box(0, 0, 4, 4)
    rows = {name: [] for name in ("frame", "shot", "label", "caption", "asset")}
    for i, text in enumerate(TEXTS):
        at = {"shot_index": i, "first_frame_index": i, "end_frame_index": i + 1}
        times = {"start_s": float(i), "end_s": i + 1.0}
        frame = {"frame_id": f"f{i}", "shot_index": i, "frame_index": i, "time_base_den": 1}
        size = {"width_px": 8, "height_px": 8}
        rows["frame"].append(frame | size | {"timestamp_s": float(i)})
        rows["shot"].append(at | times)
        label = {"subject_id": f"f{i}-r", "subject_type": "region", "character": "bunny", **box}
        rows["label"] += [label | {"frame_id": f"f{i}", "shot_index": i}][: i < 3]
        who = ["bunny"][: i < 3]
        caption = {"frame_id": f"f{i}", "text": text, "provider": "local", "characters": who}
        rows["caption"].append(caption)
        rows["asset"].append({"asset_id": f"film-s{i}", "doubt": 0.5, **at, **times})
    for name, own in rows.items():
        table_row.write(space.table, name, own)
    return space


@pytest.fixture
def gallery(space) -> gallery_widget.CaptionGallery:
    return gallery_widget.open_gallery(space, config.Config(), user="ana")


def texts(gallery, **selected) -> dict[str, str]:
    return dict(gallery.captions(**selected).select("frame_id", "text").iter_rows())


def test_the_most_doubtful_come_first_and_are_selected_by_finding_and_character(gallery):
    rows = gallery.captions()
    assert rows["frame_id"].to_list()[0] == "f0"
    assert rows["doubt"].to_list()[0] == pytest.approx(0.9)
    assert list(texts(gallery, rule="missing_trigger")) == ["f0"]
    assert sorted(texts(gallery, character="bunny")) == ["f0", "f1", "f2"]


def test_an_edit_is_an_event_that_holds_when_opened_again_and_can_be_undone(gallery, space):
    assert gallery.edit("f0", "bunny runs").user == "ana"
    assert gallery.edit("f0", "bunny runs ") is None  # it reads so already
    again = gallery_widget.open_gallery(space, config.Config())
    assert texts(again)["f0"] == "bunny runs"
    row = again.captions().filter(pl.col("frame_id") == "f0").row(0, named=True)
    assert (row["doubt"], row["is_edited"]) == (0.0, True)
    assert again.undo() is None  # another user's
    assert gallery.undo().kind == "undo"
    assert texts(gallery)["f0"] == TEXTS[0]
    assert gallery.undo() is None
    assert event_log.count(space.root) == 2


def test_edits_are_of_the_person_that_is_set_before_whoever_opened_it(space):
    settings = config.Config(review={"user": "eva"})
    assert gallery_widget.open_gallery(space, settings, "ana").edit("f0", "bunny").user == "eva"


def test_find_and_replace_shows_first_and_is_one_event(gallery, space):
    changed = gallery.preview("red", "blue", character="bunny")
    assert changed["after"].to_list() == ["bunny in a blue hat", "bunny near a blue house"]
    assert event_log.count(space.root) == 0
    event = gallery.replace("red", "blue", character="bunny")
    assert [frame.text for frame in event.frames] == changed["after"].to_list()
    assert event.reason == "replaced 'red' by 'blue'"
    assert gallery.replace("red", "blue") is None
    gallery.undo()
    assert texts(gallery) == dict(zip(("f0", "f1", "f2", "f3"), TEXTS, strict=True))


def test_what_others_wrote_in_the_meantime_is_heard(gallery, space):
    event = create_event.caption_edit(
        gallery.state, EventContext(user="ben"), ["film-s2"], "bunny sleeps"
    )
    event_log.append(space.root, [event])
    gallery.edit("f1", "bunny wakes")
    assert texts(gallery)["f2"] == "bunny sleeps"


def test_the_page_shows_words_as_words(space):
    page = gallery_widget.explore_gallery(space, config.Config(), is_interactive=False).data
    assert "a hare &lt;b&gt;runs&lt;/b&gt; (0:00, doubt 0.90: no trigger word of: bunny)" in page
    assert "<b>runs" not in page
    assert "<b>captions: 4</b> · doubtful: 1 · edited: 0" in page


def find(widget, kind, *names):
    """All widgets of a kind inside another one, by description."""
    found = [widget] if isinstance(widget, kind) else []
    for child in getattr(widget, "children", ()):
        found += find(child, kind)
    return [one for one in found if not names or one.description in names]


def test_the_controls_edit_preview_replace_and_undo(space):
    widget = gallery_widget.explore_gallery(space, config.Config(), user="ana")
    area, save = find(widget, Textarea)[0], find(widget, Button, "Save caption")[0]
    area.value = "bunny runs"
    save.click()
    message = widget.children[2]
    assert message.value.startswith("1 caption saved; run stages review and caption again")
    old, new = widget.children[1].children[:2]
    old.value, new.value = "red", "blue"
    [apply] = find(widget, Button, "Replace")
    assert apply.disabled
    find(widget, Button, "Preview")[0].click()
    assert "bunny in a blue hat" in widget.children[3].value
    assert not apply.disabled
    new.value = "green"  # another preview is needed
    assert apply.disabled
    find(widget, Button, "Preview")[0].click()
    apply.click()
    assert {area.value for area in find(widget, Textarea)} == {
        "bunny runs",
        "bunny in a green hat",
        "bunny near a green house",
        TEXTS[3],
    }
    find(widget, Button, "Undo")[0].click()
    assert message.value.startswith("undone")
    assert {event.user for event in event_log.read(space.root)} == {"ana"}
    old.value = ""
    find(widget, Button, "Preview")[0].click()
    assert "expected words to find" in message.value


def test_without_captions_or_items_it_says_what_to_run(tmp_path):
    space = workspace.locate(tmp_path, "data", "film-0123abcd")
    with pytest.raises(UserError, match="run stage review first"):
        gallery_widget.open_gallery(space, config.Config())
    page = gallery_widget.explore_gallery(space, config.Config()).data
    assert "run stage review first" in page
