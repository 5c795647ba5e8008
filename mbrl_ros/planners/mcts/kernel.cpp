// Monte Carlo tree search over motion primitives: UCT with progressive widening. numpy_search.py is the readable
// specification: every quantity here has the same name there. problem.h (generated, see kernel.py) gives NX, NU, NP, the
// functions of the cost over SIMD lanes and, where MODEL is true, the nonlinear model phi with its N_THETA parameters.
#include <algorithm>
#include <chrono>
#include <cmath>
#include "lane.h"
#include "problem.h"

constexpr int NF = NX + NU;

struct Search {  // mirrored by kernel.py
  long long horizon, length, primitives, simulations, best_answer, units, continues;  // units: hidden ones; 0: no policy
  double exploration, widening, growth, share, time_budget;
  long long stages_of_F, simulations_done, out_of_time, path_length;
  double best, worst, cost;
  const double *x0, *u_previous, *F, *f, *p, *u_lower, *u_upper, *X, *U, *K, *K_u, *k, *laws, *offsets, *theta, *W1, *b1, *W2, *b2;
  double *X_new, *U_new, *counts, *totals, *path, *work;
  double (*clock)();  // [s]; null: the monotonic one
};

struct Node {
  long long parent, first, added, evaluated, visits, depth, primitive;  // first: of its children, side by side
  double total, spent, whole;  // sum of the costs below it; cost up to its stage; with the default policy to the end
  double weight;               // of its exploration: P times the probability that the policy gives it; 1 without a policy
  double x[NX], v[NU];
};

struct Law {  // u = (1 - hold) (U_t + step k_t) + hold v_0 + gain (K_t dx + K_u_t dv) + offset, in every SIMD lane
  Lane step, gain, hold, offset[NU];
};

struct Rollout {
  Lane x[NX], v[NU], cost;
};

struct Work {  // laid out in search.work, aligned to 64 bytes
  Node* nodes;
  long long used = 0;

  explicit Work(double* at) : nodes((Node*)at) {}
};

static double now(const Search& s) {  // [s]
  using namespace std::chrono;
  return s.clock ? s.clock() : duration<double>(steady_clock::now().time_since_epoch()).count();
}

static void set_law(const Search& s, Law& law, int lane, long long depth, long long primitive) {
  const double* row = s.laws + 3 * primitive;
  law.step.v[lane] = row[0], law.gain.v[lane] = row[1], law.hold.v[lane] = row[2];
  const bool offset = primitive < s.primitives;  // the default policy has none
  for (int j = 0; j < NU; j++)
    law.offset[j].v[lane] = offset ? s.offsets[(depth * s.primitives + primitive) * NU + j] : 0.0;
}

// Roll LANES laws on from stage t to stage `end`. X_new, U_new: where SIMD lane 0 is written down, or null.
static void advance(const Search& s, Rollout& r, long long t, long long end, const Law& law,
                    double* X_new = nullptr, double* U_new = nullptr) {
  Lane u[NU], v_0[NU], next[NX], phi[NX], l;
  std::copy(r.v, r.v + NU, v_0);
  for (; t < end; t++) {
    vec dx[NX], dv[NU];
    for (int i = 0; i < NX; i++) dx[i] = law.gain.v * (r.x[i].v - s.X[t * NX + i]);
    for (int i = 0; i < NU; i++) dv[i] = law.gain.v * (r.v[i].v - s.U[t * NU + i]);  // U begins with u_{-1}
    for (int j = 0; j < NU; j++) {
      const double *row = s.K + (t * NU + j) * NX, *row_u = s.K_u + (t * NU + j) * NU;
      vec a = (1.0 - law.hold.v) * (s.U[(t + 1) * NU + j] + law.step.v * s.k[t * NU + j]) + law.hold.v * v_0[j].v;
      vec b = law.offset[j].v;
      for (int i = 0; i < NX; i++) a += row[i] * dx[i];
      for (int i = 0; i < NU; i++) b += row_u[i] * dv[i];
      a += b;
      a = a > s.u_upper[j] ? Lane(s.u_upper[j]).v : a;
      u[j].v = a < s.u_lower[j] ? Lane(s.u_lower[j]).v : a;
    }
    const Lane* in[3] = {r.x, r.v, u};
    Lane* out[1] = {&l};
    stage_cost(in, out, s.p + t * NP);
    r.cost = r.cost + l;
    if constexpr (MODEL) {
      const Lane* at_xu[2] = {r.x, u};
      Lane* to[1] = {phi};
      model(at_xu, to, s.theta);
    }
    const long long S = s.stages_of_F > 1 ? t : 0;
    for (int i = 0; i < NX; i++) {
      const double* row = s.F + (S * NX + i) * NF;
      vec a = Lane(s.f[S * NX + i]).v, b = {};  // two sums, for the latency
      for (int c = 0; c + 1 < NX; c += 2) a += row[c] * r.x[c].v, b += row[c + 1] * r.x[c + 1].v;
      if (NX % 2) a += row[NX - 1] * r.x[NX - 1].v;
      for (int c = 0; c < NU; c++) b += row[NX + c] * u[c].v;
      next[i].v = MODEL ? a + b + phi[i].v : a + b;
    }
    std::copy(next, next + NX, r.x), std::copy(u, u + NU, r.v);
    if (X_new) {
      for (int i = 0; i < NX; i++) X_new[(t + 1) * NX + i] = r.x[i].v[0];
      for (int j = 0; j < NU; j++) U_new[t * NU + j] = r.v[j].v[0];
    }
  }
}

