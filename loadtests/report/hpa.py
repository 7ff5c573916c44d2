"""A simulated autoscaler for people: rows for a table, and a page with its charts."""

from collections.abc import Sequence
from itertools import pairwise

from loadtests.capacity.autoscaling import Course, Second
from loadtests.report.chart import Axis, Line, Mark, chart
from loadtests.report.figures import figure
from loadtests.report.page import Section, note, page, paragraph, table
from loadtests.units import percent

CURVE_POINTS = 1000
MINUTES_FROM_S = 300
LIMITS = (
    "Load above the capacity is counted and gone: in a cluster it waits, is tried again, and makes the next seconds worse.",
    "A pod that has no node to run on is not seen, nor what all pods share: a database may be full before the pods are.",
    "Utilisation ends at 100 %: however much load there is, the autoscaler sees no more and comes nearer step by step.",
)


def rows(course: Course) -> list[tuple[str, str]]:
    """What became of the load."""
    deployment = course.deployment
    lacking = " (more than there may be)" if course.needed > deployment.most else ""
    return [
        ("highest load", f"{figure(course.peak)}/s"),
        ("pods for it at the target", f"{course.needed}{lacking}"),
        ("pods", f"{deployment.least} to {deployment.most} allowed, {course.most_pods} at the most"),
        ("under capacity", f"{course.short_s:,} s of {course.loaded_s:,} s with load"),
        (
            "load above capacity",
            f"{figure(course.above)} requests, {percent(course.above / course.offered)}" if course.above else "none",
        ),
        ("pod hours", figure(course.pod_hours)),
    ]


def changes(course: Course) -> list[tuple[str, str, str]]:
    """Each change: when, from and to how many pods, at what load."""
    offered = {second.time_s: second.offered for second in course.seconds}
    return [
        (f"{at_s} s", f"{before} to {after}", f"{figure(offered[at_s])}/s")
        for (_, before), (at_s, after) in pairwise(course.changes)
    ]


def hpa_page(course: Course, title: str, lead: str, remarks: Sequence[str] = ()) -> str:
    """The page: figures, charts, each change."""
    deployment = course.deployment
    in_minutes = len(course.seconds) > MINUTES_FROM_S
    scale = 60 if in_minutes else 1
    time = Axis("time", text=lambda value: f"{value:g} {'min' if in_minutes else 's'}", low=0)
    end = len(course.seconds) / scale
    offered = [(part[0].time_s / scale, max(second.offered for second in part)) for part in _parts(course.seconds)]
    capacity = _steps([(second.time_s / scale, second.capacity) for second in course.seconds], end)
    pods = _steps([(second.time_s / scale, second.pods) for second in course.seconds], end)
    ready = _steps([(second.time_s / scale, second.ready) for second in course.seconds], end)
    load = [Line("load", offered, colour="k3"), Line("capacity of the ready pods", capacity, "steps", colour="k4")]
    marks = [
        Mark(deployment.most, f"at most {deployment.most}"),
        Mark(deployment.least, f"at least {deployment.least}", colour="soft"),
    ]
    scaled = [Line("pods", pods, "steps", colour="k3"), Line("ready", ready, "steps", dashed=True, colour="k4")]
    found = changes(course)
    sections = [
        Section("What became of the load", [table(("", ""), rows(course)), *map(note, remarks)]),
        Section(
            "Over time",
            [
                chart("Load and capacity", load, time, Axis("requests/s", low=0)),
                chart("Pods", scaled, time, Axis("pods", low=0), marks),
            ],
        ),
        Section("Changes", [table(("at", "pods", "load"), found) if found else paragraph("The number of pods never changed.")]),
        Section("What this does not say", [note(line) for line in LIMITS]),
    ]
    return page(title, lead, sections)


def _parts(seconds: Sequence[Second]) -> list[Sequence[Second]]:
    """Consecutive seconds, as few parts as a chart can show."""
    size = max(1, len(seconds) // CURVE_POINTS)
    return [seconds[start : start + size] for start in range(0, len(seconds), size)]


def _steps(points: Sequence[tuple[float, float]], end: float) -> list[tuple[float, ...]]:
    """Where the value changes, and the end."""
    kept = [points[0], *(later for earlier, later in pairwise(points) if later[1] != earlier[1])]
    return [*kept, (end, points[-1][1])]
