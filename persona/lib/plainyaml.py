"""Files that people write: YAML that says what JSON can say, and nothing else.

YAML itself turns `on` into true and 2026-11-24 into a date, takes the last of two equal keys, and lets few lines stand
for a billion values. Here a text is a text, a key stands once, and what is repeated by reference is counted each time.
"""

import re
from collections.abc import Hashable
from math import isfinite
from typing import Any

import yaml
from yaml.constructor import ConstructorError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

MOST_CHARACTERS = 16 * 1024 * 1024
MOST_VALUES = 1_000_000  # of a document, those that are repeated by reference each time
DEEPEST = 200
_RARE_ENDS = frozenset("\x85\u2028\u2029\r")

# Less than PyYAML takes for such, so that what it writes without quotes is read as it was.
_PLAIN = {
    "null": re.compile("~|null|Null|NULL|"),
    "bool": re.compile("true|True|TRUE|false|False|FALSE"),
    "int": re.compile("[-+]?(0|[1-9][0-9]*)"),
    "float": re.compile(r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+][0-9]+)?"),
}
_TAG = "tag:yaml.org,2002:"


class Unreadable(ValueError):
    """What is wrong with the text, in words."""


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, Any] = {}  # none of YAML 1.1; its own are below
    yaml_constructors = {
        tag: construct
        for tag, construct in yaml.SafeLoader.yaml_constructors.items()
        if tag is None or tag.removeprefix(_TAG) in {"null", "bool", "int", "float", "str", "seq", "map"}
    }

    def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        found: dict[Hashable, Any] = {}
        for key_node, value_node in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise ConstructorError(None, None, "a key has to be a text", key_node.start_mark)
            if key in found:
                raise ConstructorError(None, None, f"{key!r} is there twice", key_node.start_mark)
            found[key] = self.construct_object(value_node, deep=deep)
        return found


def _text(loader: _Loader, node: ScalarNode) -> str:
    text = loader.construct_yaml_str(node)
    if "\x00" in text or (not text.isprintable() and any("\ud800" <= sign <= "\udfff" for sign in text)):
        raise ConstructorError(None, None, "it has a sign that cannot be stored", node.start_mark)
    return text


def _number(loader: _Loader, node: ScalarNode) -> float:
    number = loader.construct_yaml_float(node)
    if not isfinite(number):
        raise ConstructorError(None, None, "the number is too large", node.start_mark)
    return number


for _kind, _construct in (("str", _text), ("float", _number)):
    _Loader.add_constructor(_TAG + _kind, _construct)
for _name, _pattern in _PLAIN.items():
    _Loader.add_implicit_resolver(_TAG + _name, re.compile(f"^(?:{_pattern.pattern})$"), None)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True


def _written(dumper: _Dumper, text: str) -> ScalarNode:
    """PyYAML folds the line ends of other alphabets in quotes of one kind, and loses them."""
    return dumper.represent_scalar(f"{_TAG}str", text, style='"' if _RARE_ENDS & set(text) else None)


_Dumper.add_representer(str, _written)


def dumps(document: Any) -> str:
    """The text of which `loads` makes that document again."""
    return str(yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100))


def loads(text: str) -> Any:
    """The document of `text`: dicts, lists, texts, numbers, true, false and None. Raises Unreadable."""
    if len(text) > MOST_CHARACTERS:
        raise Unreadable(f"It has more than {MOST_CHARACTERS} characters.")
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        if root is None:
            return None
        _count(root)
        return loader.construct_document(root)
    except (yaml.YAMLError, ValueError) as error:
        raise Unreadable(_said(error)) from None
    except RecursionError:
        raise Unreadable(f"It is nested more than {DEEPEST} deep.") from None


def _count(root: Node) -> None:
    """Refuse what is small as a text and huge as a document. Raises Unreadable."""
    left, waiting = MOST_VALUES, [(root, 0)]
    while waiting:
        node, depth = waiting.pop()
        left -= 1
        if left < 0:
            raise Unreadable(f"It stands for more than {MOST_VALUES} values.")
        if depth > DEEPEST:
            raise Unreadable(f"It is nested more than {DEEPEST} deep.")
        if isinstance(node, MappingNode):
            waiting += [(value, depth + 1) for _, value in node.value]
        elif isinstance(node, SequenceNode):
            waiting += [(value, depth + 1) for value in node.value]


def _said(error: Exception) -> str:
    """One line, with the place."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}"
    return str(error).splitlines()[0]
