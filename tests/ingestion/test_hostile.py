"""Bodies that nobody means well with: never a fault of ours, never a batch that is parked, good neighbors stored.

FUZZ_SECONDS mutates for longer than the suite can afford.
"""

import itertools
import os
import random
import time
import tracemalloc
import zlib
from pathlib import Path

import msgspec
import pytest

from ingestion.dialects import DIALECTS, pipeline
from ingestion.models import Batch
from keys.models import Project
from persona.lib.problems import Problem
from tests.effort import tries
from tests.ingestion.applying import apply_all, fate, put_body, stored
from tests.ingestion.calling import EVENT, Shop, db, shop, way_in
from tests.wire.test_pipeline import case

__all__ = ["db", "shop", "way_in"]  # fixtures

SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
MUTATIONS = int(os.environ.get("FUZZ_MUTATIONS", tries(5_000, plain=2_000)))
CORPUS = [case(path)[0] for path in sorted((Path(__file__).parent.parent / "wire" / "pipeline").glob("*.json"))]
GOOD = msgspec.json.encode(EVENT)
SMALL = [body for body in CORPUS if 0 < len(body) < 5_000]

# What stands in an event's properties, between two good events.
ODD = {
    "null": rb'"a\u0000b"',
    "null in a key": rb'{"a\u0000": 1}',
    "a huge float": b"1e400000",
    "a huge number": b"9" * 5_000,
    "bad UTF-8": b'"\xff\xfe"',
    "cut UTF-8": b'"\xe2\x82"',
    "an overlong form": b'"\xc0\xaf"',
    "deep": b"[" * 10_000 + b"]" * 10_000,
    "deep objects": b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    "wide": b"[" + b"[]," * 20_000 + b"1]",
    "repeated keys": b"{" + b'"a":1,' * 5_000 + b'"a":2}',
    "half a pair": rb'"\ud800"',
    "the wrong half": rb'"\udc00\ud800"',
    "NaN": b"NaN",
    "infinity": b"-Infinity",
    "too large": b'"' + b"x" * 110_000 + b'"',
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
def test_good_neighbors_of_the_same_batch_and_commit_are_taken(odd: bytes, shop: Shop) -> None:
    middle = b'{"type":"track","event":"odd","properties":{"x":' + odd + b"}}"
    answer = shop.post(b'{"batch":[' + b",".join((GOOD, middle, GOOD)) + b"]}")
    assert answer.status == 202
    taken = answer.json()["accepted"]
    assert taken >= 2
    assert shop.ingest(EVENT).status == 202
    assert len(shop.rows()) == 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
def test_and_stored(odd: bytes, project: Project) -> None:
    middle = b'{"type":"track","event":"odd","properties":{"x":' + odd + b"}}"
    put_body(project, b'{"batch":[' + b",".join((GOOD, middle, GOOD)) + b"]}", n=3, batch_id="b_odd")
    put_body(project, b'{"batch":[' + GOOD + b"]}", batch_id="b_neighbor")
    apply_all()
    assert not Batch.objects.exists()
    done, _, refused = fate(project, "b_odd")
    assert (done + refused, fate(project, "b_neighbor")) == (3, (1, 0, 0))
    assert [name for name, *_ in stored(project)].count("checkout_completed") == 3


@pytest.mark.parametrize(("megabytes", "code"), [(1, "request.not_json"), (1_000, "request.too_large")])
def test_a_bomb_costs_no_more_than_the_limit(megabytes: int, code: str, shop: Shop) -> None:
    """A megabyte of gzip, a gigabyte of blanks; nobody comes to its end, where the sum of only the first stands."""
    blanks, packer = b" " * 1_000_000, zlib.compressobj(9, wbits=31)
    first = packer.compress(blanks) + packer.flush(zlib.Z_FULL_FLUSH)
    beside = packer.copy()
    another = beside.compress(blanks) + beside.flush(zlib.Z_FULL_FLUSH)  # refers to nothing before it
    packed = first + another * (megabytes - 1) + packer.flush()
    tracemalloc.start()
    try:
        answer = shop.post(packed, content_encoding="gzip")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (answer.status, answer.code) == (400, code)
    assert peak < 12 * pipeline.LIMITS.body_bytes


# --- mutations --------------------------------------------------------------------------------------------------------


def mutated(dice: random.Random) -> bytes:
    """A body of the corpus with some bytes changed, cut out, doubled, or taken from another."""
    body = bytearray(dice.choice(SMALL))
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(body) + 1)
        match dice.randrange(5):
            case 0:
                body[at : at + 1] = bytes([dice.randrange(256)])
            case 1:
                del body[at : at + dice.randint(1, 20)]
            case 2:
                body[at:at] = body[at : at + dice.randint(1, 50)]
            case 3:
                body[at:at] = dice.choice((b'"', b"\\", b"{", b"]", b",", b"\\u0000", b"\\ud800", b"1e999", b"\xff"))
            case _:
                other = dice.choice(SMALL)
                start = dice.randrange(len(other))
                body[at:at] = other[start : start + dice.randint(1, 80)]
    return bytes(body)


def readable(body: bytes, wire: str) -> int | None:
    """How many events of it are taken; None when it is refused as a whole, which is all that may go wrong."""
    dialect = DIALECTS[wire]
    try:
        reading = dialect.read(body)
    except Problem as problem:
        if problem.status != 400:
            raise
        return None
    assert dialect.accepted(dialect.judge(body), "b_1") == dialect.accepted(reading.outcome, "b_1")
    if reading.rejections:
        assert len(dialect.as_sent(body)) == reading.n
        assert dialect.read(dialect.alone(GOOD, dialect.frame(body))).n in (0, 1)
    return reading.n


@pytest.mark.django_db(transaction=True)
@pytest.mark.timeout(SECONDS * 2 + 120)
def test_whatever_is_readable_can_be_applied(project: Project) -> None:
    """Every batch that would be acknowledged is applied, and each of its events is stored, known or a dead letter."""
    seed = random.SystemRandom().randrange(1 << 40) if SECONDS else 1
    dice, stop, taken = random.Random(seed), time.monotonic() + SECONDS, 0
    for n in itertools.count():
        if n >= MUTATIONS and time.monotonic() >= stop:
            break
        body = mutated(dice)
        for wire in DIALECTS:
            events = readable(body, wire)
            if events and (wire == pipeline.NAME or n % 20 == 0):
                put_body(project, body, n=events, batch_id=f"b_{n}_{wire}", dialect=wire)
                taken += 1
        if n % 500 == 499:
            apply_all()
    apply_all()
    parked = list(Batch.objects.filter(project=project).values_list("batch_id", "error")[:5])
    assert not parked, f"seed {seed}: {parked}"
    assert taken > MUTATIONS / 10
    print(  # noqa: T201 - `make fuzz` shows what it has done
        f"seed {seed}: {n:,} mutated bodies through {len(DIALECTS)} wires, {taken:,} batches applied, none parked"
    )
