// The posterior of posterior.py in loops over small row-major matrices: what costs there is the number of calls, not
// of operations. Same formulas, same order; D regressors with the constant last, n outputs.
#include <cmath>

#include "cholesky.h"

struct Posterior {
  long long D, n;
  double forgetting, noise_forgetting, floor, far, bias, count, inflation, nis, weight;
  double *S, *C, *scatter, *noise_prior, *precision, *origin, *center, *W, *L, *regressors, *y, *phi, *error, *whitened,
      *Sigma, *work;
};

// L^-1 b in place; returns its squared length
static double forward(const double* L, long long N, double* b) {
  double length = 0.0;
  for (long long i = 0; i < N; i++) {
    double s = b[i];
    for (long long k = 0; k < i; k++) s -= L[i * N + k] * b[k];
    b[i] = s / L[i * N + i];
    length += b[i] * b[i];
  }
  return length;
}

// the evidence stated about `center` instead of the origin before: S <- T S T^T, C <- T C with T = [[I, -c], [0, 1]]
static void move_origin(Posterior* p) {
  const long long D = p->D, n = p->n;
  const double *last_S = p->S + (D - 1) * D, *last_C = p->C + (D - 1) * n;
  for (long long i = 0; i < D - 1; i++) {
    const double c = p->center[i] - p->origin[i];
    for (long long j = 0; j < D; j++) p->S[i * D + j] -= c * last_S[j];
    for (long long k = 0; k < n; k++) p->C[i * n + k] -= c * last_C[k];
  }
  for (long long i = 0; i < D; i++)
    for (long long j = 0; j < D - 1; j++) p->S[i * D + j] -= (p->center[j] - p->origin[j]) * p->S[i * D + D - 1];
  for (long long i = 0; i < D - 1; i++) p->origin[i] = p->center[i];
}

extern "C" {

// W about `center`: 0, or 1 where the factorization failed even with a little more on the diagonal
int posterior_condition(Posterior* p) {
  const long long D = p->D, n = p->n;
  double *L = p->L, *W = p->W;
  double* c = p->work;  // the center about the origin
  double farthest = 0.0;
  for (long long i = 0; i < D - 1; i++) farthest = std::fmax(farthest, std::fabs(p->center[i] - p->origin[i]));
  if (farthest > p->far) move_origin(p);
  for (long long i = 0; i < D - 1; i++) c[i] = p->center[i] - p->origin[i];
  const double *last_S = p->S + (D - 1) * D, *last_C = p->C + (D - 1) * n;
  for (int attempt = 0; attempt < 2; attempt++) {
    // T S T^T + Lambda with T = [[I, -c], [0, 1]]; only the lower triangle is read
    for (long long i = 0; i < D; i++) {
      const double ci = i < D - 1 ? c[i] : 0.0;
      for (long long j = 0; j <= i; j++) {
        const double cj = j < D - 1 ? c[j] : 0.0;
        L[i * D + j] = p->S[i * D + j] - ci * last_S[j] - cj * (p->S[i * D + D - 1] - ci * last_S[D - 1]);
      }
    }
    double trace = 0.0;
    for (long long i = 0; i < D; i++) trace += (L[i * D + i] += p->precision[i]);
    if (attempt) for (long long i = 0; i < D; i++) L[i * D + i] += 1e-9 * trace / D;
    if (factorize(L, D)) break;
    if (attempt) return 1;
  }
  for (long long i = 0; i < D; i++)
    for (long long k = 0; k < n; k++) W[i * n + k] = p->C[i * n + k] - (i < D - 1 ? c[i] * last_C[k] : 0.0);
  for (long long i = 0; i < D; i++) {  // L L^T W = T C, all outputs at once
    double* w = W + i * n;
    for (long long j = 0; j < i; j++) for (long long k = 0; k < n; k++) w[k] -= L[i * D + j] * W[j * n + k];
    for (long long k = 0; k < n; k++) w[k] /= L[i * D + i];
  }
  for (long long i = D - 1; i >= 0; i--) {
    double* w = W + i * n;
    for (long long k = 0; k < n; k++) w[k] /= L[i * D + i];
    for (long long j = 0; j < i; j++) for (long long k = 0; k < n; k++) W[j * n + k] -= L[i * D + j] * w[k];
  }
  return 0;
}

// error, inflation and NIS of (regressors, y), before anything is learned from them
void posterior_predict(Posterior* p) {
  const long long D = p->D, n = p->n;
  double *phi = p->phi, *work = p->work;
  for (long long i = 0; i < D - 1; i++) phi[i] = p->regressors[i] - p->center[i];
  phi[D - 1] = 1.0;
  for (long long k = 0; k < n; k++) p->error[k] = p->y[k];
  for (long long i = 0; i < D; i++) for (long long k = 0; k < n; k++) p->error[k] -= p->W[i * n + k] * phi[i];
  for (long long i = 0; i < D; i++) work[i] = phi[i];
  p->inflation = 1.0 + forward(p->L, D, work);
  for (long long i = 0; i < n * n; i++) work[i] = p->inflation * p->Sigma[i];
  double* r = p->whitened;
  for (long long k = 0; k < n; k++) r[k] = p->error[k];
  p->nis = factorize(work, n) ? forward(work, n, r) : NAN;
}

// the evidence: S <- g S + w r r^T, C <- g C + w r y^T
void posterior_add(Posterior* p) {
  const long long D = p->D, n = p->n;
  double* phi = p->work;  // about the origin
  for (long long i = 0; i < D - 1; i++) phi[i] = p->regressors[i] - p->origin[i];
  phi[D - 1] = p->regressors[D - 1];
  for (long long i = 0; i < D; i++) {
    const double r = p->weight * phi[i];
    for (long long j = 0; j < D; j++) p->S[i * D + j] = p->forgetting * p->S[i * D + j] + r * phi[j];
    for (long long k = 0; k < n; k++) p->C[i * n + k] = p->forgetting * p->C[i * n + k] + r * p->y[k];
  }
}

// the noise: the last predicted error over its inflation, and the past forgotten by as much as the sample weighs
void posterior_add_innovation(Posterior* p) {
  const long long n = p->n;
  const double keep = std::pow(p->noise_forgetting, p->weight);
  for (long long i = 0; i < n; i++)
    for (long long j = 0; j < n; j++)
      p->scatter[i * n + j] = keep * p->scatter[i * n + j] + p->weight * p->error[i] / (p->inflation * p->bias) * p->error[j];
  p->count = keep * p->count + p->weight;
  for (long long i = 0; i < n * n; i++) p->Sigma[i] = p->scatter[i] / p->count + p->floor * p->noise_prior[i];
}
}
