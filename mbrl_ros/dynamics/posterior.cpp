// The posterior of posterior.py in loops over small row-major matrices: what costs there is the number of calls, not
// of operations. Same formulas, sums in the same order; D regressors with the constant last, n outputs. Of the rows of a
// factor and of W several entries are worked on at once; what lies beyond the end of a row is worked on and not used.
#include "posterior.h"

#include <cmath>
#include <cstring>

constexpr long long LANE = 4;  // entries of a row that are worked on at once
typedef double Lane __attribute__((vector_size(8 * LANE)));

static Lane load(const double* a) {
  Lane lane;
  std::memcpy(&lane, a, sizeof lane);
  return lane;
}

static void store(double* a, Lane lane) { std::memcpy(a, &lane, sizeof lane); }

static long long padded(long long size) { return (size + LANE - 1) / LANE * LANE; }

// L^-1 b in place; returns its squared length
static double forward(const double* __restrict L, long long N, double* __restrict b) {
  double length = 0.0;
  for (long long i = 0; i < N; i++) {
    double s = b[i];
    for (long long k = 0; k < i; k++) s -= L[i * N + k] * b[k];
    b[i] = s / L[i * N + i];
    length += b[i] * b[i];
  }
  return length;
}

// upper factor U, A = U^T U, of the upper triangle of A (N, N) in rows of `row` entries, in place, row by row:
// U_ik = (A_ik - sum_j<i U_ji U_jk) / U_ii; false where A is not positive definite
static bool factorize(double* A, long long N, long long row) {
  for (long long i = 0; i < N; i++) {
    double* own = A + i * row;
    for (long long k = i / LANE * LANE; k < N; k += LANE) {
      Lane sum = load(own + k);
      for (long long j = 0; j < i; j++) sum -= A[j * row + i] * load(A + j * row + k);
      store(own + k, sum);
    }
    if (!(own[i] > 0.0)) return false;
    const double diagonal = std::sqrt(own[i]);
    for (long long k = i + 1; k < N; k++) own[k] /= diagonal;
    own[i] = diagonal;
  }
  return true;
}

