"""kill -9 of every part at random moments: nothing acknowledged is lost, doubled, out of order or misjudged."""

import os
import random

import psycopg
import pytest

from tests.e2e.ordeal import Ordeal
from tests.stack import Stack

RECOVERED = 60.0  # seconds after the last kill in which events must be judged again
DEMO = "project_id = (select id from keys_project where slug = 'demo')"
VIEWED = f"{DEMO} and name_id = (select id from ingestion_eventname where {DEMO} and name = 'viewed')"
NEWEST = f"from ingestion_event where {VIEWED} order by received_at desc limit 1"
LAST = f"{DEMO} and seq = (select last_seq - 1 from segments_head where {DEMO})"
SOMETHING_WRONG = {
    "an event is lost": f"delete from ingestion_event where (project_id, uid) = (select project_id, uid {NEWEST})",
    "an event is there twice": f"insert into ingestion_event select * {NEWEST}",
    "a row of the log is lost": f"delete from segments_change where {LAST}",
    "the log repeats itself": f"update segments_change set op = 'enter' where {DEMO} and op = 'leave'",
    "a member is nowhere in the log": f"update segments_membership set is_member = true where {DEMO}",
    "a frame said something else": f"update segments_change set at = at + 1 where {LAST}",
    "somebody is somebody else": f"update ingestion_alias set profile_id = 0 where {DEMO} and kind = 'anon'",
}


@pytest.fixture(scope="module")
def ordeal(stack: Stack, left_well: None) -> Ordeal:
    """Over, and checked."""
    seed = int(os.environ.get("PERSONA_CRASH_SEED", "1"))  # others are for bench/crash.py
    print(f"PERSONA_CRASH_SEED={seed}")  # noqa: T201 - pytest shows it when something fails
    dice = random.Random(seed)
    ordeal = Ordeal(stack, name=f"crash-{seed}", seed=seed, writers=2, pace=0.01)
    ordeal.start()
    moments = [("web",), ("worker",), ("postgres",), dice.choice((("web", "postgres"), ("worker", "postgres")))]
    for names in dice.sample(moments, len(moments)):
        ordeal.wait_for_batches(dice.randint(5, 60))
        ordeal.crash(*names)
    ordeal.wait_for_a_change(RECOVERED)
    account = ordeal.finish()
    assert account.timely
    assert account.members[f"crash-{seed}-busy"]
    return ordeal


def test_killed_at_random_moments(ordeal: Ordeal) -> None:
    assert set(ordeal.kills) == {"web", "worker", "postgres"}


@pytest.mark.parametrize("what", SOMETHING_WRONG)
def test_what_is_wrong_would_be_noticed(ordeal: Ordeal, what: str) -> None:
    """Whatever the ordeal must never find, it does find: made in a transaction that is rolled back."""
    with psycopg.connect(ordeal.stack.database_url) as database:
        done = database.execute(SOMETHING_WRONG[what])
        assert done.rowcount
        with pytest.raises(AssertionError):
            ordeal.checked(database)
        database.rollback()
