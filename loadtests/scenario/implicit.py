"""Objectives that nobody has to write: of the tasks that were accepted none is lost, left behind, doubled or foreign."""

from collections.abc import Mapping

from loadtests.objectives.grammar import parse_objective
from loadtests.scenario.plan import metrics
from loadtests.scenario.schema import Scenario

ALWAYS = ("tasks_lost", "tasks_unfinished", "tasks_duplicated")
FOREIGN = "tasks_foreign"


def implicit_objectives(scenario: Scenario, asked: Mapping[str, str]) -> Mapping[str, str]:
    """By name, the metric's own; those whose metric some objective in `asked` speaks of are left out.

    Raises ValueError for an objective that is none.
    """
    tasks = scenario.tasks
    if tasks is None:
        return {}
    known = metrics(scenario.probes, tasks)
    spoken_of = {parse_objective(text, known).metric.name for text in asked.values()}
    wanted = (*ALWAYS, FOREIGN) if _knows_foreign(scenario) else ALWAYS
    return {_free(metric, asked): f"{metric} <= 0" for metric in wanted if metric not in spoken_of}


def _free(name: str, taken: Mapping[str, str]) -> str:
    return name if name not in taken else _free(f"no_{name}", taken)


def _knows_foreign(scenario: Scenario) -> bool:
    """Of a stack of one's own every row has to be accounted for; of another target only what its users see."""
    tasks = scenario.tasks
    if tasks is None:
        return False
    if scenario.target.host is None and tasks.query is not None:
        return tasks.rows is not None
    return tasks.query is None and tasks.api is not None and bool(tasks.api.created)
