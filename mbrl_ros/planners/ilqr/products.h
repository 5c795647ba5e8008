// Products of the Riccati recursion. Rows of matrices are vectors over the padded columns z = [x | u | v]. Since v' = u,
// products with the dynamics touch only the columns of x and u; v enters through the rows and columns of v of the value
// function.
#pragma once
#include "box_qp.h"
#include "known_rows.h"
#include "rows.h"

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
template <bool ADD> struct CommandRows {  // Q_u. = B^T W + V_vx F, besides what Q_u. is already where ADD
  Matrices& m; const vec (*F)[FB];
  template <int R, int first, int B> void part(int i) {
    vec a[R][B] = {};
    multiply<NX>(a, (const double*)F + U0 + i, 1, FB * LANES, m.W[0] + first, FB);
    if constexpr (NV > 0) multiply<NX>(a, m.V[NF + i], ROW, 1, F[0] + first, FB);
    for (int r = 0; r < (ADD ? R : 0); r++) for (int b = 0; b < B; b++) a[r][b] += m.Qu[i + r][first + b];
    write(m.Qu[i] + first, ZB, a);
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
template <int G = 0, class Body> static inline void command_blocks(Body body) {  // the same of Q_uu
  constexpr int begin = G * LANES, end = begin + LANES < NU ? begin + LANES : NU;
  by_parts<begin, end, XB + G + 1, XB>(body);
  if constexpr (end < NU) command_blocks<G + 1>(body);
}
struct PreviousRows {  // V_v. = -Y_v^T Z
  Matrices& m;
  template <int R, int first, int B> void part(int i) {
    vec a[R][B] = {};
    m.subtract_YZ(a, V0 + i - NF, first);
    write((vec*)m.V[i] + first, ZB, a);
  }
};

static inline void add_previous(Matrices& m, const vec* gradient) {  // q = [gradient + s_v; 0]
  vec* q = (vec*)m.q;
  for (int b = 0; b < ZB; b++) q[b] = b < FB ? gradient[b] : vec{};
  for (int b = 0; b < (NV > 0 ? UB : 0); b++) q[XB + b] += ((vec*)m.s)[FB + b];
}

// Blocks [begin, end) of Q_.u k
template <int begin, int end> static inline void take_commands(const Matrices& m, const vec* k, vec* change) {
  for (int b = begin; b < end; b++) {
    change[b] = at(k, 0) * m.Qu[0][b];
    for (int j = 1; j < NU; j++) change[b] += at(k, j) * m.Qu[j][b];
  }
}
// Q_u. and q = F^T s of a stage, without its cost; Q_ux is left to `command_rows`.
template <bool MIXED> static inline void begin_stage(Matrices& m, const vec (*F)[FB]) {
  by_parts<0, NX, FB>(TimesF{m, F});
  for (int i = 0; i < (NV > 0 ? NX : 0); i++) for (int b = 0; b < UB; b++) m.W[i][XB + b] += ((vec*)m.V[i])[FB + b];
  for (int i = 0; i < NU; i++)
    for (int b = 0; b < ZB; b++) if (b >= FB || (MIXED && b < XB)) m.Qu[i][b] = vec{};
  command_blocks(CommandRows<false>{m, F});
#pragma GCC unroll 8
  for (int i = 0; i < NU; i++)
#pragma GCC unroll 8
    for (int j = (i / LANES + 1) * LANES; j < NU; j++) at(m.Qu[i], U0 + j) = at(m.Qu[j], U0 + i);
  for (int i = 0; i < NV; i++) for (int b = 0; b < UB; b++) m.Qu[i][XB + b] += ((vec*)m.V[NF + i])[FB + b];
  vec q[1][FB] = {};
  multiply<NX>(q, m.s, 0, 1, F[0], FB);
  add_previous(m, q[0]);
}
template <bool MIXED> struct CommandRow : CommandRows<MIXED> {  // row `command` alone
  int command;
  template <int R, int first, int B> void part(int) { CommandRows<MIXED>::template part<1, first, B>(command); }
};
// Q_ux of the free commands, and change = Q_xu k. Of clamped commands nothing but Q_xu k = A^T W_u k is needed: where they are
// several, their rows are left out, unless they are to be shown. MIXED: Q_ux has entries of cost and model already.
template <bool MIXED>
static inline void command_rows(Matrices& m, const vec (*F)[FB], const BoxQP& box, bool show, vec* change) {
  const bool some = box.count + 1 < NU;
  if (some) {
    vec a[1][XB] = {};
    alignas(64) vec by_state[XB] = {};  // W_u k
    add_products<NX, UB * LANES>(by_state, (const double*)m.W[0] + U0, FB * LANES, box.k);
    multiply<NX>(a, (const double*)by_state, 0, 1, F[0], FB);
    for (int b = 0; b < XB; b++) change[b] = a[0][b];
  }
  for (int b = 0; b < (some && MIXED ? XB : 0); b++)
    for (int j = 0; j < NU; j++) change[b] += at(box.k, j) * m.Qu[j][b];
  if (some && !show) {
    for (int n = 0; n < box.count; n++) by_parts<0, 1, XB>(CommandRow<MIXED>{{m, F}, box.i[n]});
    return;
  }
  by_parts<0, NU, XB>(CommandRows<MIXED>{m, F});
  if (!some) take_commands<0, XB>(m, box.k, change);
}
