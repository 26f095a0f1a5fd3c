"""Plugin of pytest: tests by hypothesis end at the first example that fails."""

import hypothesis


def pytest_configure() -> None:
    """Leave out the search for the smallest example, and what earlier runs found."""
    phases = [hypothesis.Phase.explicit, hypothesis.Phase.generate]
    hypothesis.settings.register_profile("quick", phases=phases, database=None)
    hypothesis.settings.load_profile("quick")
