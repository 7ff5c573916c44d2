"""One run from a plan to an exit code: stack, load, drain, tasks, verdict; everything ended, whatever happens."""

import os
import signal
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from loadtests import settings
from loadtests.engine.descriptors import raise_descriptor_limit
from loadtests.errors import InputError, RunError
from loadtests.exitcodes import ExitCode
from loadtests.measure.window import Window
from loadtests.orchestrate import preflight, probing, upload
from loadtests.orchestrate.abort import Abort, AbortWatch
from loadtests.orchestrate.definition import read_definition
from loadtests.orchestrate.elsewhere import check_services, stack_elsewhere
from loadtests.orchestrate.embedded import EmbeddedStack, Stack
from loadtests.orchestrate.ending import check_end, troubles
from loadtests.orchestrate.faults import Faults, check_faults, fronted
from loadtests.orchestrate.follow import follow_tasks
from loadtests.orchestrate.gathering import MASTER_PORT, NOBODY, Crowd, news_of
from loadtests.orchestrate.locusts import locust, locust_env
from loadtests.orchestrate.processes import Managed, ProcessManager
from loadtests.orchestrate.servers import Source
from loadtests.orchestrate.signals import Interruptions
from loadtests.orchestrate.watch import ProbeWatch
from loadtests.orchestrate.ways import way_of
from loadtests.report.live import Progress
from loadtests.report.terminal import print_verdict
from loadtests.report.verdict import Verdict
from loadtests.report.write import write_report
from loadtests.scenario.plan import Plan
from loadtests.sinks.address import Address
from loadtests.store.folder import RunFolder, create_folder, point_latest, start_of
from loadtests.store.manifest import commit_of, write_manifest
from loadtests.store.records import LineTail

POLL_S = 0.1
SPAWN_S = 120.0
"""Longest time for workers to log their users in, once they are connected; the master itself gives up before."""
OVERTIME_S = 30.0
"""Longest time after the drain for the master to end."""


@dataclass(frozen=True)
class Options:
    """How a plan is carried out; none of it changes what is offered."""

    out: Path
    workers: int
    stack: str
    servers: Source
    api_port: int | None = None
    metrics_port: int = 0
    """Where the master answers Prometheus; 0 for nowhere."""
    influx: Address | None = None
    """Where metrics go while the run runs."""
    crowd: Crowd = NOBODY
    """Workers that come from elsewhere."""

    @property
    def all_workers(self) -> int:
        """Those of this machine and those from elsewhere."""
        return self.workers + self.crowd.remote


@dataclass(frozen=True)
class Outcome:
    """What one run came to."""

    folder: RunFolder
    verdict: Verdict
    summary: Mapping[str, object]
    """The content of `summary.json`."""
    exit_code: ExitCode
    """The verdict's, or that of an interruption."""


