// Limits of states by a primal-dual interior point: with z the distance to a limit in half ranges, a limit costs mu b(z),
//     b = -ln z  for z > knee,   else the straight line with the same value and slope at the knee,
// and infinitely much beyond the limit (`wall`) once the trajectory keeps all of them. See barrier.py, the specification.
#pragma once
#include "tick.h"

constexpr double COARSE = 1e-2, SHARPEN = 0.1, SPREAD = 100.0, LEAST_SCALE = 1e-12;

struct Limit {  // one entry of the table: state i, side +1 upper or -1 lower
  int i;
  double side, bound, per_unit;
  Limit(const Tick& tick, int n)
      : i(LIMIT[n][0]), side(LIMIT[n][1]), bound(side > 0 ? tick.x_upper[i] : tick.x_lower[i]),
        per_unit(1.0 / tick.half_range[i]) {}
  double distance(double x) const { return side * (bound - x) * per_unit; }
};
// body(t, n, limit) for every stage but the first, which is given, and every limit.
template <class Body> static inline void each_limit(const Tick& tick, Body body) {
  for (long long t = 1; t <= tick.horizon; t++)
    for (int n = 0; n < N_LIMIT; n++) body(t, n, Limit(tick, n));
}

static inline void add_limits(const Tick& tick, const Lane* x, Lane& merit) {
  for (int n = 0; n < N_LIMIT; n++) {
    const Limit limit(tick, n);
    const vec z = limit.side * limit.per_unit * (limit.bound - x[limit.i].v), knee = Lane(tick.knee).v;
    const vec inside = z > knee ? z : knee, line = z / knee - 1.0;
    merit.v += tick.barrier * ((z > knee ? Lane(0.0).v : -line) - log(Lane(inside)).v);
    merit.v += z > 0.0 ? Lane(0.0).v : Lane(tick.wall).v;
  }
}
template <class Value> static inline void add_limits(const Tick& tick, long long t, const double* x, Value& V, double* s) {
  for (int n = 0; n < N_LIMIT; n++) {
    const Limit limit(tick, n);
    const double z = limit.distance(x[limit.i]), force = tick.barrier / std::fmax(z, tick.knee);
    const double lambda = z > tick.knee ? tick.multipliers[t * N_LIMIT + n] : force;
    s[limit.i] += limit.side * limit.per_unit * force;
    V[limit.i][limit.i] += limit.per_unit * limit.per_unit * lambda / std::fmax(std::fabs(z), tick.knee);
  }
}
static double limits_cost(const Tick& tick, const double* X) {
  double sum = 0.0;
  each_limit(tick, [&](long long t, int, Limit limit) {
    const double z = limit.distance(X[t * NX + limit.i]);
    sum += tick.barrier * (z > tick.knee ? -std::log(z) : -std::log(tick.knee) - (z / tick.knee - 1.0));
    if (!(z > 0.0)) sum += tick.wall;
  });
  return sum;
}

static void weigh_limits(Tick& tick, double weight) {
  tick.barrier = weight;
  tick.knee = weight / (tick.limit_penalty * tick.scale);
}
static double near_centre(double lambda, double centre) {
  return std::fmin(std::fmax(lambda, centre / SPREAD), centre * SPREAD);
}
static void begin_limits(Tick& tick, const double* X) {  // the weight follows the cost
  if (!N_LIMIT) return;
  tick.scale = std::fmax(std::fabs(tick.cost), LEAST_SCALE);
  const double least = tick.final_precision * tick.scale, most = COARSE * tick.scale;
  weigh_limits(tick, tick.barrier > 0.0 ? std::fmin(std::fmax(tick.barrier, least), most) : most);
  each_limit(tick, [&](long long t, int n, Limit limit) {
    const double centre = tick.barrier / std::fmax(limit.distance(X[t * NX + limit.i]), tick.knee);
    double& lambda = tick.multipliers[t * N_LIMIT + n];
    lambda = near_centre(lambda > 0.0 ? lambda : centre, centre);
  });
}
// Whether the weight is to become smaller, since no more than this decrease is predicted.
static bool limits_settled(const Tick& tick, double decrease, double tolerance) {
  return N_LIMIT && tick.barrier > tick.final_precision * tick.scale && decrease <= std::fmax(SHARPEN * tick.barrier, tolerance);
}
static void sharpen(Tick& tick) {
  tick.scale = std::fmax(std::fabs(tick.cost), LEAST_SCALE);
  weigh_limits(tick, std::fmax(0.1 * tick.barrier, tick.final_precision * tick.scale));
}
static void follow_step(Tick& tick, const double* X, const double* X_new) {  // with the multipliers
  bool keeps = true;
  each_limit(tick, [&](long long t, int n, Limit limit) {
    const double new_z = limit.distance(X_new[t * NX + limit.i]);
    const double z = std::fmax(limit.distance(X[t * NX + limit.i]), tick.knee);
    double& lambda = tick.multipliers[t * N_LIMIT + n];
    lambda = near_centre((tick.barrier - lambda * (new_z - z)) / z, tick.barrier / std::fmax(new_z, tick.knee));
    keeps = keeps && new_z > 0.0;
  });
  if (keeps) tick.wall = INFINITY;
}
