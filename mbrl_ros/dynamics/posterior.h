// The posterior of posterior.py; see posterior.cpp.
#pragma once

struct Posterior {
  long long D, n;
  double forgetting, noise_forgetting, floor, far, bias, rho, nis, weight;
  long long* owner;  // (n,) of each output the first one with the same precision, whose factor in L is its own, too
  double *count, *squares, *inflation, *S, *C, *scatter, *noise_prior, *precision, *origin, *center, *W, *L, *regressors,
      *y, *phi, *error, *whitened, *Sigma, *work;
};

extern "C" {
int posterior_condition(Posterior* p);
void posterior_predict(Posterior* p);
void posterior_add(Posterior* p);
void posterior_add_innovation(Posterior* p);
}
