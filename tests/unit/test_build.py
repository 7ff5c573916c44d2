"""Builds: equal ones have no difference, and a difference is named by the first thing that differs."""

from pathlib import Path

import loadtests
from loadtests.store.build import PACKAGES, difference, this_build


def test_the_same_installation_is_the_same_build() -> None:
    """However often it is asked; everything that counts has a version here."""
    build = this_build()
    assert difference(build, this_build()) is None
    assert set(build) == {"harness", "python", "source", *PACKAGES}
    assert "none" not in build.values()
    assert build["harness"] == loadtests.__version__


def test_a_difference_is_named_from_this_side() -> None:
    """Its first: a version says more than the digest of sources, which differs with it."""
    mine, other = {"harness": "0.2.0", "source": "aa"}, {"harness": "0.1.0", "source": "bb"}
    assert difference(mine, other) == "harness 0.2.0 here, 0.1.0 there"
    assert difference(mine, {**mine, "source": "bb"}) == "source aa here, bb there"


def test_what_only_one_side_has_is_a_difference() -> None:
    """On either side, as of a build that is older or newer."""
    assert difference({"harness": "1"}, {"harness": "1", "zlib": "2"}) == "zlib none here, 2 there"
    assert difference({"harness": "1", "zlib": "2"}, {"harness": "1"}) == "zlib 2 here, none there"


def test_a_changed_source_is_another_build(tmp_path: Path) -> None:
    """A changed line, a new file, a renamed one; not what Python writes beside them."""
    (tmp_path / "a.py").write_text("x = 1\n")
    first = this_build(tmp_path)["source"]
    (tmp_path / "a.pyc").write_text("cache")
    assert this_build(tmp_path)["source"] == first
    (tmp_path / "a.py").write_text("x = 2\n")
    second = this_build(tmp_path)["source"]
    (tmp_path / "a.py").rename(tmp_path / "b.py")
    assert len({first, second, this_build(tmp_path)["source"]}) == 3
