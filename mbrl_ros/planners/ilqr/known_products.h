// Products of the Riccati recursion where all rows of the dynamics follow from those of qd' (known_rows.h).
#pragma once
#include "products.h"

// In y = [q - h qd; qd; s - g sd; sd - G qd], where x' = K z + [0; R; 0; 0] z with the known K z =
// [q + b qd; 0; s + c sd; 0]: with U = V_qd. + h V_q. + G^T (V_sd. + g V_s.) over y,
//     W_q = V_q. K + U_q^T R,   W_qd = U K + U_qd R,   W_s = V_s. K + U_s^T R,   Q_u. = V_v. K + U_v^T R + B^T W_qd,
//     V_x. = K^T [W_q; W_s] + A^T W_qd - Y_x^T Z,    R = [A B]; the columns of u have V_.v, U_v and V_vv besides.
constexpr int JB = (S0 + LANES - 1) / LANES;  // blocks of x in which R has columns
struct KnownStage {
  Matrices& m; const vec (*R)[FB]; const KnownRows& known;
  // a = rows K, and their columns of v in those of u
  template <int first, int N, int B> void start(vec (&a)[N][B], const void* rows, int i) const {
    each<N * B>([&](auto n) {
      constexpr int r = n / B, b = n % B;
      const double* row = (const double*)rows + (i + r) * ROW;
      if constexpr (first + b < XB) a[r][b] = known_part<first + b>(known, row);
      else a[r][b] = NV > 0 ? load(row + (first + b + UB) * LANES) : vec{};
    });
  }
  // a += sum_j c[r row_step + j j_step] R_j
  template <int first, int N, int B> void add_R(vec (&a)[N][B], const double* c, int row_step, int j_step) const {
    if constexpr (first < JB || first >= XB) multiply<JOINTS>(a, c, row_step, j_step, R[0] + first, FB);
  }
};
struct VelocityRows : KnownStage {  // W_qd
  template <int N, int first, int B> void part(int i) {
    vec a[N][B];
    start<first>(a, m.U, i);
    add_R<first>(a, (const double*)m.U[i] + JOINTS, ROW, 1);
    write(m.W[JOINTS + i] + first, FB, a);
  }
};
template <int begin> struct PositionRows : KnownStage {  // W_q, W_s: of x from `begin` on
  template <int N, int first, int B> void part(int i) {
    vec a[N][B];
    start<first>(a, m.V, begin + i);
    add_R<first>(a, (const double*)m.U + begin + i, 1, ROW);
    write(m.W[begin + i] + first, FB, a);
  }
};
struct KnownCommandRows : KnownStage {
  template <int N, int first, int B> void part(int i) {
    vec a[N][B];
    if constexpr (NV > 0) {
      start<first>(a, m.V, NF + i);
      add_R<first>(a, (const double*)m.U + V0 + i, 1, ROW);
    } else {
      for (int r = 0; r < N; r++) for (int b = 0; b < B; b++) a[r][b] = vec{};
    }
    multiply<JOINTS>(a, (const double*)R + U0 + i, 1, FB * LANES, m.W[JOINTS] + first, FB);
    write(m.Qu[i] + first, ZB, a);
    for (int r = 0; r < N; r++) for (int b = FB; b < ZB; b++) m.Qu[i + r][b] = vec{};
  }
};
struct KnownStateRows : KnownStage {
  template <int N, int first, int B> void part(int i) {
    vec a[N][B];
#pragma GCC unroll 16
    for (int r = 0; r < N; r++) {
      const int row = i + r, velocity = row < S0 ? row >= JOINTS ? JOINTS : 0 : row >= SD0 ? FEATURES : 0;
      const double own = at(known.own, row);
#pragma GCC unroll 16
      for (int b = 0; b < B; b++) a[r][b] = own * m.W[row - velocity][first + b];
    }
    if (i < S0) multiply<JOINTS>(a, (const double*)R + i, 1, FB * LANES, m.W[JOINTS] + first, FB);
    m.subtract_YZ(a, i, first);
    write((vec*)m.V[i] + first, ZB, a);
  }
};
struct VelocityValue : KnownStage {  // U before its columns are changed, from T = V_sd. + g V_s.
  template <int N, int first, int B> void part(int i) {
    vec a[N][B];
#pragma GCC unroll 16
    for (int r = 0; r < N; r++)
#pragma GCC unroll 16
      for (int b = 0; b < B; b++) {
        const vec *q = (const vec*)m.V[i + r], *qd = (const vec*)m.V[JOINTS + i + r];
        a[r][b] = qd[first + b] + at(known.h, i + r) * q[first + b];
      }
    if constexpr (FEATURES > 0) multiply<FEATURES>(a, (const double*)known.G + i, 1, UB * LANES, m.T[0] + first, ZB);
    write(m.U[i] + first, ZB, a);
  }
};
// Parts of rows [0, rows) and blocks [0, blocks), those without columns of R by themselves.
template <int rows, int blocks, class Body> static inline void by_known_parts(Body body) {
  if constexpr (JB >= XB) by_parts<0, rows, blocks>(body);
  else if constexpr (JOINTS > 0) {
    by_parts<0, rows, JB>(body), by_parts<0, rows, XB, JB>(body);
    if constexpr (blocks > XB) by_parts<0, rows, blocks, XB>(body);
  }
}
// U, and the columns of qd in a row over x: += h (those of q) + (those of sd + g those of s) G
static inline void change_columns(const KnownRows& known, double* row) {
  vec a[UB];
  for (int b = 0; b < UB; b++) a[b] = load(row + JOINTS + b * LANES) + known.h[b] * load(row + b * LANES);
  for (int f = 0; f < FEATURES; f++) {
    const double t = row[SD0 + f] + known.g[f] * row[S0 + f];
    for (int b = 0; b < UB; b++) a[b] += t * known.G[f][b];
  }
  for (int b = 0; b < UB; b++) store(row + JOINTS + b * LANES, a[b]);
}
static inline void change_to_y(KnownStage stage) {
  Matrices& m = stage.m;
  const KnownRows& known = stage.known;
  for (int f = 0; f < FEATURES; f++) {
    const vec *s = (const vec*)m.V[S0 + f], *sd = (const vec*)m.V[SD0 + f];
    for (int b = 0; b < ZB; b++) if (used(b)) m.T[f][b] = sd[b] + known.g[f] * s[b];
  }
  by_parts<0, JOINTS, XB>(VelocityValue{stage});
  if constexpr (NV > 0) by_parts<0, JOINTS, ZB, FB>(VelocityValue{stage});
  for (int j = 0; j < JOINTS; j++) change_columns(known, (double*)m.U[j]);
  change_columns(known, m.s);
}

static inline void begin_known_stage(Matrices& m, const vec (*F)[FB], const KnownRows& known) {
  const KnownStage stage = {m, F + JOINTS, known};
  change_to_y(stage);
  by_known_parts<JOINTS, FB>(VelocityRows{stage});
  by_known_parts<JOINTS, XB>(PositionRows<0>{stage});
  if constexpr (FEATURES > 0) by_known_parts<FEATURES, XB>(PositionRows<S0>{stage});
  by_known_parts<NU, FB>(KnownCommandRows{stage});
  vec q[1][FB] = {};
  each<XB>([&](auto b) { q[0][b] = known_part<b>(known, m.s); });
  multiply<JOINTS>(q, m.s + JOINTS, 0, 1, F[JOINTS], FB);
  add_previous(m, q[0]);
}
