"""docs/scaling.md: each figure beside the one that was published, and it is the one that the code computes."""

from collections.abc import Callable, Iterator

import pytest

from loadtests.capacity.usl import fit
from tests.unit.manifests import ROOT
from tests.unit.published import DATA, FIGURES
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


def test_published_and_computed_agree() -> None:
    """To a unit of the last decimal that was published."""
    for row in usl_rows():
        published, computed = row.strip("| ").split(" | ")[2:]
        assert float(computed) == pytest.approx(float(published), abs=1.01 * 10.0 ** -len(published.partition(".")[2])), row
