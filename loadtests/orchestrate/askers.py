"""Threads that ask a target which may never answer."""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

T = TypeVar("T")
LOOK_S = 0.2
"""How often the patience of who waits is looked at."""


class Askers:
    """So many daemon threads: a request that hangs holds up neither `close` nor the command's exit, as an executor's would."""

    def __init__(self, threads: int, name: str) -> None:
        self._waiting: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._work, name=name, daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def ask(self, question: Callable[[], T]) -> "Future[T]":
        """Put the question in one of the threads, as soon as one is free."""
        answer: Future[T] = Future()

        def put() -> None:
            if answer.set_running_or_notify_cancel():
                try:
                    answer.set_result(question())
                except Exception as error:  # it is raised where the answer is taken
                    answer.set_exception(error)

        self._waiting.put(put)
        return answer

    def close(self) -> None:
        """End the threads, each after what it was given before; nobody waits for that."""
        for _ in self._threads:
            self._waiting.put(None)

    def _work(self) -> None:
        while put := self._waiting.get():
            put()


def answered(answer: "Future[T]", check: Callable[[], None]) -> T:
    """The answer, or what its question raised; `check()` is called while it is waited for, and may raise."""
    while not wait([answer], timeout=LOOK_S).done:
        check()
    return answer.result()
