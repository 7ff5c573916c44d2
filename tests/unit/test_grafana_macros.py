"""Queries get their variables and macros as Grafana would put them in."""

import re
from typing import Any

import pytest

from tests.grafana_macros import ALL, Board, Query, escaped, milliseconds, rounded

FROM_MS, TO_MS = 1_800_000_000_000, 1_800_000_060_000


def board(query: str = "", values: dict[str, str | list[str]] | None = None, **variable: Any) -> Board:
    """A dashboard with one variable, `v`, and one panel."""
    made = {"name": "v", "type": "query", "query": {"query": "SHOW", "refId": "v"}, "multi": False, **variable}
    panel = {"id": 1, "title": "p", "targets": [{"refId": "A", "query": query, "resultFormat": "time_series"}]}
    dashboard = {"uid": "u", "templating": {"list": [made]}, "annotations": {"list": []}, "panels": [panel]}
    return Board(dashboard, values or {"v": "one"}, FROM_MS, TO_MS, {"v": ["one", "two"]})


def put_in(query: str, value: str | list[str] = "one", **variable: Any) -> str:
    """The query as it is sent."""
    return board(values={"v": value}, **variable).put_in(query)


def test_time_and_interval() -> None:
    """The time filter includes both ends; the interval is a text in one macro and milliseconds in the other."""
    text = board().put_in("$timeFilter GROUP BY time($__interval), $__interval_ms, $interval", 5000)
    assert text == "time >= 1800000000000ms and time <= 1800000060000ms GROUP BY time(5s), 5000, 5s"
    assert put_in("$__from ${__to} ${__from:date:seconds}") == "1800000000000 1800000060000 1800000000"


@pytest.mark.parametrize("query", ["x = '$v'", "x = '${v}'", "x = '[[v]]'", "x = '${v:raw}'"])
def test_every_way_to_write_a_variable(query: str) -> None:
    """`$v`, `${v}`, `[[v]]` and one with a format are the same variable."""
    assert put_in(query, "a.b") == "x = 'a.b'"


def test_regex_format_escapes() -> None:
    """One value is escaped and many are an alternative of escaped ones, whatever kind of variable it is."""
    assert put_in("/^${v:regex}$/", "GET /a*") == r"/^GET \/a\*$/"
    assert put_in("/^${v:regex}$/", ["a.b", "c"], multi=True) == r"/^(a\.b|c)$/"
    assert put_in("/^[[v:regex]]$/", "a-b_c") == "/^a-b_c$/"


def test_variable_without_a_format_is_escaped_where_it_stands_in_a_regex() -> None:
    """`/^$v$/` is escaped and `'$v'` is not; of many there is an alternative."""
    assert put_in("x =~ /^$v$/ AND y = '$v'", "a.b") == r"x =~ /^a\.b$/ AND y = 'a\.b'"
    assert put_in("y = '$v'", "a.b") == "y = 'a.b'"
    assert put_in("x =~ /^$v$/", ["a.b", "c"], multi=True) == r"x =~ /^(a\.b|c)$/"
    assert put_in("x =~ /^$v$/", ["a.b"], multi=True) == r"x =~ /^(a\.b)$/"
    assert put_in("x =~ /^$v$/", "20.b", multi=True) == "x =~ /^20.b$/", "what begins like a number is left alone"


def test_all() -> None:
    """All is the variable's own text for it, or else every value that it offers."""
    assert put_in("x =~ /^${v:regex}$/", ALL, allValue=".*") == "x =~ /^.*$/"
    assert put_in("x =~ /^$v$/", [ALL], allValue=".*", multi=True) == "x =~ /^.*$/"
    assert put_in("x =~ /^${v:regex}$/", [ALL], multi=True) == "x =~ /^(one|two)$/"


@pytest.mark.parametrize(
    ("form", "made"),
    [("pipe", "a|b'c"), ("csv", "a,b'c"), ("singlequote", r"'a','b\'c'"), ("doublequote", '"a","b\'c"')],
)
def test_formats(form: str, made: str) -> None:
    """The formats of lists."""
    assert put_in(f"${{v:{form}}}", ["a", "b'c"]) == made


def test_unknown_format_is_an_error() -> None:
    """A format that is not known here is not guessed."""
    with pytest.raises(ValueError, match="glob"):
        put_in("${v:glob}", "a")


def test_unknown_variables_stay() -> None:
    """A name that is no variable of the dashboard is left as it is, as Grafana does."""
    assert put_in("$other ${other:regex} $tag_name") == "$other ${other:regex} $tag_name"


def test_escaping_is_grafana_s() -> None:
    """Everything that a regular expression of InfluxQL could misread is escaped, slashes too."""
    hard = r"^$*+?.()|[]{}/\ "
    assert re.fullmatch(escaped(hard).replace(r"\/", "/"), hard)
    assert escaped("/") == r"\/"


@pytest.mark.parametrize(
    ("wanted_ms", "interval_ms"),
    [(0.1, 1), (14, 10), (900, 1000), (1499, 1000), (1500, 2000), (60_000, 60_000), (4e8, 86_400_000)],
)
def test_intervals_are_round(wanted_ms: float, interval_ms: int) -> None:
    """An interval is rounded to one that people read."""
    assert rounded(wanted_ms) == interval_ms


def test_interval_of_a_panel() -> None:
    """The range over the panel's points, but never less than the panel's own least interval."""
    week = Board({}, {}, 0, 7 * 86_400_000)
    assert week.interval_ms({}) == 600_000
    assert Board({}, {}, 0, 60_000).interval_ms({"interval": "1s"}) == 1000
    assert Board({}, {}, 0, 60_000).interval_ms({}) == 50
    assert milliseconds(">10s") == 10_000


def test_queries_of_a_dashboard() -> None:
    """Variables, annotations and panels, those in collapsed rows too, each with where it stands."""
    dashboard = {**board("SELECT 1").dashboard}
    dashboard["annotations"] = {"list": [{"name": "built in"}, {"name": "events", "target": {"query": "SELECT '$v'"}}]}
    inner = {"id": 2, "title": "q", "targets": [{"refId": "B", "query": "SELECT 2", "resultFormat": "table"}]}
    dashboard["panels"] = [*dashboard["panels"], {"id": 3, "type": "row", "title": "r", "panels": [inner]}]
    found = list(Board(dashboard, {"v": "one"}, FROM_MS, TO_MS).queries())
    assert found == [
        Query("variable", "u variable v", "SHOW"),
        Query("annotation", "u annotation events", "SELECT 'one'"),
        Query("panel", "u panel 1 'p' A", "SELECT 1"),
        Query("panel", "u panel 2 'q' B", "SELECT 2", table=True),
    ]


def test_repeated_panel() -> None:
    """A panel that is repeated asks once for each value, with that value alone."""
    dashboard = {**board("x =~ /^${v:regex}$/", multi=True, allValue=".*").dashboard}
    dashboard["panels"] = [{**dashboard["panels"][0], "repeat": "v"}]
    texts = [
        query.text
        for query in Board(dashboard, {"v": ALL}, FROM_MS, TO_MS, {"v": ["a.b", "c"]}).queries()
        if query.kind == "panel"
    ]
    assert texts == [r"x =~ /^a\.b$/", "x =~ /^c$/"]
