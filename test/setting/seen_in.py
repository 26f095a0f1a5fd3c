"""The test of the domain that fails if a setting has no effect, by the setting's key."""

from pathlib import Path

import yaml

SEEN_IN = {
    key: f"{path}::{test}"
    for path, tests in yaml.safe_load(
        Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8")
    ).items()
    for test, keys in tests.items()
    for key in keys.split()
}
