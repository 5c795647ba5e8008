// The estimator of delay_estimation.py, with the filter of whitening.py, in loops over small row-major matrices. Same
// formulas, same names; of symmetric matrices the upper triangle is computed and mirrored.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "cholesky.h"

struct Delay {
  // n joints, lags L, size = n L + 3 n + 1, ticks of a row, rows of a block, colors, longest bridged rows
  long long n, lags, size, stride, block_rows, colors, bridged;
  long long filled, held, known, steady;  // rows in the block; commands; whether `before` is a state; whitening
  double dt, forgetting, fewest, least_weight, rest_level, near, count, seen, stamp, commanded, stamp_before;
  double *moments, *block, *weights, *energy, *noise, *commands, *before;
  const double *color, *q, *qd, *command;
  double *carried, *variances, *filtered, *work;
};

static void restart_whitening(Delay* d) {
  for (long long i = 0; i < d->colors * d->size; i++) d->carried[i] = 0.0;
  for (long long i = 0; i < d->colors; i++) d->variances[i] = d->color[i] + (1.0 - d->color[i]) * (1.0 - d->color[i]);
  d->steady = 0;
}

// the rows of the block, whitened for one color: (rows, size) in d->filtered
static void whiten(Delay* d, long long i, bool steady) {
  const double g = d->color[i], noise = (1.0 - g) * (1.0 - g);
  double* carried = d->carried + i * d->size;
  for (long long t = 0; t < d->filled; t++) {
    const double* row = d->block + t * d->size;
    double* out = d->filtered + t * d->size;
    double scale = 1.0, keep = g;
    if (!steady) {
      const double p = d->variances[i] + (row[d->size - 1] - 1.0) * noise, f = p + g;
      d->variances[i] = p * g / f + noise;
      scale = 1.0 / std::sqrt(f);
      keep = g / f;
    }
    for (long long j = 0; j < d->size; j++) {
      const double innovation = row[j] + carried[j];
      out[j] = scale * innovation;
      carried[j] = keep * innovation;
    }
  }
}

// M <- decay M + sum_t w_t f_t f_t^T; rows beyond the filled ones weigh nothing
static void add_products(Delay* d, double* M, double decay) {
  const long long N = d->size;
  for (long long i = 0; i < N; i++) {
    double* row = M + i * N;
    for (long long j = i; j < N; j++) row[j] *= decay;
    for (long long t = 0; t < d->filled; t += 4) {
      const double* f[4];
      double a[4];
      for (long long s = 0; s < 4; s++) {
        f[s] = d->filtered + std::min(t + s, d->filled - 1) * N;
        a[s] = t + s < d->filled ? d->weights[t + s] * f[s][i] : 0.0;
      }
      for (long long j = i; j < N; j++) row[j] += a[0] * f[0][j] + a[1] * f[1][j] + a[2] * f[2][j] + a[3] * f[3][j];
    }
    for (long long j = i + 1; j < N; j++) M[j * N + i] = row[j];
  }
}

constexpr double RIDGE = 1e-6;  // of correlations
constexpr int DELAYS = 4;       // worked on at once: one in each entry of a Lane
typedef double Lane __attribute__((vector_size(8 * DELAYS), aligned(8)));

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

// the same for j = i .. m - 1
static void subtract_row(const double* s, const double* X, long long rows, long long m, long long i, double* c) {
  long long j = i;
  for (; j + 4 * DELAYS <= m; j += 4 * DELAYS) subtract_products<4>(s, X, rows, m, i, j, c);
  for (; j + DELAYS <= m; j += DELAYS) subtract_products<1>(s, X, rows, m, i, j, c);
  for (; j < m; j++) {
    c[j] = s[j];
    for (long long k = 0; k < rows; k++) c[j] -= X[k * m + i] * X[k * m + j];
  }
}

static void push(Delay* d, const double* command, long long times) {
  std::memmove(d->commands + times * d->n, d->commands, sizeof(double) * d->held * d->n);
  for (long long k = 0; k < times * d->n; k++) d->commands[k] = command[k % d->n];  // which may be the newest one
  d->held += times;
}

static bool finite(const double* a, long long count) {
  double sum = 0.0;
  for (long long i = 0; i < count; i++) sum += 0.0 * a[i];
  return std::isfinite(sum);
}

