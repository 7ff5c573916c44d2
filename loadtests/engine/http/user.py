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
from loadtests.engine.http.origin import Network
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
        self.client = Session(self.host, tally, listeners, _network(environment), self._options(), self)

    @classmethod
    def _options(cls) -> Options:
        """One for all users of a class."""
        known: Options | None = cls.__dict__.get("_made_options")
        if known is None:
            factory = cls.ssl_context_factory or (unverified_context if cls.insecure else verifying_context)
            limits = Limits(cls.connection_timeout, cls.network_timeout, cls.network_timeout)
            known = Options(limits, dict(cls.default_headers or {}), cls.max_redirects, cls.concurrency, factory)
            cls._made_options = known
        return known


def _network(environment: Environment) -> Network:
    network: Network | None = getattr(environment, "loadtest_network", None)
    if network is None:
        network = environment.loadtest_network = Network()  # type: ignore[attr-defined]
    return network
