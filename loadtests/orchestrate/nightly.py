"""One night: every part of a suite in each round, its runs in the history, and what they say against the baseline.

Rounds take turns with the parts, and with two builds when another one is given: what changes slowly on the machine meets all of
them alike, and runs of a pair stand next to each other. Every run is in the history as soon as it is over.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.text import Text

from loadtests.errors import InputError, InterruptedRun, LoadtestError, RunError
from loadtests.exitcodes import ExitCode
from loadtests.orchestrate.definition import read_definition
from loadtests.orchestrate.ramp import Ramp, bounds_of
from loadtests.orchestrate.run import Options, Run
from loadtests.orchestrate.step import Stepper, rate_of_one
from loadtests.report.compare import compare
from loadtests.report.measures import measures_of, measures_of_search
from loadtests.report.night import NightReport, PartReport
from loadtests.report.screen import printable
from loadtests.report.trend import changes_of
from loadtests.scenario.load import find_scenario
from loadtests.scenario.plan import Plan
from loadtests.scenario.suite import Part, Suite
from loadtests.store.history import Entry, History, Side, append_history, history_file, read_history
from loadtests.store.manifest import commit_of
from loadtests.store.measured import Measured, differences, differences_text
from loadtests.store.nights import (
    NightFolder,
    baseline_file,
    create_night,
    read_baseline,
    remove_old_runs,
    write_baseline,
)
from loadtests.store.records import write_json, write_text

DEFINITION = Path("backend/stack.toml")
STEP_S, PLATEAU_S, PRECISION = 10.0, 20.0, 0.05
"""Of a part that searches for the capacity: shorter than those of `loadtest capacity`, since each round searches anew."""
SETTINGS = "stack_settings."
"""Conditions that two builds may have each by itself: both are started alike, so what differs is theirs."""


CarryOut = Callable[[Part, Plan, str | None, Options], Measured]
"""Runs a part of a suite on the stack of a definition, or on its plan's. Raises InterruptedRun when somebody ended it."""


@dataclass(frozen=True)
class NightOptions:
    """How a night is spent."""

    how: Options
    """How each run is carried out; `how.out` is the folder of results."""
    against: Path | None = None
    """A checkout whose stack is run in turn with this one's, as the baseline of the night."""
    accept: bool = False
    """Make the night the baseline of those to come, whatever it says."""


