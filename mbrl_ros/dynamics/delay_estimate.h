// What an estimate of the delay is made of, see delay_estimation.py; same formulas, same names.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstring>

#include "cholesky.h"

struct Delay {
  // n joints, lags L, size = n L + 3 n + 1, ticks of a row, rows of a block, colors, longest bridged rows
  long long n, lags, size, stride, block_rows, colors, bridged;
  long long filled, held, known, steady;  // rows in the block; commands; whether `before` is a state; whitening
  long long best;                         // which of two holds the best color of an estimate
  double dt, forgetting, fewest, least_weight, rest_level, near, count, seen, stamp, commanded, stamp_before;
  double *moments, *block, *weights, *energy, *noise, *commands, *before;
  const double *color, *q, *qd, *command;
  double *carried, *variances, *filtered, *work;
  // an estimate: the moments that it is of; of two colors, the best one and the one at hand, C, scale, and log det R at
  // the coarse delays; the delays and log det R of the whole grid
  double *snapshot, *correlations, *scales, *coarse, *grid, *values;
  double of_snapshot, least, mean, std, inside, explained;
};

constexpr int DELAYS = 4;  // worked on at once: one in each entry of a Lane
typedef double Lane __attribute__((vector_size(8 * DELAYS), aligned(8)));
constexpr double RIDGE = 1e-6;  // of correlations
constexpr int FINE = 20;        // delays of the fine grid in a row

// X <- L^-1 X for X (N, columns)
static void forward(const double* L, long long N, double* X, long long columns) {
  for (long long i = 0; i < N; i++) {
    double* __restrict x = X + i * columns;
    for (long long k = 0; k < i; k++) {
      const double l = L[i * N + k], *other = X + k * columns;
      for (long long j = 0; j < columns; j++) x[j] -= l * other[j];
    }
    const double inverse = 1.0 / L[i * N + i];
    for (long long j = 0; j < columns; j++) x[j] *= inverse;
  }
}

// c_j = s_j - sum_k X_ki X_kj for PARTS Lanes of entries from j on, X (rows, m)
template <int PARTS>
static void subtract_products(const double* s, const double* X, long long rows, long long m, long long i, long long j,
                              double* c) {
  Lane sum[PARTS];
  std::memcpy(sum, s + j, sizeof sum);
  for (long long k = 0; k < rows; k++) {
    const Lane* other = reinterpret_cast<const Lane*>(X + k * m + j);
    for (int part = 0; part < PARTS; part++) sum[part] -= X[k * m + i] * other[part];
  }
  std::memcpy(c + j, sum, sizeof sum);
}

// the same for j = first .. last - 1, and up to DELAYS - 1 entries more, which lie left of the diagonal of the next row
static void subtract_row(const double* s, const double* X, long long rows, long long m, long long i, long long first,
                         long long last, double* c) {
  long long j = first;
  for (; j + 3 * DELAYS < last && i + 1 < m; j += 4 * DELAYS) subtract_products<4>(s, X, rows, m, i, j, c);
  for (; j < last && i + 1 < m; j += DELAYS) subtract_products<1>(s, X, rows, m, i, j, c);
  for (; j < last; j++) {
    c[j] = s[j];
    for (long long k = 0; k < rows; k++) c[j] -= X[k * m + i] * X[k * m + j];
  }
}

// what is known of entry i of C: j = i .. `near` - 1, and j = first .. m - 1
static long long near_of(const Delay* d, long long i, bool banded) {
  const long long first = d->n * d->lags;
  return banded && i < first ? std::min(first, (i / d->n + 2) * d->n) : first;
}

