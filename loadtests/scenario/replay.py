"""A scenario that offers what an access log tells: endpoints with their shares, and their rate over time or their moments."""

import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import tomli_w

from loadtests.errors import InputError
from loadtests.scenario.load import load_plan
from loadtests.scenario.meaning import check_meaning
from loadtests.scenario.rates import stage_counts, users_for
from loadtests.scenario.schema import Auth, Target
from loadtests.traffic import journeys
from loadtests.traffic.access_log import SECOND_US, Reading
from loadtests.traffic.endpoints import Endpoint, names_of
from loadtests.traffic.prepared import JSON_HEADERS
from loadtests.traffic.recording import write_recording
from loadtests.traffic.tally import Tally
from loadtests.traffic.tokens import AUTH_SERIES
from loadtests.units import duration_text, percent, significant

TAKEN_OVER = ("target", "auth", "health", "tasks", "probes", "stack", "objectives")
"""Tables of a scenario that a replay may be like."""
OBJECTIVES = {"response_p95": "response_time.p95 < 500ms", "failures": "failure_ratio < 1%"}
OPERATIONAL = ("/healthz", "/livez", "/metrics")
WITH_BODY = ("POST", "PUT", "PATCH")
SUFFIX = ".moments"
DIGITS = 6
"""Significant digits of a rate."""


@dataclass(frozen=True)
class Wishes:
    """How the scenario is written."""

    out: Path
    like: Mapping[str, Any]
    """The data of the scenario that it is to be like."""
    users: int | None = None
    body: str = "{}"


def own_paths(like: Mapping[str, Any]) -> set[str]:
    """Paths that a run of such a scenario asks for without being told: health checks, and its own logins."""
    target, auth = Target.model_validate(like.get("target", {})), Auth.model_validate(like.get("auth", {}))
    logins = {"none": (), "mint": (auth.check,), "guest": (auth.login, auth.refresh, auth.check)}[auth.mode]
    return {*OPERATIONAL, *(path.partition("?")[0] for path in (target.health, *logins) if path)}


