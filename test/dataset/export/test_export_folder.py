"""An export comes into its place as a whole, and never over what is not an export."""

import pytest

from bunny.core.error import UserError
from bunny.dataset.export import folder


def _write(text):
    def write(target):
        (target / "deep").mkdir()
        (target / "deep" / "a.txt").write_text(text)
        return {"character": "anna"}

    return write


def test_an_export_replaces_an_earlier_one(tmp_path):
    output = tmp_path / "out" / "set"
    folder.replace_folder(output, "kohya", _write("one"))
    (output / "deep" / "a.txt").unlink()
    said = folder.replace_folder(output, "kohya", _write("two"))
    assert said == {"made_by": "diffusion-bunny", "format": "kohya", "character": "anna"}
    assert (output / "deep" / "a.txt").read_text() == "two"
    assert [p.name for p in output.parent.iterdir()] == ["set"]


def test_an_empty_folder_may_be_given(tmp_path):
    folder.replace_folder(tmp_path, "kohya", _write("one"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["deep", "export.json"]


@pytest.mark.parametrize("name", ["photo.jpg", "export.json", ".hidden"])
def test_other_files_are_never_written_over(tmp_path, name):
    (tmp_path / name).write_text("{}")
    with pytest.raises(UserError, match="expected an empty folder or an earlier export"):
        folder.replace_folder(tmp_path, "kohya", _write("one"))
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_what_was_put_into_an_export_is_kept(tmp_path):
    output = tmp_path / "set"
    folder.replace_folder(output, "kohya", _write("one"))
    (output / "deep" / "adapter.safetensors").write_text("hours of work")
    with pytest.raises(UserError, match=r"1 other files \(deep/adapter.safetensors\)"):
        folder.replace_folder(output, "kohya", _write("two"))
    assert (output / "deep" / "a.txt").read_text() == "one"


def test_a_file_or_a_link_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "home").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "home")
    for name in ("file", "link"):
        with pytest.raises(UserError, match="expected a folder or a new path"):
            folder.replace_folder(tmp_path / name, "kohya", _write("one"))


def test_a_failure_leaves_what_was_there(tmp_path):
    output = tmp_path / "set"
    folder.replace_folder(output, "kohya", _write("one"))

    def fail(target):
        (target / "half.txt").write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        folder.replace_folder(output, "kohya", fail)
    assert (output / "deep" / "a.txt").read_text() == "one"
    assert [p.name for p in tmp_path.iterdir()] == ["set"]
