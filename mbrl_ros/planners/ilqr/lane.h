// Lane: LANES doubles worked on at once, the SIMD lanes of the processor's vector registers.
// One SIMD lane is one stage of the horizon (cost expansions) or one step size (rollouts).
#pragma once
#include <cmath>

#if defined(__AVX512F__)
constexpr int LANES = 8;
#elif defined(__AVX__)
constexpr int LANES = 4;
#else
constexpr int LANES = 2;
#endif
typedef double vec __attribute__((vector_size(8 * LANES)));

struct Lane {
  vec v;
  Lane() = default;
  Lane(double d) { for (int i = 0; i < LANES; i++) v[i] = d; }
  Lane(vec other) : v(other) {}
};

static inline Lane operator+(Lane a, Lane b) { return a.v + b.v; }
static inline Lane operator-(Lane a, Lane b) { return a.v - b.v; }
static inline Lane operator*(Lane a, Lane b) { return a.v * b.v; }
static inline Lane operator/(Lane a, Lane b) { return a.v / b.v; }
static inline Lane operator-(Lane a) { return -a.v; }

#define EACH(name, expression)                                   \
  static inline Lane name(Lane a) {                              \
    Lane r;                                                      \
    for (int i = 0; i < LANES; i++) { double x = a.v[i]; r.v[i] = expression; } \
    return r;                                                    \
  }
#define EACH2(name, expression)                                  \
  static inline Lane name(Lane a, Lane b) {                      \
    Lane r;                                                      \
    for (int i = 0; i < LANES; i++) { double x = a.v[i], y = b.v[i]; r.v[i] = expression; } \
    return r;                                                    \
  }

// glibc's vector mathematics (libmvec) where it can be linked, else one SIMD lane after the other.
#if defined(LIBMVEC) && defined(__x86_64__)
#if defined(__AVX512F__)
#define MVEC(name) _ZGVeN8v_##name
#elif defined(__AVX2__)
#define MVEC(name) _ZGVdN4v_##name
#elif defined(__AVX__)
#define MVEC(name) _ZGVcN4v_##name
#else
#define MVEC(name) _ZGVbN2v_##name
#endif
#define WIDE(name) \
  extern "C" vec MVEC(name)(vec); \
  static inline Lane name(Lane a) { return MVEC(name)(a.v); }
#else
#define WIDE(name) EACH(name, std::name(x))
#endif
WIDE(sin) WIDE(cos) WIDE(exp) WIDE(log)

EACH(sqrt, __builtin_sqrt(x)) EACH(tan, std::tan(x)) EACH(asin, std::asin(x)) EACH(acos, std::acos(x))
EACH(atan, std::atan(x)) EACH(sinh, std::sinh(x)) EACH(cosh, std::cosh(x)) EACH(tanh, std::tanh(x))
EACH(expm1, std::expm1(x)) EACH(log1p, std::log1p(x)) EACH(erf, std::erf(x)) EACH(fabs, std::fabs(x))
EACH(floor, std::floor(x)) EACH(ceil, std::ceil(x)) EACH(sign, x > 0 ? 1.0 : x < 0 ? -1.0 : x) EACH(negate, x == 0)
EACH2(pow, std::pow(x, y)) EACH2(atan2, std::atan2(x, y)) EACH2(hypot, std::hypot(x, y))
EACH2(fmin, x < y ? x : y) EACH2(fmax, x > y ? x : y) EACH2(less, x < y) EACH2(less_equal, x <= y)
EACH2(equal, x == y) EACH2(different, x != y) EACH2(both, x != 0 && y != 0) EACH2(either, x != 0 || y != 0)
EACH2(select, x != 0 ? y : 0.0)