// The cost of the whole horizon (SIMD lanes) of rollouts at its last stage.
static Lane with_last(const Search& s, const Rollout& r) {
  Lane l;
  const Lane* in[1] = {r.x};
  Lane* out[1] = {&l};
  terminal_cost(in, out, s.p + s.horizon * NP);
  return r.cost + l;
}

static long long stage_of(const Search& s, long long depth) { return std::min(depth * s.length, s.horizon); }

// The discrete policy's logits y (primitives, SIMD lanes) at rollouts before stage t: y = W2 s(W1 [x; v; p_t; U_t] + b1) + b2.
static void logits(const Search& s, const Lane* x, const Lane* v, long long t, Lane* y) {
  constexpr int M = NX + 2 * NU + NP;
  const double* p = s.p + t * NP;
  for (long long k = 0; k < s.primitives; k++) y[k] = Lane(s.b2[k]);
  for (long long h = 0; h < s.units; h++) {
    const double* row = s.W1 + h * M;
    double constant = s.b1[h];
    for (int i = 0; i < NP; i++) constant += row[NX + NU + i] * p[i];
    for (int j = 0; j < NU; j++) constant += row[NX + NU + NP + j] * s.U[(t + 1) * NU + j];
    vec a = Lane(constant).v;
    for (int i = 0; i < NX; i++) a += row[i] * x[i].v;
    for (int j = 0; j < NU; j++) a += row[NX + j] * v[j].v;
    a /= sqrt(Lane(1.0 + a * a)).v;
    for (long long k = 0; k < s.primitives; k++) y[k].v += s.W2[k * s.units + h] * a;
  }
}

// Give the children of a node their primitives and weights: the most probable ones of the policy first.
static void rank(const Search& s, const Node& node, Node* children) {
  const long long P = s.primitives;
  long long order[MOST_PRIMITIVES];
  double weight[MOST_PRIMITIVES];
  for (long long i = 0; i < P; i++) order[i] = i, weight[i] = 1.0;
  if (s.units) {
    Lane x[NX], v[NU], y[MOST_PRIMITIVES];
    for (int i = 0; i < NX; i++) x[i] = Lane(node.x[i]);
    for (int j = 0; j < NU; j++) v[j] = Lane(node.v[j]);
    logits(s, x, v, stage_of(s, node.depth), y);
    double highest = -INFINITY, sum = 0.0;
    for (long long i = 0; i < P; i++) highest = std::max(highest, y[i].v[0]);
    for (long long i = 0; i < P; i++) sum += weight[i] = std::exp(y[i].v[0] - highest);
    if (std::isfinite(sum)) {
      for (long long i = 0; i < P; i++) weight[i] = 1.0 - s.share + s.share * P * (weight[i] / sum);
      std::stable_sort(order, order + P, [&](long long a, long long b) { return weight[a] > weight[b]; });
    } else {
      for (long long i = 0; i < P; i++) weight[i] = 1.0;
    }
  }
  for (long long i = 0; i < P; i++) children[i].primitive = order[i], children[i].weight = weight[order[i]];
}

