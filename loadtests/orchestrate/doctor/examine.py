"""The whole examination: facts in, rows out, and what they come to."""

from collections.abc import Sequence

from loadtests.exitcodes import ExitCode
from loadtests.orchestrate.doctor.facts import Facts, Need
from loadtests.orchestrate.doctor.hardware import hardware_rows
from loadtests.orchestrate.doctor.metrics import influx_rows
from loadtests.orchestrate.doctor.network import network_rows
from loadtests.orchestrate.doctor.programs import program_rows
from loadtests.orchestrate.doctor.rows import STATUSES, Row


def examine(need: Need, facts: Facts) -> list[Row]:
    """A row for each thing that a load of this size needs of this machine."""
    return [
        *network_rows(need, facts.network),
        *hardware_rows(need, facts.hardware),
        *program_rows(need, facts.programs),
        *influx_rows(facts.influx),
    ]


def exit_code(rows: Sequence[Row]) -> ExitCode:
    """`NOT_READY` when something fails; what is doubtful or unknown keeps nobody."""
    return ExitCode.NOT_READY if any(one.status == "fail" for one in rows) else ExitCode.PASS


def tally(rows: Sequence[Row]) -> str:
    """How many rows of each kind, in words."""
    counts = [(status, sum(one.status == status for one in rows)) for status in STATUSES]
    return ", ".join(f"{count} {status}" for status, count in counts if count)
