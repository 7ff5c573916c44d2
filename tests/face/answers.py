"""Steps about what is made of answers: with-blocks, rest(), text and JSON, streams, failures."""

from typing import Any

import gevent
from locust.exception import RescheduleTask, ResponseError

from tests.face.steps import decided, seen, step


@step
def caught(user: Any, name: str) -> Any:
    """With-blocks that decide, and that do not."""
    client = user.client

    def get(status: int, what: str) -> Any:
        return client.get(f"/status/{name}/{status}", name=f"{name} {what}", catch_response=True)

    def fail_twice(response: Any) -> None:
        response.failure("first")
        response.failure("second")

    def raise_own(_: Any) -> None:
        raise ResponseError("a fault of the answer")

    return [
        decided(get(200, "left alone"), lambda _: None),
        decided(get(404, "left alone, bad"), lambda _: None),
        decided(get(404, "success"), lambda response: response.success()),
        decided(get(200, "failure"), lambda response: response.failure("not what I wanted")),
        decided(get(200, "exception"), lambda response: response.failure(ValueError("odd"))),
        decided(get(500, "twice"), fail_twice),
        decided(get(200, "raised"), raise_own),
    ]


@step
def request_inside_a_caught_one(user: Any, name: str) -> Any:
    """A with-block that asks for something else before it decides."""
    with user.client.get(f"/echo/{name}/outer", catch_response=True) as response:
        inner = user.client.get(f"/echo/{name}/inner")
        response.failure("decided after another request")
    with user.client.get(f"/status/{name}/404", catch_response=True) as response:
        user.client.get(f"/echo/{name}/inner")
        response.success()
    return seen(inner)


@step
def two_caught_at_once(user: Any, name: str) -> Any:
    """With-blocks of two greenlets of one user."""

    def ask(number: int) -> None:
        gevent.sleep(number * 0.02)
        with user.client.get(f"/echo/{name}/{number}", name=f"{name} {number}", catch_response=True) as response:
            gevent.sleep(0.05)
            response.failure(f"number {number}")

    gevent.joinall([gevent.spawn(ask, number) for number in range(2)])


@step
def decided_and_raised(user: Any, name: str) -> Any:
    """A with-block that decides and then goes to another task."""
    try:
        with user.client.get(f"/status/{name}/404", catch_response=True) as response:
            response.success()
            raise RescheduleTask
    except RescheduleTask:
        return "rescheduled"


@step
def not_caught(user: Any, name: str) -> Any:
    """Deciding without a with-block."""
    try:
        user.client.get(f"/echo/{name}").failure("no")
    except Exception as error:
        return type(error).__name__


@step
def rest(user: Any, name: str) -> Any:
    """The method `rest` with and without JSON, with blocks that complain."""
    found: list[Any] = []
    for kind in ("json", "untyped", "empty", "none"):
        with user.rest("GET", f"/{kind}/{name}") as response:
            found.append(response.js)
    with user.rest("POST", f"/echo/{name}/1", json={"a": 1}) as response:
        found.append(response.js)
    with user.rest("GET", f"/json/{name}/2") as response:
        assert response.js["id"] == 8, "the id is wrong,"
    with user.rest("GET", f"/json/{name}/3") as response:
        assert response.js is None
    with user.rest("GET", f"/status/{name}/500") as response:
        found.append(response.status_code)
    with user.rest_("GET", f"/json/{name}/4") as response:
        found.append(response.js)
    return found


@step
def rest_in_latin(user: Any, name: str) -> Any:
    """The method `rest` with JSON in the encoding that its header names."""
    with user.rest("GET", f"/latin-json/{name}") as response:
        return response.js


@step
def rest_of_bytes(user: Any, name: str) -> Any:
    """The method `rest` with an answer that is not text at all."""
    with user.rest("GET", f"/binary/{name}") as response:
        return response.js


