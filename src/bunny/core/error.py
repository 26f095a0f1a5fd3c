"""Errors whose text a user reads: one sentence with what was expected, what came, what to do."""


class BunnyError(Exception):
    """Base of every error that is shown without a traceback."""

    def _render_traceback_(self) -> list[str]:
        """Lines that a notebook shows instead of a traceback."""
        return [str(self)]


class UserError(BunnyError):
    """The input, a setting or the environment is wrong and the user can fix it."""


class StageError(BunnyError):
    """A stage cannot go on through no fault of the user's."""
