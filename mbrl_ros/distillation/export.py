"""A policy as one C file that needs nothing but a C99 compiler, and as ONNX.

The header of the file states shapes, joint order, units, normalisation and what the window is. Two functions are for use,
mbrl_policy_set_target (once per target) and mbrl_policy_step (every period), with a struct that holds the history; the
generated mathematics stands above them.
"""

from __future__ import annotations

import json
from pathlib import Path

import casadi

from ..exceptions import ConfigurationError
from ..robots import Robot
from .expression import act_function, goal_function
from .policy import Policy

UNITS = {"effort": "N m (or N)", "velocity": "rad/s (or m/s)", "position": "rad (or m)"}


def to_c(policy: Policy, robot: Robot, rate: float) -> str:
    """The C source of `policy`, stepped at `rate` [Hz]. DataError if `robot` is another kind of robot."""
    policy.check(robot)
    shape = policy.shape
    length = max(1, round(shape.window * rate))
    generator = casadi.CodeGenerator("policy.c", {"with_header": False})
    goal, act = goal_function(policy, robot), act_function(policy, robot)
    for function in (goal, act):
        generator.add(function)
    what = {
        "joints": "q* [rad or m], in joint order",
        "point": f"p* [m], the end effector in the frame of '{robot.root}'",
        "features": "s*, image coordinates",
    }[shape.kind]
    joints = "".join(f"\n *     {i}: {name}" for i, name in enumerate(shape.joints))
    return f"""/* A distilled policy of mbrl_ros. Generated; do not edit.
 *
 * About:   {json.dumps(policy.about, sort_keys=True).replace("*/", "* /")}
 * Joints:{joints}
 * Inputs:  target[{shape.nt}]: {what};
 *          q[{shape.n}] [rad or m], qd[{shape.n}] [rad/s or m/s]: the measured state, once per period of {1.0 / rate:.9g} s;
 *          u_last[{shape.n}]: the command in effect during the period that just ended.
 * Output:  u[{shape.n}] [{UNITS[shape.interface]}], {shape.interface} commands inside
 *          [{", ".join(f"{x:g}" for x in shape.lower)}] to [{", ".join(f"{x:g}" for x in shape.upper)}].
 * Window:  {length} periods = {length / rate:g} s, over which accelerations and commands are averaged.
 * Scores:  each below 1 inside of what was taught: the state's (every step), the target's and the goal networks' spread
 *          (set_target). Above 1 the policy must not act.
 * Units:   inputs and outputs are not normalised by the caller; whitening is part of the code.
 * Use:     mbrl_policy p; mbrl_policy_reset(&p); mbrl_policy_set_target(&p, target, 0, scores);
 *          every period: score = mbrl_policy_step(&p, q, qd, u_last, u);
 */
{generator.dump()}
#include <string.h>

#define MBRL_N {shape.n}
#define MBRL_TARGET {shape.nt}
#define MBRL_TASKS {shape.tasks}
#define MBRL_WINDOW {length}

typedef struct {{
  double goal[MBRL_N], speeds[MBRL_WINDOW + 1][MBRL_N], commands[MBRL_WINDOW][MBRL_N];
  long count;
}} mbrl_policy;

/* Forget the history. Call when stepping begins or was interrupted. */
void mbrl_policy_reset(mbrl_policy *p) {{ memset(p, 0, sizeof *p); }}

/* Go to `target` from now on; scores[2]: the target's and the spread. */
void mbrl_policy_set_target(mbrl_policy *p, const double *target, int task, double *scores) {{
  double one_hot[MBRL_TASKS] = {{0}};
  const double *arguments[{goal.sz_arg()}] = {{target, one_hot}};
  double *results[{goal.sz_res()}] = {{p->goal, scores}}, work[{goal.sz_w() + 1}];
  casadi_int whole[{goal.sz_iw() + 1}];
  one_hot[task] = 1.0;
  {goal.name()}(arguments, results, whole, work, 0);
}}

/* One period: u from q, qd and the command in effect during the period before. Returns the state's score. */
double mbrl_policy_step(mbrl_policy *p, const double *q, const double *qd, const double *u_last, double *u) {{
  double a[MBRL_N], w[MBRL_N], score, work[{act.sz_w() + 1}];
  const double *arguments[{act.sz_arg()}] = {{q, qd, a, w, p->goal}};
  double *results[{act.sz_res()}] = {{u, &score}};
  casadi_int whole[{act.sz_iw() + 1}];
  const long k = p->count++, filled = k < MBRL_WINDOW ? k : MBRL_WINDOW;
  long i, j;
  memcpy(p->speeds[k % (MBRL_WINDOW + 1)], qd, sizeof a);
  if (k > 0) memcpy(p->commands[(k - 1) % MBRL_WINDOW], u_last, sizeof w);
  for (j = 0; j < MBRL_N; ++j) {{
    double sum = 0.0;
    for (i = 0; i < filled; ++i) sum += p->commands[i][j];
    w[j] = filled ? sum / filled : u_last[j];
    a[j] = filled ? (qd[j] - p->speeds[(k - filled) % (MBRL_WINDOW + 1)][j]) * {rate!r} / filled : 0.0;
  }}
  {act.name()}(arguments, results, whole, work, 0);
  return score;
}}
"""


