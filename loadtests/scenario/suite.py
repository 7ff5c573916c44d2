"""A suite file: which scenarios are run together, how often, and how much of each this machine is asked for."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from loadtests.errors import ScenarioError
from loadtests.scenario.fields import Duration, Ratio, Table, Whole
from loadtests.scenario.load import find_file, find_scenario, load_plan, read_toml
from loadtests.scenario.plan import Plan
from loadtests.scenario.problems import problems_of
from loadtests.settings import Overrides
from loadtests.units import duration_text

FOLDER = "suites"


class Part(Table):
    """One entry of `parts`."""

    scenario: str
    """Name in scenarios/, or a path."""
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")] | None = None
    """What it is called in the history; left out, the scenario's name."""
    kind: Literal["run", "capacity"] = "run"
    """`capacity`: search for the highest rate that meets the scenario's objectives."""
    users: Annotated[Whole, Field(ge=1)] | None = None
    """Users; left out, the scenario's."""
    users_per_core: Annotated[Whole, Field(ge=1)] | None = None
    """Users for each core that may be used."""
    duration: Annotated[Duration, Field(gt=0)] | None = None
    """Length of the load; left out, the scenario's."""
    rounds: Annotated[Whole, Field(ge=1, le=100)] | None = None
    """Only in so many of the suite's rounds, the first ones; left out, in all."""

    @property
    def title(self) -> str:
        """What it is called in the history."""
        return self.name or Path(self.scenario).stem

    @model_validator(mode="after")
    def _one_number(self) -> "Part":
        if self.users is not None and self.users_per_core is not None:
            raise ValueError("give either users or users_per_core")
        if self.kind == "capacity" and (self.users or self.users_per_core or self.duration):
            raise ValueError("a search for the capacity chooses users and duration itself")
        return self


class Suite(Table):
    """A suite file."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
    """Part of the names of its history and its folders."""
    description: str = ""
    """One line for the summary."""
    rounds: Annotated[Whole, Field(ge=1, le=100)] = 3
    """How often every part is run; with fewer than three it is hardly known how much runs of one build differ."""
    least_effect: Annotated[Ratio, Field(gt=0)] = 0.05
    """A change that is smaller is not called a regression, however sure it is."""
    keep_nights: Annotated[Whole, Field(ge=1)] = 30
    """Nights whose runs' folders stay, beside those of the baseline; of older ones the summary and the history do."""
    parts: Annotated[tuple[Part, ...], Field(min_length=1)]
    """What is run in each round."""

    @field_validator("parts")
    @classmethod
    def _own_names(cls, parts: tuple[Part, ...]) -> tuple[Part, ...]:
        names = [part.title for part in parts]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two parts are called {twice[0]!r}; give one of them another name")
        return parts


def find_suite(name: str) -> Path:
    """The file of a suite given by path or by name. Raises InputError that lists the names there are."""
    return find_file("suite", Path(FOLDER), name)


def load_suite(path: Path, cores: int) -> tuple[Suite, dict[str, Plan]]:
    """The suite and the plan of each part by its name. Raises ScenarioError with the problems of the suite, or of a scenario.

    What the shell exports for single runs (`LOADTEST_USERS` ...) does not change a suite: nights must be alike.
    """
    try:
        suite = Suite.model_validate(read_toml(path))
    except ValidationError as error:
        raise ScenarioError(list(problems_of(path, error, Suite))) from error
    plans: dict[str, Plan] = {}
    for index, part in enumerate(suite.parts):
        plan = load_plan(find_scenario(part.scenario), _overrides(part, f"{path}: parts[{index}]", cores))
        plans[part.title] = plan
    return suite, plans


def _overrides(part: Part, place: str, cores: int) -> Overrides:
    users = part.users if part.users_per_core is None else part.users_per_core * cores
    return Overrides(
        users=None if users is None else str(users),
        duration=None if part.duration is None else duration_text(part.duration),
        sources={"users": f"{place}.users", "duration": f"{place}.duration"},
    )
