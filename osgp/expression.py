"""The expression language of the table specifications: parser and evaluator.

    expression = sum [ ("==" | "!=" | "<=" | ">=" | "<" | ">") sum ]
    sum        = product { ("+" | "-") product }
    product    = unary { ("*" | "/") unary }                 "/" truncates towards zero
    unary      = [ "-" ] atom
    atom       = number | function "(" expression { "," expression } ")" | reference | "(" expression ")"
    reference  = name { "." ( name | number ) | "[" expression "]" }

Values are integers; a flag is 0 or 1. A reference such as `BT21.number_tiers`, `BT21.7` (the field at offset 7), `BT21.0.2`
(bit 2 of offset 0) or `ET36.logs[3].entry_size` is handed to a scope as a tuple of its parts, indices already evaluated;
`sizeof(BT23)` asks the scope for the size of a table in octets; `given(BT21.7, 4)` is 4 when the table ends before that field
(older firmware).
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Protocol

from .errors import ExpressionError

Part = str | int


class Scope(Protocol):
    """What gives names their values while an expression is evaluated."""

    def resolve(self, parts: tuple[Part, ...]) -> int:
        """Value of a reference."""
        ...

    def resolve_or(self, parts: tuple[Part, ...], fallback: int) -> int:
        """Value of a reference, the fallback when the device does not have the field."""
        ...

    def size_of(self, table: str) -> int:
        """Size of a table in octets."""
        ...


@dataclass(frozen=True, slots=True)
class Number:
    """A literal."""

    value: int

    def evaluate(self, scope: Scope) -> int:
        return self.value


@dataclass(frozen=True, slots=True)
class Reference:
    """A name with its field, offset, bit and index parts."""

    parts: tuple[Part | Node, ...]

    def resolved(self, scope: Scope) -> tuple[Part, ...]:
        """The parts with their indices evaluated."""
        return tuple(part if isinstance(part, str | int) else part.evaluate(scope) for part in self.parts)

    def evaluate(self, scope: Scope) -> int:
        return scope.resolve(self.resolved(scope))


@dataclass(frozen=True, slots=True)
class Operation:
    """Two operands and an operator."""

    symbol: str
    left: Node
    right: Node

    def evaluate(self, scope: Scope) -> int:
        return OPERATORS[self.symbol](self.left.evaluate(scope), self.right.evaluate(scope))


@dataclass(frozen=True, slots=True)
class Call:
    """A function: `sizeof(TABLE)`, `popcount(x)`, `choose(i, a, b, ...)`, `given(REFERENCE, fallback)`."""

    function: str
    arguments: tuple[Node, ...]

    def evaluate(self, scope: Scope) -> int:
        if self.function == "sizeof":
            reference = self.arguments[0]
            if not isinstance(reference, Reference) or not isinstance(reference.parts[0], str):
                raise ExpressionError("sizeof() needs the id of a table")
            return scope.size_of(reference.parts[0])
        if self.function == "given":
            reference = self.arguments[0]
            if not isinstance(reference, Reference):
                raise ExpressionError("given() needs a reference")
            return scope.resolve_or(reference.resolved(scope), self.arguments[1].evaluate(scope))
        if self.function == "popcount":
            return self.arguments[0].evaluate(scope).bit_count()
        index = self.arguments[0].evaluate(scope)
        if not 0 <= index < len(self.arguments) - 1:
            raise ExpressionError(f"choose() index must be 0..{len(self.arguments) - 2}, got {index}")
        return self.arguments[1 + index].evaluate(scope)


Node = Number | Reference | Operation | Call


def _divide(a: int, b: int) -> int:
    if b == 0:
        raise ExpressionError("division by zero")
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient


OPERATORS: Final[dict[str, Callable[[int, int], int]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _divide,
    "==": lambda a, b: int(a == b),
    "!=": lambda a, b: int(a != b),
    "<=": lambda a, b: int(a <= b),
    ">=": lambda a, b: int(a >= b),
    "<": lambda a, b: int(a < b),
    ">": lambda a, b: int(a > b),
}
COMPARISONS: Final = ("==", "!=", "<=", ">=", "<", ">")
FUNCTIONS: Final[dict[str, range]] = {
    "sizeof": range(1, 2), "popcount": range(1, 2), "given": range(2, 3), "choose": range(2, 99),
}  # fmt: skip
_TOKEN: Final = re.compile(r"\s*(?:(\d+)|([A-Za-z_]\w*)|(==|!=|<=|>=|[-+*/().,\[\]<>]))")


class _Parser:
    """Recursive descent over the tokens of one expression."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[str] = []
        position = 0
        stripped = text.rstrip()
        while position < len(stripped):
            match = _TOKEN.match(stripped, position)
            if match is None:
                raise ExpressionError(f"cannot read {stripped[position:]!r} in {text!r}")
            self._tokens.append(match.group().strip())
            position = match.end()
        self._at = 0

    def parse(self) -> Node:
        node = self._expression()
        if self._at != len(self._tokens):
            raise ExpressionError(f"unexpected {self._tokens[self._at]!r} in {self._text!r}")
        return node

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self, expected: str = "") -> str:
        token = self._peek()
        if not token or (expected and token != expected):
            raise ExpressionError(f"expected {expected or 'an operand'!r}, got {token or 'the end'!r} in {self._text!r}")
        self._at += 1
        return token

    def _expression(self) -> Node:
        node = self._binary(("+", "-"), lambda: self._binary(("*", "/"), self._unary))
        if self._peek() in COMPARISONS:
            symbol = self._take()
            node = Operation(symbol, node, self._binary(("+", "-"), lambda: self._binary(("*", "/"), self._unary)))
        return node

    def _binary(self, symbols: tuple[str, ...], operand: Callable[[], Node]) -> Node:
        node = operand()
        while self._peek() in symbols:
            symbol = self._take()
            node = Operation(symbol, node, operand())
        return node

    def _unary(self) -> Node:
        if self._peek() == "-":
            self._take()
            return Operation("-", Number(0), self._atom())
        return self._atom()

    def _atom(self) -> Node:
        token = self._take()
        if token == "(":
            node = self._expression()
            self._take(")")
            return node
        if token.isdigit():
            return Number(int(token))
        if not (token[0].isalpha() or token[0] == "_"):
            raise ExpressionError(f"expected an operand, got {token!r} in {self._text!r}")
        if self._peek() == "(":
            return self._call(token)
        return self._reference(token)

    def _call(self, function: str) -> Call:
        if function not in FUNCTIONS:
            raise ExpressionError(f"unknown function {function!r} in {self._text!r}")
        self._take("(")
        arguments = [self._expression()]
        while self._peek() == ",":
            self._take()
            arguments.append(self._expression())
        self._take(")")
        if len(arguments) not in FUNCTIONS[function]:
            raise ExpressionError(f"{function}() does not take {len(arguments)} arguments in {self._text!r}")
        return Call(function, tuple(arguments))

    def _reference(self, name: str) -> Reference:
        parts: list[Part | Node] = [name]
        while self._peek() in (".", "["):
            if self._take() == "[":
                parts.append(self._expression())
                self._take("]")
                continue
            token = self._take()
            if token.isdigit():
                parts.append(int(token))
            elif token[0].isalpha() or token[0] == "_":
                parts.append(token)
            else:
                raise ExpressionError(f"expected a field after '.', got {token!r} in {self._text!r}")
        return Reference(tuple(parts))


