"""Identifiers that leave the house: opaque, URL-safe, without a look-alike alphabet to argue about."""

import hashlib
import random
import secrets
import string

CORRECTION = "."
IMPORTED = "b_import_"
ALPHABET = string.ascii_letters + string.digits  # base 62: 5.95 bits a character


def opaque(prefix: str, length: int) -> str:
    """`prefix` and `length` random base-62 characters from the system's generator."""
    return prefix + "".join(secrets.choice(ALPHABET) for _ in range(length))


def batch_id() -> str:
    # 88 bits, unique but no secret; a system call for each request costs more than reading its event.
    return f"b_{random.getrandbits(88):022x}"


def profile_id() -> str:
    return "u_" + secrets.token_hex(9)


def event_uid(message_id: str) -> bytes:
    """The 16 bytes by which an event is known inside its project, whatever wire it came through."""
    return hashlib.sha256(message_id.encode()).digest()[:16]


def letter_batch_id(letter: int, body: bytes) -> str:
    """Of a dead letter that comes back as `body`: the same for the same correction, another for another."""
    return f"b_letter_{letter}{CORRECTION}{hashlib.sha256(body).hexdigest()[:12]}"


def import_batch_id(run: str, first: int) -> str:
    """Of the events of a file from its record `first` on: the same whenever the file is gone through again."""
    return f"{IMPORTED}{run}_{first}"


def imported(batch: str) -> bool:
    """Whether a batch is of the past: its events are stored, and nobody is judged or told because of them alone."""
    return batch.startswith(IMPORTED)


def nameless_uid(batch: str, index: int) -> bytes:
    """The uid of an event that came without an id: the same again when its batch is applied twice, or its letter
    comes back in two corrections."""
    return event_uid(f"{batch.partition(CORRECTION)[0]}\x00{index}")


def shard_of(project_id: int, profile_id: int, shards: int) -> int:
    """The lane of a profile, 0 .. shards-1. Fixed for ever: it is stored beside every membership."""
    digest = hashlib.sha256(f"{project_id}:{profile_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % shards
