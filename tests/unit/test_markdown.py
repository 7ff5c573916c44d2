"""`report.md`: short, the missed objectives first, and nothing in it that a run's texts could turn into markup."""

from pathlib import Path

import pytest

from loadtests.report.markdown import LONGEST_TEXT, MOST_LINES, markdown_report, plain
from loadtests.report.summary import summarise
from tests.unit.rich_run import HOSTILE, rich_run
from tests.unit.runs import TEXT, SyntheticRun, complete, planned_samples, slower, task_id
from tests.unit.texts import changed

SMALL = ["pass \u00b1", *["pass"] * 3, "pass \u00b1", "pass \u00b1", *["pass"] * 3]
"""What a small run passes: p95 of 108 requests and of 27 tasks has no upper bound, and all of 27 do not tell 99 % from 98 %."""


def report_of(run: SyntheticRun) -> list[str]:
    """The report's lines."""
    evidence = run.evidence()
    text = markdown_report(evidence, run.verdict(), summarise(evidence))
    assert text.endswith("\n") and not text.endswith("\n\n")
    return text.splitlines()


def cells(line: str) -> list[str]:
    """Cells of a table's row, as Markdown splits them."""
    return [cell.replace("\0", "|").strip() for cell in line.replace("\\|", "\0").strip("|").split("|")]


def test_passed_run(tmp_path: Path) -> None:
    """Verdict, a row for each objective, four lines of facts."""
    lines = report_of(complete(SyntheticRun.create(tmp_path)))
    assert lines[0] == "## PASS: synthetic"
    table = [cells(line) for line in lines if line.startswith("|")]
    assert table[0] == ["", "objective", "limit", "observed", "margin", "source"]
    assert [row[0] for row in table[2:]] == SMALL
    assert table[2][1:3] == ["fast: response_time.p95", "< 200 ms"]
    facts = [line for line in lines if line.startswith("- ")]
    assert len(facts) == 4
    assert facts[0].startswith("- 108 requests in 10 s by 6 users: ") and facts[0].endswith("0 failed")
    assert "p99 " in facts[1] and "health checks passed" in facts[3]
    assert facts[2].endswith(" completed, 0 failed, 0 unfinished, 0 lost")


def test_missed_objectives_come_first(tmp_path: Path) -> None:
    """Whoever reads only the first row has read the worst."""
    run = SyntheticRun.create(
        tmp_path,
        changed('fast = "response_time.p95 < 200ms"\n', "", TEXT).replace(
            "[health]", 'fast = "response_time.p95 < 200ms"\n\n[health]'
        ),
    )
    lines = report_of(complete(run, slower(planned_samples(run.plan), 10)))
    rows = [cells(line) for line in lines if line.startswith("|")][2:]
    assert lines[0] == "## FAIL: synthetic"
    assert rows[0][:2] == ["**FAIL**", "fast: response_time.p95"]
    assert rows[0][4].startswith("\u2212")
    assert [row[0] for row in rows[1:]] == SMALL[1:]


def test_invalid_run_says_why(tmp_path: Path) -> None:
    """The checks that failed stand above the table."""
    run = SyntheticRun.create(tmp_path)
    lines = report_of(run)
    assert lines[0] == "## INVALID: synthetic"
    assert lines[2] == "- complete: the load never started (asked: the load ran to its planned end)"
    assert "no data" in "\n".join(lines)


def test_every_row_of_a_hostile_run_has_its_cells(tmp_path: Path) -> None:
    """Pipes and line breaks of a run's texts do not end cells; tags and mentions are text."""
    lines = report_of(rich_run(tmp_path))
    assert {len(cells(line)) for line in lines if line.startswith("|")} == {6}
    assert not [line for line in lines if "<script" in line.replace("\\<", "")]
    assert not [line for line in lines if "@all" in line]


def test_longest_report_fits_a_comment(tmp_path: Path) -> None:
    """Hundreds of objectives and long texts leave at most MOST_LINES lines, and the cut is said."""
    many = "\n".join(f'o{number} = "response_time.p95 < {number + 1}us"' for number in range(200))
    run = SyntheticRun.create(tmp_path, changed("[health]", f"{many}\n\n[health]", TEXT))
    complete(run)
    run.folder.event("halt", 9.9, reason="long " * 1_000 + "\n" * 100)
    lines = report_of(run)
    assert len(lines) <= MOST_LINES
    assert "… and 179 more, 170 of them missed" in "\n".join(lines)
    assert max(len(line) for line in lines) < LONGEST_TEXT + 100


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("response_p95 < 200 ms", "response_p95 < 200 ms"),
        ("lateness.p99 <= 50 ms", "lateness.p99 <= 50 ms"),
        ("a|b", r"a\|b"),
        ("*bold* _em_ `code` ~~no~~", r"\*bold\* \_em\_ \`code\` \~\~no\~\~"),
        ("<img src=x> [link](there) &amp;", r"\<img src=x> \[link\](there) &amp;amp;"),
        ("two\nlines\tand  more", "two lines and more"),
        ("@everyone", "@<!-- -->everyone"),
        ("back\\slash", r"back\\slash"),
    ],
)
def test_plain_text_stays_text(text: str, shown: str) -> None:
    """What Markdown would read as markup is escaped, and nothing else."""
    assert plain(text) == shown


def test_plain_text_of_the_hostile_kind() -> None:
    """No tag survives."""
    assert "<s" not in plain(HOSTILE).replace("\\<", "") and "<!--" not in plain(HOSTILE.replace("@", "")).replace("\\<", "")


def test_tasks_in_trouble_are_named(tmp_path: Path) -> None:
    """Tasks by outcome, and the first ids of what is wrong with them, on one line."""
    run = SyntheticRun.create(tmp_path)
    run.start()
    run.play(planned_samples(run.plan))
    lost = [task_id(sample) for sample in run.accepted[:5]]
    run.end_tasks(statuses=dict.fromkeys(lost))
    (line,) = [line for line in report_of(run) if "tasks accepted" in line]
    assert line.startswith(
        f"- {len(run.accepted)} tasks accepted: {len(run.accepted) - 5} completed, 0 failed, 0 unfinished, 5 lost"
    )
    assert line.endswith("; lost: " + ", ".join(run.evidence().tasks.ledger.names["lost"][:3]) + " …")  # type: ignore[union-attr]
