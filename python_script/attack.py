"""Attacks on the program, tried again: hostile names, files, requests and clocks.

    uv run python python_script/attack.py
    uv run python python_script/attack.py test/test_hostile_input.py

The attacks are the tests with the marker `attack`. Printed is a table in Markdown: what was
attacked, how many cases were tried, and how many of them held.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Run the attacks and print the table; gives pytest's exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("tests", nargs="*", default=["test"], help="files or folders of tests")
    chosen = parser.parse_args().tests
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-m", "attack", "-q", f"--junitxml={report}"]
        done = subprocess.run([*command, *chosen], cwd=ROOT, stdout=sys.stderr, check=False)
        if report.exists():
            sys.stdout.write(to_table(report.read_text(encoding="utf-8")))
    return done.returncode


def to_table(report: str) -> str:
    """Write the table of a run.

    Parameters
    ----------
    report : str
        JUnit XML, as pytest writes it.

    Returns
    -------
    str
        Markdown: one row per test; skipped cases were not tried.
    """
    tried: dict[str, list[bool]] = defaultdict(list)
    for case in ET.fromstring(report).iter("testcase"):
        if case.find("skipped") is None:
            name = case.get("name", "").partition("[")[0].removeprefix("test_")
            is_held = case.find("failure") is None and case.find("error") is None
            tried[name.replace("_", " ")].append(is_held)
    rows = [f"| {what} | {len(held)} | {sum(held)} |" for what, held in sorted(tried.items())]
    return "\n".join(["| what | tried | held |", "|---|--:|--:|", *rows]) + "\n"


if __name__ == "__main__":
    sys.exit(main())
