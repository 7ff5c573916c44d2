"""From an access log to a scenario: endpoints, shares, rates, what is left out, and what is refused."""

import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from loadtests.cli import main
from loadtests.pacing.recorded import RecordedLoad
from loadtests.pacing.stream import OpenLoad, planned_stream
from loadtests.scenario.load import load_plan
from loadtests.scenario.plan import Plan
from loadtests.scenario.rates import stage_counts
from loadtests.traffic.endpoints import FEW, MOST_ENDPOINTS, SAMPLES, template_of
from tests.unit.access_logs import START_S, combined_line, main_line

LIST, CREATE = "GET /api/v1/tasks?page=1 HTTP/1.1", "POST /api/v1/tasks HTTP/1.1"
ITEM = "GET /api/v1/tasks/0b5a1a3e-0c9d-4c8e-9b1a-0123456789ab HTTP/1.1"


class Recorded:
    """What `loadtest record` made of these lines."""

    def __init__(self, folder: Path, lines: Sequence[str], *options: str) -> None:
        (folder / "access.log").write_text("".join(lines))
        self.out = folder / "replay.toml"
        self.code = main(["record", str(folder / "access.log"), "-o", str(self.out), *options])

    @property
    def text(self) -> str:
        """The scenario's file."""
        return self.out.read_text()

    @property
    def data(self) -> dict[str, Any]:
        """The same as data."""
        return tomllib.loads(self.text)

    @property
    def mix(self) -> dict[str, float]:
        """Weights by journey."""
        return {share["journey"]: share["weight"] for share in self.data["mix"]}

    @property
    def plan(self) -> Plan:
        """Its plan, which `loadtest validate` would make, too."""
        return load_plan(self.out)


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/", "/"),
        ("/users/42/orders", "/users/{id}/orders"),
        ("/users/42a/v2", "/users/42a/v2"),
        ("/t/0b5a1a3e-0c9d-4c8e-9b1a-0123456789AB", "/t/{id}"),
        ("/o/507f1f77bcf86cd799439011/", "/o/{id}/"),
        ("/defaced/facade", "/defaced/facade"),
        ("/effaceddecade", "/effaceddecade"),
        ("/app.0123456789ab.js", "/app.0123456789ab.js"),
    ],
)
def test_templates(path: str, template: str) -> None:
    """Numbers, UUIDs and hexadecimal ids become {id}; words and versions stay."""
    assert template_of(path) == template


def test_known_journeys_are_used_under_their_names(tmp_path: Path) -> None:
    """Whatever the query; they need no request of their own, and their counts are the weights."""
    other = LIST.replace("?page=1", "")
    made = Recorded(tmp_path, [main_line(0, LIST), main_line(1, other), main_line(2, CREATE, 201)])
    assert made.mix == {"list_tasks": 2, "create_task": 1}
    assert "requests" not in made.data


def test_other_endpoints_become_requests(tmp_path: Path) -> None:
    """Few queries are requests of their own, each with its share; their names say method and path."""
    lines = [main_line(i, f"GET /search?q={'ab'[i > 2]} HTTP/1.1") for i in range(5)] + [
        main_line(5, "DELETE /x-y/z HTTP/1.1", 204)
    ]
    made = Recorded(tmp_path, lines)
    assert made.mix == {"get_search": 3, "get_search_2": 2, "delete_x_y_z": 1}
    assert made.data["requests"]["get_search_2"] == {"method": "GET", "path": "/search?q=b"}
    assert made.plan.scenario.requests["delete_x_y_z"].method == "DELETE"


