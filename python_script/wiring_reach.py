"""Where do the tests never let a setting have another value than its default?

    uv run --group mutation python python_script/wiring_reach.py log/reach
    uv run --group mutation python python_script/wiring_reach.py log/reach test/stage test/setting

A mutant that puts the default in the place of a setting (`mutate.py --wiring`) can only be noticed
where a test runs that place with another value. This runs the tests once, all of them if none are
named, in a copy of the repository in which every such place notes down its value. Printed are the
counts; `<folder>/reach.md` lists the places that no test reaches with another value, by key, and
`<folder>/reach.json` all places with a test that does. What processes started by tests read counts.
"""

from __future__ import annotations

import argparse
import ast
import collections
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from mutation import trial, wiring

NOTER = """\
import builtins, os
seen, folder = set(), os.environ.get("NOTED_SETTINGS")

def note(place, default, value):
    is_default = value == default or str(value) == str(default)
    if (place, is_default) not in seen and folder:
        seen.add((place, is_default))
        test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]
        with open(os.path.join(folder, f"{os.getpid()}.txt"), "a", encoding="utf-8") as file:
            file.write(f"{place}\\t{int(is_default)}\\t{test}\\n")
    return value

builtins.note_setting = note
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the places are written")
    parser.add_argument("tests", nargs="*", help="files and folders of tests (none: all)")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="reach-") as folder:
        root, notes = Path(folder).resolve() / "house", Path(folder).resolve() / "note"
        notes.mkdir()
        _copy(root)
        places = _instrument(root)
        environment = os.environ | {"PYTHONPATH": str(root / "src"), "NOTED_SETTINGS": str(notes)}
        command = [sys.executable, "-m", "pytest", "-q", "-n", "3", *options.tests]
        subprocess.run(command, cwd=root, env=environment, check=False)
        _write(options.folder, places, notes)


def _copy(root: Path) -> None:
    """Copy what git knows of, with what was changed since."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=trial.ROOT, capture_output=True, check=True)
    for name in filter(None, names.stdout.decode().split("\0")):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(trial.ROOT / name, root / name)


def _instrument(root: Path) -> list[dict]:
    """Let every place of the wiring note down its value; the places, in the order of their numbers.

    Places inside f-strings are left alone: before Python 3.12 their columns are not told.
    """
    (root / "src" / "sitecustomize.py").write_text(NOTER, encoding="utf-8", newline="\n")
    settings, found = wiring.read_settings(), []
    for name, source, uses in wiring.places(root, settings):
        text = source
        for node, section, key in sorted(uses, key=lambda u: (-u[0].lineno, -u[0].col_offset)):
            expression = ast.get_source_segment(source, node) or ""
            if not expression.endswith((key, ast.unparse(node))):
                continue
            default = repr(settings.defaults[section][key])
            text = wiring.replace(
                text, node, f"note_setting({len(found)}, {default}, {expression})"
            )
            whole = f"{section}.{key}" if section else key
            found.append({"path": name, "line": node.lineno, "key": whole, "code": expression})
        (root / name).write_text(text, encoding="utf-8", newline="\n")
    return found


def _write(folder: Path, places: list[dict], notes: Path) -> None:
    """Put down which places were reached, and how; print the counts."""
    for place in places:
        place |= {"state": "never reached", "test": ""}
    for path in sorted(notes.iterdir()):
        for line in path.read_text(encoding="utf-8").splitlines():
            number, is_default, test = line.split("\t")
            place = places[int(number)]
            if is_default == "0":
                place |= {"state": "another value", "test": place["test"] or test}
            elif place["state"] == "never reached":
                place["state"] = "default only"
    order = sorted(places, key=lambda p: (p["key"], p["path"], p["line"]))
    left = [p for p in order if p["state"] != "another value"]
    lines = [f"- {p['key']} {p['path']}:{p['line']} {p['state']}: `{p['code']}`" for p in left]
    (folder / "reach.md").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    (folder / "reach.json").write_text(json.dumps(order, indent=1), encoding="utf-8", newline="\n")
    count = collections.Counter(p["state"] for p in places)
    print(f"{len(places)} places: " + ", ".join(f"{n} {state}" for state, n in count.items()))


if __name__ == "__main__":
    main()
