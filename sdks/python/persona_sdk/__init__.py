"""Persona for Python: track() and subscribe()."""

from persona_sdk.client import Persona
from persona_sdk.options import Options
from persona_sdk.stream import Change, Subscription
from persona_sdk.version import VERSION

__all__ = ["Change", "Options", "Persona", "Subscription"]
__version__ = VERSION
