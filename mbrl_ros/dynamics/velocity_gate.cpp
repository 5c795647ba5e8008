// VelocityGate.agree of velocity_gate.py: same formulas, same order.
#include "velocity_gate.h"

extern "C" void gate_agree(Gate* g) {
  for (long long j = 0; j < g->n; j++) {
    const double r = g->after[j] - g->before[j] - g->half * (g->before[g->n + j] + g->after[g->n + j]);
    const double old = g->square[j], most = g->most * old + 1e-12, square = r * r;
    g->square[j] = old + g->rate * ((g->bounded && most < square ? most : square) - old);
  }
}
