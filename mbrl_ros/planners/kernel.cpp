// Box-limited iLQR (Li & Todorov 2004; Tassa, Erez, Todorov 2012; Tassa, Mansard, Todorov 2014) for
//     min sum_t l(x_t, v_t, u_t, p_t) + l_H(x_H, p_H)   with  x' = F [x; u] + f,  v' = u,  u_lower <= u <= u_upper
// where v is the previous command. twin.py is the readable specification: every quantity here has the same name there.
//
// Rows of matrices lie in vectors over the columns z = [x | u | v]. Since v' = u, the products with the dynamics only
// touch the columns of x and u; v enters through the value function's rows of v alone (NV = 0 when no cost uses v).
#include <chrono>
#include <cstring>
#include <utility>
#include "lane.h"
#include "problem.h"  // NX, NU, NV, NP, the tables of Hessian entries, and the cost as functions of Lane

constexpr int NF = NX + NU, NZ = NF + NV;
constexpr int FB = (NF + LANES - 1) / LANES, ZB = (NZ + LANES - 1) / LANES, ROW = ZB * LANES;
constexpr int UNROLLED = 12;  // accumulators that stay in registers
constexpr double MU_MIN = 1e-6, MU_MAX = 1e10, DELTA0 = 2.0;
enum Status { CONVERGED, MAX_ITERATIONS, TIME_BUDGET, NOT_POSITIVE_DEFINITE, NOT_FINITE, INFEASIBLE_BOX, DIVERGED,
              NO_IMPROVEMENT };

struct Tick {  // mirrored by ilqr.py
  long long horizon, shift, iterations, step_sizes, stages_of_F, status, iterations_done;
  double tolerance, time_budget, mu, delta, cost;
  const double *x0, *u_previous, *F, *f, *p, *u_lower, *u_upper;
  double *x_hat, *u_hat, *K, *K_u, *k, *Q_uu;  // the plan; u_hat begins with the row of u_{-1}
  double *work;
};

struct Work {  // where everything lies in tick.work, which must be aligned to 64 bytes
  vec (*F)[NX][FB];
  Lane (*expansion)[NZ + N_STAGE], *last, (*x)[NX], (*u)[NU];
  double *X, *U, *X_best, *U_best, *K, *K_u, *k, *Q_uu;
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
    end = at;
  }
};

static bool finite(const double* a, long long n) {
  double sum = 0.0;
  for (long long i = 0; i < n; i++) sum += a[i] * 0.0;  // NaN if anything is NaN or infinite
  return sum == 0.0;
}

// to[r][b] += sum_k c[r * row_step + k * k_step] * M[k][b]
template <int R, int B, int N, int MB>
static inline void multiply(vec (&to)[R][B], const double* c, int row_step, int k_step, const vec (*M)[MB], double sign) {
#pragma GCC unroll 64
  for (int k = 0; k < N; k++)
#pragma GCC unroll 16
    for (int r = 0; r < R; r++) {
      double factor = sign * c[r * row_step + k * k_step];
#pragma GCC unroll 16
      for (int b = 0; b < B; b++) to[r][b] += factor * M[k][b];
    }
}

// Call body.template rows<R>(i) for i in [begin, end), R rows at a time.
template <int R, class Body>
static inline void by_rows(int begin, int end, Body body) {
  for (; begin + R <= end; begin += R) body.template rows<R>(begin);
  if constexpr (R > 1) by_rows<R / 2>(begin, end, body);
}
constexpr int rows_at_once(int blocks) { return blocks <= UNROLLED / 8 ? 8 : blocks <= UNROLLED / 4 ? 4 : blocks <= UNROLLED / 2 ? 2 : 1; }

// --- expansion of the cost, LANES stages at once ----------------------------------------------------------------
static void expand(const Tick& tick, Work& w) {
  const long long H = tick.horizon;
  Lane x[NX], u[NU], v[NU], p[NP + 1];
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
  }
  for (int i = 0; i < NX; i++) x[i] = Lane(w.X[H * NX + i]);
  for (int i = 0; i < NP; i++) p[i] = Lane(tick.p[H * NP + i]);
  const Lane* in_last[2] = {x, p};
  Lane* out[2] = {w.last, w.last + NX};
  terminal_expansion(in_last, out);
}

