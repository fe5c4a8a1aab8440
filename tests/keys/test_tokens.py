import hashlib
from itertools import product

import pytest

from keys import tokens

GOOD = "sk_live_" + "aB3" * 10 + "xY"


@pytest.mark.parametrize(("kind", "mode"), list(product(["pk", "sk"], ["live", "test"])))
def test_a_new_key_says_its_kind_and_mode(kind: str, mode: str) -> None:
    key = tokens.make(kind, mode)
    token = tokens.parse(key)
    assert token is not None
    assert (token.kind, token.mode) == (kind, mode)
    assert key.startswith(f"{kind}_{mode}_")
    assert len(key) == 40


def test_two_new_keys_differ() -> None:
    assert tokens.make("sk", "live") != tokens.make("sk", "live")


def test_no_key_of_an_unknown_kind_is_made() -> None:
    with pytest.raises(ValueError, match="xx_live_"):
        tokens.make("xx", "live")


def test_the_parts_of_a_key() -> None:
    token = tokens.parse(GOOD)
    assert token is not None
    assert token.lookup == GOOD[:16]
    assert token.digest == hashlib.sha256(GOOD.encode()).digest()


@pytest.mark.parametrize(
    "text",
    [
        "",
        GOOD[:-1],
        GOOD + "a",
        GOOD + "\n",
        GOOD.upper(),
        "xk" + GOOD[2:],
        GOOD.replace("live", "prod"),
        GOOD[:-1] + "-",
        GOOD[:-1] + "é",
        GOOD[:-1] + "\udc80",
        "eyJhbGciOiJIUzI1NiJ9.e30.xyz",
        "0" * 100_000,
    ],
)
def test_what_is_no_key(text: str) -> None:
    assert tokens.parse(text) is None


def test_the_digest_takes_any_text() -> None:
    assert len(tokens.digest("\udc80")) == 32


def test_digests_are_compared_whole() -> None:
    assert tokens.same(b"a" * 32, b"a" * 32)
    assert not tokens.same(b"a" * 32, b"a" * 31 + b"b")
