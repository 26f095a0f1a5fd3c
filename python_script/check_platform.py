"""Ask the package registry whether every dependency has a wheel for each system that users have.

Versions are those of `requirements.lock`; of extras, which it does not name, the newest that fit.

    python python_script/check_platform.py            # what users install, and every extra
    python python_script/check_platform.py --dev      # what the tests need too

Nothing is installed. It needs `uv` and the registry, and two minutes, so the gate leaves it out:
run it when `pyproject.toml` gets a dependency or a new bound.
"""

import argparse
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SYSTEMS = {
    "Windows x64": "x86_64-pc-windows-msvc",
    "macOS arm64": "aarch64-apple-darwin",
    "Linux x64": "x86_64-unknown-linux-gnu",
    "Linux arm64": "aarch64-unknown-linux-gnu",
}
PYTHONS = ("3.11", "3.13")
MACOS = "14.0"  # PyAV's wheels ask for it
PURE = ("face-recognition-models",)  # pure Python, published as source alone
NO_WHEEL = re.compile(r"([a-z0-9][a-z0-9._-]*)==\S+ has no (?:usable |compatible )?wheels", re.I)
MAX_TRIES = 10
AT_ONCE = 4


def missing(target: str, python: str, *, has_dev: bool) -> tuple[list[str], int, str]:
    """Packages without a wheel, how many there are in all, and what else went wrong."""
    found: list[str] = []
    for _ in range(MAX_TRIES):
        done = _resolve(target, python, [*PURE, *found], has_dev=has_dev)
        if done.returncode == 0:
            return found, done.stdout.count("=="), ""
        names = [n for n in NO_WHEEL.findall(done.stderr) if n not in found]
        if not names:
            return found, 0, done.stderr.strip()
        found.append(names[0])
    return found, 0, "more than can be listed"


def _resolve(
    target: str, python: str, from_source: list[str], *, has_dev: bool
) -> subprocess.CompletedProcess[str]:
    wheels = ["--only-binary", ":all:"]
    wheels += [part for name in from_source for part in ("--no-binary", name)]
    wanted = ["--all-extras", *(["--group", "dev"] if has_dev else [])]
    system = ["--python-platform", target, "--python-version", python]
    locked = ["--constraint", "requirements.lock"]
    quiet = ["--quiet", "--no-header", "--no-annotate"]
    return subprocess.run(
        ["uv", "pip", "compile", "pyproject.toml", *wanted, *system, *locked, *quiet, *wheels],
        cwd=ROOT,
        env={**os.environ, "MACOSX_DEPLOYMENT_TARGET": MACOS},
        capture_output=True,
        text=True,
        encoding="utf-8",
    )


def main() -> None:
    """Print one line a system and Python; exit code 1 when a wheel is missing somewhere."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dev", action="store_true", help="also what the tests need")
    has_dev = parser.parse_args().dev
    cases = [(name, python) for name in SYSTEMS for python in PYTHONS]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        results = list(
            pool.map(lambda case: missing(SYSTEMS[case[0]], case[1], has_dev=has_dev), cases)
        )
    is_bad = False
    for (name, python), (without, number, error) in zip(cases, results, strict=True):
        is_bad |= bool(without or error)
        said = f"no wheel of {', '.join(without)}" if without else f"{number} packages"
        print(f"{name:12} Python {python}: {error or said}")
    sys.exit(1 if is_bad else 0)


if __name__ == "__main__":
    main()
