"""Bodies of refusals."""

from pydantic import BaseModel


class Problem(BaseModel):
    """Why the request was refused."""

    detail: str
