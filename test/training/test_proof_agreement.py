"""Agreement with prompts by a CLIP that is built here, and by the toy world's judge."""

import json

import numpy as np
import pytest

from bunny.error import UserError
from bunny.training.proof import agreement

WORDS = ["<|startoftext|>", "<|endoftext|>", "a</w>", "b</w>", "c</w>"]


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory):
    """An untrained CLIP of a few thousand weights, saved as the hub's are."""
    import torch
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTokenizer

    folder = tmp_path_factory.mktemp("clip")
    (folder / "vocab.json").write_text(json.dumps({w: i for i, w in enumerate(WORDS)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    small |= {"num_attention_heads": 2}
    torch.manual_seed(0)
    config = CLIPConfig(
        text_config={**small, "vocab_size": len(WORDS), "max_position_embeddings": 8,
                     "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1},
        vision_config={**small, "image_size": 32, "patch_size": 16},
        projection_dim=8,
    )  # fmt: skip
    size = {"height": 32, "width": 32}
    CLIPModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=size).save_pretrained(folder)
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
    with pytest.raises(UserError, match=r"evaluation\.text_model .*: expected a CLIP model"):
        agreement.load_clip(str(tmp_path))