// --- min 1/2 k^T Q k + q^T k, lower <= k <= upper, by projected Newton -------------------------------------------
struct BoxQP {
  double L[NU][NU], inverse[NU];  // Cholesky factor of Q with clamped rows and columns replaced by the identity
  bool clamped[NU];

  bool factorise(const double (&Q)[NU][NU]) {
    for (int j = 0; j < NU; j++) {
      for (int i = j; i < NU; i++) {
        double a = clamped[i] || clamped[j] ? double(i == j) : Q[i][j];
        for (int m = 0; m < j; m++) a -= L[i][m] * L[j][m];
        if (i > j) { L[i][j] = a * inverse[j]; continue; }
        if (!(a > 0.0)) return false;
        inverse[j] = 1.0 / std::sqrt(a);
        L[j][j] = a * inverse[j];
      }
    }
    return true;
  }
  void solve(const double* b, double* x) const {  // L L^T x = b
    for (int i = 0; i < NU; i++) {
      double a = b[i];
      for (int m = 0; m < i; m++) a -= L[i][m] * x[m];
      x[i] = a * inverse[i];
    }
    for (int i = NU - 1; i >= 0; i--) {
      double a = x[i];
      for (int m = i + 1; m < NU; m++) a -= L[m][i] * x[m];
      x[i] = a * inverse[i];
    }
  }
  static double value(const double (&Q)[NU][NU], const double* q, const double* k) {
    double sum = 0.0;
    for (int i = 0; i < NU; i++) {
      double row = q[i];
      for (int j = 0; j < NU; j++) row += 0.5 * Q[i][j] * k[j];
      sum += row * k[i];
    }
    return sum;
  }
  bool minimise(const double (&Q)[NU][NU], const double* q, const double* lower, const double* upper, double* k) {
    for (int i = 0; i < NU; i++) k[i] = 0.0 < lower[i] ? lower[i] : 0.0 > upper[i] ? upper[i] : 0.0;
    bool on_face = false;  // k minimises over its free controls
    for (int pass = 0; pass < 20 * NU + 20; pass++) {
      double g[NU], step[NU];
      bool changed = pass == 0;
      for (int i = 0; i < NU; i++) {
        g[i] = q[i];
        for (int j = 0; j < NU; j++) g[i] += Q[i][j] * k[j];
        const bool now = (k[i] <= lower[i] && g[i] > 0.0) || (k[i] >= upper[i] && g[i] < 0.0);
        changed = changed || now != clamped[i];
        clamped[i] = now;
      }
      if (!changed && on_face) return true;
      if (changed && !factorise(Q)) return false;
      for (int i = 0; i < NU; i++) g[i] = clamped[i] ? 0.0 : -g[i];
      solve(g, step);
      bool inside = true;
      for (int i = 0; i < NU; i++) inside = inside && k[i] + step[i] >= lower[i] && k[i] + step[i] <= upper[i];
      if ((on_face = inside)) {
        for (int i = 0; i < NU; i++) k[i] += step[i];
        continue;
      }
      const double before = value(Q, q, k);
      double trial[NU], length = 1.0, slope = 0.0;
      for (int tries = 0; tries < 60; tries++, length *= 0.6) {
        slope = 0.0;
        for (int i = 0; i < NU; i++) {
          trial[i] = k[i] + length * step[i];
          trial[i] = trial[i] < lower[i] ? lower[i] : trial[i] > upper[i] ? upper[i] : trial[i];
          slope -= g[i] * (trial[i] - k[i]);
        }
        if (value(Q, q, trial) <= before + 0.1 * slope) break;
      }
      if (!(value(Q, q, trial) < before)) return true;  // as good as rounding allows
      std::memcpy(k, trial, sizeof trial);
    }
    return true;
  }
};

// --- Riccati recursion -------------------------------------------------------------------------------------------
struct Rows {  // the matrices of one stage
  alignas(64) vec W[NX][FB], Qu[NU][ZB], Y[NU][ZB], Kz[NU][ZB];
  alignas(64) double V[NZ][ROW], s[ROW], q[ROW];  // value function: Hessian V, gradient s, over [x | . | v]
};
static inline double& at(vec* row, int column) { return ((double*)row)[column]; }