extern "C" {

void delay_fold(Delay* d) {
  if (!d->filled) return;
  double weight = 0.0;
  for (long long t = 0; t < d->filled; t++) weight += d->weights[t];
  const double decay = std::pow(d->forgetting, weight);
  bool steady = d->steady;
  for (long long t = 0; t < d->filled; t++) steady = steady && d->block[t * d->size + d->size - 1] == 1.0;
  if (!steady && d->steady)
    for (long long i = 0; i < d->colors; i++) d->variances[i] = 1.0 - d->color[i];
  d->steady = 1;
  for (long long i = 0; i < d->colors; i++) {
    whiten(d, i, steady);
    add_products(d, d->moments + i * d->size * d->size, decay);
    if (!steady && !(std::fabs(d->variances[i] - (1.0 - d->color[i])) < d->near)) d->steady = 0;
  }
  d->count = decay * d->count + weight;
  d->filled = 0;
}

void delay_interrupt(Delay* d) {
  d->held = d->known = 0;
  d->commanded = -INFINITY;
  delay_fold(d);
  restart_whitening(d);
}

void delay_reset(Delay* d) {
  d->filled = d->held = d->known = 0;
  d->count = d->seen = 0.0;
  d->commanded = -INFINITY;
  restart_whitening(d);
}

// the row of `ticks` ticks; see DelayEstimator._sum_row
static void write_row(Delay* d, double* z, long long ticks) {
  const long long n = d->n, first = n * d->lags;
  const double *q = d->before, *qd = d->before + n;
  if (ticks == 1) {
    std::memcpy(z, d->commands, sizeof(double) * first);
    for (long long j = 0; j < n; j++) z[first + j] = d->qd[j] - qd[j];
    std::memcpy(z + first + n, d->before, sizeof(double) * 2 * n);
    z[d->size - 1] = 1.0;
    return;
  }
  const double share = (double)ticks / d->stride, along = 0.5 * (ticks - 1) / ticks;
  for (long long lag = 0; lag < d->lags; lag++)
    for (long long j = 0; j < n; j++) {
      double sum = 0.0;
      for (long long k = 0; k < ticks; k++) sum += d->commands[(lag * d->stride + k) * n + j];
      z[lag * n + j] = sum / d->stride;
    }
  for (long long j = 0; j < n; j++) {
    z[first + j] = d->qd[j] - qd[j];
    z[first + n + j] = share * (q[j] + along * (d->q[j] - q[j]));
    z[first + 2 * n + j] = share * (qd[j] + along * (d->qd[j] - qd[j]));
  }
  z[d->size - 1] = share;
}

static double weight_of_row(Delay* d) {
  double level = 0.0;
  for (long long j = 0; j < d->n; j++) {
    const double square = d->qd[j] * d->qd[j];
    if (d->seen == 0.0) d->energy[j] = square;
    level = std::max(level, square / (d->energy[j] + d->rest_level * d->noise[j]));
  }
  const double weight = d->seen < 2.0 * d->fewest ? 1.0 : std::min(1.0, std::max(d->least_weight, level));
  d->seen += weight;
  const double rate = std::max(weight * (1.0 - d->forgetting), std::min(1.0, weight / d->seen));
  for (long long j = 0; j < d->n; j++) d->energy[j] += rate * (d->qd[j] * d->qd[j] - d->energy[j]);
  return weight;
}

static void remember_state(Delay* d) {
  d->stamp_before = d->stamp;
  d->known = 1;
  std::memcpy(d->before, d->q, sizeof(double) * d->n);
  std::memcpy(d->before + d->n, d->qd, sizeof(double) * d->n);
}

static void add_row(Delay* d) {
  if (!d->known) return remember_state(d);
  const double ticks = std::nearbyint((d->stamp - d->stamp_before) / d->dt);
  if (!(ticks >= d->stride)) return;
  if (ticks > d->bridged * d->stride) {
    delay_interrupt(d);
  } else if (d->held >= (d->lags - 1) * d->stride + ticks) {
    double* z = d->block + d->filled * d->size;
    write_row(d, z, (long long)ticks);
    if (finite(z, d->size)) {
      d->weights[d->filled++] = weight_of_row(d);
      if (d->filled == d->block_rows) delay_fold(d);
    } else {
      delay_interrupt(d);
    }
  }
  remember_state(d);
}

// the state q, qd measured at `stamp` and the command applied for it; see DelayEstimator.update
void delay_update(Delay* d) {
  const double passed = (d->stamp - d->commanded) / d->dt;
  const bool near = 0.0 < passed && passed <= d->bridged * d->stride + 0.5;
  const double ticks = near ? std::nearbyint(passed) : 0.0;
  if (!(ticks > 0.0) || std::fabs(passed - ticks) > 0.2) {
    if (d->held) delay_interrupt(d);
  } else if (ticks > 1.0) {
    push(d, d->commands, (long long)ticks - 1);
  }
  if (finite(d->q, d->n) && finite(d->qd, d->n)) add_row(d);
  d->commanded = d->stamp;
  d->held = std::min(d->held, (d->lags + d->bridged) * d->stride);
  push(d, d->command, 1);
}

// C (n L + n, n L + n), the correlations given [q; qd; 1] of the moments S, and the standard deviations (n L + n,).
// Returns 0; 1 where nothing moves or nothing commands; 2 where the moments of [q; qd; 1] have no Cholesky factor.
int delay_given_state(Delay* d, const double* S, double* C, double* scale) {
  const long long n = d->n, first = n * d->lags, m = first + n, N = d->size, states = N - m;
  double *L = d->work, *X = d->work + states * states;  // (states, states), (states, m)
  for (long long i = 0; i < states; i++) {
    const double* row = S + (m + i) * N;
    for (long long j = 0; j <= i; j++) L[i * states + j] = row[m + j];
    L[i * states + i] += 1e-10 * std::max(row[m + i], 1e-12);
    std::memcpy(X + i * m, row, sizeof(double) * m);
  }
  if (!factorize(L, states)) return 2;
  forward(L, states, X, m);
  for (long long i = 0; i < m; i++) subtract_row(S + i * N, X, states, m, i, C + i * m);
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
    for (long long j = i; j < m; j++) c[j] = c[j] / scale[i] / scale[j];
    for (long long j = i + 1; j < m; j++) C[j * m + i] = c[j];
  }
  return 0;
}

