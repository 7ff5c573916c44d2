"""The verdict on the terminal."""

import io

from rich.console import Console

from loadtests.objectives.evaluate import Result
from loadtests.report.terminal import print_verdict
from loadtests.report.verdict import Verdict


def test_names_are_shown_as_they_are() -> None:
    """A name that looks like markup or a terminal's command is text, not obeyed and no error."""
    result = Result("[red]a[/]\x1b[2J", "failures < 1", 3.0, "3", "fail", 1.0, "windows.jsonl")
    health = Result("complete", "yes", 0.0, "[/]no", "fail", 1.0, "events.jsonl")
    output = io.StringIO()
    summary = {"requests": 3, "failures": 3, "rate": 0.0, "faults": []}
    verdict = Verdict("invalid", [result], [health], ["[/]asked less"])
    print_verdict(Console(file=output, width=100), verdict, summary, "results/[x]")
    shown = output.getvalue()
    for words in ("[red]a[/]?[2J", "INVALID  complete: [/]no", "note: [/]asked less", "VERDICT: INVALID  results/[x]"):
        assert words in shown
