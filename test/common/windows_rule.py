"""What Windows refuses, refused here: files in use, names that cannot be, folders put over others.

While the rule holds, this process gets `PermissionError` as Windows would give it for replacing,
deleting or moving a file that it has open or mapped into memory itself, native libraries included:
`/proc` tells. Names of files and folders that are made are judged too. Whatever was refused is
noted, so that code which passes over the error is found as well.

Run as a script it runs `bunny` under the rule: `python windows_rule.py run film.mp4 --json`.
"""

from __future__ import annotations

import os
import re
import runpy
import sys
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f]')
RESERVED = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9\u00b9\u00b2\u00b3])[ ]*(\..*)?", re.I
)
MAX_PATH = 260 - 1  # characters with drive; the ending zero counts for Windows
PROJECT = len("C:\\Users\\Anna Katharina\\Documents\\diffusion-bunny\\")  # a usual project folder
IN_USE, MAPPED, DENIED = 32, 1224, 5  # ERROR_SHARING_VIOLATION, _USER_MAPPED_FILE, _ACCESS_DENIED
BROKEN = 70  # exit code of the script when something was refused
# They do otherwise on Windows by themselves, or are no part of what users run.
EXEMPT = ("filelock", "_pytest", "pytest", "coverage", "xdist", "execnet", "hypothesis")
NEVER_MAPPED = frozenset((".json", ".jsonl", ".png", ".jpg", ".txt", ".yaml", ".lock", ".tmp"))
STANDARD = Path(os.__file__).parent.as_posix()
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Rule:
    """What was refused so far; projects lie so many folders (`depth`) below `root`."""

    def __init__(self) -> None:
        self.root, self.depth = Path("/"), 0
        self.broken: list[str] = []

    def take(self) -> list[str]:
        """What was refused since the last call."""
        taken, self.broken = self.broken, []
        return taken


_rule = Rule()
_state = {"is_hooked": False, "is_on": False}
_local = threading.local()


@contextmanager
def holding(root: Path, depth: int = 0) -> Iterator[Rule]:
    """Let the rule hold in this process."""
    if not _state["is_hooked"]:
        sys.addaudithook(_hook)  # for good; it does nothing while the rule does not hold
        _state["is_hooked"] = True
    before = _rule.root, _rule.depth
    _rule.root, _rule.depth = root.resolve(), depth
    was_on, _state["is_on"] = _state["is_on"], True
    rename, os.rename = os.rename, _rename
    try:
        yield _rule
    finally:
        os.rename = rename
        (_rule.root, _rule.depth), _state["is_on"] = before, was_on


@contextmanager
def lifted() -> Iterator[None]:
    """Let a part of a test do what Windows would refuse."""
    was_on, _state["is_on"] = _state["is_on"], False
    try:
        yield
    finally:
        _state["is_on"] = was_on


def can_hold() -> bool:
    """Whether this system tells which files a process has open."""
    return Path("/proc/self/maps").exists()


def name_fault(name: str) -> str:
    """Why Windows has no such name; empty when it has.

    Examples
    --------
    >>> [name_fault(name) for name in ("anna.png", "10:30", "Mr.", "aux.txt", "auxiliary")]
    ['', "has ':'", 'ends in a dot or space', 'is reserved', '']
    """
    found = FORBIDDEN.search(name)
    if found:
        return f"has {found[0]!r}"
    if name.endswith((".", " ")):
        return "ends in a dot or space"
    return "is reserved" if RESERVED.fullmatch(name) else ""


def path_fault(path: Path, root: Path, depth: int = 0) -> str:
    """Why Windows cannot have this path in a project `depth` below `root`; empty when it can."""
    below = path.relative_to(root) if path.is_relative_to(root) else Path(path.name)
    for name in below.parts:
        fault = name_fault(name)
        if fault:
            return f"{name!r} {fault}"
    length = PROJECT + len("/".join(below.parts[depth:]).encode("utf-16-le")) // 2
    return f"has {length} characters in a usual project" if length > MAX_PATH else ""


