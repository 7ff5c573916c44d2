"""Broken scenario files: every fault is reported once, with its key path, before anything is started."""

import re
from pathlib import Path

import pytest

from loadtests.errors import InputError
from loadtests.scenario.load import find_scenario, load_plan
from tests.unit.texts import BASE, changed, plan_of, problems_of, write_scenario

DURATION = 'duration = "10s"'
CLOSED = 'model = "closed"\nthink_time = ["1s", "2s"]'
API = BASE + '[tasks.api]\npage = "{page}"\nitem = "{item}"\n'

ONE_FAULT = [
    ("unknown table", BASE + "[loda]\nx = 1\n", "loda", "unknown key; did you mean 'load'"),
    ("unknown key", changed("users = 10", "users = 10\nusres = 5"), "load.usres", "unknown key; did you mean 'users'"),
    ("unknown key, nothing alike", changed("users = 10", "users = 10\nqqq = 5"), "load.qqq", "unknown key$"),
    ("unknown key in a list", changed("weight = 3", "wieght = 3"), "mix[0].wieght", "unknown key; did you mean 'weight'"),
    ("unknown key of tasks", BASE + '[tasks]\nquery = "x"\ndeadlien = "1s"\n', "tasks.deadlien", "did you mean 'deadline'"),
    ("page without a number", API.format(page="/t", item="/t/{id}"), "tasks.api", "page needs {page}"),
    ("page with more", API.format(page="/t?{foo}&p={page}", item="/t/{id}"), "tasks.api", "page has no placeholder but {page}"),
    ("page with a brace", API.format(page="/t?p={page}{", item="/t/{id}"), "tasks.api", "page has no placeholder but {page}"),
    ("page that is no path", API.format(page="t?p={page}", item="/t/{id}"), "tasks.api", "page is a path and begins with /"),
    ("item without an id", API.format(page="/t?p={page}", item="/t"), "tasks.api", "item needs {id}"),
    ("item with more", API.format(page="/t?p={page}", item="/t/{id}/{}"), "tasks.api", "item has no placeholder but {id}"),
    ("item that is no path", API.format(page="/t?p={page}", item="{id}"), "tasks.api", "item is a path and begins with /"),
    ("missing key", changed("users = 10\n", ""), "load.users", "is missing"),
    ("missing name", changed('name = "small"\n', ""), "name", "is missing"),
    ("name with a slash", changed('"small"', '"../small"'), "name", "should match pattern .*got '../small'"),
    ("missing load", re.sub(r"\[load\].*?\n\n", "", BASE, flags=re.DOTALL), "load", "is missing"),
    ("no objectives", BASE.partition("fast =")[0], "objectives", "at least 1"),
    ("missing journey", changed('journey = "list_tasks"\n', ""), "mix[0].journey", "is missing"),
    ("bad unit", changed('"10s"', '"10 parsecs"'), "load.duration", "'10 parsecs' is not a .* .write e.g. '30s'"),
    ("number without unit", changed('"10s"', "10"), "load.duration", "a text with a unit, such as '30s' .got 10."),
    ("text without unit", changed('"10s"', '"10"'), "load.duration", "'10' is not a duration"),
    ("duration of nothing", changed('"10s"', '"0s"'), "load.duration", "greater than 0"),
    ("zero users", changed("users = 10", "users = 0"), "load.users", "greater than or equal to 1 .got 0."),
    ("half a user", changed("users = 10", "users = 10.5"), "load.users", "valid integer"),
    ("users in words", changed("users = 10", 'users = "many"'), "load.users", "valid integer"),
    ("rate below zero", changed("users = 10", "users = 10\nrate_per_user = -1"), "load.rate_per_user", "greater than 0"),
    ("weight zero", changed("weight = 3", "weight = 0"), "mix[0].weight", "greater than 0"),
    ("unknown process", changed("users = 10", 'users = 10\narrivals = "bursty"'), "load.arrivals", "'poisson' or 'recorded'"),
    ("ramp as long as the load", changed(DURATION, DURATION + '\nramp_up = "10s"'), "load", "ramp_up must be shorter"),
    ("no duration", changed(DURATION, ""), "load", "duration is missing"),
    (
        "stages and duration",
        changed(DURATION, DURATION + '\nstages = [{ duration = "5s", to = 1 }]'),
        "load",
        "either stages or duration",
    ),
    ("stages of nothing", changed(DURATION, 'stages = [{ duration = "5s", to = 0 }]'), "load", "stages offer no load"),
    ("stage without goal", changed(DURATION, 'stages = [{ duration = "5s" }]'), "load.stages[0]", "either 'to'"),
    ("closed without think time", changed(DURATION, DURATION + '\nmodel = "closed"'), "load", "needs think_time"),
    ("open with think time", changed(DURATION, DURATION + '\nthink_time = ["1s", "2s"]'), "load", "belongs to the closed"),
    (
        "closed with stages",
        changed(DURATION, CLOSED + '\nstages = [{ duration = "5s", to = 1 }]'),
        "load",
        "belong to the open",
    ),
    (
        "think times the wrong way round",
        changed(DURATION, DURATION + '\nmodel = "closed"\nthink_time = ["3s", "1s"]'),
        "load",
        "shortest, longest",
    ),
    ("host with a path", BASE + '[target]\nhost = "http://x/api"\n', "target.host", "pattern"),
    ("host without scheme", BASE + '[target]\nhost = "x:80"\n', "target.host", "pattern"),
    ("mint without subject", BASE + '[auth]\nmode = "mint"\n', "auth", "mode 'mint' needs a subject"),
    ("guest without login", BASE + '[auth]\nmode = "guest"\n', "auth", "needs login and refresh"),
    (
        "token shorter than its renewal",
        BASE + '[auth]\nmode = "mint"\nsubject = "u{user}"\nttl = "30s"\n',
        "auth",
        "refresh_before must be shorter",
    ),
    ("share as a number", BASE + "[health]\noffered = 0.99\n", "health.offered", "percent sign"),
    ("share above all", BASE + '[health]\noffered = "101%"\n', "health.offered", "less than or equal to 1"),
    ("tasks without a way to follow them", BASE + "[tasks]\n", "tasks", "by a query, or by"),
    (
        "unknown journey",
        changed('"list_tasks"', '"lits_tasks"'),
        "mix[0].journey",
        "unknown journey 'lits_tasks' .*create_task",
    ),
    (
        "journey file missing",
        changed('name = "small"', 'name = "small"\njourneys = ["my.py"]'),
        "journeys[0]",
        "my.py: no such",
    ),
    ("bad objective", changed("p95 < 200ms", "p95 < 200"), "objectives.fast", "'200' is not a quantity"),
    ("unknown metric", changed("response_time.p95", "latency.p95"), "objectives.fast", "'latency' is no metric here"),
    (
        "unknown request",
        changed("response_time.p95", "response_time(login).p95"),
        "objectives.fast",
        "'login' is no request of the mix .there are: auth_login, auth_refresh, create_task, list_tasks.",
    ),
    ("gauge without probe", BASE + 'db = "db_connections.max < 100"\n', "objectives.db", "'db_connections' is no metric here"),
    ("memory without processes", BASE + 'm = "memory(api).max < 2GB"\n', "objectives.m", "'memory' is no metric here"),
    (
        "memory of an unwatched service",
        BASE + 'm = "memory(db).max < 2GB"\n[probes]\nprocesses = ["api"]\n',
        "objectives.m",
        "'db' is no service under probes.processes .there are: api.",
    ),
    (
        "memory of nobody",
        BASE + 'm = "memory.max < 2GB"\n[probes]\nprocesses = ["api"]\n',
        "objectives.m",
        r"memory needs a service .*'memory\(api\)'",
    ),
    ("tasks that nobody follows", BASE + 't = "task_success >= 99%"\n', "objectives.t", r"needs a \[tasks\] table"),
    (
        "recovery of an unharmed instance",
        BASE + 'r = "recovery(redis-2).time < 1s"\n[[faults]]\nat = "1s"\nservice = "redis"\nkind = "kill"\ninstance = 1\n',
        "objectives.r",
        "'redis-2' is no service with a fault .there are: redis, redis-1.",
    ),
    (
        "recovery of an instance where all are harmed",
        BASE + 'r = "recovery(redis-1).time < 1s"\n[[faults]]\nat = "1s"\nservice = "redis"\nkind = "kill"\n',
        "objectives.r",
        "'redis-1' is no service with a fault .there are: redis.",
    ),
    ("objective as a number", BASE + "n = 5\n", "objectives.n", "valid string"),
]


