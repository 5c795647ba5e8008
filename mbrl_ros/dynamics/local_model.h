// The local model of compiled_model.py; see local_model.cpp.
#pragma once

#include "posterior.h"

struct Model {
  long long n, m, stages, servo, offset_only, linear, regressors;  // servo: where x_s begins in x, -1 for efforts
  long long timed, kept, finite;  // whether rho is asked for, W stays, and all that was compared is finite
  double half, scale, rho, nis, noise_std, least_noise, most_noise, uneven, share;
  const double *known_F, *step, *u_scale, *W, *center, *noise, *G, *jacobian, *Z, *now, *neighbors, *after, *slope,
      *offset, *belief;
  double *mean, *F, *f, *Sigma, *gain, *expected, *covariance, *variances;
  Posterior* posterior;
};
