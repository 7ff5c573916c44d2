"""Statements that may not take longer than a given time, whatever becomes of the server or the way to it."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg

LOOK_S = 0.1
"""How often the time, and the caller's patience, is looked at."""


class NoAnswer(psycopg.OperationalError):
    """The server took the statement and was silent."""


@contextmanager
def within(connection: "psycopg.Connection[Any]", seconds: float, check: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Cut the connection when the time is over, or as soon as `check()` raises: a client of PostgreSQL waits for ever.

    Raises NoAnswer then, or what `check` raised; it is called in another thread.
    """
    over, reasons = threading.Event(), list[Exception]()
    deadline = time.monotonic() + seconds
    # A copy, so that the number cannot come to mean another file meanwhile.
    with socket.socket(fileno=os.dup(connection.fileno())) as line:

        def watch() -> None:
            try:
                while not over.wait(LOOK_S):
                    check()
                    if time.monotonic() >= deadline:
                        raise NoAnswer(f"no answer within {seconds:g} s")
            except Exception as error:  # it is raised where the statement is waited for
                reasons.append(error)
                with suppress(OSError):
                    line.shutdown(socket.SHUT_RDWR)

        watcher = threading.Thread(target=watch, name="within", daemon=True)
        watcher.start()
        try:
            yield
        except psycopg.Error as error:
            raise (reasons[0] if reasons else error) from None
        finally:
            over.set()
            watcher.join()
