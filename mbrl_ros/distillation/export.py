"""A policy as one C file that needs nothing but a C99 compiler, and as ONNX.

The header of the file states shapes, joint order, units, normalization and what the window is. Two functions are for
use, mbrl_policy_set_target (once per target) and mbrl_policy_step (every period), with a struct that holds the history;
the generated mathematics is above them.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from string import Template
from typing import Any

from ..codegen.symbolic import by_operation, casadi
from ..exceptions import ConfigurationError
from ..robots import Robot
from .expression import act_function, goal_function
from .policy import Policy

COMMAND_UNITS = {"effort": "N m (or N)", "velocity": "rad/s (or m/s)", "position": "rad (or m)"}


TEMPLATE = Template(
    """/* A distilled policy of mbrl_ros. Generated; do not edit.
 *
 * About:   ${about}
 * Joints:${joints}
 * Inputs:  target[${nt}]: ${target};
 *          q[${n}] [rad or m], qd[${n}] [rad/s or m/s]: the measured state, once per period of ${period} s;
 *          u_last[${n}]: the command in effect during the period that just ended.
 * Output:  u[${n}] [${unit}], ${interface} commands inside
 *          [${lower}] to [${upper}].
 * Window:  ${length} periods = ${seconds} s, over which accelerations and commands are averaged.
 * Scores:  each below 1 inside of what was taught: the state's (every step), the target's and the goal networks' spread
 *          (set_target). Above 1 the policy must not act.
 * Units:   inputs and outputs are not normalised by the caller; whitening is part of the code.
 * Use:     mbrl_policy p; mbrl_policy_reset(&p); mbrl_policy_set_target(&p, target, 0, scores);
 *          every period: score = mbrl_policy_step(&p, q, qd, u_last, u);
 */
${functions}
#include <math.h>
#include <string.h>

#define MBRL_N ${n}
#define MBRL_TARGET ${nt}
#define MBRL_TASKS ${tasks}
#define MBRL_WINDOW ${length}

typedef struct {
  double goal[MBRL_N], speeds[MBRL_WINDOW + 1][MBRL_N], commands[MBRL_WINDOW][MBRL_N];
  long count;
  int task;
} mbrl_policy;

/* Forget the history. Call when stepping begins or was interrupted. */
void mbrl_policy_reset(mbrl_policy *p) { memset(p, 0, sizeof *p); }

/* Go to `target` of `task` from now on; scores[2]: the target's and the spread. A task it does not know: above 1. */
void mbrl_policy_set_target(mbrl_policy *p, const double *target, int task, double *scores) {
  double one_hot[MBRL_TASKS] = {0};
  const double *arguments[${goal_arguments}] = {target, one_hot};
  double *results[${goal_results}] = {p->goal, scores}, work[${goal_work}];
  casadi_int whole[${goal_whole}];
  p->task = task >= 0 && task < MBRL_TASKS ? task : -1;
  if (p->task >= 0) one_hot[p->task] = 1.0;
  ${goal}(arguments, results, whole, work, 0);
  if (p->task < 0) scores[0] = scores[1] = HUGE_VAL;
}

