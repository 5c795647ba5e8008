// The KL constraint against the previous controller as it acts inside the limits of commands, p_bar(u|y) = N(m(y), P^-1),
// m = clamp(u_hat + K_bar (y - y_hat)), y = [x; v]: with multiplier eta the objective gains eta/2 e^T P e, e = u - m(y)
// (Levine & Abbeel 2014, eq. 5; kl_constraint.py). The previous controller is the last plan, shifted, as it stands in the
// tick. Nothing of this exists when KL_CONSTRAINED is 0.
#pragma once
#include "tick.h"

static inline double gain_bar(const Tick& tick, long long t, int j, int i) {  // K_bar's entry in column i of z
  return i < NX ? tick.K[(t * NU + j) * NX + i] : i < NF ? 0.0 : tick.K_u[(t * NU + j) * NU + i - NF];
}
static inline Lane clamp(Lane a, Lane low, Lane high) { return clamp<vec>(a.v, low.v, high.v); }
// e for doubles (x, v, u: the trajectory) or Lanes (rollouts). `inside`: where m is not clamped, its gain is K_bar.
template <class T>
static inline void deviation(const Tick& tick, long long t, const T* x, const T* v, const T* u, T* e, bool* inside = nullptr) {
  for (int j = 0; j < NU; j++) {
    T m = tick.u_hat[(t + 1) * NU + j];
    for (int i = 0; i < NX; i++) m = m + T(tick.K[(t * NU + j) * NX + i]) * (x[i] - T(tick.x_hat[t * NX + i]));
    for (int i = 0; i < NV; i++) m = m + T(tick.K_u[(t * NU + j) * NU + i]) * (v[i] - T(tick.u_hat[t * NU + i]));
    if constexpr (std::is_same_v<T, double>)
      if (inside) inside[j] = m >= tick.u_lower[j] && m <= tick.u_upper[j];
    e[j] = u[j] - clamp(m, T(tick.u_lower[j]), T(tick.u_upper[j]));
  }
}

struct KlTerm {  // M = [-K_bar | I] over z: the gradient gains eta M^T P e, the Hessian eta M^T P M
  double M[KL_CONSTRAINED ? NU : 1][NZ], PM[KL_CONSTRAINED ? NU : 1][NZ], Pe[NU];

