"""What the master does for a run, at once or later; what goes wrong in it ends the run with its reason."""

import logging
import sys
from collections.abc import Callable

import gevent
from locust.env import Environment
from locust.runners import LocalRunner, MasterRunner

from loadtests.errors import RunError
from loadtests.exitcodes import ExitCode

log = logging.getLogger(__name__)


class Doing:
    """That of one run."""

    def __init__(self, environment: Environment, runner: MasterRunner | LocalRunner) -> None:
        self._environment, self._runner = environment, runner
        self.over = False
        """Whether nothing is to be done any more."""

    def later(self, delay_s: float, action: Callable[[], None]) -> None:
        """Do it after a delay, whatever else goes on."""
        gevent.spawn_later(delay_s, self.safely, action)

    def safely(self, action: Callable[[], None]) -> None:
        """Do it now."""
        try:
            action()
        except RunError as error:
            self._fatal(error)
        except Exception as error:
            log.exception("the master failed")
            self._fatal(RunError(f"the master failed: {type(error).__name__}: {error}"))

    def quit(self, code: ExitCode) -> None:
        """Leave Locust; its web UI stays for whoever looks at it."""
        self.over = True
        self._environment.process_exit_code = int(code)
        headless = self._environment.parsed_options is not None and self._environment.parsed_options.headless
        gevent.spawn(self._runner.quit if headless else self._runner.stop)

    def _fatal(self, error: RunError) -> None:
        """The run's folder cannot be written, say: stop at once and say so on the last line of the log."""
        print(f"loadtest: fatal: {error}", file=sys.stderr, flush=True)
        self.quit(ExitCode.INVALID)
