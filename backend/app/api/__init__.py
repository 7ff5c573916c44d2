"""HTTP interface, by version."""
