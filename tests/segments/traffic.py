"""A shop that lives: threads that send, apply, evaluate, backfill and change the rule of the persona `moody`, until
the block ends. (Whoever leaves by a timer of a rule that has just changed leaves because of the change.)"""

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import connection

from ingestion.tasks import apply_some
from keys.models import Project
from segments import backfill
from segments.evaluator import evaluate_some
from segments.models import Persona
from segments.services import update_persona
from tests.ingestion.applying import alias, identify, put, track
from tests.segments.living import Json, now_ms, viewed

PEOPLE = 40
EVENTS = ("page_viewed", "page_viewed", "checkout_completed")


@contextmanager
def traffic(project: Project) -> Iterator[None]:
    """Runs while the block does. What a thread raises is raised at its end."""
    stop = threading.Event()
    failures: list[BaseException] = []

    def run(work: Callable[[random.Random], object]) -> None:
        dice = random.Random(work.__name__)
        try:
            while not stop.is_set():
                work(dice)
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    def send(dice: random.Random) -> None:
        put(project, *(_event(dice) for _ in range(dice.randint(1, 8))), received_at=now_ms())
        stop.wait(0.01)

    def judge(_: random.Random) -> None:
        if not apply_some() + evaluate_some() + backfill.backfill_some():
            stop.wait(0.002)

    def change(dice: random.Random) -> None:
        persona = Persona.objects.get(project=project, slug="moody")
        rule = {"v": 1, "rule": viewed(dice.randint(1, 3), dice.choice(("PT1S", "PT2S")))}
        update_persona(persona=persona, changes={"rule": rule}, actor="alice")
        stop.wait(0.7)

    threads = [threading.Thread(target=run, args=(work,)) for work in (send, judge, judge, change)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    if failures:
        raise failures[0]


def _event(dice: random.Random) -> Json:
    user = f"user-{dice.randrange(PEOPLE)}"
    kind = dice.random()
    if kind < 0.05:
        return alias(f"user-{dice.randrange(PEOPLE)}", user)
    if kind < 0.2:
        return identify(user, {"age": dice.choice((3, 7, "7", None))})
    return track(dice.choice(EVENTS), userId=user)
