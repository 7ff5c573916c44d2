"""Bad input: one clear line, the right exit code, and nothing half-written that could be taken for a result."""

import resource
import socket
from pathlib import Path

import pytest

from loadtests.scenario.load import load_plan
from loadtests.store.folder import RunFolder
from loadtests.store.manifest import write_manifest
from tests.e2e.command import Command, loadtest, run
from tests.e2e.conftest import Target

NOBODY_THERE = "http://127.0.0.1:9"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ("nonesuch",),
            "scenario 'nonesuch' is unknown "
            "(in scenarios/ there are: capacity, classic, faults, phase5, refresh-storm, resets, smoke, soak, spike)",
        ),
        (("missing/file.toml",), "scenario 'missing/file.toml': no such file"),
        (("phase5", "--users", "0"), "--users: must be a whole number of at least 1 (got '0')"),
        (("phase5", "--users", "many"), "--users: must be a whole number of at least 1 (got 'many')"),
        (("phase5", "--duration", "30"), "--duration: '30' is not a duration (write e.g. '30s', '500ms' or '1h30m')"),
        (("phase5", "--host", "localhost:8000"), "--host: string should match pattern"),
        (("phase5", "--host", "http://127.0.0.1:abc"), "--host: the port must be a number from 0 to 65535"),
        (("phase5", "--host", "http://me:secret@127.0.0.1"), "--host: string should match pattern"),
        (("phase5", "--workers", "0"), "--workers: must be at least 1 (got 0)"),
        (("phase5", "--metrics-port", "many"), "--metrics-port: must be a port, 1 to 65535, or 0 for none (got 'many')"),
        (("phase5", "--metrics-port", "65536"), "--metrics-port: must be a port, 1 to 65535, or 0 for none (got '65536')"),
        (("phase5", "--stack", "none"), "--stack none: give --host, or target.host in the scenario"),
        (("phase5", "--stack", "embedded", "--host", NOBODY_THERE), "--stack embedded: the target is"),
        (("faults", "--host", NOBODY_THERE), "scenario faults: its faults harm a stack that the run itself starts; leave out"),
        (("phase5", "--host", NOBODY_THERE), "the scenario mints tokens: set LOADTEST_JWT_SECRET"),
    ],
)
def test_bad_arguments(arguments: tuple[str, ...], says: str, out: Path) -> None:
    """A wrong argument is named in one line, with exit code 2 and no results folder."""
    finished = run(*arguments, out=out).finish()
    assert finished.code == 2
    (line,) = finished.errors.strip().splitlines()
    assert line.startswith(f"loadtest: {says}")
    assert not out.exists()


def test_unreachable_host(out: Path) -> None:
    """A target that does not answer: exit code 4."""
    finished = run("smoke", "--host", NOBODY_THERE, out=out).finish()
    assert (finished.code, finished.errors) == (
        4,
        f"loadtest: target {NOBODY_THERE}: cannot be reached: Connection refused\n",
    )
    assert not out.exists()


def test_bad_database_address(out: Path) -> None:
    """A database address that cannot be understood is refused without repeating the password that is in it."""
    env = {"LOADTEST_DSN": "postgresql+asyncpg://me:sekrit@127.0.0.1/db"}
    finished = run("smoke", "--host", NOBODY_THERE, out=out, env=env).finish()
    assert finished.code == 2
    assert finished.errors.startswith("loadtest: LOADTEST_DSN: not an address of PostgreSQL")
    assert "sekrit" not in finished.errors + finished.output


def test_wrong_key(target: Target, out: Path) -> None:
    """A key that is not the target's is found out before the load, and the line says which setting is wrong."""
    finished = run("phase5", "--host", target.host, out=out, env={"LOADTEST_JWT_SECRET": "x" * 40}).finish()
    assert finished.code == 2
    (line,) = finished.errors.strip().splitlines()
    assert "answered 401 to a minted token: LOADTEST_JWT_SECRET is not the target's key" in line
    assert not list(out.glob("*/verdict.json"))