// The upper triangle of C (n L + n, n L + n), the correlations given [q; qd; 1] of the moments S, and the standard
// deviations (n L + n,); `banded`: of the commands only those that lie one lag apart at most. Returns 0; 1 where nothing
// moves or nothing commands; 2 where the moments of [q; qd; 1] have no Cholesky factor.
static int given_state(Delay* d, const double* S, double* C, double* scale, bool banded) {
  const long long n = d->n, first = n * d->lags, m = first + n, N = d->size, states = N - m;
  double *L = d->work, *X = d->work + states * states;  // (states, states), (states, m)
  for (long long i = 0; i < states; i++) {
    const double* column = S + m + i;  // of the upper triangle of S
    for (long long j = 0; j <= i; j++) L[i * states + j] = column[(m + j) * N];
    L[i * states + i] += 1e-10 * std::max(column[(m + i) * N], 1e-12);
    for (long long j = 0; j < m; j++) X[i * m + j] = column[j * N];
  }
  if (!factorize(L, states)) return 2;
  forward(L, states, X, m);
  for (long long i = 0; i < m; i++) {
    const long long near = near_of(d, i, banded);
    if (i < near) subtract_row(S + i * N, X, states, m, i, i, near, C + i * m);
    subtract_row(S + i * N, X, states, m, i, std::max(i, first), m, C + i * m);
  }
  bool commands = false, moves = false;
  for (long long i = 0; i < m; i++) {
    scale[i] = std::sqrt(std::max(C[i * m + i], 0.0));
    if (scale[i] > 1e-9 * std::sqrt(std::max(S[i * N + i], 0.0)) + 1e-15)
      (i < first ? commands : moves) = true;
    else
      scale[i] = 1.0;
  }
  if (!commands || !moves) return 1;
  for (long long i = 0; i < m; i++) {
    double* __restrict c = C + i * m;
    const long long near = near_of(d, i, banded);
    for (long long j = i; j < near; j++) c[j] = c[j] / scale[i] / scale[j];
    for (long long j = std::max(i, first); j < m; j++) c[j] = c[j] / scale[i] / scale[j];
  }
  return 0;
}

// lower Cholesky factor of each of the matrices A (N, N), in place; false where one is not positive definite
__attribute__((always_inline)) static inline bool factorize_each(Lane* A, long long N) {
  for (long long j = 0; j < N; j++) {
    Lane* row = A + j * N;
    for (long long i = 0; i <= j; i++) {
      const Lane* other = A + i * N;
      Lane s = row[i];
      for (long long k = 0; k < i; k++) s -= row[k] * other[k];
      if (i < j) {
        row[i] = s / other[i];
        continue;
      }
      row[j] = s;
      double* diagonal = reinterpret_cast<double*>(row + j);
      for (int lane = 0; lane < DELAYS; lane++) {
        if (!(diagonal[lane] > 0.0)) return false;
        diagonal[lane] = std::sqrt(diagonal[lane]);
      }
    }
  }
  return true;
}

// A (n, n) and B (n, n) of the delay `at`, every entry DELAYS after the one before; reads the upper triangle of C
__attribute__((always_inline)) static inline void write_lane(const Delay* d, long long n, const double* C, double at,
                                                             double* A, double* B) {
  const long long m = n * d->lags + n, whole = std::min((long long)at, d->lags - 2);
  const double a = at - whole, b = 1.0 - a, aa = a * a, ab = a * b, bb = b * b;
  const double *ii = C + whole * n * (m + 1), *ij = ii + n, *jj = ii + n * (m + 1);
  const double *iy = C + whole * n * m + (m - n), *jy = iy + n * m;
  for (long long r = 0; r < n; r++, A += n * DELAYS, B += n * DELAYS) {
    for (long long s = 0; s <= r; s++)
      A[s * DELAYS] = bb * ii[s * m + r] + ab * (ij[r * m + s] + ij[s * m + r]) + aa * jj[s * m + r];
    A[r * DELAYS] += RIDGE;
    for (long long s = 0; s < n; s++) B[s * DELAYS] = b * iy[r * m + s] + a * jy[r * m + s];
  }
}

