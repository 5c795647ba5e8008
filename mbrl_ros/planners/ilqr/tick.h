// What goes in and out of one tick, and where intermediate results lie. problem.h (generated, see kernel.py) gives
// NX, NU, NP: sizes of x, u, p. NV: of the previous command v, 0 when no cost uses it. N_*: entries of the tables.
// MODEL: there is a nonlinear model phi, with N_THETA parameters. CURVATURE: use its second derivatives. N_LIMIT: limited states.
// KL_CONSTRAINED: there is a KL bound. GAPS: multiple shooting.
#pragma once
#include <cmath>
#include <cstring>
#include <type_traits>
#include <utility>
#include "lane.h"
#include "problem.h"

constexpr int NF = NX + NU, NY = NX + NV, NZ = NF + NV;  // [x; u], [x; v], z = [x; u; v]
// Rows of matrices over z are padded: x, u and v begin with a vector each. Vectors over x, u, [x; u] and z; first columns.
constexpr int XB = (NX + LANES - 1) / LANES, UB = (NU + LANES - 1) / LANES, FB = XB + UB, ZB = FB + (NV > 0 ? UB : 0);
constexpr int U0 = XB * LANES, V0 = FB * LANES, ROW = ZB * LANES;
constexpr int column(int z) { return z < NX ? z : z < NF ? U0 + z - NX : V0 + z - NF; }
// Where x may be [q; qd; s; sd]: as many joints as commands, and features; known_rows.h looks for rows that are known.
constexpr int JOINTS = NX >= 2 * NU && NX % 2 == 0 ? NU : 0, FEATURES = JOINTS > 0 ? NX / 2 - NU : 0;
constexpr int S0 = 2 * JOINTS, SD0 = S0 + FEATURES;  // where s and sd begin
constexpr int GROUPS = LANES < 8 ? 8 / LANES : 1;  // of LANES step sizes that are rolled out together
constexpr double MU_MIN = 1e-6, MU_MAX = 1e10, DELTA0 = 2.0, NEAR_MINIMUM = 0.01;
enum Status { CONVERGED, MAX_ITERATIONS, TIME_BUDGET, NOT_POSITIVE_DEFINITE, NOT_FINITE, INFEASIBLE_BOX, DIVERGED,
              NO_IMPROVEMENT };

// Which commands a backward pass clamps; see step_limits in box_qp.py. UNLIMITED: the limit of a command without one.
enum Clamping { CLAMP_STEP, CLAMP_LIMIT, CLAMP_NONE };
constexpr double UNLIMITED = 1e30;

struct Tick {  // mirrored by kernel.py
  long long horizon, ticks, iterations, step_sizes, stages_of_F, stages_of_limits, status, iterations_done,
      clamp_at_limits;
  double tolerance, time_budget, temperature, eta, limit_penalty, barrier, knee, wall, scale, final_precision, mu, delta,
      cost;
  const double *x0, *u_previous, *theta, *F, *f, *Sigma, *p, *u_lower, *u_upper, *x_lower, *x_upper, *half_range;
  double *x_hat, *u_hat, *K, *K_u, *k, *Q_uu, *multipliers;  // the plan; u_hat begins with the row of u_{-1}
  double *work, *trace;
  double (*clock)();  // [s]; null: the monotonic one
};

struct KnownRows {  // of a stage, see known_rows.h
  vec h[UB], own[XB], b[XB], c[XB], G[FEATURES + 1][UB];  // own: [1; b; 1; c] over x, b and c in the same places
  alignas(64) double g[(FEATURES / 8 + 1) * 8];
};

struct Work {  // laid out in tick.work, which must be aligned to 64 bytes
  vec (*F)[NX][FB];                          // linearized dynamics, padded rows
  Lane (*expansion)[NZ + N_STAGE], *last;    // gradient and Hessian entries, LANES stages to a block; of the last stage
  KnownRows* known;
  long long* all_known;                      // whether there are known rows, in all stages
  Lane (*x)[NX], (*u)[NU];                   // GROUPS times LANES rollouts; u begins with the row of u_{-1}
  vec (*line)[FB];                           // changes [dx; du] of the stages at step size 1, padded; see line.h
  double* reach;                             // of the stages: step size up to which no limit has been met
  double *X, *U, *X_best, *U_best;           // the nominal trajectory, and the best rollout since
  double *K, *K_u, *k, *Q_uu;
  double* gaps;                              // multiple_shooting.h
  long long* free_rows;                      // bit j % 64: row j of K may be other than 0
  double* end;
  int best;                                  // number of the best rollout, and its step size
  double step_size;
  Clamping clamping = CLAMP_STEP;
  bool open = false;                         // whether there are gaps; what is left of them costs gap_cost
  double gap_cost = 0.0;
  Work(double* at, long long H) {
    auto take = [&at](long long n) { double* here = at; at += (n + 7) / 8 * 8; return here; };
    F = (vec(*)[NX][FB])take(H * NX * FB * LANES);
    expansion = (Lane(*)[NZ + N_STAGE])take((H + LANES - 1) / LANES * LANES * (NZ + N_STAGE));
    last = (Lane*)take((NX + N_LAST) * LANES);
    known = (KnownRows*)take(H * sizeof(KnownRows) / sizeof(double)), all_known = (long long*)take(1);
    x = (Lane(*)[NX])take(GROUPS * (H + 1) * NX * LANES);
    u = (Lane(*)[NU])take(GROUPS * (H + 1) * NU * LANES);
    line = (vec(*)[FB])take((H + 1) * FB * LANES), reach = take(H);
    gaps = take(GAPS ? H * NX : 0);
    X = take((H + 1) * NX), U = take((H + 1) * NU);
    X_best = take((H + 1) * NX), U_best = take((H + 1) * NU);
    K = take(H * NU * NX), K_u = take(H * NU * NU), k = take(H * NU), Q_uu = take(H * NU * NU);
    free_rows = (long long*)take(H);
    end = at;
  }
  void use_best() { std::swap(X, X_best), std::swap(U, U_best); }
};

