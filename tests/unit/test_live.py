"""What is shown while a run goes on: the view in its states and widths, and the lines without a terminal."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from loadtests.measure.window import Window
from loadtests.report.live import Progress
from loadtests.report.screen import MOST_FAILING, Screen, State, draw
from loadtests.scenario.plan import Plan
from tests.unit.seconds import series, window
from tests.unit.texts import RAMPED, asking, changed, plan_of

HOST = "http://127.0.0.1:8000"


def plain_progress(plan: Plan, width: int = 200) -> tuple[Progress, io.StringIO]:
    """A progress whose output is no terminal, and that output."""
    output = io.StringIO()
    progress = Progress(Console(file=output, force_terminal=False, width=width), plan)
    progress.target(HOST)
    return progress, output


def state_of(plan: Plan, *windows: Window, halt: bool = False) -> State:
    """The state after these windows."""
    progress, _ = plain_progress(plan)
    for number, one in enumerate(windows):
        if halt and number == len(windows) - 1:
            progress.halt()
        progress.window(one)
    return progress._state


def lines_of(state: State, width: int = 80) -> list[str]:
    """The view's lines."""
    return [line.plain.rstrip() for line in draw(state, width)]


def test_before_the_load(tmp_path: Path) -> None:
    """Scenario, target, and what is being done; nothing that is not known yet."""
    progress, _ = plain_progress(plan_of(tmp_path))
    for text in ("stack: starting", "stack: ready"):
        progress.status(text)
    assert lines_of(progress._state) == [f"small  {HOST}", "stack: starting", "stack: ready"]


def test_stages_without_number(tmp_path: Path) -> None:
    """More than can be told apart, as a replay has them, leave the bar whole."""
    stages = ", ".join(['{ duration = "1s", at = 1 }'] * 40)
    state = state_of(plan_of(tmp_path, changed('duration = "10s"', f"stages = [{stages}]")), window(0))
    _, stage, bar, *_ = lines_of(state)
    assert stage.startswith("steady at 10/s 1/1 s (stage 1 of 40)")
    assert bar == "━" * 2 + "─" * 78


def test_ramp(tmp_path: Path) -> None:
    """Where the load is, what it does, its limits, and how the generator is."""
    plan = plan_of(tmp_path, asking("response_time.p95 < 200ms", "rate >= 99% of 10/s"))
    state = state_of(plan, *(window(number, {"list_tasks": series(2 + 2 * number)}) for number in range(3)))
    header, stage, bar, *rest = lines_of(state)
    assert header == f"small  {HOST}"
    assert stage == f"ramp 3/5 s{'3/20 s':>70}"
    assert bar == "━" * 12 + "─" * 8 + "┼" + "─" * 59
    assert rest == [
        "  achieved  6/s  of 6/s offered  asked >= 9.9/s",
        "            ▃▆█",
        "       p95  10 ms  p50 10 ms  p99 10 ms  asked < 200 ms",
        "            ███",
        "      load  users 10  in flight 1  failed 0/12",
        " generator  late p99 105 us  cpu 25 %  loop lag 1.5 ms  sockets 10 (1 new)",
        "            rss 80 MB",
    ]


def test_stages_have_their_places(tmp_path: Path) -> None:
    """Each stage of a plan is named with its number, its own seconds and those of the whole load."""
    stages = 'stages = [{ duration = "4s", to = 1.0 }, { duration = "4s", at = 2.0 }, { duration = "2s", to = 0.0 }]'
    plan = plan_of(tmp_path, changed('duration = "10s"', stages))
    shown = [lines_of(state_of(plan, window(number)))[1].split("  ")[0] for number in range(11)]
    assert shown[3:] == [
        "ramp to 10/s 4/4 s (stage 1 of 3)",
        *(f"steady at 20/s {second}/4 s (stage 2 of 3)" for second in range(1, 5)),
        "ramp to 0/s 1/2 s (stage 3 of 3)",
        "ramp to 0/s 2/2 s (stage 3 of 3)",
        "drain 1/30 s at most",
    ]


