// The Riccati recursion. Rows of matrices are vectors over the columns z = [x | u | v]. Since v' = u, products with the
// dynamics touch only the columns of x and u; v enters through the rows and columns of v of the value function.
#pragma once
#include "box_qp.h"
#include "barrier.h"
#include "kl_constraint.h"

constexpr int UNROLLED = 6;  // accumulators of several rows: so few that factors M[n][b] stay operands in memory
constexpr int WIDEST = 12;   // accumulators of one row that fit in registers

// to[r][b] += sign c[r row_step] M[b]
template <int R, int B>
static inline void add_row(vec (&to)[R][B], const double* c, int row_step, const vec* M, double sign = 1.0) {
#pragma GCC unroll 16
  for (int r = 0; r < R; r++) {
    const double factor = sign * c[r * row_step];
#pragma GCC unroll 16
    for (int b = 0; b < B; b++) to[r][b] += factor * M[b];
  }
}
// to[r][b] += sign sum_n c[r row_step + n n_step] M[n blocks + b]
template <int N, int R, int B>
static inline void multiply(vec (&to)[R][B], const double* c, int row_step, int n_step, const vec* M, int blocks,
                            double sign = 1.0) {
#pragma GCC unroll 64
  for (int n = 0; n < N; n++) add_row(to, c + n * n_step, row_step, M + n * blocks, sign);
}
template <int R, int B> static inline void write(vec* to, int blocks, const vec (&a)[R][B]) {
#pragma GCC unroll 16
  for (int r = 0; r < R; r++)
#pragma GCC unroll 16
    for (int b = 0; b < B; b++) to[r * blocks + b] = a[r][b];
}
constexpr int rows_at_once(int blocks, int rows = 8) {
  return rows == 1 || blocks * rows <= UNROLLED ? rows : rows_at_once(blocks, rows / 2);
}
// body.part<R, first, B>(i) for rows [begin, end), R at a time, the rest in halves, and their B blocks from `first` on.
template <int R, int begin, int end, int first, int B, class Body> static inline void by_rows(Body body) {
  constexpr int whole = begin + (end - begin) / R * R;
  for (int i = begin; i < whole; i += R) body.template part<R, first, B>(i);
  if constexpr (whole < end) by_rows<R / 2, whole, end, first, B>(body);
}
// ... for all blocks before `blocks`, at most WIDEST at a time.
template <int begin, int end, int blocks, int first = 0, class Body> static inline void by_parts(Body body) {
  constexpr int parts = (blocks - first + WIDEST - 1) / WIDEST, B = (blocks - first + parts - 1) / parts;
  by_rows<rows_at_once(B), begin, end, first, B>(body);
  if constexpr (first + B < blocks) by_parts<begin, end, blocks, first + B>(body);
}
// body(n) for n = 0 .. N-1 with n a constant, so that a table's entries become addresses.
template <class Body, int... n> static inline void each(std::integer_sequence<int, n...>, Body body) {
  (body(std::integral_constant<int, n>{}), ...);
}
template <int N, class Body> static inline void each(Body body) { each(std::make_integer_sequence<int, N>{}, body); }

// Whether a block of columns has some of x or v: those of u alone are not needed of Y, Z, K and V.
constexpr bool used(int block) { return block * LANES < NX || (NV > 0 && (block + 1) * LANES > NF); }

struct Matrices {  // of one stage; Y, Z and K have rows for the `free_commands` only
  alignas(64) vec W[NX][FB], Qu[NU][ZB], Y[NU][ZB], Z[NU][ZB], K[NU][ZB];
  int free_commands;
  alignas(64) double V[NZ][ROW], s[ROW], q[ROW];  // value function: Hessian V, gradient s, over [x | . | v]

