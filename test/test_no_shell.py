"""No command is ever given to a shell, and nothing unpacks pickles or evaluates text unasked."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHELLS = {
    "os.system",
    "os.popen",
    "subprocess.getoutput",
    "subprocess.getstatusoutput",
    "commands.getoutput",
    "pty.spawn",
    "asyncio.create_subprocess_shell",
}
EVALUATION = {
    "eval",
    "exec",
    "compile",
    "yaml.load",
    "marshal.loads",
    "pickle.load",
    "pickle.loads",
}
# Scripts that make our own toy base, and that break our own code on purpose.
ALLOWED = {
    "python_script/toy/vae.py: torch.load without weights_only",
    "python_script/mutation/change.py: compile",
}
MODULES = sorted((ROOT / "src").rglob("*.py")) + sorted((ROOT / "python_script").rglob("*.py"))


def faults(source: str) -> list[str]:
    """Calls that start a shell or run what a file says."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        given = {k.arg: k.value for k in node.keywords}
        if name in SHELLS | EVALUATION:
            found.append(name)
        if "shell" in given and getattr(given["shell"], "value", True) is not False:
            found.append(f"{name} with shell")
        if (
            name.endswith("torch.load")
            and getattr(given.get("weights_only"), "value", 0) is not True
        ):
            found.append(f"{name} without weights_only")
        if name.endswith(("joblib.load", "np.load")) and "allow_pickle" in given:
            found.append(f"{name} of pickles")
    return found


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import os; os.system('ls')", ["os.system"]),
        ("subprocess.run('ls', shell=True)", ["subprocess.run with shell"]),
        ("subprocess.run('ls', shell=is_shell)", ["subprocess.run with shell"]),
        ("subprocess.run(['ls'], shell=False)", []),
        ("eval('1')", ["eval"]),
        ("torch.load(path)", ["torch.load without weights_only"]),
        ("torch.load(path, weights_only=True)", []),
        ("model.eval()", []),
    ],
)
def test_what_is_found(source, found):
    assert faults(source) == found


def test_nothing_is_given_to_a_shell_or_run_from_a_file():
    found = {
        f"{path.relative_to(ROOT).as_posix()}: {fault}"
        for path in MODULES
        for fault in faults(path.read_text(encoding="utf-8"))
    }
    assert found - ALLOWED == set()
