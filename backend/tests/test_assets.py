"""The page: how it is built, and how nginx serves it as origin and edge of a CDN."""

import gzip
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from app import assets
from tests.edge_support import (
    Answer,
    Request,
    RunningEdge,
    free_port,
    running_edge,
    statuses,
    upstream,
)
from tests.support import BACKEND, eventually

FOREVER = "public, max-age=31536000, immutable"
PAGE = "/static/index.html"
MANIFEST = "/static/manifest.json"
PLAIN = {"Accept-Encoding": "identity"}


@pytest.fixture
def folder() -> Iterator[Path]:
    """A place for nginx's prefix; pytest's own folders are closed to workers of another account."""
    with tempfile.TemporaryDirectory(prefix="edge-") as name:
        Path(name).chmod(0o755)
        yield Path(name) / "edge"


@pytest.fixture
def edge(folder: Path) -> Iterator[RunningEdge]:
    """Run nginx with the project's own page, before an API that is not there."""
    with running_edge(folder, free_port()) as running:
        yield running


def script(edge: RunningEdge) -> str:
    """Path of the page's script."""
    manifest = json.loads((edge.folder / "web/static/manifest.json").read_text())
    return f"/static/{manifest['app.js']}"


def cache_status(response: httpx.Response) -> str:
    """What the edge says of the answer: MISS, HIT ..."""
    return str(response.headers["X-Cache-Status"])


# --- The build.


def test_names_are_made_of_content(tmp_path: Path) -> None:
    """The first 12 hex digits of the SHA-256 stand in the name; page and manifest use the names."""
    names = assets.build(assets.WEB, tmp_path)
    assert sorted(names) == ["app.js", "style.css"]
    page = (tmp_path / "index.html").read_text()
    for name, hashed in names.items():
        content = (tmp_path / hashed).read_bytes()
        digest = hashlib.sha256(content).hexdigest()[:12]
        assert hashed == name.replace(".", f".{digest}.")
        assert content == (assets.WEB / name).read_bytes()
        assert f'"{hashed}"' in page
        assert f'"{name}"' not in page
    assert json.loads((tmp_path / "manifest.json").read_text()) == names


def test_each_file_has_its_compressed_twin(tmp_path: Path) -> None:
    """With the same content."""
    names = assets.build(assets.WEB, tmp_path)
    files = [*names.values(), "index.html", "manifest.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [*files, *(f"{name}.gz" for name in files)]
    )
    for name in files:
        twin = (tmp_path / f"{name}.gz").read_bytes()
        assert gzip.decompress(twin) == (tmp_path / name).read_bytes()


def test_two_builds_are_the_same(tmp_path: Path) -> None:
    """Byte for byte and in their times, of which nginx makes the ETags."""
    for name in ("one", "two"):
        assets.build(assets.WEB, tmp_path / name)
    for path in (tmp_path / "one").iterdir():
        twin = tmp_path / "two" / path.name
        assert path.read_bytes() == twin.read_bytes()
        assert path.stat().st_mtime_ns == twin.stat().st_mtime_ns


def test_a_change_shows_in_names_and_times_and_keeps_the_old_file(tmp_path: Path) -> None:
    """The new page has the same size as the old one, so its time must tell them apart."""
    source, out = tmp_path / "web", tmp_path / "out"
    shutil.copytree(assets.WEB, source)
    old = assets.build(source, out)
    before = (out / "index.html").stat()
    (source / "style.css").write_text("body { color: red; }")
    new = assets.build(source, out)
    after = (out / "index.html").stat()
    assert new["app.js"] == old["app.js"]
    assert new["style.css"] != old["style.css"]
    assert (out / old["style.css"]).exists()
    assert before.st_size == after.st_size
    assert before.st_mtime != after.st_mtime


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [("app.js", "index.html names app.js, which does not exist"), ("index.html", "No such file")],
)
def test_a_missing_source_is_one_line(tmp_path: Path, broken: str, complaint: str) -> None:
    """On stderr, with exit code 2; no page is written."""
    source = tmp_path / "web"
    shutil.copytree(assets.WEB, source)
    (source / broken).unlink()
    done = build("--source", str(source), "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    assert complaint in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out/index.html").exists()


def build(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `app.assets` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "app.assets", *arguments],
        cwd=BACKEND,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_built_folder_can_be_given(tmp_path: Path, folder: Path) -> None:
    """`app.edge --static` serves it, even from a place that its workers cannot reach."""
    assert build("--out", str(tmp_path / "out")).returncode == 0
    tmp_path.joinpath("out", "more.json").write_text("[]")
    options = ("--static", str(tmp_path / "out"))
    with running_edge(folder, free_port(), options=options) as edge:
        assert edge.get(PAGE).status_code == 200
        assert edge.get("/static/more.json").json() == []


# --- What browsers get.


