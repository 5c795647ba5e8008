// The history of commands of delay.py: same formulas, same order.
#include <cmath>
#include <cstring>

#include "history.h"

// the entry of the newest command computed from a state not later than `stamp`, a quarter tick allowed; -1 for none
static long long entry(const History* h, double stamp) {
  const double latest = stamp + 0.25 * h->dt;
  for (long long k = 0; k < h->length && h->newest >= 0; k++) {
    const long long i = (h->newest - k + h->length) % h->length;
    if (h->stamps[i] <= latest) return h->stamps[i] != -INFINITY ? i : -1;
  }
  return -1;
}

static const double* computed_at(const History* h, double stamp) {
  const long long i = entry(h, stamp);
  return i < 0 ? h->initial : h->commands + i * h->n;
}

// u_eff of the tick that starts at `stamp`
static void in_effect(const History* h, double stamp, double* u) {
  const double* newer = computed_at(h, stamp - h->whole * h->dt);
  if (h->fraction == 0.0) {
    std::memcpy(u, newer, sizeof(double) * h->n);
    return;
  }
  const double* older = computed_at(h, stamp - (h->whole + 1) * h->dt);
  for (long long j = 0; j < h->n; j++) u[j] = (1.0 - h->fraction) * newer[j] + h->fraction * older[j];
}

// change = F [x; u] + f
static void predict(History* h, const double* u) {
  for (long long i = 0; i < h->nx; i++) {
    const double* row = h->F + i * (h->nx + h->n);
    double sum = h->f[i];
    for (long long c = 0; c < h->nx; c++) sum += row[c] * h->x[c];
    for (long long c = 0; c < h->n; c++) sum += row[h->nx + c] * u[c];
    h->change[i] = sum;
  }
}

extern "C" {

long long history_entry(const History* h) { return entry(h, h->stamp); }

void history_in_effect(History* h) { in_effect(h, h->stamp, h->u); }

// what acted in the tick that started at `stamp`, in the ticks before and after it, and how uncertain its time is
void history_during(History* h) {
  in_effect(h, h->stamp, h->u);
  in_effect(h, h->stamp - h->dt, h->neighbors);
  in_effect(h, h->stamp + h->dt, h->neighbors + h->n);
  const long long i = entry(h, h->stamp - h->whole * h->dt);
  h->std = i < 0 ? 0.0 : h->stds[i];
}

// x from `stamp` on to when the command computed now begins to act
void history_roll_forward(History* h) {
  for (long long tick = 0; tick < h->whole + h->late; tick++) {
    in_effect(h, h->stamp + tick * h->dt, h->u);
    predict(h, h->u);
    std::memcpy(h->x, h->change, sizeof(double) * h->nx);
  }
  if (h->fraction == 0.0) return;
  predict(h, computed_at(h, h->stamp + (h->late - 1) * h->dt));
  for (long long i = 0; i < h->nx; i++) h->x[i] += h->fraction * (h->change[i] - h->x[i]);
}
}
