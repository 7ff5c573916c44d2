"""What a scenario file may say: one class a table, one field a key. Unknown keys are errors; units must be written."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from loadtests.scenario.fields import Duration, Number, Ratio, Size, Table, Whole
from loadtests.scenario.system import Fault, Probes, Stack, Tasks
from loadtests.traffic.requests import declare

PATH = r"^/[!-z|~]*$"
"""Visible characters of ASCII, but no braces."""
LEAST_SPEED, HIGHEST_SPEED = 1e-6, 1e6
"""Beyond them no duration means anything."""


def _port_is_one(host: str) -> str:
    try:
        urlsplit(host).port  # noqa: B018  # the property raises
    except ValueError:
        raise ValueError("the port must be a number from 0 to 65535") from None
    return host


class Target(Table):
    """`[target]`: where the load goes."""

    host: Annotated[str, Field(pattern=r"^https?://[^/\s@]+$"), AfterValidator(_port_is_one)] | None = None
    """Base address; left out, the stack under test is brought up and gives it."""
    health: str = "/healthz"
    """Path that answers below 400 when the target is ready."""
    timeout: Annotated[Duration, Field(gt=0)] = 30.0
    """Longest time for one request, and for connecting, sending and waiting within it; a longer one is a failure."""


class Auth(Table):
    """`[auth]`: how users prove who they are."""

    mode: Literal["none", "mint", "guest"] = "none"
    """`mint`: sign tokens with the key in LOADTEST_JWT_SECRET; `guest`: log in at the target."""
    subject: str | None = None
    """`mint`: the token's user is uuid5(NAMESPACE_URL, subject), `{user}` being the user's number; the target must know it."""
    login: str | None = None
    """`guest`: path of the login."""
    refresh: str | None = None
    """`guest`: path that gives a new token for a refresh token."""
    ttl: Annotated[Duration, Field(gt=0)] = 1800.0
    """Life of a minted token."""
    refresh_before: Annotated[Duration, Field(ge=0)] = 60.0
    """A token is renewed this long before it expires."""
    renewals: Literal["staggered", "together"] = "staggered"
    """Whether users' tokens come to their end at moments of their own, as people's do, or all at once: a refresh storm."""
    check: str | None = None
    """Path asked with one user's token before the load starts."""

    @model_validator(mode="after")
    def _complete(self) -> "Auth":
        if self.mode == "mint" and self.subject is None:
            raise ValueError("mode 'mint' needs a subject")
        if self.subject is not None and set("{}") & set(self.subject.replace("{user}", "")):
            raise ValueError("subject has no placeholder but {user}")
        if self.mode == "mint" and self.refresh_before >= self.ttl:
            raise ValueError("refresh_before must be shorter than ttl")
        if self.mode == "guest" and (self.login is None or self.refresh is None):
            raise ValueError("mode 'guest' needs login and refresh")
        return self


class Wave(Table):
    """`wave` of a stage: the rate swings as a sine around the stage's `at`."""

    amplitude: Annotated[Number, Field(gt=0)]
    """Multiple of `rate_per_user`; at most the stage's `at`."""
    period: Annotated[Duration, Field(gt=0)]
    """Length of one swing."""


class Stage(Table):
    """One entry of `load.stages`; levels are multiples of `rate_per_user`."""

    duration: Annotated[Duration, Field(ge=0)]
    """0 s is a jump."""
    to: Annotated[Number, Field(ge=0)] | None = None
    """A ramp: the rate goes linearly from where it was to this level."""
    at: Annotated[Number, Field(ge=0)] | None = None
    """A step: the rate is at this level from the stage's beginning to its end."""
    wave: Wave | None = None
    """A sine wave around `at`."""

    @model_validator(mode="after")
    def _one_shape(self) -> "Stage":
        if (self.to is None) == (self.at is None):
            raise ValueError("a stage has either 'to', for a ramp, or 'at', for a step")
        if self.wave is not None and (self.at is None or self.wave.amplitude > self.at):
            raise ValueError("a wave needs 'at', the level it swings around, which its amplitude does not exceed")
        return self

    @property
    def level(self) -> float:
        """The rate at the end of the stage, or that it swings around."""
        return next(level for level in (self.to, self.at) if level is not None)