struct TimesF {  // W = V_xx F
  Rows& m; const vec (*F)[FB];
  template <int R> void rows(int i) {
    vec a[R][FB] = {};
    multiply<R, FB, NX>(a, m.V[i], ROW, 1, F, 1.0);
    for (int r = 0; r < R; r++) for (int b = 0; b < FB; b++) m.W[i + r][b] = a[r][b];
  }
};
struct CommandRows {  // Q_u. = B^T W (+ V_vx F)
  Rows& m; const vec (*F)[FB];
  template <int R> void rows(int i) {
    vec a[R][FB] = {};
    multiply<R, FB, NX>(a, (const double*)F + NX + i, 1, FB * LANES, m.W, 1.0);
    if constexpr (NV > 0) multiply<R, FB, NX>(a, m.V[NF + i], ROW, 1, F, 1.0);
    for (int r = 0; r < R; r++) {
      for (int b = 0; b < FB; b++) m.Qu[i + r][b] = a[r][b];
      for (int b = FB; b < ZB; b++) m.Qu[i + r][b] = vec{};
    }
  }
};
template <int B> struct ValueRows {  // V_x. = A^T W - Y_x^T Y, the first B blocks of columns
  Rows& m; const vec (*F)[FB];
  template <int R> void rows(int i) {
    vec a[R][B] = {};
    multiply<R, B, NX>(a, (const double*)F + i, 1, FB * LANES, m.W, 1.0);
    multiply<R, B, NU>(a, (const double*)m.Y + i, 1, ROW, m.Y, -1.0);
    for (int r = 0; r < R; r++) for (int b = 0; b < B; b++) ((vec*)m.V[i + r])[b] = a[r][b];
  }
};
struct PreviousRows {  // V_v. = -Y_v^T Y
  Rows& m;
  template <int R> void rows(int i) {
    vec a[R][ZB] = {};
    multiply<R, ZB, NU>(a, (const double*)m.Y + i, 1, ROW, m.Y, -1.0);
    for (int r = 0; r < R; r++) for (int b = 0; b < ZB; b++) ((vec*)m.V[i + r])[b] = a[r][b];
  }
};
template <int G> static inline void value_rows(Rows& m, const vec (*F)[FB]) {  // the lower triangle, block row by block row
  constexpr int begin = G * LANES, end = begin + LANES < NX ? begin + LANES : NX;
  by_rows<rows_at_once(G + 1)>(begin, end, ValueRows<G + 1>{m, F});
  if constexpr (end < NX) value_rows<G + 1>(m, F);
}
static inline void mirror(Rows& m) {
  for (int i = 0; i < NX; i++) for (int j = 0; j < i; j++) m.V[j][i] = m.V[i][j];
  for (int i = NF; i < NZ; i++) {
    for (int j = 0; j < NX; j++) m.V[j][i] = m.V[i][j];
    for (int j = NF; j < i; j++) m.V[j][i] = m.V[i][j];
  }
}

