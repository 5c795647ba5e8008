// The end effector of kinematics.py in several poses at once: same formulas, each joint's axis turned to z beforehand.
// One SIMD lane is one pose.
#include <algorithm>

#include "lane.h"

struct Chain {
  long long n, links, count;               // joints of a row of Q, movable joints from the tip inwards, rows
  const long long *source, *prismatic;     // (links,): the column of Q, or n + that of r, that moves the joint
  const double *scale, *offset;            // (links,): where it stands is scale times that, plus offset
  const double *placement, *tip, *Q, *r;   // (links + 1, 12) rows of [R t], the last one of the root; (3,), (count, n)
  double* P;                               // (count, 3)
};

struct Point {
  Lane x, y, z;
};

// T p for T = [R t]
static Point moved(const double* T, Point p) {
  const auto row = [&](int i) {
    return Lane(T[4 * i]) * p.x + Lane(T[4 * i + 1]) * p.y + Lane(T[4 * i + 2]) * p.z + Lane(T[4 * i + 3]);
  };
  return {row(0), row(1), row(2)};
}

extern "C" void chain_positions(Chain* c) {
  for (long long first = 0; first < c->count; first += LANES) {
    const double* rows[LANES];  // rows beyond the last one repeat it
    for (int lane = 0; lane < LANES; lane++) rows[lane] = c->Q + std::min(first + lane, c->count - 1) * c->n;
    Point p = {Lane(c->tip[0]), Lane(c->tip[1]), Lane(c->tip[2])};
    for (long long i = 0; i < c->links; i++) {
      p = moved(c->placement + 12 * i, p);
      Lane q, sine, cosine;
      if (c->source[i] < c->n)
        for (int lane = 0; lane < LANES; lane++) q.v[lane] = rows[lane][c->source[i]];
      else
        q = Lane(c->r[c->source[i] - c->n]);
      q = Lane(c->scale[i]) * q + Lane(c->offset[i]);
      if (c->prismatic[i]) {
        p.z = p.z + q;
        continue;
      }
      sincos(q, sine, cosine);
      p = {cosine * p.x - sine * p.y, sine * p.x + cosine * p.y, p.z};
    }
    p = moved(c->placement + 12 * c->links, p);
    for (int lane = 0; lane < std::min<long long>(LANES, c->count - first); lane++) {
      double* out = c->P + 3 * (first + lane);
      out[0] = p.x.v[lane];
      out[1] = p.y.v[lane];
      out[2] = p.z.v[lane];
    }
  }
}
