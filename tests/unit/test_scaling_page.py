"""docs/scaling.md: each figure beside the one that was published, and it is the one that the code computes."""

from collections.abc import Callable, Iterator

import pytest

from loadtests.capacity.usl import Law, fit
from loadtests.cli import main
from tests.unit.manifests import ROOT
from tests.unit.published import CISCO, DATA, FIGURES
from tests.unit.published_hpa import LIMITS, RESOURCES, WINDOWS, limited, proposed, stabilized


def usl_rows() -> Iterator[str]:
    """As the page has them: with as many decimals as were published."""
    fits = {name: fit(points) for name, points in DATA.items()}
    for data, figure, published, computed in FIGURES:
        decimals = len(published.partition(".")[2])
        yield f"| {data} | {figure} | {published} | {computed(fits[data]):.{decimals}f} |"


def hpa_rows() -> Iterator[str]:
    """As the page has them: pods before, pods that Kubernetes' tests expect, pods computed."""
    yield from (f"| {row[0]} | {row[1]} | {row[-1]} | {proposed(row)} |" for row in RESOURCES)
    yield from (f"| {row[0]} | {row[7]} | {row[-1]} | {limited(row)} |" for row in LIMITS)
    yield from (f"| {row[0]} | {row[2]} | {row[-1]} | {stabilized(row)} |" for row in WINDOWS)


@pytest.mark.parametrize("rows", [usl_rows, hpa_rows])
def test_figures_side_by_side(rows: Callable[[], Iterator[str]]) -> None:
    """Every published figure stands in the page, with the one that is computed now."""
    text = (ROOT / "docs" / "scaling.md").read_text()
    assert [row for row in rows() if row not in text] == []


def test_the_example_says_what_the_page_says(capsys: pytest.CaptureFixture[str]) -> None:
    """The first command of the page answers as the page has it."""
    text = (ROOT / "docs" / "scaling.md").read_text()
    command = "loadtest usl 1=955 2=1878 4=3548 8=6531 16=9897 --target 10000"
    assert command in text
    assert main([*command.split()[1:], "--target", "20000"]) == 0
    answers = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("10,000/s", "20,000/s"))]
    assert [answer for answer in answers if f"`{answer}`" not in text] == []
    assert len(answers) == 2


def test_published_and_computed_agree() -> None:
    """To a hundred thousandth, or a unit of the last decimal that was published where that is coarser."""
    for row in usl_rows():
        published, computed = row.strip("| ").split(" | ")[2:]
        last = 1.01 * 10.0 ** -len(published.partition(".")[2])
        assert float(computed) == pytest.approx(float(published), rel=1e-5, abs=last), row


def test_no_fit_is_worse_than_the_published_one() -> None:
    """Where the last digits differ the published fit stopped a little before the least sum of squares."""
    book = Law(995.6486, 0.02671591, 7.690945e-4)

    def squares(law: Law) -> float:
        return sum((rate - law.throughput(units)) ** 2 for units, rate in CISCO)

    assert squares(fit(CISCO).law) <= squares(book)
