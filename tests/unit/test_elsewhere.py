"""A stack that somebody else started: what the environment says of its services."""

import pytest

from loadtests import settings
from loadtests.errors import InputError
from loadtests.orchestrate.elsewhere import stack_elsewhere
from loadtests.orchestrate.probing import make_probes
from loadtests.probes.exposed import ExposedProbe
from loadtests.scenario.system import Probes


def test_services_are_told() -> None:
    """With what else is known; each instance speaks for itself, and a name that nobody knows stays as it is."""
    told = "api=http://127.0.0.1:8000, worker=http://no-such-host.invalid:9102/"
    stack = stack_elsewhere("http://target", {settings.SERVICES: told, settings.DSN: "postgresql://x"})
    assert stack.addresses == {"api": ("http://127.0.0.1:8000",), "worker": ("http://no-such-host.invalid:9102",)}
    assert (stack.host, stack.secrets, stack.shared) == ("http://target", {settings.DSN: "postgresql://x"}, False)
    assert stack_elsewhere(None, {}).addresses == {}


@pytest.mark.parametrize(
    "told", ["api", "api=", "=http://x:1", "api=x:1", "api=http://x:1/metrics", "api=http://u:p@x:1", "a=http://x:y"]
)
def test_what_is_no_address_is_refused(told: str) -> None:
    """In one line that says what is expected; a path is the probe's."""
    with pytest.raises(InputError, match=r"LOADTEST_SERVICES: must be NAME=http://HOST:PORT"):
        stack_elsewhere(None, {settings.SERVICES: told})


def test_services_that_are_told_are_probed() -> None:
    """Processes and endpoints of services that this run did not start; those of others stay gaps."""
    wanted = Probes.model_validate(
        {
            "processes": ["api", "redis"],
            "prometheus": {"api": {"service": "api", "select": {"depth": {"metric": "queue_depth"}}}},
        }
    )
    made = make_probes(wanted, stack_elsewhere(None, {settings.SERVICES: "api=http://127.0.0.1:8000"}))
    assert set(made.probes) == {"exposed processes", "prometheus api"}
    assert isinstance(made.probes["exposed processes"], ExposedProbe)
    assert set(made.absent) == {"process redis"}