def tree_faults(root: Path, depth: int = 0) -> list[str]:
    """Faults of all names under a folder, two that differ by case or accents' form alone too."""
    found = []
    for folder, folders, files in os.walk(root):
        place, seen = Path(folder), {}
        for name in sorted([*folders, *files]):
            fault = path_fault(place / name, root, depth)
            found += [f"{place / name}: {fault}"] * bool(fault)
            other = seen.setdefault(unicodedata.normalize("NFC", name).casefold(), name)
            if other != name:
                found.append(f"{place / name}: {other!r} is the same name")
    return found


_rename_here = os.rename


def _rename(source, target, **folders) -> None:
    """As `os.rename`, which on Windows puts nothing over a file; the hook sees no difference."""
    place = _place(target, folders.get("dst_dir_fd") or -1)
    is_taken = _state["is_on"] and place is not None and place.exists()
    if is_taken and not _is_of(EXEMPT):
        _rule.broken.append(f"{place}: os.rename onto what exists, by {_who()}")
        raise FileExistsError(17, "[WinError 183] rename onto what exists", str(target))
    _rename_here(source, target, **folders)


def _hook(event: str, arguments: tuple) -> None:
    if not _state or not _state["is_on"] or getattr(_local, "is_inside", False):
        return  # at the end of the interpreter the names of modules are None
    judge = JUDGE.get(event)
    if judge is None:
        return
    _local.is_inside = True
    try:
        judge(*arguments)
    finally:
        _local.is_inside = False


def _judge_open(path, _mode, flags) -> None:
    if isinstance(path, int):
        return
    place = _place(path)
    if place is None:
        return
    if place.is_dir():
        if flags is not None and not flags & os.O_CREAT and not _is_of(("shutil.py", "os.py")):
            _refuse(place, DENIED, "open a folder")
        return
    if not (flags or 0) & WRITES:
        return
    _judge_name(place)
    if flags & os.O_TRUNC and place.is_file() and _is_mapped(place):
        _refuse(place, MAPPED, "write over a file that is mapped into memory")


def _judge_rename(source, target, source_fd=-1, target_fd=-1) -> None:
    source, target = _place(source, source_fd), _place(target, target_fd)
    if source is None or target is None:
        return
    _judge_name(target)
    if target.is_dir() and not target.is_symlink() and target != source:
        _refuse(target, DENIED, "put something in the place of a folder")
    for place in (source, target):
        _judge_use(place, "move or replace")


def _judge_remove(path, dir_fd=-1) -> None:
    place = _place(path, dir_fd)
    caller, _ = next(_frames())
    if place is not None and not caller.endswith("tempfile.py"):  # it has its own way on Windows
        _judge_use(place, "delete")


def _judge_rmdir(path, dir_fd=-1) -> None:
    place = _place(path, dir_fd)
    if place is not None and Path.cwd() == place:
        _refuse(place, IN_USE, "delete the working folder")


def _judge_mkdir(path, _mode=0, dir_fd=-1) -> None:
    place = _place(path, dir_fd)
    if place is not None:
        _judge_name(place)


def _judge_truncate(path, _length) -> None:
    place = None if isinstance(path, int) else _place(path)
    if place is not None and _is_mapped(place):
        _refuse(place, MAPPED, "shorten a file that is mapped into memory")


JUDGE = {
    "open": _judge_open,
    "os.rename": _judge_rename,  # of os.replace as well
    "os.remove": _judge_remove,
    "os.rmdir": _judge_rmdir,
    "os.mkdir": _judge_mkdir,
    "os.truncate": _judge_truncate,
}


