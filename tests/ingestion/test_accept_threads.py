"""On whose thread the work of a request is done."""

import asyncio
import threading

from ingestion.accepting.caller import Headers, Reply, for_caller
from ingestion.accepting.door import Door
from keys.auth import Principal
from persona.lib.wire import Answer, problem_answer
from tests.ingestion.calling import Shop, db, shop, way_in

__all__ = ["db", "shop", "way_in"]


def test_the_ring_looks_a_key_up_and_does_nobody_elses_work(shop: Shop) -> None:
    ran: list[threading.Thread] = []

    def step(principal: Principal) -> Answer:
        ran.append(threading.current_thread())
        return Answer(200)

    def behind(headers: Headers, body: bytes) -> Reply:
        return for_caller(headers, scope="events:write", way="events", step=step, refused=problem_answer)

    door = Door(methods=("POST",), behind=behind)
    # Both keys are new to the ring.
    assert asyncio.run(door.answer({"authorization": f"Bearer {shop.pk}"}, b"")).status == 200
    assert door.answer_here({"authorization": f"Bearer {shop.sk}"}, b"").status == 200
    assert ran == [threading.current_thread()] * 2
