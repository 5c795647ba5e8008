// Expansion of cost and model along the nominal trajectory, LANES stages at once; rollouts, LANES controllers at once.
#pragma once
#include "barrier.h"
#include "kl_constraint.h"
#include "single.h"

static void expand(const Tick& tick, Work& w) {
  const long long H = tick.horizon;
  Lane x[NX], u[NU], v[NU], p[NP + 1], jacobian[N_JACOBIAN + 1];
  if constexpr (MODEL) *w.all_known = 1;
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
        pad_rows(F, w.F[t + l]);
        for (int n = 0; n < N_JACOBIAN; n++) at(w.F[t + l][JACOBIAN[n][0]], column(JACOBIAN[n][1])) += jacobian[n].v[l];
        *w.all_known = *w.all_known && find_known_rows(w.F[t + l], w.known[t + l]);
      }
    }
  }
  for (int i = 0; i < NX; i++) x[i] = Lane(w.X[H * NX + i]);
  const Lane* in_last[1] = {x};
  Lane* out[2] = {w.last, w.last + NX};
  terminal_expansion(in_last, out, tick.p + H * NP);
}

// a + b += row [x; u] for G groups of rollouts; two sums, for the latency
template <int G, int COLUMNS = NX>
static inline void add_row(const double* row, const Lane* const (&x)[G], const Lane* const (&u)[G], vec (&a)[G], vec (&b)[G]) {
#pragma GCC unroll 64
  for (int c = 0; c < COLUMNS; c++)
    for (int g = 0; g < G; g++) (c % 2 && c < COLUMNS - COLUMNS % 2 ? b : a)[g] += row[c] * x[g][c].v;
#pragma GCC unroll 64
  for (int c = 0; c < NU; c++)
    for (int g = 0; g < G; g++) b[g] += row[NX + c] * u[g][c].v;
}

// The same where all rows follow from those of qd', see known_rows.h.
template <int G>
static inline void known_step(const KnownRows& known, const double* F, const double* f, const Lane* const (&x)[G],
                              const Lane* const (&u)[G], Lane* const (&next)[G]) {
  vec change[JOINTS + 1][G];  // R [x; u]
  const auto move = [&](int g, int position, int velocity, double h, vec by) {
    next[g][velocity].v = f[velocity] + by;
    next[g][position].v = (f[position] + at(known.own, velocity) * x[g][velocity].v) + (x[g][position].v + h * by);
  };
  for (int j = 0; j < JOINTS; j++) {
    vec a[G] = {}, b[G] = {};
    add_row<G, S0>(F + (JOINTS + j) * NF, x, u, a, b);
    for (int g = 0; g < G; g++) move(g, j, JOINTS + j, at(known.h, j), change[j][g] = a[g] + b[g]);
  }
  for (int i = 0; i < FEATURES; i++) {
    vec by[G] = {};
    for (int j = 0; j < JOINTS; j++)
      for (int g = 0; g < G; g++) by[g] += at(known.G[i], j) * change[j][g];
    for (int g = 0; g < G; g++) move(g, S0 + i, SD0 + i, known.g[i], by[g]);
  }
}

template <int G>
static inline void step(const Tick& tick, const Work& w, long long t, const Lane* const (&x)[G], const Lane* const (&u)[G],
                        Lane* const (&next)[G]) {
  const long long s = tick.stages_of_F > 1 ? t : 0;
  const double *F = tick.F + s * NX * NF, *f = tick.f + s * NX;
  if (!MODEL && JOINTS && *w.all_known) return known_step(w.known[s], F, f, x, u, next);
  Lane phi[G][NX];
  if constexpr (MODEL)
    for (int g = 0; g < G; g++) {
      const Lane* in[2] = {x[g], u[g]};
      Lane* out[1] = {phi[g]};
      model(in, out, tick.theta);
    }
  for (int i = 0; i < NX; i++) {
    vec a[G], b[G] = {};
    for (int g = 0; g < G; g++) a[g] = Lane(f[i]).v;
    add_row(F + i * NF, x, u, a, b);
    for (int g = 0; g < G; g++) next[g][i].v = MODEL ? a[g] + b[g] + phi[g][i].v : a[g] + b[g];
  }
}

// u = u_ref + alpha k + gain (K (x - x_ref) + K_u (v - v_ref)) of stage t for G groups of rollouts in w.x, w.u
template <int G> struct Controller : Law {
  Lane alpha[G], gain;
  const double* gaps = nullptr;               // (H, NX), of which 1 - alpha is left; or null

  void command(long long t, const Lane* const (&x)[G], const Lane* const (&v)[G], vec (&u)[NU][G]) const {
    vec dx[NX + NV][G];
    for (int i = 0; i < NX; i++)
      for (int g = 0; g < G; g++) dx[i][g] = gain.v * (x[g][i].v - x_ref[t * NX + i]);
    for (int i = 0; i < NV; i++)
      for (int g = 0; g < G; g++) dx[NX + i][g] = gain.v * (v[g][i].v - u_ref[t * NU + i]);
    for (int j = 0; j < NU; j++) {
      const double *row = K + (t * NU + j) * NX, *row_u = K_u + (t * NU + j) * NU;
      vec a[G], b[G] = {};
      for (int g = 0; g < G; g++) u[j][g] = a[g] = alpha[g].v * k[t * NU + j] + u_ref[(t + 1) * NU + j];
      if (free_rows && !(free_rows[t] >> j % 64 & 1)) continue;
#pragma GCC unroll 64
      for (int i = 0; i < NX; i++)
        for (int g = 0; g < G; g++) (i % 2 && i < NX - NX % 2 ? b : a)[g] += row[i] * dx[i][g];
#pragma GCC unroll 64
      for (int i = 0; i < NV; i++)
        for (int g = 0; g < G; g++) b[g] += row_u[i] * dx[NX + i][g];
      for (int g = 0; g < G; g++) u[j][g] = a[g] + b[g];
    }
  }
};

