// The history of commands of compiled_history.py; see history.cpp.
#pragma once

struct History {
  long long n, length, nx, newest, whole, late;  // commands, entries, states; entry recorded last, -1 for none
  double dt, fraction, stamp, std;
  const double *stamps, *commands, *stds, *initial, *F, *f;
  double *u, *neighbors, *x, *change;
};
