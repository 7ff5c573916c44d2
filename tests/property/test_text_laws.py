"""Laws of what is written and read: objectives, quantities, records."""

import json
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtests.errors import RunError
from loadtests.objectives.grammar import BUILT_IN, Metric, parse_objective
from loadtests.scenario.plan import Plan
from loadtests.scenario.schema import Scenario
from loadtests.store.records import LineTail, append_lines, read_lines
from loadtests.units import DURATION_S, RATIO, SIZE_BYTES, parse_duration, parse_quantity

METRICS = {
    **BUILT_IN,
    "connections": Metric("connections", "gauge", "count"),
    "memory": Metric("memory", "gauge", "size", selectable=True),
    "cpu": Metric("cpu", "gauge", "ratio", selectable=True),
}
UNITS = {
    "duration": ["us", "ms", "s", "m", "h"],
    "ratio": ["%"],
    "rate": ["/s", "/m"],
    "count": [""],
    "size": ["B", "kB", "MB", "GB", "KiB", "MiB", "GiB"],
}
NUMBERS = st.one_of(
    st.integers(0, 100_000).map(str),
    st.decimals(0, 10_000, places=2, allow_nan=False).map(str),
    st.decimals("0.001", 1, places=4, allow_nan=False).map(str),
)
SELECTORS = st.text("abcdefghijklmnopqrstuvwxyz_0123456789", min_size=1, max_size=12)
COMPARISONS = st.sampled_from(["<", "<=", ">", ">="])


@st.composite
def objectives(draw: st.DrawFn) -> str:
    """A text that the grammar permits."""
    metric = METRICS[draw(st.sampled_from(sorted(METRICS)))]
    selector = draw(st.one_of(st.none(), SELECTORS)) if metric.selectable else None
    statistics = ["max", "min", "mean"] + ([] if metric.kind == "gauge" else ["p50", "p95", "p99", "p999", "p9999"])
    statistics = ["time"] if metric.kind == "recovery" else statistics
    statistic = draw(st.sampled_from(statistics)) if metric.has_statistic else None
    share = draw(st.one_of(st.none(), st.sampled_from(["99", "99.9", "50", "7", "120"])))
    gap = draw(st.sampled_from(["", " ", "  "]))
    left = metric.name + (f"{gap}({selector})" if selector else "") + (f".{statistic}" if statistic else "")
    limit = draw(NUMBERS) + gap + draw(st.sampled_from(UNITS[metric.unit]))
    return f"{left}{gap}{draw(COMPARISONS)}{gap}{f'{share}% of ' if share else ''}{limit}"


@settings(max_examples=300)
@given(objectives())
def test_objective_survives_its_own_text(text: str) -> None:
    """An objective as it is shown parses back to an equal one: no digit of a limit is lost in a verdict."""
    objective = parse_objective(text, METRICS)
    again = parse_objective(str(objective), METRICS)
    assert (again.metric, again.selector, again.statistic) == (objective.metric, objective.selector, objective.statistic)
    assert again.comparison == objective.comparison
    assert again.limit == pytest.approx(objective.limit, rel=1e-9, abs=1e-15)
    assert again.share == pytest.approx(objective.share, rel=1e-9)


@settings(max_examples=200)
@given(objectives(), st.floats(0.001, 1000))
def test_scaling_an_objective_scales_its_threshold(text: str, factor: float) -> None:
    """A limit met at one size is met at another when both are scaled."""
    objective = parse_objective(text, METRICS)
    assert objective.scaled(factor).threshold == pytest.approx(objective.threshold * factor, rel=1e-12)


@settings(max_examples=200)
@given(st.text(max_size=40))
def test_any_text_is_an_objective_or_a_value_error(text: str) -> None:
    """Whatever a user writes, the answer is an objective or one line."""
    try:
        message = str(parse_objective(text, METRICS))
    except ValueError as error:
        message = str(error)
    assert message


