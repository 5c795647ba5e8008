// What goes in and out of one tick, and where intermediate results lie. problem.h (generated, see kernel.py) gives
// NX, NU, NP: sizes of x, u, p. NV: of the previous command v, 0 when no cost uses it. N_*: entries of the tables.
// MODEL: there is a nonlinear model phi, with N_THETA parameters. CURVATURE: use its second derivatives. N_LIMIT: limited states.
// KL_CONSTRAINED: there is a KL bound.
#pragma once
#include <cmath>
#include <cstring>
#include <type_traits>
#include <utility>
#include "lane.h"
#include "problem.h"

constexpr int NF = NX + NU, NY = NX + NV, NZ = NF + NV;  // [x; u], [x; v], z = [x; u; v]
constexpr int FB = (NF + LANES - 1) / LANES, ZB = (NZ + LANES - 1) / LANES;  // vectors per row of F, of Q
constexpr int UB = (NU + LANES - 1) / LANES;  // vectors over the commands
constexpr int ROW = ZB * LANES;
constexpr double MU_MIN = 1e-6, MU_MAX = 1e10, DELTA0 = 2.0, NEAR_MINIMUM = 0.01;
enum Status { CONVERGED, MAX_ITERATIONS, TIME_BUDGET, NOT_POSITIVE_DEFINITE, NOT_FINITE, INFEASIBLE_BOX, DIVERGED,
              NO_IMPROVEMENT };

struct Tick {  // mirrored by kernel.py
  long long horizon, ticks, iterations, step_sizes, stages_of_F, stages_of_limits, status, iterations_done;
  double tolerance, time_budget, temperature, eta, limit_penalty, barrier, knee, wall, scale, final_precision, mu, delta,
      cost;
  const double *x0, *u_previous, *theta, *F, *f, *Sigma, *p, *u_lower, *u_upper, *x_lower, *x_upper, *half_range;
  double *x_hat, *u_hat, *K, *K_u, *k, *Q_uu, *multipliers;  // the plan; u_hat begins with the row of u_{-1}
  double *work, *trace;
  double (*clock)();  // [s]; null: the monotonic one
};

struct Work {  // laid out in tick.work, which must be aligned to 64 bytes
  vec (*F)[NX][FB];                          // linearized dynamics, padded rows
  Lane (*expansion)[NZ + N_STAGE], *last;    // gradient and Hessian entries, LANES stages to a block; of the last stage
  Lane (*x)[NX], (*u)[NU];                   // LANES rollouts; u begins with the row of u_{-1}
  double *X, *U, *X_best, *U_best;           // the nominal trajectory, and the best rollout since
  double *K, *K_u, *k, *Q_uu;
  long long* free_rows;                      // bit j % 64: row j of K may be other than 0
  double *end;

  Work(double* at, long long H) {
    auto take = [&at](long long n) { double* here = at; at += (n + 7) / 8 * 8; return here; };
    F = (vec(*)[NX][FB])take(H * NX * FB * LANES);
    expansion = (Lane(*)[NZ + N_STAGE])take((H + LANES - 1) / LANES * LANES * (NZ + N_STAGE));
    last = (Lane*)take((NX + N_LAST) * LANES);
    x = (Lane(*)[NX])take((H + 1) * NX * LANES);
    u = (Lane(*)[NU])take((H + 1) * NU * LANES);
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

// Loops over vectors, which need fewer instructions than the library's functions for blocks of this size.
static inline void copy(double* to, const double* from, long long n) {
  long long i = 0;
  for (; i + LANES <= n; i += LANES) store(to + i, load(from + i));
  for (; i < n; i++) to[i] = from[i];
}
static inline void clear(double* to, long long n) {  // n: a multiple of LANES
  for (long long i = 0; i < n; i += LANES) store(to + i, vec{});
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