class Replay:
    """One log's scenario: `write` makes the files, `account` is what there is to say of it."""

    def __init__(self, log: str, reading: Reading, tally: Tally, wishes: Wishes) -> None:
        """Raises InputError when the log leaves nothing to replay, or not what was wished for."""
        self._log, self._reading, self._tally, self._wishes = _printable(log), reading, tally, wishes
        if reading.lines == reading.unreadable:
            raise InputError(
                f"{log}: no readable line among {reading.lines:,}: neither nginx's combined format nor nginx.conf's own"
            )
        if not tally.kept:
            raise InputError(f"{log}: nothing to replay among {reading}; left out: {'; '.join(self._left_out()) or 'nothing'}")
        if tally.wanted.exact and tally.coarse:
            raise InputError(
                f"{log}: {tally.coarse:,} of {tally.kept:,} requests have no moment (see line {reading.first_coarse:,}), which "
                "needs msec=$msec and request_time=$request_time in the log's format (nginx.conf has them); leave out --exact"
            )
        kept = ((index, one) for index, one in enumerate(tally.endpoints) if one.left_out is None)
        self._kept = dict(sorted(kept, key=lambda pair: pair[1].requests, reverse=True))
        self._names = names_of(self._kept, {*journeys.REGISTRY, *AUTH_SERIES})
        # Of requests that are known to the second, the last one's second belongs to the load.
        unit_us = SECOND_US if tally.coarse else 1000
        self._begin_us, self._end_us = tally.first_us // unit_us * unit_us, tally.last_us // unit_us * unit_us + unit_us
        self._pieces = stage_counts(tally.seconds, self._begin_us / 1e6, self._end_us / 1e6)
        self._users = wishes.users or users_for(self._pieces)
        self._unmet: list[str] = []

    def write(self) -> None:
        """Write the scenario, and its recording; both replace what is there, when they are whole.

        Raises InputError when they cannot be written.
        """
        out = self._wishes.out
        try:
            with TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as drafts:
                draft = Path(drafts, out.name)
                if self._tally.wanted.exact:
                    requests = ((at_us, self._names[place]) for at_us, place in self._tally.in_order())
                    write_recording(draft.with_suffix(SUFFIX), requests)
                data = self._data()
                self._leave_out_objectives(draft, data)
                text = "".join(f"# {line}\n" for line in self.account()) + "\n" + tomli_w.dumps(data)
                draft.write_text(text, encoding="utf-8")
                load_plan(draft)
                for file in Path(drafts).iterdir():
                    file.replace(out.with_name(file.name))
        except OSError as error:
            raise InputError(f"{out}: cannot be written: {error.strerror}") from error

    def account(self) -> Iterator[str]:
        """Where the scenario comes from, what it offers, and what was left out."""
        tally, span_s = self._tally, (self._end_us - self._begin_us) / 1e6
        yield f"Replay of {self._log}: {self._reading}."
        yield f"{tally.kept:,} requests from {_moment(tally.first_us)} to {_moment(tally.last_us)}: {significant(span_s)} s."
        busiest = max(count / length_s for length_s, count in self._pieces)
        yield f"Rate: {significant(tally.kept / span_s)}/s on average, {significant(busiest)}/s at most (over {self._width()})."
        for index, one in self._kept.items():
            yield f"{percent(one.requests / tally.kept)}: {one.title}, as {', '.join(self._names_of(index))}{_trouble(one)}"
        yield from (f"Left out: {text}." for text in self._left_out())
        yield from (f"Left out: objective {text}." for text in self._unmet)

    def _width(self) -> str:
        return f"{significant(max(length_s for length_s, _ in self._pieces))} s"

    def _names_of(self, index: int) -> list[str]:
        return list(dict.fromkeys(name for (endpoint, _), name in self._names.items() if endpoint == index))

    def _left_out(self) -> Iterator[str]:
        for one in self._tally.endpoints:
            if one.left_out is not None:
                yield f"{one.requests:,} of {one.title} ({one.left_out})"
        if self._tally.beyond:
            yield f"{self._tally.beyond:,} of endpoints that came after {len(self._tally.endpoints)} others"

    def _data(self) -> dict[str, Any]:
        out, like = self._wishes.out, self._wishes.like
        data: dict[str, Any] = {"name": _name(out.stem), "description": f"Replay of {Path(self._log).name}"}
        data["load"] = self._load()
        if requests := dict(self._requests()):
            data["requests"] = requests
        data["mix"] = [{"journey": name, "weight": weight} for name, weight in self._weights().items()]
        data |= {table: like[table] for table in TAKEN_OVER if table in like}
        data["objectives"] = dict(like.get("objectives") or OBJECTIVES)
        return data

    def _load(self) -> dict[str, Any]:
        if self._tally.wanted.exact:
            duration = duration_text((self._end_us - self._begin_us) / 1e6)
            recording = self._wishes.out.with_suffix(SUFFIX).name
            return {"users": self._users, "duration": duration, "arrivals": "recorded", "recording": recording}
        stages = [
            {"duration": duration_text(round(length_s, 6)), "at": float(f"{count / length_s / self._users:.{DIGITS}g}")}
            for length_s, count in self._pieces
        ]
        return {"users": self._users, "rate_per_user": 1.0, "arrivals": "poisson", "stages": stages}

    def _weights(self) -> Mapping[str, int]:
        """Requests by name."""
        weights: Counter[str] = Counter()
        for index, one in self._kept.items():
            if one.journey is not None or not one.is_few:
                weights[self._names[index, 0]] += one.requests
            else:
                for variant, count in enumerate(one.counts):
                    weights[self._names[index, variant]] += count
        return weights

    def _requests(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """`[requests]`: what no known journey asks for."""
        for index, one in self._kept.items():
            if one.journey is None:
                what: dict[str, Any] = {"method": one.method}
                if one.method in WITH_BODY:
                    what |= {"body": self._wishes.body, "headers": dict(JSON_HEADERS)}
                if one.is_few:
                    for variant, target in enumerate(one.variants):
                        yield self._names[index, variant], {**what, "path": target}
                else:
                    yield self._names[index, 0], {**what, "paths": sorted(one.samples)}

    def _leave_out_objectives(self, path: Path, data: dict[str, Any]) -> None:
        """Those of the other scenario that this one cannot be asked: of its own number of users, or of its requests."""
        for name, value in tuple(data["objectives"].items()):
            if isinstance(value, dict) and value.get("scale_with"):
                del data["objectives"][name]
                self._unmet.append(f"{name} (its limit goes with the other scenario's users)")
        with journeys.as_before():
            problems = list(check_meaning(path, data))
        for problem in problems:
            table, _, name = problem.key.partition(".")
            if table == "objectives" and data["objectives"].pop(name, None) is not None:
                self._unmet.append(f"{name} ({problem.message})")
        data["objectives"] = data["objectives"] or dict(OBJECTIVES)


def read_data(path: Path) -> dict[str, Any]:
    """The data of a valid scenario file. Raises ScenarioError."""
    load_plan(path)
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _trouble(one: Endpoint) -> str:
    parts = ((one.client_errors, "4xx"), (one.server_errors, "5xx"))
    shares = [f"{percent(count / one.requests)} were answered {kind}" for count, kind in parts if count]
    sent = (
        "; its body is not in the log, so the same one is sent each time"
        if one.journey is None and one.method in WITH_BODY
        else ""
    )
    return (f" ({', '.join(shares)})" if shares else "") + sent


def _moment(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1e6, UTC).isoformat(timespec="milliseconds")


def _printable(text: str) -> str:
    """As a comment may have it: a file's name may hold anything."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def _name(stem: str) -> str:
    name = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in stem.lower()).strip("-")
    return name or "replay"