@settings(max_examples=200)
@given(number=st.decimals(0, 100_000, places=3, allow_nan=False), unit=st.sampled_from(sorted(DURATION_S | SIZE_BYTES | RATIO)))
def test_quantity_is_the_nearest_number(number: Decimal, unit: str) -> None:
    """A quantity is its decimal times its unit, rounded once."""
    factors = DURATION_S | SIZE_BYTES | RATIO
    exact = number * Decimal(repr(factors[unit]))
    assert parse_quantity(f"{number}{unit}", factors, "1s") == float(exact)


@settings(max_examples=200)
@given(
    st.lists(
        st.tuples(st.integers(0, 1000), st.sampled_from(["h", "m", "s", "ms", "us"])),
        min_size=1,
        max_size=4,
    )
)
def test_duration_adds_up(parts: list[tuple[int, str]]) -> None:
    """A duration of several parts is their sum."""
    text = "".join(f"{number}{unit}" for number, unit in parts)
    assert parse_duration(text) == pytest.approx(sum(number * DURATION_S[unit] for number, unit in parts), rel=1e-12)


DURATIONS = st.one_of(st.integers(1, 10**7), st.integers(1, 1000)).map(lambda number: f"{number}us")


@settings(max_examples=100)
@given(duration=DURATIONS, users=st.integers(1, 10**6), rate=st.floats(0.001, 1000), seed=st.integers(0, 2**40))
def test_plan_survives_json(duration: str, users: int, rate: float, seed: int) -> None:
    """Whatever the numbers, a plan that is sent to a worker is the plan that the master has."""
    scenario = Scenario.model_validate(
        {
            "name": "x",
            "seed": seed,
            "load": {"users": users, "duration": duration, "rate_per_user": rate},
            "mix": [{"journey": "list_tasks"}],
            "objectives": {"a": "requests > 1"},
            "health": {"lateness_p99": duration},
        }
    )
    plan = Plan.from_json(Plan(scenario=scenario, objectives={"a": "requests > 1"}).to_json())  # as `load_plan` leaves it
    again = Plan.from_json(json.loads(json.dumps(plan.to_json())))
    assert again.hash == plan.hash
    assert again.load == plan.load


RECORDS = st.lists(
    st.dictionaries(st.text(max_size=5), st.one_of(st.integers(), st.text(max_size=8), st.none()), max_size=3), max_size=6
)


@settings(max_examples=100)
@given(records=RECORDS, data=st.data())
def test_file_cut_anywhere_keeps_its_whole_lines(records: list[dict[str, object]], data: st.DataObject) -> None:
    """A crash at any byte costs at most the record that was being written."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "a.jsonl"
        append_lines(file, records)
        content = file.read_bytes()
        cut = data.draw(st.integers(0, len(content)))
        file.write_bytes(content[:cut])
        found = list(read_lines(file))
        whole = content[:cut].count(b"\n")
        assert found in (records[:whole], records[: whole + 1])
        assert len(found) == whole or content[cut : cut + 1] == b"\n"


@settings(max_examples=100)
@given(records=RECORDS, data=st.data())
def test_tail_of_a_growing_file_gives_every_record_once(records: list[dict[str, object]], data: st.DataObject) -> None:
    """However the bytes arrive, a tail gives each record once and in order."""
    with TemporaryDirectory() as folder:
        file, grown = Path(folder) / "a.jsonl", Path(folder) / "b.jsonl"
        append_lines(file, records)
        content = file.read_bytes()
        cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=5)))
        tail, found = LineTail(grown), []
        for begin, end in zip([0, *cuts], [*cuts, len(content)], strict=True):
            with grown.open("ab") as out:
                out.write(content[begin:end])
            found += tail.read()
        assert found == records


@settings(max_examples=60)
@given(lines=st.lists(st.binary(max_size=12).map(lambda data: data.replace(b"\n", b"")), max_size=4))
def test_any_file_is_records_or_a_run_error(lines: list[bytes]) -> None:
    """Whatever stands in a file, reading it gives records or names the damaged line."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "a.jsonl"
        file.write_bytes(b"".join(line + b"\n" for line in lines))
        try:
            found, message = list(read_lines(file)), ""
        except RunError as error:
            found, message = [], str(error)
        assert len(found) == len(lines) or "a.jsonl:" in message
