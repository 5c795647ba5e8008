// The measures of loop_measures.py, in the same order.
#include <cmath>
#include <cstring>

struct Loop {
  long long n, bounded;            // whether commands have limits at which they count as saturated
  long long after, learned, known; // whether a tick came before; whether this tick has a model, and any tick before had
  double dt, share, slow_share, least, noisiness, noisiest, chatter, offset, saturation;
  const double *u, *input_gain, *noise, *expected, *at, *lower, *upper;
  double *u_before, *expected_before, *at_before, *long_run, *c_absolute, *c_mean, *o_absolute, *o_mean;
};

static void begin(long long n, double* absolute, double* mean) {
  for (long long j = 0; j < n; j++) absolute[j] = mean[j] = 0.0;
}

// R(y) with y = a - B b taken in, or y = B b where there is no a
static double to_and_fro(const Loop* p, const double* a, const double* a_before, const double* b, const double* b_before,
                         double* absolute, double* mean) {
  const long long n = p->n;
  double largest = 0.0;
  for (long long j = 0; j < n; j++) {
    double y = 0.0;
    for (long long c = 0; c < n; c++) y += p->input_gain[j * n + c] * (b[c] - b_before[c]);
    if (a) y = a[j] - a_before[j] - y;
    if (!std::isfinite(y)) {
      begin(n, absolute, mean);
      return 0.0;
    }
    absolute[j] += p->share * (std::fabs(y) - absolute[j]);
    mean[j] += p->share * (y - mean[j]);
    const double change = absolute[j] - std::fabs(mean[j]);
    if (change > largest) largest = change;
  }
  return largest;
}

static void compare_noise(Loop* p) {
  double largest = 0.0;
  p->noisiest = 0.0;
  for (long long j = 0; j < p->n; j++) {
    const double std = p->noise[j];
    if (!std::isfinite(std)) continue;
    const double variance = std * std, growth = variance / p->long_run[j];
    p->long_run[j] += p->slow_share * ((p->least > variance ? p->least : variance) - p->long_run[j]);
    if (growth > largest) largest = growth, p->noisiest = std;
  }
  p->noisiness = std::sqrt(largest);
}

extern "C" {

void loop_reset(Loop* p) {
  for (long long j = 0; j < p->n; j++) p->long_run[j] = p->least;
}

void loop_restart(Loop* p) {
  begin(p->n, p->c_absolute, p->c_mean);
  begin(p->n, p->o_absolute, p->o_mean);
  p->after = p->known = 0;
  p->noisiness = p->noisiest = p->chatter = p->offset = p->saturation = 0.0;
}

void loop_update(Loop* p) {
  const long long n = p->n, size = sizeof(double) * n;
  if (p->after && (p->learned || p->known)) {
    p->chatter = to_and_fro(p, nullptr, nullptr, p->u, p->u_before, p->c_absolute, p->c_mean) / p->dt;
    if (p->bounded && p->learned && p->known)
      p->offset =
          to_and_fro(p, p->expected, p->expected_before, p->at, p->at_before, p->o_absolute, p->o_mean) / p->dt;
  }
  p->after = 1;
  std::memcpy(p->u_before, p->u, size);
  if (p->bounded) {
    double full = 0.0;
    for (long long j = 0; j < n; j++)
      if (!(p->lower[j] < p->u[j] && p->u[j] < p->upper[j])) full = 1.0;
    p->saturation += p->share * (full - p->saturation);
  }
  if (!p->learned) return;
  p->known = 1;
  std::memcpy(p->expected_before, p->expected, size);
  std::memcpy(p->at_before, p->at, size);
  compare_noise(p);
}
}
