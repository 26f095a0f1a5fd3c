import errno

import pytest

from bunny.core import exit_code
from bunny.core.error import BunnyError, StageError, UserError
from bunny.table import store


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UserError("a"), 2),
        (store.DamagedTableError("a"), 2),
        (OSError(errno.ENOSPC, "full"), 2),
        (StageError("a"), 1),
        (BunnyError("a"), 1),
        (KeyError("a"), 1),
    ],
)
def test_an_error_that_the_user_can_fix_is_2_and_any_other_1(error, code):
    assert exit_code.of_error(error) == code


def test_films_are_2_only_if_the_user_can_fix_all_that_are_not_done():
    assert exit_code.of_films([]) == exit_code.of_films(["done"]) == 0
    assert exit_code.of_films(["done", "refused"]) == 2
    assert exit_code.of_films(["refused", "stopped"]) == exit_code.of_films(["failed"]) == 1
    assert [exit_code.film_status(code) for code in (0, 2, 130, -9)] == [
        "done",
        "refused",
        "stopped",
        "failed",
    ]