@pytest.mark.parametrize(("text", "key", "words"), [row[1:] for row in ONE_FAULT], ids=[row[0] for row in ONE_FAULT])
def test_one_fault_is_one_problem(tmp_path: Path, text: str, key: str, words: str) -> None:
    """Each fault is reported exactly once, at its place in the file, in words that say what is wrong."""
    (problem,) = problems_of(tmp_path, text)
    assert problem.key == key
    assert problem.file == str(tmp_path / "scenario.toml")
    assert re.search(words, problem.message), problem.message
    assert "\n" not in problem.message


SHARPER = [
    (
        "scaled objective with another scale",
        BASE + 'q = { objective = "rate >= 9/s", scale_with = "rate" }\n',
        "objectives.q.scale_with",
        "should be 'users'",
    ),
    (
        "scaled objective with an unknown key",
        BASE + 'q = { objective = "rate >= 9/s", scale_with = "users", tarqet = "x" }\n',
        "objectives.q.tarqet",
        "unknown key; did you mean 'target'",
    ),
    (
        "scaled objective with an unknown scale",
        BASE + 'q = { objective = "rate >= 9/s", scale_with = "time" }\n',
        "objectives.q.scale_with",
        "'users'",
    ),
    ("gauge with a bad name", BASE + '[probes.postgres]\nBad-Name = "SELECT 1"\n', "probes.postgres.Bad-Name", "pattern"),
    ("endless rate", changed("users = 10", "users = 10\nrate_per_user = inf"), "load.rate_per_user", "finite"),
    ("endless weight", changed("weight = 3", "weight = inf"), "mix[0].weight", "finite"),
    ("users as a text", changed("users = 10", 'users = "10"'), "load.users", "integer"),
    ("seed below zero", changed('name = "small"', 'name = "small"\nseed = -1'), "seed", "greater than or equal to 0"),
    ("users as a truth value", changed("users = 10", "users = true"), "load.users", "integer"),
    (
        "gauge with the name of a metric",
        BASE + '[probes.postgres]\nusers = "SELECT 1"\n',
        "probes.postgres.users",
        "metric",
    ),
    (
        "subject with an unknown placeholder",
        BASE + '[auth]\nmode = "mint"\nsubject = "agenthq:{usr}"\n',
        "auth",
        "{user}|usr",
    ),
]


