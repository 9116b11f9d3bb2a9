"""Whatever is sent, the answer is the caller's fault or ours to give, never a 500: schemathesis over the whole API.

Cases of every operation are made from its description, valid and broken, and sent to the running system by somebody
who is signed in and whose meeting they may hit. 5 000 in all; with MEET_SOAK, 50 000.
"""

import os

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis import Case

from .openapi import whole_api
from .people import client, meeting_of, newcomer

TOTAL = 50_000 if os.environ.get("MEET_SOAK") else 5_000
schema = schemathesis.openapi.from_dict(whole_api())
OPERATIONS = sum(len(methods) for methods in whole_api()["paths"].values())


@pytest.fixture(scope="session")
def fuzzer(base_url: str) -> dict[str, str]:
    """The headers of somebody whom nobody else minds losing, and a meeting of theirs."""
    with client(base_url) as api:
        somebody = newcomer(api, "fuzz")
        meeting = meeting_of(somebody)
        return {
            "token": somebody.token,
            "user_id": somebody.user_id,
            "meeting_id": meeting["meeting_id"],
            "room_id": meeting["room_id"],
        }


@schema.parametrize()
@settings(
    max_examples=-(-TOTAL // OPERATIONS),
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    database=None,
)
# People of the recording's cases, who go on in a thread of this process, roll its dice meanwhile.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")
def test_never_a_500(case: Case, base_url: str, fuzzer: dict[str, str]) -> None:
    if case.path != "/api/v1/auth/logout":  # the fuzzer stays signed in
        case.headers["Authorization"] = f"Bearer {fuzzer['token']}"
    for name, value in case.path_parameters.items():
        # what is drawn never exists; every other case, and none that deletes, asks for what does
        if name in fuzzer and case.method != "DELETE" and len(str(value)) % 2:
            case.path_parameters[name] = fuzzer[name]
    response = case.call(base_url=base_url)
    assert response.status_code < 500, f"{case.as_curl_command()}\n{response.text}"
    if response.status_code >= 400:
        error = response.json()["error"]
        assert error["code"], response.text
        assert error["message"], response.text
    assert "x-request-id" in response.headers, f"{case.as_curl_command()}\n{response.text}"
