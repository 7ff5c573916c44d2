"""One night: every part of a suite in each round, its runs in the history, and what they say against the baseline.

Rounds take turns with the parts, and with two builds when another one is given: what changes slowly on the machine meets all of
them alike, and runs of a pair stand next to each other. Every run is in the history as soon as it is over.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from loadtests.errors import InputError, InterruptedRun
from loadtests.exitcodes import ExitCode
from loadtests.orchestrate.ramp import Ramp, bounds_of
from loadtests.orchestrate.run import Options, Run
from loadtests.orchestrate.step import Stepper
from loadtests.report.compare import compare
from loadtests.report.measures import measures_of, measures_of_search
from loadtests.report.night import NightReport, PartReport
from loadtests.report.trend import changes_of
from loadtests.scenario.load import find_scenario
from loadtests.scenario.plan import Plan
from loadtests.scenario.suite import Part, Suite
from loadtests.store.history import Entry, History, Side, append_history, history_file, read_history
from loadtests.store.manifest import commit_of
from loadtests.store.measured import Measured, differences, differences_text
from loadtests.store.nights import NightFolder, baseline_file, create_night, read_baseline, write_baseline
from loadtests.store.records import write_json, write_text

DEFINITION = Path("backend/stack.toml")
STEP_S, PLATEAU_S, PRECISION = 10.0, 20.0, 0.05
"""Of a part that searches for the capacity: shorter than those of `loadtest capacity`, since each round searches anew."""


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

    def __init__(self, suite: Suite, plans: Mapping[str, Plan], options: NightOptions, console: Console) -> None:
        """`plans` are those of the suite's parts by their titles.

        Raises InputError for a baseline that cannot be used, and for a part whose capacity cannot be searched for.
        """
        self._suite, self._plans, self._options, self._console = suite, plans, options, console
        self._parts = {part.title: part for part in suite.parts}
        self._runs: dict[str, dict[Side, list[Measured]]] = {title: {"baseline": [], "candidate": []} for title in plans}
        self._entries: list[Entry] = []
        results = options.how.out
        self._history, self._kept = history_file(results, suite.name), baseline_file(results, suite.name)
        self._baseline = [] if options.against else read_baseline(self._kept)
        self._other = None if options.against is None else _definition(options.against)
        for part in suite.parts:
            if part.kind == "capacity":
                _stepper(part).base()

    def execute(self) -> ExitCode:
        """Run, compare, report. Raises LoadtestError when a run cannot be had, or the baseline does not compare with it."""
        folder = create_night(self._options.how.out, self._suite.name)
        before = read_history(self._history)
        for round_ in range(1, self._suite.rounds + 1):
            for title in self._plans:
                for side in self._sides(round_):
                    measured = self._measured(folder, title, side)
                    self._note(folder, title, side, round_, measured)
        report = self._report(folder, before)
        write_json(folder.file("night.json"), report.to_json())
        write_text(folder.file("night.md"), report.markdown())
        self._accept(report)
        self._console.print(f"{folder.night}: {report.headline}", highlight=False, soft_wrap=True)
        return report.exit_code

    def _sides(self, round_: int) -> Sequence[Side]:
        """Of two builds each is the first one in every other round."""
        if self._other is None:
            return ("candidate",)
        return ("baseline", "candidate") if round_ % 2 else ("candidate", "baseline")

    def _measured(self, folder: NightFolder, title: str, side: Side) -> Measured:
        """Run one part on one of the builds."""
        plan = self._plans[title]
        definition = None if side == "candidate" or self._other is None else str(self._other)
        stack = "none" if plan.scenario.target.host else "embedded"
        how = replace(self._options.how, out=folder.runs, stack=stack)
        if self._parts[title].kind == "capacity":
            return self._searched(self._parts[title], definition, how)
        outcome = Run(plan.with_stack(definition) if definition else plan, how, Console(quiet=True)).execute()
        self._check_interrupted(outcome.exit_code)
        return measures_of(outcome.folder)

    def _searched(self, part: Part, definition: str | None, how: Options) -> Measured:
        """Search for the highest rate."""
        stepper = _stepper(part, definition)
        load = stepper.base().scenario.load
        bounds = bounds_of(load.users * load.rate_per_user, None, None, PRECISION, load.rate_per_user)
        ramp = Ramp(stepper, bounds, how, {}, lambda _: None)
        self._check_interrupted(ramp.execute())
        return measures_of_search(ramp.folder)

    def _check_interrupted(self, code: ExitCode) -> None:
        if code is ExitCode.INTERRUPTED:
            raise InterruptedRun(f"interrupted; the runs that are over are in {self._history}")

    def _note(self, folder: NightFolder, title: str, side: Side, round_: int, measured: Measured) -> None:
        """A line of the history and one for the user; the end of the night, if there is no use in going on."""
        entry = Entry(folder.night, self._suite.name, side, round_, measured)
        append_history(self._history, [entry])
        self._entries.append(entry)
        self._runs[title][side].append(measured)
        which = f", {side}" if self._other else ""
        line = f"round {round_} of {self._suite.rounds}: {title}{which}: {measured.verdict.upper()} ({measured.run_id})"
        self._console.print(line, highlight=False, soft_wrap=True)
        if self._baseline and not self._options.accept and not self._comparable(measured):
            self._refuse(title, measured)

    def _comparable(self, measured: Measured) -> list[Measured]:
        """Runs of the kept baseline that this one can be compared with."""
        return [entry.measured for entry in self._baseline if not differences(entry.measured, measured)]

    def _refuse(self, title: str, measured: Measured) -> None:
        """Raises InputError when the baseline has the same scenario under other conditions; a scenario may be new."""
        known = next((entry for entry in self._baseline if entry.measured.scenario == measured.scenario), None)
        if known is not None:
            found = differences_text(differences(known.measured, measured))
            raise InputError(
                f"{title}: not comparable with the baseline of {known.night}: {found} "
                f"(mend it, or let a night be the new baseline: ACCEPT=1, --accept)"
            )

    # What it comes to.

    def _report(self, folder: NightFolder, before: History) -> NightReport:
        baseline = self._options.against or (self._baseline[0].night if self._baseline else None)
        return NightReport(
            night=folder.night,
            suite=self._suite.name,
            description=self._suite.description,
            commit=commit_of(Path()) or "without a commit",
            baseline="nothing" if baseline is None else str(baseline),
            parts=[self._part(title, before) for title in self._plans],
            notes=before.notes,
        )

    def _part(self, title: str, before: History) -> PartReport:
        runs = self._runs[title]
        candidate = runs["candidate"]
        alike = before.like(candidate[0])
        changes, counted = changes_of([*alike.entries, *(entry for entry in self._entries if entry.measured in candidate)])
        baseline = runs["baseline"] or self._comparable(candidate[0])
        if not baseline:
            why = "not in the baseline" if self._baseline else "nothing to compare with yet"
            return PartReport(title, candidate, None, why, changes, counted)
        pairs, least = bool(runs["baseline"]), self._suite.least_effect
        try:
            comparison = compare(baseline, candidate, pairs, alike.groups(), least)
        except InputError as error:  # nothing that can be believed is left on a side
            return PartReport(title, candidate, None, str(error), changes, counted)
        return PartReport(title, candidate, comparison, "", changes, counted)

    def _accept(self, report: NightReport) -> None:
        """The first night whose runs can be believed is the baseline; after it, one that is told to be."""
        first = self._other is None and not self._baseline and report.exit_code is ExitCode.PASS
        if self._options.accept or first:
            write_baseline(self._kept, [entry for entry in self._entries if entry.side == "candidate"])
            self._console.print(f"this night is the baseline now: {self._kept}", highlight=False, soft_wrap=True)


def _stepper(part: Part, definition: str | None = None) -> Stepper:
    """As with the suite's other plans, what the shell exports for single runs changes nothing."""
    return Stepper(find_scenario(part.scenario), None, None, STEP_S, PLATEAU_S, definition, environ={})


def _definition(checkout: Path) -> Path:
    """The definition of another checkout's stack. Raises InputError when there is none."""
    definition = checkout / DEFINITION
    if not definition.is_file():
        raise InputError(f"--against {checkout}: no checkout of this project (it has no {DEFINITION})")
    return definition
