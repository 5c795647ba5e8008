// The velocity gate of velocity_gate.py; see velocity_gate.cpp.
#pragma once

struct Gate {
  long long n, bounded;  // whether a square is bounded by those before
  double half, rate, most;
  const double *before, *after;
  double* square;
};
