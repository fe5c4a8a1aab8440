"""What the source says of itself: its problem codes and its environment variables, read from the syntax trees."""

import ast
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("persona", "keys", "ingestion", "segments", "delivery")
SHAPE = re.compile(r"[a-z_]+(\.[a-z_]+)?")
READERS = frozenset({"text", "flag", "number", "words", "origin"})  # of persona.lib.env
VARIABLE = re.compile(r"[A-Z][A-Z_]{3,}")

Call = tuple[str, ast.Call]  # the last name of what is called, and the call


@cache
def trees() -> list[ast.Module]:
    files = (path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py")))
    return [ast.parse(path.read_text()) for path in [ROOT / "manage.py", *files]]


@cache
def nodes(tree: ast.Module) -> list[ast.AST]:
    """Those of it that are looked at here; a walk takes longer than all that is asked of them."""
    return [
        node for node in ast.walk(tree) if isinstance(node, ast.Call | ast.Subscript | ast.FunctionDef | ast.ClassDef)
    ]


@cache
def problem_codes() -> dict[str, set[int]]:
    """Every text given as the parameter `code` of a function or class of ours, and the statuses said with it."""
    everything = trees()
    places = _places_of_code(everything)
    anywhere = _constants(everything)
    found: dict[str, set[int]] = {code: set() for code in _defaults(everything)}
    for tree in everything:
        constants = anywhere | _constants([tree])
        for name, call in _calls([tree]):
            if name in places:
                for code in _texts(_argument(call, places[name]), constants):
                    found.setdefault(code, set()).update(_status(call) if name == "Problem" else ())
    return found


def _status(call: ast.Call) -> Iterator[int]:
    if call.args and isinstance(call.args[0], ast.Constant) and isinstance(call.args[0].value, int):
        yield call.args[0].value


def environment_variables() -> set[str]:
    """Every name that is read through persona.lib.env or os.environ."""
    found: set[str] = set()
    for name, call in _calls(trees()):
        of = ast.unparse(call.func) if name in READERS or name in ("get", "setdefault") else ""
        if (name in READERS and of.startswith("env.")) or of in ("os.environ.get", "os.environ.setdefault"):
            found |= set(_names(call.args[:1]))
        if name == "add_argument" and ast.unparse(call.args[0]).endswith("-variable'"):
            found |= set(_names(keyword.value for keyword in call.keywords if keyword.arg == "default"))
    for tree in trees():
        for node in nodes(tree):
            if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load) and _is_environ(node.value):
                found |= set(_names([node.slice]))
    return found


def _is_environ(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and ast.unparse(node) == "os.environ"


def _names(nodes: Iterable[ast.expr]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and VARIABLE.fullmatch(node.value):
            yield node.value


def _calls(everything: Iterable[ast.Module]) -> Iterator[Call]:
    for tree in everything:
        for node in nodes(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
                yield node.func.id if isinstance(node.func, ast.Name) else node.func.attr, node


def _places_of_code(everything: Iterable[ast.Module]) -> dict[str, int]:
    """By the name of a function or class: at which position it takes a `code`."""
    places: dict[str, int] = {}
    for tree in everything:
        for node in nodes(tree):
            if isinstance(node, ast.FunctionDef):
                names = [argument.arg for argument in node.args.args if argument.arg != "self"]
                if "code" in names and node.name != "__init__":
                    places[node.name] = names.index("code")
            elif isinstance(node, ast.ClassDef) and "code" in (fields := _fields(node)):
                places[node.name] = fields.index("code")
    return places


def _fields(node: ast.ClassDef) -> list[str]:
    """What its constructor takes, in order: of __init__, or the fields of a struct."""
    for part in node.body:
        if isinstance(part, ast.FunctionDef) and part.name == "__init__":
            return [argument.arg for argument in part.args.args[1:]]
    return [
        part.target.id for part in node.body if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name)
    ]


def _defaults(everything: Iterable[ast.Module]) -> Iterator[str]:
    for tree in everything:
        for node in nodes(tree):
            if isinstance(node, ast.FunctionDef):
                with_default = node.args.args[len(node.args.args) - len(node.args.defaults) :]
                for argument, default in zip(with_default, node.args.defaults, strict=True):
                    if argument.arg == "code":
                        yield from _texts(default, {})


def _constants(everything: Iterable[ast.Module]) -> dict[str, set[str]]:
    """Texts of module-level names; of a tuple its first, which is where a code stands. Equal names are united."""
    found: dict[str, set[str]] = {}
    for tree in everything:
        for node in tree.body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                first = node.value.elts[0] if isinstance(node.value, ast.Tuple) and node.value.elts else node.value
                found.setdefault(node.targets[0].id, set()).update(_texts(first, {}))
    return found


def _argument(call: ast.Call, place: int) -> ast.expr | None:
    for keyword in call.keywords:
        if keyword.arg == "code":
            return keyword.value
    for argument in call.args[: place + 1]:
        if isinstance(argument, ast.Starred):
            return argument.value
    return call.args[place] if place < len(call.args) else None


def _texts(node: ast.expr | None, constants: dict[str, set[str]]) -> set[str]:
    match node:
        case ast.Constant(value=str(text)) if SHAPE.fullmatch(text):
            return {text}
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return constants.get(name, set())
        case ast.Subscript(value=of):
            return _texts(of, constants)
        case ast.IfExp(body=one, orelse=other):
            return _texts(one, constants) | _texts(other, constants)
        case _:
            return set()
