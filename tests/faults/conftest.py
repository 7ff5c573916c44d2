"""No command outlives its test here either, and none leaves its state behind."""

from tests.e2e.conftest import _clean_up

__all__ = ["_clean_up"]
