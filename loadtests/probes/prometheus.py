"""Metrics of an endpoint in Prometheus's text format: gauges, counters and histograms, each the sum of the series selected."""

import math
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from urllib.parse import SplitResult, unquote, urlsplit

import urllib3
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample as Line
from urllib3.exceptions import HTTPError

from loadtests.measure.counters import increase, quantile
from loadtests.probes.sample import Counter, Distribution, Gap, Sample
from loadtests.scenario.system import Selection

TIMEOUT_S = 2.0
MOST_BYTES = 32_000_000
HEADERS = {"Accept": "text/plain;version=0.0.4", "Accept-Encoding": "identity"}
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}

Values = dict[float, float]
"""A histogram's cumulative buckets by upper bound; a gauge or a counter is one value, under infinity."""


class ScrapeError(Exception):
    """The endpoint did not give its metrics; the message holds no secret of its address."""


class PrometheusProbe:
    """Scrapes an endpoint once a round.

    Of instances that share their metrics the first that answers speaks for all. Of others each must answer, and their values
    are added; a counter that one of them started anew goes on from where it was, so that the sum still only grows.
    """

    def __init__(
        self,
        name: str,
        urls: Sequence[str],
        select: Mapping[str, Selection],
        shared: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name, self._urls, self._shared, self._clock = name, urls, shared, clock
        self._pool = urllib3.PoolManager(retries=False)
        self._selected = {name: Selected(one) for name, one in select.items()}
        self._at_s = clock()

    def read(self) -> Iterator[Sample | Counter | Distribution | Gap]:
        """The metrics that are there, and a gap for each that is not. Raises ScrapeError when the endpoint does not answer."""
        texts = self._scrape()
        now = self._clock()
        elapsed_s, self._at_s = now - self._at_s, now
        for name, selected in self._selected.items():
            found = selected.add(texts)
            if found is None:
                yield Gap(f"prometheus {self._name} {name}", f"no such series: {selected.shown}")
            else:
                yield from _facts(name, selected, found, elapsed_s)

    def close(self) -> None:
        """Give the connections back."""
        self._pool.clear()

    def _scrape(self) -> dict[str, str]:
        deadline = time.monotonic() + TIMEOUT_S
        if not self._shared:
            return {url: fetch(self._pool, url, deadline) for url in self._urls}
        troubles = []
        for url in self._urls:
            try:
                return {"": fetch(self._pool, url, deadline)}
            except ScrapeError as error:
                troubles.append(str(error))
        raise ScrapeError("; ".join(troubles))


class Selected:
    """One selection, and what its counters did so far on each instance."""

    def __init__(self, selection: Selection) -> None:
        self.selection = selection
        self._labels = {name: re.compile(pattern) for name, pattern in selection.labels.items()}
        self._metric = selection.metric + ("_bucket" if selection.kind == "histogram" else "")
        self._raw: dict[str, Values] = {}
        self._sums: dict[str, Values] = {}
        self._before: Values | None = None

    @property
    def shown(self) -> str:
        """As a query of Prometheus."""
        labels = ", ".join(f'{name}=~"{pattern}"' for name, pattern in self.selection.labels.items())
        return f"{self.selection.metric}{{{labels}}}" if labels else self.selection.metric

    def add(self, texts: Mapping[str, str]) -> "tuple[Values, Values | None] | None":
        """The values over all instances, and what they grew by since the round before; None without any series."""
        parts = {place: values for place, text in texts.items() if (values := self.values(text))}
        if not parts:
            self._before = self._before or {}  # a series that comes with its first increment was at 0 until then
            return None
        if self.selection.kind == "gauge":
            return _added(parts.values()), None
        for place, values in parts.items():
            before, sums = self._raw.get(place, {}), self._sums.setdefault(place, {})
            for bound, value in values.items():
                sums[bound] = sums.get(bound, 0.0) + (increase((before[bound], value)) if bound in before else value)
            self._raw[place] = values
        now = _added(self._sums.values())
        grown = None if self._before is None else {bound: value - self._before.get(bound, 0.0) for bound, value in now.items()}
        self._before = now
        return now, grown

    def values(self, text: str) -> Values:
        """The sums of the series that the selection takes, of one instance; empty when it has none."""
        found: Values = {}
        for line in lines(text, self._metric):
            if all(pattern.fullmatch(line.labels.get(name, "")) for name, pattern in self._labels.items()):
                bound = float(line.labels["le"]) if self.selection.kind == "histogram" else math.inf
                found[bound] = found.get(bound, 0.0) + float(line.value)
        return found if all(map(math.isfinite, found.values())) else {}


def lines(text: str, metric: str) -> Iterator[Line]:
    """The samples of that very name. Only its lines are parsed: there may be thousands of others."""
    wanted = "\n".join(line for line in text.split("\n") if line.startswith((f"{metric}{{", f"{metric} ")))
    try:
        for family in text_string_to_metric_families(f"{wanted}\n"):
            yield from (sample for sample in family.samples if sample.name == metric)
    except (ValueError, IndexError) as error:  # how the parser says that a line is none
        raise ScrapeError(f"{metric}: not Prometheus's text format: {error}") from None


def fetch(pool: urllib3.PoolManager, url: str, deadline: float) -> str:
    """The text at the address, read until `deadline` (of time.monotonic) at the latest. Raises ScrapeError."""
    parts = urlsplit(url)
    shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"  # neither a password nor a token in the query
    left_s = deadline - time.monotonic()
    if left_s <= 0:
        raise ScrapeError(f"{shown}: no time was left to ask it")
    body = b""
    try:
        response = pool.request("GET", url, headers=_headers(parts), timeout=left_s, preload_content=False, redirect=False)
        while chunk := response.read1(65_536):
            body += chunk
            if time.monotonic() > deadline or len(body) > MOST_BYTES:
                response.close()
                raise ScrapeError(f"{shown}: the answer took longer than {TIMEOUT_S:g} s or has no end")
        response.release_conn()
    except (HTTPError, OSError) as error:
        raise ScrapeError(f"{shown}: {type(error).__name__}: is it there, and does it answer within {TIMEOUT_S:g} s?") from None
    if response.status != 200:
        raise ScrapeError(f"{shown}: answered {response.status}")
    return body.decode(errors="replace")


def _headers(parts: SplitResult) -> dict[str, str]:
    """With the user and password that the address may have."""
    if parts.username is None:
        return HEADERS
    user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {**HEADERS, **urllib3.make_headers(basic_auth=user)}


def _facts(
    name: str, selected: Selected, found: tuple[Values, Values | None], elapsed_s: float
) -> Iterator[Sample | Counter | Distribution]:
    """A gauge as it is; a counter's rate and value; a histogram's quantiles since the round before, and its buckets."""
    now, grown = found
    match selected.selection.kind:
        case "gauge":
            yield Sample(name, None, now[math.inf])
        case "counter":
            if grown is not None and elapsed_s > 0:
                yield Sample(name, None, grown[math.inf] / elapsed_s)
            yield Counter(name, now[math.inf])
        case "histogram":
            buckets = sorted((grown or {}).items())
            for selector, q in QUANTILES.items():
                value = quantile(q, buckets)
                if value is not None:
                    yield Sample(name, selector, value)
            yield Distribution(name, sorted(now.items()))


def _added(parts: Iterable[Values]) -> Values:
    found: Values = {}
    for part in parts:
        for bound, value in part.items():
            found[bound] = found.get(bound, 0.0) + value
    return found
