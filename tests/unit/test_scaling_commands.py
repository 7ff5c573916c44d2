"""`loadtest usl` and `loadtest hpa`, from their arguments to what they print and write."""

import subprocess
import sys
from pathlib import Path

import pytest

from loadtests.cli import main

POINTS = ("1=955.16", "2=1878.91", "4=3548.68", "8=6531.08", "16=9897.24")


def test_usl_says_how_many(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The law, where its intervals come from, an answer with its interval, and why there is none."""
    page = tmp_path / "usl.html"
    arguments = ["usl", *POINTS, "--target", "9000/s", "--target", "20000", "--unit", "workers", "--out", str(page)]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert "9,000/s: 14 workers (95 %: 13 to 14)" in said
    assert "20,000/s: not reached; at most" in said
    assert "Student's t, degrees of freedom: 2" in said
    html = page.read_text()
    assert html.count("<svg") == 1
    assert "9,000/s" in html
    assert "<script" not in html


@pytest.mark.parametrize("separator", [" ", ",", ";", "\t", ", "])
def test_usl_from_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path, separator: str) -> None:
    """Two columns with a head, comments and repetitions say the same as arguments."""
    file = tmp_path / "points.csv"
    rows = [point.replace("=", separator) for point in POINTS]
    file.write_text("\n".join([f"instances{separator}rate", "# measured", "", *rows]) + "  # again\n")
    assert main(["usl", str(file)]) == 0
    from_file = capsys.readouterr().out
    assert main(["usl", *POINTS]) == 0
    assert capsys.readouterr().out == from_file


def test_hpa_of_a_scenario(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A scenario's load stretched to ten minutes: figures, each change, a page with both charts."""
    page = tmp_path / "hpa.html"
    assert main(["hpa", "spike", "--users", "20000", "--duration", "10m", "--capacity", "2100", "--out", str(page)]) == 0
    said = capsys.readouterr().out
    assert "40,000/s" in said
    assert "32 (more than there may be)" in said
    assert "3 to 5" in said
    assert page.read_text().count("<svg") == 2


def test_hpa_with_another_behavior(capsys: pytest.CaptureFixture[str]) -> None:
    """A turn of two requests is twice the load of one, and Kubernetes' default scales down at once after its five minutes."""
    common = ["hpa", "spike", "--users", "10000", "--requests", "2", "--duration", "10m", "--capacity", "2100"]
    assert main([*common, "--behavior", "default"]) == 0
    default = capsys.readouterr().out
    assert main(common) == 0
    assert "40,000/s" in default
    assert default != capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("usl", "1=955"), "needs measurements of three different numbers of units (got 1)"),
        (("usl", "1=955", "2=x", "4=1"), "2=x: 'x' is not a number"),
        (("usl", "1=955", "2=0", "4=1"), "2=0: a throughput is above 0"),
        (("usl", "1=955", f"2={'x' * 300}", "4=1"), "x' is not a number"),
        (("usl", "nofile.csv"), "nofile.csv: no measurement such as 2=1878, and no file with two columns"),
        (("usl", "1=1", "2=2", "3=3", "--target", "-4"), "--target: must be above 0 (got -4)"),
        (("usl", "1=1", "2=2", "3=3", "--out", "nofolder/usl.html"), "--out nofolder/usl.html: No such file or directory"),
        (("hpa", "nonesuch", "--capacity", "5"), "scenario 'nonesuch' is unknown"),
        (("hpa", "classic", "--capacity", "5"), "classic: no rate over time, but answers or a recording"),
        (("hpa", "spike", "--capacity", "much"), "--capacity: 'much/s' is not a quantity in /s, /m"),
        (("hpa", "spike", "--capacity", "5", "--target", "60"), "--target: '60' is not a quantity in %"),
        (("hpa", "spike", "--capacity", "5", "--target", "0.0000001%"), "hpa: the target utilisation is at least 1 %"),
        (("hpa", "spike", "--capacity", "0"), "--capacity: must be above 0 (got 0)"),
        (("hpa", "spike", "--capacity", "5", "--min", "9", "--max", "4"), "hpa: the least number of pods lies between 1 and"),
        (("hpa", "spike", "--capacity", "5", "--startup", "5"), "--startup: '5' is not a duration"),
        (("hpa", "spike", "--capacity", "5", "--behavior", "no.toml"), "no.toml: No such file or directory"),
        (("hpa", "spike", "--capacity", "5", "--requests", "0"), "--requests: must be above 0 and below 1000 (got 0)"),
        (("hpa", "spike", "--capacity", "5", "--users", "0"), "--users: must be a whole number of at least 1 (got '0')"),
    ],
)
def test_bad_input(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], says: str) -> None:
    """One line on standard error, exit code 2."""
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


def test_a_file_with_three_columns(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The line that is wrong is named."""
    file = tmp_path / "points.csv"
    file.write_text("1 955\n2 1878 7\n")
    assert main(["usl", str(file)]) == 2
    assert f"{file}:2: two columns are needed" in capsys.readouterr().err


def test_other_commands_do_not_pay_for_it() -> None:
    """The command line starts without numpy and scipy."""
    code = "import sys, loadtests.cli; print(sorted({'numpy', 'scipy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize(
    ("points", "says"),
    [
        (("1=100", "2=200", "4=400", "8=800"), ["throughput never falls, and has no limit", "nothing is lost by sharing"]),
        (
            ("1=100", "2=100", "4=100", "8=100"),
            ["does not exceed 100", "11 instances if nothing were lost, never if only contention were"],
        ),
        (("1=100", "2=180", "4=300"), ["no intervals: as many measurements as coefficients", "not known"]),
    ],
)
def test_usl_says_what_it_cannot_say(capsys: pytest.CaptureFixture[str], points: tuple[str, ...], says: list[str]) -> None:
    """A law without contention, one with nothing but contention, and one without a measurement to spare."""
    assert main(["usl", *points, "--target", "1010"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert [text for text in says if text not in said] == []