// Fills K, K_u, k, Q_uu of w. `slope` and `curve`: the model says J(alpha) - J = alpha slope + alpha^2 curve.
static bool backward(const Tick& tick, Work& w, double& slope, double& curve) {
  Rows m;
  BoxQP box;
  std::memset(m.V, 0, sizeof m.V);
  std::memset(m.s, 0, sizeof m.s);
  std::memset(m.q, 0, sizeof m.q);
  for (int i = 0; i < NX; i++) m.s[i] = w.last[i].v[0];
  for (int n = 0; n < N_LAST; n++) m.V[LAST[n][0]][LAST[n][1]] = w.last[NX + n].v[0];
  mirror(m);
  slope = curve = 0.0;
  for (long long t = tick.horizon - 1; t >= 0; t--) {
    const vec (*F)[FB] = w.F[tick.stages_of_F > 1 ? t : 0];
    const double* e = (const double*)w.expansion[t / LANES] + t % LANES;  // entry n of the expansion: e[n * LANES]
    const double* h = e + NZ * LANES;

    by_rows<rows_at_once(FB)>(0, NX, TimesF{m, F});
    if constexpr (NV > 0)
      for (int i = 0; i < NX; i++) for (int j = 0; j < NU; j++) at(m.W[i], NX + j) += m.V[i][NF + j];
    by_rows<rows_at_once(FB)>(0, NU, CommandRows{m, F});
    if constexpr (NV > 0)
      for (int i = 0; i < NU; i++) for (int j = 0; j < NU; j++) at(m.Qu[i], NX + j) += m.V[NF + i][NF + j];
    for (int n = 0; n < N_U; n++) at(m.Qu[U_ENTRY[n][0]], U_ENTRY[n][1]) += h[U_ENTRY[n][2] * LANES];
    {
      vec a[1][FB] = {};
      multiply<1, FB, NX>(a, m.s, 0, 1, F, 1.0);
      for (int i = 0; i < NF; i++) m.q[i] = e[i * LANES] + at(a[0], i);
      if constexpr (NV > 0)
        for (int i = 0; i < NU; i++) m.q[NX + i] += m.s[NF + i], m.q[NF + i] = e[(NF + i) * LANES];
    }

    double Q[NU][NU], lower[NU], upper[NU], *k = w.k + t * NU;
    for (int i = 0; i < NU; i++) {
      for (int j = 0; j < NU; j++) {
        w.Q_uu[(t * NU + i) * NU + j] = at(m.Qu[i], NX + j);
        Q[i][j] = at(m.Qu[i], NX + j) + (i == j ? tick.mu : 0.0);
      }
      const double u = w.U[(t + 1) * NU + i];
      lower[i] = tick.u_lower[i] - u, upper[i] = tick.u_upper[i] - u;
    }
    if (!box.minimise(Q, m.q + NX, lower, upper, k)) return false;

    for (int b = 0; b < ZB; b++) {  // s = q + k^T Q_u.
      vec a = ((vec*)m.q)[b];
      for (int j = 0; j < NU; j++) a += k[j] * m.Qu[j][b];
      ((vec*)m.s)[b] = a;
    }
    for (int i = 0; i < NU; i++) {
      double row = 0.0;
      for (int j = 0; j < NU; j++) row += (Q[i][j] - (i == j ? tick.mu : 0.0)) * k[j];
      slope += k[i] * m.q[NX + i], curve += 0.5 * k[i] * row;
    }
    for (int j = 0; j < NU; j++) {  // Y = L^-1 Q_u., rows of clamped commands zero
      for (int b = 0; b < ZB; b++) {
        vec a = m.Qu[j][b];
        for (int i = 0; i < j; i++) a -= box.L[j][i] * m.Y[i][b];
        m.Y[j][b] = box.clamped[j] ? vec{} : a * box.inverse[j];
      }
    }
    for (int j = NU - 1; j >= 0; j--) {  // K = -L^-T Y
      for (int b = 0; b < ZB; b++) {
        vec a = -m.Y[j][b];
        for (int i = j + 1; i < NU; i++) a -= box.L[i][j] * m.Kz[i][b];
        m.Kz[j][b] = a * box.inverse[j];
      }
      std::memcpy(w.K + (t * NU + j) * NX, m.Kz[j], NX * sizeof(double));
      if constexpr (NV > 0) std::memcpy(w.K_u + (t * NU + j) * NU, (double*)m.Kz[j] + NF, NU * sizeof(double));
    }
    value_rows<0>(m, F);
    if constexpr (NV > 0) by_rows<rows_at_once(ZB)>(NF, NZ, PreviousRows{m});
    for (int n = 0; n < N_V; n++) m.V[V_ENTRY[n][0]][V_ENTRY[n][1]] += h[V_ENTRY[n][2] * LANES];
    if (tick.mu > 0.0)  // the value of the gains found with Q_uu + mu I under the Q_uu without
      for (int j = 0; j < NU; j++) {
        double* K = (double*)m.Kz[j];
        for (int i = 0; i < NZ; i++) {
          for (int c = 0; c < NZ; c++) m.V[i][c] -= tick.mu * K[i] * K[c];
          m.s[i] -= tick.mu * K[i] * k[j];
        }
      }
    mirror(m);
  }
  return true;
}

