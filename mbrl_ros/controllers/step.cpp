// What a tick of the controller `mpc` computes between two decisions of Python, in two calls. The parts (history of
// commands, local model, velocity gate, planner) are libraries of their own, with flags of their own; here their
// functions are called one after the other, and numbers are passed on between their structures.
#include <cstring>
#include <ctime>

#include "history.h"
#include "local_model.h"
#include "velocity_gate.h"

struct Step {
  History* history;
  Model* model;
  Gate* gate;  // none where velocities are not checked
  void* planner;
  void (*during)(History*);
  void (*compare)(Model*);
  void (*agree)(Gate*);
  int (*about)(Model*);
  void (*roll_forward)(History*);
  void (*plan)(void*);
  double *before, *after;                // (nx,) states: of a period, or of the present, which is `after`
  double *u, *x0, *u_previous, *F, *f;   // the command now; what the planner reads
  double nis_of_gate, fit_seconds;       // NIS up to which the gate is not asked; how long the fit took [s]
};

// the parts only read what is given to them here
static void give(const double* to, const double* from, long long count) {
  std::memcpy(const_cast<double*>(to), from, sizeof(double) * count);
}

static double now() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + 1e-9 * time.tv_nsec;
}

extern "C" {

// Compares the period that ended with `after` with the model. Returns 0 where more is uncertain of the command's time
// than the delay (nothing is compared then), 1 where the gate is to be asked, 2 where it agrees.
int step_compare(Step* s) {
  const long long n = s->model->n;
  s->during(s->history);
  if (s->history->std != 0.0) return 0;
  give(s->model->now, s->before, 2 * n);
  give(s->model->now + 2 * n, s->history->u, n);
  give(s->model->after, s->after + n, n);
  give(s->model->neighbors, s->history->neighbors, 2 * n);
  s->compare(s->model);
  if (!s->gate) return 2;
  if (!(s->model->nis <= s->nis_of_gate)) return 1;
  give(s->gate->before, s->before, 2 * n);
  give(s->gate->after, s->after, 2 * n);
  s->agree(s->gate);
  return 2;
}

// States the model about `after` and `u`, rolls the state forward to when the next command acts, and plans from there.
// Returns whether the model could not be stated; nothing else is done then.
int step_plan(Step* s) {
  History* history = s->history;
  const long long n = s->model->n, nx = 2 * (n + s->model->m), size = nx * (nx + n);
  const double begin = now();
  give(s->model->now, s->after, 2 * n);
  give(s->model->now + 2 * n, s->u, n);
  if (s->about(s->model)) return 1;
  s->fit_seconds = now() - begin;
  const double* ahead = s->after;
  if (history->whole + history->late != 0 || history->fraction != 0.0) {
    give(history->x, s->after, nx);
    give(history->F, s->model->F, size);
    give(history->f, s->model->f, nx);
    s->roll_forward(history);
    ahead = history->x;
  }
  give(s->x0, ahead, nx);
  give(s->u_previous, s->u, n);
  give(s->F, s->model->F, size);
  give(s->f, s->model->f, nx);
  s->plan(s->planner);
  return 0;
}
}
