"""An autoscaler's behaviour from a TOML file, which says what `spec.behavior` of a manifest says.

    [scaleUp]
    stabilizationWindowSeconds = 0
    selectPolicy = "Max"
    policies = [{ type = "Percent", value = 100, periodSeconds = 30 }, { type = "Pods", value = 5, periodSeconds = 30 }]

    [scaleDown]
    stabilizationWindowSeconds = 300

Names, limits and what stands for what is left out are Kubernetes' own.
"""

import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from loadtests.capacity.hpa import DEFAULT_DOWN, DEFAULT_UP, Behavior, Kind, Policy, Rules, Select
from loadtests.errors import InputError


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Policy(_Table):
    type: Kind
    value: Annotated[int, Field(gt=0)]
    periodSeconds: Annotated[int, Field(gt=0, le=1800)]  # noqa: N815 - as the manifest has it


class _Rules(_Table):
    stabilizationWindowSeconds: Annotated[int, Field(ge=0, le=3600)] | None = None  # noqa: N815
    selectPolicy: Select = "Max"  # noqa: N815
    policies: Annotated[list[_Policy], Field(min_length=1)] | None = None

    def over(self, default: Rules) -> Rules:
        """These, and the default for what is left out."""
        policies = tuple(Policy(one.type, one.value, one.periodSeconds) for one in self.policies or ())
        window_s = self.stabilizationWindowSeconds
        return Rules(policies or default.policies, default.stabilization_s if window_s is None else window_s, self.selectPolicy)


class _Behavior(_Table):
    scaleUp: _Rules = _Rules()  # noqa: N815
    scaleDown: _Rules = _Rules()  # noqa: N815


def read_behavior(path: Path) -> Behavior:
    """The behaviour of a file. Raises InputError, one line with the first fault, for a file that does not say one."""
    try:
        found = _Behavior.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{path}: {key}: {first['msg'][0].lower()}{first['msg'][1:]}") from error
    return Behavior(found.scaleUp.over(DEFAULT_UP), found.scaleDown.over(DEFAULT_DOWN))
