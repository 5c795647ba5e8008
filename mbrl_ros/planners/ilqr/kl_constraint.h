// The KL constraint against the previous controller p_bar(u|y) = N(u_hat + K_bar (y - y_hat), P^-1), y = [x; v]: with
// multiplier eta the objective gains eta/2 e^T P e, e = u - u_hat - K_bar (y - y_hat) (Levine & Abbeel 2014, eq. 5).
// The previous controller is the last plan, shifted, as it stands in the tick. Nothing of this exists when KL_CONSTRAINED
// is 0.
#pragma once
#include "tick.h"

static inline double gain_bar(const Tick& tick, long long t, int j, int i) {  // K_bar's entry in column i of z
  return i < NX ? tick.K[(t * NU + j) * NX + i] : i < NF ? 0.0 : tick.K_u[(t * NU + j) * NU + i - NF];
}
// e for doubles (x, v, u: the trajectory) or Lanes (rollouts).
template <class T> static inline void deviation(const Tick& tick, long long t, const T* x, const T* v, const T* u, T* e) {
  for (int j = 0; j < NU; j++) {
    T a = u[j] - T(tick.u_hat[(t + 1) * NU + j]);
    for (int i = 0; i < NX; i++) a = a - T(tick.K[(t * NU + j) * NX + i]) * (x[i] - T(tick.x_hat[t * NX + i]));
    for (int i = 0; i < NV; i++) a = a - T(tick.K_u[(t * NU + j) * NU + i]) * (v[i] - T(tick.u_hat[t * NU + i]));
    e[j] = a;
  }
}

struct KlTerm {  // M = [-K_bar | I] over z: the gradient gains eta M^T P e, the Hessian eta M^T P M
  double M[KL_CONSTRAINED ? NU : 1][NZ], PM[KL_CONSTRAINED ? NU : 1][NZ], Pe[NU];

  KlTerm(const Tick& tick, const Work& w, long long t) {
    if constexpr (KL_CONSTRAINED) {
      double e[NU];
      deviation<double>(tick, t, w.X + t * NX, w.U + t * NU, w.U + (t + 1) * NU, e);
      for (int j = 0; j < NU; j++)
        for (int i = 0; i < NZ; i++) M[j][i] = i >= NX && i < NF ? double(i - NX == j) : -gain_bar(tick, t, j, i);
      const double* P = tick.Q_uu + t * NU * NU;
      for (int j = 0; j < NU; j++) {
        for (int i = 0; i < NZ; i++) {
          PM[j][i] = 0.0;
          for (int n = 0; n < NU; n++) PM[j][i] += tick.eta * P[j * NU + n] * M[n][i];
        }
        Pe[j] = 0.0;
        for (int n = 0; n < NU; n++) Pe[j] += tick.eta * P[j * NU + n] * e[n];
      }
    }
  }
  void add_to(vec (*Qu)[ZB], double* q) const {
    if constexpr (KL_CONSTRAINED)
      for (int j = 0; j < NU; j++)
        for (int i = 0; i < NZ; i++) at(Qu[j], i) += PM[j][i], q[i] += M[j][i] * Pe[j];
  }
  void add_to(double (*V)[ROW]) const {
    if constexpr (KL_CONSTRAINED)
      for (int i = 0; i < NZ; i++)
        for (int j = 0; j < NU; j++)
          for (int n = 0; n <= i; n++) V[i][n] += M[j][i] * PM[j][n];
  }
};

static inline void add_kl_terms(const Tick& tick, long long t, const Lane* x, const Lane* v, const Lane* u, Lane& merit) {
  if constexpr (KL_CONSTRAINED) {
    Lane e[NU];
    deviation<Lane>(tick, t, x, v, u, e);
    for (int j = 0; j < NU; j++) {
      Lane Pe(0.0);
      for (int n = 0; n < NU; n++) Pe = Pe + Lane(tick.Q_uu[(t * NU + j) * NU + n]) * e[n];
      merit = merit + Lane(0.5 * tick.eta) * e[j] * Pe;
    }
  }
}

// Lower Cholesky factor in place; false if A is not positive definite.
static bool cholesky(double (&A)[NU][NU], double& log_determinant) {
  log_determinant = 0.0;
  for (int j = 0; j < NU; j++)
    for (int i = j; i < NU; i++) {
      double a = A[i][j];
      for (int m = 0; m < j; m++) a -= A[i][m] * A[j][m];
      if (i > j) { A[i][j] = a / A[j][j]; continue; }
      if (!(a > 0.0)) return false;
      A[j][j] = std::sqrt(a);
      log_determinant += std::log(a);
    }
  return true;
}

