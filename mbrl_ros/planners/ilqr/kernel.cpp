// Box-limited iLQR (Li & Todorov 2004; Tassa, Erez, Todorov 2012; Tassa, Mansard, Todorov 2014) for
//     min sum_t l(x_t, v_t, u_t, p_t) + l_H(x_H, p_H)
//     x' = phi(x, u) + F [x; u] + f,  v' = u,  u_lower <= u <= u_upper,  x_lower <= x <= x_upper
// numpy_ilqr.py is the readable specification: every quantity here has the same name there.
// tick.h: data. search.h, multiple_shooting.h: the search. rollout.h, line.h, single.h: expansion and rollouts. backward.h,
// products.h, known_products.h, known_rows.h, rows.h, box_qp.h: Riccati recursion.
// barrier.h: limits of states. kl_constraint.h: KL bound. samples.h: rollouts of commands alone.
#include "multiple_shooting.h"
#include "samples.h"

static Status iterate(Tick& tick, Work& w) {
  const double begin = now(tick);
  double costs[LANES], merits[LANES], slope, curve, merit = INFINITY;
  bool moved = false, improved = false;
  for (int within = 1; within >= 0 && !moved; within -= N_LIMIT ? 1 : 2) {  // preferably within the limits of states
    tick.wall = within ? INFINITY : 0.0;
    replay_last(tick, w, costs, merits);
    moved = keep_best<1>(tick, w, costs, merits, merit);
  }
  bool unregularized = false;  // the step without regularization was tried from here
  if (!moved) return DIVERGED;
  merit -= limits_cost(tick, w.X_best);
  begin_limits(tick, w.X_best);
  merit += limits_cost(tick, w.X_best);
  for (tick.iterations_done = 0; tick.iterations_done < tick.iterations;) {
    if (moved) {
      w.use_best();
      expand(tick, w);
    }
    const auto settled = [&] { return -(slope + curve) <= tick.tolerance * (1.0 + std::fabs(merit)); };
    if (!sharpened_step(tick, w, merit, slope, curve)) return NOT_POSITIVE_DEFINITE;
    if (settled() && tick.mu > 0.0) {  // regularization makes any step small: the step without it decides
      if (unregularized) {
        reset_regularization(tick);
        break;
      }
      reset_regularization(tick), unregularized = true;
      if (!step_down(tick, w, merit, slope, curve)) return NOT_POSITIVE_DEFINITE;
    }
    if (!std::isfinite(slope + curve)) return NOT_FINITE;
    tick.iterations_done++;
    moved = false;
    if (settled()) return CONVERGED;
    moved = search_all(tick, w, merit);
    if (moved) follow_step(tick, w.X, w.X_best);
    adapt(tick, w, moved);
    improved = improved || moved, unregularized = unregularized && !moved;
    if (tick.mu > MU_MAX) {
      reset_regularization(tick);
      break;
    }
    if (out_of_time(tick, begin)) {
      if (moved) w.use_best();
      return TIME_BUDGET;
    }
  }
  if (moved) w.use_best();
  return improved ? MAX_ITERATIONS : NO_IMPROVEMENT;
}

static void shift_rows(double* a, long long rows, long long by, int width) {  // the last row repeats
  if (by > rows - 1) by = rows - 1;
  if (by <= 0) return;
  copy(a, a + by * width, (rows - by) * width);  // from the front on, so that nothing is overwritten before it is read
  for (long long i = rows - by; i < rows; i++) copy(a + i * width, a + (rows - by - 1) * width, width);
}

// Take parameters and dynamics over; false if something that is given is not finite.
static bool take_problem(const Tick& tick, Work& w) {
  const long long H = tick.horizon, S = tick.stages_of_F;
  if (!finite(tick.x0, NX) || !finite(tick.theta, N_THETA) || !finite(tick.u_previous, NU) ||
      !finite(tick.f, S * NX) || !finite(tick.p, (H + 1) * NP) || (KL_CONSTRAINED && !finite(tick.Sigma, S * NX * NX)))
    return false;
  vec total = {};
  for (long long s = 0; s < S; s++) total += pad_rows(tick.F + s * NX * NF, w.F[s]);
  if (!std::isfinite(sum(total)) && !finite(tick.F, S * NX * NF)) return false;
  *w.all_known = !MODEL;  // else they are those of the expansion
  for (long long s = 0; s < S && *w.all_known; s++) *w.all_known = find_known_rows(w.F[s], w.known[s]);
  return true;
}

