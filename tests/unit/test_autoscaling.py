from pathlib import Path

import pytest

from loadtests.capacity.autoscaling import Deployment, simulate
from loadtests.capacity.behavior import read_behavior
from loadtests.capacity.hpa import DEFAULT, GUIDE, Behavior, Policy, Rules
from loadtests.errors import InputError
from tests.unit.manifests import ROOT


def test_a_step_of_load() -> None:
    """10,000/s at once on pods of 2,100/s: no step is greater than what 100 % of 60 % asks for, and each waits for its pods.

    3 pods are full, so 3 / 0.6 = 5 are asked for at 15 s; these are ready at 35 s and measured from 50 s on, so that at 60 s
    10,000 / (5 x 2,100) = 95 % ask for 8.
    """
    course = simulate(Deployment(2100), lambda _: 10_000, 300)
    assert course.changes == [(0, 3), (15, 5), (60, 8)]
    assert course.short_s == 35
    assert course.above == pytest.approx(35 * (10_000 - 3 * 2100))
    assert (course.needed, course.most_pods) == (8, 8)
    assert course.seconds[-1].utilisation == pytest.approx(10_000 / (8 * 2100))


def test_down_again() -> None:
    """Five minutes after the load has gone the pods go too, half of them a minute: 20, 10, 5, 3.

    What the last seconds of the load asked for holds for five minutes from the decision that saw them, at 600 s.
    """
    course = simulate(Deployment(2100), lambda time_s: 30_000 if time_s < 600 else 0, 1200)
    assert course.most_pods == 20
    assert course.changes[-3:] == [(900, 10), (960, 5), (1020, 3)]


def test_the_most_pods_do_not_suffice() -> None:
    """A load above the capacity of all pods stays above it, and the course says how many pods it would have taken."""
    course = simulate(Deployment(1000, least=1, most=4), lambda _: 6000, 600)
    assert course.seconds[-1].above == 2000
    assert (course.needed, course.most_pods, course.short_s) == (10, 4, 600)


def test_slow_pods_cost_requests() -> None:
    """The longer a pod takes to start, the more load meets too little capacity."""
    quick, slow = (simulate(Deployment(2100, startup_s=startup_s), lambda _: 9000, 600).above for startup_s in (5, 90))
    assert 0 < quick < slow / 2


def test_without_load() -> None:
    """Idle pods stay at the least, and nothing is missing."""
    course = simulate(Deployment(2100), lambda _: 0, 60)
    assert course.changes == [(0, 3)]
    assert (course.offered, course.above, course.short_s, course.loaded_s, course.needed) == (0, 0, 0, 0, 0)
    assert course.pod_hours == pytest.approx(3 / 60)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"capacity": 0}, "above 0"),
        ({"target": 0}, "at least 1 %"),
        ({"target": 1e-10}, "at least 1 %"),
        ({"least": 0}, "between 1 and the most"),
        ({"least": 9, "most": 4}, "between 1 and the most"),
        ({"startup_s": -1}, "no less than 0 s"),
    ],
)
def test_refuses_what_cannot_be(changes: dict[str, float], text: str) -> None:
    """A deployment that could not exist is refused before it is simulated."""
    with pytest.raises(ValueError, match=text):
        Deployment(**{"capacity": 2100, **changes})  # type: ignore[arg-type]


def test_behavior_file(tmp_path: Path) -> None:
    """A file says what a manifest says; what it leaves out is Kubernetes' default."""
    file = tmp_path / "behavior.toml"
    up = '{ type = "Percent", value = 100, periodSeconds = 30 }, { type = "Pods", value = 5, periodSeconds = 30 }'
    down = '{ type = "Percent", value = 50, periodSeconds = 60 }'
    file.write_text(f"[scaleUp]\npolicies = [{up}]\n[scaleDown]\npolicies = [{down}]\n")
    assert read_behavior(file) == GUIDE
    file.write_text("")
    assert read_behavior(file) == DEFAULT
    file.write_text('[scaleDown]\nselectPolicy = "Disabled"\nstabilizationWindowSeconds = 60\n')
    assert read_behavior(file) == Behavior(DEFAULT.up, Rules((Policy("Percent", 100, 15),), 60, "Disabled"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[scaleup]", "scaleup: extra inputs are not permitted"),
        ("[scaleUp]\npolicies = []", "scaleUp.policies: list should have at least 1 item"),
        (
            '[scaleUp]\npolicies = [{ type = "Percent", value = 0, periodSeconds = 30 }]',
            "scaleUp.policies.0.value: input should be greater",
        ),
        ("[scaleDown]\nstabilizationWindowSeconds = 3601", "scaleDown.stabilizationWindowSeconds: input should be less"),
        ('[scaleDown]\nselectPolicy = "max"', "scaleDown.selectPolicy: input should be 'Max', 'Min' or 'Disabled'"),
        ("scaleUp", "not valid TOML"),
    ],
)
def test_bad_behavior_file(tmp_path: Path, text: str, says: str) -> None:
    """One line: the file, the key, what is wrong with it."""
    file = tmp_path / "behavior.toml"
    file.write_text(text)
    with pytest.raises(InputError, match=says) as caught:
        read_behavior(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert "\n" not in str(caught.value)


def test_the_example_of_the_docs_is_the_guides(tmp_path: Path) -> None:
    """The behaviour file that docs/scaling.md shows is the one of k8s/hpa.yaml."""
    (example,) = (block.partition("```")[0] for block in (ROOT / "docs" / "scaling.md").read_text().split("```toml\n")[1:])
    file = tmp_path / "behavior.toml"
    file.write_text(example)
    assert read_behavior(file) == GUIDE
