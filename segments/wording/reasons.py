"""Why somebody entered or left, in words."""

SAID = {
    "event": "by an event",
    "time": "by time",
    "trait": "by a trait",
    "definition": "the rule changed",
    "merge": "profiles merged",
    "erase": "profile erased",
    "manual": "by hand",
}
