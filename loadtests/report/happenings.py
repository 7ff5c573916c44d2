"""The events of a run for people: when, what, and what more there is to say. `events.jsonl` has them for programs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from loadtests.objectives.clocks import offset_text
from loadtests.units import format_duration, significant

WORDS = {
    "start": "load begun",
    "halt": "load halted",
    "abort": "load aborted",
    "stop": "load over",
    "worker_lost": "worker lost",
    "users_taken_over": "users taken over",
    "take_over_missed": "users not taken over",
    "worker_silent": "worker heard again",
    "worker_refused": "worker refused",
    "worker_left": "worker left",
    "process_ended": "process ended",
    "not_ready": "not ready",
    "followed": "tasks followed",
    "statements": "slowest statements",
}
FIELDS = {
    "accepted": "accepted by the target",
    "known": "of them known to it",
    "duplicated": "accepted again",
    "rows": "rows at the target",
    "extra": "rows beside the accepted",
    "rows_trouble": "rows could not be read",
    "tells_begin": "the target tells when work begins",
    "clock": "the target's clock",
    "observed_text": "observed",
    "objective": "asked",
    "window_s": "over the last",
    "silent_s": "after",
    "fault": "number",
    **dict.fromkeys(("fate", "how", "kind", "name", "reason", "service", "slowest", "why"), ""),
}
"""Words for fields whose names are none, or say nothing beside their values."""
HIDDEN = {"event", "at_s", "time", "epoch", "time_s", "clocks", "observed", "phase", "heirs"}
"""For programs only, or told elsewhere on the page; `phase` becomes part of the event's name."""
ZERO_IS_NONE = {"duplicated", "extra"}
LEFT_OUT = ("worker_final", "worker_joined", "unaccounted_tasks")


@dataclass(frozen=True)
class Happening:
    """One event."""

    when: str
    """Seconds since the load began; nothing without a load."""
    what: str
    details: str


def happenings(events: Sequence[Mapping[str, Any]], start_epoch: float | None) -> list[Happening]:
    """The events that people read, in their order."""
    shown = (event for event in events if event["event"] not in LEFT_OUT)
    return [Happening(_when(event, start_epoch), _what(event), " · ".join(_details(event))) for event in shown]


def _when(event: Mapping[str, Any], start_epoch: float | None) -> str:
    """By the load's clock; of those who do not know it, by the time of the record."""
    at_s: float | None = event["at_s"]
    if at_s is None and start_epoch is not None:
        at_s = datetime.fromisoformat(event["time"]).timestamp() - start_epoch
    return "" if at_s is None else f"{at_s:,.1f} s"


def _what(event: Mapping[str, Any]) -> str:
    kind = str(event["event"])
    phase = {"begin": " begun", "end": " over"}.get(event.get("phase", ""), "")
    return WORDS.get(kind, kind.replace("_", " ")) + phase


def _details(event: Mapping[str, Any]) -> Iterator[str]:
    for key, value in _with_clock(event).items():
        # The number of a worker says nothing beside its name.
        hidden = key in HIDDEN or (key in ZERO_IS_NONE and not value) or (key == "worker" and "name" in event)
        text = "" if hidden else _text(key, value)
        if text:
            label = FIELDS.get(key, _plain(key))
            yield f"{label}: {text}" if label else text


def _with_clock(event: Mapping[str, Any]) -> dict[str, Any]:
    """The event, with how far the target's clock is off, and how sure that is, in one."""
    found = dict(event)
    offset_s, doubt_s = found.pop("clock_offset_s", None), found.pop("clock_doubt_s", None)
    if offset_s is not None and doubt_s is not None:
        found["clock"] = f"{offset_text(offset_s)} ± {format_duration(doubt_s)}"
    return found


def _plain(key: str) -> str:
    return key.removesuffix("_s").removesuffix("_ms").replace("_", " ")


def _text(key: str, value: Any) -> str:
    """A value in words; nothing for what is none."""
    if value is None or value in ("", [], {}):
        return ""
    match value:
        case bool():
            return "yes" if value else "no"
        case int() | float() if key.endswith("_s"):
            return format_duration(value)
        case int() | float() if key.endswith("_ms"):
            return format_duration(value / 1e3)
        case int():
            return f"{value:,}"
        case float():
            return significant(value)
        case Mapping():
            return ", ".join(f"{_named(name)}{text}" for name, one in value.items() if (text := _text(str(name), one)))
        case list():
            return "; ".join(_text(key, one) for one in value)
    return str(value)


def _named(name: Any) -> str:
    """The name of an entry; the number of a worker says nothing beside its name."""
    return "" if str(name).isdigit() else f"{_plain(str(name))} "
