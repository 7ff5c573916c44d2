"""Workers from elsewhere: where they are awaited, who came, who was sent away, and the words for it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from loadtests.errors import InputError
from loadtests.orchestrate.ports import port_is_free

MASTER_PORT = 5557
LOCAL = "127.0.0.1"
EVERYWHERE = ("*", "0.0.0.0")  # noqa: S104  # to recognise it
DEFAULT_WAIT_S = 60


@dataclass(frozen=True)
class Crowd:
    """How many workers come from elsewhere, and where."""

    remote: int = 0
    bind: str = LOCAL
    """Address of this machine at which they are awaited."""
    port: int | None = None
    """Exactly this port; None for MASTER_PORT or any free one."""
    wait_s: int = DEFAULT_WAIT_S
    """Longest time for all workers to join, those of this machine too."""

    @property
    def local(self) -> str:
        """Where this machine's own workers find the master."""
        return LOCAL if self.bind in EVERYWHERE else self.bind

    def check(self, stack: str) -> None:
        """Raises InputError for what cannot work."""
        if self.remote < 0:
            raise InputError(f"--remote-workers: must be 0 or more (got {self.remote})")
        if self.wait_s < 1:
            raise InputError(f"--wait: must be at least 1 s (got {self.wait_s})")
        if self.port is not None and not 0 < self.port < 2**16:
            raise InputError(f"--master-port: must be from 1 to 65535 (got {self.port})")
        if self.remote and stack == "embedded":
            raise InputError("--remote-workers: the embedded stack answers to this machine alone; give --host")
        if self.bind not in EVERYWHERE and not port_is_free(0, self.bind):
            raise InputError(f"--bind {self.bind}: is no address of this machine")


NOBODY = Crowd()
"""All workers are of this machine."""


def news_of(events: Iterable[Mapping[str, Any]], expected: int, local: set[str]) -> Iterator[str]:
    """What there is to say of workers; that this machine's own joined is not worth a line."""
    for event in events:
        match event["event"]:
            case "worker_joined" if event["name"] not in local or "place" in event:
                where = f", from {event['place']}" if "place" in event else ""
                yield f"worker {event['name']} joined ({event['joined']} of {expected}){where}"
            case "worker_left":
                how = "says nothing any more" if "silent_s" in event else "left"
                yield f"worker {event['name']} {how}: its place is free again"
            case "worker_refused":
                yield f"worker {event['name']} refused: {event['why']}"
            case "worker_silent":
                yield f"{event['name']} was silent for {event['silent_s']:g} s and is back"
            case "worker_lost":
                yield f"{event['name']} was lost: {event['how']}"
            case "users_taken_over" if event["heirs"]:
                yield f"its {event['users']:,} users are taken over from {event['from_s']:.1f} s into the load on"
            case "take_over_missed":
                yield f"{event['heir']} never heard that it was to take over users of {event['name']}"


def who_came(events: Iterable[Mapping[str, Any]], expected: int, wait_s: int) -> str | None:
    """Why a load did not begin, if it was because not all workers came."""
    found = list(events)
    joined = list[str]()
    for event in found:
        if event["event"] == "worker_joined":
            joined.append(event["name"])
        elif event["event"] == "worker_left" and event["name"] in joined:
            joined.remove(event["name"])
    if len(joined) >= expected:
        return None
    refused = {event["name"]: event["why"] for event in found if event["event"] == "worker_refused"}
    came = f" ({', '.join(joined)})" if joined else ""
    text = f"{len(joined)} of {expected} workers joined within {wait_s} s{came}"
    return "; ".join([text, *(f"refused: {name}: {why}" for name, why in refused.items())])
