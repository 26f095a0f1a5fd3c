"""The code needs no one operating system: encodings, line ends, POSIX calls, moving of files."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("src", "python_script")
# `os.execv` is there on Windows, but leaves the shell before the new program has ended.
POSIX_OS = """
    execl execle execlp execlpe execv execve execvp execvpe fork forkpty geteuid getuid getegid
    getgid getgroups getpgid getpgrp setsid killpg setuid setgid chown lchown mkfifo mknod statvfs
    fstatvfs sched_getaffinity sched_setaffinity nice getloadavg uname wait wait3 wait4 sysconf
    confstr posix_fadvise posix_fallocate pread pwrite preadv pwritev sendfile sync fchmod fchown
    fdatasync lockf memfd_create openpty setxattr getxattr O_NONBLOCK O_DIRECTORY O_NOFOLLOW
    O_CLOEXEC O_SYNC O_DSYNC symlink link
"""
POSIX_SIGNAL = """
    SIGKILL SIGHUP SIGQUIT SIGALRM SIGUSR1 SIGUSR2 SIGCHLD SIGCONT SIGSTOP SIGTSTP SIGPIPE SIGWINCH
    alarm setitimer pause sigwait pthread_kill pthread_sigmask
"""
POSIX = {
    "os": frozenset(POSIX_OS.split()),
    "signal": frozenset(POSIX_SIGNAL.split()),
    "socket": frozenset(("AF_UNIX",)),
    "select": frozenset(("poll", "epoll")),
}
POSIX_MODULES = frozenset(("fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "posix"))
POSIX_METHODS = frozenset(("symlink_to", "hardlink_to"))
POSIX_FOLDERS = ("/tmp", "/dev/", "/proc/", "/etc/", "/var/", "/usr/", "/bin/")
POSIX_PROGRAMS = frozenset(("ps", "kill", "ls", "cp", "mv", "rm", "cat", "sh", "bash", "which"))
POSIX_OPTIONS = frozenset(("shell", "preexec_fn", "start_new_session", "pass_fds"))
GUARDS = ("hasattr", "sys.platform", "os.name")  # what a branch for one system asks
TEXT_MODES = frozenset(("r", "w", "a", "x", "rt", "wt", "at", "r+", "w+", "a+"))
# They start by spawn on Windows and macOS, which imports everything once more in each: threads do.
PROCESSES = frozenset(("multiprocessing", "ProcessPoolExecutor", "DataLoader"))
NOT_TEXT = frozenset(("os", "Image", "av", "tarfile", "webbrowser"))  # whose `open` opens no text
STARTS = frozenset(("run", "Popen", "check_output"))
MOVES = frozenset(("replace", "rename", "renames", "move"))
# The module that moves files, and scripts that kill process groups and fork.
NOT_JUDGED = (
    "src/bunny/core/atomic.py",
    "python_script/mutate.py",
    "python_script/mutation/quick.py",
    "python_script/soak_kill.py",
    "python_script/fuzz.py",
)


class Judge(ast.NodeVisitor):
    """Collects (line, what is wrong) of one module."""

    def __init__(self) -> None:
        self.found: list[tuple[int, str]] = []
        self._above: list[ast.AST] = []

    def visit(self, node: ast.AST) -> None:
        """Judge a node, then what is in it."""
        judge = getattr(self, f"_judge_{type(node).__name__}", None)
        if judge is not None:
            judge(node)
        self._above.append(node)
        self.generic_visit(node)
        self._above.pop()

    def _say(self, node: ast.AST, what: str) -> None:
        self.found.append((node.lineno, what))

    def _say_unguarded(self, node: ast.AST, what: str) -> None:
        if not self._is_guarded(node):
            self._say(node, what)

    def _is_guarded(self, node: ast.AST) -> bool:
        """Whether it stands in a branch for its system, or its absence is caught."""
        for above in self._above:
            if isinstance(above, ast.If | ast.IfExp) and _asks_system(above.test):
                return True
            if isinstance(above, ast.Try) and any(
                "ImportError" in _text(h) for h in above.handlers
            ):
                return True
            if isinstance(above, ast.FunctionDef):
                early = [s for s in above.body if isinstance(s, ast.If) and s.lineno < node.lineno]
                if any(_asks_system(s.test) and isinstance(s.body[-1], ast.Return) for s in early):
                    return True
        return False

    def _judge_Import(self, node: ast.Import) -> None:  # noqa: N802
        for name in node.names:
            if name.name.split(".")[0] in PROCESSES:
                self._say(node, f"worker processes of {name.name}")
            if name.name in POSIX_MODULES:
                self._say_unguarded(node, f"import {name.name}")

    def _judge_ImportFrom(self, node: ast.ImportFrom) -> None:  # noqa: N802
        for name in node.names:
            if {name.name, *(node.module or "").split(".")} & PROCESSES:
                self._say(node, f"worker processes of {name.name}")
            if node.module in POSIX_MODULES or name.name in POSIX.get(node.module or "", ()):
                self._say_unguarded(node, f"{node.module}.{name.name}")

    def _judge_Attribute(self, node: ast.Attribute) -> None:  # noqa: N802
        owner = node.value.id if isinstance(node.value, ast.Name) else ""
        if node.attr in POSIX.get(owner, ()):
            self._say_unguarded(node, f"{owner}.{node.attr}")
        if node.attr in POSIX_METHODS:
            self._say_unguarded(node, node.attr)

    def _judge_Constant(self, node: ast.Constant) -> None:  # noqa: N802
        is_path = isinstance(node.value, str) and node.value.startswith(POSIX_FOLDERS)
        if is_path and not isinstance(self._above[-1], ast.Expr):  # a docstring says it only
            self._say_unguarded(node, f"the path {node.value}")

    def _judge_Call(self, node: ast.Call) -> None:  # noqa: N802
        called = node.func
        given = {k.arg for k in node.keywords}
        if isinstance(called, ast.Name):
            if called.id == "open":
                self._judge_open(node, given, 1)
            return
        if not isinstance(called, ast.Attribute):
            return
        owner = called.value.id if isinstance(called.value, ast.Name) else ""
        if called.attr in ("read_text", "write_text") and owner != "folder":
            if "encoding" not in given:
                self._say(node, f"{called.attr} without encoding")
            if called.attr == "write_text" and "newline" not in given:
                self._say(node, "write_text without newline: other bytes on Windows")
        elif called.attr == "open" and owner not in NOT_TEXT:
            self._judge_open(node, given, 0)
        elif owner == "subprocess" and called.attr in STARTS:
            self._judge_process(node, given)
        elif called.attr in MOVES and self._moves_file(node, owner):
            self._say(node, f"{_text(node)}: bunny.core.atomic waits for readers")

    def _judge_open(self, node: ast.Call, given: set, place: int) -> None:
        mode = [k.value for k in node.keywords if k.arg == "mode"] or node.args[place : place + 1]
        is_text = not mode or (isinstance(mode[0], ast.Constant) and mode[0].value in TEXT_MODES)
        if is_text and "encoding" not in given:
            self._say(node, "open of a text without encoding")

    def _judge_process(self, node: ast.Call, given: set) -> None:
        if "text" in given and "encoding" not in given:
            self._say(node, "a process's text without encoding")
        if given & POSIX_OPTIONS:
            self._say_unguarded(node, f"a process with {min(given & POSIX_OPTIONS)}")
        command = node.args[0] if node.args else None
        first = command.elts[0] if isinstance(command, ast.List) and command.elts else None
        if isinstance(first, ast.Constant) and first.value in POSIX_PROGRAMS:
            self._say_unguarded(node, f"the program {first.value}")

    def _moves_file(self, node: ast.Call, owner: str) -> bool:
        """Whether it is `os.replace`, `shutil.move` or `Path.replace(target)`."""
        if owner in ("os", "shutil"):
            return True
        only = node.args[0] if len(node.args) == 1 and not node.keywords else None
        is_path = isinstance(only, ast.Name | ast.Attribute | ast.BinOp)
        is_simple = bool(owner) or _text(node.func.value).startswith("Path(")
        return is_path and is_simple and node.func.attr in ("replace", "rename")


def _asks_system(test: ast.AST) -> bool:
    return any(word in _text(test) for word in GUARDS)


def _text(node: ast.AST) -> str:
    return ast.unparse(node)


def _faults(text: str) -> list[tuple[int, str]]:
    judge = Judge()
    judge.visit(ast.parse(text))
    return judge.found


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_module_needs_one_operating_system(folder):
    found = []
    for path in sorted((ROOT / folder).rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        if name not in NOT_JUDGED:
            faults = _faults(path.read_text(encoding="utf-8"))
            found += [f"{name}:{line}: {what}" for line, what in faults]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("p.read_text()", "read_text without encoding"),
        ("p.write_text('x', newline='')", "write_text without encoding"),
        ("p.write_text('x', encoding='utf-8')", "write_text without newline"),
        ("open('a')", "open of a text"),
        ("p.open('w')", "open of a text"),
        ("p.open()", "open of a text"),
        ("subprocess.run(['a'], text=True)", "a process's text"),
        ("subprocess.run('a', shell=True)", "a process with shell"),
        ("subprocess.run(['ps', '-e'])", "the program ps"),
        ("import fcntl", "import fcntl"),
        ("import multiprocessing as mp", "worker processes"),
        ("from concurrent.futures import ProcessPoolExecutor", "worker processes"),
        ("from torch.utils.data import DataLoader", "worker processes"),
        ("from os import fork", "os.fork"),
        ("n = len(os.sched_getaffinity(0))", "os.sched_getaffinity"),
        ("os.kill(1, signal.SIGKILL)", "signal.SIGKILL"),
        ("p = '/tmp/bunny'", "the path /tmp/bunny"),
        ("p.symlink_to(q)", "symlink_to"),
        ("os.replace(a, b)", "os.replace(a, b): bunny.core.atomic"),
        ("temporary.replace(path)", "temporary.replace(path): bunny.core.atomic"),
    ],
)
def test_what_needs_one_operating_system_is_seen(text, what):
    assert [found for _, found in _faults(text) if found.startswith(what)]


@pytest.mark.parametrize(
    "text",
    [
        "p.read_text(encoding='utf-8')",
        "p.write_text('x', encoding='utf-8', newline='')",
        "p.open('rb'); open('a', 'rb'); Image.open(p); av.open(str(p)); os.open(p, flags)",
        "if hasattr(os, 'geteuid') and os.geteuid() == 0:\n    pass",
        "n = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else 1",
        "def f():\n    if sys.platform == 'win32':\n        return 1\n    import resource",
        "try:\n    import fcntl\nexcept ImportError:\n    fcntl = None",
        "'''/tmp/x is a folder.'''",
        "text.replace('a', 'b'); frame.rename({'a': 'b'}); pl.col('a').replace(known)",
    ],
)
def test_what_runs_everywhere_is_let_be(text):
    assert _faults(text) == []
