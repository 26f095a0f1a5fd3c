"""The rule under which all tests run refuses what Windows refuses, and nothing else."""

import mmap
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import windows_rule


@pytest.fixture
def refused(_windows):
    """Take what was refused, so that it fails nothing; gives that of the test so far."""
    if _windows is None:
        pytest.skip("which files are open is read from /proc, and this system has none")
    yield _windows.take
    _windows.take()


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "file.bin"
    path.write_bytes(b"x" * 100)
    return path


ACTS = {
    "replace it": lambda file: _other(file).replace(file),
    "move it": lambda file: file.rename(file.with_name("new")),
    "move by shutil": lambda file: shutil.move(file, file.with_name("new")),
    "delete it": lambda file: file.unlink(),
    "delete by os": lambda file: os.remove(file),  # noqa: PTH107
    "delete its folder": lambda file: shutil.rmtree(file.parent),
    "move its folder": lambda file: file.parent.rename(file.parent.with_name("elsewhere")),
}


def _other(file: Path) -> Path:
    file.with_name("other").write_bytes(b"new")
    return file.with_name("other")


@pytest.mark.parametrize("act", ACTS)
def test_what_is_open_is_neither_replaced_nor_deleted(act, file, refused):
    with file.open("rb"), pytest.raises(PermissionError, match=r"WinError 32.*is open") as caught:
        ACTS[act](file)
    assert caught.value.winerror == 32
    assert file.read_bytes() == b"x" * 100
    assert refused()
    file.with_name("new").unlink(missing_ok=True)  # shutil had begun to copy it
    ACTS[act](file)  # once it is closed
    assert not refused() and (not file.exists() or file.read_bytes() == b"new")


def test_it_is_noted_when_the_error_is_passed_over(file, refused):
    with file.open("rb"):
        shutil.rmtree(file.parent, ignore_errors=True)
    assert any("file.bin is open" in line for line in refused())


def test_what_is_mapped_is_neither_replaced_nor_written_over(file, refused):
    with file.open("rb") as stream:
        mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    with pytest.raises(PermissionError, match="WinError 32"):
        _other(file).replace(file)
    with pytest.raises(PermissionError, match="WinError 1224"):
        file.write_bytes(b"new")
    mapped.close()
    file.write_bytes(b"new")
    assert len(refused()) == 2


def test_native_libraries_count(tmp_path, refused):
    np.save(tmp_path / "a.npy", np.zeros(10_000))
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    with pytest.raises(PermissionError, match="delete"):
        (tmp_path / "a.npy").unlink()
    del mapped
    (tmp_path / "a.npy").unlink()
    pl.DataFrame({"a": range(9)}).write_parquet(tmp_path / "a.parquet")
    table = pl.read_parquet(tmp_path / "a.parquet", memory_map=False)
    (tmp_path / "a.parquet").unlink()  # as `store.read` reads it
    assert table.height == 9 and len(refused()) == 1


def test_folders_are_no_files(tmp_path, refused):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with pytest.raises(PermissionError, match="place of a folder"):
        (tmp_path / "one").replace(tmp_path / "two")
    with pytest.raises(PermissionError, match="open a folder"):
        os.open(tmp_path, os.O_RDONLY)
    assert len(refused()) == 2


def test_rename_puts_nothing_over_a_file(file, refused):
    with pytest.raises(FileExistsError):
        _other(file).rename(file)
    assert file.read_bytes() == b"x" * 100 and len(refused()) == 1


def test_names_are_judged_as_they_are_made(tmp_path, refused):
    for make in (Path.mkdir, Path.touch):
        path = tmp_path / f"{make.__name__} 10:30"
        make(path)
        assert path.is_dir() or path.is_file()
        assert "has ':'" in "".join(refused())
        path.rename(tmp_path / f"{make.__name__}.")
        assert "ends in a dot" in "".join(refused())
        shutil.move(tmp_path / f"{make.__name__}.", tmp_path / make.__name__)
    assert not refused()


def test_what_is_lifted_is_let_be(file, refused):
    with windows_rule.lifted(), file.open("rb"):
        file.unlink()
    assert not refused()


def test_a_command_under_the_rule_says_what_was_refused(tmp_path, refused):
    """As the small project of other tests is made."""
    program = tmp_path / "program.py"
    lines = [
        "import windows_rule, pathlib, sys",
        "windows_rule.runpy.run_module = lambda *a, **k: (",
    ]
    lines += ["    pathlib.Path('a:b').touch())", "windows_rule._main()"]
    program.write_text("\n".join(lines), encoding="utf-8")
    folder = Path(windows_rule.__file__).parent
    done = subprocess.run(
        [sys.executable, program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == windows_rule.BROKEN
    assert "'a:b' has ':'" in done.stderr
    (tmp_path / "a:b").unlink()
