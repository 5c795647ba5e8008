// Known rows of the dynamics. In x = [q; qd; s; sd], with as many joints as there are commands and with or without features,
// all follows from the rows R of qd' over [q; qd; u] (dynamics/state_equations.py):
//     q' = q + b qd + h qd' + ..,   s' = s + c sd + g sd' + ..,   sd' = G qd' + ..       b, c, g, h diagonal
// Products with F then have as many terms as there are joints. All of it is looked for in the numbers, so that it does not
// matter where the dynamics come from. Where a row is more than that, beyond rounding, F is used as it is.
#pragma once
#include "tick.h"

constexpr double ROUNDING = 16.0 * 2.220446049250313e-16;  // relative to the largest entry of a row
constexpr double LARGEST_SHARE = 10.0;  // of h qd' in q', of which q itself has 1: with more, digits would be lost

// Whether row `position` is that of a position whose velocity has row `velocity`, with h (or g) and b (or c).
static bool find_pair(const vec (*F)[FB], int position, int velocity, double& h, double& b) {
  double p[FB * LANES], v[FB * LANES], largest = 0.0;
  for (int c = 0; c < FB * LANES; c++) p[c] = at(F[position], c), v[c] = at(F[velocity], c);
  const double p_own = p[position], v_own = v[position], p_velocity = p[velocity], v_velocity = v[velocity];
  for (int c : {position, velocity}) p[c] = v[c] = 0.0;
  h = 0.0;
  for (int c = 0; c < FB * LANES; c++)
    if (std::fabs(v[c]) > largest) largest = std::fabs(v[c]), h = p[c] / v[c];
  const double bound = ROUNDING * std::fabs(h) * largest;
  for (int c = 0; c < FB * LANES; c++)
    if (!(std::fabs(p[c] - h * v[c]) <= bound)) return false;
  b = p_velocity - h * v_velocity;
  return std::fabs(p_own - h * v_own - 1.0) <= ROUNDING * (1.0 + std::fabs(h * v_own)) &&
         std::fabs(h) * (std::fabs(v_own) + std::fabs(v_velocity)) <= LARGEST_SHARE;
}

// G of the rows of sd', by elimination over the columns [q; qd; u]; false if there is none.
static bool find_jacobian(const vec (*F)[FB], KnownRows& known) {
  constexpr int COLUMNS = S0 + NU, SIZE = JOINTS + FEATURES;
  double A[COLUMNS][SIZE], largest[SIZE] = {};  // [R^T, F_sd^T], and the largest entries of their columns
  for (int r = 0; r < SIZE; r++) {
    const vec* row = F[r < JOINTS ? JOINTS + r : SD0 + r - JOINTS];
    for (int c = S0; c < NX; c++) if (at(row, c) != 0.0) return false;
    for (int c = 0; c < COLUMNS; c++) {
      A[c][r] = at(row, c < S0 ? c : U0 + c - S0);
      largest[r] = std::fmax(largest[r], std::fabs(A[c][r]));
    }
  }
  for (int j = 0; j < JOINTS; j++) {
    int pivot = j;
    for (int c = j + 1; c < COLUMNS; c++) if (std::fabs(A[c][j]) > std::fabs(A[pivot][j])) pivot = c;
    if (!(std::fabs(A[pivot][j]) > 0.0)) return false;
    for (int r = 0; r < SIZE; r++) std::swap(A[j][r], A[pivot][r]);
    for (int c = j + 1; c < COLUMNS; c++) {
      const double factor = A[c][j] / A[j][j];
      for (int r = j; r < SIZE; r++) A[c][r] -= factor * A[j][r];
    }
  }
  for (int a = 0; a < FEATURES; a++) {
    double bound = 0.0;
    for (int j = JOINTS - 1; j >= 0; j--) {
      double value = A[j][JOINTS + a];
      for (int i = j + 1; i < JOINTS; i++) value -= A[j][i] * at(known.G[a], i);
      at(known.G[a], j) = value / A[j][j];
      bound += ROUNDING * std::fabs(at(known.G[a], j)) * largest[j];
    }
    for (int c = JOINTS; c < COLUMNS; c++) if (!(std::fabs(A[c][JOINTS + a]) <= bound)) return false;  // what is left
  }
  return true;
}

// Whether all rows of a stage follow from those of qd', and how.
static bool find_known_rows(const vec (*F)[FB], KnownRows& known) {
  known = {};
  double h, b;
  for (int i = 0; i < JOINTS + FEATURES; i++) {
    const int position = i < JOINTS ? i : JOINTS + i, velocity = position + (i < JOINTS ? JOINTS : FEATURES);
    if (!find_pair(F, position, velocity, h, b)) return false;
    (i < JOINTS ? at(known.h, i) : known.g[i - JOINTS]) = h;
    at(known.own, position) = 1.0, at(known.own, velocity) = at(i < JOINTS ? known.b : known.c, velocity) = b;
  }
  if constexpr (FEATURES > 0) return find_jacobian(F, known);
  return JOINTS > 0;
}

// factor_l r[first + l - by] for the lanes l from index `from` on, else 0. What lies before r is not read: it may be no
// number, and 0 times that is none either.
template <int first, int from, int by> static inline vec moved(vec factor, const double* r) {
  if constexpr (first >= by) return factor * load(r + first - by);
  vec part = {};
  for (int l = from > first ? from - first : 0; l < LANES; l++) part[l] = factor[l] * r[first + l - by];
  return part;
}

// Block `block` of the row [r_q, b r_q, r_s, c r_s] over x, r a row over x.
template <int block> static inline vec known_part(const KnownRows& known, const double* r) {
  constexpr int first = block * LANES, end = first + LANES;
  constexpr bool q = first < JOINTS, qd = first < S0 && end > JOINTS;
  constexpr bool s = FEATURES > 0 && first < SD0 && end > S0, sd = FEATURES > 0 && first < NX && end > SD0;
  vec part = {};
  if constexpr (qd) part = moved<first, JOINTS, JOINTS>(known.b[block], r);
  if constexpr (sd) part += moved<first, SD0, FEATURES>(known.c[block], r);
  if constexpr (q || s) {
    vec kept = load(r + first);
    for (int l = 0; l < LANES; l++)
      if (!(first + l < JOINTS || (first + l >= S0 && first + l < SD0))) kept[l] = 0.0;
    part = qd || sd ? part + kept : kept;
  }
  return part;
}
