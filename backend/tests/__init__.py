"""Tests against real servers; see README.md."""
