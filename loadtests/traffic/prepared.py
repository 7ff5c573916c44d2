"""Requests made once and sent many times: only the token, the body and the parts of the path are filled in each time.

SHOW_TASK = Prepared("GET", "/api/v1/tasks/{id}", name="get_task")
...
person.client.send(SHOW_TASK, id=task_id)
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from string import Formatter
from urllib.parse import quote

TAKEN = {"self", "request", "data"}
"""Names of `send`'s own parameters."""
_METHOD = re.compile(r"[A-Z][A-Z-]*")
JSON_HEADERS = {"Content-Type": "application/json"}


@dataclass(frozen=True, eq=False)
class Prepared:
    """A request of a journey.

    Raises ValueError for a method that is none, and for a path that does not begin with `/` or has odd placeholders.
    """

    method: str
    path: str
    """Path and query; `{part}` stands for what `send` is given under that name, percent-encoded."""
    name: str
    """Under which it is measured."""
    headers: Mapping[str, str] = field(default_factory=dict)
    expect: tuple[int, ...] = ()
    """Statuses that are ok; any below 400 when there are none."""
    pieces: tuple[tuple[str, str | None], ...] = field(init=False, repr=False)
    """The path taken apart: text, and the name of the part that follows it, if one does."""
    is_template: bool = field(init=False, repr=False)
    """Whether the path has parts to fill in."""
    own: frozenset[str] = field(init=False, repr=False)
    """Names of its headers in lower case."""

    def __post_init__(self) -> None:
        if not self.path.startswith("/"):
            raise ValueError(f"{self.path!r}: a path begins with /")
        if not _METHOD.fullmatch(self.method):
            raise ValueError(f"{self.method!r}: a method is written like GET")
        pieces = []
        for text, part, spec, conversion in Formatter().parse(self.path):
            if part in TAKEN:
                raise ValueError(f"{self.path!r}: {part} has a meaning of its own; take another name")
            if part is not None and (not part.isidentifier() or spec or conversion):
                raise ValueError(f"{self.path!r}: a placeholder is a name in braces, such as {{id}}")
            pieces.append((text, part))
        object.__setattr__(self, "pieces", tuple(pieces))
        object.__setattr__(self, "own", frozenset(name.lower() for name in self.headers))
        object.__setattr__(self, "is_template", any(part is not None for _, part in pieces))

    def fill(self, parts: Mapping[str, object]) -> str:
        """The path with its parts. Raises TypeError for a part that is missing or one too many."""
        named = {part for _, part in self.pieces if part is not None}
        if named != parts.keys():
            raise TypeError(f"{self.name}: the path {self.path} takes {sorted(named)}, not {sorted(parts)}")
        return "".join(text + (quote(str(parts[part]), safe="") if part else "") for text, part in self.pieces)