// log det R(d) at DELAYS delays, less that of the scales; false where a matrix has no Cholesky factor. n is SIZE where that
// is not zero: a compiler that knows it unrolls the loops, in a third of the instructions.
template <int SIZE>
static bool log_determinants(Delay* d, const double* C, const double* delays, double* values) {
  const long long n = SIZE ? SIZE : d->n, m = n * d->lags + n;
  const double* y = C + (m - n) * (m + 1);
  Lane *A = reinterpret_cast<Lane*>(d->work), *B = A + n * n, *R = B + n * n;
  for (int lane = 0; lane < DELAYS; lane++)
    write_lane(d, n, C, delays[lane], d->work + lane, d->work + n * n * DELAYS + lane);
  if (!factorize_each(A, n)) return false;
  for (long long i = 0; i < n; i++)  // B <- L^-1 B
    for (long long s = 0; s < n; s++) {
      Lane x = B[i * n + s];
      for (long long k = 0; k < i; k++) x -= A[i * n + k] * B[k * n + s];
      B[i * n + s] = x / A[i * n + i];
    }
  for (long long r = 0; r < n; r++)
    for (long long s = 0; s <= r; s++) {
      Lane x = Lane{} + (y[s * m + r] + (r == s ? RIDGE : 0.0));
      for (long long k = 0; k < n; k++) x -= B[k * n + r] * B[k * n + s];
      R[r * n + s] = x;
    }
  if (!factorize_each(R, n)) return false;
  Lane product = Lane{} + 1.0;
  for (long long r = 0; r < n; r++) product *= R[r * n + r];  // of a correlation's factor: at least 1e-3 each
  for (int lane = 0; lane < DELAYS; lane++) values[lane] = 2.0 * std::log(product[lane]);
  return true;
}

// log det R(d) at `count` delays, less that of the scales; of C the upper triangle. Returns how many were computed before a matrix
// had no Cholesky factor.
static long long each_log_determinant(Delay* d, const double* C, const double* delays, double* values, long long count) {
  for (long long c = 0; c < count; c += DELAYS) {
    double at[DELAYS], found[DELAYS];
    for (int lane = 0; lane < DELAYS; lane++) at[lane] = delays[std::min(c + lane, count - 1)];
    const auto of_size = d->n == 7 ? log_determinants<7> : d->n == 6 ? log_determinants<6> : log_determinants<0>;
    if (!of_size(d, C, at, found)) return c;
    std::memcpy(values + c, found, sizeof(double) * std::min((long long)DELAYS, count - c));
  }
  return count;
}

// the whole grid: the coarse delays, and those in steps of 1 / FINE about the best one; returns how many, or 0
static long long write_grid(Delay* d) {
  constexpr long long HALF = FINE / 2;
  const long long count = 2 * d->lags - 1, m = d->n * (d->lags + 1);
  const double *coarse = d->coarse + d->best * count, *scale = d->scales + d->best * m;
  const long long best = std::min_element(coarse, coarse + count) - coarse;
  const long long first = std::max(0LL, best - 1), last = std::min(count - 1, best + 1);
  double fine[2 * HALF], found[2 * HALF], sum = 0.0;
  long long news = 0, all = 0, taken = 0;
  for (long long i = 1; i < (last - first) * HALF; i++)
    if (i % HALF) fine[news++] = std::nearbyint(1e6 * (0.5 * first + (double)i / FINE)) / 1e6;
  if (each_log_determinant(d, d->correlations + d->best * m * m, fine, found, news) < news) return 0;
  for (long long j = m - d->n; j < m; j++) sum += std::log(scale[j]);
  for (long long i = 0; i < count; i++) {
    for (; taken < news && fine[taken] < 0.5 * i; taken++, all++) {
      d->grid[all] = fine[taken];
      d->values[all] = found[taken] + 2.0 * sum;
    }
    d->grid[all] = 0.5 * i;
    d->values[all++] = coarse[i];
  }
  return all;
}

// log det of the correlations of y without any command, with the scales; false where it has no Cholesky factor
static bool without_commands(Delay* d, double* value) {
  const long long n = d->n, m = n * (d->lags + 1);
  const double *y = d->correlations + d->best * m * m + (m - n) * (m + 1), *scale = d->scales + d->best * m + m - n;
  double* A = d->work;
  for (long long r = 0; r < n; r++)
    for (long long s = 0; s <= r; s++) A[r * n + s] = y[s * m + r];
  if (!factorize(A, n)) return false;
  *value = 0.0;
  for (long long r = 0; r < n; r++) *value += 2.0 * (std::log(A[r * n + r]) + std::log(scale[r]));
  return true;
}
