"""Threads, the progress bar and memory of stages."""

import threading

import cv2
import numpy as np
import pytest

from bunny.contract import machine


def test_opencv_has_one_thread_while_the_pool_has_several():
    before = cv2.getNumThreads()
    both_there = threading.Barrier(2, timeout=10)

    def meet(_):
        both_there.wait()
        return cv2.getNumThreads()

    with machine.thread_pool(2) as pool:
        assert list(pool.map(meet, range(2))) == [1, 1]
    assert cv2.getNumThreads() == before


def test_opencv_gets_its_threads_back_after_a_failure():
    before = cv2.getNumThreads()
    with pytest.raises(ValueError, match="bad"), machine.thread_pool(1):
        raise ValueError("bad")
    assert cv2.getNumThreads() == before


def test_opencv_has_one_thread_beside_others_that_are_no_pool():
    before = cv2.getNumThreads()
    with machine.one_opencv_thread():
        assert cv2.getNumThreads() == 1
    assert cv2.getNumThreads() == before


def test_the_bar_names_stage_and_unit_and_counts_what_was_done(capsys):
    with machine.progress_bar("detect", "frame", 10, done=4) as bar:
        bar.update(3)
    last = capsys.readouterr().err.rsplit("\r", 1)[-1]
    assert last.startswith("detect   ") and "7/10" in last and "frame" in last


def test_a_further_process_shows_no_bar(capsys, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    with machine.progress_bar("detect", "frame", 10) as bar:
        bar.update(3)
    assert capsys.readouterr().err == ""


def test_peak_memory_is_in_mebibytes_and_never_falls():
    held = np.ones(2**23)  # 64 MiB
    first = machine.peak_memory_mb()
    assert held.nbytes / 2**20 < first < 2**20  # a terabyte would be another unit
    del held
    assert machine.peak_memory_mb() >= first
