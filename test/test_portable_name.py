"""Names that the product gives to files and folders are names on every system.

The judge here is `windows_rule`, written apart from what the product asks itself.
"""

import re
from pathlib import Path

import pytest
import windows_rule
from hypothesis import example, given
from hypothesis import strategies as st

from bunny.character import reference
from bunny.core import log, workspace
from bunny.core.config import layer
from bunny.core.error import UserError
from bunny.dataset import image_folder
from bunny.review import cluster_reference
from bunny.trainer_format.check import kohya_folder

RESERVED = ("con", "PRN", "Aux", "nul", "COM1", "lpt9", "com¹")
AWKWARD = ("10:30", "Mr.", "anna ", "a?b", 'say "x"', "con.txt", "aux .png", "a\x07b", "…", "..")
# Texts in which the awkward comes up often: any text, and words joined by awkward signs.
names = st.one_of(
    st.text(max_size=80),
    st.text(alphabet='aA1zéß日\u0301 .:?*"<>|/\\\t_-', max_size=80),
    st.sampled_from([*RESERVED, *AWKWARD]),
    st.builds(str.__add__, st.sampled_from(RESERVED), st.sampled_from(("", ".", " ", ".x", "_"))),
)


def _awkward(test):
    for name in (*RESERVED, *AWKWARD):
        test = example(name=name)(test)
    return test


@_awkward
@given(name=names)
def test_folders_of_training_pictures_can_be_made_everywhere(name):
    made = image_folder.folder_name(name)
    assert windows_rule.name_fault(made) == ""
    assert made and Path(made).name == made


@_awkward
@given(name=names)
def test_folders_for_kohya_can_be_made_everywhere(name):
    assert windows_rule.name_fault(kohya_folder.folder_name(1, name)) == ""


@_awkward
@given(name=names.filter(lambda text: "/" not in text and "\0" not in text))
def test_film_ids_can_be_folders_everywhere(name):
    made = workspace.make_film_id(Path(f"{name}.mp4"), "0123456789abcdef")
    assert windows_rule.name_fault(made) == ""
    assert re.fullmatch(r"[a-z0-9-]{1,48}-01234567", made)
    assert windows_rule.name_fault(layer.local_file(Path(), made).name) == ""


@_awkward
@given(name=names)
def test_a_character_is_called_what_can_be_a_folder_and_a_file(name):
    try:
        reference.check_name(name)
    except UserError:
        assert (
            not name.isalpha() or name.casefold() in map(str.casefold, RESERVED) or len(name) > 64
        )
        return
    assert windows_rule.name_fault(name) == ""
    assert windows_rule.name_fault(f"{name}.jpg") == ""  # a portrait


@_awkward
@given(name=names)
def test_a_corrected_name_is_what_a_character_may_be_called(name):
    if cluster_reference.is_name("character", name):
        assert windows_rule.name_fault(name) == ""
        assert reference.check_name(name) == name


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("Aux", "device name"),
        ("com1", "device name"),
        ("nul.1", "device name"),
        ("Mr.", "dot or a space"),
    ],
)
def test_a_name_that_windows_lacks_is_refused_in_words(name, why):
    with pytest.raises(UserError, match=why):
        reference.check_name(name)


def test_log_files_have_names_without_colons(tmp_path):
    path = log.configure(tmp_path)
    log.configure(None)
    assert windows_rule.name_fault(path.name) == ""
    assert re.fullmatch(r"\d{8}T\d{6}-\d+\.jsonl", path.name)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("anna.png", ""),
        ("auxiliary", ""),
        ("Anna 2", ""),
        ("com10", ""),
        ("10:30.json", "has ':'"),
        ("a\x1fb", "has '\\x1f'"),
        ("Mr.", "ends in a dot or space"),
        ("anna ", "ends in a dot or space"),
        ("aux.tar.gz", "is reserved"),
        ("LPT1", "is reserved"),
    ],
)
def test_the_judge_knows_the_rules(name, fault):
    assert windows_rule.name_fault(name) == fault


def test_names_that_differ_by_case_alone_are_seen(tmp_path):
    with windows_rule.lifted():
        for name in ("Anna", "anna", "ben"):
            (tmp_path / name).mkdir()
        assert windows_rule.tree_faults(tmp_path) == [
            f"{tmp_path / 'anna'}: 'Anna' is the same name"
        ]
        (tmp_path / "anna").rmdir()


def test_a_path_is_measured_in_a_usual_project(tmp_path):
    room = windows_rule.MAX_PATH - windows_rule.PROJECT
    assert windows_rule.path_fault(tmp_path / ("x" * room), tmp_path) == ""
    fault = windows_rule.path_fault(tmp_path / ("x" * (room + 1)), tmp_path)
    assert fault == "has 260 characters in a usual project"
