"""The generator against its peers, and against its own promises: `make bench`."""