def test_the_page_and_all_that_it_names_are_there(edge: RunningEdge) -> None:
    """From `/` on; with types that browsers accept under nosniff, and a policy that allows them."""
    page = edge.client.get("/", follow_redirects=True)
    assert page.url.path == PAGE
    assert page.headers["Content-Type"] == "text/html"
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    names = re.findall(r'(?:href|src)="([^"]+)"', page.text)
    types = [edge.get(f"/static/{name}").headers["Content-Type"] for name in names]
    assert types == ["text/css", "text/javascript"]
    for path in (PAGE, f"/static/{names[0]}", "/static/nothing.js"):
        assert edge.get(path).headers.get_list("X-Content-Type-Options") == ["nosniff"]


def test_only_hashed_names_are_kept_for_ever(edge: RunningEdge) -> None:
    """Browsers ask again for the page and the manifest each time; what is missing has no term."""
    assert edge.get(script(edge)).headers["Cache-Control"] == FOREVER
    for path in (PAGE, MANIFEST):
        response = edge.get(path)
        assert response.headers.get_list("Cache-Control") == ["no-cache"]
        assert "X-Accel-Expires" not in response.headers
    missing = edge.get("/static/app.0123456789ab.js")
    assert missing.status_code == 404
    assert "Cache-Control" not in missing.headers


def test_what_is_unchanged_is_not_sent_again(edge: RunningEdge) -> None:
    """304 for the ETag, from the origin's first answer and from the cache."""
    for path in (PAGE, script(edge)):
        etag = edge.get(path).headers["ETag"]
        assert etag.startswith('"')
        for _ in range(2):
            again = edge.get(path, **{"If-None-Match": etag})
            assert (again.status_code, again.content) == (304, b"")
        assert "Last-Modified" not in again.headers


def test_the_compressed_twin_is_sent_as_it_is(edge: RunningEdge) -> None:
    """To those who want gzip; the others get the file. The two differ in their ETags."""
    path = script(edge)
    file = edge.folder / f"web{path}"
    with edge.client.stream("GET", path, headers={"Accept-Encoding": "gzip"}) as zipped:
        raw = b"".join(zipped.iter_raw())
    plain = edge.get(path)
    assert raw == file.with_name(f"{file.name}.gz").read_bytes()
    assert plain.content == file.read_bytes()
    assert zipped.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert zipped.headers["ETag"] != plain.headers["ETag"]
    for response in (zipped, plain):
        assert response.headers.get_list("Vary") == ["Accept-Encoding"]


@pytest.mark.parametrize(
    "path", ["/static/../nginx.conf", "/static/%2e%2e/%2e%2e/nginx.conf", "/static/..%2f../x"]
)
def test_nothing_else_is_served(edge: RunningEdge, path: str) -> None:
    """No way leads out of the page's folder."""
    (status,) = statuses(edge.pipelined(f"GET {path}"))
    assert status in (400, 404, 502)  # 502: not under /static/ at all, so it is the API's


def test_assets_are_read_only(edge: RunningEdge) -> None:
    """Other methods are refused."""
    assert edge.client.post(PAGE).status_code == 405


# --- The edge.


def test_an_asset_is_fetched_once(edge: RunningEdge) -> None:
    """MISS, then HIT; also for HEAD, for parts, with a query, and for other people."""
    path = script(edge)
    assert cache_status(edge.get(path)) == "MISS"
    hits = [
        edge.get(path),
        edge.client.head(path, headers=PLAIN),
        edge.get(f"{path}?bust=1"),
        edge.get(path, Cookie="a=b", Authorization="Bearer x"),
        edge.get(path, Range="bytes=0-9"),
    ]
    assert [cache_status(hit) for hit in hits] == ["HIT"] * 5
    assert [hit.status_code for hit in hits] == [200, 200, 200, 200, 206]
    assert hits[4].content == hits[0].content[:10]


def test_all_spellings_of_accept_encoding_share_two_copies(edge: RunningEdge) -> None:
    """One compressed, one not; `gzip;q=0` asks for the second."""
    path = script(edge)
    spellings = {
        "gzip, deflate, br": ("MISS", "gzip"),
        "br;q=1.0, GZIP;q=0.8": ("HIT", "gzip"),
        "identity": ("MISS", None),
        "br, gzip;q=0": ("HIT", None),
        "gzip;q=0.0, deflate": ("HIT", None),
    }
    for spelling, expected in spellings.items():
        response = edge.get(path, **{"Accept-Encoding": spelling})
        assert (cache_status(response), response.headers.get("Content-Encoding")) == expected


def test_a_miss_is_forgotten_soon(edge: RunningEdge) -> None:
    """An unknown asset is 404; once it exists, it is served within seconds."""
    path = "/static/late.0123456789ab.js"
    assert [cache_status(edge.get(path)) for _ in range(2)] == ["MISS", "HIT"]
    assert edge.get(path).status_code == 404
    (edge.folder / f"web{path}").write_text("1")
    eventually(lambda: edge.get(path).status_code == 200, "the new asset is there")


