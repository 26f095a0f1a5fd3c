"""The toy base's tokenizer and captions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy import caption, model


def test_merges_worked_by_hand():
    # "ab" and "abc": a+b</w> once, a+b once, b+c</w> once; ties go to the smaller pair.
    assert model.learn_merges(("ab", "abc")) == [("a", "b"), ("a", "b</w>"), ("ab", "c</w>")]
    assert model.learn_merges(("a",)) == []


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return model.write_tokenizer(tmp_path_factory.mktemp("tokenizer"))


def test_every_word_is_one_token(tokenizer):
    assert [w for w in model.WORDS if len(tokenizer.tokenize(w)) != 1] == []


def test_unknown_words_are_spelled_not_lost(tokenizer):
    assert tokenizer.tokenize("qzk") == ["q", "z", "k</w>"]
    ids = tokenizer("兎 on a beach").input_ids
    assert tokenizer.unk_token_id not in ids[1:-1]
    assert tokenizer.decode(ids, skip_special_tokens=True) == "兎 on a beach"


def test_written_files_load_again(tmp_path):
    from transformers import CLIPTokenizer

    first = model.write_tokenizer(tmp_path)
    again = CLIPTokenizer.from_pretrained(tmp_path)
    text = "a red bear with a blue scarf in the snow, close-up, day"
    assert again(text).input_ids == first(text).input_ids
    assert again.model_max_length == model.TOKENS_MAX
    assert (tmp_path / "vocab.json").exists()
    assert (tmp_path / "merges.txt").exists()


def test_background_colours():
    picture = np.zeros((20, 20, 3), np.uint8)
    picture[:] = (80, 140, 220)
    picture[:, 5:15] = (200, 60, 50)  # the middle is the subject, not the background
    assert caption.background_colours(picture) == ["blue"]


FACTS = {
    "who": [["red", "bear", "blue scarf"], ["green", "owl", "none"]],
    "place": "in the snow",
    "size": "medium",
    "light": "night",
    "background": ["white", "blue"],
}


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_captions_always_say_who_and_fit(seed):
    text = caption.vary_caption(FACTS, np.random.default_rng(seed))
    assert ("bear" in text or "character" in text) and ("owl" in text or "character" in text)
    assert "close-up" not in text and "wide" not in text
    assert not text.startswith(",") and ", ," not in text
    assert len(text.replace(",", " ,").split()) < model.TOKENS_MAX - 2
