// What a search is made of: regularization, backward pass and line search. numpy_ilqr.py is the specification.
#pragma once
#include <chrono>
#include "backward.h"
#include "rollout.h"

static void increase_regularization(Tick& tick) {  // Tassa 2012, section II-F
  tick.delta = std::fmax(DELTA0, tick.delta * DELTA0);
  tick.mu = std::fmax(MU_MIN, tick.mu * tick.delta);
}
static void decrease_regularization(Tick& tick) {
  tick.delta = std::fmin(1.0 / DELTA0, tick.delta / DELTA0);
  tick.mu = tick.mu * tick.delta >= MU_MIN ? tick.mu * tick.delta : 0.0;
}

static void reset_regularization(Tick& tick) { tick.mu = 0.0, tick.delta = 1.0; }

// See `adapt` in regularization.py.
static void adapt(Tick& tick, Work& w, bool moved) {
  if (!moved && w.clamping == CLAMP_LIMIT) {
    w.clamping = CLAMP_STEP;
    return;
  }
  moved ? decrease_regularization(tick) : increase_regularization(tick);
  if (moved) w.clamping = (Clamping)tick.clamp_at_limits;
}

// Keep the best of G groups of rollouts if its merit is below `merit`.
template <int G> static bool keep_best(Tick& tick, Work& w, const double* costs, const double* merits, double& merit) {
  int best = -1;
  for (int i = 0; i < G * LANES; i++) if (merits[i] < (best < 0 ? merit : merits[best])) best = i;
  if (best < 0) return false;
  w.best = best;
  merit = merits[best], tick.cost = costs[best];
  const int lane = best % LANES;
  const long long rows = tick.horizon + 1, first = best / LANES * rows;
  const Lane *x = &w.x[0][0] + first * NX, *u = &w.u[0][0] + first * NU;
  for (long long i = 0; i < rows * NX; i++) w.X_best[i] = x[i].v[lane];
  for (long long i = 0; i < rows * NU; i++) w.U_best[i] = u[i].v[lane];
  return true;
}

// Roll out G groups of step sizes from number `first` on, and keep the best.
template <int G> static bool search_line(Tick& tick, Work& w, long long first, double& merit) {
  double costs[G * LANES], merits[G * LANES];
  Controller<G> controller = {{w.X, w.U, w.K, w.K_u, w.k, w.free_rows}, {}, Lane(1.0), w.open ? w.gaps : nullptr};
  const long long left = tick.step_sizes - first;
  for (int i = 0; i < G * LANES; i++)
    controller.alpha[i / LANES].v[i % LANES] = i < left ? std::ldexp(1.0, -int(first + i)) : 0.0;
  roll(tick, w, controller, costs, merits, left < G * LANES ? (int)left : G * LANES, true);
  for (int i = 0; GAPS && i < G * LANES; i++) merits[i] += (1.0 - controller.alpha[i / LANES].v[i % LANES]) * w.gap_cost;
  if (!keep_best<G>(tick, w, costs, merits, merit)) return false;
  w.step_size = controller.alpha[w.best / LANES].v[w.best % LANES];
  return true;
}

// One backward pass: with the second derivatives of the model near a minimum, else Gauss-Newton, with as much
// regularization as that needs. False: MU_MAX is not enough.
static bool step_down(Tick& tick, Work& w, double merit, double& slope, double& curve) {
  if (CURVATURE && !w.open && backward<true>(tick, w, slope, curve) && -(slope + curve) <= NEAR_MINIMUM * (1.0 + std::fabs(merit)))
    return true;
  while (!backward<false>(tick, w, slope, curve)) {
    increase_regularization(tick);
    if (tick.mu > MU_MAX) return false;
  }
  return true;
}

// A backward pass, again with a sharper barrier for as long as it predicts little.
static bool sharpened_step(Tick& tick, Work& w, double& merit, double& slope, double& curve) {
  for (;;) {
    if (!step_down(tick, w, merit, slope, curve)) return false;
    if (!limits_settled(tick, -(slope + curve), tick.tolerance * (1.0 + std::fabs(merit)))) return true;
    merit -= limits_cost(tick, w.X);
    sharpen(tick);
    merit += limits_cost(tick, w.X);
  }
}

static double now(const Tick& tick) {  // [s]
  using namespace std::chrono;
  return tick.clock ? tick.clock() : duration<double>(steady_clock::now().time_since_epoch()).count();
}

// All step sizes; true if one lowers the merit. The lowest is kept.
static bool search_all(Tick& tick, Work& w, double& merit) {
  bool moved = false;
  find_line(tick, w, std::ldexp(1.0, 1 - (int)tick.step_sizes));
  for (long long first = 0; first < tick.step_sizes;) {
    const bool many = tick.step_sizes - first > (GROUPS - 1) * LANES;
    moved = (many ? search_line<GROUPS>(tick, w, first, merit) : search_line<1>(tick, w, first, merit)) || moved;
    first += (many ? GROUPS : 1) * LANES;
  }
  return moved;
}
// Whether another iteration would end after the time budget.
static bool out_of_time(const Tick& tick, double begin) {
  return tick.time_budget > 0.0 && tick.iterations_done < tick.iterations &&
         (now(tick) - begin) * (tick.iterations_done + 1) > tick.time_budget * tick.iterations_done;
}
// Roll the last plan out by its commands alone (SIMD lane 0) and with its feedback (1).
static void replay_last(const Tick& tick, Work& w, double* costs, double* merits) {
  Lane gain(0.0);
  gain.v[1] = 1.0;
  roll<1>(tick, w, {{tick.x_hat, tick.u_hat, tick.K, tick.K_u, tick.k, nullptr}, {Lane(0.0)}, gain}, costs, merits, 2, false);
}
