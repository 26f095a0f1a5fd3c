"""Shots of a film that is decoded in time ranges are those of one pass."""

from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import av
import cv2
import numpy as np
import polars as pl
import pytest

from bunny.contract.shard import Shards
from bunny.core.config import ExtractionConfig
from bunny.quality.measure import measure_frame
from bunny.video import probe
from bunny.video.decode import Tally
from bunny.video.extraction_table import ShotBatch
from bunny.video.frame_selection import select_frames
from bunny.video.image_writer import FrameWriter
from bunny.video.packet_index import scan
from bunny.video.range_extraction import (
    RangeExtraction,
    TimeRange,
    _restart,
    plan_ranges,
    select_range,
)
from bunny.video.selection_event import SelectedFrame, ShotEnd

pytestmark = pytest.mark.slow

SIZE = (96, 54)  # pixels
SETTING = ExtractionConfig(extra_interval_seconds=0.5, output_format="png")
OVERLAP = (84 + 48 + 8) + (80 + 36 + 1)  # frames: warmup and lag of detector `fast`, by hand
# Frames of each shot; between the second and third a dissolve, after the fourth a fade.
SHOTS = (60, 90, 75, 80, 50, 400, 33, 41, 64, 120, 58, 77, 47)
DISSOLVE, FADE = 24, 20


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Some 1,200 frames, a keyframe of the codec each second, B-frames between."""
    path = tmp_path_factory.mktemp("film") / "ranges.mp4"
    chance = np.random.default_rng(11)
    wide = [
        cv2.resize(
            chance.integers(0, 255, (7, 20, 3), np.uint8),
            (SIZE[0] + 400, SIZE[1]),
            interpolation=cv2.INTER_CUBIC,
        )
        for _ in SHOTS
    ]
    pictures: list[np.ndarray] = []
    for number, length in enumerate(SHOTS):
        own = [wide[number][:, step : step + SIZE[0]] for step in range(length)]
        if number == 2:
            before = pictures[-DISSOLVE:]
            for step in range(DISSOLVE):
                share = (step + 1) / (DISSOLVE + 1)
                pictures[step - DISSOLVE] = cv2.addWeighted(
                    before[step], 1 - share, own[step], share, 0
                )
            own = own[DISSOLVE:]
        if number == 3:
            own = [
                *own[:-FADE],
                *(
                    cv2.convertScaleAbs(p, alpha=1 - (k + 1) / FADE)
                    for k, p in enumerate(own[-FADE:])
                ),
            ]
        if number == 4:
            own[:FADE] = [cv2.convertScaleAbs(p, alpha=k / FADE) for k, p in enumerate(own[:FADE])]
        pictures += own
    with av.open(str(path), "w") as out:
        options = {"g": "24", "bf": "2", "preset": "ultrafast"}
        stream = out.add_stream("libx264", rate=24, options=options)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 24)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return probe.probe(path)


def _said(events) -> list:
    """Frames taken and shots found, with all that tables say of them."""
    return [
        (e.frame.index, e.frame.pts, e.reason, e.crop)
        if isinstance(e, SelectedFrame)
        else (e.found, e.kind, e.start_pts, e.end_pts, e.change.to_dicts())
        for e in events
    ]


def _shots(events) -> list[tuple[int, int]]:
    ended = [e.found for e in events if isinstance(e, ShotEnd)]
    return [(found.first_frame_index, found.end_frame_index) for found in ended]


@pytest.fixture(scope="module")
def whole(film):
    events = list(select_frames(film, SETTING, Tally()))
    kinds = [e.found.transition_in for e in events if isinstance(e, ShotEnd)]
    assert {"cut", "dissolve", "fade"} <= set(kinds)
    return events


def _range(packets, first: int, end: int | None) -> TimeRange:
    keys = [i for i in np.flatnonzero(packets.is_keyframe) if i <= max(0, first - OVERLAP)]
    return TimeRange(first=first, end=end, restart=_restart(packets, int(keys[-1])))


@pytest.mark.parametrize("kind", ["cut", "dissolve", "fade"])
def test_a_border_beside_a_shots_beginning_loses_and_doubles_nothing(film, whole, kind):
    """Of the last shot that begins so: before it there is enough to decode."""
    packets = scan(film)
    found = [e.found for e in whole if isinstance(e, ShotEnd)]
    begin = [one.first_frame_index for one in found if one.transition_in == kind][-1]
    for border in (begin - 1, begin, begin + 1):
        before = list(select_range(film, SETTING, _range(packets, 0, border), Tally()))
        after = list(select_range(film, SETTING, _range(packets, border, None), Tally()))
        assert _said(before) + _said(after) == _said(whole)
        assert all(first < border for first, _ in _shots(before))
        assert all(first >= border for first, _ in _shots(after))


def test_a_range_within_one_long_shot_gives_nothing(film, whole):
    packets = scan(film)
    [(first, end)] = [(a, b) for a, b in _shots(whole) if b - a > 300]
    assert not list(select_range(film, SETTING, _range(packets, first + 90, end - 90), Tally()))


def test_ranges_are_even_and_begin_far_enough_before(film):
    packets = scan(film)
    ranges = plan_ranges(film, SETTING, 4)
    assert [part.first for part in ranges] == [len(packets) * k // 4 for k in range(4)]
    assert [part.end for part in ranges] == [*(part.first for part in ranges[1:]), None]
    for part in ranges[1:]:
        assert part.restart is None or (
            OVERLAP <= part.first - part.restart.anchor.index < OVERLAP + 24
            and packets.is_keyframe[part.restart.anchor.index]
        )
    assert len(plan_ranges(film, SETTING, 100)) == len(packets) // OVERLAP
    assert plan_ranges(film, SETTING, 1) == []
    by_others = ExtractionConfig(shot_detector="scenedetect-content")
    assert plan_ranges(film, by_others, 4) == []  # it has to see a film from its start
    assert plan_ranges(film, ExtractionConfig(method="keyframe"), 4) == []  # that is cheap


def _extraction(film, folder) -> RangeExtraction:
    def writer():
        return FrameWriter(folder / "frame", film, SETTING, measure_frame, num_workers=0)

    shards = Shards(folder / "shard", "key", num_parts=2)
    return RangeExtraction(shards, "film", film, SETTING, writer, 1)


def _one_pass(film, folder) -> tuple[dict[str, pl.DataFrame], Tally]:
    tally, batch, number = Tally(), ShotBatch("film", film), 0
    with FrameWriter(folder / "frame", film, SETTING, measure_frame, num_workers=0) as writer:
        for event in select_frames(film, SETTING, tally, num_threads=1):
            if isinstance(event, SelectedFrame):
                batch.add(event, writer)
                continue
            batch.end_shot(number, event)
            number += 1
        return batch.tables(), tally


def _pictures(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "frame").iterdir()}


def test_two_at_once_give_the_tables_and_pictures_of_one_pass(film, tmp_path):
    expected, counted = _one_pass(film, tmp_path / "one")
    first, second = (_extraction(film, tmp_path / "two") for _ in range(2))
    assert first.plan(4) and second.read_plan()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda one: one.fill(lambda frame: None), (first, second)))
    assert first.shards.num_put + second.shards.num_put == 4
    joined = first.join()
    assert joined is not None
    tables, tally = joined
    assert tally == counted
    for name, rows in expected.items():
        assert tables[name].equals(rows), name
    assert _pictures(tmp_path / "two") == _pictures(tmp_path / "one")


def test_ranges_that_do_not_meet_are_not_joined(film, tmp_path):
    ranges = _extraction(film, tmp_path)
    assert ranges.plan(2)
    ranges.fill(lambda frame: None)
    shot = ranges.shards.get(1, "shot")
    others = {name: ranges.shards.get(1, name) for name in ("change", "frame", "measure")}
    state = ranges.shards.state(1)
    later = shot.with_columns(first_frame_index=pl.col("first_frame_index") + 1)
    ranges.shards.put(1, {"shot": later, **others}, state=state)
    assert ranges.join() is None
    ranges.shards.put(1, {"shot": shot, **others}, state=state)
    assert ranges.join() is not None
    damaged = {**state, "tally": {**state["tally"], "num_damaged": 1}}
    ranges.shards.put(1, {"shot": shot, **others}, state=damaged)
    assert ranges.join() is None