class Load(Table):
    """`[load]`: how many users, and when it is their turn."""

    model: Literal["open", "closed"] = "open"
    """Whether turns come from a schedule, or follow the answers after a think time."""
    users: Annotated[Whole, Field(ge=1)]
    """Simulated users."""
    duration: Annotated[Duration, Field(gt=0)] | None = None
    """Length of the load, its ramp included; not together with `stages`, which add up to it."""
    ramp_up: Annotated[Duration, Field(ge=0)] = 0.0
    """The rate climbs from 0 to full in this time; rates are judged after it."""
    rate_per_user: Annotated[Number, Field(gt=0)] = 1.0
    """Turns per second of each user (open model)."""
    arrivals: Literal["constant", "uniform", "poisson", "recorded"] = "constant"
    """Each user's turns come evenly, anywhere in even intervals, as a Poisson process, or at the moments of `recording`."""
    recording: str | None = None
    """File with a line a request, `MICROSECONDS NAME`, relative to the scenario; users take turns with its requests."""
    speed: Annotated[Number, Field(ge=LEAST_SPEED, le=HIGHEST_SPEED)] = 1.0
    """Time runs so many times as fast: what the load says of durations is divided by it, rates are multiplied."""
    stages: tuple[Stage, ...] = ()
    """Levels of the rate, one after the other, from 0."""
    think_time: tuple[Duration, Duration] | None = None
    """Shortest and longest wait between an answer and the next turn (closed model)."""
    drain: Annotated[Duration, Field(ge=0)] = 30.0
    """How long turns that were due may still be sent and answered after the end."""

    @model_validator(mode="after")
    def _consistent(self) -> "Load":
        if self.stages and (self.duration is not None or self.ramp_up):
            raise ValueError("give either stages or duration and ramp_up, not both")
        if self.duration is None and not self.stages:
            raise ValueError("duration is missing")
        if self.stages and (self.total_s <= 0 or all(stage.level == 0 for stage in self.stages)):
            raise ValueError("the stages offer no load")
        if self.duration is not None and self.ramp_up >= self.duration:
            raise ValueError("ramp_up must be shorter than duration")
        if self.model == "closed" and self.think_time is None:
            raise ValueError("a closed model needs think_time = ['1s', '3s']")
        if self.model == "closed" and self.stages:
            raise ValueError("stages belong to the open model")
        if self.model == "open" and self.think_time is not None:
            raise ValueError("think_time belongs to the closed model")
        if self.think_time is not None and not 0 <= self.think_time[0] <= self.think_time[1]:
            raise ValueError("think_time is [shortest, longest]")
        return self

    @model_validator(mode="after")
    def _recorded(self) -> "Load":
        if (self.arrivals == "recorded") != (self.recording is not None):
            raise ValueError("arrivals = 'recorded' and a recording belong together")
        if self.recording is not None and (self.model == "closed" or self.duration is None or self.ramp_up):
            raise ValueError("a recording is an open model with a duration, and has no ramp_up")
        return self

    @property
    def total_s(self) -> float:
        """Length of the whole load in seconds."""
        return sum(stage.duration for stage in self.stages) if self.duration is None else self.duration


class Share(Table):
    """One entry of `mix`."""

    journey: str
    """Name of a journey: `list_tasks`, `create_task`, one of `requests`, or one of your own."""
    weight: Annotated[Number, Field(gt=0)] = 1.0
    """Its share of all turns, in proportion to the other weights."""


RequestName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", max_length=100)]
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")]
HeaderValue = Annotated[str, Field(pattern=r"^[\t -~]*$")]
"""Visible characters of ASCII, blanks and tabs; no line's end, after which another header would begin."""


