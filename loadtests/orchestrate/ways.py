"""The way in which a run's tasks are followed: by SQL where the database is known, else by the API."""

from loadtests import settings
from loadtests.orchestrate.embedded import Stack
from loadtests.orchestrate.follow import Way
from loadtests.orchestrate.follow_sql import SqlWay
from loadtests.scenario.schema import Scenario


def way_of(scenario: Scenario, stack: Stack, own: bool) -> Way | None:
    """`own`: the run started the stack, so nobody else makes tasks in it. None when the target cannot be asked."""
    tasks, dsn = scenario.tasks, stack.secrets.get(settings.DSN)
    if tasks is not None and tasks.query is not None and dsn:
        return SqlWay(dsn, tasks, own)
    return None