template <class T> static inline T clamp(T a, T low, T high) { a = a > high ? high : a; return a < low ? low : a; }
static inline double& at(vec* row, int column) { return ((double*)row)[column]; }
static inline double at(const vec* row, int column) { return ((const double*)row)[column]; }
typedef long long bits __attribute__((vector_size(8 * LANES)));
typedef double any_vec __attribute__((vector_size(8 * LANES), aligned(8)));  // a vec at any address of a double
static inline vec load(const double* from) { return *(const any_vec*)from; }
static inline void store(double* to, vec a) { *(any_vec*)to = a; }
// N doubles from anywhere, filled up with zeros.
template <int N> struct Padded {
  static constexpr int WHOLE = N / LANES, SIZE = (N + LANES - 1) / LANES;
  vec v[SIZE];
  Padded() : v{} {}
  explicit Padded(const double* from) {
    for (int b = 0; b < WHOLE; b++) v[b] = load(from + b * LANES);
    if constexpr (WHOLE < SIZE) {
      v[WHOLE] = vec{};
      for (int l = 0; l < N % LANES; l++) v[WHOLE][l] = from[WHOLE * LANES + l];
    }
  }
  void store(double* to) const { std::memcpy(to, v, N * sizeof(double)); }
};
static inline double sum(vec a) {
  double s = 0.0;
  for (int l = 0; l < LANES; l++) s += a[l];
  return s;
}
// N doubles of row i of a matrix with NU rows: in whole vectors where that overwrites no more than later rows
template <int N> static inline void store_row(double* to, int i, const vec* from) {
  if (i * N + (N + LANES - 1) / LANES * LANES > NU * N) std::memcpy(to + i * N, from, N * sizeof(double));
  else for (int b = 0; b < (N + LANES - 1) / LANES; b++) store(to + i * N + b * LANES, from[b]);
}
// Loops over vectors, which need fewer instructions than the library's functions for blocks of this size.
static inline void copy(double* to, const double* from, long long n) {
  long long i = 0;
#pragma GCC unroll 4
  for (; i + LANES <= n; i += LANES) store(to + i, load(from + i));
  for (; i < n; i++) to[i] = from[i];
}
static inline void clear(double* to, long long n) {  // n: a multiple of LANES
  for (long long i = 0; i < n; i += LANES) store(to + i, vec{});
}

// The first N entries of a; the others zero.
template <int N> static inline vec first_of(vec a) {
  bits mask;
  for (int l = 0; l < LANES; l++) mask[l] = l < N ? -1 : 0;
  return (vec)((bits)a & mask);
}
// N doubles, padded; what follows them can be read, too.
template <int N> static inline void pad(const double* from, vec* to, vec& total) {
#pragma GCC unroll 16
  for (int b = 0; b < N / LANES; b++) to[b] = load(from + b * LANES), total += to[b];
  if constexpr (N % LANES > 0) to[N / LANES] = first_of<N % LANES>(load(from + N / LANES * LANES)), total += to[N / LANES];
}
// The rows of F, which lie one after the other, padded; returns their sum, which is finite if all of them are.
static inline vec pad_rows(const double* F, vec (*to)[FB]) {
  vec total = {};
  for (int i = 0; i < NX; i++, F += NF) {
    double last[NF + LANES];
    const bool inside = (NX - 1 - i) * NF >= LANES - 1;  // what follows the row is of F, too
    if (!inside) copy(last, F, NF), clear(last + NF, LANES);
    const double* from = inside ? F : last;
    pad<NX>(from, to[i], total), pad<NU>(from + NX, to[i] + XB, total);
  }
  return total;
}

static bool finite(const double* a, long long n) {
  vec total = {};
  double rest = 0.0;
  long long i = 0;
  for (; i + LANES <= n; i += LANES) total += load(a + i);
  for (; i < n; i++) rest += a[i];
  if (std::isfinite(sum(total) + rest)) return true;
  for (i = 0; i < n; i++)  // not finite, or the sum is too large
    if (!std::isfinite(a[i])) return false;
  return true;
}
