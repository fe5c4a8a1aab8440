import base64

import pytest

from keys.auth import credential

KEY = "pk_live_" + "a" * 32
BASIC = base64.b64encode(f"{KEY}:".encode()).decode()


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"Bearer {KEY}"},
        {"authorization": f"bearer   {KEY} "},
        {"authorization": f"ApiKey {KEY}"},
        {"authorization": f"Basic {BASIC}"},
        {"authorization": f"Basic {base64.b64encode(KEY.encode()).decode()}"},
        {"x-api-key": KEY},
        {"x-pg-api-key": f" {KEY}"},
        {"authorization": "Digest whatever", "x-api-key": KEY},
        {"authorization": "Bearer ", "x-api-key": KEY},
        {"authorization": f"Bearer {KEY}", "x-api-key": "another"},
    ],
)
def test_where_a_key_is_found(headers: dict[str, str]) -> None:
    assert credential(headers) == KEY


@pytest.mark.parametrize("headers", [{}, {"authorization": ""}, {"authorization": KEY}, {"x-api-key": " "}])
def test_no_credential(headers: dict[str, str]) -> None:
    assert credential(headers) is None


@pytest.mark.parametrize("broken", ["%%%", "_-_-", "\xe9"])
def test_a_broken_basic_value_is_still_a_credential_to_refuse(broken: str) -> None:
    assert credential({"authorization": f"Basic {broken}"}) == broken