  void mirror() {  // V's lower triangle, rows of x and v
#pragma GCC unroll 64
    for (int i = 0; i < NZ; i++)
#pragma GCC unroll 64
      for (int j = 0; j < i; j++) if ((i < NX || i >= NF) && (j < NX || j >= NF)) V[j][i] = V[i][j];
  }
  template <int R, int B> void subtract_YZ(vec (&to)[R][B], int row, int first) const {  // rows of Y^T Z
    const double* y = (const double*)Y + row;
    if (free_commands == NU) multiply<NU>(to, y, 1, ROW, Z[0] + first, ZB, -1.0);
    else for (int n = 0; n < free_commands; n++) add_row(to, y + n * ROW, 1, Z[n] + first, -1.0);
  }
  template <bool ALL_FREE> void solve(const BoxQP& box);
};
// Y = L^-1 Q_u., Z = D^-1 Y, K = -L^-T Z
template <bool ALL_FREE> void Matrices::solve(const BoxQP& box) {
  const int size = free_commands = ALL_FREE ? NU : box.count;
#pragma GCC unroll 8
  for (int n = 0; n < size; n++)
#pragma GCC unroll 32
    for (int b = 0; b < ZB; b++) {
      if (!used(b)) continue;
      vec a = Qu[ALL_FREE ? n : box.i[n]][b];
#pragma GCC unroll 8
      for (int m = 0; m < n; m++) a -= box.L[n][m] * Y[m][b];
      Y[n][b] = a, Z[n][b] = a * box.inverse[n];
    }
#pragma GCC unroll 8
  for (int n = size - 1; n >= 0; n--)
#pragma GCC unroll 32
    for (int b = 0; b < ZB; b++) {
      if (!used(b)) continue;
      vec a = -Z[n][b];
#pragma GCC unroll 8
      for (int m = n + 1; m < size; m++) a -= box.L[m][n] * K[m][b];
      K[n][b] = a;
    }
}

struct TimesF {  // W = V_xx F
  Matrices& m; const vec (*F)[FB];
  template <int R, int first, int B> void part(int i) {
    vec a[R][B] = {};
    multiply<NX>(a, m.V[i], ROW, 1, F[0] + first, FB);
    write(m.W[i] + first, FB, a);
  }
};
struct CommandRows {  // Q_u. = B^T W + V_vx F
  Matrices& m; const vec (*F)[FB];
  template <int R, int first, int B> void part(int i) {
    vec a[R][B] = {};
    multiply<NX>(a, (const double*)F + NX + i, 1, FB * LANES, m.W[0] + first, FB);
    if constexpr (NV > 0) multiply<NX>(a, m.V[NF + i], ROW, 1, F[0] + first, FB);
    write(m.Qu[i] + first, ZB, a);
    for (int r = 0; r < R; r++) for (int b = FB; b < ZB; b++) m.Qu[i + r][b] = vec{};
  }
};
struct StateRows {  // V_x. = A^T W - Y_x^T Z
  Matrices& m; const vec (*F)[FB];
  template <int R, int first, int B> void part(int i) {
    vec a[R][B] = {};
    multiply<NX>(a, (const double*)F + i, 1, FB * LANES, m.W[0] + first, FB);
    m.subtract_YZ(a, i, first);
    write((vec*)m.V[i] + first, ZB, a);
  }
};
template <int G = 0> static inline void state_rows(Matrices& m, const vec (*F)[FB]) {  // the lower triangle by block rows
  constexpr int begin = G * LANES, end = begin + LANES < NX ? begin + LANES : NX;
  by_parts<begin, end, G + 1>(StateRows{m, F});
  if constexpr (end < NX) state_rows<G + 1>(m, F);
}
struct PreviousRows {  // V_v. = -Y_v^T Z
  Matrices& m;
  template <int R, int first, int B> void part(int i) {
    vec a[R][B] = {};
    m.subtract_YZ(a, i, first);
    write((vec*)m.V[i] + first, ZB, a);
  }
};