def _place(path, dir_fd: int = -1) -> Path | None:
    """The path as the kernel names it, its last part as given; None for what is no file."""
    path = Path(os.fsdecode(path))
    if dir_fd >= 0:
        path = Path(f"/proc/self/fd/{dir_fd}").readlink() / path
    place = path.parent.resolve() / path.name if path.name != ".." else path.resolve()
    return None if place.is_relative_to("/proc") or place.is_relative_to("/dev") else place


def _judge_name(place: Path) -> None:
    fault = path_fault(place, _rule.root, _rule.depth)
    if fault and not _is_of(EXEMPT):
        _rule.broken.append(f"{place}: {fault}, by {_who()}")


def _judge_use(place: Path, what: str) -> None:
    """Refuse what is done to a file, or a folder of files, that this process has in use."""
    if place.is_symlink() or not place.exists():
        return
    is_folder = place.is_dir()
    for how, path in (*_opened(), *_mapped(place)):
        if path == str(place) or (is_folder and path.startswith(f"{place}/")):
            _refuse(place, IN_USE, f"{what} while {path} is {how}")


def _opened() -> list[tuple[str, str]]:
    """Files that this process has open."""
    found = []
    for number in os.scandir("/proc/self/fd"):
        try:
            path = os.readlink(number.path)  # noqa: PTH115 (asked for thousands of times)
        except OSError:
            continue
        if path.startswith("/") and not path.startswith("/dev/"):
            found.append(("open", path))
    return [(how, path) for how, path in found if not Path(path).is_dir()]


def _mapped(place: Path) -> list[tuple[str, str]]:
    """Files that this process has mapped into memory, if `place` or what lies in it is of them."""
    if place.suffix.lower() in NEVER_MAPPED:
        return []
    lines = Path("/proc/self/maps").read_bytes()
    if os.fsencode(place) not in lines:
        return []
    paths = [line[line.index(b"/") :] for line in lines.splitlines() if b"/" in line]
    return [("mapped into memory", os.fsdecode(path)) for path in paths]


def _is_mapped(place: Path) -> bool:
    return any(path == str(place) for _, path in _mapped(place))


def _refuse(place: Path, number: int, what: str) -> None:
    if _is_of(EXEMPT):
        return
    _rule.broken.append(f"{place}: [WinError {number}] {what}, by {_who()}")
    error = PermissionError(13, f"[WinError {number}] {what}", str(place))
    error.winerror = number
    raise error


def _frames() -> Iterator[tuple[str, int]]:
    """Files and lines of the callers, from the innermost, without the hook's own."""
    frame = sys._getframe()
    while frame is not None:
        if frame.f_code.co_filename != __file__:
            yield frame.f_code.co_filename, frame.f_lineno
        frame = frame.f_back


def _is_of(parts: tuple[str, ...]) -> bool:
    """Whether the call comes from one of these: its first caller outside the standard library."""
    for file, _ in _frames():
        path = Path(file)
        if path.name in parts:
            return True
        if not file.startswith((STANDARD + "/", "<frozen")) or "site-packages" in file:
            return any(part in path.parts for part in parts)
    return False


def _who() -> str:
    """The calls that led here, without the standard library's."""
    outside = [
        f"{Path(file).name}:{line}"
        for file, line in _frames()
        if not file.startswith((STANDARD, "<")) and "site-packages" not in file
    ]
    return " < ".join(outside[:4])


def command(*arguments: object) -> list[str]:
    """The command line of `bunny` under the rule, where the rule can hold."""
    start = [__file__] if can_hold() else ["-m", "bunny"]
    return [sys.executable, *start, *map(str, arguments)]


def _main() -> None:
    """Run `bunny` under the rule; what was refused goes to standard error."""
    sys.argv[0] = "bunny"
    with holding(Path.cwd()) as rule:
        try:
            runpy.run_module("bunny", run_name="__main__", alter_sys=True)
        finally:
            broken = rule.take()
    if broken:
        sys.stderr.write("\n".join(["Windows refuses this:", *broken, ""]))
        raise SystemExit(BROKEN)


if __name__ == "__main__":
    _main()
