// The Riccati recursion.
#pragma once
#include "barrier.h"
#include "kl_constraint.h"
#include "known_products.h"

static void begin_value(const Tick& tick, const Work& w, Matrices& m) {
  clear(m.V[0], NZ * ROW), clear(m.s, ROW), clear(m.q, ROW);
  for (auto* rows : {m.Qu, m.Y, m.Z, m.K}) clear((double*)rows, NU * ROW);
  clear((double*)m.U, (JOINTS + 1) * ROW), clear((double*)m.T, (FEATURES + 1) * ROW);
  for (int i = 0; i < NX; i++) m.s[i] = w.last[i].v[0];
  for (int n = 0; n < N_LAST; n++) m.V[LAST[n][0]][LAST[n][1]] = w.last[NX + n].v[0];
  add_limits(tick, tick.horizon, w.X + tick.horizon * NX, m.V, m.s);
  m.mirror();
}

// phi's second derivatives, weighted by the value gradient s: entries over [x; u] for Q_u. and for V_x. (DDP).
static void curvature(const Tick& tick, const Work& w, const Matrices& m, long long t, Lane* out) {
  if constexpr (CURVATURE) {
    Lane x[NX], u[NU], s[NX];
    for (int i = 0; i < NX; i++) x[i] = Lane(w.X[t * NX + i]), s[i] = Lane(m.s[i]);
    for (int i = 0; i < NU; i++) u[i] = Lane(w.U[(t + 1) * NU + i]);
    const Lane* in[4] = {x, u, nullptr, s};
    Lane* results[1] = {out};
    model_curvature(in, results, tick.theta);
  }
}

// The rows of K and K_u of a stage; those of clamped commands are zero.
static inline void write_gains(Work& w, const Matrices& m, const BoxQP& box, long long t) {
  const vec* rows[NU] = {};
  w.free_rows[t] = 0;
  for (int n = 0; n < box.count; n++) rows[box.i[n]] = m.K[n], w.free_rows[t] |= 1LL << box.i[n] % 64;
  static const vec zero[ZB] = {};
  for (int j = 0; j < NU; j++) {
    const vec* row = rows[j] ? rows[j] : zero;
    store_row<NX>(w.K + t * NU * NX, j, row);
    if constexpr (NV > 0) store_row<NU>(w.K_u + t * NU * NU, j, row + FB);
  }
}

// The value function before the gap of a stage: s += V gap.
static inline void add_gap(const double* gap, Matrices& m, double& slope, double& curve) {
  alignas(64) vec rise[1][ZB] = {};
  multiply<NX>(rise, gap, 0, 1, (const vec*)m.V[0], ZB);
  for (int i = 0; i < NX; i++) slope += m.s[i] * gap[i], curve += 0.5 * gap[i] * at(rise[0], i);
  for (int b = 0; b < ZB; b++) ((vec*)m.s)[b] += rise[0][b];
}

static void record(double* trace, const Matrices& m, long long t);

constexpr bool has_mixed_entries() {  // of the cost, over commands and states
  for (int n = 0; n < N_U; n++) if (U_ENTRY[n][1] < NX) return true;
  return false;
}

// limit - u, 0 for a command that has met it but for rounding; see step_to in box_qp.py.
static inline vec step_to(vec limit, vec u) {
  constexpr double ROUNDING_OF_LIMIT = 16.0 * 2.220446049250313e-16;
  const vec left = limit - u, near = ROUNDING_OF_LIMIT * limit;
  return (left * left < near * near) ? vec{} : left;
}

static inline void widen(BoxQP& box, Clamping clamping) {  // step_limits
  for (int i = 0; i < NU; i++) {
    if (clamping == CLAMP_NONE || at(box.lower, i) < 0.0) at(box.lower, i) = -UNLIMITED;
    if (clamping == CLAMP_NONE || at(box.upper, i) > 0.0) at(box.upper, i) = UNLIMITED;
  }
}

