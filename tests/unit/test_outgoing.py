"""Arguments of Locust's face, put together; and what a redirect makes of a request."""

import io
import json
from base64 import b64decode
from typing import Any

import pytest

from loadtests.engine.http.failures import Failure
from loadtests.engine.http.outgoing import Body, Outgoing, Params, basic, encode_body, location_of, with_params
from loadtests.engine.http.wire import Fields, head_of

FIELDS = {
    "Authorization": "Basic x",
    "cookie": "a=b",
    "Content-Type": "text/plain",
    "Content-Encoding": "gzip",
    "X-Own": "y",
}


def outgoing(method: str = "POST", url: str = "http://a.test/x/y?z=1", **more: str) -> Outgoing:
    """A request with a body."""
    return Outgoing(method, url, Fields({**FIELDS, **more}), b"body")


def redirect(request: Outgoing, status: int, location: str) -> Outgoing:
    """What becomes of it."""
    return request.redirected(head_of(status, "", [("Location", location)], keep_alive=True), location)


@pytest.mark.parametrize("status", [301, 302, 303])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "GET"])
def test_redirect_to_get(status: int, method: str) -> None:
    """Found elsewhere: whatever it was is asked for with GET, without the body and what described it."""
    following = redirect(outgoing(method, **{"Content-Length": "4"}), status, "/new")
    assert (following.method, following.url, following.body) == ("GET", "http://a.test/new", None)
    assert following.fields.names == {"authorization", "cookie", "x-own"}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_of_head(status: int) -> None:
    """HEAD stays HEAD, for its answer's body would be a surprise."""
    assert redirect(Outgoing("HEAD", "http://a.test/", Fields({}), None), status, "/new").method == "HEAD"


@pytest.mark.parametrize("status", [307, 308])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "GET"])
def test_redirect_as_it_was(status: int, method: str) -> None:
    """Method and body stay when the server says so."""
    following = redirect(outgoing(method), status, "/new")
    assert (following.method, following.body) == (method, b"body")
    assert following.fields.items == FIELDS


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("/new", "http://a.test/new"),
        ("new", "http://a.test/x/new"),
        ("../new", "http://a.test/new"),
        ("?z=2", "http://a.test/x/y?z=2"),
        ("//b.test/new", "http://b.test/new"),
        ("http://b.test/new#part", "http://b.test/new#part"),
        ("https://a.test/new", "https://a.test/new"),
    ],
)
def test_relative_redirect(location: str, url: str) -> None:
    """A Location is taken relative to where the request went."""
    assert redirect(outgoing(), 307, location).url == url


@pytest.mark.parametrize(
    "location", ["http://b.test/x", "https://a.test/x", "http://a.test:8080/x", "//b.test/x", "http://sub.a.test/x"]
)
def test_secrets_stay_at_home(location: str) -> None:
    """Authorization and cookies given with a request do not go to another origin, and do not come back from there."""
    away = redirect(outgoing(), 307, location)
    assert away.fields.names == {"content-type", "content-encoding", "x-own"}
    assert not {"authorization", "cookie"} & redirect(away, 307, "http://a.test/").fields.names


@pytest.mark.parametrize("location", ["http://a.test:80/x", "HTTP://A.TEST/x"])
def test_same_origin_in_other_words(location: str) -> None:
    """An origin is the same with its default port and in capitals."""
    assert {"authorization", "cookie"} <= redirect(outgoing(), 307, location).fields.names


@pytest.mark.parametrize("location", ["ftp://a.test/x", "file:///etc/passwd", "javascript:alert(1)", "http+unix://%2Frun%2Fx/"])
def test_redirect_out_of_http(location: str) -> None:
    """A redirect to something else than HTTP is a failure of its own kind."""
    with pytest.raises(Failure) as caught:
        redirect(outgoing(), 302, location)
    assert caught.value.kind == "redirects"


def test_location() -> None:
    """Only the five redirecting statuses send anywhere, and only with a Location that says where."""
    for status in (301, 302, 303, 307, 308):
        assert location_of(head_of(status, "", [("X", "y"), ("LOCATION", "/a")], keep_alive=True)) == "/a"
        assert location_of(head_of(status, "", [], keep_alive=True)) is None
        assert not location_of(head_of(status, "", [("Location", "")], keep_alive=True))
    for status in (200, 201, 300, 304, 305, 404):
        assert location_of(head_of(status, "", [("Location", "/a")], keep_alive=True)) is None


