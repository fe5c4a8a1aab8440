"""JSON as people read it."""

import json


def pretty(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False)