def test_failing_objective_appears_and_recovers(tmp_path: Path) -> None:
    """It stands in the view with what is observed and what was asked, and disappears when it is met."""
    plan = plan_of(tmp_path, asking("failure_ratio < 10%"))
    windows = [
        window(0, {"list_tasks": series(50)}),
        window(1, {"list_tasks": series(failures={"timeout": 10})}),
        window(2, {"list_tasks": series(100)}),
    ]
    shown = [[line for line in lines_of(state_of(plan, *windows[:count])) if "FAILING" in line] for count in (1, 2, 3)]
    assert shown == [[], ["   FAILING  16.7 %  o0: failure_ratio < 10 %"], []]
    (line,) = [line for line in draw(state_of(plan, *windows[:2]), 80) if "FAILING" in line.plain]
    assert line.style == "bold red"


def test_only_so_many_are_named(tmp_path: Path) -> None:
    """A target that misses everything leaves room for the rest of the view."""
    plan = plan_of(tmp_path, asking(*["failures < 1"] * (MOST_FAILING + 3)))
    lines = lines_of(state_of(plan, window(0, {"list_tasks": series(failures={"timeout": 1})})))
    assert sum("FAILING" in line for line in lines) == MOST_FAILING
    assert lines[-1].strip() == "and 3 more"


def test_drain(tmp_path: Path) -> None:
    """After the load its bar is full, and the drain has its longest time; seconds without answers are gaps."""
    plan = plan_of(tmp_path, RAMPED)
    lines = lines_of(state_of(plan, window(19), window(20, {}), window(21, {})))
    assert lines[1] == f"drain 2/30 s at most{'20/20 s':>60}"
    assert lines[2] == "━" * 20 + "╋" + "━" * 59
    assert lines[3:7] == [
        "  achieved  0/s  of 0/s offered",
        "            █▁▁",
        "       p95  no answers  asked < 200 ms",
        "            █",
    ]
    assert "late p99 no turns" in lines[8]


def test_stopped_early(tmp_path: Path) -> None:
    """A load that was interrupted is in no stage any more."""
    state = state_of(plan_of(tmp_path, RAMPED), window(0), window(1), halt=True)
    assert lines_of(state)[1].startswith("stopped early, draining ")


def test_losses_stay_in_view(tmp_path: Path) -> None:
    """What led to the load goes with its first window; what happens in it stays."""
    progress, _ = plain_progress(plan_of(tmp_path))
    progress.status("load: 10 users")
    progress.window(window(0))
    progress.status("worker-2 was killed by SIGKILL")
    progress.window(window(1))
    lines = lines_of(progress._state)
    assert lines[-1] == "worker-2 was killed by SIGKILL"
    assert "load: 10 users" not in lines


@pytest.mark.parametrize(
    ("waiting", "shown"), [(None, []), (0, ["spool: 0 windows waiting"]), (3, ["spool: 3 windows waiting"])]
)
def test_spool(tmp_path: Path, waiting: int | None, shown: list[str]) -> None:
    """How many windows wait for the sink; nothing where there is none."""
    state = replace(state_of(plan_of(tmp_path), window(0)), waiting=waiting)
    assert [line for line in lines_of(state) if "spool" in line] == shown


def hostile(tmp_path: Path) -> State:
    """Names that would move the cursor, be taken for markup, or not fit."""
    bad = '"[red]\\u001b[2J\\r\\n[/]名前名前名前' + "x" * 200 + '" = "failures < 1"'
    plan = plan_of(tmp_path, changed('fast = "response_time.p95 < 200ms"', bad, RAMPED))
    progress, _ = plain_progress(plan)
    progress.target("http://" + "h" * 300)
    big = {"[bold]list\x1b[31m": series(3000, 12_345, {"timeout": 2000})}
    for number in range(100):
        progress.window(window(number, big if number > 97 else None, workers=9, users=12_345))
    progress.status("lost\x1b]0;title\x07\n" + "y" * 300)
    return replace(progress._state, waiting=1_234_567)


