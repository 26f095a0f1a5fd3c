"""Find and replace over captions."""

import polars as pl
import pytest

from bunny.caption import find_replace
from bunny.core.error import UserError

CAPTION = pl.DataFrame(
    {"frame_id": ["f2", "f0", "f1", "f3"], "text": ["A red hat", "red", "rednecks", None]}
)


def test_whole_words_in_any_case_change_and_nothing_else():
    found = find_replace.preview(CAPTION, " RED ", "blue")
    assert found.rows() == [("f0", "red", "blue"), ("f2", "A red hat", "A blue hat")]
    assert find_replace.preview(CAPTION, "green", "blue").is_empty()


def test_what_is_found_is_no_pattern_and_what_is_put_in_neither():
    assert find_replace.replace_words("a (b) c", "(b)", r"\1") == r"a \1 c"
    assert find_replace.replace_words("a.b", "a.b", "c") == "c"
    assert find_replace.replace_words("axb", "a.b", "c") == "axb"


def test_nothing_to_find_and_a_caption_without_a_word_are_refused():
    with pytest.raises(UserError, match="expected words to find, got none"):
        find_replace.preview(CAPTION, "  ", "blue")
    with pytest.raises(UserError, match="the caption of f0 would be empty"):
        find_replace.preview(CAPTION, "red", "")
