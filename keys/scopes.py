"""What a secret key can be limited to. A key without any scope may do everything in its project."""

SCOPES = {
    "events:write": "send events, and read what became of their batches",
    "stream:read": "open streams and read the configuration of the SDKs",
    "personas:read": "list personas, their versions and their members",
    "personas:write": "create, change and delete personas",
    "profiles:read": "read profiles, their traits and their events",
    "profiles:write": "erase profiles, and keep ids from coming back",
    "changes:read": "read the change log",
    "destinations:read": "list destinations and their delivery attempts",
    "destinations:write": "create, change and delete destinations, and send again",
    "keys:read": "list the project's keys",
    "keys:write": "make, rotate and revoke the project's keys",
    "stats:read": "read statistics, rejected events and dead letters",
}


def allows(scopes: frozenset[str], needed: str) -> bool:
    """Is `needed` within `scopes`? No scopes allow everything; `x:write` includes `x:read`."""
    if not scopes or needed in scopes:
        return True
    area, _, verb = needed.partition(":")
    return verb == "read" and f"{area}:write" in scopes