// sum_t E_y KL(p(u|y) || p_bar(u|y)) of the new controller N(U + K (y - Y), C = (temperature + eta) Q_uu^-1), with y
// distributed as the new controller and the dynamics' noise make it. Infinite if a precision is not positive definite.
static double divergence(const Tick& tick, const Work& w) {
  if constexpr (KL_CONSTRAINED) {
    double S[NY][NY] = {}, sum = 0.0;
    for (long long t = 0; t < tick.horizon; t++) {
      const double *P = tick.Q_uu + t * NU * NU, scale = tick.temperature + tick.eta;
      double Lp[NU][NU], Lq[NU][NU], C[NU][NU], K[NU][NY], D[NU][NY], e[NU], log_p, log_q;
      for (int i = 0; i < NU; i++)
        for (int j = 0; j < NU; j++) Lp[i][j] = P[i * NU + j], Lq[i][j] = w.Q_uu[(t * NU + i) * NU + j] / scale;
      if (!cholesky(Lp, log_p) || !cholesky(Lq, log_q)) return INFINITY;
      for (int c = 0; c < NU; c++) {  // C = (L L^T)^-1, column by column
        for (int i = 0; i < NU; i++) {
          double a = i == c;
          for (int m = 0; m < i; m++) a -= Lq[i][m] * C[m][c];
          C[i][c] = a / Lq[i][i];
        }
        for (int i = NU - 1; i >= 0; i--) {
          double a = C[i][c];
          for (int m = i + 1; m < NU; m++) a -= Lq[m][i] * C[m][c];
          C[i][c] = a / Lq[i][i];
        }
      }
      for (int j = 0; j < NU; j++)
        for (int i = 0; i < NY; i++) {
          K[j][i] = i < NX ? w.K[(t * NU + j) * NX + i] : w.K_u[(t * NU + j) * NU + i - NX];
          D[j][i] = K[j][i] - gain_bar(tick, t, j, i < NX ? i : i + NU);
        }
      deviation<double>(tick, t, w.X + t * NX, w.U + t * NU, w.U + (t + 1) * NU, e);
      double DS[NU][NY], trace = 0.0;
      for (int j = 0; j < NU; j++)
        for (int i = 0; i < NY; i++) {
          DS[j][i] = 0.0;
          for (int n = 0; n < NY; n++) DS[j][i] += D[j][n] * S[n][i];
        }
      for (int i = 0; i < NU; i++)
        for (int j = 0; j < NU; j++) {
          double moment = C[i][j] + e[i] * e[j];  // E[e e^T]
          for (int n = 0; n < NY; n++) moment += DS[i][n] * D[j][n];
          trace += P[i * NU + j] * moment;
        }
      sum += 0.5 * (trace - NU + log_q - log_p);

      double G[NY][NY], GS[NY][NY], B[NY][NU], BC[NY][NU];  // y' = G y + B noise_u + noise_x
      const double* F = (const double*)w.F[MODEL || tick.stages_of_F > 1 ? t : 0];
      for (int i = 0; i < NY; i++) {
        for (int j = 0; j < NU; j++) B[i][j] = i < NX ? F[i * FB * LANES + NX + j] : double(i - NX == j);
        for (int n = 0; n < NY; n++) {
          G[i][n] = i < NX && n < NX ? F[i * FB * LANES + n] : 0.0;
          for (int j = 0; j < NU; j++) G[i][n] += B[i][j] * K[j][n];
        }
        for (int j = 0; j < NU; j++) {
          BC[i][j] = 0.0;
          for (int n = 0; n < NU; n++) BC[i][j] += B[i][n] * C[n][j];
        }
        for (int n = 0; n < NY; n++) {
          GS[i][n] = 0.0;
          for (int l = 0; l < NY; l++) GS[i][n] += G[i][l] * S[l][n];
        }
      }
      const double* Sigma = tick.Sigma + (tick.stages_of_F > 1 ? t : 0) * NX * NX;
      for (int i = 0; i < NY; i++)
        for (int n = 0; n < NY; n++) {
          double a = i < NX && n < NX ? Sigma[i * NX + n] : 0.0;
          for (int l = 0; l < NY; l++) a += GS[i][l] * G[n][l];
          for (int j = 0; j < NU; j++) a += BC[i][j] * B[n][j];
          S[i][n] = a;
        }
    }
    return sum;
  }
  return 0.0;
}
