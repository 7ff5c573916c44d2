"""File descriptors: a process may open as many as its hard limit says, once it has asked."""

import resource

from loadtests.errors import InputError

SPARE_DESCRIPTORS = 200
"""Files, pipes and listening sockets of a process beside its users' connections."""


def raise_descriptor_limit(connections: int, process: str) -> None:
    """Let this process and its children open `connections` sockets each. Raises InputError when the hard limit forbids it."""
    needed = connections + SPARE_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise InputError(
            f"{process} needs {needed:,} file descriptors, the limit is {hard:,} "
            f"(ulimit -Hn; raise it, take fewer USERS or more WORKERS; loadtest doctor says how)"
        )
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
