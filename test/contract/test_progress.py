"""The progress of a run: what is left, by hand, with a clock that the test moves."""

import json
import os

import pytest

from bunny.contract import progress
from bunny.contract.progress import RunProgress, StageCost
from bunny.contract.result import StageResult

COSTS = {
    "extract": StageCost(fixed_s=10.0),
    "detect": StageCost(fixed_s=0.0, picture_s=2.0),
    "cluster": StageCost(fixed_s=20.0),
    "report": StageCost(fixed_s=5.0),
}


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def _run(clock, stages=("extract", "detect", "cluster"), **options):
    return RunProgress(stages, COSTS, clock=clock, is_shown=False, **options)


def _result(name, status="done", pictures=30):
    tables = {"frame": pictures} if name == "extract" else {}
    return StageResult(
        name=name, status=status, seconds=0, rows=0, failed=0, peak_memory_mb=0, tables=tables
    )


def test_before_the_first_item_all_is_as_expected(clock):
    run = _run(clock, pictures=30)
    assert (run.seconds_left(), run.share()) == (10 + 60 + 20 + 5, 0)
    run.begin("extract")
    clock.now += 4
    assert run.seconds_left() == 6 + 60 + 20 + 5
    assert run.share() == pytest.approx(4 / 95)


def test_a_snapshot_is_what_the_line_says(clock):
    run = _run(clock, pictures=30)
    assert progress.current() is run
    run.begin("extract")
    clock.now += 4
    at = run.snapshot()
    assert (at.stage, at.number, at.count, at.seconds_left) == ("extract", 1, 3, 91)
    assert at.share == pytest.approx(4 / 95)
    run.end(_result("extract"))
    assert (run.snapshot().stage, run.snapshot().number) == ("", 1)
    for name in ("detect", "cluster"):
        run.begin(name)
        run.end(_result(name))
    run.close()
    assert (run.snapshot().stage, run.snapshot().number) == ("report", 3)


def test_pictures_follow_from_the_frames_of_the_film_and_then_are_known(clock):
    for is_folder, count in ((False, 20), (True, 500)):
        run = _run(clock, is_folder=is_folder)
        run.begin("extract")
        with run.bar(500):
            assert run.seconds_left() == 10 + 2 * count + 20 + 5
    run.end(_result("extract", "skipped", pictures=7))
    assert run.seconds_left() == 2 * 7 + 20 + 5


def test_a_stage_is_judged_ever_more_by_its_own_pace(clock):
    run = _run(clock, ["detect"], pictures=50)  # 100 s are expected, and 5 of the report
    run.begin("detect")
    clock.now += 30  # a model is loaded
    with run.bar(1000) as bar:
        clock.now += 8
        bar.update(100)  # 72 s by its pace, 90 as expected: half of each
        assert run.seconds_left() == pytest.approx((72 + 90) / 2 + 5)
        clock.now += 8
        bar.update(100)
        assert run.seconds_left() == pytest.approx(64 + 5)
        clock.now += 64
        bar.update(800)
        assert run.seconds_left() == pytest.approx(5)


def test_what_an_earlier_run_did_is_not_pace(clock):
    run = _run(clock, ["detect"], pictures=50)
    run.begin("detect")
    with run.bar(100, done=60) as bar:
        clock.now += 10
        bar.update(20)
        assert run.seconds_left() == pytest.approx(10 + 5)


def test_later_stages_take_longer_where_the_first_did_up_to_half_as_long_again(clock):
    run = _run(clock, pictures=10)
    run.begin("extract")
    clock.now += 15
    run.end(_result("extract", pictures=10))
    assert run.seconds_left() == pytest.approx((15 + 20) / (10 + 20) * (20 + 20 + 5))
    slow = _run(clock, pictures=10)
    slow.begin("extract")
    clock.now += 1000
    slow.end(_result("extract", pictures=10))
    assert slow.seconds_left() == pytest.approx(1.5 * (20 + 20 + 5))


def test_a_stage_that_is_up_to_date_takes_no_time(clock):
    run = _run(clock, ["cluster"])
    run.begin("extract")
    run.end(_result("extract", "skipped"))
    assert run.seconds_left() == 25


def test_the_share_never_falls(clock):
    run = _run(clock, ["cluster"])
    run.begin("cluster")
    clock.now += 15
    with run.bar(100) as bar:
        before = run.share()
        assert before == pytest.approx(15 / 25)
        clock.now += 10
        bar.update(1)  # it turns out to be slow
        assert run.seconds_left() > 50
        assert run.share() == before


def test_within_a_third_after_a_tenth_though_costs_are_off(clock):
    """A run of 10 + 300 + 20 + 5 s of which the second stage was expected to take 60."""
    run = _run(clock, pictures=30)
    run.begin("extract")
    clock.now += 10
    run.end(_result("extract"))
    run.begin("detect")
    with run.bar(300) as bar:
        for second in range(300):
            clock.now += 1
            bar.update(1)
            passed = 11 + second
            if passed >= 67:
                assert run.seconds_left() == pytest.approx(335 - passed, rel=1 / 3)


def test_the_line_names_stage_share_and_time_left(capsys):
    run = RunProgress(["detect", "cluster"], COSTS, pictures=300)
    run.begin("detect")
    run.close()
    last = capsys.readouterr().err.split("\r")
    assert any("detect (1 of 2)" in text and "0 %, about 10 min left" in text for text in last)


def _film(output, name, time, **seconds):
    for stage, took in seconds.items():
        folder = output / name / "stage" / stage
        folder.mkdir(parents=True)
        record = {"status": "done", "seconds": took, "tables": {"frame": {"rows": 100}}}
        (folder / "stage.json").write_text(json.dumps(record))
    source = output / name / "source.json"
    source.write_text("{}")
    os.utime(source, (time, time))


def test_costs_are_those_of_films_before(tmp_path):
    assert progress.read_costs(tmp_path) == progress.COSTS
    _film(tmp_path, "one", 1, extract=10.5, detect=25.0, finetune=40.0)
    _film(tmp_path, "two", 2, extract=5.5, detect=205.0)
    found = progress.read_costs(tmp_path)
    assert found["extract"].seconds(100) == pytest.approx(10.5)
    assert found["detect"].seconds(50) == pytest.approx(105.0)
    assert found["finetune"].seconds(50) == 40.0
    assert found["cluster"] == progress.COSTS["cluster"]


def test_only_the_newest_films_count(tmp_path):
    _film(tmp_path, "old", 1, extract=1000.5)
    for number in range(progress.MAX_FILMS):
        _film(tmp_path, f"new {number}", 2 + number, extract=2.5)
    assert progress.read_costs(tmp_path)["extract"].seconds(100) == pytest.approx(2.5)