static void begin_value(const Tick& tick, const Work& w, Matrices& m) {
  clear(m.V[0], NZ * ROW), clear(m.s, ROW), clear(m.q, ROW);
  for (auto* rows : {m.Qu, m.Y, m.Z, m.K}) clear((double*)rows, NU * ROW);
  for (int i = 0; i < NX; i++) m.s[i] = w.last[i].v[0];
  for (int n = 0; n < N_LAST; n++) m.V[LAST[n][0]][LAST[n][1]] = w.last[NX + n].v[0];
  add_limits(tick, tick.horizon, w.X + tick.horizon * NX, m.V, m.s);
  m.mirror();
}

// phi's second derivatives, weighted by the value gradient s: entries over [x; u] for Q_u. and for V_x. (DDP).
static void curvature(const Tick& tick, const Work& w, const Matrices& m, long long t, Lane* out) {
  if constexpr (CURVATURE) {
    Lane x[NX], u[NU], s[NX];
    for (int i = 0; i < NX; i++) x[i] = Lane(w.X[t * NX + i]), s[i] = Lane(m.s[i]);
    for (int i = 0; i < NU; i++) u[i] = Lane(w.U[(t + 1) * NU + i]);
    const Lane* in[4] = {x, u, nullptr, s};
    Lane* results[1] = {out};
    model_curvature(in, results, tick.theta);
  }
}

static void record(double* trace, const Matrices& m, long long t);

