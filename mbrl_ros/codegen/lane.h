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

// Sine and cosine at once, with one reduction for both: a = n pi/2 + r, |r| <= pi/4, where pi/2 is the sum of three numbers, of
// which the first two have so few digits that their products with n are exact; polynomials in r^2 through Chebyshev's nodes,
// whose errors are below 4e-17; then n mod 4 swaps the two and gives their signs. Larger arguments go to the library.
static inline void sincos(Lane a, Lane& sine, Lane& cosine) {
  typedef long long bits __attribute__((vector_size(8 * LANES)));
  constexpr double LARGEST = 1048576.0, TO_INTEGER = 6755399441055744.0;  // 1.5 2^52: its last digits are integers
  const vec x = a.v, all = Lane(TO_INTEGER).v, turned = x * 0x1.45f306dc9c883p-1 + all, n = turned - all;
  const vec r = ((x - n * 0x1.921fb54400000p+0) - n * 0x1.0b4611a600000p-34) - n * 0x1.3198a2e037073p-69, y = r * r;
  const vec s = r + r * y * (-0.16666666666666666 + y * (0.008333333333330946 + y * (-0.0001984126983675497 +
                    y * (2.755731610068312e-06 + y * (-2.5051131455447428e-08 + y * 1.591810123167728e-10)))));
  const vec c = (1.0 - 0.5 * y) + y * y * (0.041666666666666664 + y * (-0.0013888888888887395 + y * (2.4801587298763433e-05 +
                    y * (-2.7557317270560385e-07 + y * (2.087614602470193e-09 + y * -1.1382614869434128e-11)))));
  const bits quarter = (bits)turned, odd = -(quarter & 1), swapped = ((bits)s ^ (bits)c) & odd;
  sine.v = (vec)((bits)s ^ swapped ^ ((quarter & 2) << 62));
  cosine.v = (vec)((bits)c ^ swapped ^ (((quarter + 1) & 2) << 62));
  const vec size = (vec)((bits)x & 0x7fffffffffffffffLL);
  double total = size[0];
  for (int i = 1; i < LANES; i++) total += size[i];
  for (int i = 0; i < (total < LARGEST ? 0 : LANES); i++) sine.v[i] = std::sin(x[i]), cosine.v[i] = std::cos(x[i]);
}

EACH(sqrt, __builtin_sqrt(x)) EACH(tan, std::tan(x)) EACH(asin, std::asin(x)) EACH(acos, std::acos(x))
EACH(atan, std::atan(x)) EACH(sinh, std::sinh(x)) EACH(cosh, std::cosh(x)) EACH(tanh, std::tanh(x))
EACH(expm1, std::expm1(x)) EACH(log1p, std::log1p(x)) EACH(erf, std::erf(x)) EACH(fabs, std::fabs(x))
EACH(floor, std::floor(x)) EACH(ceil, std::ceil(x)) EACH(sign, x > 0 ? 1.0 : x < 0 ? -1.0 : x) EACH(negate, x == 0)
EACH2(pow, std::pow(x, y)) EACH2(atan2, std::atan2(x, y)) EACH2(hypot, std::hypot(x, y))
EACH2(fmin, x < y ? x : y) EACH2(fmax, x > y ? x : y) EACH2(less, x < y) EACH2(less_equal, x <= y)
EACH2(equal, x == y) EACH2(different, x != y) EACH2(both, x != 0 && y != 0) EACH2(either, x != 0 || y != 0)
EACH2(select, x != 0 ? y : 0.0)
