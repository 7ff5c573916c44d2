"""Steps about what is asked: methods, names, bodies, headers, cookies, redirects, statuses."""

import io
from typing import Any

from tests.face.steps import seen, step


@step
def methods(user: Any, name: str) -> Any:
    """Every method, by its own function and by `request`."""
    client, url = user.client, f"/echo/{name}"
    found = [
        getattr(client, method)(f"{url}/{method}") for method in ("get", "post", "put", "patch", "delete", "head", "options")
    ]
    return [seen(response) for response in (*found, client.request("GET", f"{url}/1"), client.request("delete", f"{url}/2"))]


@step
def naming(user: Any, name: str) -> Any:
    """Names given with a request, around it, and before it."""
    client = user.client
    found = [client.get(f"/echo/{name}?q=1", name=f"{name} own")]
    with client.rename_request(f"{name} around"):
        found += [client.get(f"/echo/{name}/1"), client.get(f"/echo/{name}/2", name=f"{name} wins")]
    client.request_name = f"{name} before"
    found.append(client.get(f"/echo/{name}/3"))
    client.request_name = None
    return [seen(response) for response in found]


@step
def params(user: Any, name: str) -> Any:
    """Parameters of the query."""
    client = user.client
    return [
        seen(client.get(f"/echo/{name}/1", params={"a": 1, "b": "c d&e"})),
        seen(client.get(f"/echo/{name}/2?x=y", params={"a": "ä"})),
        seen(client.get(f"/echo/{name}/3", params=[("a", 1), ("a", 2)])),
        seen(client.get(f"/echo/{name}/4", params={"a": ["1", "2"]})),
    ]


@step
def bodies(user: Any, name: str) -> Any:
    """Bodies of every kind."""
    client, url = user.client, f"/echo/{name}"
    return [
        seen(client.post(url, json={"a": [1, None, "ä"]})),
        seen(client.put(url, json={})),
        seen(client.patch(url, json=0)),
        seen(client.post(url, data={"a": "b c", "d": 1})),
        seen(client.post(url, "text ä")),
        seen(client.post(url, data=b"\xff\x00")),
        seen(client.post(url, data="", json={"a": 1})),
        seen(client.post(url, data='{"own": 1}', headers={"content-type": "application/json"})),
        seen(client.delete(url, data="gone")),
        seen(client.get(url, json={"query": 1})),
    ]


@step
def files(user: Any, name: str) -> Any:
    """A form with a file."""
    return seen(
        user.client.post(f"/echo/{name}", data={"a": "b"}, files={"f": ("x.txt", io.BytesIO(b"content"), "text/plain")})
    )


@step
def headers(user: Any, name: str) -> Any:
    """Headers of a request's own, and those of all."""
    client, url = user.client, f"/echo/{name}"
    return [
        seen(client.get(url, headers={"X-Own": "a", "accept": "text/x"})),
        seen(client.get(url, headers={"x-own": "b"})),
        seen(client.get(url, headers={})),
    ]


@step
def host_header(user: Any, name: str) -> Any:
    """A Host of one's own."""
    return seen(user.client.get(f"/echo/{name}", headers={"Host": "virtual.example"}))


@step
def number_as_header(user: Any, name: str) -> Any:
    """A header that is a number."""
    return seen(user.client.get(f"/echo/{name}", headers={"X-Own": 5}))


@step
def auth(user: Any, name: str) -> Any:
    """A name and a password, alone and over a header."""
    return [
        seen(user.client.get(f"/echo/{name}", auth=("user", "päss"))),
        seen(user.client.get(f"/echo/{name}", auth=("user", "pass"), headers={"authorization": "Bearer x"})),
        seen(user.client.get(f"/echo/{name}", headers={"authorization": "Bearer x"})),
    ]


@step
def cookies(user: Any, name: str) -> Any:
    """A cookie set by one answer and sent with the next; one for TLS only; the jar."""
    client = user.client
    found = [seen(client.get(f"/cookie/{name}")), seen(client.get(f"/secure/{name}")), seen(client.get(f"/echo/{name}"))]
    found.append(seen(client.get(f"/echo/{name}", headers={"Cookie": "own=1"})))
    names = sorted(cookie.name for cookie in client.cookiejar)
    client.cookiejar.clear()
    return [*found, names, seen(client.get(f"/echo/{name}"))]


@step
def redirects(user: Any, name: str) -> Any:
    """Redirects followed, with every method, and not followed."""
    client = user.client
    found = [client.get(f"/{kind}/{name}") for kind in ("found", "relative", "kept", "missing")]
    found += [client.post(f"/{kind}/{name}", data="body") for kind in ("found", "relative", "kept")]
    found += [client.head(f"/found/{name}"), client.get(f"/found/{name}", allow_redirects=False)]
    return [[*seen(response), len(response.history)] for response in found]


@step
def redirect_to_an_error(user: Any, name: str) -> Any:
    """A redirect to a page that is not there."""
    return seen(user.client.get(f"/lost/{name}"))


@step
def redirects_for_ever(user: Any, name: str) -> Any:
    """More redirects than allowed."""
    return seen(user.client.get(f"/loop/{name}"))


@step
def redirect_to_nothing(user: Any, name: str) -> Any:
    """A redirect with an empty Location."""
    return seen(user.client.get(f"/nowhere/{name}"))


@step
def redirect_with_accents(user: Any, name: str) -> Any:
    """A redirect whose Location is not percent-encoded."""
    return seen(user.client.get(f"/accented/{name}"))


@step
def redirect_out_of_http(user: Any, name: str) -> Any:
    """A redirect to something that is not HTTP."""
    return user.client.get(f"/mail/{name}").status_code


@step
def statuses(user: Any, name: str) -> Any:
    """Statuses that are ok and that are not."""
    urls = [f"/none/{name}", *(f"/status/{name}/{status}" for status in (201, 202, 206, 226, 400, 404, 429, 500))]
    return [[*seen(response), response.ok] for response in map(user.client.get, urls)]


@step
def raise_for_status(user: Any, name: str) -> Any:
    """An error that is raised on demand."""
    user.client.get(f"/echo/{name}").raise_for_status()
    try:
        user.client.get(f"/status/{name}/404").raise_for_status()
    except Exception as error:
        return [type(error).__name__, str(error).split("/", 3)[-1]]
    return None


@step
def context(user: Any, name: str) -> Any:
    """A context for listeners."""
    return seen(user.client.get(f"/echo/{name}", context={"more": 1}))


@step
def absolute(user: Any, name: str) -> Any:
    """An absolute URL, under a name."""
    return seen(user.client.get(f"{user.host}/echo/{name}", name=f"{name} absolute"))


@step
def own_tls(user: Any, name: str) -> Any:
    """A TLS context made by a method of the user class."""
    return user.with_own_tls(user.environment).client.get(f"/{name}").status_code


@step
def derived(user: Any, name: str) -> Any:
    """A request whose listener fires another event."""
    return seen(user.client.get(f"/echo/{name}"))
