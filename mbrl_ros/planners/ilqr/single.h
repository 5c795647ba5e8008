// Rollouts one by one, for dense linear dynamics, or for fewer rollouts than there are SIMD lanes: matrices times vectors by
// rows. The results go to the SIMD lane of the rollout, since costs are computed of all lanes at once.
#pragma once
#include "line.h"

// u = u_ref + alpha k + gain (K (x - x_ref) + K_u (v - v_ref)): the references, and K, K_u, k of all stages
struct Law {
  const double *x_ref, *u_ref, *K, *K_u, *k;  // u_ref begins with the row of v at stage 0
  const long long* free_rows;                 // of the stages, or null: see Work
};

struct Limits {  // of commands, padded
  alignas(64) vec lower[UB] = {}, upper[UB] = {};
  explicit Limits(const Tick& tick) {
    std::memcpy(lower, tick.u_lower, NU * sizeof(double)), std::memcpy(upper, tick.u_upper, NU * sizeof(double));
  }
};

struct Single {
  alignas(64) vec z[FB], v[UB];  // [x; u] and the previous command, padded

  void start(const Lane* x, const Lane* before, int lane) {
    for (int b = 0; b < FB; b++) z[b] = vec{};
    for (int b = 0; b < UB; b++) v[b] = vec{};
    for (int i = 0; i < NX; i++) at(z, i) = x[i].v[lane];
    for (int j = 0; j < NU; j++) at(v, j) = before[j].v[lane];
  }

  // The commands of stage t, clamped.
  void command(const Law& law, const Limits& limits, long long t, double alpha, double gain) {
    const Padded<NU> k(law.k + t * NU), u_ref(law.u_ref + (t + 1) * NU);
    vec* u = z + XB;
    for (int b = 0; b < UB; b++) u[b] = u_ref.v[b] + alpha * k.v[b];
    const long long free = law.free_rows ? law.free_rows[t] : -1;
    if (free != 0 && gain != 0.0) feed_back(law, t, gain, free, u);
    for (int b = 0; b < UB; b++) u[b] = clamp<vec>(u[b], limits.lower[b], limits.upper[b]);
  }

  // The next state; `gap`: what is added to it, or null.
  void step(const Tick& tick, const Work& w, long long t, const double* gap, double share) {
    const long long stage = tick.stages_of_F > 1 ? t : 0;
    alignas(64) Padded<NX> next(tick.f + stage * NX);
    add_change(w, stage, z, next.v);
    for (int i = 0; i < (gap ? NX : 0); i++) at(next.v, i) -= share * gap[i];
    for (int b = 0; b < XB; b++) z[b] = next.v[b];
    for (int b = 0; b < UB; b++) v[b] = z[XB + b];
  }

  void write(Lane* u, Lane* x, int lane) const {  // after `step`
    for (int j = 0; j < NU; j++) u[j].v[lane] = at(v, j);
    for (int i = 0; i < NX; i++) x[i].v[lane] = at(z, i);
  }

 private:
  // u += gain (K (x - x_ref) + K_u (v - v_ref)), of the free rows
  void feed_back(const Law& law, long long t, double gain, long long free, vec* u) const {
    alignas(64) vec dx[XB], dv[UB];
    const Padded<NX> x_ref(law.x_ref + t * NX);
    const Padded<NU> v_ref(law.u_ref + t * NU);
    for (int b = 0; b < XB; b++) dx[b] = gain * (z[b] - x_ref.v[b]);
    for (int b = 0; b < UB; b++) dv[b] = gain * (v[b] - v_ref.v[b]);
    add_gains(law.K, law.K_u, t, free, dx, dv, u);
  }
};
