// min 1/2 k^T Q k + q^T k, lower <= k <= upper, by projected Newton (Tassa, Mansard & Todorov 2014, algorithm 1).
#pragma once
#include "tick.h"

struct BoxQP {
  double L[NU][NU], inverse[NU];  // Cholesky factor of Q with clamped rows and columns replaced by the identity, 1 / L_ii
  bool clamped[NU];

  // Fills k, L and clamped. False if Q is not positive definite on the free commands.
  bool minimise(const double (&Q)[NU][NU], const double* q, const double* lower, const double* upper, double* k) {
    for (int i = 0; i < NU; i++) k[i] = clamp(0.0, lower[i], upper[i]);
    bool on_face = false;  // k minimises over its free commands
    for (int pass = 0; pass < 20 * NU + 20; pass++) {
      double g[NU], step[NU], trial[NU];
      bool changed = pass == 0;
      for (int i = 0; i < NU; i++) {
        g[i] = q[i];
        for (int j = 0; j < NU; j++) g[i] += Q[i][j] * k[j];
        const bool now = (k[i] <= lower[i] && g[i] > 0.0) || (k[i] >= upper[i] && g[i] < 0.0);
        changed = changed || now != clamped[i];
        clamped[i] = now;
      }
      if (!changed && on_face) return true;
      if (changed && !factorise(Q)) return false;
      for (int i = 0; i < NU; i++) g[i] = clamped[i] ? 0.0 : g[i];
      solve(g, step);
      on_face = true;
      for (int i = 0; i < NU; i++) {
        trial[i] = clamp(k[i] - step[i], lower[i], upper[i]);
        on_face = on_face && trial[i] == k[i] - step[i];
      }
      if (!on_face && !search(Q, q, lower, upper, k, g, step, trial)) return true;
      std::memcpy(k, trial, sizeof trial);
    }
    return true;
  }

 private:
  bool factorise(const double (&Q)[NU][NU]) {
    for (int j = 0; j < NU; j++)
      for (int i = j; i < NU; i++) {
        double a = clamped[i] || clamped[j] ? double(i == j) : Q[i][j];
        for (int m = 0; m < j; m++) a -= L[i][m] * L[j][m];
        if (i > j) { L[i][j] = a * inverse[j]; continue; }
        if (!(a > 0.0)) return false;
        inverse[j] = 1.0 / std::sqrt(a);
        L[j][j] = a * inverse[j];
      }
    return true;
  }
  void solve(const double* b, double* x) const {  // L L^T x = b
    for (int i = 0; i < NU; i++) {
      double a = b[i];
      for (int m = 0; m < i; m++) a -= L[i][m] * x[m];
      x[i] = a * inverse[i];
    }
    for (int i = NU - 1; i >= 0; i--) {
      double a = x[i];
      for (int m = i + 1; m < NU; m++) a -= L[m][i] * x[m];
      x[i] = a * inverse[i];
    }
  }
  static double value(const double (&Q)[NU][NU], const double* q, const double* k) {
    double sum = 0.0;
    for (int i = 0; i < NU; i++) {
      double row = q[i];
      for (int j = 0; j < NU; j++) row += 0.5 * Q[i][j] * k[j];
      sum += row * k[i];
    }
    return sum;
  }
  // Armijo's rule along the projected arc; false when rounding allows no decrease.
  static bool search(const double (&Q)[NU][NU], const double* q, const double* lower, const double* upper, const double* k,
                     const double* g, const double* step, double* trial) {
    const double before = value(Q, q, k);
    double length = 1.0;
    for (int tries = 0; tries < 60; tries++, length *= 0.6) {
      double slope = 0.0;
      for (int i = 0; i < NU; i++) {
        trial[i] = clamp(k[i] - length * step[i], lower[i], upper[i]);
        slope += g[i] * (trial[i] - k[i]);
      }
      const double after = value(Q, q, trial);
      if (after < before && after <= before + 0.1 * slope) return true;
    }
    return false;
  }
};
