"""Grafana, through the package grafana-api, whose faults end here.

It raises JSONDecodeError for an empty answer and TypeError for an error that is not JSON, knows annotations of a dashboard's
number but not of its uid, and updates datasources by numbers that new versions of Grafana do not have.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote, urlencode, urlsplit

from grafana_api.grafana_api import GrafanaException
from grafana_api.grafana_face import GrafanaFace
from requests import Response
from requests.exceptions import JSONDecodeError, RequestException, SSLError, Timeout, TooManyRedirects

from loadtests import settings
from loadtests.errors import InputError, LoadtestError, NotReadyError

TIMEOUT_S = 10.0
MOST_ANNOTATIONS = 5000
Json = dict[str, Any]
Done = Literal["made", "updated", "unchanged", "left to its files"]


@dataclass(frozen=True)
class Annotation:
    """A mark on a dashboard; with an end, a region."""

    text: str
    time_ms: int
    tags: tuple[str, ...]
    dashboard_uid: str
    end_ms: int | None = None


class _Refused(Exception):
    """An answer that says no; what it means depends on the question."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class Grafana:
    """One Grafana. Everything may be asked for twice: what is there already is not made again.

    Raises InputError for what the user can mend and NotReadyError for a server in trouble, in one line without secrets.
    """

    def __init__(self, url: str, environ: Mapping[str, str]) -> None:
        """`url` has no secrets; they come from the environment (LOADTEST_GRAFANA_TOKEN, or _USER and _PASSWORD)."""
        self.url = web_address(url, "--grafana", "http://127.0.0.1:3000").rstrip("/")
        parts = urlsplit(self.url)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        prefix = f"{parts.path.strip('/')}/".lstrip("/")
        how = {"port": parts.port, "url_path_prefix": prefix, "protocol": parts.scheme, "timeout": TIMEOUT_S}
        self._api = GrafanaFace(_credentials(environ), host=host, **how).api
        self._status = 0
        # A redirected POST would be sent again as a GET, and its answer be taken for success.
        self._api.s.max_redirects = 0
        self._api.s.hooks["response"].append(self._noted)

    def version(self) -> str:
        """What it says of itself, when it is ready."""
        health = self._said("GET", "/health") or {}
        if health.get("database") != "ok":
            raise NotReadyError(f"Grafana {self.url}: its database is not ready; see its log")
        return str(health.get("version", "of an unknown version"))

    def ensure_folder(self, uid: str, title: str) -> Done:
        """A folder with this uid; an existing one keeps its title."""
        if self._found(f"/folders/{quote(uid)}") is not None:
            return "unchanged"
        self._said("POST", "/folders", {"uid": uid, "title": title})
        return "made"

    def ensure_datasource(self, wanted: Json) -> Done:
        """A datasource with the uid, address and settings of `wanted`."""
        path = f"/datasources/uid/{quote(wanted['uid'])}"
        there = self._found(path)
        if there is None:
            self._said("POST", "/datasources", wanted)
            return "made"
        if there.get("readOnly"):
            return "left to its files"
        if not wanted.get("secureJsonData") and all(there.get(key) == value for key, value in wanted.items()):
            return "unchanged"
        self._said("PUT", path, wanted)
        return "updated"

    def has_datasource(self, uid: str) -> bool:
        """Whether there is one with this uid."""
        return self._found(f"/datasources/uid/{quote(uid)}") is not None

    def ensure_dashboard(self, wanted: Json, folder_uid: str) -> Done:
        """A dashboard with the uid of `wanted`, in this folder; whatever it was before is overwritten."""
        there = self._found(f"/dashboards/uid/{quote(wanted['uid'])}")
        if there is not None:
            if there["meta"].get("provisioned"):
                return "left to its files"
            if _content(there["dashboard"]) == _content(wanted) and there["meta"].get("folderUid") == folder_uid:
                return "unchanged"
        body = {"dashboard": {**wanted, "id": None}, "folderUid": folder_uid, "overwrite": True, "message": "loadtest"}
        self._said("POST", "/dashboards/db", body)
        return "made" if there is None else "updated"

    def annotate(self, annotation: Annotation) -> bool:
        """Post the annotation, unless one with its tags, times and text is there; whether it was posted."""
        listed = [("tags", tag) for tag in annotation.tags]
        query = urlencode([*listed, ("type", "annotation"), ("limit", MOST_ANNOTATIONS)])
        end_ms = annotation.time_ms if annotation.end_ms is None else annotation.end_ms
        for one in self._said("GET", f"/annotations?{query}") or []:
            ends = one.get("timeEnd") or one.get("time")
            if (one.get("text"), one.get("time"), ends) == (annotation.text, annotation.time_ms, end_ms):
                return False
        body: Json = {"dashboardUID": annotation.dashboard_uid, "time": annotation.time_ms, "text": annotation.text}
        if annotation.end_ms is not None:
            body["timeEnd"] = annotation.end_ms
        self._said("POST", "/annotations", {**body, "tags": list(annotation.tags)})
        return True

    # One question.

    def _found(self, path: str) -> Any:
        """The answer to a GET, None when there is no such thing."""
        try:
            return self._ask("GET", path)
        except _Refused as refused:
            if refused.status == 404:
                return None
            raise self._no("GET", path, refused) from None

    def _said(self, method: str, path: str, body: Json | None = None) -> Any:
        """The answer; None when it is empty."""
        try:
            return self._ask(method, path, body)
        except _Refused as refused:
            raise self._no(method, path, refused) from None

    def _ask(self, method: str, path: str, body: Json | None = None) -> Any:
        self._status = 0
        try:
            return getattr(self._api, method)(path, json=body)
        except JSONDecodeError as error:
            if self._status < 300 and not error.doc.strip():
                return None
            raise self._strange() from None
        except TooManyRedirects:
            raise NotReadyError(
                f"Grafana {self.url}: redirects elsewhere ({self._status}); give the address it leads to"
            ) from None
        except RequestException as error:
            # The error's own words may contain the header with the token.
            raise NotReadyError(f"Grafana {self.url}: {_in_words(error)}; is the address right?") from None
        except GrafanaException as error:
            raise _Refused(error.status_code, _message(error.response)) from None
        except TypeError:
            if self._status < 400:
                raise
            raise _Refused(self._status, "") from None

    def _noted(self, response: Response, *_: object, **__: object) -> None:
        self._status = int(response.status_code)

    def _no(self, method: str, path: str, refused: _Refused) -> LoadtestError:
        where = f"Grafana {self.url}"
        if refused.status == 401:
            known = f"{settings.GRAFANA_TOKEN}, or {settings.GRAFANA_USER} and _PASSWORD"
            return InputError(f"{where}: does not know who asks (401); set {known} to what is valid there")
        if refused.status == 403:
            return InputError(f"{where}: {path.partition('?')[0]}: not allowed (403); use a token with the role Admin")
        if refused.status >= 500 or not refused.message:
            return NotReadyError(
                f"{where}: {method} {path.partition('?')[0]} failed ({refused.status}) {refused.message}".rstrip()
            )
        return InputError(f"{where}: {method} {path.partition('?')[0]} was refused ({refused.status}): {refused.message}")

    def _strange(self) -> NotReadyError:
        return NotReadyError(f"Grafana {self.url}: answers {self._status} with something that is no JSON; is it a Grafana?")


