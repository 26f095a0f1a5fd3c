"""The view of a batch: its lines, in a terminal and in a log, and `bunny batch --status`."""

import io
import json
from dataclasses import replace

import pytest

from bunny.batch import batch_status
from bunny.batch.batch_status import BatchStatus, FilmLeft
from bunny.batch.film_record import RunningFilm
from bunny.batch.live_view import LiveView
from bunny.core.error import UserError

NOW = "2026-01-01T00:10:00.000+00:00"
FILM = RunningFilm(
    film="/films/a.mp4",
    node="node-1",
    attempt=2,
    phase="finetune",
    started_at=NOW,
    seen_at=NOW,
    stage="finetune",
    stage_number=1,
    num_stages=3,
    share=0.25,
    seconds_left=780.0,
)
COUNTS = {"waiting": 6, "running": 2, "done": 3, "refused": 1, "failed": 0, "stopped": 0}
LINES = [
    "batch abcd: 3 of 12 films done, 1 failed, 2 running, 6 waiting; about 25 min left",
    f"  {'a.mp4':32} finetune (1 of 3)    |#####               |  25 % about 13 min left"
    "  on node-1, fine-tune, attempt 2",
    f"  {'b' * 31}… starting             |                    |   0 %  on node-2",
]


@pytest.fixture
def status(tmp_path):
    young = RunningFilm(
        film=f"{'b' * 40}.mp4", node="node-2", attempt=1, phase="", started_at=NOW, seen_at=NOW
    )
    return BatchStatus(
        folder=str(tmp_path / "abcd"),
        started_at=NOW,
        seen_at=NOW,
        is_over=False,
        counts=COUNTS,
        num_workers=2,
        seconds_left=1500.0,
        running=(FILM, young),
        put_aside=(FilmLeft(film="c.mp4", status="refused", num_attempts=1, error="no film"),),
    )


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_lines_say_counts_films_and_time_left(status):
    assert list(status.lines()) == LINES
    unknown = replace(status, seconds_left=None, running=())
    assert next(iter(unknown.lines())).endswith("6 waiting; time left unknown so far")


def test_a_terminal_has_one_block_and_a_log_lines_now_and_then(status, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("WT_SESSION", "1")  # of a terminal of Windows
    monkeypatch.setenv("COLUMNS", "60"), monkeypatch.setenv("LINES", "24")
    terminal = Terminal()
    view = LiveView(terminal)
    block = "".join(f"{line[:59]}\n" for line in LINES)
    view.show(status)
    view.say("c.mp4: refused, no film")
    view.show(status), view.show(status), view.close()
    clear = "\x1b[3F\x1b[J"  # three lines up, and all below is gone
    said = "c.mp4: refused, no film\n"
    assert terminal.getvalue() == f"{block}{clear}{said}{block}{clear}{block}{clear}"

    now, log = [0.0], io.StringIO()
    view = LiveView(log, log_s=60.0, clock=lambda: now[0])
    for now[0] in (5.0, 59.0, 60.0, 65.0, 119.0, 120.0):
        view.show(status)
    assert log.getvalue() == "".join(f"{line}\n" for line in LINES) * 2


def test_many_films_are_cut_to_what_a_terminal_shows(status, monkeypatch):
    monkeypatch.setenv("TERM", "xterm"), monkeypatch.setenv("WT_SESSION", "1")
    monkeypatch.setenv("COLUMNS", "200"), monkeypatch.setenv("LINES", "8")
    terminal = Terminal()
    LiveView(terminal).show(replace(status, running=(FILM,) * 20))
    lines = terminal.getvalue().splitlines()
    assert len(lines) == 6 and lines[-1] == "  and 16 more films"  # 20 films, 4 of them shown


def test_a_status_is_read_as_it_was_written(status, tmp_path):
    batch_status.write(status)
    assert batch_status.read(tmp_path / "abcd") == status
    assert batch_status.find_newest(tmp_path) == tmp_path / "abcd"
    (tmp_path / "abcd" / "status.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UserError, match="found a file that cannot be read"):
        batch_status.read(tmp_path / "abcd")
    with pytest.raises(UserError, match="found none; begin one"):
        batch_status.find_newest(tmp_path / "nowhere")


def test_it_says_when_a_batch_ended_or_was_killed(status):
    late = "2026-01-01T00:11:01.000+00:00"
    assert status.to_text(NOW).splitlines() == [*LINES, "  c.mp4: refused after 1 attempt: no film"]
    assert "no sign of it since 2026-01-01 00:10 UTC" in status.to_text(late)
    assert json.loads(status.to_json(late))["is_gone"]
    over = replace(status, is_over=True, running=())
    assert over.to_text(late).splitlines()[1] == "  ended 2026-01-01 00:10 UTC"
    assert not json.loads(over.to_json(late))["is_gone"]
