"""The API keeps what its OpenAPI document says, whatever is asked."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case, checks

from app.main import create_api
from app.settings import ApiSettings, load
from tests.support import Api, Person, served

EXAMPLES = 50
CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
    checks.unsupported_method,
]

document = schemathesis.openapi.from_dict(create_api(load(ApiSettings)).openapi())


@pytest.fixture(scope="module")
def url(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The API as it is served in earnest."""
    with served(tmp_path_factory.mktemp("openapi") / "log") as running:
        yield running


@document.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_answer_is_declared(case: Case[Any], url: str, api: Api, person: Person) -> None:
    """No 5xx; statuses, types, headers and bodies are those of the document."""
    if case.path.endswith("/logout"):  # which ends its caller's token
        person = api.login(f"device-{uuid4()}")
    headers = {"Authorization": f"Bearer {person.access}"}
    case.call_and_validate(base_url=url, headers=headers, checks=CHECKS)
