// Products of the Riccati recursion. Rows of matrices are vectors over the padded columns z = [x | u | v]. Since v' = u,
// products with the dynamics touch only the columns of x and u; v enters through the rows and columns of v of the value
// function.
#pragma once
#include "box_qp.h"
#include "known_rows.h"

// Accumulators of several rows: so few that factors M[n][b] stay operands in memory. Without instructions of three
// operands nothing is saved by sharing them.
constexpr int UNROLLED = LANES > 2 ? 6 : 1;
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
constexpr bool used(int block) { return block < XB || block >= FB; }

struct Matrices {  // of one stage; Y, Z and K have rows for the `free_commands` only
  alignas(64) vec W[NX][FB], Qu[NU][ZB], Y[NU][ZB], Z[NU][ZB], K[NU][ZB];
  alignas(64) vec U[JOINTS + 1][ZB], T[FEATURES + 1][ZB];  // see KnownStage
  alignas(64) double V[NZ][ROW], s[ROW], q[ROW];  // value function: Hessian V, gradient s, over [x | . | v]
  int free_commands;

  void mirror() {  // V's lower triangle, rows of x and v
#pragma GCC unroll 64
    for (int i = 0; i < NZ; i++)
#pragma GCC unroll 64
      for (int j = 0; j < i; j++) if ((i < NX || i >= NF) && (j < NX || j >= NF)) V[j][column(i)] = V[i][column(j)];
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
  vec L[NU][NU], inverse[NU];  // in all SIMD lanes
#pragma GCC unroll 8
  for (int n = 0; n < size; n++) {
    inverse[n] = Lane(box.inverse[n]).v;
#pragma GCC unroll 8
    for (int m = 0; m < n; m++) L[n][m] = Lane(box.L[n][m]).v;
  }
  for (int b = 0; b < ZB; b++) {
    if (!used(b)) continue;
    vec a[NU];
#pragma GCC unroll 8
    for (int n = 0; n < size; n++) {
      a[n] = Qu[ALL_FREE ? n : box.i[n]][b];
#pragma GCC unroll 8
      for (int m = 0; m < n; m++) a[n] -= L[n][m] * a[m];
      Y[n][b] = a[n];
    }
#pragma GCC unroll 8
    for (int n = 0; n < size; n++) Z[n][b] = a[n] = a[n] * inverse[n];
#pragma GCC unroll 8
    for (int n = size - 1; n >= 0; n--) {
      a[n] = -a[n];
#pragma GCC unroll 8
      for (int m = n + 1; m < size; m++) a[n] -= L[m][n] * a[m];
      K[n][b] = a[n];
    }
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
    multiply<NX>(a, (const double*)F + U0 + i, 1, FB * LANES, m.W[0] + first, FB);
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
template <int G = 0, class Body> static inline void state_rows(Body body) {  // the lower triangle by block rows
  constexpr int begin = G * LANES, end = begin + LANES < NX ? begin + LANES : NX;
  by_parts<begin, end, G + 1>(body);
  if constexpr (end < NX) state_rows<G + 1>(body);
}
struct PreviousRows {  // V_v. = -Y_v^T Z
  Matrices& m;
  template <int R, int first, int B> void part(int i) {
    vec a[R][B] = {};
    m.subtract_YZ(a, V0 + i - NF, first);
    write((vec*)m.V[i] + first, ZB, a);
  }
};

// The same with known rows, in y = [q - h qd; qd; s - g sd; sd - G qd], where x' = K z + [0; R; 0; 0] z with the known K z =
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
static inline void add_previous(Matrices& m, const vec* gradient) {  // q = [gradient + s_v; 0]
  vec* q = (vec*)m.q;
  for (int b = 0; b < ZB; b++) q[b] = b < FB ? gradient[b] : vec{};
  for (int b = 0; b < (NV > 0 ? UB : 0); b++) q[XB + b] += ((vec*)m.s)[FB + b];
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

// Q_u. and q = F^T s of a stage, without its cost.
static inline void begin_stage(Matrices& m, const vec (*F)[FB]) {
  by_parts<0, NX, FB>(TimesF{m, F});
  for (int i = 0; i < (NV > 0 ? NX : 0); i++) for (int b = 0; b < UB; b++) m.W[i][XB + b] += ((vec*)m.V[i])[FB + b];
  by_parts<0, NU, FB>(CommandRows{m, F});
  for (int i = 0; i < NV; i++) for (int b = 0; b < UB; b++) m.Qu[i][XB + b] += ((vec*)m.V[NF + i])[FB + b];
  vec q[1][FB] = {};
  multiply<NX>(q, m.s, 0, 1, F[0], FB);
  add_previous(m, q[0]);
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