// Roll on from a depth of the tree to the end by the default policy: one law, or at every depth the primitive to which
// the discrete policy gives the highest probability.
static void complete(const Search& s, Rollout& r, long long depth, double* X_new = nullptr, double* U_new = nullptr) {
  Law law;
  if (!s.continues) {
    for (int lane = 0; lane < LANES; lane++) set_law(s, law, lane, 0, s.primitives);
    return advance(s, r, stage_of(s, depth), s.horizon, law, X_new, U_new);
  }
  Lane y[MOST_PRIMITIVES];
  for (; stage_of(s, depth) < s.horizon; depth++) {
    logits(s, r.x, r.v, stage_of(s, depth), y);
    for (int lane = 0; lane < LANES; lane++) {
      long long chosen = 0;
      for (long long k = 1; k < s.primitives; k++)
        if (y[k].v[lane] > y[chosen].v[lane]) chosen = k;
      set_law(s, law, lane, depth, chosen);
    }
    advance(s, r, stage_of(s, depth), stage_of(s, depth + 1), law, X_new, U_new);
  }
}

// Evaluate the next children of a node, LANES at once: each by its primitive, then the default policy to the end.
static void evaluate(const Search& s, Work& w, long long at) {
  Node& node = w.nodes[at];
  if (node.first < 0) {
    node.first = w.used, w.used += s.primitives;
    rank(s, node, w.nodes + node.first);
  }
  Node* children = w.nodes + node.first + node.evaluated;
  const long long t = stage_of(s, node.depth), end = stage_of(s, node.depth + 1);
  const long long count = std::min<long long>(LANES, s.primitives - node.evaluated);
  Rollout r;
  Law law;
  for (int i = 0; i < NX; i++) r.x[i] = Lane(node.x[i]);
  for (int j = 0; j < NU; j++) r.v[j] = Lane(node.v[j]);
  r.cost = Lane(node.spent);
  for (int lane = 0; lane < LANES; lane++)
    set_law(s, law, lane, node.depth, children[std::min<long long>(lane, count - 1)].primitive);
  advance(s, r, t, end, law);
  for (int lane = 0; lane < count; lane++) {
    Node& child = children[lane];
    child.parent = at, child.first = -1, child.added = child.evaluated = child.visits = 0;
    child.depth = node.depth + 1;
    child.total = 0.0, child.spent = r.cost.v[lane];
    for (int i = 0; i < NX; i++) child.x[i] = r.x[i].v[lane];
    for (int j = 0; j < NU; j++) child.v[j] = r.v[j].v[lane];
  }
  complete(s, r, node.depth + 1);
  const Lane whole = with_last(s, r);
  for (int lane = 0; lane < count; lane++) children[lane].whole = whole.v[lane];
  node.evaluated += count;
}

// Set the cost that is worth nothing: as far above the median of the root's children as the best one is below it.
static void set_range(Search& s, Work& w) {
  double costs[MOST_PRIMITIVES];
  long long n = 0;
  while (w.nodes[0].evaluated < s.primitives) evaluate(s, w, 0);
  for (long long i = 0; i < s.primitives; i++)
    if (std::isfinite(w.nodes[w.nodes[0].first + i].whole)) costs[n++] = w.nodes[w.nodes[0].first + i].whole;
  s.best = INFINITY, s.worst = n ? 0.0 : INFINITY;
  if (!n) return;
  std::sort(costs, costs + n);
  const double median = 0.5 * (costs[(n - 1) / 2] + costs[n / 2]);
  s.worst = median > costs[0] ? std::min(costs[n - 1], median + (median - costs[0])) : costs[n - 1];
}

// The child with the largest UCT score: the mean of its values in [0, 1], and what is not known of it.
static long long select(const Search& s, const Work& w, const Node& node) {
  const double range = s.worst - s.best, log_visits = 2.0 * std::log((double)node.visits);
  long long chosen = node.first;
  double highest = -INFINITY;
  for (long long i = node.first; i < node.first + node.added; i++) {
    const Node& child = w.nodes[i];
    const double N = child.visits, value = range > 0.0 ? (s.worst - child.total / N) / range : 0.0;
    const double score = value + 2.0 * s.exploration * std::sqrt(log_visits / N) * child.weight;
    if (score > highest) highest = score, chosen = i;
  }
  return chosen;
}