def test_login_refused(target: Target, out: Path, tmp_path: Path) -> None:
    """Guest logins that fail end the run before its load: exit code 4 and the path that failed."""
    scenario = tmp_path / "nologin.toml"
    scenario.write_text(
        'name = "nologin"\n[auth]\nmode = "guest"\nlogin = "/api/v1/auth/nobody"\nrefresh = "/x"\n'
        '[load]\nusers = 3\nduration = "3s"\n[[mix]]\njourney = "list_tasks"\n[objectives]\nfailures = "failure_ratio < 1%"\n'
    )
    finished = run(str(scenario), "--host", target.host, out=out).finish()
    assert finished.code == 4
    assert "the users are not ready: worker-1: POST /api/v1/auth/nobody failed for user" in finished.errors
    assert not list(out.glob("*/verdict.json"))


def test_unwritable_results(tmp_path: Path) -> None:
    """Results that cannot be written are found out before anything starts."""
    (tmp_path / "file").write_text("")
    finished = run("smoke", out=tmp_path / "file" / "results").finish()
    assert finished.code == 2
    assert "results folder" in finished.errors and "cannot be written: Not a directory" in finished.errors


def test_disk_refuses_in_the_middle(target: Target, out: Path) -> None:
    """A disk that takes no more in the middle of the load: exit code 3, one line with the file, and no verdict."""
    limit = 12_000

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    arguments = ("smoke", "--duration", "40s", "--users", "40", "--host", target.host)
    finished = run(*arguments, out=out, env=target.env, before=small_files).finish()
    assert finished.code == 3
    (line,) = finished.errors.strip().splitlines()
    assert line.startswith("loadtest: ") and "windows.jsonl: cannot be written: " in line
    assert not list(out.glob("*/verdict.json")) and not (out / "latest").exists()


def test_too_few_file_descriptors(out: Path) -> None:
    """Too low a limit on open files: the line says how many are needed and what to do."""

    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))

    finished = run("phase5", out=out, before=few).finish()
    assert finished.code == 2
    assert "a worker needs 10,200 file descriptors, the limit is 1,024" in finished.errors
    assert not out.exists()