@pytest.mark.parametrize(("text", "key", "words"), [row[1:] for row in SHARPER], ids=[row[0] for row in SHARPER])
def test_one_fault_is_one_problem_in_harder_places(tmp_path: Path, text: str, key: str, words: str) -> None:
    """The same holds inside unions, for names of gauges and for values that only a run would stumble over."""
    (problem,) = problems_of(tmp_path, text)
    assert problem.key.startswith(key)
    assert "[key]" not in problem.key
    assert re.search(words, problem.message), problem.message


def test_several_faults_of_form_are_reported_at_once(tmp_path: Path) -> None:
    """An engineer mends the file once: all faults come together, each exactly once."""
    text = """\
name = "Bad Name"
colour = "red"

[load]
users = 0
duration = 30
rate_per_user = 0

[[mix]]
wieght = 3

[objectives]
fast = 200
"""
    found = [problem.key for problem in problems_of(tmp_path, text)]
    assert sorted(found) == sorted(
        [
            "name",
            "colour",
            "load.users",
            "load.duration",
            "load.rate_per_user",
            "mix[0].journey",
            "mix[0].wieght",
            "objectives.fast",
        ]
    )


def test_several_faults_of_meaning_are_reported_at_once(tmp_path: Path) -> None:
    """So do unknown journeys, missing files and bad objectives."""
    text = changed('"list_tasks"', '"lits"').replace('name = "small"', 'name = "small"\njourneys = ["a.py", "b.py"]')
    text += 'slow = "response_time.p95 < 5"\ntasks = "task_success > 1%"\n'
    found = [problem.key for problem in problems_of(tmp_path, text)]
    assert found == ["journeys[0]", "journeys[1]", "mix[0].journey", "objectives.slow", "objectives.tasks"]