// Fills K, K_u, k, Q_uu of w. The model predicts J(alpha) - J = alpha slope + alpha^2 curve. False: Q_uu + mu I is not
// positive definite over the free commands of some stage. SECOND_ORDER: with the second derivatives of phi.
template <bool SECOND_ORDER> static bool backward(const Tick& tick, Work& w, double& slope, double& curve) {
  Matrices m;
  BoxQP box = {};
  alignas(64) vec u[UB] = {}, u_lower[UB] = {}, u_upper[UB] = {};
  const auto take_limits = [&](long long t) {
    std::memcpy(u_lower, tick.u_lower + t * NU, NU * sizeof(double));
    std::memcpy(u_upper, tick.u_upper + t * NU, NU * sizeof(double));
  };
  take_limits(0);
  begin_value(tick, w, m);
  slope = curve = 0.0;
  for (long long t = tick.horizon - 1; t >= 0; t--) {
    const vec (*F)[FB] = w.F[MODEL || tick.stages_of_F > 1 ? t : 0];
    const double* e = (const double*)w.expansion[t / LANES] + t % LANES;  // entry n of this stage's expansion: e[n * LANES]
    const double* h = e + NZ * LANES;
    Lane c[N_CURVE + 1];
    if constexpr (SECOND_ORDER) curvature(tick, w, m, t, c);

    by_parts<0, NX, FB>(TimesF{m, F});
    if constexpr (NV > 0)
      for (int i = 0; i < NX; i++) for (int j = 0; j < NU; j++) at(m.W[i], NX + j) += m.V[i][NF + j];
    by_parts<0, NU, FB>(CommandRows{m, F});
    if constexpr (NV > 0)
      for (int i = 0; i < NU; i++) for (int j = 0; j < NU; j++) at(m.Qu[i], NX + j) += m.V[NF + i][NF + j];
    each<N_U>([&](auto n) { at(m.Qu[U_ENTRY[n][0]], U_ENTRY[n][1]) += h[U_ENTRY[n][2] * LANES]; });
    for (int n = 0; n < (SECOND_ORDER ? N_CU : 0); n++) at(m.Qu[CU_ENTRY[n][0]], CU_ENTRY[n][1]) += c[CU_ENTRY[n][2]].v[0];
    vec gradient[1][FB] = {};
    multiply<NX>(gradient, m.s, 0, 1, F[0], FB);
    for (int i = 0; i < NF; i++) m.q[i] = e[i * LANES] + at(gradient[0], i);
    for (int i = 0; i < NV; i++) m.q[NX + i] += m.s[NF + i], m.q[NF + i] = e[(NF + i) * LANES];
    KlTerm kl_term(tick, w, t);  // towards the previous controller
    kl_term.add_to(m.Qu, m.q);

    for (int i = 0; i < NU; i++) {
      const double* row = (const double*)m.Qu[i] + NX;
      std::memcpy(w.Q_uu + (t * NU + i) * NU, row, NU * sizeof(double));
      std::memcpy(box.Q[i], row, NU * sizeof(double));
      at(box.Q[i], i) += tick.mu;
    }
    std::memcpy(box.q, m.q + NX, NU * sizeof(double));
    std::memcpy(u, w.U + (t + 1) * NU, NU * sizeof(double));
    if (tick.stages_of_limits > 1) take_limits(t);
    for (int b = 0; b < UB; b++) box.lower[b] = u_lower[b] - u[b], box.upper[b] = u_upper[b] - u[b];
    if (!box.minimise()) return false;
    const double* k = (const double*)box.k;
    std::memcpy(w.k + t * NU, k, NU * sizeof(double));

    vec change[ZB];  // Q_.u k
    for (int b = 0; b < ZB; b++) {
      change[b] = k[0] * m.Qu[0][b];
      for (int j = 1; j < NU; j++) change[b] += k[j] * m.Qu[j][b];
      ((vec*)m.s)[b] = ((vec*)m.q)[b] + change[b];
    }
    for (int i = 0; i < NU; i++) slope += k[i] * m.q[NX + i], curve += 0.5 * k[i] * at(change, NX + i);
    box.count == NU ? m.solve<true>(box) : m.solve<false>(box);
    std::memset(w.K + t * NU * NX, 0, NU * NX * sizeof(double));
    if constexpr (NV > 0) std::memset(w.K_u + t * NU * NU, 0, NU * NU * sizeof(double));
    w.free_rows[t] = 0;
    for (int n = 0; n < box.count; n++) {
      const double* row = (const double*)m.K[n];
      w.free_rows[t] |= 1LL << box.i[n] % 64;
      std::memcpy(w.K + (t * NU + box.i[n]) * NX, row, NX * sizeof(double));
      if constexpr (NV > 0) std::memcpy(w.K_u + (t * NU + box.i[n]) * NU, row + NF, NU * sizeof(double));
    }

    state_rows(m, F);
    if constexpr (NV > 0) by_parts<NF, NZ, ZB>(PreviousRows{m});
    each<N_V>([&](auto n) { m.V[V_ENTRY[n][0]][V_ENTRY[n][1]] += h[V_ENTRY[n][2] * LANES]; });
    for (int n = 0; n < (SECOND_ORDER ? N_CV : 0); n++) m.V[CV_ENTRY[n][0]][CV_ENTRY[n][1]] += c[CV_ENTRY[n][2]].v[0];
    if (t > 0) add_limits(tick, t, w.X + t * NX, m.V, m.s);
    kl_term.add_to(m.V);
    if (tick.mu > 0.0)  // the gains are those of Q_uu + mu I, their value is that under Q_uu
      for (int j = 0; j < box.count; j++) {
        const double* K = (double*)m.K[j];
        for (int i = 0; i < NZ; i++) {
          for (int n = 0; n < NZ; n++) m.V[i][n] -= tick.mu * K[i] * K[n];
          m.s[i] -= tick.mu * K[i] * k[box.i[j]];
        }
      }
    m.mirror();
    if (tick.trace) record(tick.trace, m, t);
  }
  return true;
}

// Q_u. and V (nu + nz rows of nz), q and s (nz), as the tests compare them with those of numpy_ilqr.py.
static void record(double* trace, const Matrices& m, long long t) {
  double* to = trace + t * (NU + NZ + 2) * NZ;
  for (int i = 0; i < NU; i++, to += NZ) std::memcpy(to, m.Qu[i], NZ * sizeof(double));
  for (int i = 0; i < NZ; i++, to += NZ) std::memcpy(to, m.V[i], NZ * sizeof(double));
  std::memcpy(to, m.q, NZ * sizeof(double)), std::memcpy(to + NZ, m.s, NZ * sizeof(double));
}