@pytest.mark.parametrize("option", [(), ("--exact",)])
def test_many_queries_are_samples_of_one_request(tmp_path: Path, option: tuple[str, ...]) -> None:
    """All of its requests are counted, in either mode; the samples are a bounded part of what was asked for."""
    made = Recorded(tmp_path, [main_line(i, f"GET /search?q={i} HTTP/1.1") for i in range(2 * SAMPLES)], *option)
    paths = made.data["requests"]["get_search"]["paths"]
    assert made.mix == {"get_search": 2 * SAMPLES}
    assert len(paths) == SAMPLES
    assert set(paths) < {f"/search?q={i}" for i in range(2 * SAMPLES)}
    few = Recorded(tmp_path, [main_line(i, f"GET /search?q={i % (FEW + 1)} HTTP/1.1") for i in range(9)], "--force", *option)
    assert few.mix == {"get_search": 9}
    assert made.plan.mix.shares == (1.0,)


def test_ids_are_left_out_and_said_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What they stand for is not there any more; --keep-ids keeps them with what was asked for."""
    lines = [main_line(0, LIST), main_line(1, ITEM), main_line(2, ITEM, 404)]
    made = Recorded(tmp_path, lines)
    assert made.mix == {"list_tasks": 1}
    said = "Left out: 2 of GET /api/v1/tasks/{id} (asks for things that existed then; --keep-ids keeps it)."
    assert said in capsys.readouterr().out
    assert f"# {said}" in made.text
    kept = Recorded(tmp_path, lines, "--keep-ids", "--force")
    assert kept.mix == {"list_tasks": 1, "get_api_v1_tasks_id": 2}
    assert "(50 % were answered 4xx)" in kept.text


def test_the_harness_makes_its_own_requests_itself(tmp_path: Path) -> None:
    """Health checks always; logins only where the scenario that it is to be like has them."""
    login = "POST /api/v1/auth/guest HTTP/1.1"
    lines = [
        main_line(0, LIST),
        main_line(1, login),
        main_line(2, "GET /healthz HTTP/1.1"),
        main_line(3, "GET /metrics HTTP/1.1"),
    ]
    assert Recorded(tmp_path, lines).mix == {"list_tasks": 1, "post_api_v1_auth_guest": 1}
    assert Recorded(tmp_path, lines, "--like", "smoke", "--force").mix == {"list_tasks": 1}


def test_bodies_are_not_in_a_log(tmp_path: Path) -> None:
    """An empty object is sent, or what one gives; the file says so."""
    lines = [main_line(0, "PUT /settings HTTP/1.1")]
    made = Recorded(tmp_path, lines)
    assert made.data["requests"]["put_settings"]["body"] == "{}"
    assert "its body is not in the log" in made.text
    given = Recorded(tmp_path, lines, "--body", '{"a": "é"}', "--force").data["requests"]["put_settings"]
    assert given == {
        "method": "PUT",
        "path": "/settings",
        "body": '{"a": "é"}',
        "headers": {"Content-Type": "application/json"},
    }


def test_like_takes_over_all_but_the_load(tmp_path: Path) -> None:
    """Auth, tasks and objectives of the other scenario; its load, mix and name are not."""
    made = Recorded(tmp_path, [main_line(0, LIST), main_line(1, CREATE, 201)], "--like", "smoke").data
    smoke = tomllib.loads(Path("scenarios/smoke.toml").read_text())
    assert {key: made[key] for key in ("auth", "tasks", "objectives")} == {
        key: smoke[key] for key in ("auth", "tasks", "objectives")
    }
    assert (made["name"], made["load"]["users"]) == ("replay", 10)


def test_objectives_that_cannot_be_asked_are_left_out(tmp_path: Path) -> None:
    """Of requests that the log does not have, of users that the other scenario had; the file says which."""
    like = tmp_path / "like.toml"
    like.write_text(
        'name = "like"\nload = { users = 1, duration = "1s" }\nmix = [{ journey = "create_task" }]\n'
        '[objectives]\ncreates = "response_time(create_task).p95 < 1s"\nall = "failure_ratio < 5%"\n'
        'rate = { objective = "rate > 9/s", scale_with = "users" }\n'
    )
    made = Recorded(tmp_path, [main_line(0, LIST)], "--like", str(like))
    assert made.data["objectives"] == {"all": "failure_ratio < 5%"}
    assert "# Left out: objective creates ('create_task' is no request of the mix" in made.text
    assert "# Left out: objective rate (its limit goes with the other scenario's users)." in made.text


def test_rate_follows_the_log(tmp_path: Path) -> None:
    """A stage a second, from the first arrival to the end of the last one's millisecond."""
    times = [0.5, *(1 + i / 40 for i in range(40)), *(2 + i / 10 for i in range(10))]
    plan = Recorded(tmp_path, [main_line(time_s, LIST) for time_s in times]).plan
    assert isinstance(plan.load, OpenLoad)
    profile, users = plan.load.profile, plan.scenario.load.users
    assert users == 40  # of whom none has more than a request a second
    assert [users * profile.rate(time_s) for time_s in (0.2, 1.0, 2.0)] == pytest.approx([2, 40, 10 / 0.901], rel=1e-4)
    assert users * profile.total == pytest.approx(51, rel=1e-4)