class Run:
    """Carries one plan out."""

    def __init__(self, plan: Plan, options: Options, console: Console) -> None:
        self._plan, self._options, self._console = plan, options, console
        self._embedded = options.stack == "embedded"
        self._interruptions = Interruptions()
        self._told = 0
        self._aborted = False
        self._processes: ProcessManager
        self._uploader: upload.Uploader | None = None

    def execute(self) -> Outcome:
        """Run, judge, report. Raises LoadtestError when there is nothing to judge."""
        plan = self._plan
        check_faults(plan, self._embedded)
        preflight.check_metrics_port(self._options.metrics_port)
        connections = -(-plan.scenario.load.users // self._options.all_workers)
        raise_descriptor_limit(connections, "a worker")
        if self._embedded:
            raise_descriptor_limit(plan.scenario.load.users, "the stack's API")
            probing.check_services(plan.scenario, read_definition(Path(plan.scenario.stack.definition)))
            if fronted(plan.scenario.faults):
                raise_descriptor_limit(2 * plan.scenario.load.users, "the proxy of a fault")
        else:
            preflight.check_secret(plan, dict(os.environ))
            preflight.check_dsn(dict(os.environ))
            preflight.check_redis_urls(plan, dict(os.environ))
            check_services(os.environ)
            preflight.check_host(plan.scenario.target.host or "", plan)
        folder = create_folder(self._options.out, plan.scenario.name)
        plan.keep_recording(folder.recording)
        with self._interruptions.handled(RunError), ProcessManager(folder.logs) as self._processes:
            self._interruptions.tell(self._processes)
            if self._options.influx is not None:
                self._uploader = upload.Uploader(self._processes, folder, self._options.influx)
            self._load(folder)
            verdict, summary = write_report(folder)
            point_latest(folder)
            metrics = self._uploader.finish(hurry=self._signals > 1) if self._uploader else None
        if metrics:
            self._console.print(metrics, highlight=False, soft_wrap=True)
        print_verdict(self._console, verdict, summary, _shown(folder.path))
        return Outcome(folder, verdict, summary, ExitCode.INTERRUPTED if self._signals else verdict.exit_code)

    @property
    def _signals(self) -> int:
        return len(self._interruptions.received)

    def _waiting(self) -> int | None:
        return self._uploader.waiting() if self._uploader else None

    def _load(self, folder: RunFolder) -> None:
        """Everything up to the judgement, which needs nothing but the folder."""
        scenario = self._plan.scenario
        self._write_manifest(folder, scenario.target.host or "", {})
        with Progress(self._console, self._plan, self._waiting) as progress:
            self._claim_metrics_port(progress)
            stack = self._stack(progress)
            host = stack.host or ""
            progress.target(host)
            self._write_manifest(folder, host, stack.settings)
            preflight.check_token(host, self._plan, stack.secrets.get(settings.JWT_SECRET, ""))
            probes = self._probes(folder, stack, progress)
            probes.start()
            if self._uploader is not None:
                self._uploader.start(os.environ)
            try:
                self._drive(folder, stack, progress)
            finally:
                probes.stop()
            if probes.trouble is not None:
                raise probes.trouble
            self._follow(folder, stack, progress)

    def _follow(self, folder: RunFolder, stack: Stack, progress: Progress) -> None:
        """Accepted tasks to their end, unless the user has no patience left or there is no way to ask."""
        tasks, before = self._plan.scenario.tasks, self._signals
        way = None if tasks is None else way_of(self._plan.scenario, stack, folder, own=self._embedded)
        if tasks is None or way is None or before > 1:
            return
        progress.status("following accepted tasks to their end")
        with closing(way):
            follow_tasks(folder, tasks, way, time.sleep, lambda: self._signals > before)

    def _write_manifest(self, folder: RunFolder, host: str, stack_settings: Mapping[str, str]) -> None:
        """Before anything starts, and again when the stack has said where it is and how it is set."""
        options = self._options
        how: dict[str, object] = {"workers": options.all_workers, "stack": options.stack, "servers": options.servers}
        how["host"] = host
        if options.crowd.remote:
            how["remote_workers"] = options.crowd.remote
        if self._embedded:
            # The stack may be another checkout's than the harness.
            how["stack_commit"] = commit_of(Path(self._plan.scenario.stack.definition).parent)
        if options.influx is not None:
            how["metrics"] = options.influx.name
        write_manifest(folder, self._plan.to_json(), self._plan.hash, {**how, "stack_settings": dict(stack_settings)})

    def _claim_metrics_port(self, progress: Progress) -> None:
        """Before the stack chooses its ports."""
        if port := self._options.metrics_port:
            self._processes.ports.choose(port, required=True)
            progress.status(f"metrics: http://127.0.0.1:{port}/metrics")

    def _stack(self, progress: Progress) -> Stack:
        scenario = self._plan.scenario
        if not self._embedded:
            return stack_elsewhere(scenario.target.host, os.environ)
        definition = Path(scenario.stack.definition)
        proxies, options = fronted(scenario.faults), self._options
        stack = EmbeddedStack(self._processes, definition, options.servers, options.api_port, proxies)
        progress.status(f"stack: embedded; starting {', '.join(stack.parts)}")
        for program in stack.missing:
            progress.status(f"stack: without {program}, which is not installed or not wanted (docs/stack.md)")
        started = time.monotonic()
        up = stack.up(scenario.load.users, scenario.stack.env)
        if up.host is None:
            raise InputError(f"{definition}: no service has a port, so there is no target")
        progress.status(f"stack: ready at {up.host} after {time.monotonic() - started:.1f} s")
        return up

    def _probes(self, folder: RunFolder, stack: Stack, progress: Progress) -> ProbeWatch:
        made = probing.make_probes(self._plan.scenario.probes, stack)
        probing.add_sampler(made, self._plan.scenario, stack, folder)
        for name, reason in made.absent.items():
            progress.status(f"no probe of {name}: {reason}")
        return ProbeWatch(folder, made.probes, made.absent)

    # The load.

    def _drive(self, folder: RunFolder, stack: Stack, progress: Progress) -> None:
        """Start master and workers and wait for the master's end."""
        crowd = self._options.crowd
        port = self._processes.ports.choose(crowd.port or MASTER_PORT, required=crowd.port is not None, host=crowd.bind)
        env = self._worker_env(stack)
        address = ["--master-bind-host", crowd.bind, "--master-bind-port", str(port)]
        waiting = ["--expect-workers", str(self._options.all_workers), "--expect-workers-max-wait", str(crowd.wait_s)]
        options = ["--headless", "--only-summary", "--run-folder", str(folder.path)]
        options += ["--metrics-port", str(self._options.metrics_port)]
        master = self._processes.start("master", [*locust(), "--master", *address, *waiting, *options], env=env)
        workers = []
        for number in range(1, self._options.workers + 1):
            name = f"worker-{number}"
            own = {**env, "LOADTEST_WORKER_NAME": name}
            command = [*locust(), "--worker", "--master-host", crowd.local, "--master-port", str(port)]
            workers.append(self._processes.start(name, command, env=own))
        if crowd.remote:
            where = f"{crowd.bind}:{port}"
            progress.status(f"waiting up to {crowd.wait_s} s for {crowd.remote} worker(s) from elsewhere at {where}")
        faults = Faults(self._plan, stack, self._processes, folder, progress.status)
        try:
            self._wait(folder, master, workers, faults, progress)
        finally:
            faults.close()
        check_end(folder, master, crowd, self._options.all_workers, interrupted=self._signals > 0)

    def _worker_env(self, stack: Stack) -> dict[str, str]:
        return {**locust_env(os.environ), **stack.secrets}

    def _wait(self, folder: RunFolder, master: Managed, workers: list[Managed], faults: Faults, progress: Progress) -> None:
        load = self._plan.scenario.load
        silence_s = self._plan.scenario.health.silence
        deadline = time.monotonic() + self._options.crowd.wait_s + SPAWN_S + load.total_s + load.drain + silence_s + OVERTIME_S
        tail, aborts = LineTail(folder.file("windows.jsonl")), AbortWatch(self._plan, folder)
        news = LineTail(folder.file("events.jsonl"))
        told: set[int] = set()
        local = {worker.name for worker in workers}
        progress.status(f"load: {load.users:,} users, {self._options.all_workers} worker(s), {load.total_s:g} s")
        while master.alive:
            self._pass_signals_on(master, progress)
            faults.poll()
            for line in news_of(news.read(), self._options.all_workers, local):
                progress.status(line)
            for managed in self._processes.dead():
                done = managed is master or (managed in workers and managed.process.returncode == 0)
                if done or managed.process.pid in told or faults.expects(managed):
                    continue
                told.add(managed.process.pid)
                folder.event("process_ended", None, name=managed.name, fate=managed.fate())
                # The run does not depend on who carries its metrics away.
                if start_of(folder) is None and managed.name != upload.NAME and not troubles(folder):
                    raise RunError(f"{managed.name} {managed.fate()} before the load (log: {managed.log})\n{managed.tail()}")
                progress.status(f"{managed.name} {managed.fate()}")
                if managed in workers:
                    master.process.send_signal(signal.SIGHUP)
                    progress.halt()
            for record in tail.read():
                window = Window.from_json(record)
                progress.window(window)
                self._abort(aborts.add(window), folder, master, progress)
            if time.monotonic() > deadline:
                raise RunError(f"the master did not end in time (log: {master.log})\n{master.tail()}")
            time.sleep(POLL_S)
        for record in tail.read():
            progress.window(Window.from_json(record))

    def _abort(self, abort: Abort | None, folder: RunFolder, master: Managed, progress: Progress) -> None:
        """Halt the load, once; one that the user interrupted ends anyway."""
        if abort is None or self._signals or self._aborted:
            return
        self._aborted = True
        abort.write(folder)
        master.process.send_signal(signal.SIGUSR2)
        progress.halt()
        progress.status(str(abort))

    def _pass_signals_on(self, master: Managed, progress: Progress) -> None:
        """The first signal halts the load and drains it; a second one does not wait for the drain."""
        if self._signals > self._told:
            self._told = self._signals
            progress.halt()
            progress.status("interrupted: draining" if self._told == 1 else "interrupted again: stopping now")
            master.process.send_signal(signal.SIGUSR1 if self._told == 1 else signal.SIGKILL)


def _shown(path: Path) -> str:
    """The path as the user would type it."""
    with suppress(ValueError):
        return str(path.resolve().relative_to(Path.cwd()))
    return str(path)
