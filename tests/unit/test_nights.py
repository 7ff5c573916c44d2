"""Folders of nights: which ones keep their runs."""

from pathlib import Path

from loadtests.store.nights import remove_old_runs


def _night(results: Path, name: str) -> Path:
    """A night with runs and a summary."""
    night = results / name
    (night / "runs" / "one").mkdir(parents=True)
    (night / "night.md").touch()
    return night


def _kept(nights: list[Path]) -> list[bool]:
    return [(night / "runs").is_dir() for night in nights]


def test_the_newest_nights_and_those_that_are_named_keep_their_runs(tmp_path: Path) -> None:
    """The others keep their summaries."""
    nights = [_night(tmp_path, f"2026010{day}T021700-nightly-ab1{day}") for day in range(1, 6)]
    remove_old_runs(tmp_path, "nightly", 2, but=[nights[1].name])
    assert _kept(nights) == [False, True, False, True, True]
    assert all((night / "night.md").is_file() for night in nights)


def test_what_is_no_night_of_this_suite_is_left_alone(tmp_path: Path) -> None:
    """Other suites, folders that look alike, links; and no folder of results is none to tidy."""
    names = ["20260101T021700-nightly-b-ab12", "20260101T021700-other-ab12", "nightly", "20260101-nightly-ab12"]
    others = [_night(tmp_path, name) for name in names]
    elsewhere = _night(tmp_path / "elsewhere", "night")
    (tmp_path / "20260101T021700-nightly-cd34").symlink_to(elsewhere)
    remove_old_runs(tmp_path, "nightly", 0)
    assert _kept([*others, elsewhere]) == [True] * 5
    remove_old_runs(tmp_path / "nowhere", "nightly", 0)