def test_faults_of_form_and_of_meaning_are_reported_together(tmp_path: Path) -> None:
    """A misspelt key does not hide an unknown journey and a bad objective elsewhere in the file."""
    text = changed("users = 10", "users = 10\nusres = 5").replace('"list_tasks"', '"lits"').replace("200ms", "200")
    assert sorted(problem.key for problem in problems_of(tmp_path, text)) == ["load.usres", "mix[0].journey", "objectives.fast"]


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"name = = 3", "not valid TOML: .*line 1"), (b'name = "a', "not valid TOML"), (b'name = "\xff"', "not UTF-8")],
    ids=["syntax", "unclosed", "encoding"],
)
def test_file_that_is_no_toml(tmp_path: Path, content: bytes, words: str) -> None:
    """A file that cannot be parsed is one problem of the whole file."""
    file = tmp_path / "x.toml"
    file.write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        load_plan(file)
    assert str(file) in str(caught.value)


def test_file_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing file is bad input with its name, not a traceback."""
    with pytest.raises(InputError, match="cannot be read: No such file"):
        load_plan(tmp_path / "nowhere.toml")


@pytest.mark.parametrize("content", ["raise RuntimeError('boom')", "import no_such_module_anywhere", "def ("])
def test_journey_file_that_fails_is_a_problem_of_the_scenario(tmp_path: Path, content: str) -> None:
    """Whatever a journey file raises is reported at its place in the scenario."""
    (tmp_path / "mine.py").write_text(content)
    (problem,) = problems_of(tmp_path, changed('name = "small"', 'name = "small"\njourneys = ["mine.py"]'))
    assert problem.key == "journeys[0]"
    assert problem.message.startswith("mine.py: ")


def test_scenario_is_found_by_name_and_by_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bare name is looked up under scenarios/; anything with a suffix or a folder is a path."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios" / "one.toml").write_text(BASE)
    (tmp_path / "own.toml").write_text(BASE)
    assert find_scenario("one") == Path("scenarios/one.toml")
    assert find_scenario("own.toml") == Path("own.toml")
    assert find_scenario("scenarios/one.toml") == Path("scenarios/one.toml")


def test_unknown_scenario_lists_what_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error for a wrong name is the list of the right ones."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"'two' is unknown .*none"):
        find_scenario("two")
    (tmp_path / "scenarios").mkdir()
    for name in ("zeta", "alpha"):
        (tmp_path / "scenarios" / f"{name}.toml").write_text(BASE)
    with pytest.raises(InputError, match="there are: alpha, zeta"):
        find_scenario("two")
    with pytest.raises(InputError, match=r"'other/two': no such file"):
        find_scenario("other/two")


def test_the_small_scenario_itself_is_valid(tmp_path: Path) -> None:
    """What the broken texts are made from is in order."""
    assert plan_of(tmp_path).scenario.name == "small"
    assert load_plan(write_scenario(tmp_path, BASE)).notes == ()
