"""What `locust -f` is given: binds the engine to Locust's events, and nothing else.

    locust -f loadtests/locustfile.py --scenario scenarios/smoke.toml --host http://127.0.0.1:8000

works alone, web UI included, and with `--master` and `--worker`. `loadtest run` starts the same file.
"""

import signal
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import gevent
import locust.env
import locust.runners
from locust import events
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.event import EventHook
from locust.rpc import Message, rpc
from locust.runners import LocalRunner, WorkerRunner

from loadtests.engine.channel import MasterSocket, WorkerSocket
from loadtests.engine.collector import Collector
from loadtests.engine.crew import MARGIN_S
from loadtests.engine.exposition import Exposition
from loadtests.engine.gate import GatedMaster
from loadtests.engine.joining import DEFAULT_WAIT_S, JoiningWorker
from loadtests.engine.reporting import Reporter
from loadtests.engine.scrape import serve
from loadtests.engine.users import SimulatedUser
from loadtests.errors import LoadtestError
from loadtests.scenario.load import find_scenario, load_plan
from loadtests.scenario.plan import Plan
from loadtests.settings import METRICS_PORT, overrides
from loadtests.store.folder import ABORTED, RunFolder, create_folder, open_folder
from loadtests.store.manifest import read_manifest, write_manifest
from loadtests.store.records import read_lines

__all__ = ["SimulatedUser"]

locust.runners.WORKER_REPORT_INTERVAL = 1.0
# Who is silent for too long is the collector's and the worker's business; Locust would give their users to others.
locust.runners.HEARTBEAT_DEAD_INTERNAL = -1_000_000
locust.runners.MASTER_HEARTBEAT_TIMEOUT = 1_000_000
# Locust makes its runners and sockets from what it finds under these names, and has no other way to be given some.
for module, name, ours in (
    (locust.env, "MasterRunner", GatedMaster),
    (locust.env, "WorkerRunner", JoiningWorker),
    (rpc, "Server", MasterSocket),
    (rpc, "Client", WorkerSocket),
):
    setattr(module, name, ours)
LOCAL = "127.0.0.1"

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
    group.add_argument("--master-wait", type=float, default=DEFAULT_WAIT_S, help="seconds that a worker waits for its master")
    # Locust would show its page, and take workers, on every address of the machine; here that has to be asked for.
    parser.set_defaults(web_host=LOCAL, master_bind_host=LOCAL)


@_listener(events.init)
def bind(environment: Environment, runner: Any, **_: Any) -> None:
    """Connect this process's runner: as a worker, as the master, or as both at once."""
    try:
        if isinstance(runner, WorkerRunner | LocalRunner):
            reporter = Reporter(environment, runner)
            if isinstance(runner, JoiningWorker):
                runner.reporter = reporter
                assert environment.parsed_options is not None
                # A failed request is told in the record; the process that made it has done what it should.
                environment.parsed_options.exit_code_on_error = 0
            _listener(environment.events.test_stopping)(lambda **_: reporter.stop())
        if isinstance(runner, GatedMaster | LocalRunner):
            _Run(environment, runner)
    except LoadtestError as error:
        print(f"loadtest: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def _tell(folder: RunFolder | None, kind: str, details: Mapping[str, Any]) -> None:
    """Somebody came to the master's door: a line for whoever looks, and for the record if there is one yet."""
    line = ": ".join(["loadtest", kind.replace("_", " "), *(details[key] for key in ("name", "why") if key in details)])
    print(line, file=sys.stderr, flush=True)
    if folder is not None:
        folder.event(kind, None, **details)


class _Run:
    """Starts a collector with each test of the master, and hands the workers' messages to it."""

    def __init__(self, environment: Environment, runner: GatedMaster | LocalRunner) -> None:
        self._environment, self._runner = environment, runner
        self._collector: Collector | None = None
        self._halted_early: str | None = None
        options = environment.parsed_options
        assert options is not None, "Locust's command line always has options"
        plan, host, folder = self._prepare(None)
        options.num_users = plan.scenario.load.users
        options.spawn_rate = float(plan.scenario.load.users)
        environment.host = host
        self._exposition = Exposition()
        serve(self._exposition, environment, options.metrics_port)
        # Locust's own stop waits as long as our drain does.
        environment.stop_timeout = plan.scenario.load.drain
        locust.runners.HEARTBEAT_LIVENESS = int(plan.scenario.health.silence + MARGIN_S) + 3
        if isinstance(runner, GatedMaster):
            runner.happened = partial(_tell, folder)
        for kind in Collector.KINDS:
            runner.register_message(kind, self._receive)
        _listener(environment.events.test_start)(self._begin)
        _listener(environment.events.test_stopping)(lambda **_: self._halt("stopped from Locust"))
        _listener(environment.events.quitting)(self._drain)
        gevent.signal_handler(signal.SIGUSR1, self._interrupt)
        gevent.signal_handler(signal.SIGUSR2, self._halt, ABORTED)
        gevent.signal_handler(signal.SIGHUP, self._read_on)

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

    def _read_on(self) -> None:
        """The run has written that a process of its own ended."""
        options = self._environment.parsed_options
        if self._collector is not None and options is not None and options.run_folder:
            events = read_lines(Path(options.run_folder) / "events.jsonl")
            self._collector.ended({event["name"] for event in events if event["event"] == "process_ended"})

    def _halt(self, reason: str) -> None:
        if self._collector is not None:
            self._collector.halt(reason)

    def _drain(self, **_: Any) -> None:
        """Locust is about to leave (Ctrl-C without `loadtest run`): let the workers report their end first."""
        self._halt("interrupted")
        deadline = time.monotonic() + (self._environment.stop_timeout or 0) + 1
        while self._collector and not self._collector.over and time.monotonic() < deadline:
            gevent.sleep(0.1)
