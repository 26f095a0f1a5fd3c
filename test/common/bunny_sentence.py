"""The one sentence that a command line ends with."""

PREFIX = "bunny: "
LONGEST = 700


def sentence(errors: str) -> str:
    """The sentence in what was written to standard error, behind a bar that it may follow."""
    assert "Traceback" not in errors and "unexpected" not in errors, errors
    found = [line for line in errors.splitlines() if PREFIX in line]
    assert len(found) == 1, errors
    said = found[0].partition(PREFIX)[2]
    assert 0 < len(said) < LONGEST, errors
    return said
