// min 1/2 k^T Q k + q^T k, lower <= k <= upper, by projected Newton (Tassa, Mansard & Todorov 2014, algorithm 1). Q need
// only be positive definite over the commands at none of their bounds; k is then a local minimum, from 0 downhill.
// Vectors over commands fill whole SIMD vectors; their last entries are 0, as are the last columns of Q.
#pragma once
#include "tick.h"

struct BoxQP {
  alignas(64) vec Q[NU][UB], q[UB], lower[UB], upper[UB], k[UB];  // given; k is found
  // The `count` free commands are i[0] < i[1] < ..; over them Q = L D L^T and inverse = 1 / D, all by their numbers.
  int count, i[NU];
  double L[NU][NU], inverse[NU];

  // Fills k, i, count, L, inverse. False if Q is not positive definite over the free commands.
  bool minimise() {
    alignas(64) vec g[UB], d[UB], Qd[UB];
    alignas(64) double step[NU];
    bool all_free = true;  // so far
    bool on_face = false;  // k minimises over its free commands
    for (int j = 0; j < NU; j++) i[j] = j;
    for (int b = 0; b < UB; b++) clamped[b] = bits{};
    count = NU;
    bool factorized = factorize<true>();
    if (KL_CONSTRAINED && !factorized) return false;  // there Q is the precision of a Gaussian
    if (factorized && inner_minimum(step)) return true;
    begin(factorized, g);
    for (int pass = 0; pass < 20 * NU + 20; pass++) {
      const bool changed = clamp_commands(g);
      all_free = all_free && count == NU;
      if (!changed && on_face) return true;
      if (changed || !factorized) factorized = count == NU ? factorize<true>() : factorize<false>();
      if (!factorized) return false;
      on_face = newton_step((const double*)g, step);
      for (int b = 0; b < UB; b++) d[b] = vec{};
      if (on_face) {
        for (int a = 0; a < count; a++) at(d, i[a]) = -step[a];
        if (all_free) {
          for (int b = 0; b < UB; b++) k[b] += d[b];
          return true;
        }
        times(d, Qd);
        for (int b = 0; b < UB; b++) k[b] = clamp<vec>(k[b] + d[b], lower[b], upper[b]);
      } else if (!search(g, step, d, Qd)) {
        return true;  // as good as rounding allows
      }
      for (int b = 0; b < UB; b++) g[b] += Qd[b];
    }
    return true;
  }

 private:
  alignas(64) bits clamped[UB];  // -1 or 0

  template <bool ALL_FREE> bool factorize() {
    const int size = ALL_FREE ? NU : count;
    alignas(64) vec U[NU][UB];  // D L^T, row by row
#pragma GCC unroll 8
    for (int a = 0; a < size; a++) {
      const int j = ALL_FREE ? a : i[a];
      vec row[UB];
      for (int b = 0; b < UB; b++) row[b] = Q[j][b];
#pragma GCC unroll 8
      for (int m = 0; m < a; m++) {
        const double l = L[a][m] = at(U[m], j) * inverse[m];
        for (int b = 0; b < UB; b++) row[b] -= l * U[m][b];
      }
      for (int b = 0; b < UB; b++) U[a][b] = row[b];
      const double pivot = at(U[a], j);
      if (!(pivot > 0.0)) return false;
      inverse[a] = 1.0 / pivot;
    }
    return true;
  }
  // x: L D L^T x = g over the free commands.
  template <bool ALL_FREE> void solve(const double* g, double* x) const {
    const int size = ALL_FREE ? NU : count;
#pragma GCC unroll 8
    for (int a = 0; a < size; a++) {
      x[a] = g[ALL_FREE ? a : i[a]];
#pragma GCC unroll 8
      for (int m = 0; m < a; m++) x[a] -= L[a][m] * x[m];
    }
#pragma GCC unroll 8
    for (int a = size - 1; a >= 0; a--) {
      x[a] *= inverse[a];
#pragma GCC unroll 8
      for (int m = a + 1; m < size; m++) x[a] -= L[m][a] * x[m];
    }
  }
  // Newton's step over the free commands; true if it leads to the inside of their bounds.
  bool newton_step(const double* g, double* step) {
    count == NU ? solve<true>(g, step) : solve<false>(g, step);
    for (int a = 0; a < count; a++) {
      const double to = at(k, i[a]) - step[a];
      if (!(to > at(lower, i[a]) && to < at(upper, i[a]))) return false;
    }
    return true;
  }
  // k, if it is inside of all bounds.
  bool inner_minimum(double* step) {
    for (int b = 0; b < UB; b++) k[b] = vec{};
    if (!newton_step((const double*)q, step)) return false;
    for (int j = 0; j < NU; j++) at(k, j) = -step[j];
    return true;
  }
  // Begin on the bounds that each command would meet if it were alone. g: the gradient there.
  void begin(bool convex, vec* g) {
    for (int b = 0; b < UB; b++) k[b] = clamp<vec>(vec{}, lower[b], upper[b]);
    for (int j = 0; j < (convex ? NU : 0); j++) {
      const double D = at(Q[j], j), high = at(upper, j), low = at(lower, j), to = -at(q, j);
      if (to > high * D) at(k, j) = high;
      else if (to < low * D) at(k, j) = low;
    }
    times(k, g);
    for (int b = 0; b < UB; b++) g[b] += q[b];
  }
  // Clamp the commands that the gradient presses against their bounds; true if these are others than before.
  bool clamp_commands(const vec* g) {
    bits others = {};
    for (int b = 0; b < UB; b++) {
      const bits now = ((k[b] <= lower[b]) & (g[b] > 0.0)) | ((k[b] >= upper[b]) & (g[b] < 0.0));  // -1 where it holds
      others |= now ^ clamped[b], clamped[b] = now;
    }
    count = 0;
    for (int j = 0; j < NU; j++) i[count] = j, count += 1 + int(((const long long*)clamped)[j]);
    long long any = 0;
    for (int l = 0; l < LANES; l++) any |= others[l];
    return any != 0;
  }
  // Armijo's rule along the projected arc: moves k by d, and fills d and Q d; false if rounding allows no decrease. What meets a
  // bound lies on it to the last bit: one that k + d misses by rounding stays free, pressed against the bound, and blocks the arc.
  bool search(const vec* g, const double* step, vec* d, vec* Qd) {
    double length = 1.0;
    for (int tries = 0; tries <= 60; tries++, length *= 0.6) {
      vec slope = {}, curve = {};
      for (int a = 0; a < count; a++)
        at(d, i[a]) = clamp(at(k, i[a]) - length * step[a], at(lower, i[a]), at(upper, i[a])) - at(k, i[a]);
      times(d, Qd);
      for (int b = 0; b < UB; b++) slope += g[b] * d[b], curve += 0.5 * Qd[b] * d[b];
      const double predicted = sum(slope), change = predicted + sum(curve);
      if (!(change < 0.0 && change <= 0.1 * predicted)) continue;
      for (int a = 0; a < count; a++)
        at(k, i[a]) = clamp(at(k, i[a]) - length * step[a], at(lower, i[a]), at(upper, i[a]));
      return true;
    }
    return false;
  }
  void times(const vec* x, vec* Qx) const {
    for (int b = 0; b < UB; b++) Qx[b] = vec{};
    for (int j = 0; j < NU; j++)
      for (int b = 0; b < UB; b++) Qx[b] += ((const double*)x)[j] * Q[j][b];
  }
};