static void simulate(Search& s, Work& w) {
  const long long depths = (s.horizon + s.length - 1) / s.length;
  long long at = 0;
  while (w.nodes[at].depth < depths) {
    Node& node = w.nodes[at];
    const double allowed = std::ceil(s.widening * std::pow((double)node.visits, s.growth));
    if (node.added == 0 || (node.added < s.primitives && node.added < allowed)) {
      if (node.added == node.evaluated) evaluate(s, w, at);
      at = node.first + node.added++;
      break;
    }
    at = select(s, w, node);
  }
  const double whole = w.nodes[at].whole;
  if (whole < s.best) s.best = whole;
  const double cost = whole < s.worst ? whole : s.worst;  // also where it is not finite
  for (; at >= 0; at = w.nodes[at].parent) w.nodes[at].visits++, w.nodes[at].total += cost;
}

// The node whose plan is the answer: at the end of the most visited path, or with the lowest cost of all.
static long long answer(const Search& s, const Work& w) {
  long long at = 0;
  if (s.best_answer) {
    for (long long i = 1; i < w.used; i++)
      if (w.nodes[i].visits > 0 && std::isfinite(w.nodes[i].whole) && (at == 0 || w.nodes[i].whole < w.nodes[at].whole))
        at = i;
    return at;
  }
  while (w.nodes[at].added > 0) {
    const Node &node = w.nodes[at];
    long long chosen = node.first;
    for (long long i = node.first + 1; i < node.first + node.added; i++) {
      const Node &a = w.nodes[i], &b = w.nodes[chosen];
      if (a.visits > b.visits || (a.visits == b.visits && a.total < b.total)) chosen = i;
    }
    at = chosen;
  }
  return at;
}

extern "C" {
long long work_size(long long simulations, long long primitives) {  // [doubles]
  return (1 + (simulations + 1) * primitives) * sizeof(Node) / sizeof(double) + 1;
}

// Roll the first path_length primitives of `path` out, then the default policy, into X_new, U_new and cost.
void roll(Search* s) {
  Rollout r;
  Law law;
  r.cost = Lane(0.0);
  for (int i = 0; i < NX; i++) r.x[i] = Lane(s->x0[i]), s->X_new[i] = s->x0[i];
  for (int j = 0; j < NU; j++) r.v[j] = Lane(s->u_previous[j]);
  for (long long d = 0; d < s->path_length; d++) {
    for (int lane = 0; lane < LANES; lane++) set_law(*s, law, lane, d, (long long)s->path[d]);
    advance(*s, r, stage_of(*s, d), stage_of(*s, d + 1), law, s->X_new, s->U_new);
  }
  complete(*s, r, s->path_length, s->X_new, s->U_new);
  s->cost = with_last(*s, r).v[0];
}

// Search, and roll the answer out.
void search(Search* s) {
  const double begin = now(*s);
  Work w(s->work);
  Node& root = w.nodes[0];
  root.parent = root.first = -1, root.added = root.evaluated = root.visits = root.depth = 0;
  root.total = root.spent = root.whole = 0.0;
  std::copy(s->x0, s->x0 + NX, root.x), std::copy(s->u_previous, s->u_previous + NU, root.v);
  w.used = 1;
  set_range(*s, w);
  s->simulations_done = s->out_of_time = s->path_length = 0;
  while (s->simulations_done < s->simulations && !s->out_of_time) {
    simulate(*s, w);
    s->simulations_done++;
    s->out_of_time = s->time_budget > 0.0 && now(*s) - begin > s->time_budget;
  }
  for (long long i = 0; i < s->primitives; i++) {
    const Node& child = w.nodes[root.first + i];
    const bool added = i < root.added;
    s->counts[child.primitive] = added ? child.visits : 0, s->totals[child.primitive] = added ? child.total : 0.0;
  }
  const long long found = answer(*s, w);
  s->path_length = w.nodes[found].depth;
  for (long long at = found; at > 0; at = w.nodes[at].parent)
    s->path[w.nodes[at].depth - 1] = w.nodes[at].primitive;
  roll(s);
}
}