// --- rollouts, LANES at once --------------------------------------------------------------------------------------
// u = clamp(u_ref + alpha k + gain (K (x - x_ref) + K_u (v - v_ref))); fills w.x, w.u; the costs go to J.
static void roll(const Tick& tick, Work& w, const double* x_ref, const double* u_ref, const double* K, const double* K_u,
                 const double* k, Lane alpha, Lane gain, double* J) {
  const long long H = tick.horizon;
  Lane p[NP + 1], total(0.0), l;
  Lane* out[1] = {&l};
  for (int i = 0; i < NX; i++) w.x[0][i] = Lane(tick.x0[i]);
  for (int i = 0; i < NU; i++) w.u[0][i] = Lane(tick.u_previous[i]);
  for (long long t = 0; t < H; t++) {
    const Lane *x = w.x[t], *v = w.u[t];
    Lane* u = w.u[t + 1];
    vec dx[NX + NV];
    for (int i = 0; i < NX; i++) dx[i] = gain.v * (x[i].v - x_ref[t * NX + i]);
    for (int i = 0; i < NV; i++) dx[NX + i] = gain.v * (v[i].v - u_ref[t * NU + i]);
    for (int j = 0; j < NU; j++) {
      vec a = alpha.v * k[t * NU + j] + u_ref[(t + 1) * NU + j], b = {};
      const double* row = K + (t * NU + j) * NX;
      for (int i = 0; i + 1 < NX; i += 2) a += row[i] * dx[i], b += row[i + 1] * dx[i + 1];
      if (NX % 2) a += row[NX - 1] * dx[NX - 1];
      for (int i = 0; i < NV; i++) b += K_u[(t * NU + j) * NU + i] * dx[NX + i];
      a += b;
      const vec high = Lane(tick.u_upper[j]).v, low = Lane(tick.u_lower[j]).v;
      a = a > high ? high : a;
      u[j].v = a < low ? low : a;
    }
    const long long s = tick.stages_of_F > 1 ? t : 0;
    for (int i = 0; i < NX; i++) {
      const double* row = tick.F + (s * NX + i) * NF;
      vec a = Lane(tick.f[s * NX + i]).v, b = {};
      for (int c = 0; c + 1 < NX; c += 2) a += row[c] * x[c].v, b += row[c + 1] * x[c + 1].v;
      if (NX % 2) a += row[NX - 1] * x[NX - 1].v;
      for (int c = 0; c < NU; c++) b += row[NX + c] * u[c].v;
      w.x[t + 1][i].v = a + b;
    }
    for (int i = 0; i < NP; i++) p[i] = Lane(tick.p[t * NP + i]);
    const Lane* in[4] = {x, v, u, p};
    stage_cost(in, out);
    total = total + l;
  }
  for (int i = 0; i < NP; i++) p[i] = Lane(tick.p[H * NP + i]);
  const Lane* in[2] = {w.x[H], p};
  terminal_cost(in, out);
  total = total + l;
  for (int i = 0; i < LANES; i++) J[i] = total.v[i];
}

// Keep the best of the rollouts if it costs less than tick.cost.
static bool keep_best(Tick& tick, Work& w, const double* J) {
  int best = -1;
  for (int i = 0; i < LANES; i++) if (J[i] < (best < 0 ? tick.cost : J[best])) best = i;
  if (best < 0) return false;
  tick.cost = J[best];
  for (long long i = 0; i < (tick.horizon + 1) * NX; i++) w.X_best[i] = (&w.x[0][0])[i].v[best];
  for (long long i = 0; i < (tick.horizon + 1) * NU; i++) w.U_best[i] = (&w.u[0][0])[i].v[best];
  return true;
}

// --- one tick -----------------------------------------------------------------------------------------------------
static void shift_rows(double* a, long long rows, long long by, int width) {  // the last row repeats
  if (by <= 0) return;
  if (by > rows - 1) by = rows - 1;
  std::memmove(a, a + by * width, (rows - by) * width * sizeof(double));
  for (long long i = rows - by; i < rows; i++) std::memcpy(a + i * width, a + (rows - by - 1) * width, width * sizeof(double));
}

static void harder(Tick& tick) {  // Tassa 2012, section II-F
  tick.delta = tick.delta * DELTA0 > DELTA0 ? tick.delta * DELTA0 : DELTA0;
  tick.mu = tick.mu * tick.delta > MU_MIN ? tick.mu * tick.delta : MU_MIN;
}
static void softer(Tick& tick) {
  tick.delta = tick.delta / DELTA0 < 1.0 / DELTA0 ? tick.delta / DELTA0 : 1.0 / DELTA0;
  tick.mu = tick.mu * tick.delta >= MU_MIN ? tick.mu * tick.delta : 0.0;
}

