"""Sizes of training pictures."""

import shutil

import pytest

from bunny.core.error import UserError
from bunny.dataset import bucket
from bunny.training.family import folder


@pytest.mark.parametrize(("side", "step"), [(512, 64), (1024, 64), (768, 64), (128, 32), (64, 16)])
def test_buckets_law(side, step):
    sizes = bucket.sizes(side, step)
    assert (side, side) in sizes
    assert {(h, w) for w, h in sizes} == set(sizes)
    for width, height in sizes:
        assert width % step == height % step == 0
        assert width * height <= side**2
        assert side / 2 <= min(width, height) and max(width, height) <= 2 * side
        # one step taller and it would be too much: no area is given away
        assert max(width * (height + step), height * (width + step)) > side**2 or (
            max(width, height) == 2 * side
        )


def test_step_too_large_leaves_the_square():
    assert bucket.sizes(64, 128) == [(64, 64)]


def test_nearest_by_hand():
    sizes = bucket.sizes(512, 64)
    assert bucket.nearest(100, 100, sizes) == (512, 512)
    assert bucket.nearest(1920, 1080, sizes) == (640, 384)  # 1.78: 1.67 is nearer than 2.4
    assert bucket.nearest(1, 9, sizes) == (256, 1024)


def test_resolution_of_the_tiny_base(tiny_folder, tmp_path):
    assert folder.resolution_of(str(tiny_folder)) == (32, 16)
    assert folder.choose_resolution(str(tiny_folder), 0) == (32, 16)
    assert folder.choose_resolution(str(tiny_folder), 48) == (48, 16)
    assert folder.resolution_of("somebody/not-here") == (512, 64)
    with pytest.raises(
        UserError, match=("expected a multiple of 16 for this base model, got 40; 0 selects")
    ):
        folder.choose_resolution(str(tiny_folder), 40)
    broken = shutil.copytree(tiny_folder, tmp_path / "broken")
    (broken / "vae" / "config.json").write_text("[]")
    with pytest.raises(UserError, match=r"expected unet/config.json and vae/config.json"):
        folder.resolution_of(str(broken))
