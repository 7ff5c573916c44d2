"""Drives a capacity search: each step is a real run, and what is known stands in `capacity.json` after every one."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from loadtests.capacity.search import Bounds, Step, next_step
from loadtests.errors import InputError, InterruptedRun, LoadtestError, RunError
from loadtests.exitcodes import ExitCode
from loadtests.orchestrate.run import Options, Outcome, Run
from loadtests.orchestrate.step import Stepper, limits_of, rate_of_one, result_of
from loadtests.report.curve import capacity_page
from loadtests.report.found import Found, StepResult, rate_text
from loadtests.store.folder import create_folder
from loadtests.store.manifest import read_manifest
from loadtests.store.records import write_json, write_text

KEPT = ("created", "harness", "commit", "stack_commit", "machine", "stack", "host", "workers", "stack_settings")
"""What of the first run's manifest is true of the whole search."""
MOST_SILENT = 2
"""Runs in a row that say nothing, after which there is no use in going on."""
LOG = "log.txt"
Tell = Callable[[str], None]


class Ramp:
    """One search. `tell` is given a line for each step."""

    def __init__(self, stepper: Stepper, bounds: Bounds, options: Options, settings: dict[str, str], tell: Tell) -> None:
        plan = stepper.base()
        self._stepper, self._options, self._tell = stepper, options, tell
        self._base, self._per_user = plan.hash, rate_of_one(plan)
        self.folder: Path = create_folder(options.out, f"capacity-{plan.scenario.name}", parts=("steps",)).path.resolve()
        """Where everything of the search stands."""
        self.found = Found(plan.scenario.name, bounds, settings, limits_of(plan))

    def execute(self) -> ExitCode:
        """Search to the end. What a step raises ends the search, when what is known has been written."""
        try:
            with (self.folder / LOG).open("w", encoding="utf-8") as log:
                quiet = Console(file=log, width=120, force_terminal=False)
                while isinstance(step := next_step(self.found.bounds, self.found.tried), Step):
                    if self._run(step, quiet):
                        self.found.trouble = "interrupted"
                        return ExitCode.INTERRUPTED
            self.found.answer = step
            return self.found.exit_code
        except (InterruptedRun, KeyboardInterrupt):
            self.found.trouble = "interrupted"
            return ExitCode.INTERRUPTED
        except LoadtestError as error:
            self.found.trouble = str(error)
            raise
        finally:
            self._write()

    def _run(self, step: Step, console: Console) -> bool:
        """Try one step; whether the user interrupted it.

        Raises RunError when it cannot be made to say anything, InputError when the scenario is not what it was any more.
        """
        if self._stepper.base().hash != self._base:
            raise InputError(f"{self._stepper.path}: was changed during the search, whose steps must be alike; start it anew")
        number, length_s = len(self.found.steps) + 1, self._stepper.length_s(step)
        plan = self._stepper.plan(step, self._per_user)
        outcome = Run(plan, replace(self._options, out=self.folder / "steps"), console).execute()
        if not self.found.provenance:
            self.found.provenance = _provenance(outcome)
        if outcome.exit_code is ExitCode.INTERRUPTED:
            return True
        result = result_of(number, step, length_s, outcome, self._options.stack == "embedded", self.folder)
        self.found.steps.append(result)
        self._tell(line(result))
        self._write()
        last = self.found.steps[-MOST_SILENT:]
        if len(last) == MOST_SILENT and all(one.passed is None for one in last):
            raise RunError(f"{MOST_SILENT} runs in a row at {rate_text(step.rate)} say nothing: {'; '.join(result.doubts)}")
        return False

    def _write(self) -> None:
        """What is known so far."""
        write_json(self.folder / "capacity.json", self.found.to_json())
        if self.found.steps:
            write_text(self.folder / "capacity.html", capacity_page(self.found))


def bounds_of(
    start: float, lowest: float | None, highest: float | None, precision: float, per_user: float, tries: int = 3
) -> Bounds:
    """In rates of whole users; left out, the lowest is a sixty-fourth of the start, the highest the rate of 20,000 users.

    Raises InputError for bounds that leave nothing to search.
    """

    def whole(rate: float) -> float:
        return max(1, round(rate / per_user)) * per_user

    least = whole(start / 64 if lowest is None else lowest)
    most = whole(max(20_000 * per_user, start) if highest is None else highest)
    try:
        return Bounds(whole(start), least, most, precision, tries=tries, grain=per_user)
    except ValueError as error:
        raise InputError(f"capacity: {error}") from None


def line(result: StepResult) -> str:
    """A step in one line: rate, achieved, p95, verdict, and why it did not pass."""
    latency = "no answers" if result.latency_ms is None else f"p95 {result.latency_ms['p95']:,.1f} ms"
    kind = "plateau" if result.plateau else "step"
    word = result.verdict.upper()
    why = f"  {result.why}" if result.why else ""
    return (
        f"{result.number:>3}  {kind:<7}  {rate_text(result.rate):>9}  achieved {result.achieved:>9,.1f}/s  "
        f"{latency:<14}  {word:<7}{why}"
    ).rstrip()


def _provenance(outcome: Outcome) -> dict[str, object]:
    manifest = read_manifest(outcome.folder)
    return {name: manifest.get(name) for name in KEPT}