// (U^T U)^-1 B in place for B (N, .) in rows of `columns` entries, a multiple of LANE; L (N, N) is U^T
static void solve(const double* U, const double* L, long long N, long long row, double* B, long long columns) {
  for (long long k = 0; k < columns; k += LANE) {
    for (long long i = 0; i < N; i++) {
      Lane sum = load(B + i * columns + k);
      for (long long j = 0; j < i; j++) sum -= L[i * N + j] * load(B + j * columns + k);
      store(B + i * columns + k, sum / L[i * N + i]);
    }
    for (long long i = N - 1; i >= 0; i--) {
      Lane sum = load(B + i * columns + k);
      for (long long j = N - 1; j > i; j--) sum -= U[i * row + j] * load(B + j * columns + k);
      store(B + i * columns + k, sum / U[i * row + i]);
    }
  }
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

// the upper factor of T S T^T + Lambda + share trace(T S T^T) I with T = [[I, -c], [0, 1]], Lambda = diag(precision)
static bool factorize_about(const Posterior* p, const double* precision, double share, double* U, long long row) {
  const long long D = p->D;
  const double *c = p->work, *last = p->S + (D - 1) * D;
  double trace = 0.0;
  for (long long i = 0; i < D; i++) {
    const double *S = p->S + i * D, corner = S[D - 1] - c[i] * last[D - 1];
    double* __restrict own = U + i * row;
    for (long long j = i; j < D; j++) own[j] = S[j] - c[i] * last[j] - c[j] * corner;
    trace += own[i];
    own[i] += precision[i];
  }
  for (long long i = 0; share > 0.0 && i < D; i++) U[i * row + i] += share * trace;
  return factorize(U, D, row);
}

// the columns of B (D, .) that belong to the outputs of one owner, by its factor U
static void solve_for(Posterior* p, long long owner, const double* U, long long row, double* B) {
  const long long D = p->D, n = p->n, columns = padded(n);
  double* L = p->L + owner * D * D;
  for (long long i = 0; i < D; i++)
    for (long long j = 0; j <= i; j++) L[i * D + j] = U[j * row + i];
  const double* last = p->C + (D - 1) * n;
  for (long long i = 0; i < D; i++)
    for (long long k = 0; k < n; k++) B[i * columns + k] = p->C[i * n + k] - p->work[i] * last[k];
  solve(U, L, D, row, B, columns);
  for (long long k = 0; k < n; k++)
    if (p->owner[k] == owner)
      for (long long i = 0; i < D; i++) p->W[i * n + k] = B[i * columns + k];
}

static void find_owners(Posterior* p) {
  for (long long k = 0; k < p->n; k++) {
    long long first = 0;
    const size_t size = sizeof(double) * p->D;
    while (first < k && std::memcmp(p->precision + first * p->D, p->precision + k * p->D, size)) first++;
    p->owner[k] = first;
  }
}

extern "C" {

// how many numbers `work` needs room for
long long posterior_work_size(long long D, long long n) { return D * (1 + padded(D) + padded(n)) + n * padded(n); }

// W about `center`: 0, or 1 where the factorization failed even with a little more on the diagonal
int posterior_condition(Posterior* p) {
  const long long D = p->D, row = padded(D);
  double *c = p->work, *U = c + D, *B = U + D * row;  // the center about the origin; scratch
  double farthest = 0.0;
  for (long long i = 0; i < D - 1; i++) farthest = std::fmax(farthest, std::fabs(p->center[i] - p->origin[i]));
  if (farthest > p->far) move_origin(p);
  for (long long i = 0; i < D - 1; i++) c[i] = p->center[i] - p->origin[i];
  c[D - 1] = 0.0;
  find_owners(p);
  for (int attempt = 0; attempt < 2; attempt++) {  // why a second one: see posterior.py
    long long k = 0;
    for (; k < p->n; k++) {
      if (p->owner[k] != k) continue;
      if (!factorize_about(p, p->precision + k * D, attempt * 1e-9 / D, U, row)) break;
      solve_for(p, k, U, row, B);
    }
    if (k == p->n) return 0;
  }
  return 1;
}

// error, inflation and NIS of (regressors, y), before anything is learned from them
void posterior_predict(Posterior* p) {
  const long long D = p->D, n = p->n, row = padded(n);
  double *phi = p->phi, *work = p->work, *factor = p->work + D, *r = p->whitened;
  for (long long i = 0; i < D - 1; i++) phi[i] = p->regressors[i] - p->center[i];
  phi[D - 1] = 1.0;
  for (long long k = 0; k < n; k++) p->error[k] = p->y[k];
  for (long long i = 0; i < D; i++) for (long long k = 0; k < n; k++) p->error[k] -= p->W[i * n + k] * phi[i];
  for (long long k = 0; k < n; k++) {
    if (p->owner[k] == k) {
      for (long long i = 0; i < D; i++) work[i] = phi[i];
      p->inflation[k] = 1.0 + forward(p->L + k * D * D, D, work);
    } else {
      p->inflation[k] = p->inflation[p->owner[k]];
    }
    r[k] = p->error[k] / std::sqrt(p->inflation[k] + p->rho);
  }
  for (long long i = 0; i < n; i++)
    for (long long j = i; j < n; j++) factor[i * row + j] = p->Sigma[i * n + j];
  p->nis = NAN;
  if (!factorize(factor, n, row)) return;
  double length = 0.0;
  for (long long i = 0; i < n; i++) {  // the error whitened by the factor's transpose
    for (long long j = 0; j < i; j++) r[i] -= factor[j * row + i] * r[j];
    r[i] /= factor[i * row + i];
    length += r[i] * r[i];
  }
  p->nis = length;
}

// the evidence: S <- g S + w r r^T, C <- g C + w r y^T
void posterior_add(Posterior* p) {
  const long long D = p->D, n = p->n;
  const double weight = p->weight, forgetting = p->forgetting;
  double* __restrict phi = p->work;  // about the origin
  for (long long i = 0; i < D - 1; i++) phi[i] = p->regressors[i] - p->origin[i];
  phi[D - 1] = p->regressors[D - 1];
  for (long long i = 0; i < D; i++) {
    const double r = weight * phi[i];
    double *__restrict S = p->S + i * D, *__restrict C = p->C + i * n;
    for (long long j = 0; j < D; j++) S[j] = forgetting * S[j] + r * phi[j];
    for (long long k = 0; k < n; k++) C[k] = forgetting * C[k] + r * p->y[k];
  }
}

// the noise: the last predicted error over its inflation, and the past forgotten by as much as the sample weighs
void posterior_add_innovation(Posterior* p) {
  const long long n = p->n;
  const double keep = std::pow(p->noise_forgetting, p->weight);
  double* __restrict r = p->work;
  for (long long i = 0; i < n; i++) r[i] = p->error[i] / std::sqrt(p->inflation[i]);
  for (long long i = 0; i < n; i++) {
    const double e = p->weight / p->bias * r[i];
    double* __restrict scatter = p->scatter + i * n;
    for (long long j = 0; j < n; j++) scatter[j] = keep * scatter[j] + e * r[j];
  }
  const double count = *p->count = keep * *p->count + p->weight, floor = p->floor;
  *p->squares = keep * keep * *p->squares + p->weight * p->weight;
  double* __restrict Sigma = p->Sigma;
  for (long long i = 0; i < n * n; i++) Sigma[i] = p->scatter[i] / count + floor * p->noise_prior[i];
}
}
