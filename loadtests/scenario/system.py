"""What a scenario file says of the system under test: the stack, its probes, its tasks, the faults that are planted in it."""

import re
from typing import Annotated, Literal

from pydantic import Field, model_validator

from loadtests.scenario.fields import Duration, Ratio, Table, Whole

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
"""Name of a metric that a scenario makes up."""


def _check_path(key: str, path: str, placeholder: str, meaning: str) -> None:
    """Raises ValueError for a path that does not begin with `/`, or has other placeholders than its one."""
    if not path.startswith("/"):
        raise ValueError(f"{key} is a path and begins with /")
    if placeholder not in path:
        raise ValueError(f"{key} needs {placeholder}, {meaning}")
    if set("{}") & set(path.replace(placeholder, "")):
        raise ValueError(f"{key} has no placeholder but {placeholder}")


class TasksApi(Table):
    """`[tasks.api]`: how users ask the target for their own tasks, each with a token of their own."""

    page: str
    """Path of one page of a user's tasks; `{page}` is its number, from 1. A page without tasks is the last."""
    item: str | None = None
    """Path of one task, `{id}` being its id; with it, accepted tasks are sampled while the load runs."""
    items: str = "tasks"
    """Key of the tasks in a page."""
    id: str = "id"
    """Key of a task's id."""
    status: str = "status"
    """Key of its status."""
    started: str = "started_at"
    """Key of the moment its work began, as ISO 8601 or seconds of the Unix epoch; empty: not told."""
    ended: str = "completed_at"
    """Key of the moment it ended, likewise."""
    created: str = "created_at"
    """Key of the moment it was made, likewise: tells tasks of this load from those that were there before; empty: not told."""

    @model_validator(mode="after")
    def _placeholders(self) -> "TasksApi":
        _check_path("page", self.page, "{page}", "the number of the page")
        if self.item is not None:
            _check_path("item", self.item, "{id}", "the id of the task")
        return self


class Tasks(Table):
    """`[tasks]`: how accepted tasks are followed to their end: by SQL on LOADTEST_DSN where that is given, else by the API."""

    query: str | None = None
    """Selects (id as text, status, end, begin of its work) of the ids in %(ids)s, moments as seconds of the Unix epoch or null.

    The fourth column may be left out; then nothing is known of the wait in the queue."""
    rows: str | None = None
    """Selects the number of tasks that the target has; compared with the ledger on a stack that the run started."""
    ids: str | None = None
    """Selects the ids (as text) of all tasks that the target has: names those that no request accounts for."""
    api: TasksApi | None = None
    """Table below."""
    completed: tuple[str, ...] = ("completed",)
    """Statuses of tasks that were done."""
    failed: tuple[str, ...] = ("failed", "cancelled")
    """Statuses of tasks that ended otherwise."""
    deadline: Annotated[Duration, Field(gt=0)] = 30.0
    """Tasks not at their end this long after the load are unfinished, which is a violation."""
    sample: Annotated[Whole, Field(ge=0, le=1000)] = 5
    """Tasks that are asked for through `api.item` each second of the load."""

    @property
    def sampled(self) -> bool:
        """Whether some are asked for while the load runs."""
        return self.api is not None and self.api.item is not None and self.sample > 0

    @model_validator(mode="after")
    def _some_way(self) -> "Tasks":
        if self.query is None and self.api is None:
            raise ValueError("tasks are followed by a query, or by [tasks.api]")
        return self


class Selection(Table):
    """A metric of a Prometheus endpoint: the sum of all its series that have these labels."""

    metric: str
    """Its name as the endpoint has it, `_total` included; of a histogram without `_bucket`."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Labels that a series must have; values are regular expressions that match the whole label."""
    kind: Literal["gauge", "counter", "histogram"] = "gauge"
    """A counter is judged by its increase per second, a histogram by its quantiles."""
    unit: Literal["count", "duration", "size", "ratio"] = "count"
    """Unit of a gauge's limit; a histogram is of durations (s), a counter of `/s`."""

    @model_validator(mode="after")
    def _patterns(self) -> "Selection":
        for name, pattern in self.labels.items():
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"label {name!r}: {pattern!r} is no regular expression: {error}") from None
        return self


