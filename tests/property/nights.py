"""Nights that never were: two builds' runs, interleaved, with the noise that real machines have."""

from collections.abc import Mapping, Sequence

import numpy as np

from loadtests.store.measured import Measured

SERIES = ("list_tasks", "create_task")
TIMES = {
    **{
        f"{latency}({name}).{quantile}": 0.01
        for name in SERIES
        for latency in ("service_time", "response_time")
        for quantile in ("p50", "p95", "p99")
    },
    "task_run.p95": 1.2,
    "cpu_per_request": 0.004,
    "cpu_per_request(api)": 0.002,
}
"""Figures on a log scale, and about what they are."""
CORRELATED = 0.5
"""Share of a run's noise that all its figures have in common."""
CONDITIONS = {"workers": 1, "load.users": 20}


def run_of(values: Mapping[str, float], number: int = 0, side: str = "a", **changes: object) -> Measured:
    """A run that measured this."""
    given: dict[str, object] = {"verdict": "pass", "conditions": CONDITIONS, **changes}
    return Measured(f"{side}{number}", "synthetic", f"build-{side}", f"2026-01-01T00:00:{number:02}", values=values, **given)  # type: ignore[arg-type]


def night(
    rng: np.random.Generator,
    rounds: int,
    noise: float | None = None,
    slower: Mapping[str, float] | None = None,
    drift: float = 0.1,
) -> tuple[list[Measured], list[Measured]]:
    """Baseline and candidate, one after the other in each round.

    Figures vary log-normally from run to run by `noise` (None: 3 to 8 %, each figure by its own), half of it in common. Over
    the rounds the machine drifts by `drift`, and figures of the candidate are `slower` by these factors. Requests fail as
    chance has it, one in a thousand.
    """
    spread = {figure: rng.uniform(0.03, 0.08) if noise is None else noise for figure in TIMES}
    phase = rng.uniform(0, 2 * np.pi)
    sides: tuple[list[Measured], list[Measured]] = ([], [])
    for number in range(rounds):
        machine = drift * np.sin(phase + np.pi * number / rounds)
        for side, runs in enumerate(sides):
            common = rng.normal()
            values = {"failure_ratio": rng.poisson(2) / 2000}
            for figure, usual in TIMES.items():
                own = np.sqrt(CORRELATED) * common + np.sqrt(1 - CORRELATED) * rng.normal()
                factor = (slower or {}).get(figure, 1.0) if side else 1.0
                values[figure] = float(usual * factor * np.exp(machine + spread[figure] * own))
            runs.append(run_of(values, number, "ab"[side]))
    return sides


def all_of(series: str, factor: float) -> dict[str, float]:
    """Every figure of one request name by this factor."""
    return {figure: factor for figure in TIMES if f"({series})" in figure}


def shares(flags: Sequence[bool]) -> float:
    """How many are true."""
    return sum(flags) / len(flags)
