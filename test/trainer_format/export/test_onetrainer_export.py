"""OneTrainer's folders: captions and masks beside pictures, by names that it makes of theirs."""

import cv2

from bunny.trainer_format.check import picture_file
from bunny.trainer_format.export import onetrainer


def test_folders_are_concepts_with_masks_beside_their_pictures(tmp_path, pictures, about):
    target = tmp_path / "set"
    target.mkdir()
    assert onetrainer.write(target, pictures, about) == {"train": 4, "validation": 2, "class": 2}
    files = sorted(p for p in target.rglob("*") if p.suffix in picture_file.PICTURES)
    masks = [p for p in files if p.stem.endswith("-masklabel")]
    seen = [p.relative_to(target).as_posix() for p in files if p not in masks]
    assert seen == [
        *(f"class/000{n}.png" for n in (0, 1)),
        *(f"train/1/000{n}.png" for n in (0, 3)),
        *(f"train/2/000{n}.png" for n in (1, 2)),
        *(f"validation/000{n}.png" for n in (0, 1)),
    ]
    assert [p.relative_to(target).as_posix() for p in masks] == ["train/1/0003-masklabel.png"]
    assert cv2.imread(str(masks[0]), cv2.IMREAD_GRAYSCALE).mean() == 127.5
    for path, one in zip((target / "train").rglob("0003.png"), pictures[3:4], strict=True):
        assert path.read_bytes() == one.file.read_bytes()
        assert path.with_suffix(".txt").read_text(encoding="utf-8").strip() == one.caption