def to_onnx(policy: Policy, robot: Robot, path: Path) -> None:
    """Two models, PATH.goal.onnx and PATH.act.onnx, with the inputs and outputs of expression.py."""
    try:
        import onnx
    except ModuleNotFoundError:
        raise ConfigurationError("ONNX needs the Python package 'onnx': pip install 'mbrl_ros[onnx]'") from None
    policy.check(robot)
    for function in (goal_function(policy, robot), act_function(policy, robot)):
        onnx.save(_onnx_model(function, onnx), f"{path}.{function.name().rsplit('_', 1)[-1]}.onnx")


_UNARY = {
    casadi.OP_SIN: "Sin",
    casadi.OP_COS: "Cos",
    casadi.OP_EXP: "Exp",
    casadi.OP_SQRT: "Sqrt",
    casadi.OP_NEG: "Neg",
    casadi.OP_FABS: "Abs",
    casadi.OP_SIGN: "Sign",
}
_BINARY = {
    casadi.OP_ADD: "Add",
    casadi.OP_SUB: "Sub",
    casadi.OP_MUL: "Mul",
    casadi.OP_DIV: "Div",
    casadi.OP_FMIN: "Min",
    casadi.OP_FMAX: "Max",
}


def _onnx_model(function: casadi.Function, onnx):
    """The expression's scalar instructions, one node each (double precision)."""
    helper, double = onnx.helper, onnx.TensorProto.DOUBLE
    nodes, constants, names = [], [], {}
    outputs = [[None] * function.nnz_out(i) for i in range(function.n_out())]

    def node(kind: str, inputs: list[str], output: str, **attributes) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def constant(value: float) -> str:
        constants.append(helper.make_tensor(f"c{len(constants)}", double, [1], [value]))
        return constants[-1].name

    for i in range(function.n_in()):
        size = function.nnz_in(i)
        for k in range(size):
            index = helper.make_tensor(f"i{i}_{k}", onnx.TensorProto.INT64, [1], [k])
            constants.append(index)
            names["in", i, k] = node("Gather", [function.name_in(i), index.name], f"in{i}_{k}", axis=0)
    for step in range(function.n_instructions()):
        kind, ins, outs = (
            function.instruction_id(step),
            function.instruction_input(step),
            function.instruction_output(step),
        )
        if kind == casadi.OP_INPUT:
            names[outs[0]] = names["in", ins[0], ins[1]]
        elif kind == casadi.OP_OUTPUT:
            outputs[outs[0]][outs[1]] = names[ins[0]]
        elif kind == casadi.OP_CONST:
            names[outs[0]] = constant(function.instruction_constant(step))
        elif kind in _UNARY:
            names[outs[0]] = node(_UNARY[kind], [names[ins[0]]], f"v{step}")
        elif kind in _BINARY:
            names[outs[0]] = node(_BINARY[kind], [names[ins[0]], names[ins[1]]], f"v{step}")
        elif kind in (casadi.OP_SQ, casadi.OP_TWICE):
            names[outs[0]] = node("Mul" if kind == casadi.OP_SQ else "Add", [names[ins[0]]] * 2, f"v{step}")
        elif kind == casadi.OP_INV:
            names[outs[0]] = node("Div", [constant(1.0), names[ins[0]]], f"v{step}")
        else:
            raise ConfigurationError(f"CasADi operation {kind} has no ONNX counterpart here; export C instead")
    for i, parts in enumerate(outputs):
        node("Concat", parts, function.name_out(i), axis=0)
    graph = helper.make_graph(
        nodes,
        function.name(),
        [
            helper.make_tensor_value_info(function.name_in(i), double, [function.nnz_in(i)])
            for i in range(function.n_in())
        ],
        [helper.make_tensor_value_info(function.name_out(i), double, [len(parts)]) for i, parts in enumerate(outputs)],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
