"""GET changes reads the log that the stream sends, with the same numbers."""

from typing import Any

import pytest

from tests.api.conftest import Api
from tests.stream.conftest import Listen
from tests.stream.shop import Shop


@pytest.fixture
def api(shop: Shop) -> Api:
    return Api("shop", shop.sk)


def numbers(answer: Any) -> list[int]:
    return [row["seq"] for row in answer["results"]]


def test_the_same_rows_with_the_same_numbers(shop: Shop, api: Api, listen: Listen) -> None:
    shop.append(3)
    shop.append(2, persona=shop.churner, op="leave")
    told = [{"seq": frame.id, **frame.data} for frame in listen(shop.sk, last=0).take(5)]
    answer = api.get("changes?after=0")
    assert [{key: row[key] for key in told[0]} for row in answer["results"]] == told
    assert (answer["next"], answer["head"], answer["oldest"]) == (5, 5, 1)


def test_of_one_profile(shop: Shop, api: Api, elsewhere: Shop) -> None:
    stranger = shop.another("stranger")
    shop.known_as(stranger, "u-2")
    shop.append(3)
    shop.append(2, profile=stranger)
    shop.append(persona=shop.churner, profile=stranger)
    for reference in ("u_stranger", "u-2"):
        assert numbers(api.get(f"changes?after=0&profile={reference}")) == [4, 5, 6]
    assert numbers(api.get("changes?after=4&profile=u-2&persona=churner")) == [6]
    first = api.get("changes?after=0&profile=u-2&limit=2")
    assert (numbers(first), first["next"]) == ([4, 5], 5)
    assert api.get("changes?after=6&profile=u-2")["next"] == 6
    for unknown in ("u_elsewhere", "nobody"):
        assert api.ask("GET", f"changes?profile={unknown}")[0] == 404


def test_what_was_pruned_is_told(shop: Shop, api: Api) -> None:
    shop.append(10)
    shop.prune(6)
    answer = api.get("changes?after=2")
    assert (numbers(answer), answer["oldest"]) == ([7, 8, 9, 10], 7)
