"""The spool: windows are numbered and checksummed, positions move only past what was delivered."""

from pathlib import Path

import pytest

from loadtests.errors import InputError, RunError
from loadtests.measure.window import Window
from loadtests.report.write import write_report
from loadtests.sinks.spool import Parcel, Spool, alone
from loadtests.store.windows import WindowWriter, read_windows
from tests.unit.runs import SyntheticRun, complete

PLACE = "http://influx loadtest"


@pytest.fixture
def run(tmp_path: Path) -> SyntheticRun:
    """A run that was judged."""
    made = complete(SyntheticRun.create(tmp_path))
    write_report(made.folder)
    return made


def drain(spool: Spool) -> list[Parcel]:
    """Deliver everything."""
    parcels = []
    while (parcel := spool.next()) is not None:
        parcels.append(parcel)
        spool.delivered(parcel)
    return parcels


def test_a_torn_end_is_cut_off_and_writing_goes_on(tmp_path: Path) -> None:
    """A writer that died in the middle of a line costs that line; the next one follows with its number."""
    path = tmp_path / "windows.jsonl"
    first = WindowWriter(path)
    first.append(Window(0), Window(1))
    whole = path.read_bytes()
    first.append(Window(2))
    first.close()
    path.write_bytes(path.read_bytes()[:-7])
    assert [window.number for window in read_windows(path)] == [0, 1]
    second = WindowWriter(path)
    assert path.read_bytes() == whole
    second.append(Window(3))
    second.close()
    assert [window.number for window in read_windows(path)] == [0, 1, 3]


@pytest.mark.parametrize("damage", [b'"users":9', b'"seq":7'])
def test_a_changed_byte_is_seen(tmp_path: Path, damage: bytes) -> None:
    """Whatever was changed after a line was written, the line is refused, with its place."""
    path = tmp_path / "windows.jsonl"
    writer = WindowWriter(path)
    writer.append(Window(0), Window(1))
    writer.close()
    path.write_bytes(path.read_bytes().replace(b'"seq":1', damage))
    with pytest.raises(RunError, match=r"windows.jsonl:2: damaged: its checksum"):
        list(read_windows(path))


def test_a_line_that_is_missing_is_seen(tmp_path: Path) -> None:
    """Numbers have no gaps."""
    path = tmp_path / "windows.jsonl"
    writer = WindowWriter(path)
    writer.append(Window(0), Window(1), Window(2))
    writer.close()
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[2])
    with pytest.raises(RunError, match="it has the number 2, and 1 was to come"):
        list(read_windows(path))


def test_everything_is_delivered_once(run: SyntheticRun) -> None:
    """All windows, events and the verdict; afterwards there is nothing, in another process either."""
    spool = Spool(run.folder, PLACE)
    parcels = drain(spool)
    windows = len(list(read_windows(run.folder.file("windows.jsonl"))))
    assert spool.progress.files["windows"].records == windows > 0
    assert spool.progress.verdict
    assert parcels[-1].file is None and any("loadtest_summary" in line for line in parcels[-1].lines)
    assert Spool(run.folder, PLACE).next() is None


def test_what_was_not_delivered_comes_again(run: SyntheticRun) -> None:
    """A crash between sending and noting repeats the parcel, with the same points to the letter."""
    one, other = Spool(run.folder, PLACE).next(), Spool(run.folder, PLACE).next()
    assert one == other is not None


def test_places_have_positions_of_their_own(run: SyntheticRun) -> None:
    """Delivering to one place says nothing of another."""
    drain(Spool(run.folder, PLACE))
    elsewhere = Spool(run.folder, "http://other loadtest")
    assert elsewhere.next() is not None
    drain(elsewhere)
    assert Spool(run.folder, PLACE).next() is None


def test_again_is_everything_with_the_same_points(run: SyntheticRun) -> None:
    """`--again` sends what was sent before."""
    spool = Spool(run.folder, PLACE)
    first = drain(spool)
    spool.forget()
    assert drain(spool) == first


def test_nothing_is_sent_before_the_load_begins(tmp_path: Path) -> None:
    """Points have the time of the load; probes of the time before it wait until that is known."""
    run = SyntheticRun.create(tmp_path)
    run.folder.file("probes.jsonl").write_text('{"time":1.0,"samples":[["m",null,1]],"gaps":{}}\n')
    spool = Spool(run.folder, PLACE)
    assert spool.next() is None
    run.start()
    assert {parcel.file for parcel in drain(spool)} == {"events", "probes"}


def test_only_one_process_delivers_a_folder(run: SyntheticRun) -> None:
    """A second one is told so."""
    with alone(run.folder), pytest.raises(InputError, match="is being uploaded by another process"), alone(run.folder):
        pass
    with alone(run.folder):
        pass
