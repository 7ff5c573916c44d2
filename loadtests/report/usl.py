"""A fitted scalability law for people: rows for a table, answers in words, and a page with its chart."""

import math
from collections.abc import Sequence

import numpy as np

from loadtests.capacity.reach import FURTHEST, Reach
from loadtests.capacity.usl import PARAMETERS, Fit
from loadtests.report.chart import Axis, Line, Mark, chart
from loadtests.report.figures import between, figure
from loadtests.report.page import Section, note, page, paragraph, table

HEADER = ("", "estimate", "95 %", "meaning")
CURVE_POINTS = 200
MEANINGS = {
    "lambda": "throughput of one unit",
    "sigma": "share of the work that waits for its turn (contention)",
    "kappa": "what each pair of units costs (coherency)",
}


def rows(fit: Fit) -> list[tuple[str, str, str, str]]:
    """Under HEADER: the coefficients and the peak."""
    law = fit.law
    values = zip(PARAMETERS, (law.lambda_, law.sigma, law.kappa), strict=True)
    found = [(name, figure(value), between(fit.interval(name)), MEANINGS[name]) for name, value in values]
    peak = fit.peak_interval()
    within = between(None if peak is None else (max(1.0, peak[0]), max(1.0, peak[1])))
    if math.isinf(law.peak):
        limit = f"does not exceed {figure(law.highest)}" if math.isfinite(law.highest) else "has no limit"
        return [*found, ("peak", "none", within, f"throughput never falls, and {limit}")]
    furthest = fit.most_units * FURTHEST
    if law.peak > furthest:
        return [
            *found,
            ("peak", f"> {figure(furthest)}", within, "units of the greatest throughput; the law is not asked further"),
        ]
    return [
        *found,
        ("peak", figure(max(1.0, law.peak)), within, "units of the greatest throughput"),
        (
            "throughput there",
            figure(law.highest),
            between(fit.throughput_interval(max(1.0, law.peak))),
            "what the law allows at the most",
        ),
    ]


def notes(fit: Fit) -> list[str]:
    """How good the fit is and where its intervals come from."""
    different = len({units for units, _ in fit.points})
    lines = [
        f"{len(fit.points)} measurements of {different} numbers of units, up to {figure(fit.most_units)}; R2 = {fit.r2:.6g}"
    ]
    if fit.way == "student":
        lines.append(f"intervals: covariance of the fit and Student's t, degrees of freedom: {fit.freedom}")
    elif fit.way == "bootstrap":
        lines.append(f"intervals: bootstrap, because of what lies at the end of its range ({', '.join(fit.bound)})")
    else:
        lines.append("no intervals: as many measurements as coefficients; repeat some, or measure another number of units")
    if fit.bound == ("sigma", "kappa"):
        lines.append(
            "nothing is lost by sharing as far as can be seen, or less than nothing, which no law says: measure more units"
        )
    if fit.way is not None:
        lines.append(f"measurements deviate by {figure(fit.deviation)} from the law (residual standard deviation)")
    return lines


def answer(found: Reach, unit: str = "units") -> str:
    """One line for a target: an answer with its interval, or why there is none and what bounds there are."""
    target = f"{figure(found.target)}/s"
    bounds = f"bounds, not answers: {figure(found.linear)} {unit} if nothing were lost"
    bounds += f", {figure(found.amdahl) if math.isfinite(found.amdahl) else 'never'} if only contention were"
    furthest = f"{figure(found.furthest)}, as far as this law is asked"
    if found.kind == "answer":
        within = "not known" if found.interval is None else between(found.interval)
        return f"{target}: {found.units} {unit} (95 %: {within})"
    if found.kind == "never":
        text = f"{target}: not reached; at most {figure(found.highest)}/s, by {figure(found.highest_at)} {unit}"
        return text + (f"; by chance it may be, from {figure(found.interval[0])} {unit} on" if found.interval else "")
    text = f"{target}: no answer; up to {furthest}, there are {figure(found.highest)}/s; {bounds}"
    return text + (f"; by chance {figure(found.interval[0])} {unit} may do" if found.interval else "")


def usl_page(fit: Fit, answers: Sequence[Reach], unit: str = "units") -> str:
    """The page: answers first, then the chart, the coefficients and the measurements."""
    law = fit.law
    measured = [
        (
            figure(units),
            figure(rate),
            figure(law.throughput(units)),
            _off(rate / law.throughput(units) - 1),
            figure(rate / units),
        )
        for units, rate in sorted(fit.points)
    ]
    sections = [
        Section("Answers", [paragraph(answer(one, unit)) for one in answers]) if answers else None,
        Section("The law", [_chart(fit, answers, unit), table(HEADER, rows(fit)), *map(paragraph, notes(fit))]),
        Section("Measurements", [table((unit, "measured /s", "law /s", "off", f"for each of the {unit}"), measured)]),
        Section("What this does not say", [note(line) for line in LIMITS]),
    ]
    lead = "Universal Scalability Law: X(N) = lambda N / (1 + sigma (N - 1) + kappa N (N - 1))"
    return page("How throughput scales", lead, [section for section in sections if section])


LIMITS = (
    f"Nothing beyond {FURTHEST:g} times the largest number that was measured: another resource may be short there.",
    "The law knows one kind of unit. Where all of them share one database, its limit shows only once it is near.",
)


def _off(share: float) -> str:
    """A signed share in per cent, of which none is `+0.0 %`."""
    return f"{round(share * 100, 1) + 0.0:+.1f} %"


def _chart(fit: Fit, answers: Sequence[Reach], unit: str) -> str:
    """Measurements, the law with its interval, and its continuation as far as it is asked."""
    most, furthest = fit.most_units, fit.most_units * FURTHEST
    inside, beyond = np.linspace(1, most, CURVE_POINTS), np.linspace(most, furthest, CURVE_POINTS)
    lines = []
    if fit.way is not None:
        every = np.concatenate([inside, beyond[1:]])
        low, high = fit.band(every)
        lines.append(Line("95 %", list(zip(every.tolist(), low.tolist(), high.tolist(), strict=True)), "band", colour="k3"))
    lines += [
        Line("law", [(units, fit.law.throughput(units)) for units in inside.tolist()], colour="k3"),
        Line(
            "beyond what was measured",
            [(units, fit.law.throughput(units)) for units in beyond.tolist()],
            dashed=True,
            colour="k3",
        ),
        Line("measured", fit.points, "dots", colour="k7"),
    ]
    marks = [Mark(one.target, f"{figure(one.target)}/s") for one in answers if one.target < 2 * one.highest]
    if fit.law.peak <= furthest:
        marks.append(Mark(fit.law.peak, f"peak {figure(fit.law.peak)}", "x", "soft"))
    return chart(f"Throughput over {unit}", lines, Axis(unit, low=1), Axis("throughput /s", low=0), marks)
