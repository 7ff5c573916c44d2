"""Every user takes every step once and writes down what it saw. FACE says whose FastHttpUser it is."""

import importlib
import json
import os
import re
import ssl
from collections import defaultdict
from pathlib import Path
from typing import Any

import gevent
from locust import events, task
from locust.exception import StopUser

from tests.face import answers, asking
from tests.face.steps import STEPS

assert asking and answers, "they register their steps"
FastHttpUser: Any = importlib.import_module(os.environ["FACE"]).FastHttpUser
SEEN: defaultdict[str, list[Any]] = defaultdict(list)
HEARD: list[dict[str, Any]] = []


class Impatient(FastHttpUser):  # type: ignore[misc]  # it is one of two
    """Waits for nobody; made by a step."""

    abstract = True
    network_timeout = 0.3


class OwnTls(FastHttpUser):  # type: ignore[misc]  # it is one of two
    """Has a TLS context of its own; made by a step."""

    abstract = True
    host = os.environ["TLS"]

    def ssl_context_factory(self) -> ssl.SSLContext:
        """Trusts the test's own certificate."""
        return ssl.create_default_context(cafile=os.environ["CERTIFICATE"])


class Everything(FastHttpUser):  # type: ignore[misc]  # it is one of two
    """Takes every step once."""

    max_redirects = 5
    default_headers = {"X-Own": "default"}  # noqa: RUF012  # as locustfiles declare it
    nowhere = os.environ["NOWHERE"]
    impatient, with_own_tls = Impatient, OwnTls

    def context(self) -> dict[str, Any]:
        """What listeners hear of each request."""
        return {"user": "everything"}

    @task
    def all(self) -> None:
        """Every step, then the end."""
        for name, function in STEPS.items():
            try:
                found = function(self, name)
            except Exception as error:
                found = f"raised {type(error).__name__}: {error}"
            SEEN[name].append(found)
        if len(SEEN[name]) == int(os.environ["USERS"]):  # the last one waits until all has been counted and written
            gevent.spawn_later(2.5, self.environment.runner.quit)
        raise StopUser


def hear(**event: Any) -> None:
    """Write down what listeners are given; times vary."""
    facts = {name: event[name] for name in ("request_type", "name", "response_length", "context")}
    facts["url"] = re.sub("_=[0-9]+", "_=NOW", event["url"].split("/", 3)[-1].partition("?")[0]) if "url" in event else None
    facts["keys"] = sorted(event)
    facts["exception"] = repr(event["exception"])
    facts["status"] = getattr(event.get("response"), "status_code", None)
    facts["sane"] = isinstance(event["response_time"], int | float) and 0 <= event["response_time"] < 5000
    HEARD.append(facts)
    if event["name"] == "/echo/derived":
        own = {"request_type": "OWN", "name": "derived", "response_time": 1, "response_length": 2}
        events.request.fire(**own, exception=None, context={})  # type: ignore[no-untyped-call]


def write(**_: Any) -> None:
    """Leave what was seen and heard to the test."""
    Path(os.environ["OUT"]).write_text(json.dumps({"seen": SEEN, "heard": HEARD}))


events.request.add_listener(hear)  # type: ignore[no-untyped-call]
events.quitting.add_listener(write)  # type: ignore[no-untyped-call]
