"""Plays conformance cases with the Python SDK: a case a line on standard input, a line of what was heard for each."""

import json
import re
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

from persona_sdk import Change, Options, Persona

PATIENCE = 20.0  # seconds
STUCK = 3


class Application:
    """What hears the SDK's callbacks."""

    def __init__(self) -> None:
        kinds = ("dropped", "errors", "changes", "profiles", "resets", "flags")
        self.heard: dict[str, list[Any]] = {kind: [] for kind in kinds}

    def dropped(self, name: str, code: str) -> None:
        self.heard["dropped"].append({"event": name, "code": code})

    def error(self, code: str) -> None:
        self.heard["errors"].append(code)

    def change(self, change: Change) -> None:
        self.heard["changes"].append(change.seq)
        self.heard["profiles"].append(change.profile)

    def reset(self, oldest: int, head: int) -> None:
        self.heard["resets"].append({"oldest": oldest, "head": head})


def until(met: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not met():
        if time.monotonic() > deadline:
            sys.exit(STUCK)
        time.sleep(0.005)


def filled(value: Any) -> Any:
    """`"{60000}"` as so many letters, anywhere in the value."""
    if isinstance(value, str) and (size := re.fullmatch(r"\{(\d+)\}", value)):
        return "x" * int(size[1])
    return {name: filled(one) for name, one in value.items()} if isinstance(value, dict) else value


def calls(persona: Persona, step: Mapping[str, Any]) -> None:
    for number in range(step.get("times", 1)):
        user = step.get("userId", "").replace("{i}", str(number)) or None
        properties = filled(step.get("properties", {}))
        if "track" in step:
            persona.track(step["track"].replace("{i}", str(number)), properties, user_id=user)
        elif "identify" in step:
            persona.identify(step["identify"], step.get("traits"))
        elif "page" in step:
            persona.page(step["page"], properties, user_id=user)
        else:
            persona.alias(step["alias"], step["previousId"])


def play(case: Mapping[str, Any]) -> Application:
    names = {
        re.sub("[A-Z]", lambda letter: "_" + letter[0].lower(), name): case["options"][name] for name in case["options"]
    }
    config = names.pop("config", False)
    heard = Application()
    persona = Persona(
        case["key"],
        url=case["url"],
        options=Options(**names),
        on_drop=heard.dropped,
        on_error=heard.error,
        on_flags=heard.heard["flags"].append,
        config=config,
    )
    subscription = None
    for step in case["do"]:
        if "flush" in step:
            persona.flush(step["flush"])
        elif "close" in step:
            persona.close(step["close"])
        elif "setKey" in step:
            persona.set_key(step["setKey"])
        elif "subscribe" in step:
            where = {"personas": step["subscribe"], "cursor": step.get("cursor")}
            subscription = persona.subscribe(heard.change, on_reset=heard.reset, **where)
        elif "unsubscribe" in step and subscription:
            subscription.close()
        elif "until" in step:
            until(reached(lambda: {name: len(told) for name, told in heard.heard.items()}, step["until"]))
        elif "wait" in step:
            until(reached(lambda: seen(case["url"]), step["wait"]))
        else:
            calls(persona, step)
    return heard


def reached(counts: Callable[[], Mapping[str, int]], wanted: Mapping[str, int]) -> Callable[[], bool]:
    def met() -> bool:
        now = counts()
        return all(now[name] >= count for name, count in wanted.items())

    return met


def seen(url: str) -> Any:
    with urllib.request.urlopen(f"{url}/seen", timeout=5) as answer:  # noqa: S310 - the judge's own server
        return json.load(answer)


if __name__ == "__main__":
    for line in sys.stdin:
        sys.stdout.write(json.dumps(play(json.loads(line)).heard) + "\n")
        sys.stdout.flush()
