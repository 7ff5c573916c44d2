"""Prepared requests."""

import pytest

from loadtests.traffic.prepared import Prepared


def test_without_parts() -> None:
    """A path without placeholders is filled with nothing, and takes nothing."""
    prepared = Prepared("GET", "/tasks?limit=5", name="list")
    assert not prepared.is_template
    assert prepared.fill({}) == "/tasks?limit=5"
    with pytest.raises(TypeError, match=r"list: the path /tasks\?limit=5 takes \[\], not \['id'\]"):
        prepared.fill({"id": 1})


def test_parts() -> None:
    """Each placeholder is replaced by what is given under its name, wherever it stands and however often."""
    prepared = Prepared("GET", "/{kind}/{id}/x{id}?q={q}&r", name="show")
    assert prepared.is_template
    assert prepared.fill({"kind": "tasks", "id": 7, "q": ""}) == "/tasks/7/x7?q=&r"


@pytest.mark.parametrize("parts", [{}, {"id": 1}, {"id": 1, "kind": 2, "more": 3}, {"ID": 1, "kind": 2}])
def test_missing_or_extra_parts(parts: dict[str, object]) -> None:
    """A part that is missing, and one too many, are said by name and not sent."""
    with pytest.raises(TypeError, match=r"show: the path /\{kind\}/\{id\} takes \['id', 'kind'\], not"):
        Prepared("GET", "/{kind}/{id}", name="show").fill(parts)


@pytest.mark.parametrize(
    ("part", "quoted"),
    [
        ("a/b", "a%2Fb"),
        ("a?b#c&d=e", "a%3Fb%23c%26d%3De"),
        ("100%", "100%25"),
        ("%2F", "%252F"),
        ("a b+c", "a%20b%2Bc"),
        ("ä€", "%C3%A4%E2%82%AC"),
        ("\r\nX: y", "%0D%0AX%3A%20y"),
        ("a-b_c.d~e", "a-b_c.d~e"),
        (12, "12"),
        ("{id}", "%7Bid%7D"),
    ],
)
def test_quoting(part: object, quoted: str) -> None:
    """A part stays one part of the path: whatever it holds is percent-encoded."""
    assert Prepared("GET", "/tasks/{id}/end", name="show").fill({"id": part}) == f"/tasks/{quoted}/end"


def test_braces() -> None:
    """Doubled braces stand for themselves."""
    prepared = Prepared("GET", "/{{literal}}/{id}", name="show")
    assert prepared.fill({"id": 1}) == "/{literal}/1"
    assert not Prepared("GET", "/{{}}", name="show").is_template


NO_PATHS = ["", "tasks", "http://example.com/", "/{}", "/{0}", "/{a.b}", "/{a[0]}", "/{a!r}", "/{a:>5}", "/{a b}"]


@pytest.mark.parametrize("path", [*NO_PATHS, "/{", "/}", "/{a", "/a}"])
def test_path_that_is_none(path: str) -> None:
    """A path that could not be filled is refused when it is prepared, not when it is sent."""
    with pytest.raises(ValueError):  # noqa: PT011  # string.Formatter has words of its own
        Prepared("GET", path, name="x")


@pytest.mark.parametrize("name", ["self", "request", "data"])
def test_placeholder_that_send_cannot_take(name: str) -> None:
    """A placeholder named like a parameter of `send` could never be filled: it is refused at once."""
    with pytest.raises(ValueError, match=name):
        Prepared("POST", f"/tasks/{{{name}}}", name="x")


@pytest.mark.parametrize("method", ["get", "Post", "GET ", ""])
def test_method_that_is_none(method: str) -> None:
    """A method is sent as it stands, so one that no server knows is refused at once."""
    with pytest.raises(ValueError):  # noqa: PT011  # any words will do
        Prepared(method, "/", name="x")


def test_equal_is_only_the_same() -> None:
    """Prepared requests are told apart by what they are, for what was made of one must not be sent for another."""
    one, other = Prepared("GET", "/", name="x"), Prepared("GET", "/", name="x")
    assert one != other and len({one, other}) == 2
