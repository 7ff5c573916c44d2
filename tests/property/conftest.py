"""Hypothesis as all property tests use it: the same examples every time, no deadline on a shared machine."""

from hypothesis import settings

settings.register_profile("repeatable", max_examples=60, deadline=None, derandomize=True, database=None)
settings.load_profile("repeatable")
