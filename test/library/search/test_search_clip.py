"""A CLIP that is built here, untrained: its own vectors come out, and a film is searched by it."""

import json

import numpy as np
import pytest

from bunny.caption import clip
from bunny.command import search
from bunny.core.error import UserError

ASKED = {"setting": "search.text_model", "otherwise": "set it to minilm"}
WORDS = ["<|startoftext|>", "<|endoftext|>", "a</w>", "b</w>", "c</w>"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    import torch
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTokenizer

    folder = tmp_path_factory.mktemp("clip")
    (folder / "vocab.json").write_text(json.dumps({w: i for i, w in enumerate(WORDS)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    small |= {"num_attention_heads": 2}
    torch.manual_seed(0)
    config = CLIPConfig(
        text_config={
            **small,
            "vocab_size": len(WORDS),
            "max_position_embeddings": 8,
            "bos_token_id": 0,
            "eos_token_id": 1,
            "pad_token_id": 1,
        },
        vision_config={**small, "image_size": 32, "patch_size": 16},
        projection_dim=8,
    )
    CLIPModel(config).save_pretrained(folder)
    tokenizer = CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))
    tokenizer.save_pretrained(folder)
    size = {"height": 32, "width": 32}
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=size).save_pretrained(folder)
    return folder


def test_both_towers_are_those_of_the_model(folder):
    import torch
    from PIL import Image

    made = clip.load(str(folder), **ASKED)
    picture = np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    inputs = made.processor(
        text=["a", "b c"],
        images=[Image.fromarray(picture[:, :, ::-1])] * 2,
        return_tensors="pt",
        padding=True,
    )
    with torch.inference_mode():
        out = made.net(**inputs)
    assert made.embed_text(["a", "b c"]) == pytest.approx(out.text_embeds.numpy(), abs=1e-5)
    assert made.embed_picture([picture])[0] == pytest.approx(out.image_embeds[0].numpy(), abs=1e-5)
    assert made.embed_picture([]).shape == (0, 8)


def test_words_find_pictures_that_no_caption_describes(folder, make_film):
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (250, 250, 250)]
    film = make_film("a", [{"colour": c} for c in colours])
    overrides = [f"search.text_model={folder}"]
    found = search.search("b", library=search.open_library(overrides=overrides))
    made = clip.load(str(folder), **ASKED)
    pictures = [np.full((36, 64, 3), c, np.uint8) for c in colours]
    cosine = made.embed_picture(pictures) @ made.embed_text(["b"])[0]
    best = [int(i) for i in np.argsort(-cosine) if cosine[i] > 0]
    assert found.shots["shot_index"].to_list() == best
    assert found.shots["score"].to_list() == pytest.approx(
        np.clip(2.5 * cosine[best], 0, 1).tolist(), abs=2e-3
    )
    (kept,) = (film.root / "search").iterdir()
    assert [p.name for p in kept.glob("*.parquet")] == ["search_vector.parquet"]


def test_a_folder_without_clip_is_refused(tmp_path):
    with pytest.raises(
        UserError, match=r"search\.text_model .*: expected a folder or hub id of a CLIP"
    ):
        clip.load(str(tmp_path), **ASKED)