def test_idempotent() -> None:
    """Only what may be done twice may be sent twice."""
    for method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"):
        assert outgoing(method).idempotent
    for method in ("POST", "PATCH", "CONNECT", "PURGE"):
        assert not outgoing(method).idempotent


@pytest.mark.parametrize(
    ("url", "params", "expected"),
    [
        ("/a", None, "/a"),
        ("/a", {}, "/a"),
        ("/a", {"b": 1, "c": "d e&f"}, "/a?b=1&c=d+e%26f"),
        ("/a?x=y", {"b": 1}, "/a?x=y&b=1"),
        ("/a#part", {"b": 1}, "/a?b=1#part"),
        ("/a?x#part?", {"b": 1}, "/a?x&b=1#part?"),
        ("/a", {"b": [1, 2], "c": None, "d": ""}, "/a?b=1&b=2&d="),
        ("/a", [("b", 1), ("b", 2), ("c", None)], "/a?b=1&b=2"),
        ("/a", "b=c%20d", "/a?b=c%20d"),
        ("/a", {"ä": "€"}, "/a?%C3%A4=%E2%82%AC"),
        ("http://a.test", {"b": 1}, "http://a.test?b=1"),
    ],
)
def test_params(url: str, params: Params, expected: str) -> None:
    """Parameters go to the end of the query, before a fragment; those that are None do not."""
    assert with_params(url, params) == expected


OCTETS = {"Content-Type": "application/octet-stream"}
TEXT = {"Content-Type": "text/plain; charset=utf-8"}
FORM = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
JSON = {"Content-Type": "application/json", "Accept": "application/json"}


@pytest.mark.parametrize(
    ("data", "parsed", "body", "described"),
    [
        (None, None, None, {}),
        ("", None, None, {}),
        ({}, None, None, {}),
        (b"\xff", None, b"\xff", OCTETS),
        (bytearray(b"ab"), None, b"ab", OCTETS),
        ("ä", None, b"\xc3\xa4", TEXT),
        ({"a": "b c", "d": 1}, None, b"a=b+c&d=1", FORM),
        ({"a": ["b", "c"]}, None, b"a=b&a=c", FORM),
        (io.BytesIO(b"file"), None, b"file", OCTETS),
        (io.StringIO("ä"), None, b"\xc3\xa4", OCTETS),
        ([b"a", b"b"], None, b"ab", OCTETS),
        (None, {"a": "ä"}, b'{"a": "\\u00e4"}', JSON),
        (None, [], b"[]", JSON),
        (None, 0, b"0", JSON),
        (None, False, b"false", JSON),
        ("", {"a": 1}, b'{"a": 1}', JSON),
        ("text", {"a": 1}, b"text", TEXT),
    ],
)
def test_body(data: Body, parsed: Any, body: bytes | None, described: dict[str, str]) -> None:
    """Each kind of body is written in its own way and says what it is; JSON counts where there is no data."""
    assert encode_body(data, parsed, None) == (body, described)


def test_files() -> None:
    """Files make a form of several parts, with the other fields in it."""
    files = {"one": ("a.txt", b"content", "text/x-own"), "two": io.BytesIO(b"more")}
    body, described = encode_body({"field": "value", "many": ["1", "2"]}, None, files)
    kind, _, boundary = described["Content-Type"].partition("; boundary=")
    assert kind == "multipart/form-data" and body is not None
    parts = body.split(b"--" + boundary.encode())
    assert len(parts) == 7 and parts[0] == b"" and parts[-1] == b"--\r\n"
    assert b'name="field"\r\n\r\nvalue\r\n' in parts[1]
    assert b'name="one"; filename="a.txt"\r\nContent-Type: text/x-own\r\n\r\ncontent\r\n' in parts[4]


def test_basic() -> None:
    """Name and password, as text or bytes."""
    assert b64decode(basic("user", "pass:word").removeprefix("Basic ")) == b"user:pass:word"
    assert b64decode(basic(b"\xff", "\u00e4").removeprefix("Basic ")) == b"\xff:\xe4"


def test_json_is_whole() -> None:
    """What was given as JSON is what the server reads."""
    value = {"a": [1, 2.5, None, True, "\u20ac\r\n"]}
    body, _ = encode_body(None, value, None)
    assert body is not None and json.loads(body) == value
