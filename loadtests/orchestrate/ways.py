"""The way in which a run's tasks are followed: by SQL where the database is known, else by the API."""

from loadtests import settings
from loadtests.orchestrate.embedded import Stack
from loadtests.orchestrate.follow import Way
from loadtests.orchestrate.follow_api import AT_ONCE, ApiWay
from loadtests.orchestrate.follow_sql import SqlWay
from loadtests.orchestrate.people import TIMEOUT_S, People
from loadtests.scenario.schema import Scenario
from loadtests.store.folder import RunFolder, start_of


def way_of(scenario: Scenario, stack: Stack, folder: RunFolder, own: bool) -> Way | None:
    """`own`: the run started the stack, so nobody else makes tasks in it. None when the target cannot be asked."""
    tasks, dsn = scenario.tasks, stack.secrets.get(settings.DSN)
    if tasks is None:
        return None
    if tasks.query is not None and dsn:
        return SqlWay(dsn, tasks, own)
    start = start_of(folder)
    if tasks.api is None or start is None:
        return None
    return ApiWay(people_of(scenario, stack, AT_ONCE), tasks.api, start)


def people_of(scenario: Scenario, stack: Stack, at_once: int, timeout_s: float = TIMEOUT_S, again: bool = True) -> People:
    """The simulated users, each with a token as under load, past the target's own proxy; the rest as of `People`."""
    host, secret = stack.direct or stack.host or "", stack.secrets.get(settings.JWT_SECRET, "")
    return People(host, scenario.auth, secret, at_once, timeout_s, again)
