"""kohya's rules of names and buckets; figures worked out by hand from its source."""

import pytest

from bunny.trainer_format.check import finding, kohya_folder

BUCKETS = kohya_folder.bucket_sizes(512, 256, 1024, 64)


def test_buckets_of_512_are_those_of_its_log():
    # 512^2 / 256 = 1024; / 320 = 819 -> 768; / 384 = 682 -> 640; / 448 = 585 -> 576; 512
    # and from the other end 576 -> 455 -> 448; 640 -> 409 -> 384; 704 -> 372 -> 320;
    # 768 -> 341 -> 320; 832 -> 315 -> 256; 896 -> 292 -> 256; 960 -> 273 -> 256; 1024 -> 256.
    tall = [(256, h) for h in (832, 896, 960, 1024)] + [(320, 704), (320, 768)]
    tall += [(384, 640), (448, 576)]
    expected = sorted([*tall, (512, 512), *((b, a) for a, b in tall)])
    assert expected == BUCKETS


@pytest.mark.parametrize(
    ("size", "bucket", "scale"),
    [
        ((512, 512), (512, 512), 1.0),
        ((1000, 1000), (512, 512), 0.512),
        ((448, 576), (448, 576), 1.0),  # a bucket's own size
        # 1.778: 640/384 = 1.667 is nearer than 704/320 = 2.2
        ((1920, 1080), (640, 384), 384 / 1080),
        ((100, 100), (512, 512), 5.12),
        ((4000, 400), (1024, 256), 0.64),  # 10:1, no bucket is wider than 4:1
    ],
)
def test_the_bucket_with_the_nearest_aspect(size, bucket, scale):
    assert kohya_folder.fit_bucket(size, BUCKETS) == (bucket, pytest.approx(scale))


def test_what_is_cut_off_by_the_widest_bucket():
    # 4000 x 400 at 0.64 is 2560 x 256, of which 1024 x 256 stay
    assert finding.cropped_share((4000, 400), (1024, 256), 0.64) == pytest.approx(0.6)
    assert finding.cropped_share((512, 512), (512, 512), 1.0) == 0


@pytest.mark.parametrize(
    ("size", "bucket", "scale"),
    [
        ((500, 300), (448, 256), 1.0),  # smaller than the area: only cut to whole steps
        ((63, 500), (0, 448), 1.0),  # less than a step: the trainer fails
        ((1024, 1024), (512, 512), 0.5),
        # 2000 x 1000: sqrt(512^2 * 2) = 724 -> 704, 352 -> 320, 2.2 against 2;
        # 362 -> 320, 640, 2.0 against 2: by height, 640 x 320.
        ((2000, 1000), (640, 320), 0.32),
    ],
)
def test_without_enlarging(size, bucket, scale):
    got = kohya_folder.fit_without_upscale(size, 512 * 512, 64)
    assert got == (bucket, pytest.approx(scale))


@pytest.mark.parametrize("name", ["1.png", "1.JPG", "1.jpeg", "1.webp", "1.BMP", "a.b.png"])
def test_pictures_that_are_read(name):
    assert kohya_folder.is_picture(name)


@pytest.mark.parametrize("name", ["1.Png", "1.gif", "1.avif", "._1.png", "png", "1.txt"])
def test_files_that_are_not(name):
    assert not kohya_folder.is_picture(name)


@pytest.mark.parametrize("name", ["anna", "_anna", "x3_anna", "0_anna", "-1_anna", "", "3.5_anna"])
def test_folders_that_are_passed_over(name):
    assert kohya_folder.parse_folder(name) is None


def test_folders_that_are_read():
    assert kohya_folder.parse_folder("12_a_b") == (12, "a_b")
    assert kohya_folder.parse_folder("12") == (12, "")
