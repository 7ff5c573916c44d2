"""A process and all that descend from it, those in groups of their own (PostgreSQL's sessions) included."""

import signal
from contextlib import suppress

import psutil


def family(pid: int) -> list[psutil.Process]:
    """The process first, then its descendants; none when it is gone."""
    try:
        leader = psutil.Process(pid)
        return [leader, *leader.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def send(members: list[psutil.Process], number: signal.Signals) -> None:
    """Send a signal to each that is still there."""
    for member in members:
        with suppress(psutil.NoSuchProcess):
            member.send_signal(number)


def freeze(pid: int) -> list[psutil.Process]:
    """Stop them all, the parent first, so that nobody is born meanwhile; who they are."""
    stopped: list[psutil.Process] = []
    while new := [one for one in family(pid) if one not in stopped]:
        send(new, signal.SIGSTOP)
        stopped += new
    return stopped


def gone(members: list[psutil.Process]) -> bool:
    """Whether none of them runs; a zombie does not, and holds nothing."""
    return not any(map(_runs, members))


def _runs(member: psutil.Process) -> bool:
    try:
        return member.is_running() and member.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
