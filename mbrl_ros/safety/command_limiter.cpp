// The limits of command_limiter.py in one loop: same formulas, same order, so that the results are the same to the last
// bit (compiled without fused multiplications and additions).
#include <cmath>

struct Limiter {
  long long n, interface, with_near;  // 0 effort, 1 velocity, 2 position; whether `near` holds
  double dt, band_rounding, share, slower;
  const double *lower, *upper, *largest_step, *saturated_below, *saturated_above, *position_upper, *minus_position_lower,
      *stopping, *fastest, *band, *acceleration, *slowing, *braking;
  const double *q, *qd, *u, *near;
  double *previous, *last_step, *fraction, *guarded, *limited;
};

enum { EFFORT, VELOCITY, POSITION };
enum { LIMIT = 2, RATE = 4, SPEED = 8 };  // as in Reason

static double larger(double a, double b) { return a >= b || a != a ? a : b; }
static double smaller(double a, double b) { return a <= b || a != a ? a : b; }
static double within(double u, double lower, double upper) { return smaller(larger(u, lower), upper); }

// CommandLimiter.slow_down_to
static void slow_down(Limiter* p) {
  for (long long i = 0; i < p->n; i++) {
    if (p->slower >= 1.0) {
      p->fraction[i] = 1.0;
      continue;
    }
    const double last = p->interface == VELOCITY ? p->previous[i] : p->last_step[i] / p->dt;
    const double speed = p->interface == EFFORT ? p->qd[i] : last;
    const double slower = smaller(p->fraction[i], (std::fabs(speed) - p->share * p->slowing[i]) / p->fastest[i]);
    p->fraction[i] = larger(p->slower, slower);
  }
}

// CommandLimiter.guarded with the speeds of `allowed_speed`; returns whether it changed the command
static bool guard(Limiter* p) {
  bool changed = false, known = true;
  const double period = p->share * p->dt;
  for (long long i = 0; i < p->n; i++) {
    const double q = p->q[i], u = p->u[i], before = p->previous[i], most_speed = p->fraction[i] * p->fastest[i];
    const double up = smaller(most_speed, std::sqrt(p->stopping[i] * larger(p->position_upper[i] - q, 0.0)));
    const double down = smaller(most_speed, std::sqrt(p->stopping[i] * larger(p->minus_position_lower[i] + q, 0.0)));
    double& guarded = p->guarded[i];
    if (p->interface == EFFORT) {
      const double upward = (p->qd[i] - up) / p->band[i] + 1.0, downward = (-p->qd[i] - down) / p->band[i] + 1.0;
      changed = changed || !(upward <= 0.0) || !(downward <= 0.0);
      guarded = u + p->braking[i] * (within(downward, 0.0, 1.0) - within(upward, 0.0, 1.0));
      continue;
    }
    if (p->interface == VELOCITY) {
      const double most = p->acceleration[i] * period;
      guarded = within(within(u, before - most, before + most), -down, up);
    } else {
      const double most = p->acceleration[i] * period * p->dt, last = p->share * p->last_step[i];
      guarded = before + within(within(u - before, last - most, last + most), -down * period, up * period);
    }
    const double difference = std::fabs(guarded - u);
    known = known && difference == difference;
    changed = changed || difference > p->band_rounding;
  }
  return changed && known;
}

extern "C" {

// whether a joint is outside its position limits (1), whether the last command of one is at its limit (2)
int limiter_watch(const Limiter* p) {
  int found = 0;
  for (long long i = 0; i < p->n; i++) {
    if (p->position_upper[i] - p->q[i] < 0.0 || p->minus_position_lower[i] + p->q[i] < 0.0) found |= 1;
    if (p->previous[i] >= p->saturated_above[i] || p->previous[i] <= p->saturated_below[i]) found |= 2;
  }
  return found;
}

// CommandLimiter.limit: `previous`, `last_step` and `fraction` after this command; returns Reason flags
int limiter_limit(Limiter* p) {
  slow_down(p);
  int reasons = guard(p) ? SPEED : 0;
  if (!reasons)
    for (long long i = 0; i < p->n; i++) p->guarded[i] = p->u[i];
  if (p->with_near) {
    reasons = SPEED;
    for (long long i = 0; i < p->n; i++)
      p->guarded[i] = within(p->guarded[i], p->q[i] - p->near[i], p->q[i] + p->near[i]);
  }
  bool finite = true, changed = false, outside = false;
  for (long long i = 0; i < p->n; i++) {
    const double step = p->share * p->largest_step[i], u = p->guarded[i];
    p->limited[i] =
        within(u, larger(p->lower[i], p->previous[i] - step), smaller(p->upper[i], p->previous[i] + step));
    finite = finite && std::isfinite(p->limited[i]);
    outside = outside || u < p->lower[i] || u > p->upper[i];
  }
  for (long long i = 0; i < p->n; i++) {
    if (!finite) p->limited[i] = p->previous[i];
    changed = changed || p->limited[i] != p->guarded[i];
    p->last_step[i] = (p->limited[i] - p->previous[i]) / p->share;
    p->previous[i] = p->limited[i];
  }
  return changed ? reasons | (outside ? LIMIT : RATE) : reasons;
}
}