/* One period: u from q, qd and the command in effect during the period before. Returns the state's score. */
double mbrl_policy_step(mbrl_policy *p, const double *q, const double *qd, const double *u_last, double *u) {
  double a[MBRL_N], w[MBRL_N], scores[MBRL_TASKS], work[${act_work}];
  const double *arguments[${act_arguments}] = {q, qd, a, w, p->goal};
  double *results[${act_results}] = {u, scores};
  casadi_int whole[${act_whole}];
  const long k = p->count++, filled = k < MBRL_WINDOW ? k : MBRL_WINDOW;
  long i, j;
  memcpy(p->speeds[k % (MBRL_WINDOW + 1)], qd, sizeof a);
  if (k > 0) memcpy(p->commands[(k - 1) % MBRL_WINDOW], u_last, sizeof w);
  for (j = 0; j < MBRL_N; ++j) {
    double sum = 0.0;
    for (i = 0; i < filled; ++i) sum += p->commands[i][j];
    w[j] = filled ? sum / filled : u_last[j];
    a[j] = filled ? (qd[j] - p->speeds[(k - filled) % (MBRL_WINDOW + 1)][j]) * ${rate} / filled : 0.0;
  }
  ${act}(arguments, results, whole, work, 0);
  return p->task < 0 ? HUGE_VAL : scores[p->task];
}
"""
)


_NOT_IN_COMMENTS = re.compile(r"[^A-Za-z0-9 _.,:;+\-()\[\]{}\"'=<>|&%$#@!~^`/]")


def comment(text: str) -> str:
    """Return `text` as it can stand in a comment of C: whatever could end the comment or the line becomes '_'.

    That is '*', the backslash, which joins lines, '?', of which trigraphs are made, and everything outside ASCII.
    """
    return _NOT_IN_COMMENTS.sub("_", text)


def to_c(policy: Policy, robot: Robot, rate: float) -> str:
    """Return the C source of `policy`, stepped at `rate` [Hz]; DataError if `robot` is another kind of robot."""
    policy.check(robot)
    shape = policy.shape
    length = max(1, round(shape.window * rate))
    generator = casadi.CodeGenerator("policy.c", {"with_header": False})
    goal, act = goal_function(policy, robot), act_function(policy, robot)
    for function in (goal, act):
        generator.add(function)
    target = {
        "joints": "q* [rad or m], in joint order",
        "point": f"p* [m], the end effector in the frame of '{comment(robot.root)}'",
        "features": "s*, image coordinates",
    }[shape.kind]
    return TEMPLATE.substitute(
        about=comment(json.dumps(policy.about, sort_keys=True)),
        joints="".join(f"\n *     {i}: {comment(name)}" for i, name in enumerate(shape.joints)),
        target=target,
        n=shape.n,
        nt=shape.nt,
        tasks=shape.tasks,
        interface=comment(shape.interface),
        unit=COMMAND_UNITS[shape.interface],
        lower=", ".join(f"{x:g}" for x in shape.lower),
        upper=", ".join(f"{x:g}" for x in shape.upper),
        rate=repr(rate),
        period=f"{1.0 / rate:.9g}",
        length=length,
        seconds=f"{length / rate:g}",
        functions=generator.dump(),
        **_sizes("goal", goal),
        **_sizes("act", act),
    )


def _sizes(name: str, function: casadi.Function) -> dict[str, str | int]:
    """Return the entries of TEMPLATE that concern one function."""
    return {
        name: function.name(),
        f"{name}_arguments": function.sz_arg(),
        f"{name}_results": function.sz_res(),
        f"{name}_work": function.sz_w() + 1,
        f"{name}_whole": function.sz_iw() + 1,
    }


def to_onnx(policy: Policy, robot: Robot, path: Path) -> None:
    """Write two models, PATH.goal.onnx and PATH.act.onnx, with the inputs and outputs of expression.py.

    Raises
    ------
    ConfigurationError : the package onnx is missing
    DataError : `robot` is another kind of robot
    """
    try:
        import onnx
    except ModuleNotFoundError:
        raise ConfigurationError("ONNX needs the Python package 'onnx': pip install 'mbrl_ros[onnx]'") from None
    policy.check(robot)
    for function in (goal_function(policy, robot), act_function(policy, robot)):
        onnx.save(_onnx_model(function, onnx), f"{path}.{function.name().rsplit('_', 1)[-1]}.onnx")


_UNARY = {
    "OP_SIN": "Sin",
    "OP_COS": "Cos",
    "OP_EXP": "Exp",
    "OP_SQRT": "Sqrt",
    "OP_NEG": "Neg",
    "OP_FABS": "Abs",
    "OP_SIGN": "Sign",
}
_ONNX_BINARY = {
    "OP_ADD": "Add",
    "OP_SUB": "Sub",
    "OP_MUL": "Mul",
    "OP_DIV": "Div",
    "OP_FMIN": "Min",
    "OP_FMAX": "Max",
}


class _OnnxGraph:
    """The nodes and constants of a graph under construction, double precision."""

    def __init__(self, onnx: Any):
        self._helper, self._integer, self.double = onnx.helper, onnx.TensorProto.INT64, onnx.TensorProto.DOUBLE
        self._unary, self._binary = by_operation(_UNARY), by_operation(_ONNX_BINARY)
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Add an operation; return the name of its output."""
        self.nodes.append(self._helper.make_node(kind, inputs, [output], **attributes))
        return output

    def constant(self, value: float) -> str:
        """Add a number; return its name."""
        self.constants.append(self._helper.make_tensor(f"c{len(self.constants)}", self.double, [1], [value]))
        return str(self.constants[-1].name)

    def entry(self, source: str, i: int, k: int) -> str:
        """Add entry k of input i, called `source`; return its name."""
        index = self._helper.make_tensor(f"i{i}_{k}", self._integer, [1], [k])
        self.constants.append(index)
        return self.node("Gather", [source, index.name], f"in{i}_{k}", axis=0)

    def operation(self, kind: int, operands: list[str], output: str) -> str:
        """Add CasADi's operation `kind`; return its name. ConfigurationError if ONNX has none like it here."""
        if kind in self._unary:
            return self.node(self._unary[kind], operands[:1], output)
        if kind in self._binary:
            return self.node(self._binary[kind], operands[:2], output)
        if kind in (casadi.OP_SQ, casadi.OP_TWICE):
            return self.node("Mul" if kind == casadi.OP_SQ else "Add", operands[:1] * 2, output)
        if kind == casadi.OP_INV:
            return self.node("Div", [self.constant(1.0), operands[0]], output)
        raise ConfigurationError(f"CasADi operation {kind} has no ONNX counterpart here; export C instead")


def _onnx_model(function: casadi.Function, onnx: Any) -> Any:
    """Return the expression's scalar instructions as a model, one node each."""
    graph, helper = _OnnxGraph(onnx), onnx.helper
    entries = {
        (i, k): graph.entry(function.name_in(i), i, k)
        for i in range(function.n_in())
        for k in range(function.nnz_in(i))
    }
    names: dict[int, str] = {}  # of the instructions' results
    outputs: list[list[str]] = [[""] * function.nnz_out(i) for i in range(function.n_out())]
    for step in range(function.n_instructions()):
        kind, ins = function.instruction_id(step), function.instruction_input(step)
        outs = function.instruction_output(step)
        if kind == casadi.OP_INPUT:
            names[outs[0]] = entries[ins[0], ins[1]]
        elif kind == casadi.OP_OUTPUT:
            outputs[outs[0]][outs[1]] = names[ins[0]]
        elif kind == casadi.OP_CONST:
            names[outs[0]] = graph.constant(function.instruction_constant(step))
        else:
            names[outs[0]] = graph.operation(kind, [names[i] for i in ins], f"v{step}")
    for i, parts in enumerate(outputs):
        graph.node("Concat", parts, function.name_out(i), axis=0)
    model = helper.make_graph(
        graph.nodes,
        function.name(),
        [
            helper.make_tensor_value_info(function.name_in(i), graph.double, [function.nnz_in(i)])
            for i in range(function.n_in())
        ],
        [
            helper.make_tensor_value_info(function.name_out(i), graph.double, [len(parts)])
            for i, parts in enumerate(outputs)
        ],
        graph.constants,
    )
    return helper.make_model(model, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