@pytest.mark.parametrize("width", [1, 5, 12, 13, 20, 40, 79, 80, 200])
def test_every_width(tmp_path: Path, width: int) -> None:
    """No line is wider than the terminal, whatever the names are, and none moves its cursor."""
    state = hostile(tmp_path)
    lines = list(draw(state, width))
    assert max(cell_len(line.plain) for line in lines) <= width
    assert all(line.plain.isprintable() for line in lines)
    output = io.StringIO()
    Console(file=output, force_terminal=False, width=width).print(Screen(state))
    assert len(output.getvalue().splitlines()) == len(lines)
    if width >= 80:
        assert "FAILING  4,000  [red]?[2J??[/]名前" in output.getvalue()


def test_eighty_columns_hold_a_minute(tmp_path: Path) -> None:
    """On an ordinary terminal the sparklines have 60 windows."""
    lines = lines_of(state_of(plan_of(tmp_path, RAMPED), *(window(number) for number in range(100))))
    assert lines[4] == lines[6] == " " * 12 + "█" * 60


def test_terminals_without_unicode(tmp_path: Path) -> None:
    """Where bars and blocks cannot be written, letters stand for them."""
    output = io.TextIOWrapper(io.BytesIO(), encoding="latin-1", write_through=True)
    Console(file=output, force_terminal=False, width=80).print(Screen(hostile(tmp_path)))
    output.seek(0)
    assert "=|=" in output.read()


def test_on_a_terminal(tmp_path: Path) -> None:
    """The view renews itself and is gone at the end; lines are not printed beside it."""
    output = io.StringIO()
    console = Console(file=output, force_terminal=True, width=80, _environ={"TERM": "xterm"})
    with Progress(console, plan_of(tmp_path), lambda: 2) as progress:
        progress.status("load: 10 users")
        for number in range(5):
            progress.window(window(number))
    shown = output.getvalue()
    assert "spool: 2 windows waiting" in shown
    assert "steady 5/10 s" in shown and "5/10 s  users" not in shown
    assert shown.endswith("\x1b[1A\x1b[2K"), "the last line of the view is erased"


def test_plain_lines(tmp_path: Path) -> None:
    """Two lines every five seconds, and one when an objective begins to fail or recovers."""
    progress, output = plain_progress(plan_of(tmp_path, asking("failure_ratio < 10%")))
    progress.status("load: 10 users, 1 worker(s), 20 s")
    progress.window(window(0, {"list_tasks": series(1, failures={"timeout": 1})}))
    for number in range(1, 5):
        progress.window(window(number))
    for number in range(5, 20):
        progress.window(window(number, {"list_tasks": series(2000, 15.6)}))
    progress.window(window(24, {}))
    lines = output.getvalue().splitlines()
    assert lines[:6] == [
        "load: 10 users, 1 worker(s), 20 s",
        "   failing  o0: 50 % (asked: failure_ratio < 10 %)",
        " recovered  o0: 8.33 % (asked: failure_ratio < 10 %)",
        "    5/20 s  users 10  offered 10/s  achieved 10/s  p50 10 ms p95 10 ms p99 10 ms  failed 1/42",
        " generator  late p99 109 us  cpu 25 %  loop lag 1.5 ms  sockets 10 (1 new)  rss 80 MB",
        "   10/20 s  users 10  offered 2,000/s  achieved 2,000/s  p50 15.6 ms p95 15.6 ms p99 15.6 ms  failed 1/10,042",
    ]
    assert lines[-2] == "     drain  users 10  offered 0/s  achieved 0/s  no answers  failed 1/30,042"
    assert len(lines) == 3 + 2 * 5


def test_plain_lines_are_not_marked_up(tmp_path: Path) -> None:
    """Brackets in a path are letters, not colours."""
    progress, output = plain_progress(plan_of(tmp_path))
    progress.status("log: /runs/[bold]/x [/]")
    assert output.getvalue() == "log: /runs/[bold]/x [/]\n"
