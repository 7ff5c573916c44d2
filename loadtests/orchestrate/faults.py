"""Carries out the faults of a plan while its load runs: each begins at its moment, and is over whatever becomes of the run."""

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from loadtests.errors import InputError, LoadtestError, Problem, ScenarioError
from loadtests.orchestrate.definition import Part, read_definition
from loadtests.orchestrate.embedded import TARGET, Stack
from loadtests.orchestrate.harm import Harm, harm_of
from loadtests.orchestrate.processes import Managed, ProcessManager
from loadtests.scenario.plan import Plan
from loadtests.scenario.system import Fault
from loadtests.store.folder import RunFolder
from loadtests.store.records import LineTail


def check_faults(plan: Plan, embedded: bool) -> None:
    """The faults can be carried out. Raises InputError (all of them at once) before anything is started."""
    scenario = plan.scenario
    if scenario.faults and not embedded:
        raise InputError(
            f"scenario {scenario.name}: its faults harm a stack that the run itself starts; "
            "leave out HOST= (--host) and STACK=none, or take a scenario without [[faults]]"
        )
    if not scenario.faults:
        return
    parts = read_definition(Path(scenario.stack.definition)).parts(scenario.stack.env)
    problems = [
        Problem(f"scenario {scenario.name}", f"faults[{index}].{key}", message)
        for index, fault in enumerate(scenario.faults)
        for key, message in _problems(fault, parts)
    ]
    if problems:
        raise ScenarioError(problems)


def _problems(fault: Fault, parts: dict[str, Part]) -> Iterable[tuple[str, str]]:
    """Key and message of what is wrong."""
    listening = [part for part in parts.values() if part.listens]
    part = parts.get(fault.service) if fault.service != TARGET else next(reversed(listening), None)
    if part is None:
        yield "service", f"the stack has no {fault.service!r} (there are: {', '.join([*parts, TARGET])})"
    elif fault.kind in ("slow", "reset") and not part.listens:
        yield "service", f"{fault.service!r} has no port, so nothing can stand in front of it to be {fault.kind!r}"
    if part is not None and fault.instance is not None and fault.instance > part.instances:
        yield "instance", f"{fault.service!r} has {part.instances} instance(s) (got {fault.instance})"


def fronted(faults: Iterable[Fault]) -> set[str]:
    """Parts that need a proxy in front of them."""
    return {fault.service for fault in faults if fault.kind in ("slow", "reset")}


@dataclass(frozen=True)
class _Active:
    """A fault that has begun and is not over."""

    number: int
    fault: Fault
    harm: Harm


class Faults:
    """Asked again and again by who waits for the end of the load; `say` gets a line for the terminal."""

    def __init__(
        self, plan: Plan, stack: Stack, processes: ProcessManager, folder: RunFolder, say: Callable[[str], None]
    ) -> None:
        self._stack, self._processes, self._folder, self._say = stack, processes, folder, say
        numbered = enumerate(plan.scenario.faults, start=1)
        self._waiting = deque(sorted(numbered, key=lambda one: one[1].at))
        self._active: list[_Active] = []
        self._events = LineTail(folder.file("events.jsonl"))
        self._start: float | None = None

    def poll(self) -> None:
        """Begin what is due, end what is over. When the load began, and whether it was halted, stands in the run's events."""
        if not (self._waiting or self._active):
            return
        for event in self._events.read():
            if event["event"] == "start":
                self._start = event["epoch"]
            elif event["event"] == "halt":
                self.close()
        while self._start is not None and self._waiting and time.time() >= self._start + self._waiting[0][1].at:
            self._begin(*self._waiting.popleft())
        for one in list(self._active):
            self._look_at(one)

    def expects(self, managed: Managed) -> bool:
        """Whether a fault that is not over may have ended this process."""
        return any(managed in one.harm.victims for one in self._active)

    def close(self) -> None:
        """No fault begins any more; all are over now."""
        self._waiting.clear()
        while self._active:
            self._end(self._active[0], self._active[0].harm.undo)

    def _begin(self, number: int, fault: Fault) -> None:
        one = _Active(number, fault, harm_of(fault, self._stack, self._processes))
        self._active.append(one)
        self._note(one, "begin")
        try:
            one.harm.begin(time.monotonic())
        except LoadtestError as error:
            self._end(one, one.harm.undo, str(error))

    def _look_at(self, one: _Active) -> None:
        try:
            over = one.harm.over(time.monotonic())
        except LoadtestError as error:
            self._end(one, one.harm.undo, str(error))
            return
        if over:
            self._over(one)

    def _end(self, one: _Active, undo: Callable[[], None], trouble: str | None = None) -> None:
        """Undo it as far as that is possible; the first trouble is told."""
        try:
            undo()
        except LoadtestError as error:
            trouble = trouble or str(error)
        self._over(one, trouble)

    def _over(self, one: _Active, trouble: str | None = None) -> None:
        self._active.remove(one)
        self._note(one, "end", trouble)

    def _note(self, one: _Active, phase: str, trouble: str | None = None) -> None:
        fault, at_s = one.fault, round(time.time() - (self._start or 0.0), 3)
        details: dict[str, object] = {"phase": phase, "fault": one.number, "kind": fault.kind, "service": fault.service}
        if fault.instance is not None:
            details["instance"] = fault.instance
        if trouble is not None:
            details["trouble"] = trouble.splitlines()[0]
        self._folder.event("fault", at_s, **details)
        name = fault.service if fault.instance is None else f"{fault.service}-{fault.instance}"
        self._say(f"fault at {at_s:.1f} s: {fault.kind} {name}" + {"begin": "", "end": ": over"}[phase])
        if trouble is not None:
            self._say(f"fault: {trouble}")
