"""Words that are replaced or removed, and files of other forms."""

import pytest

from bunny.caption import replacement
from bunny.core.error import UserError


def test_whole_words_are_replaced_in_any_case():
    words = {"cosy": "warm", "film still": "", "red coat": "crimson coat", "warm": "hot"}
    change = replacement.replace_words
    assert change("A film still, a COSY room", words) == "A, a warm room"  # each once
    assert change("Red Coat, cosyness.", words) == "crimson coat, cosyness."
    assert change("film still", words) == ""
    assert change("anything", {}) == "anything"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("w.yaml", "Cosy  place: warm place\nfilm still: ''\nhat:\n"),
        ("w.csv", "word,replacement\ncosy place,warm place\nfilm still,\nhat,\n"),
        ("w.CSV", "cosy place,warm place\nfilm still,\nhat,\n"),
    ],
)
def test_yaml_and_csv_say_the_same(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    assert replacement.read_replacements(str(path)) == {
        "cosy place": "warm place",
        "film still": "",
        "hat": "",
    }
    assert replacement.read_replacements("") == {}


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("w.yaml", "- cosy\n", "expected sections with keys, got a list"),
        ("w.yaml", "cosy: [warm]\n", r"a word and its replacement as text in .*cosy"),
        ("w.yaml", "no: yes\n", "put both in quotes"),
        ("w.yaml", "a: b: c", "expected YAML"),
        ("w.csv", "cosy\n", "expected two columns in .* got 'cosy'"),
        ("w.csv", "a,b,c\n", "expected two columns"),
        ("w.csv", ",b\n", "a word and its replacement"),
    ],
)
def test_files_of_another_form_are_refused(tmp_path, name, text, says):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(UserError, match=says) as error:
        replacement.read_replacements(str(path))
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_or_not_utf8_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"captioning\.replacements: .* found no file"):
        replacement.read_replacements(str(tmp_path / "none.csv"))
    (tmp_path / "w.csv").write_bytes(b"caf\xe9,coffee\n")
    with pytest.raises(UserError, match="CSV file in UTF-8"):
        replacement.read_replacements(str(tmp_path / "w.csv"))