@lru_cache(maxsize=4096)
def parse(text: str) -> Node:
    """Parse an expression once; a malformed one raises ExpressionError."""
    return _Parser(text).parse()


def references(node: Node) -> set[str]:
    """First parts of every reference of an expression: table ids and local names."""
    match node:
        case Number():
            return set()
        case Operation():
            return references(node.left) | references(node.right)
        case Call():
            return set().union(*(references(argument) for argument in node.arguments))
        case Reference():
            inner = set().union(*(references(part) for part in node.parts if not isinstance(part, str | int)), set())
            return {str(node.parts[0])} | inner


def unparse(node: Node) -> str:
    """The text of an expression."""
    match node:
        case Number():
            return str(node.value)
        case Call():
            return f"{node.function}({', '.join(map(unparse, node.arguments))})"
        case Operation():
            left, right = unparse(node.left), unparse(node.right)
            if node.symbol in ("*", "/"):
                left = f"({left})" if _is_sum(node.left) else left
            if isinstance(node.right, Operation) and (node.symbol in ("*", "/", "-") or _rank(node.right) < _rank(node)):
                right = f"({right})"
            return f"{left}{node.symbol}{right}"
        case Reference():
            parts = [part if isinstance(part, str | int) else f"[{unparse(part)}]" for part in node.parts]
            text = str(parts[0])
            for part in parts[1:]:
                text += part if isinstance(part, str) and part.startswith("[") else f".{part}"
            return text


def _rank(node: Operation) -> int:
    return 0 if node.symbol in COMPARISONS else 1 if node.symbol in ("+", "-") else 2


def _is_sum(node: Node) -> bool:
    return isinstance(node, Operation) and _rank(node) < 2
