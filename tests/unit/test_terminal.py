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
        "troubled_tasks": {},
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
    summary = {"requests": 9, "failures": 0, **rates, "authentication": costs, "faults": [], "troubled_tasks": {}}
    output = io.StringIO()
    print_verdict(Console(file=output, width=60), Verdict("fail", [], BAD_HEALTH, []), summary, "results/x")
    shown = output.getvalue()
    assert "97.5/s answered of 100.0/s due (97.5 %)" in shown
    assert "apart from them: auth_refresh 4,000 (25 % of all requests, 1 failed, p95 750 ms)" in shown


def test_tasks_in_trouble_are_named() -> None:
    """Those of the kinds that an objective did not permit, three of each, and where the others are."""
    missed = Result("nothing_lost", "tasks_lost <= 0", 4.0, "4", "fail", 0.0, "tasks.jsonl")
    twice = Result("twice", "tasks_duplicated <= 0", 1.0, "1", "fail", 0.0, "tasks.jsonl")
    allowed = Result("tasks_unfinished", "tasks_unfinished <= 9", 1.0, "1", "pass", 9.0, "tasks.jsonl")
    tasks = {"unfinished": ["u"], "lost": ["a", "b\x1b", "c", "d"], "duplicated": ["e"]}
    rates = {"requests": 9, "failures": 0, "rate": 1.0, "achieved": None}
    summary: dict[str, Any] = {**rates, "authentication": {}, "faults": [], "troubled_tasks": tasks}
    output = io.StringIO()
    print_verdict(
        Console(file=output, width=60), Verdict("fail", [missed, twice, allowed], BAD_HEALTH, []), summary, "results/x"
    )
    said = "tasks lost: a, b?, c …; duplicated: e (more in ledger.json, every accepted task in tasks.jsonl)"
    assert said in output.getvalue().splitlines()
