"""Write config/main.yaml and memory_bank/setting.md from the settings' classes.

uv run python python_script/write_settings.py           # after a change in src/bunny/core/config
uv run python python_script/write_settings.py --check   # exits with 1 if they are out of date
"""

import argparse
import sys
import textwrap
from pathlib import Path

from bunny.core.config import describe

ROOT = Path(__file__).resolve().parents[1]
COLUMN, WIDTH = 32, 120  # column where comments start; maximum line length of the YAML
KEPT = "\xa0"  # replaces a space at which no line may break
YAML_HEAD = """\
# All settings with their defaults. Override them in config/local_<anything>.yaml (ignored by git)
# or for one run with --set section.key=value. Environment variables BUNNY_<SECTION>__<KEY>=value,
# also in .env, win over the files. Unknown keys and invalid values are errors.
# Written by python_script/write_settings.py from src/bunny/core/config: change the text there.
"""
GUIDE_HEAD = """\
# Settings

Written by `python python_script/write_settings.py` from the classes in `src/bunny/core/config`.
Set them in `config/local_*.yaml`, by `BUNNY_<SECTION>__<KEY>` or with `--set section.key=value`.
"""
TABLE_HEAD = "| setting | default | range or choices | description |\n|---|---|---|---|"


def yaml_text() -> str:
    """The text of config/main.yaml."""
    lines = [YAML_HEAD.rstrip()]
    for one in describe.every_setting():
        level = one.key.count(".")
        if not level:
            lines.append("")
        start = f"{'  ' * level}{one.name}:"
        allowed = f"[{one.allowed}]" if one.allowed else ""
        comment = (
            f"{one.description} {allowed if len(allowed) > 80 else allowed.replace(' ', KEPT)}"
        )
        value = "" if one.is_section else f" {describe.to_yaml(one.default)}"
        if isinstance(one.default, tuple) and len(start + value) > WIDTH:
            items = [f"{'  ' * level}  - {describe.to_yaml(item)}" for item in one.default]
            lines += [*_with_comment(start, comment), *items]
        else:
            lines += _with_comment(start + value, comment)
    return "\n".join(lines) + "\n"


def _with_comment(text: str, comment: str) -> list[str]:
    """Lines of a key with its comment beside it, or above it where there is no room."""
    indent = " " * (len(text) - len(text.lstrip()))
    if len(text) > 2 * COLUMN:
        return [*(f"{indent}# {line}" for line in _wrap(comment, WIDTH - 4)), text]
    column = max(COLUMN, len(text) + 2)
    first, *more = _wrap(comment, WIDTH - column - 2)
    return [f"{text:{column}}# {first}", *(f"{'':{column}}# {line}" for line in more)]


def _wrap(text: str, width: int) -> list[str]:
    lines = textwrap.wrap(text, width, break_on_hyphens=False)
    return [line.replace(KEPT, " ") for line in lines]


def guide_text() -> str:
    """The text of memory_bank/setting.md."""
    lines = [GUIDE_HEAD.rstrip()]
    for section in describe.settings_of():
        if section.is_section:
            lines += ["", f"## {section.key}", "", section.description, "", TABLE_HEAD]
            lines += [_row(one) for one in describe.every_setting(section.key)]
        else:
            lines += ["", f"## {section.key}", "", TABLE_HEAD, _row(section)]
    return "\n".join(lines) + "\n"


def _row(one: describe.Setting) -> str:
    default = "" if one.is_section else f"`{describe.to_yaml(one.default)}`"
    allowed = one.allowed.replace(" | ", ", ")
    return f"| {one.key} | {default} | {allowed} | {one.description.replace('<', '&lt;')} |"


def texts() -> dict[str, str]:
    """Text of each file that is written, by its path."""
    return {"config/main.yaml": yaml_text(), "memory_bank/setting.md": guide_text()}


def main(arguments: list[str] | None = None, root: Path = ROOT) -> str | None:
    """Write the files, or return why they are out of date."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare the files, write nothing")
    is_check = parser.parse_args(arguments).check
    for name, text in texts().items():
        path = root / name
        if not is_check:
            path.write_text(text, encoding="utf-8", newline="\n")
        elif path.read_text(encoding="utf-8") != text:
            return f"{name} is out of date: run python python_script/write_settings.py"
    return None


if __name__ == "__main__":
    sys.exit(main())
