"""Bodies of refusals."""

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel


class Problem(BaseModel):
    """Why the request was refused."""

    detail: str


def invalid(place: tuple[str, ...], message: str) -> RequestValidationError:
    """What no schema can say; answered as FastAPI answers what a schema refuses."""
    return RequestValidationError([{"type": "value_error", "loc": place, "msg": message}])