  KlTerm(const Tick& tick, const Work& w, long long t) {
    if constexpr (KL_CONSTRAINED) {
      double e[NU];
      bool inside[NU];
      deviation<double>(tick, t, w.X + t * NX, w.U + t * NU, w.U + (t + 1) * NU, e, inside);
      for (int j = 0; j < NU; j++)
        for (int i = 0; i < NZ; i++)
          M[j][i] = i >= NX && i < NF ? double(i - NX == j) : inside[j] ? -gain_bar(tick, t, j, i) : 0.0;
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
        for (int i = 0; i < NZ; i++) at(Qu[j], column(i)) += PM[j][i], q[column(i)] += M[j][i] * Pe[j];
  }
  void add_to(double (*V)[ROW]) const {
    if constexpr (KL_CONSTRAINED)
      for (int i = 0; i < NZ; i++)
        for (int j = 0; j < NU; j++)
          for (int n = 0; n <= i; n++) V[i][column(n)] += M[j][i] * PM[j][n];
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

// b <- L^-1 b, L lower triangular.
template <int N> static inline void forward(const double (&L)[NU][NU], double (&b)[NU][N]) {
  for (int i = 0; i < NU; i++)
    for (int c = 0; c < N; c++) {
      for (int m = 0; m < i; m++) b[i][c] -= L[i][m] * b[m][c];
      b[i][c] /= L[i][i];
    }
}

// sum_t E_y KL(p(u|y) || p_bar(u|y)) of the new controller N(U + K (y - Y), C = (temperature + eta) Q_uu^-1), with y
// distributed as the new controller and the dynamics' noise make it; of clamped commands (rows of K zero) the means
// only. Infinite if a precision is not positive definite.
static double divergence(const Tick& tick, const Work& w) {
  if constexpr (KL_CONSTRAINED) {
    double S[NY][NY] = {}, sum = 0.0;
    for (long long t = 0; t < tick.horizon; t++) {
      const double *P = tick.Q_uu + t * NU * NU, scale = tick.temperature + tick.eta;
      double Lp[NU][NU], Lq[NU][NU], K[NU][NY], D[NU][NY], R[NU][NY], e[NU], log_p, log_q;
      bool inside[NU], free[NU];
      int n_free = 0;
      deviation<double>(tick, t, w.X + t * NX, w.U + t * NU, w.U + (t + 1) * NU, e, inside);
      for (int j = 0; j < NU; j++) {
        free[j] = false;
        for (int i = 0; i < NY; i++) {
          K[j][i] = i < NX ? w.K[(t * NU + j) * NX + i] : w.K_u[(t * NU + j) * NU + i - NX];
          D[j][i] = K[j][i] - (inside[j] ? gain_bar(tick, t, j, i < NX ? i : i + NU) : 0.0);
          free[j] = free[j] || K[j][i] != 0.0;
        }
        n_free += free[j];
      }
      for (int part = 0; part < 2; part++) {  // all, which must be positive definite; the free commands
        for (int i = 0; i < NU; i++)
          for (int j = 0; j < NU; j++) {
            const bool used = part == 0 || (free[i] && free[j]);
            Lp[i][j] = used ? P[i * NU + j] : double(i == j);
            Lq[i][j] = used ? w.Q_uu[(t * NU + i) * NU + j] / scale : double(i == j);
          }
        if (!cholesky(Lp, log_p) || !cholesky(Lq, log_q)) return INFINITY;
      }
      const double* F = (const double*)w.F[MODEL || tick.stages_of_F > 1 ? t : 0];
      double B[NU][NY], noise[NU][NY], ratio[NU][NU], sum_t = log_q - log_p - n_free;
      for (int j = 0; j < NU; j++) {
        for (int i = 0; i < NY; i++) {
          B[j][i] = i < NX ? F[i * FB * LANES + U0 + j] : double(i - NX == j);
          noise[j][i] = free[j] ? B[j][i] : 0.0;
          R[j][i] = 0.0;
          for (int n = 0; n < NU; n++) R[j][i] += free[j] ? P[j * NU + n] * D[n][i] : 0.0;
        }
        for (int i = 0; i < NU; i++) sum_t += P[j * NU + i] * e[j] * e[i], ratio[j][i] = i <= j ? Lp[j][i] : 0.0;
      }
      forward(Lq, ratio), forward(Lq, noise), forward(Lp, R);  // tr(P_ff C_ff) = |Lq^-1 Lp|^2, C_ff = (Lq Lq^T)^-1
      for (int j = 0; j < NU; j++)
        for (int i = 0; i < NU; i++) sum_t += free[j] ? ratio[j][i] * ratio[j][i] : 0.0;
      for (int j = 0; j < NU; j++)
        for (int i = 0; i < NY; i++)
          for (int n = 0; n < NY; n++) sum_t += R[j][i] * S[i][n] * R[j][n];
      sum += 0.5 * sum_t;

      double G[NY][NY], GS[NY][NY];  // y' = G y + noise
      for (int i = 0; i < NY; i++)
        for (int n = 0; n < NY; n++) {
          G[i][n] = i < NX && n < NX ? F[i * FB * LANES + n] : 0.0;
          for (int j = 0; j < NU; j++) G[i][n] += B[j][i] * K[j][n];
        }
      for (int i = 0; i < NY; i++)
        for (int n = 0; n < NY; n++) {
          GS[i][n] = 0.0;
          for (int l = 0; l < NY; l++) GS[i][n] += G[i][l] * S[l][n];
        }
      const double* Sigma = tick.Sigma + (tick.stages_of_F > 1 ? t : 0) * NX * NX;
      for (int i = 0; i < NY; i++)
        for (int n = 0; n < NY; n++) {
          double a = i < NX && n < NX ? Sigma[i * NX + n] : 0.0;
          for (int l = 0; l < NY; l++) a += GS[i][l] * G[n][l];
          for (int j = 0; j < NU; j++) a += noise[j][i] * noise[j][n];
          S[i][n] = a;
        }
    }
    return sum;
  }
  return 0.0;
}