// Where rollouts leave the line of line.h, and by which form they go on from there.
template <int G> struct Course {
  long long straight[G * LANES], from, until[G];  // stages of each on the line; of all; of any of a group
  int singles = 0;                                // so many go on by single.h, or all in SIMD lanes together
  Single single[G * LANES];
  Limits limits;

  Course(const Tick& tick, const Work& w, const Controller<G>& controller, int count, bool line)
      : limits(tick) {
    from = tick.horizon;
    for (int g = 0; g < G; g++) until[g] = 0;
    for (int r = 0; r < G * LANES; r++) {
      straight[r] = line ? straight_stages(tick, w, controller.alpha[r / LANES].v[r % LANES]) : 0;
      if (straight[r] < from) from = straight[r];
      if (straight[r] > until[r / LANES]) until[r / LANES] = straight[r];
    }
    if (!MODEL && (!*w.all_known || count < G * LANES)) singles = count;
  }
  // Roll the stage t out: commands and next states.
  void advance(const Tick& tick, const Work& w, const Controller<G>& controller, long long t, const Lane* const (&x)[G],
               const Lane* const (&v)[G], Lane* const (&to)[G], Lane* const (&next)[G]) {
    for (int g = 0; g < G; g++)
      if (t < from || (singles > 0 && t < until[g])) {
        follow(w, t, controller.alpha[g], to[g], next[g]);
        clamp_commands(tick, to[g]);
      }
    if (t < from) return;
    if (singles == 0) return in_lanes(tick, w, controller, t, x, v, to, next);
    for (int r = 0; r < singles; r++) {
      if (t < straight[r]) continue;
      const int g = r / LANES, lane = r % LANES;
      const double alpha = controller.alpha[g].v[lane];
      if (t == straight[r]) single[r].start(x[g], v[g], lane);
      single[r].command(controller, limits, t, alpha, controller.gain.v[lane]);
      single[r].step(tick, w, t, GAPS && controller.gaps ? controller.gaps + t * NX : nullptr, 1.0 - alpha);
      single[r].write(to[g], next[g], lane);
    }
  }

 private:
  static void clamp_commands(const Tick& tick, Lane* u) {
    for (int j = 0; j < NU; j++) u[j].v = clamp<vec>(u[j].v, Lane(tick.u_lower[j]).v, Lane(tick.u_upper[j]).v);
  }
  static void in_lanes(const Tick& tick, const Work& w, const Controller<G>& controller, long long t,
                       const Lane* const (&x)[G], const Lane* const (&v)[G], Lane* const (&to)[G], Lane* const (&next)[G]) {
    vec commands[NU][G];
    const Lane* u[G];
    controller.command(t, x, v, commands);
    for (int g = 0; g < G; g++) {
      for (int j = 0; j < NU; j++) to[g][j].v = commands[j][g];
      clamp_commands(tick, to[g]);
      u[g] = to[g];
    }
    ::step(tick, w, t, x, u, next);
    if (GAPS && controller.gaps)
      for (int i = 0; i < NX; i++)
        for (int g = 0; g < G; g++) next[g][i].v -= (1.0 - controller.alpha[g].v) * controller.gaps[t * NX + i];
  }
};

// Roll the first `count` controllers out into w.x, w.u, their commands clamped; `line`: as far as possible along the line.
// `cost` is the objective, `merit` has the terms of state limits and KL constraint besides; infinite of those not asked for.
template <int G>
static void roll(const Tick& tick, Work& w, const Controller<G>& controller, double* cost, double* merit, int count, bool line) {
  const long long H = tick.horizon;
  Course<G> course(tick, w, controller, count, line);
  Lane total[G], extra[G], l, *out[1] = {&l};
  const Lane *x[G], *v[G], *u[G];
  Lane *next[G], *to[G];
  for (int g = 0; g < G; g++) {
    total[g] = extra[g] = Lane(0.0);
    for (int i = 0; i < NX; i++) w.x[g * (H + 1)][i] = Lane(tick.x0[i]);
    for (int i = 0; i < NU; i++) w.u[g * (H + 1)][i] = Lane(tick.u_previous[i]);
  }
  for (long long t = 0; t < H; t++) {
    for (int g = 0; g < G; g++) {
      const long long row = g * (H + 1) + t;
      x[g] = w.x[row], v[g] = w.u[row], u[g] = to[g] = w.u[row + 1], next[g] = w.x[row + 1];
    }
    course.advance(tick, w, controller, t, x, v, to, next);
    for (int g = 0; g < G; g++) {
      const Lane* in[3] = {x[g], v[g], u[g]};
      stage_cost(in, out, tick.p + t * NP);
      total[g] = total[g] + l;
      add_kl_terms(tick, t, x[g], v[g], u[g], extra[g]);
      add_limits(tick, next[g], extra[g]);
    }
  }
  for (int g = 0; g < G; g++) {
    const Lane* in[1] = {w.x[g * (H + 1) + H]};
    terminal_cost(in, out, tick.p + H * NP);
    total[g] = total[g] + l;
    for (int i = 0; i < LANES; i++)
      cost[g * LANES + i] = total[g].v[i], merit[g * LANES + i] = total[g].v[i] + extra[g].v[i];
  }
  for (int i = count; i < G * LANES; i++) merit[i] = INFINITY;
}
