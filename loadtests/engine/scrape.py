"""`/metrics` of the master: as a route of Locust's web UI, and on a port of its own."""

import logging
from collections.abc import Callable
from typing import Any

from gevent import pywsgi
from locust.env import Environment
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4 as CONTENT_TYPE

from loadtests.engine.exposition import Exposition
from loadtests.errors import InputError

log = logging.getLogger(__name__)

PATH = "/metrics"


def serve(exposition: Exposition, environment: Environment, port: int) -> None:
    """Answer under `/metrics` of Locust's web UI, if it has one, and on a port of 127.0.0.1, if one is given.

    Raises InputError when the port is taken.
    """
    if environment.web_ui is not None and environment.web_ui.app is not None:
        login: Callable[[Callable[[], Any]], Callable[[], Any]] = environment.web_ui.auth_required_if_enabled
        view = login(lambda: (exposition.text(), {"Content-Type": CONTENT_TYPE}))
        environment.web_ui.app.add_url_rule(PATH, "metrics", view)
    if port:
        server = pywsgi.WSGIServer(("127.0.0.1", port), _application(exposition), log=None, error_log=log)
        try:
            server.start()
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"--metrics-port {port}: cannot be listened on: {reason}; give another one") from error


def _application(exposition: Exposition) -> Callable[[dict[str, Any], Callable[..., Any]], list[bytes]]:
    """A WSGI application that knows one path."""

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        known = environ["PATH_INFO"] == PATH
        start_response("200 OK" if known else "404 Not Found", [("Content-Type", CONTENT_TYPE)])
        return [exposition.text() if known else b"only /metrics is here\n"]

    return answer
