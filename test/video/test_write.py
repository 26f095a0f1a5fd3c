"""Pictures on disk."""

import sys
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from bunny.core.config import ExtractionConfig
from bunny.video import probe
from bunny.video.frame import DecodedFrame
from bunny.video.image_writer import FrameWriter


@pytest.fixture
def info(tmp_path, film_tools):
    return probe.probe(film_tools.write(tmp_path / "a.mp4", [film_tools.numbered(0)]))


def _frame(index, picture):
    return DecodedFrame(index=index, pts=index, time_base=Fraction(1, 24), raw=picture)


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_writes_and_measures(tmp_path, info, film_tools, suffix, num_workers):
    folder, setting = tmp_path / "frame", ExtractionConfig(output_format=suffix)
    with FrameWriter(folder, info, setting, lambda p: p.shape, num_workers) as writer:
        futures = [writer.write(_frame(i, film_tools.numbered(i))) for i in range(20)]
        results = [f.result() for f in futures]
    assert [r.file for r in results] == [f"{i:08d}.{suffix}" for i in range(20)]
    assert {(r.width_px, r.height_px, r.measure, r.error) for r in results} == {
        (96, 64, (64, 96, 3), None)
    }
    names = sorted(p.name for p in folder.iterdir())
    assert names == [r.file for r in results]
    read = [film_tools.read_number(cv2.imread(str(folder / name))) for name in names]
    assert read == list(range(20))


def test_lower_quality_is_smaller(tmp_path, info):
    noise = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
    sizes = []
    for quality in (30, 95):
        setting = ExtractionConfig(quality=quality)
        with FrameWriter(tmp_path / "frame", info, setting, lambda p: None) as writer:
            name = writer.write(_frame(0, noise)).result().file
        sizes.append((tmp_path / "frame" / name).stat().st_size)
    assert sizes[0] < sizes[1] / 2


def test_a_picture_too_large_for_its_format_is_a_row_with_an_error(tmp_path, info):
    with FrameWriter(
        tmp_path / "frame", info, ExtractionConfig(output_format="webp"), lambda p: None
    ) as writer:
        result = writer.write(_frame(7, np.zeros((2, 20000, 3), np.uint8))).result()
    assert result.file is None and result.measure is None
    assert result.error.startswith("frame 7: ")
    assert list(Path(tmp_path / "frame").iterdir()) == []


def test_a_folder_that_cannot_be_written_raises(tmp_path, info):
    (tmp_path / "frame").write_text("a file where the folder should be")
    with pytest.raises(OSError, match="exists"):
        FrameWriter(tmp_path / "frame", info, ExtractionConfig(), lambda p: None)


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of a process")
def test_a_full_disk_leaves_the_picture_that_was_there(tmp_path, info):
    import full_disk

    noise = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
    with FrameWriter(
        tmp_path / "frame", info, ExtractionConfig(output_format="png"), lambda p: None
    ) as writer:
        name = writer.write(_frame(0, noise)).result().file
        before = (tmp_path / "frame" / name).read_bytes()
        with full_disk.full_after(len(before) // 2), pytest.raises(OSError, match="too large"):
            writer.write(_frame(0, noise[::-1]))
        assert [p.name for p in (tmp_path / "frame").iterdir()] == [name]
        assert (tmp_path / "frame" / name).read_bytes() == before
        writer.write(_frame(0, noise[::-1]))
    assert (tmp_path / "frame" / name).read_bytes() != before
