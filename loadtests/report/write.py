"""Writes everything that is derived from a run's files. The verdict comes last: where it stands, all the rest does."""

from loadtests.report.evidence import Evidence, readable
from loadtests.report.html import html_report
from loadtests.report.junit import junit_xml
from loadtests.report.markdown import markdown_report
from loadtests.report.summary import summarise, write_hlogs
from loadtests.report.verdict import Verdict, judge
from loadtests.store.folder import RunFolder
from loadtests.store.records import write_json, write_text


def write_report(folder: RunFolder) -> tuple[Verdict, dict[str, object]]:
    """Judge a run and write its ledger, summary, histograms, pages and verdict. Raises RunError when the disk refuses."""
    with readable(folder):
        evidence = Evidence.of(folder)
        verdict, summary = judge(evidence), summarise(evidence)
        pages = {
            "report.html": html_report(evidence, verdict, summary),
            "report.md": markdown_report(evidence, verdict, summary),
            "junit.xml": junit_xml(evidence, verdict),
        }
    write_hlogs(evidence)
    write_json(folder.file("ledger.json"), evidence.ledger.to_json())
    write_json(folder.file("summary.json"), summary)
    for name, text in pages.items():
        write_text(folder.file(name), text)
    write_json(folder.file("verdict.json"), verdict.to_json())
    return verdict, summary
