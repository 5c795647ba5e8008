// The Riccati recursion. Rows of matrices are vectors over the columns z = [x | u | v]. Since v' = u, products with the
// dynamics touch only the columns of x and u; v enters through the rows and columns of v of the value function.
#pragma once
#include "box_qp.h"
#include "barrier.h"
#include "kl_constraint.h"

constexpr int UNROLLED = 12;  // accumulators that fit in registers

// to[r][b] += sign sum_n c[r row_step + n n_step] M[n][b]
template <int R, int B, int N, int MB>
static inline void multiply(vec (&to)[R][B], const double* c, int row_step, int n_step, const vec (*M)[MB], double sign = 1.0) {
#pragma GCC unroll 64
  for (int n = 0; n < N; n++)
#pragma GCC unroll 16
    for (int r = 0; r < R; r++) {
      const double factor = sign * c[r * row_step + n * n_step];
#pragma GCC unroll 16
      for (int b = 0; b < B; b++) to[r][b] += factor * M[n][b];
    }
}
// body.rows<R>(i) for rows [begin, end), R at a time, the rest in halves.
template <int R, int begin, int end, class Body> static inline void by_rows(Body body) {
  constexpr int whole = begin + (end - begin) / R * R;
  for (int i = begin; i < whole; i += R) body.template rows<R>(i);
  if constexpr (whole < end) by_rows<R / 2, whole, end>(body);
}
// body(n) for n = 0 .. N-1 with n a constant, so that a table's entries become addresses.
template <class Body, int... n> static inline void each(std::integer_sequence<int, n...>, Body body) {
  (body(std::integral_constant<int, n>{}), ...);
}
template <int N, class Body> static inline void each(Body body) { each(std::make_integer_sequence<int, N>{}, body); }

constexpr int rows_at_once(int blocks, int rows = 8) {
  return rows == 1 || blocks * rows <= UNROLLED ? rows : rows_at_once(blocks, rows / 2);
}

struct Matrices {  // of one stage
  alignas(64) vec W[NX][FB], Qu[NU][ZB], Y[NU][ZB], Z[NU][ZB], K[NU][ZB];
  alignas(64) double V[NZ][ROW], s[ROW], q[ROW];  // value function: Hessian V, gradient s, over [x | . | v]

  void mirror() {  // V's lower triangle, rows of x and v
    for (int i = 0; i < NX; i++) for (int j = 0; j < i; j++) V[j][i] = V[i][j];
    for (int i = NF; i < NZ; i++) {
      for (int j = 0; j < NX; j++) V[j][i] = V[i][j];
      for (int j = NF; j < i; j++) V[j][i] = V[i][j];
    }
  }
};

struct TimesF {  // W = V_xx F
  Matrices& m; const vec (*F)[FB];
  template <int R> void rows(int i) {
    vec a[R][FB] = {};
    multiply<R, FB, NX>(a, m.V[i], ROW, 1, F);
    for (int r = 0; r < R; r++) for (int b = 0; b < FB; b++) m.W[i + r][b] = a[r][b];
  }
};
struct CommandRows {  // Q_u. = B^T W + V_vx F
  Matrices& m; const vec (*F)[FB];
  template <int R> void rows(int i) {
    vec a[R][FB] = {};
    multiply<R, FB, NX>(a, (const double*)F + NX + i, 1, FB * LANES, m.W);
    if constexpr (NV > 0) multiply<R, FB, NX>(a, m.V[NF + i], ROW, 1, F);
    for (int r = 0; r < R; r++)
      for (int b = 0; b < ZB; b++) m.Qu[i + r][b] = b < FB ? a[r][b] : vec{};
  }
};
template <int B> struct StateRows {  // V_x. = A^T W - Y_x^T Z, the first B blocks of columns
  Matrices& m; const vec (*F)[FB];
  template <int R> void rows(int i) {
    vec a[R][B] = {};
    multiply<R, B, NX>(a, (const double*)F + i, 1, FB * LANES, m.W);
    multiply<R, B, NU>(a, (const double*)m.Y + i, 1, ROW, m.Z, -1.0);
    for (int r = 0; r < R; r++) for (int b = 0; b < B; b++) ((vec*)m.V[i + r])[b] = a[r][b];
  }
};
template <int G> static inline void state_rows(Matrices& m, const vec (*F)[FB]) {  // the lower triangle by block rows
  constexpr int begin = G * LANES, end = begin + LANES < NX ? begin + LANES : NX;
  by_rows<rows_at_once(G + 1), begin, end>(StateRows<G + 1>{m, F});
  if constexpr (end < NX) state_rows<G + 1>(m, F);
}
struct PreviousRows {  // V_v. = -Y_v^T Z
  Matrices& m;
  template <int R> void rows(int i) {
    vec a[R][ZB] = {};
    multiply<R, ZB, NU>(a, (const double*)m.Y + i, 1, ROW, m.Z, -1.0);
    for (int r = 0; r < R; r++) for (int b = 0; b < ZB; b++) ((vec*)m.V[i + r])[b] = a[r][b];
  }
};

