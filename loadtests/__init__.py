"""A distributed load-testing harness that says PASS, FAIL or INVALID."""

__version__ = "0.1.0"
