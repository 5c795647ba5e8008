// JointMotion of joint_motion.py: same formulas, same order.
#include <cmath>

struct Motion {
  long long n;
  double dt, smooth, keep, fade, follow, moving, still, pushed, held_after, wait, most, least;
  const double *before, *after, *u, *gain, *links;
  double *speed, *direction, *age, *z, *f, *count, *z_mean, *f_mean, *S, *C, *known;
  double *slow, *push, *pushed_by, *still_for, *held, *ever_held, *work;
};

// whether friction holds joint j
static void watch(Motion* p, long long j) {
  if (!(std::fabs(p->speed[j]) < p->still)) {
    p->push[j] = p->pushed_by[j] = p->still_for[j] = p->held[j] = 0.0;
    return;
  }
  const double by = std::fabs(p->push[j]);
  p->still_for[j] += p->dt;
  if (by > p->pushed_by[j]) p->pushed_by[j] = by;
  if (p->still_for[j] >= p->held_after && p->pushed_by[j] > p->pushed) p->held[j] = p->ever_held[j] = 1.0;
}

// the inertia of joint j's rotor
static void learn(Motion* p, long long j) {
  const double speed = p->speed[j], direction = speed > p->moving ? 1.0 : speed < -p->moving ? -1.0 : 0.0;
  p->age[j] = direction != 0.0 && direction == p->direction[j] ? p->age[j] + 1.0 : 0.0;
  p->direction[j] = direction;
  p->S[j] *= p->keep;
  p->C[j] *= p->keep;
  if (p->age[j] < p->wait) {
    p->count[j] = 0.0;
    return;
  }
  if (p->count[j] == 0.0) p->z_mean[j] = p->z[j], p->f_mean[j] = p->f[j];
  p->count[j] = p->count[j] + 1.0 < p->most ? p->count[j] + 1.0 : p->most;
  const double share = 1.0 / p->count[j], dz = p->z[j] - p->z_mean[j], df = p->f[j] - p->f_mean[j];
  p->z_mean[j] += share * dz;
  p->f_mean[j] += share * df;
  p->S[j] += (1.0 - share) * dz * dz;
  p->C[j] += (1.0 - share) * dz * df;
  if (p->S[j] > p->least) p->known[j] = 1.0;
}

extern "C" void motion_take(Motion* p) {
  const long long n = p->n;
  double* z = p->work;
  for (long long j = 0; j < n; j++) z[j] = (p->after[j] - p->before[j]) / p->dt;
  for (long long j = 0; j < n; j++) {
    double by_links = 0.0, push = 0.0;
    for (long long c = 0; c < n; c++) {
      by_links += p->links[j * n + c] * z[c];
      push += p->gain[j * n + c] * (p->u[c] - p->slow[c]);
    }
    p->speed[j] += p->smooth * (p->after[j] - p->speed[j]);
    p->z[j] += p->smooth * (z[j] - p->z[j]);
    p->f[j] += p->smooth * (p->u[j] - by_links - p->f[j]);
    p->push[j] = p->fade * p->push[j] + push;
  }
  for (long long j = 0; j < n; j++) {
    p->slow[j] += p->follow * (p->u[j] - p->slow[j]);
    watch(p, j);
    learn(p, j);
  }
}