def test_port_taken(out: Path) -> None:
    """A port that was asked for and is taken is an error, before anything is started."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        finished = run("smoke", "--api-port", str(port), out=out).finish()
    assert finished.code == 2
    assert f"port {port} is taken" in finished.errors
    assert not list(out.glob("*/verdict.json"))


PARTS = {
    "name": 'name = "x"',
    "load": '[load]\nusers = 1\nduration = "1s"',
    "mix": '[[mix]]\njourney = "list_tasks"',
    "objectives": '[objectives]\na = "rate > 1/s"',
}
BROKEN = {
    "toml": ("name", "name = ", "not valid TOML"),
    "key": ("name", 'name = "x"\nsede = 1', "sede: unknown key; did you mean 'seed'?"),
    "unit": ("load", '[load]\nusers = 1\nduration = "30"', "load.duration: '30' is not a duration"),
    "no-unit": ("load", "[load]\nusers = 1\nduration = 30", "load.duration: a duration is a text with a unit"),
    "users": ("load", '[load]\nusers = 0\nduration = "1s"', "load.users: input should be greater than or equal to 1 (got 0)"),
    "stages": (
        "load",
        '[load]\nusers = 1\nduration = "1s"\nstages = [{ duration = "1s", to = 1 }]',
        "load: give either stages or duration and ramp_up",
    ),
    "journey": ("mix", '[[mix]]\njourney = "buy"', "mix[0].journey: unknown journey 'buy'"),
    "metric": ("objectives", '[objectives]\na = "speed < 1s"', "objectives.a: 'speed' is no metric here"),
    "series": ("objectives", '[objectives]\na = "rate(buy) > 1/s"', "objectives.a: 'buy' is no request of the mix"),
    "limit": ("objectives", '[objectives]\na = "response_time.p95 < 200"', "objectives.a: '200' is not a quantity in us, ms"),
    "auth": ("auth", '[auth]\nmode = "guest"', "auth: mode 'guest' needs login and refresh"),
}


def test_validate_reports_every_error_once(tmp_path: Path, out: Path) -> None:
    """`loadtest validate` on eleven broken files and a good one: each error once, with file and key; exit code 2."""
    files = []
    for name, (part, fault, _) in BROKEN.items():
        files.append(tmp_path / f"{name}.toml")
        files[-1].write_text("\n".join({**PARTS, part: fault}.values()))
    files.append(tmp_path / "good.toml")
    files[-1].write_text("\n".join(PARTS.values()))
    finished = loadtest("validate", *map(str, files), out=out)
    assert finished.code == 2 and finished.errors == ""
    lines = finished.output.strip().splitlines()
    assert len(lines) == len(BROKEN), finished.output
    for line, (name, (_, _, says)) in zip(lines, BROKEN.items(), strict=True):
        assert line.startswith(f"{tmp_path / name}.toml: {says}"), line


def test_validate_reports_all_errors_of_one_file(tmp_path: Path, out: Path) -> None:
    """Several errors of one file are reported together."""
    file = tmp_path / "many.toml"
    file.write_text('[load]\nusers = "x"\nduration = "soon"\n[[mix]]\nweight = 1\n[objectives]\na = 1\n')
    finished = loadtest("validate", str(file), out=out)
    keys = [line.removeprefix(f"{file}: ").split(":")[0] for line in finished.output.strip().splitlines()]
    assert sorted(keys) == ["load.duration", "load.users", "mix[0].journey", "name", "objectives.a"]


def test_journeys_of_one_file_are_not_known_to_the_next(tmp_path: Path, out: Path) -> None:
    """Each file is judged by itself, and a journey file that exits is an error of its scenario, not the end of the command."""
    (tmp_path / "mine.py").write_text(
        "from loadtests.traffic.journeys import Person, journey\n\n"
        '@journey(requests=["x"])\ndef mine(person: Person) -> None:\n    pass\n'
    )
    (tmp_path / "exits.py").write_text("raise SystemExit(0)\n")
    mine = {**PARTS, "mix": '[[mix]]\njourney = "mine"'}
    (tmp_path / "a.toml").write_text("\n".join({**mine, "name": 'name = "a"\njourneys = ["mine.py"]'}.values()))
    (tmp_path / "b.toml").write_text("\n".join(mine.values()))
    (tmp_path / "c.toml").write_text("\n".join({**PARTS, "name": 'name = "c"\njourneys = ["exits.py"]'}.values()))
    finished = loadtest("validate", *(str(tmp_path / f"{name}.toml") for name in "cab"), out=out)
    assert finished.code == 2
    assert [line.split(": ")[0][-6:] for line in finished.output.strip().splitlines()] == ["c.toml", "b.toml"]


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("windows.jsonl", "[1]\n", "windows.jsonl:1: damaged"),
        ("events.jsonl", "{}\n", "a file is damaged"),
        ("events.jsonl", "{\n{}\n", "events.jsonl:1: damaged"),
        ("manifest.json", '{"version": 9}', "is of version 9, this harness reads version 3"),
        ("manifest.json", '{"version": 3}', "a file is damaged"),
    ],
)
def test_damaged_folder(file: str, text: str, says: str, tmp_path: Path, out: Path) -> None:
    """A folder whose files are not what a run writes gives one line and exit code 3, not a verdict."""
    scenario = tmp_path / "small.toml"
    scenario.write_text("\n".join(PARTS.values()))
    plan = load_plan(scenario)
    write_manifest(RunFolder(tmp_path), plan.to_json(), plan.hash, {"workers": 1, "stack": "none", "host": "http://h"})
    (tmp_path / file).write_text(text)
    finished = loadtest("verdict", str(tmp_path), out=out)
    assert finished.code == 3
    (line,) = finished.errors.strip().splitlines()
    assert says in line


def test_servers_gives_the_commands_exit_code(out: Path) -> None:
    """`loadtest servers` ends as its command did, and its servers end with it."""
    command = Command(out, ("servers", "--", "sh", "-c", 'test -n "$DATABASE_URL" && exit 7')).start()
    assert command.finish().code == 7
    assert command.left_behind(within_s=2.0) == []


def test_servers_takes_its_command_along(out: Path) -> None:
    """When `loadtest servers` is killed, its command does not go on without its servers."""
    command = Command(out, ("servers", "--", "sleep", "300")).start()
    command.wait_for_process("sleep 300")
    command.process.kill()
    command.process.wait()
    assert command.left_behind(within_s=20.0) == []