extern "C" {
long long work_size(long long H) { return Work(nullptr, H).end - (double*)nullptr; }
long long plan_offset(long long H) { return Work(nullptr, H).X - (double*)nullptr; }  // of what `solve` found

// Move the last plan on by the ticks that passed.
void shift(Tick* tick) {
  const long long H = tick->horizon, by = tick->ticks;
  shift_rows(tick->x_hat, H + 1, by, NX), shift_rows(tick->u_hat, H + 1, by, NU);
  shift_rows(tick->K, H, by, NU * NX), shift_rows(tick->K_u, H, by, NU * NU);
  shift_rows(tick->k, H, by, NU), shift_rows(tick->Q_uu, H, by, NU * NU);
  shift_rows(tick->multipliers, H + 1, by, N_LIMIT);
}

// Find a new plan in tick.work; the one in the tick stays as it is.
void solve(Tick* tick) {
  const long long H = tick->horizon;
  Work w(tick->work, H);
  tick->iterations_done = 0;
  tick->status = NOT_FINITE;
  for (int i = 0; i < NU; i++) if (!(tick->u_lower[i] <= tick->u_upper[i])) tick->status = INFEASIBLE_BOX;
  if (tick->status == INFEASIBLE_BOX) return;
  if (!take_problem(*tick, w)) return;
  w.clamping = (Clamping)tick->clamp_at_limits;
  tick->status = GAPS ? iterate_with_gaps(*tick, w) : iterate(*tick, w);
  // an odd number of swaps leaves the nominal trajectory in the other buffer: put it where it is looked for
  const Work usual(tick->work, H);
  if (w.X != usual.X) {
    std::memcpy(usual.X, w.X, (H + 1) * NX * sizeof(double));
    std::memcpy(usual.U, w.U, (H + 1) * NU * sizeof(double));
  }
  if (tick->status == NOT_POSITIVE_DEFINITE || tick->status == NOT_FINITE || tick->status == DIVERGED)
    reset_regularization(*tick);
}

// Take the trajectory found by `solve`; the gains of the last plan stand.
void stay(Tick* tick) {
  const Work w(tick->work, tick->horizon);
  copy(tick->x_hat, w.X, (tick->horizon + 1) * NX), copy(tick->u_hat, w.U, (tick->horizon + 1) * NU);
}

// Take the plan found by `solve`, if it found one.
void commit(Tick* tick) {
  if (tick->status > TIME_BUDGET && tick->status != NO_IMPROVEMENT) return;
  const long long H = tick->horizon;
  const Work w(tick->work, H);
  stay(tick);
  copy(tick->K, w.K, H * NU * NX);
  if (NV > 0) copy(tick->K_u, w.K_u, H * NU * NU);
  copy(tick->k, w.k, H * NU);
  const double precision = 1.0 / (tick->temperature + tick->eta);
  if (precision == 1.0) return copy(tick->Q_uu, w.Q_uu, H * NU * NU);
  for (long long i = 0; i < H * NU * NU; i++) tick->Q_uu[i] = w.Q_uu[i] * precision;
}

void plan(Tick* tick) {
  shift(tick);
  solve(tick);
  commit(tick);
}

// The local controller about the plan in the tick, which stays as it is; see gains.py, the specification.
void gains(Tick* tick) {
  const long long H = tick->horizon;
  Work w(tick->work, H);
  double slope, curve;
  tick->status = NOT_FINITE;
  if (!take_problem(*tick, w)) return;
  copy(w.X, tick->x_hat, (H + 1) * NX), copy(w.U, tick->u_hat, (H + 1) * NU);
  reset_regularization(*tick);
  expand(*tick, w);
  if (!step_down(*tick, w, 0.0, slope, curve)) tick->status = NOT_POSITIVE_DEFINITE;
  else if (std::isfinite(slope + curve)) tick->status = MAX_ITERATIONS;
  commit(tick);
}

// Whether all is finite that is given for `sample`.
long long begin_samples(Tick* tick) {
  Work w(tick->work, tick->horizon);
  return take_problem(*tick, w);
}

// Samples about a mean; see samples.h. Limits of commands are those of the first stage.
void disturb(Tick* tick, long long count, const double* mixing, const double* white, const double* factor,
             const double* mean, const double* deviation, double* U) {
  Work w(tick->work, tick->horizon);
  Samples::disturb(*tick, w, count, mixing, white, factor, mean, deviation, U);
}

// The costs of the commands U (count, H, NU), and their states (count, H+1, NX) unless X is null.
void sample(Tick* tick, long long count, const double* U, double* cost, double* X, long long threads) {
  const Work w(tick->work, tick->horizon);
  Samples{*tick, w, count, U, cost, X}.roll_in(threads);
}

// Replay the last plan from the state, by its commands alone and with its feedback: the commands U (H, NU) of the
// cheaper one, and its cost. Limits of commands are those of the first stage.
double replay(Tick* tick, double* U) {
  Work w(tick->work, tick->horizon);
  double costs[LANES], merits[LANES];
  replay_last(*tick, w, costs, merits);
  const int best = costs[1] < costs[0];
  for (long long i = 0; i < tick->horizon * NU; i++) U[i] = w.u[1 + i / NU][i % NU].v[best];
  return costs[best];
}

// Whether the last problem had known rows; see known_rows.h.
long long has_known_rows(Tick* tick) { return *Work(tick->work, tick->horizon).all_known; }

// KL divergence of the controller `solve` found from the one in the tick.
double divergence_from_last(Tick* tick) { return divergence(*tick, Work(tick->work, tick->horizon)); }
}
