"""Secrets at rest: only this installation reads them, also after its key was rotated."""

import pytest
from pytest_django import Settings

from keys import sealed


def test_what_is_sealed_opens_again() -> None:
    box = sealed.seal("whsec_Türkçe")
    assert "whsec" not in box
    assert sealed.unseal(box) == "whsec_Türkçe"
    assert sealed.seal("whsec_Türkçe") != box


def test_a_rotated_key_still_opens_what_the_old_one_sealed(settings: Settings) -> None:
    settings.SECRET_KEY = "first" * 10
    box = sealed.seal("secret")
    settings.SECRET_KEY = "second" * 10
    with pytest.raises(sealed.Unreadable, match="PERSONA_SECRET_KEY_FALLBACKS"):
        sealed.unseal(box)
    settings.SECRET_KEY_FALLBACKS = ["first" * 10]
    assert sealed.unseal(box) == "secret"


def test_what_was_tampered_with_does_not_open() -> None:
    box = sealed.seal("secret")
    with pytest.raises(sealed.Unreadable):
        sealed.unseal(box[:-4] + "AAA=")
