// The formulas of local_model.py and state_equations.py in loops over small row-major matrices.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "local_model.h"

// adds what is learned to the rows of qd' and q' of stage t
static void joints(const Model* p, long long t) {
  const long long n = p->n, nx = 2 * (n + p->m), nz = nx + n, D = p->regressors;
  const double *J = p->jacobian + t * n * 3 * n, *z = p->Z + t * 3 * n, *last = p->W + (D - 1) * n;
  double *F = p->F + t * nx * nz, *f = p->f + t * nx;
  for (long long i = 0; i < n; i++, J += 3 * n) {
    double *row = F + (n + i) * nz, *q = F + i * nz;  // of qd' and of q'
    double offset = p->mean[t * n + i] + last[i], expected = offset;
    for (long long c = 0; c < 3 * n; c++) offset -= J[c] * z[c];
    for (long long c = 0; c < 2 * n; c++) row[c] += J[c];
    for (long long c = 0; c < n; c++) row[nx + c] = J[2 * n + c];
    if (!p->offset_only) {
      for (long long c = 0; c < 3 * n; c++) offset -= p->W[c * n + i] * p->center[c];
      for (long long c = 0; c < 2 * n; c++) row[c] += p->W[c * n + i];
      for (long long c = 0; c < n; c++) {
        const double by_command = p->W[(2 * n + c) * n + i] / p->u_scale[c];
        row[nx + c] += by_command;
        if (p->servo >= 0) row[p->servo + c] -= by_command;
      }
    }
    for (long long c = 0; c < nz; c++) q[c] += p->step[i] * row[c];
    f[n + i] = offset;
    f[i] = p->step[i] * offset;
    if (t) continue;
    std::memcpy(p->gain + i * n, row + nx, sizeof(double) * n);
    if (!p->linear)
      for (long long c = 0; c < 3 * n; c++) expected += J[c] * (p->now[c] - z[c]);
    p->expected[i] = expected;
  }
}

// the rows of sd' = G qd' and of s' of stage t
static void features(const Model* p, long long t) {
  const long long n = p->n, m = p->m, nx = 2 * (n + m), nz = nx + n;
  double *F = p->F + t * nx * nz, *f = p->f + t * nx;
  for (long long a = 0; a < m; a++) {
    double *sd = F + (2 * n + m + a) * nz, *s = F + (2 * n + a) * nz, offset = 0.0;
    for (long long c = 0; c < nz; c++) sd[c] = 0.0;
    for (long long i = 0; i < n; i++) {
      const double g = p->G[a * n + i], *row = F + (n + i) * nz;
      for (long long c = 0; c < nz; c++) sd[c] += g * row[c];
      offset += g * f[n + i];
    }
    for (long long c = 0; c < nz; c++) s[c] += p->half * sd[c];
    f[2 * n + m + a] = offset;
    f[2 * n + a] = p->half * offset;
  }
}

static void covariance(const Model* p) {
  const long long n = p->n, m = p->m, nx = 2 * (n + m);
  for (long long i = 0; i < n; i++)
    for (long long j = 0; j < n; j++) {
      const double e = p->noise[i * n + j];
      p->Sigma[(n + i) * nx + n + j] = e;
      p->Sigma[i * nx + n + j] = p->step[i] * e;
      p->Sigma[(n + j) * nx + i] = p->step[i] * e;
      p->Sigma[i * nx + j] = p->step[i] * p->step[j] * e;
    }
  for (long long a = 0; a < m; a++)
    for (long long b = 0; b < m; b++) {
      double sum = 0.0;
      for (long long i = 0; i < n; i++)
        for (long long j = 0; j < n; j++) sum += p->G[a * n + i] * p->noise[i * n + j] * p->G[b * n + j];
      p->Sigma[(2 * n + m + a) * nx + 2 * n + m + b] = sum;
    }
}

// [q; qd; v / u_scale; 1] of `now`; its last entry is kept where it is
static void write_regressors(const Model* p, double* phi) {
  const long long n = p->n;
  if (p->offset_only) return;
  std::memcpy(phi, p->now, sizeof(double) * 2 * n);
  for (long long c = 0; c < n; c++)
    phi[2 * n + c] = (p->now[2 * n + c] - (p->servo < 0 ? 0.0 : p->now[p->servo + c])) / p->u_scale[c];
}

