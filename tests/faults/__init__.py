"""The stack under test with parts of it failing."""
