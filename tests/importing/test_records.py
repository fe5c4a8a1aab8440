"""From the bytes of a file to batches and refusals: every record is in exactly one of them, with its line."""

import csv
import gzip
import json
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ingestion.dialects import pipeline
from persona.importing.mapping import Map, Unusable, read_map
from persona.importing.portions import Portion, portions, shape
from persona.importing.records import MOST_BYTES, Source

Json = dict[str, Any]
CSV = read_map({"id": "id", "timestamp": "at", "event": "what", "userId": "who"})
GOOD = {"type": "track", "event": "x", "userId": "u", "timestamp": "2026-01-01T00:00:00Z"}
AT = "2026-01-01T00:00:00Z"


def cut(path: Path, mapping: Map | None = None, skip: int = 0) -> list[Portion]:
    with Source(path, mapping) as source:
        records = source.records()
        for _ in range(skip):
            next(records)
        return list(portions(records, shape(mapping, "run")))


def refused(portions_: list[Portion]) -> list[tuple[int, int, str]]:
    return [(one.record, one.line, one.code) for portion in portions_ for one in portion.refused]


def taken(portions_: list[Portion]) -> list[tuple[int, Json]]:
    """(number of the record, event), of all batches; each batch is one that our own wire takes whole."""
    found = []
    for portion in portions_:
        for batch in portion.batches:
            reading = pipeline.read(batch.body)
            assert (reading.n, reading.rejections) == (batch.n, [])
            events = msgspec.json.decode(batch.body)["batch"]
            found += [(batch.first + index, event) for index, event in enumerate(events)]
    return found


def write(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


@pytest.mark.parametrize("name", ["events.ndjson", "events.jsonl.gz"])
def test_lines_of_json(name: str, tmp_path: Path) -> None:
    bad = [
        b'{"type": "track"',
        b"[1]",
        b'{"type":"track","event":"x","userId":"\\ud800"}',
        b'{"type":"track"}',
        b"\xff{}",
    ]
    nested = b'{"type":"track","event":"x","properties":' + b'{"a":' * 3_000 + b"1" + b"}" * 3_001
    long = b'{"event":"' + b"x" * (2 * MOST_BYTES) + b'"}'
    large = msgspec.json.encode({**GOOD, "properties": {"x": "x" * 110_000}})
    lines = [
        msgspec.json.encode(GOOD),
        b"",
        *bad,
        nested,
        long,
        large,
        msgspec.json.encode({**GOOD, "messageId": "m-9"}),
    ]
    found = cut(write(tmp_path, name, b"\r\n".join(lines)))
    assert [(number, event["messageId"]) for number, event in taken(found)] == [(1, "import:run:1"), (10, "m-9")]
    assert refused(found) == [
        (2, 3, "record.unreadable"), (3, 4, "event.not_an_object"), (4, 5, "record.unreadable"),
        (5, 6, "event.field_missing"), (6, 7, "record.unreadable"), (7, 8, "record.unreadable"),
        (8, 9, "event.too_large"), (9, 10, "event.too_large"),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["e.csv", "e.csv.gz", "e.ndjson", "e.ndjson.gz"])
def test_how_far_it_has_come_is_known_at_the_end(name: str, tmp_path: Path) -> None:
    content = f"id,at,what,who\n1,{AT},x,bob\n".encode() if ".csv" in name else msgspec.json.encode(GOOD)
    path = write(tmp_path, name, content)
    with Source(path, CSV if ".csv" in name else None) as source:
        assert len(list(source.records())) == 1
        assert source.position == source.size


def test_rows_of_csv(tmp_path: Path) -> None:
    text = (
        "\ufeffid,at,what,who\n"
        f'1,{AT},order_placed,"Ali\nce"\n'
        f"2,{AT},order_placed\n"
        f"3,soon,order_placed,bob\n"
        f"4,{AT},{'n' * 201},bob\n"
        "\n"
        f"5,{AT},order_placed,bob\n"
    )
    found = cut(write(tmp_path, "events.csv", text.encode() + b"6,,\xff,x\n"), CSV)
    assert [(number, event["userId"]) for number, event in taken(found)] == [(1, "Ali\nce"), (5, "bob")]
    assert refused(found) == [
        (2, 4, "record.unreadable"), (3, 5, "event.timestamp_invalid"), (4, 6, "event.name_too_long"),
        (6, 9, "event.text_invalid"),
    ]  # fmt: skip


def test_a_quote_that_is_never_closed_costs_what_it_swallows_and_no_more(tmp_path: Path) -> None:
    rest = f"9,{AT},x,bob\n" * 40_000
    found = cut(write(tmp_path, "events.csv", f'id,at,what,who\n1,{AT},x,bob\n2,"{AT},x,bob\n{rest}'.encode()), CSV)
    assert refused(found)[0][:2] == (2, 3)
    assert len(taken(found)) > 20_000


@pytest.mark.parametrize(
    ("name", "content", "mapping", "said"),
    [
        ("events.txt", b"", None, "ends in .ndjson"),
        ("events.csv", b"id,at\n", None, "needs a map"),
        ("events.csv", b"", CSV, "names its columns"),
        ("events.csv", b"id,id\n", CSV, "a name of its own"),
        ("events.csv", b"id,at,what\n", CSV, "`who`"),
        ("events.csv", b"id,at,what,who,more\n", CSV, "`more`"),
    ],
)
def test_a_file_that_cannot_be_imported_says_why(
    name: str, content: bytes, mapping: Map | None, said: str, tmp_path: Path
) -> None:
    with pytest.raises(Unusable) as unusable:
        cut(write(tmp_path, name, content), mapping)
    assert said in str(unusable.value)


def test_other_encodings_and_delimiters(tmp_path: Path) -> None:
    mapping = read_map({**msgspec.to_builtins(CSV.document), "encoding": "latin-1", "delimiter": ";"})
    found = cut(write(tmp_path, "e.csv", f"id;at;what;who\n1;{AT};x;Zoë\n".encode("latin-1")), mapping)
    assert [event["userId"] for _, event in taken(found)] == ["Zoë"]


def test_it_is_cut_alike_from_wherever_it_goes_on(tmp_path: Path) -> None:
    """Any mix of good and bad: each record is in one batch or refused, and going on after a portion gives the rest."""
    dice = random.Random(3)
    with (tmp_path / "e.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "at", "what", "who"])
        for number in range(1, 3_001):
            broken = dice.random() < (0.5 if 1_000 < number < 1_300 else 0.01)
            rows.writerow([number, AT, dice.choice(["", "n" * 201]) if broken else "x", "x" * dice.choice([3, 400])])
    whole = cut(tmp_path / "e.csv", CSV)
    numbers = sorted([number for number, _ in taken(whole)] + [record for record, _, _ in refused(whole)])
    assert numbers == list(range(1, 3_001))
    assert all(event["messageId"] == str(number) for number, event in taken(whole))
    for place in range(0, len(whole), 7):
        assert json.dumps(msgspec.to_builtins(cut(tmp_path / "e.csv", CSV, whole[place].last))) == json.dumps(
            msgspec.to_builtins(whole[place + 1 :])
        )
