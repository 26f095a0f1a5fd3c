"""Jupyter's identity provider with our password, cookies for one site, and a limit on guesses.

`bunny lab` names it on the command line of its server; the board's Voilà is given it. It is apart
from `login` because it needs Jupyter's server, which takes a second to import.
"""

from __future__ import annotations

import hmac
from functools import cached_property

from jupyter_server.auth.identity import PasswordIdentityProvider, User
from tornado import web
from traitlets import Bool

from bunny.command import login

TOO_MANY = 429  # HTTP status code


class LimitedIdentityProvider(PasswordIdentityProvider):
    """Who shows the token or knows the password gets a cookie that other sites cannot use."""

    has_limit = Bool(
        default_value=True, config=True, help="Count wrong tries here; else a guard before it does."
    )
    allow_password_change = False  # type: ignore[assignment]  # Jupyter would write it to disk
    cookie_options = {"samesite": "Strict"}  # type: ignore[assignment]

    @cached_property
    def _limit(self) -> login.GuessLimit:
        return login.GuessLimit(str(self.token))

    async def get_user(self, handler: web.RequestHandler) -> User | None:  # type: ignore[override]
        """The user of a request; refuses one that tries tokens or passwords too often."""
        is_new = not hasattr(handler, "_jupyter_current_user")
        if self.has_limit and is_new and self._limit.is_guessing(handler.request):
            raise web.HTTPError(TOO_MANY)
        return await self._get_user(handler)

    def get_token(self, handler: web.RequestHandler) -> str | None:
        """The token that a request shows: one that is counted, so never one in a form."""
        return next(iter(login.shown_tokens(handler.request)), None)

    def process_login_form(self, handler: web.RequestHandler) -> User | None:
        """The user who typed the password or the token; None: it was neither."""
        typed = handler.get_argument("password", default="")
        is_token = hmac.compare_digest(typed.encode(), str(self.token).encode())
        if (self.token and is_token) or self.passwd_check(typed):
            return self.generate_anonymous_user(handler)
        return None