static void begin_value(const Tick& tick, const Work& w, Matrices& m) {
  std::memset(m.V, 0, sizeof m.V), std::memset(m.s, 0, sizeof m.s), std::memset(m.q, 0, sizeof m.q);
  for (int i = 0; i < NX; i++) m.s[i] = w.last[i].v[0];
  for (int n = 0; n < N_LAST; n++) m.V[LAST[n][0]][LAST[n][1]] = w.last[NX + n].v[0];
  add_limits(tick, w.X + tick.horizon * NX, m.V, m.s);
  m.mirror();
}

// phi's second derivatives, weighted by the value gradient s: entries over [x; u] for Q_u. and for V_x. (DDP).
static void curvature(const Work& w, const Matrices& m, long long t, Lane* out) {
  if constexpr (CURVATURE) {
    Lane x[NX], u[NU], s[NX];
    for (int i = 0; i < NX; i++) x[i] = Lane(w.X[t * NX + i]), s[i] = Lane(m.s[i]);
    for (int i = 0; i < NU; i++) u[i] = Lane(w.U[(t + 1) * NU + i]);
    const Lane* in[4] = {x, u, w.theta, s};
    Lane* results[1] = {out};
    model_curvature(in, results);
  }
}

static void record(double* trace, const Matrices& m, long long t);