class PrometheusProbe(Table):
    """`[probes.prometheus.NAME]`: an endpoint in Prometheus's text format."""

    url: str | None = None
    """Its address; left out, `path` on each instance of `service`."""
    service: str | None = None
    """A service of the stack that the run started."""
    path: str = "/metrics"
    """Path on the service."""
    shared: bool = True
    """Every instance tells of all, so one is asked; else each is asked and the values are added."""
    select: Annotated[dict[Name, Selection], Field(min_length=1)]
    """Metric name for objectives and charts to what is taken."""

    @model_validator(mode="after")
    def _somewhere(self) -> "PrometheusProbe":
        if (self.url is None) == (self.service is None):
            raise ValueError("an endpoint has either a url or a service")
        # Users and passwords would stand in the manifest.
        if self.url is not None and not re.match(r"https?://[^/?#@]+([/?#]|$)", self.url):
            raise ValueError("url needs the form http://host:port/path, without a user")
        return self


class CounterShare(Table):
    """`[probes.shares]`: how far one counter of a Prometheus endpoint grew for each step of another, over the whole load."""

    part: Name
    """A counter under `select`."""
    whole: Name
    """Another one."""
    complement: bool = False
    """Judge 1 - part / whole: what was saved."""


class Probes(Table):
    """`[probes]`: server-side facts read once a second, from outside the load."""

    postgres: dict[Name, str] = Field(default_factory=dict)
    """Gauge name to a query on LOADTEST_DSN that gives one number."""
    postgres_statistics: bool = False
    """Read PostgreSQL's own statistics (docs/probes.md): sessions, transactions, locks, its cache, its slowest statements."""
    redis: bool = False
    """Read INFO of LOADTEST_REDIS_URL: hits, misses, memory, clients."""
    celery: tuple[str, ...] = ()
    """Queues of Celery on LOADTEST_BROKER_URL: depth, age of the oldest message, messages in progress."""
    processes: tuple[str, ...] = ()
    """Services and servers of the stack whose `cpu`, `memory` and `file_descriptors` are watched."""
    containers: tuple[str, ...] = ()
    """Containers of this machine, likewise, for a stack that the run did not start."""
    prometheus: dict[Name, PrometheusProbe] = Field(default_factory=dict)
    """Endpoints; table below."""
    shares: dict[Name, CounterShare] = Field(default_factory=dict)
    """Ratios of counters; table below."""
    coverage: Ratio = 0.9
    """Least share of the load's seconds for which a metric of a probe must be known; with less, its objectives fail."""


class Fault(Table):
    """`[[faults]]`: harm done on purpose to the stack that the run started."""

    at: Annotated[Duration, Field(ge=0)]
    """When, after the start of the load."""
    service: str
    """A service or server of the stack (`api`, `worker`, `postgres`, `redis`); `target` is what the load is sent to."""
    kind: Literal["kill", "restart", "freeze", "slow", "reset"]
    """Killed by SIGKILL; ended in order; stopped by SIGSTOP; delayed, or its connections reset, by a proxy in front of it."""
    instance: Annotated[Whole, Field(ge=1)] | None = None
    """Which of its instances; left out, all."""
    lasts: Annotated[Duration, Field(ge=0)] = 0.0
    """How long it is down (from its end on), frozen, slow or losing connections; then it is started again or let alone."""
    delay: Annotated[Duration, Field(gt=0)] | None = None
    """`slow`: added to each piece of data that goes through, in either direction."""
    share: Annotated[Ratio, Field(gt=0)] | None = None
    """`reset`: share of the open connections that are reset in each second."""
    recovered: Annotated[Duration, Field(gt=0)] = 1.0
    """A second counts as recovered when no request failed in it and its p99 response time is at most this."""

    @model_validator(mode="after")
    def _complete(self) -> "Fault":
        if (self.kind == "slow") != (self.delay is not None):
            raise ValueError("delay belongs to kind 'slow', which needs it")
        if (self.kind == "reset") != (self.share is not None):
            raise ValueError("share belongs to kind 'reset', which needs it")
        if self.kind in ("freeze", "slow", "reset") and not self.lasts:
            raise ValueError(f"kind {self.kind!r} needs lasts")
        if self.service == "target" and self.kind not in ("slow", "reset"):
            raise ValueError("the target can be slow or reset connections; to harm a process, name its service")
        return self


class Stack(Table):
    """`[stack]`: the stack under test when the run brings it up."""

    definition: str = "backend/stack.toml"
    """File that says which servers and services it has."""
    env: dict[str, str] = Field(default_factory=dict)
    """Settings for its services."""
