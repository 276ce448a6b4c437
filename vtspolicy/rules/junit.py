"""A report of rule tests as JUnit XML, for continuous integration."""

import re
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from vtspolicy.rules.cases import Report

_NOT_XML = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")


def junit(report: Report, *, required: float = 0.0) -> str:
    """Return the report as one XML document.

    A coverage below `required` percent is a failed test of its own.
    """
    covered = report.coverage >= required
    failures = len(report.failed) + (not covered)
    tests = len(report.results) + 1
    suite = Element("testsuite", name="vtspolicy rules", tests=str(tests), failures=str(failures))
    for result in report.results:
        place = result.case.place
        case = SubElement(
            suite,
            "testcase",
            name=_clean(result.case.name),
            classname=_clean(place.file),
            file=_clean(place.file),
            line=str(place.line),
        )
        if not result.passed:
            failure = SubElement(case, "failure", message="expected and found differ")
            failure.text = _clean(result.difference)
    coverage = SubElement(suite, "testcase", name="coverage of the rules", classname="vtspolicy")
    if not covered:
        words = f"{report.coverage:.0f} % of the rules are covered, {required:g} % are required"
        failure = SubElement(coverage, "failure", message=words)
        own, uncovered = report.own
        failure.text = _clean("\n".join(uncovered if own else report.uncovered))
    indent(suite)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + tostring(suite, encoding="unicode") + "\n"


def _clean(text: str) -> str:
    """Characters that XML cannot hold become question marks."""
    return _NOT_XML.sub("?", text)
