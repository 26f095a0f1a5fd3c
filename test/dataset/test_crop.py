"""Windows: how large, where, of which aspect."""

import shutil

import pytest
from character_view import make_view
from hypothesis import given, settings
from hypothesis import strategies as st

from bunny.core.config import DatasetConfig, ModelsConfig
from bunny.core.error import UserError
from bunny.dataset import crop
from bunny.dataset.crop import CropSetting
from bunny.dataset.crop_caption import CaptionWords
from bunny.dataset.view import CharacterView, OtherCharacter, share_inside
from bunny.training.family import folder

BUNNY = CaptionWords(trigger="bunny", class_word="character", other_triggers={"Anna": "anna"})
SQUARE = ((1024, 1024),)
FREE = DatasetConfig(max_upscale=16.0)
SINGLE = DatasetConfig(max_upscale=16.0, has_wider_crops=False)


def view(box, *, is_face=False, others=(), area=(0, 0, 640, 360), text=None) -> CharacterView:
    seen = tuple(OtherCharacter(character=who, box=b) for who, b in others)
    return make_view(box=box, is_face=is_face, area=area, others=seen, text=text)


def cut(box, *, rule=None, **values):
    return crop.windows(view(box, **values), rule or CropSetting(shapes=SQUARE, dataset=FREE))


def corners(window):
    return (window.x0_px, window.y0_px, window.x1_px, window.y1_px)


def test_squares_around_the_subject():
    rule = CropSetting(shapes=SQUARE, dataset=FREE, models=ModelsConfig(crop_margin=0.25))
    one, two = cut((100, 80, 200, 280), rule=rule)
    # 100x200 around (150, 180): side 200 from (50, 80); side 300 from (0, 30); 360 is no 1.25 * 300
    assert corners(one) == (50, 80, 250, 280)
    assert corners(two) == (0, 30, 300, 330)
    assert [one.shot_size, two.shot_size] == ["medium", "medium"]  # 0.7 * 200 of 200, of 300
    assert (one.size, two.size) == ((200, 200), (300, 300))  # the film's own pixels


def test_moved_and_shrunk_to_fit():
    (window,) = cut((600, 0, 640, 360))
    assert corners(window) == (280, 0, 640, 360)
    assert window.shot_size == "close-up"  # as high as the picture


def test_figure_that_does_not_fit_keeps_its_head():
    (window,) = cut((100, 20, 500, 360), area=(0, 0, 640, 360))
    assert window.y0_px == 0 and window.y1_px == 360
    (window,) = cut((100, 20, 200, 360), area=(0, 0, 300, 360))
    assert corners(window) == (0, 20, 300, 320)  # the feet are lost


def test_each_further_window_is_clearly_larger():
    small = (300, 200, 360, 260)
    models = ModelsConfig(crop_margin=0.5)
    windows = cut(small, rule=CropSetting(shapes=SQUARE, dataset=FREE, models=models))
    assert [w.x1_px - w.x0_px for w in windows] == [60, 120, 360]
    assert [w.shot_size for w in windows] == ["medium", "wide", "wide"]  # 0.7 of 1, 1/2, 1/6
    models = ModelsConfig(crop_margin=0.1)
    windows = cut(small, rule=CropSetting(shapes=SQUARE, dataset=FREE, models=models))
    assert [w.x1_px - w.x0_px for w in windows] == [60, 360]  # 72 is less than 1.25 * 60
    alone = CropSetting(shapes=SQUARE, dataset=SINGLE)
    assert len(cut(small, rule=alone)) == 1


def test_face_has_head_and_shoulders_and_lies_high():
    windows = cut((300, 100, 350, 150), is_face=True)
    # 50 * (1 + 2 * 0.9) = 140, 50 * (1 + 4 * 0.9) = 230, the height
    assert [w.x1_px - w.x0_px for w in windows] == [140, 230, 360]
    assert [w.shot_size for w in windows] == ["close-up", "medium", "medium"]
    assert corners(windows[0])[:2] == (255, 55)  # in the middle
    assert windows[1].y0_px == 125 - round(230 / 3)  # its middle on the upper third
    for window in windows:
        assert 100 - window.y0_px >= 0.45 * 50  # air for the hair


def test_small_subject_is_cut_wider_rather_than_enlarged():
    rule = CropSetting(shapes=SQUARE)  # enlarged twice at most
    windows = cut((300, 100, 330, 130), is_face=True, rule=rule)
    # 30 * 2.8 and 30 * 4.6 px, then 512 / 2 px and, as 1024 / 2 are too many, all of the picture
    assert [w.x1_px - w.x0_px for w in windows] == [84, 138, 256, 360]
    assert windows[0].size == (84, 84)
    large = view((0, 0, 30, 30), area=(0, 0, 1920, 1080), is_face=True)
    sides = [w.x1_px - w.x0_px for w in crop.windows(large, rule)]
    assert sides == [84, 138, 256, 512, 1080]
    tiny = view((0, 0, 30, 30), area=(0, 0, 90, 50))
    assert crop.windows(tiny, rule) == []  # 128 / 2 px are the least
    assert crop.min_upscale(tiny, rule) == pytest.approx(128 / 50)


def test_what_is_larger_than_the_most_is_shrunk():
    rule = CropSetting(shapes=SQUARE, dataset=DatasetConfig(max_px=512))
    *_, whole = crop.windows(view((0, 0, 300, 300), area=(0, 0, 1920, 1080)), rule)
    assert corners(whole) == (0, 0, 1080, 1080) and whole.size == (512, 512)