// Fills K, K_u, k, Q_uu of w. The model predicts J(alpha) - J = alpha slope + alpha^2 curve. False: Q_uu + mu I is not
// positive definite over the free commands of some stage. SECOND_ORDER: with the second derivatives of phi. KNOWN: there
// are known rows in all stages.
template <bool SECOND_ORDER, bool KNOWN> static bool pass_back(const Tick& tick, Work& w, double& slope, double& curve) {
  constexpr bool MIXED = KL_CONSTRAINED || SECOND_ORDER || has_mixed_entries();
  Matrices m;
  BoxQP box = {};
  alignas(64) vec u[UB] = {}, u_lower[UB] = {}, u_upper[UB] = {};
  const auto take_limits = [&](long long t) {
    std::memcpy(u_lower, tick.u_lower + t * NU, NU * sizeof(double));
    std::memcpy(u_upper, tick.u_upper + t * NU, NU * sizeof(double));
  };
  const Clamping clamping = GAPS && w.open ? CLAMP_NONE : w.clamping;
  take_limits(0);
  begin_value(tick, w, m);
  slope = curve = 0.0;
  for (long long t = tick.horizon - 1; t >= 0; t--) {
    const long long stage = MODEL || tick.stages_of_F > 1 ? t : 0;
    const vec (*F)[FB] = w.F[stage];
    const KnownRows& known = w.known[stage];
    const double* e = (const double*)w.expansion[t / LANES] + t % LANES;  // entry n of this stage's expansion: e[n * LANES]
    const double* h = e + NZ * LANES;
    if (GAPS && w.open) add_gap(w.gaps + t * NX, m, slope, curve);
    Lane c[N_CURVE + 1];
    if constexpr (SECOND_ORDER) curvature(tick, w, m, t, c);

    if constexpr (KNOWN) begin_known_stage(m, F, known);
    else begin_stage<MIXED>(m, F);
    each<N_U>([&](auto n) { at(m.Qu[U_ENTRY[n][0]], column(U_ENTRY[n][1])) += h[U_ENTRY[n][2] * LANES]; });
    for (int n = 0; n < (SECOND_ORDER ? N_CU : 0); n++)
      at(m.Qu[CU_ENTRY[n][0]], column(CU_ENTRY[n][1])) += c[CU_ENTRY[n][2]].v[0];
    each<NZ>([&](auto i) { m.q[column(i)] += e[i * LANES]; });
    KlTerm kl_term(tick, w, t);  // towards the previous controller
    kl_term.add_to(m.Qu, m.q);

    for (int i = 0; i < NU; i++) {
      for (int b = 0; b < UB; b++) box.Q[i][b] = m.Qu[i][XB + b];
      store_row<NU>(w.Q_uu + t * NU * NU, i, box.Q[i]);
      at(box.Q[i], i) += tick.mu;
    }
    for (int b = 0; b < UB; b++) box.q[b] = ((vec*)m.q)[XB + b];
    std::memcpy(u, w.U + (t + 1) * NU, NU * sizeof(double));
    if (tick.stages_of_limits > 1) take_limits(t);
    for (int b = 0; b < UB; b++) box.lower[b] = step_to(u_lower[b], u[b]), box.upper[b] = step_to(u_upper[b], u[b]);
    if (clamping != CLAMP_STEP) widen(box, clamping);
    if (!box.minimise()) return false;
    const double* k = (const double*)box.k;
    std::memcpy(w.k + t * NU, k, NU * sizeof(double));

    vec change[ZB];  // Q_.u k
    if constexpr (KNOWN) take_commands<0, XB>(m, box.k, change);
    else command_rows<MIXED>(m, F, box, tick.trace != nullptr, change);
    take_commands<XB, ZB>(m, box.k, change);
    for (int b = 0; b < ZB; b++) ((vec*)m.s)[b] = ((vec*)m.q)[b] + change[b];
    for (int i = 0; i < NU; i++) slope += k[i] * m.q[U0 + i], curve += 0.5 * k[i] * at(change, U0 + i);
    box.count == NU ? m.solve<true>(box) : m.solve<false>(box);
    write_gains(w, m, box, t);

    if constexpr (KNOWN) state_rows(KnownStateRows{m, F + JOINTS, known});
    else state_rows(StateRows{m, F});
    if constexpr (NV > 0) by_parts<NF, NZ, XB>(PreviousRows{m}), by_parts<NF, NZ, ZB, FB>(PreviousRows{m});
    each<N_V>([&](auto n) { m.V[V_ENTRY[n][0]][column(V_ENTRY[n][1])] += h[V_ENTRY[n][2] * LANES]; });
    for (int n = 0; n < (SECOND_ORDER ? N_CV : 0); n++)
      m.V[CV_ENTRY[n][0]][column(CV_ENTRY[n][1])] += c[CV_ENTRY[n][2]].v[0];
    if (t > 0) add_limits(tick, t, w.X + t * NX, m.V, m.s);
    kl_term.add_to(m.V);
    if (tick.mu > 0.0)  // the gains are those of Q_uu + mu I, their value is that under Q_uu
      for (int j = 0; j < box.count; j++) {
        const double* K = (double*)m.K[j];
        for (int i = 0; i < NZ; i++) {
          const double mu_K = tick.mu * K[column(i)];
          for (int n = 0; n < NZ; n++) m.V[i][column(n)] -= mu_K * K[column(n)];
          m.s[column(i)] -= mu_K * k[box.i[j]];
        }
      }
    m.mirror();
    if (tick.trace) record(tick.trace, m, t);
  }
  return true;
}

template <bool SECOND_ORDER> static bool backward(const Tick& tick, Work& w, double& slope, double& curve) {
  if constexpr (JOINTS > 0)
    if (*w.all_known) return pass_back<SECOND_ORDER, true>(tick, w, slope, curve);
  return pass_back<SECOND_ORDER, false>(tick, w, slope, curve);
}

// Q_u. and V (nu + nz rows of nz), q and s (nz), as the tests compare them with those of numpy_ilqr.py.
static void record(double* trace, const Matrices& m, long long t) {
  double* to = trace + t * (NU + NZ + 2) * NZ;
  const auto add = [&to](const double* row) { for (int i = 0; i < NZ; i++) *to++ = row[column(i)]; };
  for (int i = 0; i < NU; i++) add((const double*)m.Qu[i]);
  for (int i = 0; i < NZ; i++) add(m.V[i]);
  add(m.q), add(m.s);
}