static Status iterate(Tick& tick, Work& w) {
  const auto begin = std::chrono::steady_clock::now();
  double J[LANES], slope, curve;
  Lane gain(0.0), alpha(0.0);
  gain.v[1] = 1.0;  // lane 0 replays the old commands, lane 1 adds the old feedback
  roll(tick, w, tick.x_hat, tick.u_hat, tick.K, tick.K_u, tick.k, alpha, gain, J);
  tick.cost = INFINITY;
  bool moved = keep_best(tick, w, J), improved = false;
  if (!moved) return DIVERGED;
  for (tick.iterations_done = 0; tick.iterations_done < tick.iterations;) {
    if (moved) {
      std::swap(w.X, w.X_best), std::swap(w.U, w.U_best);
      expand(tick, w);
    }
    while (!backward(tick, w, slope, curve)) {
      harder(tick);
      if (tick.mu > MU_MAX) return NOT_POSITIVE_DEFINITE;
    }
    if (!std::isfinite(slope + curve)) return NOT_FINITE;
    tick.iterations_done++;
    if (-(slope + curve) <= tick.tolerance * (1.0 + std::fabs(tick.cost))) return CONVERGED;
    moved = false;
    for (long long first = 0; first < tick.step_sizes; first += LANES) {
      for (int i = 0; i < LANES; i++) alpha.v[i] = first + i < tick.step_sizes ? std::ldexp(1.0, -int(first + i)) : 0.0;
      roll(tick, w, w.X, w.U, w.K, w.K_u, w.k, alpha, Lane(1.0), J);
      moved = keep_best(tick, w, J) || moved;
    }
    improved = improved || moved;
    moved ? softer(tick) : harder(tick);
    if (tick.mu > MU_MAX) break;
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
    if (tick.time_budget > 0.0 && tick.iterations_done < tick.iterations &&
        spent.count() * (tick.iterations_done + 1) > tick.time_budget * tick.iterations_done) {
      if (moved) std::swap(w.X, w.X_best), std::swap(w.U, w.U_best);
      return TIME_BUDGET;
    }
  }
  if (moved) std::swap(w.X, w.X_best), std::swap(w.U, w.U_best);
  return improved ? MAX_ITERATIONS : NO_IMPROVEMENT;
}

extern "C" {
long long work_size(long long H) { return Work(nullptr, H).end - (double*)nullptr; }

void plan(Tick* at) {
  Tick& tick = *at;
  const long long H = tick.horizon, S = tick.stages_of_F;
  Work w(tick.work, H);
  tick.status = CONVERGED;
  tick.iterations_done = 0;
  shift_rows(tick.x_hat, H + 1, tick.shift, NX);
  shift_rows(tick.u_hat, H + 1, tick.shift, NU);
  shift_rows(tick.K, H, tick.shift, NU * NX);
  shift_rows(tick.K_u, H, tick.shift, NU * NU);
  shift_rows(tick.k, H, tick.shift, NU);
  shift_rows(tick.Q_uu, H, tick.shift, NU * NU);
  if (!finite(tick.x0, NX) || !finite(tick.u_previous, NU) || !finite(tick.F, S * NX * NF) || !finite(tick.f, S * NX) ||
      !finite(tick.p, (H + 1) * NP))
    tick.status = NOT_FINITE;
  for (int i = 0; i < NU; i++) if (!(tick.u_lower[i] <= tick.u_upper[i])) tick.status = INFEASIBLE_BOX;
  if (tick.status != CONVERGED) return;
  for (long long i = 0; i < S * NX; i++) {
    double* row = (double*)(&w.F[0][0] + i);
    std::memcpy(row, tick.F + i * NF, NF * sizeof(double));
    for (int c = NF; c < FB * LANES; c++) row[c] = 0.0;
  }
  tick.status = iterate(tick, w);
  if (tick.status > TIME_BUDGET && tick.status != NO_IMPROVEMENT) {
    tick.mu = 0.0, tick.delta = 1.0;
    return;  // the plan stays the last good one, shifted
  }
  std::memcpy(tick.x_hat, w.X, (H + 1) * NX * sizeof(double));
  std::memcpy(tick.u_hat, w.U, (H + 1) * NU * sizeof(double));
  std::memcpy(tick.K, w.K, H * NU * NX * sizeof(double));
  if (NV > 0) std::memcpy(tick.K_u, w.K_u, H * NU * NU * sizeof(double));
  std::memcpy(tick.k, w.k, H * NU * sizeof(double));
  std::memcpy(tick.Q_uu, w.Q_uu, H * NU * NU * sizeof(double));
}
}
