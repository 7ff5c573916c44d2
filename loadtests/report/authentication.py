"""What authentication costs: logins and token refreshes, apart from the mix that they make possible."""

from collections.abc import Mapping
from typing import Any

from loadtests.traffic.tokens import AUTH_SERIES
from loadtests.units import format_duration, percent


def authentication_costs(series: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """For each of AUTH_SERIES that a summary's series have: `requests`, `failures`, `share` of all requests, `p95_s`."""
    everything = sum(one["requests"] for one in series.values())
    found = {}
    for name in AUTH_SERIES:
        if name in series and series[name]["requests"]:
            one = series[name]
            p95_s = one["response_time_ms"]["p95"] / 1e3
            share = round(one["requests"] / everything, 6)
            found[name] = {"requests": one["requests"], "failures": one["failures"], "share": share, "p95_s": p95_s}
    return found


def authentication_line(summary: Mapping[str, Any]) -> str | None:
    """The costs on one line; None where nobody logged in."""
    costs: Mapping[str, Mapping[str, float]] = summary["authentication"]
    parts = [
        f"{name} {one['requests']:,.0f} ({percent(one['share'])} of all requests, {one['failures']:,.0f} failed, "
        f"p95 {format_duration(one['p95_s'])})"
        for name, one in costs.items()
    ]
    return ", ".join(parts) or None
