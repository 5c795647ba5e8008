// Products of a matrix, whose rows lie one after the other, with a vector.
#pragma once
#include "tick.h"

// body(n) for n = 0 .. N-1 with n a constant, so that a table's entries become addresses.
template <class Body, int... n> static inline void each(std::integer_sequence<int, n...>, Body body) {
  (body(std::integral_constant<int, n>{}), ...);
}
template <int N, class Body> static inline void each(Body body) { each(std::make_integer_sequence<int, N>{}, body); }

// The entries of a and b with these numbers.
template <int... entries> static inline vec mixed(vec a, vec b) {
#if defined(__clang__)
  return __builtin_shufflevector(a, b, entries...);
#else
  return __builtin_shuffle(a, b, bits{entries...});
#endif
}
// The sums of the entries of N vectors, N <= LANES, as the first entries of one: neighbors are added, then pairs, then halves.
template <int N> static inline vec sums(const vec* a) {
  vec s[LANES] = {};
  for (int n = 0; n < N; n++) s[n] = a[n];
  if constexpr (LANES == 8) {
    vec pairs[4], halves[2];
    for (int n = 0; n < 4; n++)
      pairs[n] = mixed<0, 8, 2, 10, 4, 12, 6, 14>(s[2 * n], s[2 * n + 1]) + mixed<1, 9, 3, 11, 5, 13, 7, 15>(s[2 * n], s[2 * n + 1]);
    for (int n = 0; n < 2; n++)
      halves[n] = mixed<0, 1, 8, 9, 4, 5, 12, 13>(pairs[2 * n], pairs[2 * n + 1]) +
                  mixed<2, 3, 10, 11, 6, 7, 14, 15>(pairs[2 * n], pairs[2 * n + 1]);
    return mixed<0, 1, 2, 3, 8, 9, 10, 11>(halves[0], halves[1]) + mixed<4, 5, 6, 7, 12, 13, 14, 15>(halves[0], halves[1]);
  } else if constexpr (LANES == 4) {
    const vec low = mixed<0, 4, 2, 6>(s[0], s[1]) + mixed<1, 5, 3, 7>(s[0], s[1]);
    const vec high = mixed<0, 4, 2, 6>(s[2], s[3]) + mixed<1, 5, 3, 7>(s[2], s[3]);
    return mixed<0, 1, 4, 5>(low, high) + mixed<2, 3, 6, 7>(low, high);
  } else {
    return mixed<0, 2>(s[0], s[1]) + mixed<1, 3>(s[0], s[1]);
  }
}

// M_i z of N rows i of M, each of COLUMNS doubles and the next one `row` doubles further, z padded with zeros,
// are added to `to`. What lies behind a row is read, and left out.
template <int N, int COLUMNS> static inline void add_products(vec* to, const double* M, int row, const vec* z) {
  constexpr int B = (COLUMNS + LANES - 1) / LANES;
  const auto part = [&](int i, int b) {
    const vec whole = load(M + i * row + b * LANES);
    return COLUMNS % LANES > 0 && b == B - 1 ? first_of<COLUMNS % LANES>(whole) : whole;
  };
  each<(N + LANES - 1) / LANES>([&](auto block) {
    constexpr int first = block * LANES, count = N - first < LANES ? N - first : LANES;
    vec a[count];
    for (int n = 0; n < count; n++) a[n] = part(first + n, 0) * z[0];
#pragma GCC unroll 16
    for (int b = 1; b < B; b++)
      for (int n = 0; n < count; n++) a[n] += part(first + n, b) * z[b];
    to[block] += sums<count>(a);
  });
}
