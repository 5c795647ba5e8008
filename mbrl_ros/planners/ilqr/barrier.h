// Limits of states by a relaxed logarithmic barrier (Hauser & Saccon 2006; Feller & Ebenbauer 2017). With z the distance
// to a limit in half ranges, delta the precision and P the penalty, a limit costs P delta b(z),
//     b = -ln z  for z > delta,   else the parabola with the same value, slope and curvature at z = delta.
// A cost pressing with less than P per half range is held inside the limit. delta shrinks from tick to tick to its end.
#pragma once
#include "tick.h"

struct Limit {  // one entry of the table: state i, side +1 upper or -1 lower
  int i;
  double side, bound, per_unit;
  Limit(const Tick& tick, int n)
      : i(LIMIT[n][0]), side(LIMIT[n][1]), bound(side > 0 ? tick.x_upper[i] : tick.x_lower[i]),
        per_unit(1.0 / tick.half_range[i]) {}
  double distance(double x) const { return side * (bound - x) * per_unit; }
};

static inline double barrier(const Tick& tick, double z) {
  const double d = tick.precision, r = z / d - 2.0;
  return tick.limit_penalty * d * (z > d ? -std::log(z) : 0.5 * (r * r - 1.0) - std::log(d));
}
static inline double barrier_slope(const Tick& tick, double z) {
  const double d = tick.precision;
  return tick.limit_penalty * (z > d ? -d / z : z / d - 2.0);
}
static inline double barrier_curvature(const Tick& tick, double z) {
  const double d = tick.precision;
  return tick.limit_penalty * (z > d ? d / (z * z) : 1.0 / d);
}

static inline void add_limits(const Tick& tick, const Lane* x, Lane& merit) {
  const double d = tick.precision;
  for (int n = 0; n < N_LIMIT; n++) {
    const Limit limit(tick, n);
    const vec z = limit.side * limit.per_unit * (limit.bound - x[limit.i].v), r = z / d - 2.0;
    const vec inside = z > d ? z : Lane(d).v, parabola = 0.5 * (r * r - 1.0);
    merit.v += tick.limit_penalty * d * ((z > d ? Lane(0.0).v : parabola) - log(Lane(inside)).v);
  }
}
template <class Value> static inline void add_limits(const Tick& tick, const double* x, Value& V, double* s) {
  for (int n = 0; n < N_LIMIT; n++) {
    const Limit limit(tick, n);
    const double z = limit.distance(x[limit.i]);
    s[limit.i] -= limit.side * limit.per_unit * barrier_slope(tick, z);
    V[limit.i][limit.i] += limit.per_unit * limit.per_unit * barrier_curvature(tick, z);
  }
}
// Sharpen the barrier, once per step; returns what that adds to the merit of X.
static double sharpen(Tick& tick, const double* X) {
  double change = 0.0;
  if (!N_LIMIT || tick.precision <= tick.final_precision) return change;
  for (int after = 0; after < 2; after++) {
    for (long long t = 1; t <= tick.horizon; t++)
      for (int n = 0; n < N_LIMIT; n++) {
        const Limit limit(tick, n);
        change += (after ? 1.0 : -1.0) * barrier(tick, limit.distance(X[t * NX + limit.i]));
      }
    if (!after) tick.precision = std::fmax(0.1 * tick.precision, tick.final_precision);
  }
  return change;
}
