// Costs of many command sequences, LANES rollouts at once: one SIMD lane is one rollout. sampling/rollouts.py is the
// specification.
#pragma once
#include <thread>
#include <vector>
#include "rollout.h"

struct Samples {
  const Tick& tick;
  const Work& w;
  long long count;
  const double* U;  // (count, H, NU)
  double *cost, *X;  // (count,), and the states (count, H+1, NX) or null

  // The rollouts [begin, end), begin a multiple of LANES; the last SIMD lanes repeat the last rollout.
  void roll(long long begin, long long end) const {
    const long long H = tick.horizon;
    Lane x[2][NX], u[2][NU];
    for (long long first = begin; first < end; first += LANES) {
      const double* from[LANES];
      for (int l = 0; l < LANES; l++) from[l] = U + (first + l < end ? first + l : end - 1) * H * NU;
      for (int i = 0; i < NX; i++) x[0][i] = Lane(tick.x0[i]);
      for (int i = 0; i < NU; i++) u[1][i] = Lane(tick.u_previous[i]);
      Lane total(0.0), l;
      Lane* out[1] = {&l};
      for (long long t = 0; t < H; t++) {
        Lane *now = x[t % 2], *next = x[1 - t % 2], *v = u[1 - t % 2], *command = u[t % 2];
        for (int i = 0; i < NU; i++)
          for (int s = 0; s < LANES; s++) command[i].v[s] = from[s][t * NU + i];
        const Lane* in[3] = {now, v, command};
        stage_cost(in, out, tick.p + t * NP);
        total = total + l;
        if (X) write(now, first, end, t);
        step<1>(tick, w, t, {now}, {command}, {next});
      }
      const Lane* in[1] = {x[H % 2]};
      terminal_cost(in, out, tick.p + H * NP);
      total = total + l;
      if (X) write(x[H % 2], first, end, H);
      for (int s = 0; s < LANES && first + s < end; s++) cost[first + s] = total.v[s];
    }
  }

  void write(const Lane* x, long long first, long long end, long long t) const {
    for (int s = 0; s < LANES && first + s < end; s++)
      for (int i = 0; i < NX; i++) X[((first + s) * (tick.horizon + 1) + t) * NX + i] = x[i].v[s];
  }

  // U of sample k = mean + factor_k deviation (mixing white_k), clamped; mixing (H, H), white (count, H, NU), mean and
  // deviation (H, NU).
  static void disturb(const Tick& tick, Work& w, long long count, const double* mixing, const double* white,
                      const double* factor, const double* mean, const double* deviation, double* U) {
    const long long H = tick.horizon;
    const Padded<NU> low(tick.u_lower), high(tick.u_upper);
    auto* rows = (Padded<NU>*)w.u;
    for (long long k = 0; k < count; k++, white += H * NU, U += H * NU) {
      for (long long t = 0; t < H; t++) rows[t] = Padded<NU>(white + t * NU);
      for (long long t = 0; t < H; t++) {
        const double* m = mixing + t * H;
        Padded<NU> sum, out(mean + t * NU);
        const Padded<NU> d(deviation + t * NU);
        for (long long s = 0; s < H; s++)
          for (int b = 0; b < UB; b++) sum.v[b] += m[s] * rows[s].v[b];
        for (int b = 0; b < UB; b++)
          out.v[b] = clamp<vec>(out.v[b] + factor[k] * d.v[b] * sum.v[b], low.v[b], high.v[b]);
        out.store(U + t * NU);
      }
    }
  }

  // In so many threads, this one among them; fewer where the system gives no more.
  void roll_in(long long threads) const {
    const long long groups = (count + LANES - 1) / LANES;
    threads = threads < groups ? threads : groups;
    const auto part = [&](long long n) {
      const long long end = groups * (n + 1) / threads * LANES;
      roll(groups * n / threads * LANES, end < count ? end : count);
    };
    std::vector<std::thread> others;
    long long started = 1;
    try {
      for (others.reserve(threads); started < threads; started++) others.emplace_back(part, started);
    } catch (const std::exception&) {
    }
    part(0);
    for (long long n = started; n < threads; n++) part(n);
    for (auto& other : others) other.join();
  }
};
