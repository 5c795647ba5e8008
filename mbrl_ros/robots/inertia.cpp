// The composite-rigid-body algorithm of inertia.py in loops: same formulas, same order. One body per joint, parents
// first; symmetric tensors are xx, yy, zz, xy, xz, yz. Everything is turned into the root link's frame once, so that
// passing an inertia or a force on to the parent is a shift.
#include <cmath>

struct Joints {
  long long n;
  const double* q;                                   // (n,), order of the robot
  const long long *parent, *prismatic, *joint;       // (n,) per body; -1: the base; which entry of q moves it
  const double *placement, *mass, *moment, *tensor;  // (n, 12) rows of [R t], (n,), (n, 3), (n, 6)
  double *work, *M;                                  // (n, 22), (n, n) zero where no joint carries the other
};

struct Body {
  double R[9], d[3], mass, h[3], I[6];  // I and h = mass times centre about the origin of the body, d from its parent's
};

static void cross(const double* a, const double* b, double* c) {
  c[0] = a[1] * b[2] - a[2] * b[1];
  c[1] = a[2] * b[0] - a[0] * b[2];
  c[2] = a[0] * b[1] - a[1] * b[0];
}

static double dot(const double* a, const double* b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

// R x for the row-major R (3, 3)
static void turn(const double* R, const double* x, double* y) {
  for (int i = 0; i < 3; i++) y[i] = dot(R + 3 * i, x);
}

// S x for a symmetric S
static void times(const double* S, const double* x, double* y) {
  y[0] = S[0] * x[0] + S[3] * x[1] + S[4] * x[2];
  y[1] = S[3] * x[0] + S[1] * x[1] + S[5] * x[2];
  y[2] = S[4] * x[0] + S[5] * x[1] + S[2] * x[2];
}

// where the body stands, and its inertia in the root link's directions
static void place(const Joints* p, long long i, Body* bodies) {
  static const double identity[9] = {1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0};
  Body& body = bodies[i];
  const double* R = p->parent[i] < 0 ? identity : bodies[p->parent[i]].R;
  const double *T = p->placement + 12 * i, *tensor = p->tensor + 6 * i, q = p->q[p->joint[i]];
  const double c = p->prismatic[i] ? 1.0 : std::cos(q), s = p->prismatic[i] ? 0.0 : std::sin(q);
  for (int r = 0; r < 3; r++) {
    double row[4];
    for (int k = 0; k < 4; k++) row[k] = R[3 * r] * T[k] + R[3 * r + 1] * T[4 + k] + R[3 * r + 2] * T[8 + k];
    body.R[3 * r] = row[0] * c + row[1] * s;
    body.R[3 * r + 1] = row[1] * c - row[0] * s;
    body.R[3 * r + 2] = row[2];
    body.d[r] = p->prismatic[i] ? row[3] + q * row[2] : row[3];
  }
  body.mass = p->mass[i];
  turn(body.R, p->moment + 3 * i, body.h);
  double RI[9];
  for (int r = 0; r < 3; r++) times(tensor, body.R + 3 * r, RI + 3 * r);
  for (int r = 0; r < 3; r++) body.I[r] = dot(RI + 3 * r, body.R + 3 * r);
  body.I[3] = dot(RI, body.R + 3);
  body.I[4] = dot(RI, body.R + 6);
  body.I[5] = dot(RI + 3, body.R + 6);
}

// add a body's composite inertia to its parent's
static void lump(const Body& body, Body* parent) {
  const double *d = body.d, *h = body.h, m = body.mass;
  const double round = m * dot(d, d) + 2.0 * dot(d, h);
  for (int k = 0; k < 3; k++) parent->I[k] += body.I[k] + round - m * d[k] * d[k] - 2.0 * d[k] * h[k];
  parent->I[3] += body.I[3] - m * d[0] * d[1] - d[0] * h[1] - d[1] * h[0];
  parent->I[4] += body.I[4] - m * d[0] * d[2] - d[0] * h[2] - d[2] * h[0];
  parent->I[5] += body.I[5] - m * d[1] * d[2] - d[1] * h[2] - d[2] * h[1];
  for (int k = 0; k < 3; k++) parent->h[k] += h[k] + m * d[k];
  parent->mass += m;
}

static void axis(const Body& body, double* a) {
  for (int r = 0; r < 3; r++) a[r] = body.R[3 * r + 2];
}

extern "C" {

// M at q
void joint_space_inertia(Joints* p) {
  Body* bodies = reinterpret_cast<Body*>(p->work);
  for (long long i = 0; i < p->n; i++) place(p, i, bodies);
  for (long long i = p->n - 1; i >= 0; i--) {
    const Body& body = bodies[i];
    double a[3], force[3], torque[3], moved[3];
    axis(body, a);
    if (p->prismatic[i]) {
      for (int k = 0; k < 3; k++) force[k] = body.mass * a[k];
      cross(body.h, a, torque);
    } else {
      cross(a, body.h, force);
      times(body.I, a, torque);
    }
    for (long long j = i; j >= 0; j = p->parent[j]) {
      axis(bodies[j], a);
      const double value = dot(a, p->prismatic[j] ? force : torque);
      p->M[p->joint[i] * p->n + p->joint[j]] = p->M[p->joint[j] * p->n + p->joint[i]] = value;
      cross(bodies[j].d, force, moved);
      for (int k = 0; k < 3; k++) torque[k] += moved[k];
    }
    if (p->parent[i] >= 0) lump(body, bodies + p->parent[i]);
  }
}

// g (n,) at q in place of M, of bodies whose `mass` and `moment` are their weights; see gravity.py
void gravity_effort(Joints* p) {
  Body* bodies = reinterpret_cast<Body*>(p->work);
  for (long long i = 0; i < p->n; i++) place(p, i, bodies);
  for (long long i = p->n - 1; i >= 0; i--) {
    const Body& body = bodies[i];
    double a[3];
    axis(body, a);
    p->M[p->joint[i]] = p->prismatic[i] ? body.mass * a[2] : a[0] * body.h[1] - a[1] * body.h[0];
    if (p->parent[i] < 0) continue;
    Body& parent = bodies[p->parent[i]];
    for (int k = 0; k < 3; k++) parent.h[k] += body.h[k] + body.mass * body.d[k];
    parent.mass += body.mass;
  }
}
}