class Night:
    """Carries one suite out."""

    def __init__(
        self,
        suite: Suite,
        plans: Mapping[str, Plan],
        options: NightOptions,
        console: Console,
        carry_out: CarryOut | None = None,
    ) -> None:
        """`plans` are those of the suite's parts by their titles; `carry_out` left out are real runs.

        Raises InputError for a baseline that cannot be used, and for what would end the night in its middle.
        """
        self._suite, self._plans, self._options, self._console = suite, plans, options, console
        self._carry_out = carry_out or carried_out
        self._parts = {part.title: part for part in suite.parts}
        self._runs: dict[str, dict[Side, list[Measured]]] = {title: {"baseline": [], "candidate": []} for title in plans}
        self._entries: list[Entry] = []
        self._notes: list[str] = []
        results = options.how.out
        self._history, self._kept = history_file(results, suite.name), baseline_file(results, suite.name)
        kept = self._read_baseline()
        self._baseline = [] if options.against else kept
        self._lasting = {entry.night for entry in kept}
        self._other = None if options.against is None else _definition(options.against, plans)
        for part in suite.parts:
            if part.kind == "capacity":
                _stepper(part, None).base()

    def execute(self) -> ExitCode:
        """Run, compare, report. Raises LoadtestError when the night has to end early; what is known by then is written."""
        results, name = self._options.how.out, self._suite.name
        remove_old_runs(results, name, self._suite.keep_nights - 1, but=self._lasting)
        folder = create_night(results, name)
        before = read_history(self._history)
        try:
            self._spend(folder)
        except (KeyboardInterrupt, InterruptedRun) as error:
            ended = InterruptedRun(f"interrupted; the runs that are over are in {self._history}")
            self._write(folder, self._report(folder, before, ended))
            raise ended from error
        except LoadtestError as error:
            self._write(folder, self._report(folder, before, error))
            raise
        report = self._report(folder, before)
        self._write(folder, report)
        self._accept(report)
        self._tell(f"{folder.night}: {report.headline}")
        return report.exit_code

    def _read_baseline(self) -> list[Entry]:
        """The kept one. Whoever is about to replace it, or compares with another build, need not be able to read it."""
        try:
            return read_baseline(self._kept)
        except InputError as error:
            if not (self._options.accept or self._options.against):
                raise
            self._notes.append(str(error))
            return []

    def _spend(self, folder: NightFolder) -> None:
        """All runs."""
        for round_ in range(1, self._suite.rounds + 1):
            for title in self._plans:
                for side in self._sides(round_) if round_ <= (self._parts[title].rounds or round_) else ():
                    self._note(folder, title, side, round_, self._measured(folder, title, side, round_))

    def _sides(self, round_: int) -> Sequence[Side]:
        """Of two builds each is the first one in every other round."""
        if self._other is None:
            return ("candidate",)
        return ("baseline", "candidate") if round_ % 2 else ("candidate", "baseline")

    def _measured(self, folder: NightFolder, title: str, side: Side, round_: int) -> Measured:
        """Run one part on one of the builds; one that breaks is an INVALID run without figures, and the night goes on."""
        try:
            definition = None if side == "candidate" or self._other is None else str(self._other)
            how = replace(self._options.how, out=folder.runs)
            return self._carry_out(self._parts[title], self._plans[title], definition, how)
        except RunError as error:
            which = f"{title}, round {round_}{f', {side}' if self._other else ''}"
            self._notes.append(f"{which}: {error}")
            now = datetime.now(UTC).isoformat()
            return Measured(which, self._plans[title].scenario.name, None, now, "invalid", conditions={}, values={})

    def _note(self, folder: NightFolder, title: str, side: Side, round_: int, measured: Measured) -> None:
        """A line of the history and one for the user; the end of the night, if there is no use in going on."""
        entry = Entry(folder.night, self._suite.name, title, side, round_, measured)
        append_history(self._history, [entry])
        self._entries.append(entry)
        self._runs[title][side].append(measured)
        which = f", {side}" if self._other else ""
        self._tell(f"round {round_} of {self._suite.rounds}: {title}{which}: {measured.verdict.upper()} ({measured.run_id})")
        if not measured.conditions:
            self._tell(f"  {self._notes[-1].splitlines()[0]}")
        elif not self._options.accept and (why := self._why_not(title, measured)):
            raise InputError(f"{why} (mend it, or let a night be the new baseline: ACCEPT=1, --accept)")

    def _comparable(self, measured: Measured) -> list[Measured]:
        """Runs of the kept baseline that this one can be compared with."""
        return [entry.measured for entry in self._baseline if not differences(entry.measured, measured)]

    def _why_not(self, title: str, measured: Measured) -> str:
        """What keeps the baseline from being compared: it has this part under other conditions. A part may be new."""
        known = next((entry for entry in self._baseline if entry.part == title), None)
        if known is None or self._comparable(measured):
            return ""
        found = differences_text(differences(known.measured, measured))
        return f"{title}: not comparable with the baseline of {known.night}: {found}"

    # What it comes to.

    def _report(self, folder: NightFolder, before: History, ended: LoadtestError | None = None) -> NightReport:
        baseline = self._options.against or (self._baseline[0].night if self._baseline else None)
        lost = dict.fromkeys(entry.part for entry in self._baseline if entry.part not in self._plans)
        gone = [f"{title} is in the baseline, and no part of the suite any more" for title in lost]
        return NightReport(
            night=folder.night,
            suite=self._suite.name,
            description=self._suite.description,
            commit=commit_of(Path()) or "without a commit",
            baseline="nothing" if baseline is None else str(baseline),
            parts=[self._part(title, before) if ended is None else self._unfinished(title) for title in self._plans],
            notes=[*self._notes, *gone, *before.notes],
            ended=ended,
        )

    def _unfinished(self, title: str) -> PartReport:
        return PartReport(title, self._runs[title]["candidate"], None, "not compared")

    def _part(self, title: str, before: History) -> PartReport:
        runs = self._runs[title]
        candidate = runs["candidate"]
        first = next((run for run in candidate if run.conditions), None)
        if first is None:
            return PartReport(title, candidate, None, "no run is left to compare")
        alike = before.like(first)
        changes = changes_of([*alike.entries, *(entry for entry in self._entries if entry.measured in candidate)])
        baseline = runs["baseline"] or self._comparable(first)
        if not baseline:
            new = "not in the baseline" if self._baseline else "nothing to compare with yet"
            return PartReport(title, candidate, None, self._why_not(title, first) or new, changes)
        pairs, least = bool(runs["baseline"]), self._suite.least_effect
        try:
            comparison = compare(baseline, candidate, pairs, alike.groups(), least, list(_own(baseline, candidate)))
        except InputError as error:  # nothing that can be believed is left on a side
            return PartReport(title, candidate, None, str(error), changes, undecided=True)
        return PartReport(title, candidate, comparison, "", changes)

    def _write(self, folder: NightFolder, report: NightReport) -> None:
        write_json(folder.file("night.json"), report.to_json())
        write_text(folder.file("night.md"), report.markdown())

    def _accept(self, report: NightReport) -> None:
        """The first night that passes is the baseline; after it, one that is told to be, if it has a result of every part."""
        first = self._other is None and not self._baseline and report.exit_code is ExitCode.PASS
        if not (self._options.accept or first):
            return
        believed = [entry for entry in self._entries if entry.side == "candidate" and entry.measured.verdict != "invalid"]
        silent = [title for title in self._plans if title not in {entry.part for entry in believed}]
        if silent:
            self._tell(f"this night is not accepted: all runs of {', '.join(silent)} were INVALID")
            return
        write_baseline(self._kept, believed)
        self._tell(f"this night is the baseline now: {self._kept}")

    def _tell(self, text: str) -> None:
        self._console.print(Text(printable(text)), soft_wrap=True)


