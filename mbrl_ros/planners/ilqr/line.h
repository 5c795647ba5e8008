// The line of a search. Where the dynamics are linear and no command meets a limit, rollouts are affine in the step size alpha:
//     x = X + alpha dx,  u = U + alpha du,      du = k + K dx + K_u dv,  dx' = F [dx; du] (+ the gap of the stage)
// U lies within the limits, so that if a step does, all smaller ones do, too. One rollout of the changes then serves every step
// size up to the stage at which it meets a limit; from there on it is rolled out for itself, a matrix times a vector by rows
// (single.h) where the dynamics are dense.
#pragma once
#include "known_rows.h"
#include "rows.h"

// u += K dx + K_u dv of a stage; only the rows of the `free` commands are other than zero.
static inline void add_gains(const double* K, const double* K_u, long long t, long long free, const vec* dx, const vec* dv,
                             vec* u) {
  constexpr long long ALL = NU < 64 ? (1LL << NU) - 1 : -1;
  K += t * NU * NX, K_u += t * NU * NU;
  if ((free & ALL) == ALL) {
    add_products<NU, NX>(u, K, NX, dx);
    if constexpr (NV > 0) add_products<NU, NU>(u, K_u, NU, dv);
    return;
  }
  for (int j = 0; j < NU; j++) {
    if (!(free >> j % 64 & 1)) continue;
    alignas(64) vec part[1] = {};
    add_products<1, NX>(part, K + j * NX, NX, dx);
    if constexpr (NV > 0) add_products<1, NU>(part, K_u + j * NU, NU, dv);
    at(u, j) += at(part, 0);
  }
}

// next += F [dx; du]
static inline void add_change(const Work& w, long long stage, const vec* z, vec* next) {
  const vec (*F)[FB] = w.F[stage];
  if (!JOINTS || !*w.all_known) return add_products<NX, FB * LANES>(next, (const double*)F, FB * LANES, z);
  const KnownRows& known = w.known[stage];
  const double *x = (const double*)z, *own = (const double*)known.own, *h = (const double*)known.h;
  double* to = (double*)next;
  vec change[UB] = {};  // R [dx; du]
  alignas(64) vec of_features[(FEATURES + LANES) / LANES] = {};
  constexpr int STATES = (S0 + LANES - 1) / LANES * LANES;  // of which R has columns, filled up
  add_products<JOINTS, STATES>(change, (const double*)F[JOINTS], FB * LANES, z);
  add_products<JOINTS, UB * LANES>(change, (const double*)F[JOINTS] + U0, FB * LANES, z + XB);
  if constexpr (FEATURES > 0) add_products<FEATURES, UB * LANES>(of_features, (const double*)known.G, UB * LANES, change);
  const double *by = (const double*)change, *by_s = (const double*)of_features;
  for (int j = 0; j < JOINTS; j++) {
    to[j] += x[j] + own[JOINTS + j] * x[JOINTS + j] + h[j] * by[j];
    to[JOINTS + j] += by[j];
  }
  for (int f = 0; f < FEATURES; f++) {
    to[S0 + f] += x[S0 + f] + own[SD0 + f] * x[SD0 + f] + known.g[f] * by_s[f];
    to[SD0 + f] += by_s[f];
  }
}

// Fill w.line and w.reach, as far as the step size `least` reaches.
static inline void find_line(const Tick& tick, Work& w, double least) {
  const long long H = tick.horizon;
  double reach = MODEL ? 0.0 : 1.0;
  alignas(64) vec none[UB] = {};
  const vec* dv = none;  // of the command before stage 0
  for (int b = 0; b < FB; b++) w.line[0][b] = vec{};
  for (long long t = 0; t < H; t++) {
    w.reach[t] = reach = reach < least ? 0.0 : reach;
    if (reach == 0.0) continue;
    vec *z = w.line[t], *du = z + XB;
    const Padded<NU> k(w.k + t * NU);
    for (int b = 0; b < UB; b++) du[b] = k.v[b];
    if (w.free_rows[t] != 0) add_gains(w.K, w.K_u, t, w.free_rows[t], z, dv, du);
    for (int j = 0; j < NU; j++) {
      const double U = w.U[(t + 1) * NU + j], change = at(du, j), limit = change > 0.0 ? tick.u_upper[j] : tick.u_lower[j];
      if (std::fabs(change) - std::fabs(limit - U) <= ROUNDING * std::fabs(limit)) continue;
      const double most = (limit - U) / change;
      if (!(most >= reach)) reach = most > 0.0 ? most : 0.0;
    }
    w.reach[t] = reach = reach < least ? 0.0 : reach;
    for (int b = 0; b < XB; b++) w.line[t + 1][b] = vec{};
    add_change(w, tick.stages_of_F > 1 ? t : 0, z, w.line[t + 1]);
    if (GAPS && w.open) for (int i = 0; i < NX; i++) at(w.line[t + 1], i) += w.gaps[t * NX + i];
    dv = du;
  }
}

// The number of stages at which a step of this size meets no limit.
static inline long long straight_stages(const Tick& tick, const Work& w, double step) {
  long long t = 0;
  while (t < tick.horizon && step <= w.reach[t]) t++;
  return t;
}

// Commands and next states of stage t along the line, for LANES step sizes.
static inline void follow(const Work& w, long long t, Lane alpha, Lane* commands, Lane* next) {
  const double *du = (const double*)(w.line[t] + XB), *dx = (const double*)w.line[t + 1];
  for (int j = 0; j < NU; j++) commands[j].v = w.U[(t + 1) * NU + j] + du[j] * alpha.v;
  for (int i = 0; i < NX; i++) next[i].v = w.X[(t + 1) * NX + i] + dx[i] * alpha.v;
}
