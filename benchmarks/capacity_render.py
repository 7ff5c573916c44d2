"""docs/capacity.md from results/capacity.json and the words of capacity.md.j2."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from jinja2 import Environment, StrictUndefined
from scipy.stats import t as student

from loadtests.capacity.autoscaling import Deployment, simulate
from loadtests.capacity.reach import reach
from loadtests.capacity.usl import PARAMETERS, fit
from loadtests.pacing.schedule import RateProfile
from loadtests.report.figures import between, figure
from loadtests.report.found import rate_text

TEMPLATE = Path(__file__).with_name("capacity.md.j2")
TARGET = 10_000.0
UTILISATION = 0.6
"""That the autoscaler aims at (k8s/hpa.yaml); what is left is for spikes."""
POOL, BUDGET = 3, 90
"""Connections of an instance in k8s/configmap.yaml, and of the whole stack."""
MOST_INSTANCES = 20
"""k8s/hpa.yaml."""
LOADS = {
    "phase5: to 10,000/s in 10 s, 60 s in all": RateProfile(((0.0, 0.0), (10.0, TARGET), (60.0, TARGET))),
    "to 10,000/s in 5 min, 15 min in all": RateProfile(((0.0, 0.0), (300.0, TARGET), (900.0, TARGET))),
}
NAMES = {
    "api": "API",
    "worker": "Celery worker",
    "relay": "outbox relay",
    "nginx": "nginx",
    "redis": "Valkey",
    "postgres": "PostgreSQL",
    "generator": "(the generator)",
}


def render(found: Mapping[str, Any]) -> str:
    """The whole page."""
    environment = Environment(autoescape=False, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)  # noqa: S701  # no HTML
    searches, demands = found["searches"], found["demands"]
    rates = [one["answer"]["rate"] for one in searches]
    pod = 1 / fmean(run["cpu_s_per_request"]["api"] for run in demands)
    page = environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        made=found["made"][:10],
        machine=found["machine"],
        searches=[_search(one) for one in searches],
        apart=f"{max(rates) / min(rates) - 1:.1%}".replace("%", " %"),
        remark=f"{searches[-1]['answer']['text'][-1]}.",
        demands=[run["run"] for run in demands],
        rate=f"{fmean(run['rate'] for run in demands):,.0f}",
        services={service: _service(name, *_cost(demands, service)) for service, name in NAMES.items()},
        pod=f"{pod:,.0f}",
        pod_flag=f"{pod:.0f}",
        courses=list(_courses(pod)),
        points=list(_points(searches, found["instances"])),
        law=_law(searches, found["instances"]),
        connections=f"{max(run['connections'] for run in demands):.0f}",
        pool=POOL,
        budget=BUDGET,
        most_instances=MOST_INSTANCES,
    )
    return page.rstrip() + "\n"


def _cost(demands: Sequence[Mapping[str, Any]], service: str) -> tuple[float, float, float]:
    """Mean CPU seconds per request, and its 95 % interval over the runs by Student's t."""
    values = [run["cpu_s_per_request"][service] for run in demands]
    mean = fmean(values)
    half = float(student.ppf(0.975, len(values) - 1)) * stdev(values) / math.sqrt(len(values))
    return mean, max(0.0, mean - half), mean + half


def _service(name: str, mean: float, low: float, high: float) -> dict[str, Any]:
    def processes(cost_s: float) -> int:
        return max(1, math.ceil(TARGET * cost_s / UTILISATION))

    return {
        "name": name,
        "cost": f"{mean * 1e6:.0f} ({low * 1e6:.0f} to {high * 1e6:.0f})",
        "cores": f"{TARGET * mean:.2f}",
        "cores_least": f"{TARGET * low:.2f}",
        "cores_most": f"{TARGET * high:.2f}",
        "percent": f"{TARGET * mean:.0%}".replace("%", " %"),
        "processes": processes(mean),
        "least": processes(low),
        "most": processes(high),
    }


def _search(one: Mapping[str, Any]) -> dict[str, str]:
    answer = one["answer"]
    plateau = next((step["latency_ms"] for step in one["steps"] if step["number"] == answer["confirmed_by"]), None)
    short = [item["words"] for item in answer["shortages"] if item["short"]]
    broke = answer["first_to_break"]
    return {
        "run": one["run"],
        "rate": rate_text(answer["rate"]),
        "failed": "none" if answer["interval"][1] is None else rate_text(answer["interval"][1]),
        "latency": "" if plateau is None else f"{plateau['p95']:.0f}, {plateau['p99']:.0f} ms",
        "broke": "the generator" if broke is None else broke["name"],
        "short": "; ".join(short) or "nothing that was measured",
    }


def _points(searches: Sequence[Mapping[str, Any]], instances: Mapping[str, Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for number, one in [*(("1", one) for one in searches), *instances.items()]:
        rate = float(one["answer"]["rate"])
        yield {"instances": int(number), "rate": rate_text(rate), "value": rate, "run": one["run"]}


def _law(searches: Sequence[Mapping[str, Any]], instances: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    fitted = fit([(one["instances"], one["value"]) for one in _points(searches, instances)])
    answer = reach(fitted, TARGET)
    values = (fitted.law.lambda_, fitted.law.sigma, fitted.law.kappa)
    told = {"answer": f"{answer.units} instances do", "never": "no number of instances does", "too far": "too far to say"}
    return {
        "coefficients": ", ".join(
            f"{name} {figure(value)} ({between(fitted.interval(name))})" for name, value in zip(PARAMETERS, values, strict=True)
        ),
        "r2": f"{fitted.r2:.2f}",
        "answer": told[answer.kind],
        "highest": figure(answer.highest),
        "highest_at": figure(answer.highest_at),
    }


def _courses(pod: float) -> Iterator[dict[str, Any]]:
    deployment = Deployment(capacity=pod, target=UTILISATION, least=3, most=MOST_INSTANCES)
    for name, profile in LOADS.items():
        course = simulate(deployment, profile.rate, profile.duration_s)
        yield {
            "name": name,
            "pods": course.most_pods,
            "short_s": course.short_s,
            "above": f"{course.above:,.0f}",
            "offered": f"{course.offered:,.0f}",
        }