// lower Cholesky factor of each of the matrices A (N, N), in place; false where one is not positive definite
static bool factorize_each(Lane* A, long long N) {
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

// A (n, n) and B (n, n) of the delay `at`, every entry DELAYS after the one before
static void write_lane(const Delay* d, const double* C, double at, double* A, double* B) {
  const long long n = d->n, m = n * d->lags + n, whole = std::min((long long)at, d->lags - 2);
  const double a = at - whole, b = 1.0 - a, aa = a * a, ab = a * b, bb = b * b;
  const double *ii = C + whole * n * (m + 1), *ij = ii + n, *jj = ii + n * (m + 1);
  const double *iy = C + whole * n * m + (m - n), *jy = iy + n * m;
  for (long long r = 0; r < n; r++, A += n * DELAYS, B += n * DELAYS) {
    for (long long s = 0; s <= r; s++)
      A[s * DELAYS] = bb * ii[r * m + s] + ab * (ij[r * m + s] + ij[s * m + r]) + aa * jj[r * m + s];
    A[r * DELAYS] += RIDGE;
    for (long long s = 0; s < n; s++) B[s * DELAYS] = b * iy[r * m + s] + a * jy[r * m + s];
  }
}

// log det R(d) at DELAYS delays, less that of the scales; false where a matrix has no Cholesky factor
static bool log_determinants(Delay* d, const double* C, const double* delays, double* values) {
  const long long n = d->n, m = n * d->lags + n;
  const double* y = C + (m - n) * (m + 1);
  Lane *A = reinterpret_cast<Lane*>(d->work), *B = A + n * n, *R = B + n * n;
  for (int lane = 0; lane < DELAYS; lane++)
    write_lane(d, C, delays[lane], d->work + lane, d->work + n * n * DELAYS + lane);
  if (!factorize_each(A, n)) return false;
  for (long long i = 0; i < n; i++)  // B <- L^-1 B
    for (long long s = 0; s < n; s++) {
      Lane x = B[i * n + s];
      for (long long k = 0; k < i; k++) x -= A[i * n + k] * B[k * n + s];
      B[i * n + s] = x / A[i * n + i];
    }
  for (long long r = 0; r < n; r++)
    for (long long s = 0; s <= r; s++) {
      Lane x = Lane{} + (y[r * m + s] + (r == s ? RIDGE : 0.0));
      for (long long k = 0; k < n; k++) x -= B[k * n + r] * B[k * n + s];
      R[r * n + s] = x;
    }
  if (!factorize_each(R, n)) return false;
  Lane product = Lane{} + 1.0;
  for (long long r = 0; r < n; r++) product *= R[r * n + r];  // of a correlation's factor: at least 1e-3 each
  for (int lane = 0; lane < DELAYS; lane++) values[lane] = 2.0 * std::log(product[lane]);
  return true;
}

// log det R(d) at `count` delays, less that of the scales; C as above. Returns how many were computed before a matrix
// had no Cholesky factor.
long long delay_log_determinants(Delay* d, const double* C, const double* delays, double* values, long long count) {
  for (long long c = 0; c < count; c += DELAYS) {
    double at[DELAYS], found[DELAYS];
    for (int lane = 0; lane < DELAYS; lane++) at[lane] = delays[std::min(c + lane, count - 1)];
    if (!log_determinants(d, C, at, found)) return c;
    std::memcpy(values + c, found, sizeof(double) * std::min((long long)DELAYS, count - c));
  }
  return count;
}
}