class Request(Table):
    """`[requests.NAME]`: a journey that makes one request, under its own name."""

    method: Annotated[str, Field(pattern=r"^[A-Z][A-Z-]*$")] = "GET"
    path: Annotated[str, Field(pattern=PATH)] | None = None
    """Path and query, as they are sent."""
    paths: tuple[Annotated[str, Field(pattern=PATH)], ...] = ()
    """Several of them instead: each turn asks for one, and one that is there twice is asked for twice as often."""
    body: str | None = None
    """What is sent with it."""
    headers: dict[HeaderName, HeaderValue] = Field(default_factory=dict)
    """Headers besides those that every request has."""
    expect: tuple[Annotated[Whole, Field(ge=100, le=599)], ...] = ()
    """Statuses that are ok; any below 400 when there are none."""

    @model_validator(mode="after")
    def _some_path(self) -> "Request":
        if (self.path is None) == (not self.paths):
            raise ValueError("a request has either a path or paths")
        return self

    def declare(self, name: str) -> None:
        """Make it a journey of this name. Raises ValueError when it is no request."""
        paths = self.paths if self.path is None else (self.path,)
        declare(name, self.method, paths, body=self.body, headers=self.headers, expect=self.expect)


class ObjectiveTable(Table):
    """An objective with more to say than its one line."""

    objective: str
    """See docs/objectives.md."""
    scale_with: Literal["users"] | None = None
    """The limit grows and shrinks in proportion to the number of users."""
    target: str = ""
    """What was promised, in words, for the note that says when it was not offered."""
    abort_on_fail: bool = False
    """End the run, drained and judged, as soon as this is missed over the last `window` of the load."""
    grace: Annotated[Duration, Field(ge=0)] = 10.0
    """How long after the start of the load it may be missed."""
    window: Annotated[Duration, Field(ge=1)] = 10.0
    """The last seconds that are looked at, each second anew."""


def _text_or_table(value: object) -> str:
    return "table" if isinstance(value, dict | ObjectiveTable) else "text"


TextOrTable = Annotated[Annotated[str, Tag("text")] | Annotated[ObjectiveTable, Tag("table")], Discriminator(_text_or_table)]


class Health(Table):
    """`[health]`: when the generator is not believed."""

    lateness_p99: Annotated[Duration, Field(gt=0)] = 0.1
    """Largest 99th percentile of the generator's own lateness."""
    offered: Ratio = 0.99
    """Least share of the scheduled turns that must be sent."""
    cpu: Annotated[Ratio, Field(gt=0)] = 0.95
    """Most of a core that a worker may use on average: near 100 % it measures itself."""
    loop_lag_p99: Annotated[Duration, Field(gt=0)] = 1.0
    """Largest 99th percentile, over workers and seconds, of the event loop's longest oversleep in a second."""
    reconnects: Ratio = 1.0
    """Most connections beyond the first of each user, per request; a target that keeps connections open needs none."""
    sockets_per_user: Annotated[Number, Field(gt=0)] = 10.0
    """Most open connections per user."""
    memory: Annotated[Size, Field(gt=0)] = 1e9
    """Most resident memory of a worker, with its unit, such as `1GB`."""
    clock: Annotated[Duration, Field(gt=0)] = 0.1
    """Largest doubt about when a worker's clock says it is; how far it is off is measured and taken out."""
    silence: Annotated[Duration, Field(ge=2)] = 15.0
    """How long master and worker wait for a word of each other; then the worker ends its load, and is lost."""
    lost_worker: Literal["invalid", "compensate"] = "invalid"
    """What a lost worker does to the run. `compensate`: the others take its users over, and what nobody sent meanwhile must fit
    into what `offered` leaves."""


class Scenario(Table):
    """A scenario file."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
    """Part of the run's folder's name."""
    description: str = ""
    """One line for the report."""
    seed: Annotated[Whole, Field(ge=0)] = 1
    """Decides the whole stream of turns."""
    journeys: tuple[str, ...] = ()
    """Python files with journeys of your own, relative to the scenario."""
    target: Target = Target()
    auth: Auth = Auth()
    load: Load
    requests: dict[RequestName, Request] = Field(default_factory=dict)
    """Requests for the mix, by name; table below."""
    mix: Annotated[tuple[Share, ...], Field(min_length=1)]
    """What a turn is."""
    objectives: Annotated[dict[str, TextOrTable], Field(min_length=1)]
    """What is asked of the target, by name."""
    health: Health = Health()
    tasks: Tasks | None = None
    probes: Probes = Probes()
    faults: tuple[Fault, ...] = ()
    """Harm done on purpose while the load runs; table below."""
    stack: Stack = Stack()
