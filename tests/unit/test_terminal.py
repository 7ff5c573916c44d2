"""The verdict on the terminal."""

import io
from typing import Any

from rich.console import Console

from loadtests.objectives.evaluate import Result
from loadtests.report.terminal import print_verdict
from loadtests.report.verdict import Verdict

BAD_HEALTH = [Result("complete", "yes", 0.0, "no", "fail", 1.0, "events.jsonl")]


def test_names_are_shown_as_they_are() -> None:
    """A name that looks like markup or a terminal's command is text, not obeyed and no error."""
    result = Result("[red]a[/]\x1b[2J", "failures < 1", 3.0, "3", "fail", 1.0, "windows.jsonl")
    health = Result("complete", "yes", 0.0, "[/]no", "fail", 1.0, "events.jsonl")
    output = io.StringIO()
    summary: dict[str, Any] = {
        "requests": 3,
        "failures": 3,
        "rate": 0.0,
        "achieved": None,
        "authentication": {},
        "faults": [],
    }
    verdict = Verdict("invalid", [result], [health], ["[/]asked less"])
    print_verdict(Console(file=output, width=100), verdict, summary, "results/[x]")
    shown = output.getvalue()
    for words in ("[red]a[/]?[2J", "INVALID  complete: [/]no", "note: [/]asked less", "VERDICT: INVALID  results/[x]"):
        assert words in shown


def test_what_was_achieved_and_what_authentication_cost() -> None:
    """The rate beside what was due in the same seconds, and logins and refreshes on a line of their own."""
    costs = {"auth_refresh": {"requests": 4000, "failures": 1, "share": 0.25, "p95_s": 0.75}}
    rates = {"rate": 97.5, "due_rate": 100.0, "achieved": 0.975}
    summary = {"requests": 9, "failures": 0, **rates, "authentication": costs, "faults": []}
    output = io.StringIO()
    print_verdict(Console(file=output, width=60), Verdict("fail", [], BAD_HEALTH, []), summary, "results/x")
    shown = output.getvalue()
    assert "97.5/s answered of 100.0/s due (97.5 %)" in shown
    assert "apart from them: auth_refresh 4,000 (25 % of all requests, 1 failed, p95 750 ms)" in shown