def carried_out(part: Part, plan: Plan, definition: str | None, how: Options) -> Measured:
    """One real run, or one real search."""
    how = replace(how, stack="none" if plan.scenario.target.host else "embedded")
    if part.kind == "capacity":
        return _searched(part, definition, how)
    outcome = Run(plan.with_stack(definition) if definition else plan, how, Console(quiet=True)).execute()
    _check_interrupted(outcome.exit_code)
    return measures_of(outcome.folder)


def _searched(part: Part, definition: str | None, how: Options) -> Measured:
    """Search for the highest rate."""
    stepper = _stepper(part, definition)
    base = stepper.base()
    per_user = rate_of_one(base)
    bounds = bounds_of(base.scenario.load.users * per_user, None, None, PRECISION, per_user)
    ramp = Ramp(stepper, bounds, how, {}, lambda _: None)
    _check_interrupted(ramp.execute())
    return measures_of_search(ramp.folder)


def _check_interrupted(code: ExitCode) -> None:
    if code is ExitCode.INTERRUPTED:
        raise InterruptedRun("interrupted")


def _stepper(part: Part, definition: str | None) -> Stepper:
    """As for a single search, but deaf to what the shell exports for those."""
    return Stepper(find_scenario(part.scenario), None, None, STEP_S, PLATEAU_S, definition, environ={})


def _own(baseline: Sequence[Measured], candidate: Sequence[Measured]) -> Iterator[str]:
    """The settings that differ because the builds bring them along; none for a kept baseline, which compares or is refused."""
    one, other = (next((run for run in side if run.conditions), None) for side in (baseline, candidate))
    if one is not None and other is not None:
        yield from (key for key, _, _ in differences(one, other) if key.startswith(SETTINGS))


def _definition(checkout: Path, plans: Mapping[str, Plan]) -> Path:
    """The definition of another checkout's stack. Raises InputError when there is none, or none that can be started."""
    definition = checkout / DEFINITION
    if not definition.is_file():
        raise InputError(f"--against {checkout}: no checkout of this project (it has no {DEFINITION})")
    python = definition.parent / read_definition(definition).python
    if not python.exists():
        raise InputError(f"--against {checkout}: its stack's environment is missing (run: make -C {checkout} setup)")
    for title, plan in plans.items():
        if plan.scenario.target.host:
            raise InputError(f"--against: {title} has a target of its own, {plan.scenario.target.host}, whatever the build")
    return definition
