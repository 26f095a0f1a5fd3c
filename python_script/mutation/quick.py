"""Plugin of pytest: mutants end soon, and take no more memory than a machine has."""

import resource  # POSIX alone has it

import hypothesis

MEMORY_BYTES = 6 * 2**30  # for a mutant that collects without end


def pytest_configure() -> None:
    """Let tests by hypothesis end at the first example that fails; none is kept."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    phases = [hypothesis.Phase.explicit, hypothesis.Phase.generate]
    hypothesis.settings.register_profile("quick", phases=phases, database=None, deadline=None)
    hypothesis.settings.load_profile("quick")