// delta of a linear prior at `now`, its slope being that of `slope`
static void write_mean(const Model* p, double* mean) {
  const long long n = p->n;
  for (long long i = 0; i < n; i++) {
    mean[i] = p->offset[i];
    for (long long c = 0; c < 3 * n; c++) mean[i] += p->slope[i * 3 * n + c] * p->now[c];
  }
}

static double median_variance(const Model* p) {
  const long long n = p->n;
  double* sorted = p->variances;
  for (long long i = 0; i < n; i++) {
    long long k = i;
    for (; k > 0 && sorted[k - 1] > p->noise[i * (n + 1)]; k--) sorted[k] = sorted[k - 1];
    sorted[k] = p->noise[i * (n + 1)];
  }
  return sorted[n / 2];
}

extern "C" {

void model_combine(Model* p) {
  const long long nx = 2 * (p->n + p->m), size = nx * (nx + p->n);
  for (long long t = 0; t < p->stages; t++) {
    std::memcpy(p->F + t * size, p->known_F, sizeof(double) * size);
    joints(p, t);
    features(p, t);
  }
  covariance(p);
}

// rho of `neighbors` (2, n) about the command at the end of `now`, with the input gain in `gain`
void model_timing_noise(Model* p) {
  const long long n = p->n;
  const double* u = p->now + 2 * n;
  double largest = -INFINITY;
  for (long long i = 0; i < n; i++) {
    double before = 0.0, after = 0.0;
    for (long long c = 0; c < n; c++) {
      before += p->gain[i * n + c] * (p->neighbors[c] - u[c]);
      after += p->gain[i * n + c] * (p->neighbors[n + c] - u[c]);
    }
    const double share = 0.5 * (before * before + after * after) / p->noise[i * (n + 1)];
    if (largest == largest && !(share <= largest)) largest = share;  // NaN stays
  }
  p->rho = p->scale * largest;
}
// LocalModel.compare with a linear prior: what was to be learned in the period that began at `now` and ended with the
// velocities `after`
void model_compare(Model* p) {
  Posterior* posterior = p->posterior;
  const long long n = p->n, D = p->regressors;
  double *y = posterior->y, sum = 0.0;
  write_mean(p, y);
  for (long long i = 0; i < n; i++) y[i] = p->after[i] - p->now[n + i] - y[i];
  write_regressors(p, posterior->regressors);
  posterior->regressors[D - 1] = 1.0;
  p->rho = 0.0;
  if (p->timed) model_timing_noise(p);
  posterior->rho = p->rho;
  posterior_predict(posterior);
  p->nis = posterior->nis;
  double* root = p->variances;
  for (long long i = 0; i < n; i++) root[i] = std::sqrt(posterior->inflation[i] + p->rho);
  for (long long i = 0; i < n; i++)
    for (long long j = 0; j < n; j++) p->covariance[i * n + j] = root[i] * root[j] * p->noise[i * n + j];
  for (long long i = 0; i < D; i++) sum += posterior->regressors[i];
  for (long long i = 0; i < n; i++) sum += y[i];
  p->finite = std::isfinite(sum + p->rho);
}

// LocalModel.learn, of what was compared last
void model_learn(Model* p) {
  Posterior* posterior = p->posterior;
  const double believed = p->noise_std * p->noise_std, median = median_variance(p) / believed;
  posterior_add(posterior);
  for (long long k = 0; k < p->n; k++) {
    const double seen = std::max(median, p->noise[k * (p->n + 1)] / believed / p->uneven);
    const double strength = std::min(std::max(seen, p->least_noise), p->most_noise) * p->share;
    for (long long i = 0; i < p->regressors; i++)
      posterior->precision[k * p->regressors + i] = p->belief[i] * strength;
  }
  posterior_add_innovation(posterior);
}

// LocalModel.about with a linear prior: the dynamics about `now`, by what was learned; returns whether that has failed
int model_about(Model* p) {
  int failed = 0;
  if (!p->kept) {
    write_regressors(p, p->posterior->center);
    failed = posterior_condition(p->posterior);
  }
  if (failed) return failed;
  Model about = *p;
  about.stages = about.linear = 1;
  about.jacobian = p->slope;
  about.Z = p->now;
  write_mean(p, about.mean);
  model_combine(&about);
  return 0;
}
}
