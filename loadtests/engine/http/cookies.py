"""Cookies of one person, by the standard library's rules. Made only for whoever is given one."""

import re
from email.message import Message
from http.cookiejar import CookieJar
from urllib.request import Request

from loadtests.engine.http.wire import Head

_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class _Answer:
    """A response, as the jar wants to see it."""

    def __init__(self, head: Head) -> None:
        self._message = Message()
        for name, value in head.fields:
            # What a browser would not take, and no header could bring back (RFC 6265bis, section 5.6).
            if name.lower() == "set-cookie" and not _CONTROLS.search(value):
                self._message.add_header("Set-Cookie", value)

    def info(self) -> Message:
        return self._message


def take_cookies(jar: CookieJar, head: Head, url: str) -> None:
    """Keep the cookies that an answer from `url` sets."""
    jar.extract_cookies(_Answer(head), Request(url))  # type: ignore[arg-type]  # noqa: S310  # it asks for info() alone; nothing is opened


def cookie_header(jar: CookieJar, url: str) -> str | None:
    """The Cookie header for a request to `url`, or None."""
    request = Request(url)  # noqa: S310  # nothing is opened
    jar.add_cookie_header(request)
    return request.get_header("Cookie")