// Fills K, K_u, k, Q_uu of w. The model predicts J(alpha) - J = alpha slope + alpha^2 curve. False: Q_uu + mu I is not
// positive definite over the free commands of some stage. SECOND_ORDER: with the second derivatives of phi.
template <bool SECOND_ORDER> static bool backward(const Tick& tick, Work& w, double& slope, double& curve) {
  Matrices m;
  BoxQP box;
  begin_value(tick, w, m);
  slope = curve = 0.0;
  for (long long t = tick.horizon - 1; t >= 0; t--) {
    const vec (*F)[FB] = w.F[MODEL || tick.stages_of_F > 1 ? t : 0];
    const double* e = (const double*)w.expansion[t / LANES] + t % LANES;  // entry n of this stage's expansion: e[n * LANES]
    const double* h = e + NZ * LANES;
    Lane c[N_CURVE + 1];
    if constexpr (SECOND_ORDER) curvature(w, m, t, c);

    by_rows<rows_at_once(FB), 0, NX>(TimesF{m, F});
    if constexpr (NV > 0)
      for (int i = 0; i < NX; i++) for (int j = 0; j < NU; j++) at(m.W[i], NX + j) += m.V[i][NF + j];
    by_rows<rows_at_once(FB), 0, NU>(CommandRows{m, F});
    if constexpr (NV > 0)
      for (int i = 0; i < NU; i++) for (int j = 0; j < NU; j++) at(m.Qu[i], NX + j) += m.V[NF + i][NF + j];
    each<N_U>([&](auto n) { at(m.Qu[U_ENTRY[n][0]], U_ENTRY[n][1]) += h[U_ENTRY[n][2] * LANES]; });
    for (int n = 0; n < (SECOND_ORDER ? N_CU : 0); n++) at(m.Qu[CU_ENTRY[n][0]], CU_ENTRY[n][1]) += c[CU_ENTRY[n][2]].v[0];
    vec gradient[1][FB] = {};
    multiply<1, FB, NX>(gradient, m.s, 0, 1, F);
    for (int i = 0; i < NF; i++) m.q[i] = e[i * LANES] + at(gradient[0], i);
    for (int i = 0; i < NV; i++) m.q[NX + i] += m.s[NF + i], m.q[NF + i] = e[(NF + i) * LANES];
    KlTerm kl_term(tick, w, t);  // towards the previous controller
    kl_term.add_to(m.Qu, m.q);

    double Q[NU][NU], lower[NU], upper[NU], *k = w.k + t * NU;
    for (int i = 0; i < NU; i++) {
      for (int j = 0; j < NU; j++) w.Q_uu[(t * NU + i) * NU + j] = Q[i][j] = at(m.Qu[i], NX + j);
      Q[i][i] += tick.mu;
      lower[i] = tick.u_lower[i] - w.U[(t + 1) * NU + i], upper[i] = tick.u_upper[i] - w.U[(t + 1) * NU + i];
    }
    if (!box.minimise(Q, m.q + NX, lower, upper, k)) return false;

    for (int b = 0; b < ZB; b++) {  // s = q + Q_.u k
      vec a = ((vec*)m.q)[b];
      for (int j = 0; j < NU; j++) a += k[j] * m.Qu[j][b];
      ((vec*)m.s)[b] = a;
    }
    for (int i = 0; i < NU; i++) {
      double row = -tick.mu * k[i];
      for (int j = 0; j < NU; j++) row += Q[i][j] * k[j];
      slope += k[i] * m.q[NX + i], curve += 0.5 * k[i] * row;
    }
    for (int j = 0; j < NU; j++)  // Y = L^-1 Q_u., rows of clamped commands zero; Z = D^-1 Y
      for (int b = 0; b < ZB; b++) {
        vec a = m.Qu[j][b];
        for (int i = 0; i < j; i++) a -= box.L[j][i] * m.Y[i][b];
        m.Y[j][b] = box.clamped[j] ? vec{} : a;
        m.Z[j][b] = m.Y[j][b] * box.inverse[j];
      }
    for (int j = NU - 1; j >= 0; j--) {  // K = -L^-T Z
      for (int b = 0; b < ZB; b++) {
        vec a = -m.Z[j][b];
        for (int i = j + 1; i < NU; i++) a -= box.L[i][j] * m.K[i][b];
        m.K[j][b] = a;
      }
      std::memcpy(w.K + (t * NU + j) * NX, m.K[j], NX * sizeof(double));
      if constexpr (NV > 0) std::memcpy(w.K_u + (t * NU + j) * NU, (double*)m.K[j] + NF, NU * sizeof(double));
    }

    state_rows<0>(m, F);
    if constexpr (NV > 0) by_rows<rows_at_once(ZB), NF, NZ>(PreviousRows{m});
    each<N_V>([&](auto n) { m.V[V_ENTRY[n][0]][V_ENTRY[n][1]] += h[V_ENTRY[n][2] * LANES]; });
    for (int n = 0; n < (SECOND_ORDER ? N_CV : 0); n++) m.V[CV_ENTRY[n][0]][CV_ENTRY[n][1]] += c[CV_ENTRY[n][2]].v[0];
    if (t > 0) add_limits(tick, w.X + t * NX, m.V, m.s);
    kl_term.add_to(m.V);
    if (tick.mu > 0.0)  // the gains are those of Q_uu + mu I, their value is that under Q_uu
      for (int j = 0; j < NU; j++) {
        const double* K = (double*)m.K[j];
        for (int i = 0; i < NZ; i++) {
          for (int n = 0; n < NZ; n++) m.V[i][n] -= tick.mu * K[i] * K[n];
          m.s[i] -= tick.mu * K[i] * k[j];
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
