"""How the stack's benchmark reads a run."""

import json
from pathlib import Path

import pytest

from benchmarks.probes import Block, summary
from benchmarks.stack import RESULT
from benchmarks.stack_render import render
from benchmarks.stack_run import Steps, _counters, _judge, _Seen
from loadtests.measure.window import Window

STEPS = Steps(first=100, factor=2.0, count=4, step_s=3)


def window(number: int, response_us: int) -> Window:
    """A second in which as many were answered as its step offers, each after that time."""
    made = Window(number)
    series = made.series.setdefault("list_tasks", made.total())
    step = max(0, (number - STEPS.warm_up_s) // STEPS.step_s)
    for _ in range(int(STEPS.rates[min(step, STEPS.count - 1)])):
        series.record(response_us, response_us)
    return made


def run(*steps_us: int) -> list[Window]:
    """A warm-up, then one response time a step."""
    seconds = [1000] * STEPS.warm_up_s + [time_us for time_us in steps_us for _ in range(STEPS.step_s)]
    return [window(number, time_us) for number, time_us in enumerate(seconds)]


@pytest.mark.parametrize(
    ("steps_us", "rate"),
    [
        ((1000, 1000, 1000, 1000), 800),
        ((1000, 1000, 300_000, 300_000), 200),
        ((1000, 300_000, 1000, 300_000), 400),
        ((1000, 300_000, 300_000, 1000), 100),
        ((300_000, 300_000, 1000, 300_000), 400),
        ((300_000, 300_000, 300_000, 300_000), 0),
    ],
)
def test_the_highest_step_that_held(tmp_path: Path, steps_us: tuple[int, ...], rate: float) -> None:
    """One step may miss its 200 ms; after two in a row nothing counts any more, once one has held."""
    found = _judge(run(*steps_us), STEPS, _Seen(), tmp_path)
    assert found.rate == rate
    assert found.p95_ms < 200


def test_statements_of_workers_are_not_the_api_s() -> None:
    """Requests of the two endpoints, statements of the API, and lists among them."""
    text = "\n".join(
        [
            'http_requests_total{endpoint="/api/v1/tasks",method="GET",status="200"} 30.0',
            'http_requests_total{endpoint="/healthz",method="GET",status="200"} 7.0',
            'agenthq_db_statements_total{query="list_tasks"} 5.0',
            'agenthq_db_statements_total{query="create_tasks"} 4.0',
            'agenthq_db_statements_total{query="claim_tasks"} 100.0',
        ]
    )
    assert _counters(text) == {"requests": 30.0, "statements": 9.0, "list_statements": 5.0}


@pytest.mark.parametrize("rate", [0.0, 120.0, 3000.0])
def test_narrow_steps_lie_about_the_rate(rate: float) -> None:
    """A rate that was found lies within them, with room above; a variant that held nothing is tried from a low one."""
    rates = Steps.about(rate).rates
    assert 0 < rates[0] < max(rate, 40.0) < rates[-1] / 1.4


def test_what_the_probes_take_is_told_by_pairs() -> None:
    """Neighbouring blocks are compared, whichever came first; the page tells ratio and interval, and is whole without them."""
    blocks = [Block(probed, 0.0, 7.0, 0.03 if probed else 0.01) for probed in (True, False, False, True, True, False)]
    rates = [990.0, 1000.0, 2000.0, 1940.0, 1000.0, 1000.0]
    found = summary(blocks, rates)
    assert found["rates"] == {"off": [1000.0, 2000.0, 1000.0], "on": [990.0, 1940.0, 1000.0]}
    # By hand: the mean of the logarithms of 0.99, 0.97 and 1 is -0.01350, their deviation 0.01555.
    assert found["throughput"] == {"with_probes_of_without": 0.9866, "interval": [0.9694, 1.0041]}
    assert found["kept"] is True
    stack = json.loads(RESULT.read_text())
    page = render(stack, {"measured": {"date": "today", "users": 100}, "metrics": 44, **found})
    assert page.startswith(render(stack))
    assert "(44 series) the stack's throughput is 0.987 of that without, by 3 pairs of neighbouring blocks" in page
    assert "use 0.020 of a core" in page


def test_probes_that_surely_take_too_much_break_the_promise() -> None:
    """A ratio below the least one, as far as chance may explain it."""
    blocks = [Block(probed, 0.0, 7.0, 0.0) for probed in (True, False) * 3]
    assert summary(blocks, [900.0, 1000.0, 890.0, 1000.0, 910.0, 1000.0])["kept"] is False
