"""`capacity.html`: what response times did as the offered rate grew, and what of it was answered. One page without a script."""

from collections.abc import Iterable, Sequence
from itertools import groupby

from loadtests.report.chart import Axis, Line, Mark, chart
from loadtests.report.found import Found, StepResult, rate_text
from loadtests.report.page import Section, note, page, paragraph, table
from loadtests.report.shortage import share_text, short_words
from loadtests.units import format_duration, percent

Points = list[tuple[float, ...]]
CURVES = {"p95": "k3", "p99": "k7"}


def capacity_page(found: Found) -> str:
    """The whole file as text; of a search that goes on, what is known. There must be a step."""
    sentences = found.sentences()
    lead = [note(f"The search ended before its time: {found.trouble}")] if found.trouble else []
    sections = [
        Section("Answer", [*lead, *map(paragraph, sentences[1:])]),
        Section("Curve", [_latency(found), _achieved(found)]),
        Section("Steps", [_steps(found.steps)]),
        Section("What was measured at the limit", [_shortages(found)]),
        Section("How", [_how(found)]),
    ]
    return page(f"Capacity: {found.scenario}", sentences[0].removeprefix("CAPACITY: "), sections)


def _latency(found: Found) -> str:
    """By rate; where one was tried more often, the last word counts for the line and every try has its dot."""
    lines = []
    for name, colour in CURVES.items():
        known = [(one.rate, one.latency_ms[name], one) for one in found.steps if one.latency_ms]
        last = [(rate, list(group)[-1][1]) for rate, group in groupby(sorted(known, key=_by_rate), key=lambda one: one[0])]
        lines.append(Line(name, list(last), colour=colour))
    dots = {"passed": (True, "pass"), "did not pass": (False, "fail")}
    for word, (passed, colour) in dots.items():
        points: Points = [
            (one.rate, one.latency_ms["p95"]) for one in found.steps if one.latency_ms and bool(one.passed) is passed
        ]
        if points:
            lines.append(Line(word, points, kind="dots", colour=colour))
    if not any(line.points for line in lines):
        return note("Nothing was answered in any step.")
    marks = [Mark(one.value_ms, f"{one.percentile} limit, {format_duration(one.value_ms / 1e3)}") for one in found.limits]
    text = "Of a run that an objective ended early, until then. Dots stand at p95."
    return chart("Response time by offered rate", lines, _rate_axis(), _latency_axis(), [*marks, *_answer_mark(found)], text)


def _by_rate(one: tuple[float, float, StepResult]) -> tuple[float, int]:
    return one[0], one[2].number


def _achieved(found: Found) -> str:
    rates = sorted({one.rate for one in found.steps})
    offered: Points = [(rate, rate) for rate in rates]
    lines = [Line("as much as was offered", offered, dashed=True, colour="soft")]
    for word, passed, colour in (("passed", True, "pass"), ("did not pass", False, "fail")):
        points: Points = [(one.rate, one.achieved) for one in found.steps if bool(one.passed) is passed]
        if points:
            lines.append(Line(word, points, kind="dots", colour=colour))
    axis = Axis("answered without failure", log=True, text=rate_text)
    return chart("Answered by offered rate", lines, _rate_axis(), axis, list(_answer_mark(found)))


def _rate_axis() -> Axis:
    return Axis("offered rate", log=True, text=rate_text)


def _latency_axis() -> Axis:
    return Axis("response time", log=True, text=lambda ms: format_duration(ms / 1e3))


def _answer_mark(found: Found) -> Iterable[Mark]:
    if found.passing is not None:
        word = "capacity" if found.confirmation else "highest that passed"
        yield Mark(found.passing, f"{word} {rate_text(found.passing)}", axis="x", colour="pass")


def _steps(steps: Sequence[StepResult]) -> str:
    header = ("step", "offered", "achieved", "p50", "p95", "p99", "verdict", "first to break", "short")
    return table(header, ([*_cells(one), one.verdict.upper(), one.why, _short(one)] for one in steps))


def _cells(one: StepResult) -> list[str]:
    latency = one.latency_ms or {}
    shown = [format_duration(latency[name] / 1e3) if name in latency else "" for name in ("p50", "p95", "p99")]
    return [f"{one.number} {'plateau' if one.plateau else ''}".rstrip(), rate_text(one.rate), rate_text(one.achieved), *shown]


def _short(one: StepResult) -> str:
    return "" if one.passed else short_words(one.shortages)


def _shortages(found: Found) -> str:
    step = found.breaking or found.steps[-1]
    rows = [(one.name, share_text(one.use), "yes" if one.short else "no", one.words) for one in step.shortages]
    if not rows:
        return paragraph("Nothing was measured beside the requests.")
    return table(("resource", "use", "short", f"at {rate_text(step.rate)}"), rows)


def _how(found: Found) -> str:
    bounds = found.bounds
    rows: list[tuple[str, str]] = [
        ("searched", f"from {rate_text(bounds.start)}, within {rate_text(bounds.lowest)} and {rate_text(bounds.highest)}"),
        ("precision", percent(bounds.precision)),
        ("steps", ", ".join(sorted({f"{one.duration_s:g} s" for one in found.steps}, key=len))),
        *((name, _flat(value)) for name, value in found.provenance.items() if value is not None),
        *found.settings.items(),
    ]
    return table(("what", "how"), rows)


def _flat(value: object) -> str:
    return ", ".join(f"{name} {one}" for name, one in value.items()) if isinstance(value, dict) else str(value)
