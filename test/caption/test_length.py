"""Captions by tokens of the base's own tokenizer, or by words where there is none."""

import json

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from bunny.caption import length
from bunny.caption.length import TokenLimit


def save_base(folder, pipeline: str, *parts: str):
    """A base whose tokenizers make one token of each word and each comma, with start and end."""
    folder.mkdir()
    (folder / "model_index.json").write_text(json.dumps({"_class_name": pipeline}))
    for part in parts:
        vocab = {"?": 0, "<s>": 1, "</s>": 2}
        made = Tokenizer(models.WordLevel(vocab, unk_token="?"))
        made.pre_tokenizer = pre_tokenizers.Whitespace()
        made.post_processor = processors.TemplateProcessing(
            single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
        )
        made.enable_truncation(5)
        (folder / part).mkdir()
        made.save(str(folder / part / "tokenizer.json"))
    return folder


@pytest.mark.parametrize(
    ("pipeline", "parts", "most", "name"),
    [
        ("StableDiffusionPipeline", ["tokenizer"], 77, "tokenizer"),
        ("StableDiffusionXLPipeline", ["tokenizer", "tokenizer_2"], 77, "tokenizer"),
        ("StableDiffusion3Pipeline", ["tokenizer", "tokenizer_3"], 256, "tokenizer_3"),
        ("StableDiffusion3Pipeline", ["tokenizer"], 77, "tokenizer"),  # without its T5
        ("FluxPipeline", ["tokenizer", "tokenizer_2"], 512, "tokenizer_2"),
    ],
)
def test_the_limit_is_that_of_the_bases_text_encoder(tmp_path, pipeline, parts, most, name):
    found = length.find_limit(save_base(tmp_path / "base", pipeline, *parts))
    assert (found.max_tokens, found.folder.name, found.is_estimate) == (most, name, False)
    assert found.count("anna, in the snow") == 5 + 2  # all of it, whatever the file says
    assert length.find_limit(tmp_path / "base", 9).max_tokens == 9


def test_without_a_tokenizer_words_are_counted(tmp_path):
    """Four words and a comma: 1.4 x 5 + 2 = 9."""
    for base in (None, tmp_path, save_base(tmp_path / "base", "StableDiffusionPipeline")):
        limit = length.find_limit(base)
        assert (limit.max_tokens, limit.is_estimate) == (77, True)
        assert limit.count("anna, in the snow") == 9


def test_whole_clauses_are_left_out_from_the_end(tmp_path):
    """Tokens: anna runs , in a field , day is 8, with start and end 10."""
    folder = save_base(tmp_path / "base", "StableDiffusionPipeline", "tokenizer") / "tokenizer"
    text = "anna runs, in a field, day"
    assert length.shorten(text, TokenLimit(10, folder)) == (text, [])
    assert length.shorten(text, TokenLimit(9, folder)) == ("anna runs, in a field", ["day"])
    assert length.shorten(text, TokenLimit(7, folder)) == ("anna runs", ["in a field", "day"])
    assert length.shorten(text, TokenLimit(3, folder)) == ("anna runs", ["in a field", "day"])
    assert not TokenLimit(3, folder).fits("anna runs")
    sentences = "anna runs. It is day."  # 7 tokens and two
    assert length.shorten(sentences, TokenLimit(8, folder)) == ("anna runs.", ["It is day."])


def test_what_counts_is_part_of_the_digest(tmp_path):
    one = length.find_limit(save_base(tmp_path / "a", "StableDiffusionPipeline", "tokenizer"))
    two = length.find_limit(save_base(tmp_path / "b", "StableDiffusionPipeline", "tokenizer"))
    assert one.digest() == two.digest()
    assert one.digest() != length.find_limit(tmp_path / "a", 50).digest()
    (tmp_path / "b" / "tokenizer" / "vocab.json").write_text("{}")
    assert one.digest() != two.digest()
