"""What a body may not say: texts that cannot be stored and keys that stand twice are refused by their place."""

import msgspec
import pytest

from tests.api.conftest import Api

pytestmark = pytest.mark.django_db
NODE = '{"op": "event", "event": "a", "cmp": "gte", "value": 1'


@pytest.mark.parametrize(
    ("rule", "code", "path"),
    [
        (NODE + r', "where": {"op": "trait", "path": "x", "cmp": "in", "value": ["a", "\u0000"]}}',
         "request.null_character", "rule.rule.where.value[1]"),
        (NODE + r', "\u0000": 1}', "request.null_character", "rule.rule"),
        (r'{"op": "event", "event": "\ud800", "cmp": "gte", "value": 1}', "request.text_invalid", "rule.rule.event"),
        (NODE + r', "\udc00": 1}', "request.text_invalid", "rule.rule"),
        (NODE + ', "event": "b"}', "request.key_repeated", "rule.rule"),
        (r'{"op": "event", "event": "\\u0000 \ud83d\uded2", "cmp": "gte", "value": 1}', None, None),
        (NODE + ', "window": {"last": NaN}}', "request.not_json", None),
        (NODE + ', "window": {"last": "\ufffe', "request.not_json", None),
    ],
)  # fmt: skip
def test_a_text_or_key_is_refused_by_its_place(api: Api, rule: str, code: str | None, path: str | None) -> None:
    body = msgspec.Raw(f'{{"rule": {{"v": 1, "rule": {rule}}}}}'.encode())
    status, answer = api.ask("POST", "personas/preview", body)
    assert (status, answer.get("code"), answer.get("path")) == (400 if code else 200, code, path)
