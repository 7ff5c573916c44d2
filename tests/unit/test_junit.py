"""`junit.xml` as CI systems read it."""

import xml.etree.ElementTree as ET
from datetime import datetime
from pathlib import Path

from loadtests.report.junit import junit_xml
from tests.unit.runs import SyntheticRun, complete, planned_samples, slower


def test_junit_of_a_passed_run(tmp_path: Path) -> None:
    """Each objective and each health check is a test case; none is marked."""
    run = complete(SyntheticRun.create(tmp_path))
    verdict = run.verdict()
    root = ET.fromstring(junit_xml(run.evidence(), verdict))
    suites = {suite.get("name"): suite for suite in root}
    assert set(suites) == {"synthetic.health", "synthetic.objectives"}
    assert len(suites["synthetic.health"].findall("testcase")) == len(verdict.health)
    assert len(suites["synthetic.objectives"].findall("testcase")) == len(verdict.objectives) == 9
    assert root.findall(".//failure") == root.findall(".//error") == []
    assert "pass" in root.get("name", "")


def test_junit_marks_missed_objectives_as_failures(tmp_path: Path) -> None:
    """A missed objective is a failure that says what was asked and what was observed."""
    run = SyntheticRun.create(tmp_path)
    verdict = complete(run, slower(planned_samples(run.plan), 10)).verdict()
    root = ET.fromstring(junit_xml(run.evidence(), verdict))
    (failure,) = root.findall(".//failure")
    assert failure.get("message", "").startswith("response_time.p95 < 200 ms: observed ")
    suite = root.find("./testsuite[@name='synthetic.objectives']")
    assert suite is not None
    assert suite.get("failures") == "1"
    (case,) = [case for case in suite if case.find("failure") is not None]
    assert case.get("name") == "fast: response_time.p95 < 200 ms"
    assert case.get("classname") == "loadtest.synthetic.objectives"


def test_junit_marks_failed_health_as_errors(tmp_path: Path) -> None:
    """A run that cannot be believed is an error, with its reason escaped as XML wants it."""
    run = SyntheticRun.create(tmp_path)
    run.start()
    run.folder.event("halt", 1.0, reason="<\"&> 'Ctrl-C'")
    run.play(planned_samples(run.plan))
    run.final(0)
    run.final(1)
    root = ET.fromstring(junit_xml(run.evidence(), run.verdict()))
    errors = root.findall(".//error")
    assert any("<\"&> 'Ctrl-C'" in error.get("message", "") for error in errors)
    suite = root.find("./testsuite[@name='synthetic.health']")
    assert suite is not None
    assert suite.get("errors") == str(len(errors))
    assert "invalid" in root.get("name", "")


def test_junit_survives_what_xml_forbids(tmp_path: Path) -> None:
    """A control character in a reason (a target's own text) does not make a document that no CI system reads."""
    run = SyntheticRun.create(tmp_path)
    run.folder.event("halt", 1.0, reason="bell \x07 and escape \x1b[31m")
    assert ET.fromstring(junit_xml(run.evidence(), run.verdict())).tag == "testsuites"


def test_junit_counts_add_up(tmp_path: Path) -> None:
    """Every suite and the whole have the four counts, and those of the suites add up to those of the whole."""
    run = SyntheticRun.create(tmp_path)
    complete(run, slower(planned_samples(run.plan), 10))
    root = ET.fromstring(junit_xml(run.evidence(), run.verdict()))
    assert (root.get("failures"), root.get("errors"), root.get("skipped")) == ("1", "0", "0")
    assert root.get("tests") == str(len(root.findall(".//testcase")))
    for name in ("tests", "failures", "errors", "skipped"):
        assert int(root.get(name, "")) == sum(int(suite.get(name, "")) for suite in root)


def test_junit_says_when_and_how_long(tmp_path: Path) -> None:
    """Whole and suites have the load's length and the run's moment; every case has a time, as some readers insist."""
    run = complete(SyntheticRun.create(tmp_path))
    root = ET.fromstring(junit_xml(run.evidence(), run.verdict()))
    for element in (root, *root):
        assert element.get("time") == "10.000"
        assert datetime.fromisoformat(element.get("timestamp", "")).tzinfo is not None
    assert {case.get("time") for case in root.iter("testcase")} == {"0"}


def test_junit_says_which_run_and_which_file(tmp_path: Path) -> None:
    """Properties name the run; each case says what was observed and from which file."""
    run = SyntheticRun.create(tmp_path)
    complete(run, slower(planned_samples(run.plan), 10))
    root = ET.fromstring(junit_xml(run.evidence(), run.verdict()))
    properties = {one.get("name"): one.get("value") for one in root[0].iter("property")}
    assert (properties["run_id"], properties["verdict"]) == (run.folder.run_id, "fail")
    outputs = [case.findtext("system-out", "") for case in root.iter("testcase")]
    assert all(text.startswith("observed ") and ", from " in text for text in outputs)
    (failure,) = root.findall(".//failure")
    assert failure.text == f"{failure.get('message')} (from client, windows.jsonl)"
    assert failure.get("type") == "loadtest.failure"
