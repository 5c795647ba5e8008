// Expansion of cost and model along the nominal trajectory, LANES stages at once; rollouts, LANES controllers at once.
#pragma once
#include "barrier.h"
#include "kl_constraint.h"

static void expand(const Tick& tick, Work& w) {
  const long long H = tick.horizon;
  Lane x[NX], u[NU], v[NU], p[NP + 1], jacobian[N_JACOBIAN + 1];
  const Lane* in[4] = {x, v, u, p};
  for (long long t = 0; t < H; t += LANES) {
    for (int l = 0; l < LANES; l++) {
      const long long s = t + l < H ? t + l : H - 1;
      for (int i = 0; i < NX; i++) x[i].v[l] = w.X[s * NX + i];
      for (int i = 0; i < NU; i++) v[i].v[l] = w.U[s * NU + i], u[i].v[l] = w.U[(s + 1) * NU + i];
      for (int i = 0; i < NP; i++) p[i].v[l] = tick.p[s * NP + i];
    }
    Lane* out[2] = {w.expansion[t / LANES], w.expansion[t / LANES] + NZ};
    stage_expansion(in, out);
    if constexpr (MODEL) {  // F of the stage = the given F + d phi / d[x; u]
      const Lane* at_xu[2] = {x, u};
      Lane* to[1] = {jacobian};
      model_jacobian(at_xu, to, tick.theta);
      for (int l = 0; l < LANES && t + l < H; l++) {
        const double* F = tick.F + (tick.stages_of_F > 1 ? t + l : 0) * NX * NF;
        for (int i = 0; i < NX; i++) std::memcpy(w.F[t + l][i], F + i * NF, NF * sizeof(double));
        for (int n = 0; n < N_JACOBIAN; n++) at(w.F[t + l][JACOBIAN[n][0]], JACOBIAN[n][1]) += jacobian[n].v[l];
      }
    }
  }
  for (int i = 0; i < NX; i++) x[i] = Lane(w.X[H * NX + i]);
  const Lane* in_last[1] = {x};
  Lane* out[2] = {w.last, w.last + NX};
  terminal_expansion(in_last, out, tick.p + H * NP);
}

static inline void step(const Tick& tick, long long t, const Lane* x, const Lane* u, Lane* next) {
  const long long s = tick.stages_of_F > 1 ? t : 0;
  Lane phi[NX];
  if constexpr (MODEL) {
    const Lane* in[2] = {x, u};
    Lane* out[1] = {phi};
    model(in, out, tick.theta);
  }
  for (int i = 0; i < NX; i++) {
    const double* row = tick.F + (s * NX + i) * NF;
    vec a = Lane(tick.f[s * NX + i]).v, b = {};  // two sums, for the latency
    for (int c = 0; c + 1 < NX; c += 2) a += row[c] * x[c].v, b += row[c + 1] * x[c + 1].v;
    if (NX % 2) a += row[NX - 1] * x[NX - 1].v;
    for (int c = 0; c < NU; c++) b += row[NX + c] * u[c].v;
    next[i].v = MODEL ? a + b + phi[i].v : a + b;
  }
}

// u = u_ref + alpha k + gain (K (x - x_ref) + K_u (v - v_ref)) of stage t for the rollouts in w.x, w.u
struct Controller {
  const double *x_ref, *u_ref, *K, *K_u, *k;  // u_ref begins with the row of v at stage 0
  const long long* free_rows;                 // of the stages, or null: see Work
  Lane alpha, gain;

  void command(long long t, const Lane* x, const Lane* v, vec* u) const {
    vec dx[NX + NV];
    for (int i = 0; i < NX; i++) dx[i] = gain.v * (x[i].v - x_ref[t * NX + i]);
    for (int i = 0; i < NV; i++) dx[NX + i] = gain.v * (v[i].v - u_ref[t * NU + i]);
    for (int j = 0; j < NU; j++) {
      const double *row = K + (t * NU + j) * NX, *row_u = K_u + (t * NU + j) * NU;
      vec a = alpha.v * k[t * NU + j] + u_ref[(t + 1) * NU + j], b = {};
      u[j] = a;
      if (free_rows && !(free_rows[t] >> j % 64 & 1)) continue;
      for (int i = 0; i + 1 < NX; i += 2) a += row[i] * dx[i], b += row[i + 1] * dx[i + 1];
      if (NX % 2) a += row[NX - 1] * dx[NX - 1];
      for (int i = 0; i < NV; i++) b += row_u[i] * dx[NX + i];
      u[j] = a + b;
    }
  }
};

// Roll the controllers out into w.x, w.u, their commands clamped. `cost` is the objective, `merit` has the terms of state
// limits and KL constraint besides.
static void roll(const Tick& tick, Work& w, const Controller& controller, double* cost, double* merit) {
  const long long H = tick.horizon;
  Lane total(0.0), extra(0.0), l;
  Lane* out[1] = {&l};
  vec u_next[NU];
  for (int i = 0; i < NX; i++) w.x[0][i] = Lane(tick.x0[i]);
  for (int i = 0; i < NU; i++) w.u[0][i] = Lane(tick.u_previous[i]);
  for (long long t = 0; t < H; t++) {
    const Lane *x = w.x[t], *v = w.u[t];
    Lane *u = w.u[t + 1], *next = w.x[t + 1];
    controller.command(t, x, v, u_next);
    for (int j = 0; j < NU; j++) u[j].v = clamp<vec>(u_next[j], Lane(tick.u_lower[j]).v, Lane(tick.u_upper[j]).v);
    step(tick, t, x, u, next);
    const Lane* in[3] = {x, v, u};
    stage_cost(in, out, tick.p + t * NP);
    total = total + l;
    add_kl_terms(tick, t, x, v, u, extra);
    add_limits(tick, next, extra);
  }
  const Lane* in[1] = {w.x[H]};
  terminal_cost(in, out, tick.p + H * NP);
  total = total + l;
  for (int i = 0; i < LANES; i++) cost[i] = total.v[i], merit[i] = total.v[i] + extra.v[i];
}
