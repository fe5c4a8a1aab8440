"""What is wrong with a field of the rule's form, in the words of who fills it in. Pure.

The grammar speaks of JSON: where a field is simply empty, or holds no number, that would help nobody.
"""

from collections.abc import Callable, Mapping

from segments.forms.draft import Draft
from segments.wording.words import DURATIONS

Said = str | None

LACKING: Mapping[str, str] = {
    "event": "Name the event.",
    "prop": "Name the property.",
    "path": "Name the trait.",
    "persona": "Choose a persona.",
    "value": 'Write a value; "" stands for an empty text.',
}
ANSWERED = ("exists", "missing")  # comparisons without a value
LONGER = ": nothing is longer than"  # the grammar goes on with a duration of ISO 8601
NUMBER = "Write a whole number above 0, such as 7."
COUNT = "Write how often, as a whole number from 0 to 9,999."
SPAN = "Write a span, such as 3 days."
MOMENT = "Write a moment, such as 2026-06-09T10:14:05Z."
LIST = "Write a value, or several with commas between them."


def said(draft: Draft, field: str, detail: str) -> str:
    """For the field of a draft that was refused. detail: what the grammar says, which stays where it says more."""
    found = JUDGES.get(field, _plain)(draft, field)
    if found is None and LONGER in detail:
        found = f"{detail.partition(LONGER)[0]}. Choose no more than that."
    return detail if found is None else found


def lacks_value(draft: Draft) -> bool:
    """Whether something is compared with nothing."""
    return draft.get("cmp") not in ANSWERED and not _text(draft, "value")


def _text(draft: Draft, field: str) -> str:
    return str(draft.get(field, "")).strip()


def _plain(draft: Draft, field: str) -> Said:
    return None if _text(draft, field) else LACKING.get(field)


def _group(draft: Draft, _: str) -> Said:
    return "Add a condition." if draft["kind"] == "group" and not draft["of"] else None


def _value(draft: Draft, field: str) -> Said:
    cmp = draft.get("cmp")
    if draft["kind"] == "event" and draft.get("fn", "count") == "count":
        return COUNT
    if cmp in DURATIONS:
        return SPAN
    if cmp in ("before", "after"):
        return MOMENT
    return LIST if cmp == "in" else _plain(draft, field)


def _filters(draft: Draft, _: str) -> Said:
    for row in draft["w"]:
        if not _text(row, "path"):
            return "Name a property for each filter, or remove the filter."
        if lacks_value(row):
            return LACKING["value"]
    return None


def _steps(draft: Draft, _: str) -> Said:
    named = [_text(step, "event") for step in draft["s"]]
    return None if named and all(named) else "Name an event for each step."


def _length(draft: Draft, field: str) -> Said:
    given = [_text(draft, field)]
    if field == "n" and draft.get("window") == "between":
        given.append(_text(draft, "n2"))
    if not all(one.isascii() and one.isdecimal() and int(one) > 0 for one in given):
        return NUMBER
    if len(given) > 1 and int(given[0]) <= int(given[1]):
        return "The greater number comes first: between 90 and 30 days ago."
    return None


JUDGES: Mapping[str, Callable[[Draft, str], Said]] = {
    "": _group,
    "value": _value,
    "w": _filters,
    "s": _steps,
    "n": _length,
    "absent_n": _length,
    "window_n": _length,
}
