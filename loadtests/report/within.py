"""Of a single run a side: what resampling their seconds says of the difference, which is all that can be known from them."""

from collections.abc import Iterator, Mapping

import numpy as np

from loadtests.measure.blocks import Floats, quantiles, ratios, redrawn
from loadtests.measure.series import Series
from loadtests.report.evidence import readable
from loadtests.report.measures import LATENCIES, QUANTILES
from loadtests.report.summary import QUANTILES as SHARES
from loadtests.store.folder import RunFolder
from loadtests.store.windows import read_windows
from loadtests.traffic.tokens import AUTH_SERIES


def effects_within(baseline: RunFolder, candidate: RunFolder) -> dict[str, list[float]]:
    """The effects of the resamples, by figure that the windows tell: of times logarithms of ratios, of ratios as they are."""
    old, new = (dict(_resampled(folder)) for folder in (baseline, candidate))
    found = {}
    for figure in old.keys() & new.keys():
        count = min(len(old[figure]), len(new[figure]))
        one, other = old[figure][:count], new[figure][:count]
        if figure != "failure_ratio":
            one, other = np.log(np.maximum(one, 1.0)), np.log(np.maximum(other, 1.0))
        if count:
            found[figure] = (other - one).tolist()
    return found


def _resampled(folder: RunFolder) -> Iterator[tuple[str, Floats]]:
    """Figures of a run's resamples, times in microseconds."""
    with readable(folder):
        windows = [dict(window.series) for window in read_windows(folder.file("windows.jsonl"))]
    if not windows:
        return
    times, empty = redrawn(len(windows)), Series()
    names = {name for window in windows for name in window} - set(AUTH_SERIES)
    for name in sorted(names):
        for latency in LATENCIES:
            seconds: list[Mapping[int, int]] = [dict(getattr(window.get(name, empty), latency).values()) for window in windows]
            found = quantiles(seconds, times, [SHARES[quantile] for quantile in QUANTILES])
            yield from zip((f"{latency}({name}).{quantile}" for quantile in QUANTILES), found, strict=True)
    failed = [sum(window[name].failed for name in names & window.keys()) for window in windows]
    wholes = [sum(window[name].requests for name in names & window.keys()) for window in windows]
    yield "failure_ratio", ratios(failed, wholes, times)
