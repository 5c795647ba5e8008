"""CasADi SX functions as C++ over SIMD lanes: several stages or several step sizes evaluated at once.

CasADi keeps an SX function as a list of scalar instructions. Writing that list out with the type `Lane`, a vector of
LANES doubles, in place of double evaluates LANES arguments per call on the vector units. `Lane` and its functions
are in lane.h, which the unit includes.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

from ..exceptions import ConfigurationError
from .symbolic import by_operation, casadi

# The time to compile a function grows faster than its length: one of more than WHOLE_LENGTH statements is written in
# parts.
WHOLE_LENGTH, PART_LENGTH = 5000, 250
_C_BINARY = {"OP_ADD": "+", "OP_SUB": "-", "OP_MUL": "*", "OP_DIV": "/"}
_CALLS = {
    "OP_SQRT": "sqrt",
    "OP_SIN": "sin",
    "OP_COS": "cos",
    "OP_TAN": "tan",
    "OP_ASIN": "asin",
    "OP_ACOS": "acos",
    "OP_ATAN": "atan",
    "OP_SINH": "sinh",
    "OP_COSH": "cosh",
    "OP_TANH": "tanh",
    "OP_EXP": "exp",
    "OP_LOG": "log",
    "OP_EXPM1": "expm1",
    "OP_LOG1P": "log1p",
    "OP_ERF": "erf",
    "OP_POW": "pow",
    "OP_CONSTPOW": "pow",
    "OP_ATAN2": "atan2",
    "OP_HYPOT": "hypot",
    "OP_FMIN": "fmin",
    "OP_FMAX": "fmax",
    "OP_FABS": "fabs",
    "OP_SIGN": "sign",
    "OP_LT": "less",
    "OP_LE": "less_equal",
    "OP_EQ": "equal",
    "OP_NE": "different",
    "OP_NOT": "negate",
    "OP_AND": "both",
    "OP_OR": "either",
    "OP_IF_ELSE_ZERO": "select",
    "OP_FLOOR": "floor",
    "OP_CEIL": "ceil",
}
_FORMS = {
    "OP_ASSIGN": "{0}",
    "OP_NEG": "-{0}",
    "OP_SQ": "{0}*{0}",
    "OP_TWICE": "{0}+{0}",
    "OP_INV": "Lane(1.0)/{0}",
}
# Operations whose first or second derivative jumps: a cost made of them is not twice differentiable.
NOT_SMOOTH = {
    "OP_FMIN": "fmin",
    "OP_FMAX": "fmax",
    "OP_FABS": "fabs",
    "OP_SIGN": "sign",
    "OP_LT": "<",
    "OP_LE": "<=",
    "OP_EQ": "==",
    "OP_NE": "!=",
    "OP_IF_ELSE_ZERO": "if_else",
    "OP_FLOOR": "floor",
    "OP_CEIL": "ceil",
    "OP_FMOD": "fmod",
}


def emit(function: casadi.Function, name: str, uniform: int | None = None) -> str:
    """Write `static void name(const Lane* const* in, Lane* const* out)` in C++; outputs hold their nonzeros only.

    A long function is written in parts, which hand on their variables in an array. Input number `uniform` is the same
    in all SIMD lanes: it is read from a third parameter, `const double* uniform`, and not from `in`.

    Raises
    ------
    ConfigurationError : `function` uses an operation that is not available over SIMD lanes
    """
    lines = _with_pairs(function, [_statement(function, i, uniform) for i in range(function.n_instructions())])
    more, hand_on = ("", "") if uniform is None else (", const double* uniform", ", uniform")
    if len(lines) <= WHOLE_LENGTH:
        return _function(name, lines, more=more)
    parts = [lines[i : i + PART_LENGTH] for i in range(0, len(lines), PART_LENGTH)]
    size, live = 1 + max(i for line in lines for i in (*line.reads, *line.writes)), set[int]()
    text: list[str] = []
    for number in reversed(range(len(parts))):
        needed, written = _flow(parts[number])
        loads = "".join(f"  a{i} = w[{i}];\n" for i in sorted(needed))
        stores = "".join(f"  w[{i}] = a{i};\n" for i in sorted(written & live))
        live = live - written | needed
        kind = "__attribute__((noinline)) "
        text.insert(0, _function(f"{name}_{number}", parts[number], kind, loads, stores, more))
    calls = "".join(f"  {name}_{number}(in, out{hand_on}, w);\n" for number in range(len(parts)))
    return (
        "".join(text) + f"static void {name}(const Lane* const* in, Lane* const* out{more}) {{\n"
        f"  static thread_local Lane w[{size}];\n{calls}}}\n"
    )


class _Statement(NamedTuple):
    """One assignment: its text, and the variables it reads and writes."""

    text: str
    reads: tuple[int, ...]
    writes: tuple[int, ...]


def _statement(function: casadi.Function, i: int, uniform: int | None) -> _Statement:
    op, sources, targets = function.instruction_id(i), function.instruction_input(i), function.instruction_output(i)
    if op == casadi.OP_INPUT and sources[0] == uniform:
        return _Statement(f"a{targets[0]} = Lane(uniform[{sources[1]}])", (), (targets[0],))
    if op == casadi.OP_INPUT:
        return _Statement(f"a{targets[0]} = in[{sources[0]}][{sources[1]}]", (), (targets[0],))
    if op == casadi.OP_OUTPUT:
        return _Statement(f"out[{targets[0]}][{targets[1]}] = a{sources[0]}", (sources[0],), ())
    if op == casadi.OP_CONST:
        constant = float(function.instruction_constant(i)).hex()
        return _Statement(f"a{targets[0]} = Lane({constant})", (), (targets[0],))
    expression = _expression(op, [f"a{s}" for s in sources])
    return _Statement(f"a{targets[0]} = {expression}", tuple(sources), tuple(targets))


def _with_pairs(function: casadi.Function, lines: list[_Statement]) -> list[_Statement]:
    """Return the statements with one call where both sine and cosine of a variable are taken: half of it is the same.

    The second result waits in a variable of its own until the statement that it replaces, whose variable may be in use
    before.
    """
    pair, more = {casadi.OP_SIN, casadi.OP_COS}, 1 + max((i for line in lines for i in line.writes), default=0)
    waiting: dict[int, tuple[int, int]] = {}  # {variable: (the statement of its sine or cosine, the operation)}
    found = list(lines)
    for number, line in enumerate(lines):
        op = function.instruction_id(number)
        if op in pair:
            (source,), (target,) = line.reads, line.writes
            first, of_first = waiting.get(source, (number, op))
            if op != of_first:
                of, kept = lines[first].writes[0], more
                results = (of, kept) if of_first == casadi.OP_SIN else (kept, of)
                text = f"sincos(a{source}, a{results[0]}, a{results[1]})"
                found[first] = _Statement(text, (source,), (of, kept))
                found[number] = _Statement(f"a{target} = a{kept}", (kept,), (target,))
                more += 1
                del waiting[source]
        for written in line.writes:
            waiting.pop(written, None)
        if op in pair and line.writes[0] != line.reads[0] and found[number] is line:
            waiting[line.reads[0]] = number, op
    return found


def _flow(lines: list[_Statement]) -> tuple[set[int], set[int]]:
    """Return the variables that are read before they are written, and those that are written."""
    needed, written = set[int](), set[int]()
    for line in lines:
        needed.update(set(line.reads) - written)
        written.update(line.writes)
    return needed, written


def _function(
    name: str, lines: list[_Statement], kind: str = "", loads: str = "", stores: str = "", more: str = ""
) -> str:
    variables = sorted({i for line in lines for i in (*line.reads, *line.writes)})
    declare = f"  Lane {', '.join(f'a{i}' for i in variables)};\n" if variables else ""
    memory, used = (", Lane* w", " (void)w;") if kind else ("", "")
    used += " (void)uniform;" if more else ""
    body = "\n".join(f"  {line.text};" for line in lines)
    return (
        f"{kind}static void {name}(const Lane* const* in, Lane* const* out{more}{memory}) {{\n"
        f"  (void)in; (void)out;{used}\n{declare}{loads}{body}\n{stores}}}\n"
    )


@functools.cache
def _tables() -> tuple[dict[int, str], dict[int, str], dict[int, str]]:
    return by_operation(_C_BINARY), by_operation(_FORMS), by_operation(_CALLS)


def _expression(op: int, operands: list[str]) -> str:
    binary, forms, calls = _tables()
    if op in binary:
        return f"{operands[0]} {binary[op]} {operands[1]}"
    if op in forms:
        return forms[op].format(*operands)
    if op in calls:
        return f"{calls[op]}({', '.join(operands)})"
    raise ConfigurationError(
        f"a cost or model uses CasADi operation {op}, which the compiled planner does not have; "
        "write it with smooth elementary functions, or set planner.backend to 'casadi'"
    )


def nonsmooth_operation(function: casadi.Function) -> str:
    """Return the first operation of `function` that is not twice differentiable ('' if there is none)."""
    rough = by_operation(NOT_SMOOTH)
    return next((rough[op] for op in map(function.instruction_id, range(function.n_instructions())) if op in rough), "")
