"""The Node SDK in the life of a program: callbacks that give promises, and promises that fail."""

import json
import subprocess

import pytest
from server import Scripted

from tests.sdks.drivers import DRIVERS, SDKS

CHANGES = [
    {"id": seq, "event": "segment.updated", "data": {"profile": "u_1", "persona": "p", "op": "enter"}}
    for seq in (1, 2, 3)
]
PROGRAM = """
import { Persona } from "./node/src/index.js";
console.error = () => {};
const onDrop = async () => { throw new Error("oh"); };
const persona = new Persona("pk_test_conformance", { url: process.argv[1], onDrop });
const heard = [], circle = {};
circle.circle = circle;
persona.track("odd", circle);
const subscription = persona.subscribe({}, async ({ seq }) => {
  heard.push(`${seq} behind ${subscription.cursor}`);
  await new Promise((resolve) => setTimeout(resolve, 20));
  heard.push(`${seq} done`);
  if (seq === 2) throw new Error("oh");
  if (seq === 3) {
    await subscription.close();
    await persona.close();
    console.log(JSON.stringify(heard));
  }
});
"""


def test_promises_are_waited_for_and_may_fail() -> None:
    driver = next(driver for driver in DRIVERS if driver.language == "node")
    if driver.lacking:
        pytest.skip(driver.lacking)
    with Scripted({"stream": [{"frames": CHANGES, "then": "hold"}]}) as server:
        command = ["node", "--input-type=module", "-e", PROGRAM, server.url]
        done = subprocess.run(command, cwd=SDKS, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [
        "1 behind null", "1 done", "2 behind 1", "2 done", "3 behind 2", "3 done",
    ]  # fmt: skip
