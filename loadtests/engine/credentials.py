"""A user's token: got before the load, renewed before it ends, and once for a request that the target refused."""

import logging
import math

from loadtests.engine.crew import Crew
from loadtests.engine.http.response import Response
from loadtests.engine.http.session import Session
from loadtests.pacing.draws import user_draws
from loadtests.traffic import renewals, tokens
from loadtests.traffic.prepared import JSON_HEADERS

log = logging.getLogger(__name__)

LOGIN_TRIES = 3
AGAIN_AFTER_S = 1.0
"""After a renewal that failed none is tried for this long; after any, none because a request was refused."""


class Credentials:
    """One user's; moments are seconds since the start of the load."""

    __slots__ = ("_auth", "_crew", "_draws", "_number", "_renewing", "_session", "_token", "_tried_s", "renew_s")

    def __init__(self, crew: Crew, session: Session, number: int) -> None:
        self._crew, self._session, self._number = crew, session, number
        self._auth = crew.plan.scenario.auth
        self._token: tokens.Token | None = None
        # A stream of its own, so that the turns do not depend on how tokens are renewed.
        self._draws = user_draws(crew.plan.scenario.seed, number, "renewals")
        self._renewing = False
        self._tried_s = -math.inf
        """When a renewal was over last."""
        self.renew_s = math.inf
        """When the token is to be replaced."""
        if self._auth.mode != "none":
            session.when_refused = self.refused

    def log_in(self) -> str | None:
        """Get the first token; what went wrong, in words, or None."""
        auth, failure = self._auth, None
        if auth.mode == "mint":
            self._mint(renewals.first_life(auth.ttl, auth.refresh_before, auth.renewals, self._draws))
        if auth.mode == "guest":
            for _ in range(LOGIN_TRIES):
                failure = self._log_in_as_guest()
                if failure is None:
                    break
        return failure and f"POST {auth.login} failed for user {self._number}: {failure}"

    def begin(self) -> None:
        """The start of the load is known, so the first renewal has its moment."""
        token, auth = self._token, self._auth
        if token is None:
            return
        ends_s = self._crew.clock.at(token.expires_at)
        if auth.mode == "mint" and auth.renewals == "staggered":
            self.renew_s = max(0.0, ends_s - auth.refresh_before)
        else:
            self.renew_s = renewals.first_renewal(self._life(token), auth.refresh_before, ends_s, auth.renewals, self._draws)

    def renew(self) -> bool:
        """Get another token: minted, for the refresh token, or, where that is refused, by a new login; whether one came."""
        self._renewing = True
        try:
            good = self._renewed()
        finally:
            self._renewing = False
        now_s, token, auth = self._crew.clock.now(), self._token, self._auth
        self._tried_s = now_s
        if good and token is not None:
            ends_s = self._crew.clock.at(token.expires_at)
            self.renew_s = renewals.next_renewal(self._life(token), auth.refresh_before, ends_s, auth.renewals, now_s)
        else:
            self.renew_s = now_s + AGAIN_AFTER_S
        return good

    def refused(self, sent_with: str | None) -> bool:
        """The target answered 401 to a request with this Authorization; whether it is worth another try with a new one."""
        if self._session.authorization != sent_with:
            return True
        if self._renewing or self._crew.clock.now() < self._tried_s + AGAIN_AFTER_S:
            return False
        return self.renew()

    def _renewed(self) -> bool:
        if self._auth.mode == "mint":
            self._mint(self._auth.ttl)
            return True
        token = self._token
        failure: str | None = "no refresh token"
        if token is not None and token.refresh is not None:
            failure = self._authenticate(tokens.REFRESH_SERIES, self._auth.refresh or "", tokens.refresh_body(token))
        if failure is not None:
            log.info("user %d: refresh failed (%s): logging in anew", self._number, failure)
            failure = self._log_in_as_guest()
        return failure is None

    def _log_in_as_guest(self) -> str | None:
        body = tokens.guest_body(f"loadtest-{self._number}", f"User {self._number}")
        return self._authenticate(tokens.LOGIN_SERIES, self._auth.login or "", body)

    def _authenticate(self, series: str, path: str, body: bytes) -> str | None:
        """Log in or refresh; the kind of failure, or None."""
        session, asked = self._session, self._crew.clock.epoch()
        reply: Response = session.request("POST", path, series, data=body, headers=JSON_HEADERS, planned=False)
        if not reply.ok:
            return reply.failure_kind
        try:
            token = tokens.from_login(reply.content or b"")
        except ValueError as error:
            return str(error)
        self._use(token.got_at(asked).with_refresh(self._token.refresh if self._token else None))
        return None

    def _mint(self, life_s: float) -> None:
        subject = tokens.user_id(self._auth.subject or "", self._number)
        self._use(tokens.mint(self._crew.secret, subject, self._crew.clock.epoch(), life_s))

    def _life(self, token: tokens.Token) -> float:
        """From issue to end; a minted one's is that of the scenario, whatever its first one's is cut to."""
        if self._auth.mode == "mint" or token.issued_at is None:
            return self._auth.ttl
        return token.expires_at - token.issued_at

    def _use(self, token: tokens.Token) -> None:
        self._token = token
        self._session.authorization = f"Bearer {token.access}"
