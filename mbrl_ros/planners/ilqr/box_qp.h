// min 1/2 k^T Q k + q^T k, lower <= k <= upper, by projected Newton (Tassa, Mansard & Todorov 2014, algorithm 1). Q need
// only be positive definite over the commands at none of their bounds; k is then a local minimum, from 0 downhill.
#pragma once
#include "tick.h"

struct BoxQP {
  // Q = L D L^T on the free commands; rows and columns of clamped ones are those of the identity. inverse = 1 / D.
  double L[NU][NU], inverse[NU];
  bool clamped[NU];

  // Fills k, L, inverse and clamped. False if Q is not positive definite over the free commands.
  bool minimise(const double (&Q)[NU][NU], const double* q, const double* lower, const double* upper, double* k) {
    double g[NU], gradient[NU], step[NU], d[NU], Qd[NU];
    bool all_free = true;  // so far
    bool on_face = false;  // k minimises over its free commands
    for (int i = 0; i < NU; i++) clamped[i] = false;
    bool factorized = factorize(Q);
    if (KL_CONSTRAINED && !factorized) return false;  // there Q is the precision of a Gaussian
    for (int i = 0; i < NU; i++) {  // begin on the bounds that each command would meet if it were alone
      k[i] = clamp(0.0, lower[i], upper[i]);
      if (factorized) k[i] = -q[i] > upper[i] * Q[i][i] ? upper[i] : -q[i] < lower[i] * Q[i][i] ? lower[i] : k[i];
    }
    for (int i = 0; i < NU; i++) {
      g[i] = q[i];
      for (int j = 0; j < NU; j++) g[i] += Q[i][j] * k[j];
    }
    for (int pass = 0; pass < 20 * NU + 20; pass++) {
      bool changed = false;
      for (int i = 0; i < NU; i++) {
        const bool now = (k[i] <= lower[i] && g[i] > 0.0) || (k[i] >= upper[i] && g[i] < 0.0);
        changed = changed || now != clamped[i];
        all_free = all_free && !now;
        clamped[i] = now;
      }
      if (!changed && on_face) return true;
      if (changed || !factorized) factorized = factorize(Q);
      if (!factorized) return false;
      for (int i = 0; i < NU; i++) gradient[i] = clamped[i] ? 0.0 : g[i];
      solve(gradient, step);
      on_face = true;
      for (int i = 0; i < NU; i++)
        on_face = on_face && (clamped[i] || (k[i] - step[i] > lower[i] && k[i] - step[i] < upper[i]));
      if (on_face && all_free) {
        for (int i = 0; i < NU; i++) k[i] -= step[i];
        return true;
      }
      double length = 1.0, slope, change;  // Armijo's rule along the projected arc; the first step to a face is exact
      for (int tries = 0;; tries++, length *= 0.6) {
        slope = change = 0.0;
        for (int i = 0; i < NU; i++) d[i] = clamp(k[i] - length * step[i], lower[i], upper[i]) - k[i];
        for (int i = 0; i < NU; i++) {
          Qd[i] = 0.0;
          for (int j = 0; j < NU; j++) Qd[i] += Q[j][i] * d[j];
        }
        for (int i = 0; i < NU; i++) slope += g[i] * d[i], change += (g[i] + 0.5 * Qd[i]) * d[i];
        if (on_face || (change < 0.0 && change <= 0.1 * slope)) break;
        if (tries == 60) return true;  // as good as rounding allows
      }
      for (int i = 0; i < NU; i++) k[i] = clamp(k[i] + d[i], lower[i], upper[i]), g[i] += Qd[i];
    }
    return true;
  }

 private:
  bool factorize(const double (&Q)[NU][NU]) {
    double LD[NU][NU];
    for (int j = 0; j < NU; j++) {
      double a = clamped[j] ? 1.0 : Q[j][j];
      for (int m = 0; m < j; m++) a -= L[j][m] * LD[j][m];
      if (!(a > 0.0)) return false;
      inverse[j] = 1.0 / a;
      for (int i = j + 1; i < NU; i++) {
        double b = clamped[i] || clamped[j] ? 0.0 : Q[i][j];
        for (int m = 0; m < j; m++) b -= LD[i][m] * L[j][m];
        LD[i][j] = b, L[i][j] = b * inverse[j];
      }
    }
    return true;
  }
  void solve(const double* b, double* x) const {  // L D L^T x = b
    for (int i = 0; i < NU; i++) {
      x[i] = b[i];
      for (int m = 0; m < i; m++) x[i] -= L[i][m] * x[m];
    }
    for (int i = 0; i < NU; i++) x[i] *= inverse[i];
    for (int i = NU - 1; i >= 0; i--)
      for (int m = i + 1; m < NU; m++) x[i] -= L[m][i] * x[m];
  }
};
