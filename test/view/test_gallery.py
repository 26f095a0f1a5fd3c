import base64
import io

import polars as pl
import pytest
from PIL import Image, ImageFont

from bunny.view import contact_sheet, tile


def red(path, size=(40, 30), left=(255, 0, 0), right=(0, 0, 255)):
    image = Image.new("RGB", size, left)
    image.paste(right, (size[0] // 2, 0, size[0], size[1]))
    image.save(path)
    return path


def test_spread_keeps_both_ends():
    assert tile.spread(range(10), 4) == [0, 3, 6, 9]
    assert tile.spread([1, 2], 5) == [1, 2]
    assert tile.spread([1, 2, 3], 1) == [1]
    assert tile.spread([1], 0) == []


def test_sheet_has_a_row_for_every_so_many_tiles(tmp_path):
    tiles = [tile.Tile(file=red(tmp_path / "a.png")) for _ in range(5)]
    two, three = contact_sheet.sheet(tiles, columns=4), contact_sheet.sheet([*tiles] * 2, columns=4)
    assert two.width == three.width == 4 * 170 + 10
    assert three.height > two.height


@pytest.mark.parametrize("make", ["absent", "text", "none"])
def test_what_cannot_be_read_is_grey(tmp_path, make):
    path = None if make == "none" else tmp_path / "x.jpg"
    if make == "text":
        path.write_text("not a picture")
    image = contact_sheet.thumbnail(tile.Tile(file=path), (20, 10))
    assert image.size == (20, 10)
    assert image.getpixel((5, 5)) == (0xC9, 0xC9, 0xC4)


def test_box_is_cut_out_with_its_margin(tmp_path):
    path = red(tmp_path / "a.png", (200, 100))
    image = contact_sheet.thumbnail(tile.Tile(file=path, box=(150, 40, 170, 60)), (64, 64))
    assert image.width == image.height
    assert image.getpixel((2, 2)) == (0, 0, 255)


@pytest.mark.parametrize("box", [(-50, -50, 900, 900), (39, 29, 39, 29), (500, 500, 600, 600)])
def test_box_over_the_edge(tmp_path, box):
    path = red(tmp_path / "a.png")
    assert contact_sheet.thumbnail(tile.Tile(file=path, box=box), (64, 64)).width >= 1


def test_empty_sheet_says_so():
    assert contact_sheet.sheet([]).height < 40
    assert contact_sheet.rows({}).height < 40


def test_no_columns_refused():
    with pytest.raises(ValueError, match="columns: expected at least 1"):
        contact_sheet.sheet([tile.Tile(file=None)], columns=0)


def test_wrap_ends_in_an_ellipsis():
    font = ImageFont.load_default(11)
    lines = contact_sheet.wrap("one two three four five six seven eight", 60, font, 2)
    assert len(lines) == 2 and lines[-1].endswith("…")
    assert all(font.getlength(line) <= 60 + font.getlength("…") for line in lines)
    assert contact_sheet.wrap("x" * 200, 60, font, 2)[0].endswith("…")


def test_data_uri_is_a_jpeg():
    uri = contact_sheet.data_uri(Image.new("RGB", (8, 6)))
    head, _, body = uri.partition(",")
    assert head == "data:image/jpeg;base64"
    assert Image.open(io.BytesIO(base64.b64decode(body))).size == (8, 6)


def test_the_sharpness_of_a_tile_is_the_one_that_its_threshold_judges(space, table):
    """A contrast of 0.06 doubles the odds of a score of 0.5: 2 / 3."""
    faint = {"blur_score": 0.5, "contrast": 0.06, "is_kept": True, "content_x1_px": 960}
    quality = table("quality").with_columns(
        pl.lit(value, table("quality").schema[name]).alias(name) for name, value in faint.items()
    )
    (first,) = tile.kept(space.root, table("frame"), quality, 1)
    assert first.note == "sharpness 0.67"


def test_tiles_of_a_film(space, table):
    frame, quality = table("frame"), table("quality")
    kept = tile.kept(space.root, frame, quality, 6)
    assert len(kept) == 6 and all(t.tone == "good" and t.file.exists() for t in kept)
    out = tile.rejected(space.root, frame, quality, 6)
    assert {t.title for t in out} == {"blurred", "dark", "duplicate"}


def test_subjects_are_sorted_by_character_and_similarity(space, table):
    found = tile.subjects(space.root, table("label"), table("frame"), 3)
    assert [t.title for t in found] == ["anna"] * 3 + ["ben"] * 3 + ["bunny"] * 3 + ["unknown"] * 3
    similarity = [float(t.note.split()[1].rstrip(",")) for t in found[:3]]
    assert similarity == sorted(similarity, reverse=True)


def test_scenes_put_noise_last(space, table):
    assert list(tile.scenes(space.root, table("cluster"), table("frame"))) == [
        "scene-000",
        "scene-001",
        "scene-002",
        "no scene",
    ]


def test_sheets_look_as_kept(space, table, look):
    """Tiles of every tone, cut to their boxes; then named rows."""
    frame = table("frame")
    tiles = [
        *tile.kept(space.root, frame, table("quality"), 3),
        *tile.rejected(space.root, frame, table("quality"), 3),
        *tile.subjects(space.root, table("label"), frame, 1),
        tile.Tile(file=None, title="gone", note="a picture that is no longer there"),
    ]
    look("sheet-tiles", contact_sheet.sheet(tiles, columns=5, width_px=120))
    look("sheet-rows", contact_sheet.rows(tile.drawings(space.root, table("picture")), 4, 120))


def test_unknown_people_put_nobody_last(space, table):
    face = table("face").head(4)
    ids = face["face_id"].to_list()
    cluster = (
        table("cluster")
        .head(4)
        .with_columns(
            item_id=face["face_id"], level=face["face_id"].replace_strict(ids, ["unknown"] * 4)
        )
    )
    named = ["person-02", None, "person-02", "person-01"]
    cluster = cluster.with_columns(cluster_id=face["face_id"].replace_strict(ids, named))
    found = tile.unknown_people(space.root, cluster, face, table("frame"))
    assert {k: len(v) for k, v in found.items()} == {"person-02": 2, "person-01": 1, tile.NOBODY: 1}
    assert list(found)[-1] == tile.NOBODY


def test_drawings_put_the_base_before_the_adapter(space, table):
    found = tile.drawings(space.root, table("picture"))
    assert list(found) == ["bunny in snow", "bunny by the sea"]
    assert [t.title for t in found["bunny in snow"]] == ["base", "adapter"] * 2


def test_a_failed_caption_shows_its_reason(space, table):
    caption = (
        table("caption")
        .head(1)
        .clear(1)
        .with_columns(
            frame_id=table("frame")["frame_id"].head(1), error=table("frame")["file"].head(1)
        )
    )
    (found,) = tile.captions(space.root, caption, table("frame"))
    assert found.tone == "bad" and "frame/" in found.note
