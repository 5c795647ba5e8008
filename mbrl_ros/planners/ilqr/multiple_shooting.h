// Multiple shooting: the states of a plan are variables beside its commands, and gaps
//     g_t = phi(x_t, u_t) + F_t [x_t; u_t] + f_t - x_{t+1}
// are closed on the way. See multiple_shooting.py, the specification.
#pragma once
#include "search.h"

constexpr double DESCENT = 0.5;  // of the decrease of the gaps' merit that is left after the predicted change of the cost
constexpr double CLOSED = 1e-13;  // gaps up to this, relative to 1 + |x|, are rounding

struct LastPlan {  // replayed from the state
  Tick& tick;
  Work& w;
  double cost = INFINITY;

  // The cheaper of the replays with and without feedback goes to the best rollout.
  bool replay() {
    double costs[LANES], merits[LANES];
    replay_last(tick, w, costs, merits);
    return keep_best<1>(tick, w, costs, merits, cost);
  }
};

// The gaps of w.X_best, w.U_best, and tick.cost; false if not all of it is finite.
static bool measure_gaps(Tick& tick, Work& w) {
  const long long H = tick.horizon;
  Lane x[NX], v[NU], u[NU], next[NX], l, *out[1] = {&l};
  bool any = false;
  tick.cost = 0.0;
  for (long long t = 0; t < H; t++) {
    for (int i = 0; i < NX; i++) x[i] = Lane(w.X_best[t * NX + i]);
    for (int i = 0; i < NU; i++) v[i] = Lane(w.U_best[t * NU + i]), u[i] = Lane(w.U_best[(t + 1) * NU + i]);
    step<1>(tick, w, t, {x}, {u}, {next});
    for (int i = 0; i < NX; i++) {
      const double to = w.X_best[(t + 1) * NX + i], gap = w.gaps[t * NX + i] = next[i].v[0] - to;
      any = any || std::fabs(gap) > CLOSED * (1.0 + std::fabs(to));
    }
    const Lane* in[3] = {x, v, u};
    stage_cost(in, out, tick.p + t * NP);
    tick.cost += l.v[0];
  }
  for (int i = 0; i < NX; i++) x[i] = Lane(w.X_best[H * NX + i]);
  const Lane* in[1] = {x};
  terminal_cost(in, out, tick.p + H * NP);
  tick.cost += l.v[0];
  w.open = any;
  return std::isfinite(tick.cost) && finite(w.gaps, H * NX);
}

// Begin at the last plan's states and clamped commands, else where it was replayed; false: nothing is finite.
static bool open_gaps(Tick& tick, Work& w, LastPlan last) {
  const long long H = tick.horizon;
  copy(w.X_best, tick.x_hat, (H + 1) * NX), copy(w.X_best, tick.x0, NX);
  copy(w.U_best, tick.u_previous, NU);
  for (long long i = NU; i < (H + 1) * NU; i++)
    w.U_best[i] = clamp(tick.u_hat[i], tick.u_lower[i % NU], tick.u_upper[i % NU]);
  if (measure_gaps(tick, w)) return true;
  w.open = false;
  last.cost = INFINITY;
  return last.replay();
}

static double size_of_gaps(const Tick& tick, const Work& w) {
  double size = 0.0;
  for (long long i = 0; i < (w.open ? tick.horizon * NX : 0); i++) size += std::fabs(w.gaps[i]);
  return size;
}

// The change of the cost for the whole step, its gaps closed, to first order.
static double first_order(const Tick& tick, const Work& w) {
  const long long H = tick.horizon;
  double dx[NX] = {}, dv[NU] = {}, du[NU], next[NX], a = 0.0;
  for (long long t = 0; t < H; t++) {
    for (int j = 0; j < NU; j++) {
      du[j] = w.k[t * NU + j];
      for (int i = 0; i < NX; i++) du[j] += w.K[(t * NU + j) * NX + i] * dx[i];
      for (int i = 0; i < NV; i++) du[j] += w.K_u[(t * NU + j) * NU + i] * dv[i];
    }
    const double* e = (const double*)w.expansion[t / LANES] + t % LANES;  // see pass_back
    for (int i = 0; i < NX; i++) a += e[i * LANES] * dx[i];
    for (int i = 0; i < NU; i++) a += e[(NX + i) * LANES] * du[i];
    for (int i = 0; i < NV; i++) a += e[(NF + i) * LANES] * dv[i];
    const vec (*F)[FB] = w.F[MODEL || tick.stages_of_F > 1 ? t : 0];
    for (int i = 0; i < NX; i++) {
      next[i] = w.gaps[t * NX + i];
      for (int c = 0; c < NX; c++) next[i] += at(F[i], c) * dx[c];
      for (int c = 0; c < NU; c++) next[i] += at(F[i], U0 + c) * du[c];
    }
    copy(dx, next, NX), copy(dv, du, NU);
  }
  for (int i = 0; i < NX; i++) a += w.last[i].v[0] * dx[i];
  return a;
}