def influx_datasource(uid: str, url: str, database: str, environ: Mapping[str, str]) -> Json:
    """A datasource for Grafana: InfluxQL by POST; user, password or token from the environment (LOADTEST_INFLUX_...)."""
    url = web_address(url, "--influx", "http://127.0.0.1:8086").rstrip("/")
    asked: Json = {"dbName": database, "httpMode": "POST", "timeInterval": "1s", "version": "InfluxQL"}
    made: Json = {
        "uid": uid,
        "name": "loadtest InfluxDB",
        "type": "influxdb",
        "access": "proxy",
        "url": url,
        "database": database,
    }
    made |= {"user": environ.get(settings.INFLUX_USER, ""), "jsonData": asked}
    if token := environ.get(settings.INFLUX_TOKEN):
        asked["httpHeaderName1"] = "Authorization"
        made["secureJsonData"] = {"httpHeaderValue1": f"Token {token}"}
    elif password := environ.get(settings.INFLUX_PASSWORD):
        made["secureJsonData"] = {"password": password}
    return made


def web_address(text: str, source: str, example: str) -> str:
    """The text, when it is the address of a server and has no secrets in it. Raises InputError."""
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and not (parts.query or parts.fragment)
    except ValueError:
        good = False
    if not good:
        raise InputError(f"{source}: is no address such as {example}")
    if parts.username is not None or parts.password is not None:
        raise InputError(f"{source}: leave user and password out of the address; they belong in the environment")
    return text


def _credentials(environ: Mapping[str, str]) -> str | tuple[bytes, bytes]:
    token = environ.get(settings.GRAFANA_TOKEN, "").strip()
    if token:
        if not (token.isascii() and token.isprintable()) or " " in token:
            raise InputError(f"{settings.GRAFANA_TOKEN}: holds characters that no token has")
        return token
    user, password = environ.get(settings.GRAFANA_USER), environ.get(settings.GRAFANA_PASSWORD)
    if user and password:
        return user.encode(), password.encode()
    raise InputError(f"Grafana: set {settings.GRAFANA_TOKEN}, or {settings.GRAFANA_USER} and {settings.GRAFANA_PASSWORD}")


def _content(dashboard: Json) -> Json:
    """A dashboard without what Grafana numbers itself."""
    return {key: value for key, value in dashboard.items() if key not in ("id", "version")}


def _message(response: object) -> str:
    """What a JSON error says, in one line; nothing of a page that a proxy put in its place."""
    said = response.get("message") if isinstance(response, Mapping) else None
    return " ".join(str(said or "").split())[:200]


def _in_words(error: RequestException) -> str:
    if isinstance(error, Timeout):
        return "did not answer in time"
    return "its certificate is not trusted" if isinstance(error, SSLError) else "does not answer"
