#include <cmath>

// lower Cholesky factor of the row-major A (N, N), in place; false where A is not positive definite
static bool factorize(double* A, long long N) {
  for (long long j = 0; j < N; j++) {
    double* row = A + j * N;
    for (long long i = 0; i < j; i++) {
      const double* other = A + i * N;
      double s = row[i];
      for (long long k = 0; k < i; k++) s -= row[k] * other[k];
      row[i] = s / other[i];
    }
    double d = row[j];
    for (long long k = 0; k < j; k++) d -= row[k] * row[k];
    if (!(d > 0.0)) return false;
    row[j] = std::sqrt(d);
  }
  return true;
}
