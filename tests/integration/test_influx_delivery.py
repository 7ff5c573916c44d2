"""Delivery to a server that misbehaves, over real HTTP: nothing is lost, nothing doubles, nothing hangs, memory is bounded."""

import resource
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtests.report.write import write_report
from loadtests.sinks import delivery, influx, influx_fake, transport
from loadtests.sinks.address import Address
from loadtests.sinks.delivery import Delivery, Undelivered
from loadtests.sinks.influx_fake import FakeInflux, Trouble, refuse
from loadtests.sinks.spool import Spool
from loadtests.store.records import read_lines
from loadtests.store.windows import read_windows
from tests.influxd import Influxd, points_of
from tests.unit.runs import SyntheticRun, complete

TOKEN = "planted-token-7f3a"


@pytest.fixture
def run(tmp_path: Path) -> SyntheticRun:
    """A run that was judged."""
    made = complete(SyntheticRun.create(tmp_path))
    write_report(made.folder)
    return made


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses and timeouts of a tenth."""
    for module, name in (
        (delivery, "FIRST_PAUSE_S"),
        (delivery, "MAX_PAUSE_S"),
        (delivery, "POLL_S"),
        (transport, "TIMEOUT_S"),
    ):
        monkeypatch.setattr(module, name, getattr(module, name) / 10)
    monkeypatch.setattr(influx, "TIMEOUT_S", transport.TIMEOUT_S)


@pytest.fixture(params=["1.8.10", "v2.7.1"])
def server(request: pytest.FixtureRequest) -> Iterator[FakeInflux]:
    """A server of either version."""
    with FakeInflux(request.param) as running:
        yield running


def deliver(run: SyntheticRun, server: FakeInflux, within_s: float = 10.0, follow: bool = False) -> Spool:
    """Carry the run's folder there."""
    spool = Spool(run.folder, "here")
    address = Address(server.url, "loadtest", org="0123456789abcdef", token=TOKEN)
    Delivery(spool, address, follow, within_s).run()
    return spool


def windows_of(run: SyntheticRun) -> int:
    """Seconds of the run."""
    return len(list(read_windows(run.folder.file("windows.jsonl"))))


def kept(server: FakeInflux, measurement: str) -> int:
    """Points of a measurement that the server has."""
    return sum(key.startswith(f"{measurement},") for key in server.points)


def test_all_of_a_run_arrives(run: SyntheticRun, server: FakeInflux) -> None:
    """Every window, compressed, with the token in its header; a second time changes nothing."""
    deliver(run, server)
    assert kept(server, "loadtest_window") == windows_of(run)
    assert kept(server, "loadtest_summary") == 1
    assert {head["Content-Encoding"] for head in server.headers} == {"gzip"}
    before = dict(server.points)
    again = Spool(run.folder, "here")
    again.forget()
    Delivery(again, Address(server.url, "loadtest", org="0123456789abcdef"), follow=False, within_s=5).run()
    assert server.points == before


TROUBLE: dict[str, list[Trouble]] = {
    "500": [refuse(500, "<html>oh</html>")] * 3,
    "503": [refuse(503)] * 2,
    "429 with Retry-After": [refuse(429, Retry_After="1")],
    "429 with nonsense": [refuse(429, Retry_After="soon")],
    "a redirect": [refuse(307, Location="http://127.0.0.1:1/write")],
    "200, which is no 204": [refuse(200, '{"results":[]}')],
    "204 after it was hung up": [influx_fake.hang_up],
    "garbage": [influx_fake.garbage] * 2,
    "an endless 500": [influx_fake.endless(500)],
    "an endless 200": [influx_fake.endless(200)],
    "a hang": [influx_fake.hang],
    "stored, and the answer lost": [influx_fake.stored_but_lost] * 3,
    "401 for a while": [refuse(401, "unauthorized")] * 2,
}


@pytest.mark.parametrize("name", TROUBLE)
def test_trouble_that_passes_costs_nothing(run: SyntheticRun, server: FakeInflux, name: str) -> None:
    """All points are there in the end, once each, and no dead letter."""
    with FakeInflux(server.version) as calm:
        deliver(run, calm)
        expected = dict(calm.points)
    run.folder.file("upload.json").unlink()
    server.trouble.extend(TROUBLE[name])
    spool = deliver(run, server, follow=True)
    assert not server.trouble, "the trouble was not met"
    assert server.points == expected
    assert spool.progress.dead == 0 and spool.progress.trouble is None


def test_bad_lines_alone_are_dead_letters(run: SyntheticRun, server: FakeInflux) -> None:
    """400 for a batch: its other lines arrive, the bad ones are kept with the reason, and are counted."""
    server.always = influx_fake.refuse_lines("loadtest_lateness")
    spool = deliver(run, server)
    letters = list(read_lines(run.folder.file("dead_letters.jsonl")))
    assert spool.progress.dead == len(letters) > 0
    assert all(one["line"].startswith("loadtest_lateness,") and one["status"] == 400 for one in letters)
    assert all("field type conflict" in one["reason"] for one in letters)
    assert kept(server, "loadtest_window") == windows_of(run)


