"""Who is in the sample: the same answer for the same id in every SDK."""

from collections.abc import Callable, Mapping
from typing import Any

OFFSET, PRIME = 0x811C9DC5, 0x01000193


def share(name: str) -> float:
    """The id as a share of 1: in the sample when it is below the rate.

    FNV-1a (32 bits) of its UTF-8, then mixed as MurmurHash3 ends: by itself FNV leaves ids that differ in their last
    digit beside each other.
    """
    value = OFFSET
    for byte in name.encode():
        value = (value ^ byte) * PRIME & 0xFFFFFFFF
    value = (value ^ value >> 16) * 0x85EBCA6B & 0xFFFFFFFF
    value = (value ^ value >> 13) * 0xC2B2AE35 & 0xFFFFFFFF
    return (value ^ value >> 16) / 2**32


def everything(_: str) -> float:
    """Before the project has said anything."""
    return 1.0


def rates(configuration: Mapping[str, Any]) -> Callable[[str], float]:
    """From the name of an event to the share that is sent: of the first rule that names it, else that of all."""
    rules = configuration.get("sampling")
    usable = [rule for rule in rules if _is_rule(rule)] if isinstance(rules, list) else []
    usual = configuration["flags"].get("sampleRate")
    usual = usual if isinstance(usual, int | float) else 1.0
    return lambda name: next((rule["rate"] for rule in usable if _names(rule["event"], name)), usual)


def _is_rule(rule: object) -> bool:
    return isinstance(rule, dict) and isinstance(rule.get("event"), str) and isinstance(rule.get("rate"), int | float)


def _names(pattern: str, name: str) -> bool:
    """`page_*`: whatever begins so."""
    return pattern == name or (pattern.endswith("*") and name.startswith(pattern[:-1]))
