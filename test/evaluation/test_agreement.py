"""Agreement with prompts by a CLIP that is built here, and by the toy world's judge."""

import drawn_base
import numpy as np
import pytest

from bunny.core.error import UserError
from bunny.evaluation import agreement


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory):
    """An untrained CLIP of a few thousand weights."""
    folder = tmp_path_factory.mktemp("clip")
    drawn_base.save_clip(folder)
    return folder


def test_clip_score_is_that_of_the_model_and_of_each_pair(clip_folder):
    agree = agreement.load_clip(str(clip_folder))
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 255, (40, 40, 3), dtype=np.uint8) for _ in range(18)]
    prompts = ["a", "b", "c"] * 6
    found = agree(pictures, prompts)
    assert found.shape == (18,)  # more than one batch
    assert (found >= 0).all() and (found <= 2.5).all()
    alone = [float(agree([p], [w])[0]) for p, w in zip(pictures, prompts, strict=True)]
    assert found == pytest.approx(alone, abs=1e-4)
    assert agree([], []).shape == (0,)


def test_a_folder_without_clip_is_refused(tmp_path):
    with pytest.raises(
        UserError,
        match=(
            r"evaluation\.text_model .*: expected a folder or "
            r"hub id of a CLIP model"
        ),
    ):
        agreement.load_clip(str(tmp_path))
