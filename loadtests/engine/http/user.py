"""FastHttpUser, as Locust has it, over our own client. In a locustfile

    from locust import FastHttpUser

becomes

    from loadtests.engine.http.user import FastHttpUser

and nothing else changes.
"""

from collections.abc import Callable, Mapping
from ssl import SSLContext
from typing import Any

from locust import User
from locust.env import Environment
from locust.exception import StopTest
from locust.user.users import RestMixin

from loadtests.engine.http.client import Options
from loadtests.engine.http.connection import Limits
from loadtests.engine.http.origin import ContextFactory, Network
from loadtests.engine.http.response import CaughtResponse
from loadtests.engine.http.session import Session
from loadtests.engine.http.tls import unverified_context, verifying_context
from loadtests.engine.locust_stats import start_tally, stats_of


class FastHttpUser(User, RestMixin[CaughtResponse]):
    """A user with an HTTP client. The attributes are those of Locust's FastHttpUser; set them in a subclass."""

    abstract = True

    network_timeout: float = 60.0
    """Seconds for sending, and for each wait for an answer."""
    connection_timeout: float = 60.0
    """Seconds for connecting."""
    max_redirects: int = 30
    insecure: bool = True
    """Whether TLS certificates go unchecked."""
    default_headers: Mapping[str, str] | None = None
    """Sent with every request."""
    concurrency: int = 10
    """Requests at once, from several greenlets of this user."""
    ssl_context_factory: Callable[[], SSLContext] | None = None
    max_retries: int = 0
    proxy_host: str | None = None
    proxy_port: int | None = None
    client_pool: Any = None
    _made_options: Options | None = None

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        if self.host is None:
            raise StopTest("no host: give --host, or set `host` in the user class")
        for unsupported in ("max_retries", "proxy_host", "proxy_port", "client_pool"):
            if getattr(self, unsupported):
                raise StopTest(f"{type(self).__name__}.{unsupported} is not supported by loadtests' FastHttpUser")
        tally, listeners = start_tally(environment), stats_of(environment)
        self.client = Session(self.host, tally, listeners, _network(environment), self._options_of_all(), self)

    def _options_of_all(self) -> Options:
        """Made by the first user of a class, for all."""
        cls = type(self)
        known: Options | None = cls.__dict__.get("_made_options")
        if known is None:
            limits = Limits(self.connection_timeout, self.network_timeout, self.network_timeout)
            headers = dict(self.default_headers or {})
            known = Options(limits, headers, self.max_redirects, self.concurrency, self._context_factory())
            cls._made_options = known
        return known

    def _context_factory(self) -> ContextFactory:
        if self.ssl_context_factory is None:
            return unverified_context if self.insecure else verifying_context
        context = self.ssl_context_factory()
        return lambda: context


def _network(environment: Environment) -> Network:
    network: Network | None = getattr(environment, "loadtest_network", None)
    if network is None:
        network = environment.loadtest_network = Network()  # type: ignore[attr-defined]
    return network
