"""Descriptors, ports, queues and tables of the kernel, judged against the connections of a load."""

from collections.abc import Iterator

from loadtests.engine.descriptors import SPARE_DESCRIPTORS
from loadtests.orchestrate.doctor.facts import Need, Network
from loadtests.orchestrate.doctor.rows import Row, at_least, graded, row, unknown, unless

SPARE_PORTS = 1_000
"""Outgoing connections of everything else: probes, the stack's own, those that wait for their end."""
WIDEST = "1024 65535"
QUEUE_S = 1.0
"""A server that takes no connection for so long must lose none: a full second is a long stall."""


def network_rows(need: Need, network: Network) -> Iterator[Row]:
    """All of them, in order. Containers have their own, but for the table of tracked connections, which sees all."""
    if need.stack != "compose":
        yield from _descriptors(need, network.descriptors)
        yield _ports(need, network.ports)
        yield _reuse(need, network)
        yield from _queues(need, network)
    yield _tracking(need, network.conntrack)


def _descriptors(need: Need, limit: float | None) -> Iterator[Row]:
    """As `raise_descriptor_limit` will ask for them."""
    wanted = {}
    if need.workers:
        wanted["open files, a worker"] = need.users_per_worker
    if need.stack == "embedded":
        wanted["open files, the API"] = need.users
    if need.proxied:
        wanted["open files, a fault's proxy"] = 2 * need.users
    for what, connections in wanted.items():
        files = connections + SPARE_DESCRIPTORS
        mend = f"sudo prlimit --pid $$ --nofile={files}:{files} (in the shell that starts the run), or more workers"
        yield at_least(what, limit, files, "fail", mend)


def _ports(need: Need, ports: tuple[int, int] | None) -> Row:
    """A connection to one address and port takes a port of its own: each user keeps one."""
    what, connections = "ports to one address", need.users if need.workers else 0
    needed = connections + SPARE_PORTS if connections else 0
    if ports is None:
        return unknown(what, f"{needed:,}")
    count = ports[1] - ports[0] + 1
    mend = f'sysctl -w net.ipv4.ip_local_port_range="{WIDEST}"'
    if needed > 64_512:  # more than there are
        mend += ", and workers on more machines, or more addresses of the target"
    return row(what, f"{count:,} ({ports[0]}-{ports[1]})", f"{needed:,}", graded(count, needed, connections), mend)


def _reuse(need: Need, network: Network) -> Row:
    """A port rests for a minute after its connection; 2 lets loopback have it before, 1 all others, too."""
    loopback = need.stack == "embedded"
    what, least = "tcp_tw_reuse", "1 or 2" if loopback else "1"
    value = network.tw_reuse
    if value is None:
        return unknown(what, least)
    good = value == 1 or (value == 2 and loopback)
    return row(what, str(value), least, unless(good), "sysctl -w net.ipv4.tcp_tw_reuse=1")


def _queues(need: Need, network: Network) -> Iterator[Row]:
    """Connections that wait to be taken, where the target's end is here: those of `QUEUE_S` while the users come."""
    if not need.here:
        return
    arriving = need.users / need.ramp_s * QUEUE_S if need.ramp_s > QUEUE_S else need.users
    for what, value, key in (
        ("somaxconn", network.somaxconn, "net.core.somaxconn"),
        ("tcp_max_syn_backlog", network.syn_backlog, "net.ipv4.tcp_max_syn_backlog"),
    ):
        wanted = -(-arriving // 1)
        yield at_least(what, value, wanted, "warn", f"sysctl -w {key}={max(4096, round(wanted))}")


def _tracking(need: Need, conntrack: tuple[int, int] | None) -> Row:
    """A full table drops packets. Each connection is an entry, and stays one for up to two minutes after its end."""
    what, wanted = "conntrack", need.users + SPARE_PORTS
    if conntrack is None:
        return Row(what, "not loaded", "-", "ok")
    used, most = conntrack
    room = most - used
    mend = f"sysctl -w net.netfilter.nf_conntrack_max={used + 2 * wanted}"
    return row(what, f"{used:,} of {most:,} used", f"{2 * wanted:,} free", graded(room, 2 * wanted, wanted), mend)
