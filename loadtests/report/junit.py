"""`junit.xml`: each objective and health check is a test case, so that any CI system shows them.

GitLab and Jenkins show the text within a fault, the latter also its `message`; counts, `time` and `timestamp` are what they
list suites by. A suite took as long as the load; a case takes no time of its own.
"""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from datetime import datetime

from loadtests.objectives.evaluate import Result
from loadtests.report.evidence import Evidence
from loadtests.report.verdict import Verdict

_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold, escaped or not."""


def junit_xml(evidence: Evidence, verdict: Verdict) -> str:
    """The document. A failed health check is an error (the run cannot be believed), a missed objective a failure."""
    scenario = evidence.plan.scenario.name
    root = ET.Element("testsuites", name=f"loadtest {scenario}: {verdict.word}")
    created = datetime.fromisoformat(evidence.manifest["created"])
    when = {"time": f"{evidence.end_s:.3f}", "timestamp": created.isoformat(timespec="seconds")}
    for suite, results, fault in (("health", verdict.health, "error"), ("objectives", verdict.objectives, "failure")):
        element = ET.SubElement(root, "testsuite", {"name": f"{scenario}.{suite}", **_counts(results, fault), **when})
        properties = ET.SubElement(element, "properties")
        for name, value in _properties(evidence, verdict):
            ET.SubElement(properties, "property", name=name, value=value)
        for result in results:
            _case(element, result, f"loadtest.{scenario}.{suite}", fault)
    totals = {name: str(sum(int(suite.attrib[name]) for suite in root)) for name in ("tests", "failures", "errors", "skipped")}
    root.attrib.update({**totals, **when})
    ET.indent(root)
    return _FORBIDDEN.sub("?", ET.tostring(root, encoding="unicode", xml_declaration=True)) + "\n"


def _counts(results: Sequence[Result], fault: str) -> dict[str, str]:
    failed = sum(result.status == "fail" for result in results)
    counts = {"tests": len(results), "failures": 0, "errors": 0, "skipped": 0, f"{fault}s": failed}
    return {name: str(count) for name, count in counts.items()}


def _properties(evidence: Evidence, verdict: Verdict) -> Iterator[tuple[str, str]]:
    manifest = evidence.manifest
    yield "run_id", evidence.folder.run_id
    yield "verdict", verdict.word
    yield "plan_hash", str(manifest["plan_hash"])
    for name in ("commit", "harness", "host", "workers", "stack"):
        if manifest.get(name) is not None:
            yield name, str(manifest[name])
    for note in verdict.notes:
        yield "note", note


def _case(suite: ET.Element, result: Result, classname: str, fault: str) -> None:
    name = f"{result.name}: {result.objective}"
    case = ET.SubElement(suite, "testcase", classname=classname, name=name, time="0")
    doubt = "" if result.decided else ", which another run may not confirm"
    text = f"{result.objective}: observed {result.observed_text}{doubt}"
    if result.status == "fail":
        ET.SubElement(case, fault, message=text, type=f"loadtest.{fault}").text = f"{text} (from {result.source})"
    ET.SubElement(case, "system-out").text = f"observed {result.observed_text}{doubt}, from {result.source}"
