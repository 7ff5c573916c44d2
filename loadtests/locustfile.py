"""What `locust -f` is given: binds the engine to Locust's events, and nothing else.

    locust -f loadtests/locustfile.py --scenario scenarios/smoke.toml --host http://127.0.0.1:8000

works alone, web UI included, and with `--master` and `--worker`. `loadtest run` starts the same file.
"""

import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
import locust.runners
from locust import events
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.event import EventHook
from locust.rpc import Message
from locust.runners import LocalRunner, MasterRunner, WorkerRunner

from loadtests.engine.collector import Collector
from loadtests.engine.exposition import Exposition
from loadtests.engine.reporting import Reporter
from loadtests.engine.scrape import serve
from loadtests.engine.users import SimulatedUser
from loadtests.errors import LoadtestError
from loadtests.scenario.load import find_scenario, load_plan
from loadtests.scenario.plan import Plan
from loadtests.settings import METRICS_PORT, overrides
from loadtests.store.folder import ABORTED, RunFolder, create_folder, open_folder
from loadtests.store.manifest import read_manifest, write_manifest

__all__ = ["SimulatedUser"]

locust.runners.WORKER_REPORT_INTERVAL = 1.0

Listener = Callable[..., None]


def _listener(event: EventHook) -> Callable[[Listener], Listener]:
    """Locust's `add_listener`, typed."""
    return event.add_listener


@_listener(events.init_command_line_parser)
def add_options(parser: LocustArgumentParser, **_: Any) -> None:
    """Options of the harness."""
    group = parser.add_argument_group("Harness")
    group.add_argument("--scenario", default="smoke", env_var="LOADTEST_SCENARIO", help="name or path of a scenario")
    group.add_argument(
        "--metrics-port", type=int, default=0, env_var=METRICS_PORT, help="port of 127.0.0.1 for Prometheus (default: none)"
    )
    group.add_argument("--run-folder", default="", help="folder made by `loadtest run`, whose plan is carried out")


@_listener(events.init)
def bind(environment: Environment, runner: Any, **_: Any) -> None:
    """Connect this process's runner: as a worker, as the master, or as both at once."""
    try:
        if isinstance(runner, WorkerRunner | LocalRunner):
            reporter = Reporter(environment, runner)
            _listener(environment.events.test_stopping)(lambda **_: reporter.stop())
        if isinstance(runner, MasterRunner | LocalRunner):
            _Run(environment, runner)
    except LoadtestError as error:
        print(f"loadtest: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


class _Run:
    """Starts a collector with each test of the master, and hands the workers' messages to it."""

    def __init__(self, environment: Environment, runner: MasterRunner | LocalRunner) -> None:
        self._environment, self._runner = environment, runner
        self._collector: Collector | None = None
        self._halted_early: str | None = None
        options = environment.parsed_options
        assert options is not None, "Locust's command line always has options"
        plan, host, _ = self._prepare(None)
        options.num_users = plan.scenario.load.users
        options.spawn_rate = float(plan.scenario.load.users)
        environment.host = host
        self._exposition = Exposition()
        serve(self._exposition, environment, options.metrics_port)
        # Locust's own stop waits as long as our drain does.
        environment.stop_timeout = plan.scenario.load.drain
        for kind in Collector.KINDS:
            runner.register_message(kind, self._receive)
        _listener(environment.events.test_start)(self._begin)
        _listener(environment.events.test_stopping)(lambda **_: self._halt("stopped from Locust"))
        _listener(environment.events.quitting)(self._drain)
        gevent.signal_handler(signal.SIGUSR1, self._interrupt)
        gevent.signal_handler(signal.SIGUSR2, self._halt, ABORTED)

    def _prepare(self, users: int | None) -> tuple[Plan, str, RunFolder | None]:
        """The plan, the host, and the folder that `loadtest run` made, if it did."""
        options = self._environment.parsed_options
        assert options is not None
        if options.run_folder:
            folder = open_folder(Path(options.run_folder))
            manifest = read_manifest(folder)
            return Plan.from_json(manifest["plan"]), manifest["host"], folder
        flags = {"users": str(users or options.num_users or "") or None, "host": options.host}
        plan = load_plan(find_scenario(options.scenario), overrides(flags))
        host = plan.scenario.target.host
        if host is None:
            raise LoadtestError("no host: give --host, or target.host in the scenario")
        return plan, host, None

    def _begin(self, **_: Any) -> None:
        plan, host, folder = self._prepare(self._runner.target_user_count)
        if folder is None:
            folder = create_folder(Path("results"), plan.scenario.name)
            plan.keep_recording(folder.recording)
            workers = 1 if isinstance(self._runner, LocalRunner) else self._runner.worker_count
            write_manifest(folder, plan.to_json(), plan.hash, {"workers": workers, "stack": "none", "host": host})
            print(f"run: {folder.path} (afterwards: loadtest verdict {folder.path})", file=sys.stderr)
        self._exposition.begin(folder.path.name, plan.scenario.name)
        self._collector = Collector(self._environment, self._runner, plan, host, folder, self._exposition.add)
        self._collector.begin()
        if self._halted_early is not None:
            self._halt(self._halted_early)

    def _receive(self, msg: Message, **_: Any) -> None:
        if self._collector is not None:
            self._collector.receive(msg.type, msg.node_id, msg.data)

    def _interrupt(self) -> None:
        """The run asks for an early end, perhaps before the workers have connected."""
        self._halted_early = "interrupted"
        self._halt("interrupted")

    def _halt(self, reason: str) -> None:
        if self._collector is not None:
            self._collector.halt(reason)

    def _drain(self, **_: Any) -> None:
        """Locust is about to leave (Ctrl-C without `loadtest run`): let the workers report their end first."""
        self._halt("interrupted")
        deadline = time.monotonic() + (self._environment.stop_timeout or 0) + 1
        while self._collector and not self._collector.over and time.monotonic() < deadline:
            gevent.sleep(0.1)