def test_whole_seconds_belong_to_the_load(tmp_path: Path) -> None:
    """A request of second 9 is one of a load of ten seconds."""
    plan = Recorded(tmp_path, [combined_line(second, LIST) for second in (0, 0, 4, 9)]).plan
    assert plan.scenario.load.total_s == 10.0
    assert [stage.level * plan.scenario.load.users for stage in plan.scenario.load.stages] == [2, 0, 0, 0, 1, 0, 0, 0, 0, 1]


def test_long_logs_have_wider_stages() -> None:
    """No more than 300; every request is in one of them."""
    day = dict.fromkeys(range(START_S, START_S + 86_400), 3)
    pieces = stage_counts(day, START_S, START_S + 86_400)
    assert pieces == [(300.0, 900)] * 288


def test_exact_keeps_every_moment(tmp_path: Path) -> None:
    """In order of arrival, not of the log, which is that of the ends; from the first one on."""
    lines = [main_line(1.5, CREATE, 201, took_s=0.1), main_line(0.25, LIST, took_s=2.0), main_line(1.5, LIST, took_s=0.9)]
    made = Recorded(tmp_path, lines, "--exact", "--users", "2")
    assert (tmp_path / "replay.moments").read_text() == "0 list_tasks\n1250000 create_task\n1250000 list_tasks\n"
    assert isinstance(made.plan.load, RecordedLoad)
    assert (made.plan.scenario.load.users, made.plan.scenario.load.total_s) == (2, 1.251)
    assert planned_stream(made.plan.load, made.plan.mix, 1, range(2))[0] == 3


def test_long_paths_have_short_names(tmp_path: Path) -> None:
    """Short enough for the files of a run; still each its own."""
    lines = [main_line(i, f"GET /{'long-' * 99}{'ab'[i]} HTTP/1.1") for i in range(2)]
    names = list(Recorded(tmp_path, lines).mix)
    assert len(set(names)) == 2
    assert max(map(len, names)) < 90


def test_a_log_of_a_moment_needs_no_crowd(tmp_path: Path) -> None:
    """One line lasts a millisecond; at a thousand requests a second it is still one request."""
    load = Recorded(tmp_path, [main_line(0, LIST)]).plan.scenario.load
    assert (load.users, load.total_s) == (10, 0.001)


def test_endpoints_without_end_are_left_out(tmp_path: Path) -> None:
    """A scanner's thousand paths do not fill the memory, or the scenario."""
    lines = [
        main_line(i / 100, f"GET /word-{'ab'[i % 2]}{chr(97 + i % 26)}x{'y' * (i // 26)} HTTP/1.1")
        for i in range(MOST_ENDPOINTS + 9)
    ]
    made = Recorded(tmp_path, lines)
    assert sum(made.mix.values()) == MOST_ENDPOINTS
    assert f"# Left out: 9 of endpoints that came after {MOST_ENDPOINTS} others." in made.text


def test_other_commands_do_not_pay_for_the_mathematics() -> None:
    """Numpy takes a third of a second and 25 MB; only what needs it imports it."""
    program = "import loadtests.cli, sys; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
