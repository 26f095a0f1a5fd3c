"""Print what each setting does, as a table: two values of it and what the tests see of them.

    uv run python python_script/setting_table.py > memory_bank/setting.md

The rows are those of `test/setting/effect_*.py`, which the tests run.
"""

import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "test" / "common"), str(ROOT / "test" / "setting")]

import effect_film  # noqa: E402
import effect_library  # noqa: E402
import effect_training  # noqa: E402
import setting_effect  # noqa: E402

LONGEST = 90  # characters of a cell
HEAD = """# What each setting does

Written by `python python_script/setting_table.py` from the tables of `test/setting/`, whose tests
set each value on a copy of a small film and compare what is seen.

| setting | values | what is seen |
|---|---|---|"""


def main() -> None:
    """Write the table to standard output."""
    tables = (effect_film, effect_library, effect_training)
    effects = {key: effect for table in tables for key, effect in table.EFFECT.items()}
    print(HEAD)
    for key in setting_effect.every_key():
        if key in effects:
            effect = effects[key]
            values = ", ".join(f"`{_short(value)}`" for value in effect.values)
            print(f"| {key} | {values} | {_seen(effect)} |")
        else:
            test = effect_library.SEEN_ELSEWHERE[key]
            print(f"| {key} | | {test.partition('::test_')[2].replace('_', ' ')} |")


def _seen(effect: setting_effect.Effect) -> str:
    if effect.says:
        return effect.says.replace("|", "/")
    words = effect.look.__name__.strip("_").replace("_", " ").replace("<lambda>", "").strip()
    words = words.partition("<locals>")[0]
    if effect.gives is None:
        return f"{words}: as the test's rule says" if words else "as the test's rule says"
    given = " and ".join(f"`{_short(value)}`" for value in effect.gives)
    return f"{words}: {given}" if words else given


def _short(value: Any) -> str:
    if isinstance(value, set):  # whose order differs from run to run
        value = tuple(sorted(value, key=repr))
    text = repr(value) if not isinstance(value, str) else value or '""'
    text = text.replace("|", "/").replace("`", "'")
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


if __name__ == "__main__":
    main()
