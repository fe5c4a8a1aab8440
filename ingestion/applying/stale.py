"""Marks that the writer leaves for the evaluator: which profiles something happened to, and what. Pure."""

import msgspec

# What happened, as bits of Mark.what.
NEW = 1  # the profile did not exist: every persona has to look at it once; it has no events but the named ones
TRAITS = 2  # its traits changed, or it got its first userId
MERGED = 4  # it was united with another, as survivor or as loser: every persona has to look
QUIET = 8  # by an import of the past alone: what comes of it is logged and not told


class Mark(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One profile in one apply transaction.

    names: the event names (ids) stored for it; received_at, ts, uid (hex): of the last of its events by (ts, uid),
    which is named as the trigger of a change; uid is '' when no event came (a merge alone).
    """

    profile: int
    what: int
    names: tuple[int, ...]
    received_at: int
    ts: int
    uid: str


encode = msgspec.json.encode
decode = msgspec.json.Decoder(list[Mark]).decode