@step
def rest_refused(user: Any, name: str) -> Any:
    """The method `rest` where nobody listens."""
    with user.rest("GET", f"{user.nowhere}/{name}", name=name) as response:
        return [response.js, response.status_code]


@step
def texts(user: Any, name: str) -> Any:
    """Text in several encodings, JSON, headers."""
    found = [user.client.get(f"/{kind}/{name}") for kind in ("json", "latin", "untyped", "gzip", "empty")]
    facts = [[response.text, len(response.content), response.headers.get("content-type")] for response in found]
    forced = user.client.get(f"/latin/{name}")
    forced.encoding = "cp1251"
    facts.append([type(found[0].elapsed).__name__, found[0].elapsed.total_seconds() < 60])
    return [*facts, found[0].json(), found[0].headers["CONTENT-TYPE"], "x-none" in found[0].headers, forced.text]


@step
def json_in_latin(user: Any, name: str) -> Any:
    """JSON in the encoding that its header names."""
    return user.client.get(f"/latin-json/{name}").json()


@step
def streams(user: Any, name: str) -> Any:
    """Streamed answers: pieces, lines, all at once."""
    client = user.client
    return [
        "".join(client.get(f"/lines/{name}", stream=True).iter_content(4)),
        list(client.iter_lines(f"/lines/{name}")),
        client.get(f"/lines/{name}", stream=True).text,
    ]


@step
def packed_stream(user: Any, name: str) -> Any:
    """All of a streamed answer that the server compresses."""
    return user.client.get(f"/gzip/{name}", stream=True).content.decode("latin-1")


@step
def stream_attribute(user: Any, name: str) -> Any:
    """A stream read by its own means, as Locust's documentation of `stream=True` has it."""
    return user.client.get(f"/lines/{name}", stream=True).stream.read().decode()


@step
def cut_stream(user: Any, name: str) -> Any:
    """A streamed answer that is cut off raises when its reader gets there."""
    try:
        return "".join(user.client.get(f"/cut/{name}", stream=True).iter_content())
    except Exception:
        return "raised"


@step
def with_block_that_catches_nothing(user: Any, name: str) -> Any:
    """A with-block around a response that was not to be caught."""
    with user.client.get(f"/lines/{name}", stream=True) as response:
        return response.text


@step
def request_behind(user: Any, name: str) -> Any:
    """The request that a response answers."""
    response = user.client.post(f"/found/{name}", data={"a": "b"}, headers={"X-Own": "y"})
    request, kept = response.request, user.client.post(f"/echo/{name}", data={"a": "b"}).request
    return [
        request.method,
        request.url.split("/", 3)[-1],
        request.body,
        request.headers["x-own"],
        kept.method,
        kept.body.decode(),
    ]


@step
def refused(user: Any, name: str) -> Any:
    """Nobody listens there."""
    response = user.client.get(f"{user.nowhere}/{name}", name=name)
    return [response.status_code, response.text, response.content, response.headers, type(response.error).__name__]


@step
def closed(user: Any, name: str) -> Any:
    """Hung up instead of an answer."""
    return user.client.post(f"/close/{name}").status_code


@step
def cut_off(user: Any, name: str) -> Any:
    """Hung up in the middle of an answer."""
    user.client.get(f"/cut/{name}")


@step
def too_late(user: Any, name: str) -> Any:
    """No answer within `network_timeout`."""
    user.impatient.host = user.host
    return user.impatient(user.environment).client.post(f"/sleep/{name}/1").status_code


@step
def own_timeout(user: Any, name: str) -> Any:
    """A time-out of the user's own around a request is one failed request."""
    with gevent.Timeout(0.1, False):
        user.client.post(f"/sleep/{name}/0.4")


@step
def killed(user: Any, name: str) -> Any:
    """A request whose greenlet is killed, as Locust does it at the end of a test, is no request to anybody."""
    greenlet = gevent.spawn(user.client.get, f"/sleep/{name}/0.2")
    gevent.sleep(0.1)
    greenlet.kill()
    return type(greenlet.value).__name__
