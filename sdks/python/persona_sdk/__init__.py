"""Persona for Python: track() and subscribe()."""

from persona_sdk.client import Persona
from persona_sdk.options import Options
from persona_sdk.stream import Change, Subscription

__all__ = ["Change", "Options", "Persona", "Subscription"]
__version__ = "0.1.0"
