// The estimator of delay_estimation.py, with the filter of whitening.py, in loops over small row-major matrices. Same
// formulas, same names; of symmetric matrices the upper triangle is computed and mirrored.
#include "delay_estimate.h"

static void restart_whitening(Delay* d) {
  for (long long i = 0; i < d->colors * d->size; i++) d->carried[i] = 0.0;
  for (long long i = 0; i < d->colors; i++) d->variances[i] = d->color[i] + (1.0 - d->color[i]) * (1.0 - d->color[i]);
  d->steady = 0;
}

constexpr int ROWS = 8;  // of the block, added at once

static long long columns_of(const Delay* d) { return (d->size + DELAYS - 1) / DELAYS; }

// Entry j of the whitened row t: ROWS rows lie together, and of those each DELAYS entries of every row, so that one
// pointer leads through all of them. What lies beyond the end of a row is zero.
static double* filtered_at(const Delay* d, long long t, long long j) {
  return d->filtered + ((t / ROWS * columns_of(d) + j / DELAYS) * ROWS + t % ROWS) * DELAYS + j % DELAYS;
}

// the rows of the block, whitened for one color, in d->filtered
static void whiten(Delay* d, long long i, bool steady) {
  const double g = d->color[i], noise = (1.0 - g) * (1.0 - g);
  const long long whole = d->size / DELAYS * DELAYS;
  double* carried = d->carried + i * d->size;
  for (long long t = 0; t < d->filled; t++) {
    const double* row = d->block + t * d->size;
    double scale = 1.0, keep = g;
    if (!steady) {
      const double p = d->variances[i] + (row[d->size - 1] - 1.0) * noise, f = p + g;
      d->variances[i] = p * g / f + noise;
      scale = 1.0 / std::sqrt(f);
      keep = g / f;
    }
    double* out = filtered_at(d, t, 0);
    for (long long j = 0; j < whole; j += DELAYS, out += ROWS * DELAYS) {
      Lane* kept = reinterpret_cast<Lane*>(carried + j);
      const Lane innovation = *reinterpret_cast<const Lane*>(row + j) + *kept;
      *reinterpret_cast<Lane*>(out) = scale * innovation;
      *kept = keep * innovation;
    }
    for (long long j = whole; j < d->size; j++, out++) {
      const double innovation = row[j] + carried[j];
      *out = scale * innovation;
      carried[j] = keep * innovation;
    }
  }
}

// decay m + sum_t a_t f_t for DELAYS entries of ROWS whitened rows
static Lane add_rows(Lane m, double decay, const Lane* a, const double* filtered) {
  const Lane* f = reinterpret_cast<const Lane*>(filtered);
  Lane sum = decay * m;
  for (int t = 0; t < ROWS; t++) sum += a[t] * f[t];
  return sum;
}

