"""Record of the tables' schemas by version: what `test/table/test_schema_version.py` compares with.

Run after a change of `bunny.table.schema`: python python_script/schema_version.py
It refuses where files of the version before would no longer be read and no version was raised.
"""

import json
import sys
from pathlib import Path
from typing import Any

from bunny.table import schema

RECORD = Path(__file__).resolve().parents[1] / "test" / "table" / "schema_version.json"
NULLABLE = "?"


def describe() -> dict[str, Any]:
    """Version, primary key and columns of every table; `?` ends the type of nullable columns."""
    return {
        name: {
            "version": schema.VERSION[name],
            "key": table.primary_key(),
            "columns": {
                column: f"{_type(kind)}{NULLABLE if kind.nullable else ''}"
                for column, kind in table.columns().items()
            },
        }
        for name, table in sorted(schema.TABLE.items())
    }


def breaking_changes(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Say what makes files of the schema `old` unreadable by `new`; one of `describe()` each."""
    found = [] if old["key"] == new["key"] else [f"the key was {old['key']}, is {new['key']}"]
    for column, before in old["columns"].items():
        after = new["columns"].get(column)
        if after is None:
            found.append(f"column {column} is gone")
        elif not _is_wider(before, after):
            found.append(f"column {column} was {before}, is {after}")
    for column in new["columns"].keys() - old["columns"].keys():
        if not new["columns"][column].endswith(NULLABLE):
            found.append(f"column {column} is new and may not be null")
    return sorted(found)


def unraised(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Tables with breaking changes and no higher version, with the changes."""
    return [
        f"{name}: {'; '.join(changes)}"
        for name in old.keys() & new.keys()
        if new[name]["version"] <= old[name]["version"]
        and (changes := breaking_changes(old[name], new[name]))
    ]


def _type(kind: Any) -> str:
    """Type of a column; the values of an enum in their order."""
    dtype = kind.dtype
    categories = getattr(dtype, "categories", None)
    return str(dtype) if categories is None else f"Enum {'|'.join(categories)}"


def _is_wider(before: str, after: str) -> bool:
    """Whether every value of one type is one of the other."""
    was_nullable, is_nullable = before.endswith(NULLABLE), after.endswith(NULLABLE)
    if was_nullable and not is_nullable:
        return False
    one, two = before.removesuffix(NULLABLE), after.removesuffix(NULLABLE)
    if one.startswith("Enum ") and two.startswith("Enum "):
        return {*one[5:].split("|")} <= {*two[5:].split("|")}
    return one == two


def main() -> None:
    """Write the record anew, or say which versions have to be raised first."""
    new = describe()
    old = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}
    wrong = sorted(unraised(old, new))
    if wrong:
        advice = "raise them in schema.VERSION, and add migrations to table/migration.py"
        sys.exit("\n".join([*wrong, advice]))
    text = json.dumps(new, indent=1, ensure_ascii=False) + "\n"
    RECORD.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