def test_a_batch_that_is_all_bad_is_not_searched_for_ever(
    run: SyntheticRun, server: FakeInflux, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After so many requests what is left of it is kept as it is."""
    monkeypatch.setattr(delivery, "MAX_SEARCHES", 10)
    server.always = refuse(400, "no")
    spool = deliver(run, server)
    assert spool.progress.dead == len(list(read_lines(run.folder.file("dead_letters.jsonl"))))
    assert spool.progress.points == 0
    assert server.writes < 100


def test_what_is_too_large_is_split(run: SyntheticRun, server: FakeInflux) -> None:
    """413: halves, until they fit."""
    server.always = influx_fake.refuse_more_than(7)
    spool = deliver(run, server)
    assert spool.progress.dead == 0
    assert kept(server, "loadtest_window") == windows_of(run)


def test_a_line_that_is_too_large_is_a_dead_letter(run: SyntheticRun, server: FakeInflux) -> None:
    """413 for a single line."""
    server.always = influx_fake.refuse_more_than(0)
    spool = deliver(run, server)
    assert spool.progress.points == 0 and spool.progress.dead > 0


def test_a_missing_database_is_made(run: SyntheticRun) -> None:
    """404: version 1 by `CREATE DATABASE`."""
    with FakeInflux(database=False) as server:
        deliver(run, server)
        assert kept(server, "loadtest_window") == windows_of(run)


def test_a_missing_bucket_is_made(run: SyntheticRun) -> None:
    """404: version 2 by its API of buckets."""
    with FakeInflux("v2.7.1", database=False) as server:
        deliver(run, server)
        assert kept(server, "loadtest_window") == windows_of(run)


@pytest.mark.parametrize("status", [401, 403])
def test_who_is_refused_is_told_at_once(run: SyntheticRun, server: FakeInflux, status: int) -> None:
    """`loadtest upload` does not wait for somebody to mend a token; the answer is told without it."""
    server.always = refuse(status, f"no such token: {TOKEN}")
    began = time.monotonic()
    with pytest.raises(Undelivered, match=rf"{status} no such token: \*\*\*"):
        deliver(run, server, within_s=30)
    assert time.monotonic() - began < 5


def test_time_is_up(run: SyntheticRun, server: FakeInflux) -> None:
    """A server that stays in trouble is waited for as long as was said; what was delivered stays delivered."""
    server.always = refuse(500, "busy")
    with pytest.raises(Undelivered, match="500 busy"):
        deliver(run, server, within_s=0.5)
    server.always = None
    deliver(run, server)
    assert kept(server, "loadtest_window") == windows_of(run)


def test_no_server_at_all(run: SyntheticRun) -> None:
    """Nothing listens: said in words, without the objects of a library."""
    spool = Spool(run.folder, "here")
    with pytest.raises(Undelivered, match=r"^ConnectionRefusedError: Connection refused$"):
        Delivery(spool, Address("http://127.0.0.1:1", "loadtest"), follow=False, within_s=0.3).run()


def test_no_influxdb_at_all(run: SyntheticRun) -> None:
    """Something else answers: said so."""
    with (
        FakeInflux(version="") as server,
        pytest.raises(Undelivered, match="/ping answered 204 without a version: no InfluxDB"),
    ):
        deliver(run, server, within_s=0.3)


def test_an_endless_answer_takes_no_memory(run: SyntheticRun, server: FakeInflux) -> None:
    """Of a body without an end a few kilobytes are read."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    server.trouble.extend([influx_fake.endless(200)] * 5)
    deliver(run, server)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # kB


def test_the_token_is_in_no_file(run: SyntheticRun, server: FakeInflux) -> None:
    """Whatever the server says: not in progress, not in dead letters."""
    server.trouble.extend([refuse(401, TOKEN), refuse(500, TOKEN), refuse(400, TOKEN)])
    server.always = refuse(400, TOKEN)
    deliver(run, server, follow=True)
    texts = [path.read_text(errors="replace") for path in run.folder.path.rglob("*") if path.is_file()]
    assert any('"status":400' in text for text in texts)
    assert not any(TOKEN in text for text in texts)


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_real_influxdb_holds_what_the_files_say(run: SyntheticRun, tmp_path: Path, version: str) -> None:
    """By `/write`, and by influxdb-client through `/api/v2/write` in front of the same server: each point, each field."""
    (tmp_path / "influxd").mkdir()
    with Influxd(tmp_path / "influxd") as influxd:
        influxd.make()
        if version == "1":
            Delivery(Spool(run.folder, "here"), Address(influxd.url, "loadtest"), follow=False, within_s=10).run()
        else:
            with FakeInflux("v2.7.1", behind=f"{influxd.url}/write?db=loadtest&precision=ns") as front:
                deliver(run, front)
        assert influxd.points() == points_of(run.folder.path)