// M <- decay M + sum_t w_t f_t f_t^T in the upper triangle; rows beyond the filled ones weigh nothing
static void add_products(Delay* d, double* M, double decay) {
  const long long N = d->size, whole = N / DELAYS * DELAYS;
  for (long long t = 0; t < d->filled; t += ROWS, decay = 1.0)
    for (long long i = 0; i < N; i++) {
      Lane a[ROWS];
      const double* own = filtered_at(d, t, i);
      for (int s = 0; s < ROWS; s++) a[s] = Lane{} + (t + s < d->filled ? d->weights[t + s] * own[s * DELAYS] : 0.0);
      long long j = i / DELAYS * DELAYS;
      const double* f = filtered_at(d, t, j);
      for (; j < whole; j += DELAYS, f += ROWS * DELAYS) {
        Lane* m = reinterpret_cast<Lane*>(M + i * N + j);
        *m = add_rows(*m, decay, a, f);
      }
      if (j == N) continue;
      double rest[DELAYS] = {};
      std::memcpy(rest, M + i * N + j, sizeof(double) * (N - j));
      const Lane sum = add_rows(*reinterpret_cast<const Lane*>(rest), decay, a, f);
      std::memcpy(M + i * N + j, &sum, sizeof(double) * (N - j));
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

// see each_log_determinant
long long delay_log_determinants(Delay* d, const double* C, const double* delays, double* values, long long count) {
  return each_log_determinant(d, C, delays, values, count);
}

// The lower triangle of the moments, which the others do without.
void delay_complete(Delay* d) {
  const long long N = d->size;
  for (double* M = d->moments; M < d->moments + d->colors * N * N; M += N * N)
    for (long long i = 0; i < N; i++)
      for (long long j = 0; j < i; j++) M[i * N + j] = M[j * N + i];
}

// see given_state: all of C
int delay_given_state(Delay* d, const double* S, double* C, double* scale) {
  const long long m = d->n * (d->lags + 1);
  const int found = given_state(d, S, C, scale, false);
  for (long long i = 0; i < m; i++)
    for (long long j = 0; j < i; j++) C[i * m + j] = C[j * m + i];
  return found;
}

// Begin an estimate: of the moments as they are now.
void delay_begin(Delay* d) {
  const double inverse = 1.0 / d->count;
  const long long N = d->size;
  for (long long row = 0; row < d->colors * N; row++) {
    const double* moments = d->moments + row * N;
    double* __restrict snapshot = d->snapshot + row * N;
    for (long long j = row % N; j < N; j++) snapshot[j] = inverse * moments[j];
  }
  d->of_snapshot = d->count;
  d->least = INFINITY;
  d->best = 1;
}

// log det R of one color at the coarse delays, every half row; the best color so far is kept. Returns what given_state
// does; 2 also where a matrix had no Cholesky factor.
int delay_color(Delay* d, long long color) {
  const long long m = d->n * (d->lags + 1), count = 2 * d->lags - 1, other = 1 - d->best;
  double *C = d->correlations + other * m * m, *scale = d->scales + other * m, *values = d->coarse + other * count;
  const int found = given_state(d, d->snapshot + color * d->size * d->size, C, scale, true);
  if (found) return found;
  for (long long i = 0; i < count; i++) d->grid[i] = 0.5 * i;
  if (each_log_determinant(d, C, d->grid, values, count) < count) return 2;
  double sum = 0.0, least = INFINITY;
  for (long long j = m - d->n; j < m; j++) sum += std::log(scale[j]);
  for (long long i = 0; i < count; i++) least = std::min(least, values[i] += 2.0 * sum);
  if (!color || least < d->least) d->least = least, d->best = other;
  return 0;
}

// End an estimate: mean [rows], std, inside and explained; see DelayEstimator._posterior. 2 where a matrix had no
// Cholesky factor.
int delay_finish(Delay* d) {
  const long long n = d->n, m = n * (d->lags + 1), count = write_grid(d);
  double none, total = 0.0, mean = 0.0, square = 0.0, inside = 0.0;
  if (!count || !without_commands(d, &none)) return 2;
  const double* scale = d->scales + d->best * m + m - n;
  for (long long j = 0; j < n; j++) d->noise[j] = scale[j] * scale[j];
  const double left = d->of_snapshot - (3 * n + 1), *grid = d->grid;
  const double least = *std::min_element(d->values, d->values + count);
  d->explained = 1.0 - (left + n) / left * std::exp((least - none) / n);
  double* weight = d->values;
  for (long long i = 0; i < count; i++) {
    const double span = i == 0           ? grid[1] - grid[0]
                        : i == count - 1 ? grid[i] - grid[i - 1]
                                         : 0.5 * (grid[i + 1] - grid[i - 1]);
    weight[i] = span * std::exp(-0.25 * left * (weight[i] - least));
    total += weight[i];
  }
  for (long long i = 0; i < count; i++) mean += (weight[i] /= total) * grid[i];
  for (long long i = 0; i < count; i++) {
    const double away = grid[i] - mean;
    square += weight[i] * away * away;
    if (std::fabs(away) <= 0.25 + 1e-9) inside += weight[i];
  }
  d->mean = mean;
  d->std = std::sqrt(std::max(square, 0.25 / (FINE * FINE)));
  d->inside = inside;
  return 0;
}
}