def test_a_new_page_is_seen_within_a_second(edge: RunningEdge, tmp_path: Path) -> None:
    """By everybody who comes later: a page that may be old is never shown while there is a new."""
    source = tmp_path / "web"
    shutil.copytree(assets.WEB, source)
    (source / "style.css").write_text("body { color: red; }")
    old = edge.get(PAGE)
    new = assets.build(source, edge.folder / "web/static")["style.css"]
    released_s = time.monotonic()
    seen = [old]
    while new not in seen[-1].text:
        assert time.monotonic() - released_s < 3
        seen.append(edge.get(PAGE))
    assert {cache_status(response) for response in seen[1:-1]} <= {"HIT"}
    assert cache_status(seen[-1]) == "EXPIRED"
    assert seen[-1].headers["ETag"] != old.headers["ETag"]
    assert edge.get(f"/static/{new}").text == "body { color: red; }"


def test_an_unchanged_page_is_not_fetched_again(edge: RunningEdge) -> None:
    """After its second the edge asks the origin whether there is a new one, by ETag."""
    edge.get(PAGE)
    eventually(lambda: cache_status(edge.get(PAGE)) == "REVALIDATED", "the edge has asked")
    assert cache_status(edge.get(PAGE)) == "HIT"


def test_the_page_outlives_its_origin(edge: RunningEdge) -> None:
    """What the edge has, it serves, stale if need be; what it has not is 502 for that time."""
    path = script(edge)
    for known in (PAGE, path, MANIFEST):
        assert edge.get(known).status_code == 200
    socket = edge.folder / "origin.sock"
    socket.rename(edge.folder / "origin.away")
    eventually(lambda: cache_status(edge.get(PAGE)) == "STALE", "the page's second is over")
    assert edge.get(PAGE).status_code == edge.get(MANIFEST).status_code == 200
    assert cache_status(edge.get(path)) == "HIT"
    assert edge.get("/static/unknown.json").status_code == 502
    (edge.folder / "origin.away").rename(socket)
    eventually(lambda: edge.get("/static/unknown.json").status_code == 404, "the origin is back")


def test_an_origin_that_fails_is_not_shown(edge: RunningEdge) -> None:
    """The last good answer is, instead of its 503."""
    assert edge.get(PAGE).status_code == 200
    (edge.folder / "origin.sock").unlink()
    with upstream(lambda _: Answer(status=503), edge.folder / "origin.sock") as origin:
        eventually(lambda: cache_status(edge.get(PAGE)) == "STALE", "the page's second is over")
        assert edge.get(PAGE).status_code == 200
    assert origin.requests


def test_a_crowd_asks_the_origin_once(edge: RunningEdge) -> None:
    """Of 20 who want at once what the edge has not, one fetches it and the others wait."""

    def slow(_: Request) -> Answer:
        time.sleep(0.3)
        return Answer(b"[1]", headers={"Cache-Control": FOREVER})

    (edge.folder / "origin.sock").unlink()
    with (
        upstream(slow, edge.folder / "origin.sock") as origin,
        ThreadPoolExecutor(20) as crowd,
    ):
        responses = list(crowd.map(lambda _: edge.get("/static/a.0123456789ab.json"), range(20)))
    assert [response.text for response in responses] == ["[1]"] * 20
    assert sorted({cache_status(response) for response in responses}) == ["HIT", "MISS"]
    assert len(origin.requests) == 1


def test_others_do_not_wait_while_the_edge_renews_an_asset(edge: RunningEdge) -> None:
    """They get the old one meanwhile; one request, in the background, fetches the new one.

    Who caused it has the old one too, but nginx keeps that connection's next request waiting.
    """
    release = threading.Event()

    def slow(request: Request) -> Answer:
        if len(origin.requests) > 1:
            release.wait(10)
        return Answer(b"%d" % len(origin.requests), headers={"X-Accel-Expires": "1"})

    (edge.folder / "origin.sock").unlink()
    with upstream(slow, edge.folder / "origin.sock") as origin:
        assert edge.get(MANIFEST).text == "1"
        eventually(lambda: cache_status(edge.get(MANIFEST)) == "STALE", "its second is over")
        with httpx.Client(base_url=edge.client.base_url, trust_env=False) as other:
            meanwhile = [other.get(MANIFEST, headers=PLAIN) for _ in range(5)]
        release.set()
        eventually(lambda: edge.get(MANIFEST).text == "2", "the new one is there")
    assert {(cache_status(one), one.text) for one in meanwhile} == {("UPDATING", "1")}
    assert len(origin.requests) == 2


def test_the_origin_learns_nothing_of_the_client(edge: RunningEdge) -> None:
    """No token, no cookie; and a cookie of the origin is neither kept nor passed on."""
    answer = Answer(headers={"Cache-Control": FOREVER, "Set-Cookie": "a=b", "Vary": "Cookie"})
    path = "/static/a.0123456789ab.json"
    (edge.folder / "origin.sock").unlink()
    with upstream(lambda _: answer, edge.folder / "origin.sock") as origin:
        responses = [
            edge.get(path, Cookie=f"user={user}", Authorization=f"Bearer {user}") for user in "ab"
        ]
    (seen,) = origin.requests
    assert seen.headers["Cookie"] is None
    assert seen.headers["Authorization"] is None
    assert [cache_status(response) for response in responses] == ["MISS", "HIT"]
    assert all("Set-Cookie" not in response.headers for response in responses)
