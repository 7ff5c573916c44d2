"""What a night came to: each part of its suite against the baseline, in words for a pull request and as JSON."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from loadtests.errors import LoadtestError
from loadtests.exitcodes import ExitCode
from loadtests.report.compare import Comparison
from loadtests.report.compare_text import markdown
from loadtests.report.markdown import plain
from loadtests.report.trend import Since
from loadtests.store.measured import Measured

VERSION = 1
NOTHING = "nothing to compare it with yet"


@dataclass(frozen=True)
class PartReport:
    """One part of the suite: its runs of this night, what they are compared with, and where its history changed."""

    name: str
    candidate: Sequence[Measured]
    comparison: Comparison | None
    untold: str = ""
    """Why there is no comparison."""
    changes: Mapping[str, Sequence[Since]] = field(default_factory=dict)
    """By figure, over the medians of the nights, oldest first."""
    undecided: bool = False
    """There is a baseline, and no run on one of the sides that can be believed."""

    @property
    def word(self) -> str:
        """What most of its runs were, `pass`, `fail` or `invalid`; of words that are as many the worst.

        One that passed and could not be compared with its baseline tells nothing: `invalid`.
        """
        counted = Counter(run.verdict for run in self.candidate)
        word = max(("invalid", "fail", "pass"), key=lambda word: counted[word])
        return "invalid" if word == "pass" and self.undecided else word

    @property
    def tally(self) -> str:
        """`2 pass, 1 fail`."""
        counted = Counter(run.verdict for run in self.candidate)
        return ", ".join(f"{counted[word]} {word}" for word in ("pass", "fail", "invalid") if counted[word])


@dataclass(frozen=True)
class NightReport:
    """The whole night."""

    night: str
    suite: str
    description: str
    commit: str
    baseline: str
    """What it was compared with, in words."""
    parts: Sequence[PartReport]
    notes: Sequence[str] = ()
    ended: LoadtestError | None = None
    """What ended it before its time."""

    @property
    def regressions(self) -> list[str]:
        """`phase5: service_time(list_tasks).p50`, and so on."""
        found = ((part.name, part.comparison) for part in self.parts)
        return [f"{name}: {row.figure}" for name, one in found if one is not None for row in one.regressions]

    @property
    def exit_code(self) -> ExitCode:
        """FAIL for a regression, or a part that most runs missed objectives of; INVALID for one that tells nothing.

        Of a night that ended early that of its error.
        """
        if self.ended is not None:
            return self.ended.exit_code
        words = [part.word for part in self.parts]
        if self.regressions or "fail" in words:
            return ExitCode.FAIL
        return ExitCode.INVALID if "invalid" in words else ExitCode.PASS

    @property
    def headline(self) -> str:
        """One line that says it all."""
        if self.ended is not None:
            return f"ENDED EARLY: {' '.join(str(self.ended).split())}"
        if self.regressions:
            return f"REGRESSION in {', '.join(self.regressions)}"
        for word in ("fail", "invalid"):
            named = [part.name for part in self.parts if part.word == word]
            if named:
                return f"{word.upper()} in {', '.join(named)}"
        compared = [part.comparison for part in self.parts if part.comparison is not None]
        if any(one.noise_known for one in compared):
            return "no regression"
        return "no regression known: one run a side can show none" if compared else f"everything passed; {NOTHING}"

    def to_json(self) -> dict[str, Any]:
        """As `night.json` has it."""
        return {
            "version": VERSION,
            "night": self.night,
            "suite": self.suite,
            "commit": self.commit,
            "baseline": self.baseline,
            "headline": self.headline,
            "exit_code": int(self.exit_code),
            "regressions": self.regressions,
            "notes": list(self.notes),
            "parts": {part.name: _part(part) for part in self.parts},
        }

    def markdown(self) -> str:
        """As `night.md` has it, and a pull request shows it."""
        return "\n".join(_lines(self)) + "\n"


def _part(part: PartReport) -> dict[str, Any]:
    return {
        "runs": [run.run_id for run in part.candidate],
        "verdicts": [run.verdict for run in part.candidate],
        "untold": part.untold,
        "comparison": None if part.comparison is None else part.comparison.to_json(),
        "changes": {figure: [asdict(one) for one in found] for figure, found in part.changes.items()},
    }


def _lines(night: NightReport) -> Iterator[str]:
    yield f"## {night.suite}: {plain(night.headline)}"
    yield ""
    what = f"{plain(night.description)} " if night.description else ""
    yield f"{what}Build {night.commit}, night {night.night}, against {plain(night.baseline)}."
    yield ""
    yield "| part | runs | against the baseline |"
    yield "|---|---|---|"
    for part in night.parts:
        yield f"| {part.name} | {part.tally or 'none'} | {_told(part)} |"
    for text in night.notes:
        yield f"\n> {plain(text)}"
    for part in night.parts:
        yield from _of_part(part)


def _told(part: PartReport) -> str:
    one = part.comparison
    if one is None:
        return plain(part.untold)
    words = [f"**slower: {plain(row.figure)}**" for row in one.regressions]
    words += [f"better: {plain(row.figure)}" for row in one.improvements]
    words += [f"suspect: {plain(row.figure)}" for row in one.suspects]
    return ", ".join(words) or ("no regression" if one.noise_known else "one run a side can show no regression")


def _of_part(part: PartReport) -> Iterator[str]:
    if part.comparison is not None:
        yield ""
        yield markdown(part.comparison).rstrip()
    for figure, found in part.changes.items():
        for one in found:
            change = "another one" if one.relative is None else f"{one.relative:+.1%}"
            yield f"\n{part.name}: {plain(figure)} has been {change} since night {one.night}."