def test_window_moves_off_others():
    rule = CropSetting(shapes=SQUARE, dataset=SINGLE)
    box, anna = (200, 100, 300, 300), (310, 80, 420, 320)
    (still,) = cut(box, rule=rule)
    assert share_inside(anna, corners(still)) > 0.3
    (moved,) = cut(box, rule=rule, others=[("Anna", anna)])
    assert share_inside(anna, corners(moved)) <= crop.FREE
    assert moved.x0_px <= 200 and moved.x1_px >= 300 and moved.others == ()
    # nobody can be left out who stands in front
    (both,) = cut(box, rule=rule, others=[("Anna", (200, 200, 300, 300))])
    assert both.others == ("Anna",)


@settings(deadline=None, max_examples=80)
@given(
    x=st.integers(0, 600),
    y=st.integers(0, 320),
    w=st.integers(24, 400),
    h=st.integers(24, 300),
    is_face=st.booleans(),
    step=st.sampled_from([0, 32]),
    others=st.booleans(),
)
def test_windows_law(x, y, w, h, is_face, step, others):
    """Inside the picture, of the written aspect, holding the subject where it fits."""
    box = (x, y, min(640, x + w), min(360, y + h))
    shapes = tuple(crop.sizes(1024, 8 * step)) if step else SQUARE
    rule = CropSetting(shapes=shapes)
    for window in cut(box, is_face=is_face, rule=rule, others=[(None, (0, 0, 60, 60))] * others):
        x0, y0, x1, y1 = corners(window)
        assert 0 <= x0 < x1 <= 640 and 0 <= y0 < y1 <= 360
        assert window.size == (x1 - x0, y1 - y0) and window.upscale == 1
        # both sides are rounded to whole pixels; besides that the aspect is a bucket's
        off = [abs((x1 - x0) * h - (y1 - y0) * w) / (w + h) for w, h in shapes]
        assert min(off) <= 0.51
        if x1 - x0 >= box[2] - box[0] and y1 - y0 >= box[3] - box[1]:
            assert share_inside(box, corners(window)) > 0.97


def test_bucket_follows_the_figure():
    rule = CropSetting(shapes=tuple(crop.sizes(128, 32)), dataset=FREE)
    tall, *_, wide = cut((300, 60, 380, 220), rule=rule)
    assert tall.size == (96, 160)
    assert wide.size[0] > wide.size[1]  # the whole picture is wide


def test_caption_of_a_window():
    text = "anna character and bunny character on a hill, wide shot"
    seen = view((20, 100, 120, 200), others=[("Anna", (500, 100, 600, 200))], text=text)
    (window, *_) = crop.windows(seen, CropSetting(shapes=SQUARE, dataset=FREE))
    assert (
        crop.caption_of(seen, window, BUNNY) == "bunny character on a hill"
    )  # now a figure, now a head


def test_framings_are_balanced_and_every_view_comes_first():
    boxes = [(300, 100, 350, 150)] * 4
    found = [cut(box, is_face=True) for box in boxes]
    picked = crop.pick_windows(found, 6)
    assert sorted(row for row, _ in picked[:4]) == [0, 1, 2, 3]
    assert [w.shot_size for _, w in picked[:4]] == ["close-up", "medium", "close-up", "medium"]
    assert len(picked) == 6 and len(set(map(str, picked))) == 6
    assert crop.pick_windows([], 3) == []


@pytest.mark.parametrize(("side", "step"), [(512, 64), (1024, 64), (768, 64), (128, 32), (64, 16)])
def test_buckets_law(side, step):
    sizes = crop.sizes(side, step)
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
    assert crop.sizes(64, 128) == [(64, 64)]


def test_nearest_by_hand():
    sizes = crop.sizes(512, 64)
    assert crop.nearest(100, 100, sizes) == (512, 512)
    assert crop.nearest(1920, 1080, sizes) == (640, 384)  # 1.78: 1.67 is nearer than 2.4
    assert crop.nearest(1, 9, sizes) == (256, 1024)


def test_resolution_of_the_tiny_base(tiny_folder, tmp_path):
    assert folder.resolution_of(str(tiny_folder)) == (32, 16)
    assert folder.choose_resolution(str(tiny_folder), 0) == (32, 16)
    assert folder.choose_resolution(str(tiny_folder), 48) == (48, 16)
    assert folder.resolution_of("somebody/sdxl-anime") == (1024, 64)
    assert folder.resolution_of("stable-diffusion-v1-5/stable-diffusion-v1-5") == (512, 64)
    assert folder.resolution_of("somebody/not-here", "flux") == (1024, 64)
    with pytest.raises(UserError, match=r"or set models.family \(sd, sdxl, sd3 or flux\)"):
        folder.resolution_of("somebody/not-here")
    with pytest.raises(
        UserError, match=("expected a multiple of 16 for this base model, got 40; 0 selects")
    ):
        folder.choose_resolution(str(tiny_folder), 40)
    broken = shutil.copytree(tiny_folder, tmp_path / "broken")
    (broken / "vae" / "config.json").write_text("[]")
    with pytest.raises(UserError, match=r"expected unet/config.json and vae/config.json"):
        folder.resolution_of(str(broken))
