// The posterior of posterior.py; see posterior.cpp.
#pragma once

struct Posterior {
  long long D, n;
  double forgetting, noise_forgetting, floor, far, bias, nis, weight;
  double *count, *squares, *inflation, *S, *C, *scatter, *noise_prior, *precision, *origin, *center, *W, *L, *regressors,
      *y, *phi, *error, *whitened, *Sigma, *work;
};

extern "C" {
int posterior_condition(Posterior* p);
void posterior_predict(Posterior* p);
void posterior_add(Posterior* p);
void posterior_add_innovation(Posterior* p);
}