// Close the gaps by a rollout with feedback alone, whatever that costs; false: it is not finite.
static bool close_gaps(Tick& tick, Work& w) {
  double costs[LANES], merits[LANES], merit = INFINITY;
  roll<1>(tick, w, {{w.X, w.U, w.K, w.K_u, w.k, w.free_rows}, {Lane(0.0)}, Lane(1.0)}, costs, merits, 1, false);
  if (!keep_best<1>(tick, w, costs, merits, merit)) return false;
  w.open = false, w.gap_cost = 0.0;
  return true;
}

// The iterations; MAX_ITERATIONS also where no step size lowers the merit.
static Status search(Tick& tick, Work& w, double begin) {
  double slope, curve, merit, weight = 0.0;
  bool moved = true, unregularized = false, settled = false;
  while (tick.iterations_done < tick.iterations) {
    if (moved) {
      w.use_best();
      expand(tick, w);
    }
    const double size = size_of_gaps(tick, w);
    w.gap_cost = weight * size, merit = tick.cost + w.gap_cost;
    for (int n = 0; n < 2; n++) {  // regularization makes any step small: the step without it decides
      if (!step_down(tick, w, merit, slope, curve)) return NOT_POSITIVE_DEFINITE;
      const double change = slope + curve;
      if (!std::isfinite(change)) return NOT_FINITE;
      if (size > 0.0) {
        const double bend = std::fmax(change - first_order(tick, w), 0.0);
        weight = std::fmax(weight, std::fmax(change / ((1.0 - DESCENT) * size), (change + bend) / size));
      }
      w.gap_cost = weight * size, merit = tick.cost + w.gap_cost;
      settled = w.gap_cost - change <= tick.tolerance * (1.0 + std::fabs(merit));
      if (!settled || tick.mu == 0.0) break;
      reset_regularization(tick);
      if (unregularized) return MAX_ITERATIONS;
      unregularized = true;
    }
    tick.iterations_done++;
    moved = false;
    if (settled && !w.open) return CONVERGED;
    moved = !settled && search_all(tick, w, merit);
    if (w.open && moved) {
      w.open = w.step_size < 1.0;
      for (long long i = 0; i < tick.horizon * NX; i++) w.gaps[i] *= 1.0 - w.step_size;
    } else if (w.open) {
      moved = close_gaps(tick, w);
    }
    adapt(tick, w, moved);
    unregularized = unregularized && !moved;
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
  return MAX_ITERATIONS;
}

static Status iterate_with_gaps(Tick& tick, Work& w) {
  const double begin = now(tick);
  LastPlan last = {tick, w};
  tick.wall = 0.0;
  const bool replayed = last.replay();
  if (!open_gaps(tick, w, last)) return DIVERGED;
  const Status status = search(tick, w, begin);
  if (status == NOT_POSITIVE_DEFINITE || status == NOT_FINITE) return status;
  const bool some = w.open, closed = !some || close_gaps(tick, w);
  if (some && closed) w.use_best();
  if (!replayed) return closed ? status : DIVERGED;
  const double allowed = status == CONVERGED ? tick.tolerance * (1.0 + std::fabs(last.cost)) : 0.0;
  if (closed && (tick.cost < last.cost || tick.cost <= last.cost + allowed)) return status;
  w.open = false, last.cost = INFINITY;  // the last plan is cheaper: take it, with gains about it
  last.replay();
  w.use_best();
  expand(tick, w);
  double slope, curve;
  if (!step_down(tick, w, last.cost, slope, curve)) return NOT_POSITIVE_DEFINITE;
  return std::isfinite(slope + curve) ? NO_IMPROVEMENT : NOT_FINITE;
}
