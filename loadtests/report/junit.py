"""`junit.xml`: each objective and health check is a test case, so that any CI system shows them."""

import re
import xml.etree.ElementTree as ET

from loadtests.objectives.evaluate import Result
from loadtests.report.verdict import Verdict

_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold, escaped or not."""


def junit_xml(verdict: Verdict, scenario: str) -> str:
    """The document. A failed health check is an error (the run cannot be believed), a missed objective a failure."""
    root = ET.Element("testsuites", name=f"loadtest {scenario}: {verdict.word}")
    for suite, results, fault in (("health", verdict.health, "error"), ("objectives", verdict.objectives, "failure")):
        failed = [result for result in results if result.status == "fail"]
        counts = {"tests": str(len(results)), f"{fault}s": str(len(failed))}
        element = ET.SubElement(root, "testsuite", {"name": f"{scenario}.{suite}", **counts})
        for result in results:
            _case(element, result, f"loadtest.{scenario}.{suite}", fault)
    ET.indent(root)
    return _FORBIDDEN.sub("?", ET.tostring(root, encoding="unicode", xml_declaration=True)) + "\n"


def _case(suite: ET.Element, result: Result, classname: str, fault: str) -> None:
    case = ET.SubElement(suite, "testcase", classname=classname, name=f"{result.name}: {result.objective}")
    if result.status == "fail":
        ET.SubElement(case, fault, message=f"{result.objective}: observed {result.observed_text}")
