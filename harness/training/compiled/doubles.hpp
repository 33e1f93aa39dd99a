// Functions of one number in double precision, the same on every machine: sums and products, but no library.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

static inline double power_of_two(int n) { const uint64_t bits = uint64_t(n + 1023) << 52; double y; memcpy(&y, &bits, 8); return y; }
static inline double rounded(double x) { return (x + 6755399441055744.0) - 6755399441055744.0; }  // |x| < 2^51

// exp(r) - 1 for |r| < .75, by its series.
static inline double exp_minus_1(double r) {
  double p = 1;
  for (int k = 20; k > 1; k--) p = 1 + r / k * p;
  return r * p;
}
static inline double double_exp(double x) {
  if (x != x) return x;
  const double bounded = x > 720 ? 720 : x < -760 ? -760 : x, n = rounded(bounded * 1.4426950408889634);
  const double r = bounded - n * 0.693147180369123816490 - n * 1.90821492927058770002e-10;
  const int half = int(n) / 2;
  return (1 + exp_minus_1(r)) * power_of_two(half) * power_of_two(int(n) - half);
}
static inline double double_log(double x) {  // n ln 2 + 2 atanh(s), s = (m - 1) / (m + 1), m in [sqrt(1/2), sqrt(2))
  if (!(x > 0)) return x == 0 ? -INFINITY : x == x ? NAN : x;
  if (x == INFINITY) return x;
  const bool small = x < 2.2250738585072014e-308;
  if (small) x *= 18014398509481984.0;
  int64_t bits; memcpy(&bits, &x, 8);
  const int64_t n = (bits - 0x3fe6a09e667f3bcd) >> 52;
  bits -= n * (int64_t(1) << 52);
  double m; memcpy(&m, &bits, 8);
  const double s = (m - 1) / (m + 1), z = s * s;
  double p = 0;
  for (int k = 25; k > 1; k -= 2) p = p * z + 1.0 / k;
  const double e = double(n) - (small ? 54 : 0);
  return e * 0.693147180369123816490 + (2 * s + (2 * s * z * p + e * 1.90821492927058770002e-10));
}
static inline double double_sigmoid(double x) { return 1 / (1 + double_exp(-x)); }
static inline double double_tanh(double x) {
  if (x < 0) return -double_tanh(-x);
  if (x < .35) { const double up = exp_minus_1(2 * x); return up / (up + 2); }
  return 1 - 2 / (double_exp(2 * x) + 1);
}
static inline double double_pow(double base, double exponent) {  // whole exponents by squaring
  if (exponent == std::floor(exponent) && exponent >= 0 && exponent <= 1e9) {
    double found = 1;
    for (long n = (long)exponent; n; n >>= 1, base *= base) if (n & 1) found *= base;
    return found;
  }
  return double_exp(exponent * double_log(base));
}

// x - q pi / 2 for the whole q next to it, in (-1, 1), and q modulo 4. |x| >= 2^26 is a float, a whole number m 2^e:
// the bits of 2 / pi that make multiples of 4 are left out, and the product is taken modulo 2^128.
static inline double reduced(double x, int* quadrant) {
  static const uint32_t two_over_pi[9] = {0xA2F9836E, 0x4E441529, 0xFC2757D1, 0xF534DDC0, 0xDB629599, 0x3C439041, 0xFE5163AB, 0xDEBBC561, 0xB7246E3A};
  if (std::fabs(x) < 67108864.0) {
    const double q = rounded(x * 0.63661977236758134308);
    *quadrant = int(int64_t(q) & 3);
    return x - q * 1.57079631090164184570 - q * 1.5893254712295857e-08 - q * 6.123233995736766e-17;
  }
  uint64_t bits; memcpy(&bits, &x, 8);
  const int e = int(bits >> 52 & 0x7ff) - 1075 + 29, s = e - 2;  // the lowest 29 bits of a float are 0
  const uint64_t m = ((bits & 0xfffffffffffffULL) | 0x10000000000000ULL) >> 29;
  unsigned __int128 window = 0;
  for (int i = 0; i < 4; i++) window = window << 32 | two_over_pi[s / 32 + i];
  if (s % 32) window = window << (s % 32) | two_over_pi[s / 32 + 4] >> (32 - s % 32);
  unsigned __int128 turns = window * m + ((unsigned __int128)1 << 125);  // rounds to the next quadrant
  *quadrant = int(uint64_t(turns >> 126));
  const int64_t rest = int64_t(uint64_t((turns << 2) >> 64) - 0x8000000000000000ULL);
  const double r = double(rest) * (1.57079632679489661923 / 18446744073709551616.0);
  if (x < 0) { *quadrant = -*quadrant & 3; return -r; }
  return r;
}
// sin(x), or with quarter 1 cos(x), of a float; NaN where x is not finite.
static inline double of_angle(float x, int quarter) {
  if (!(std::fabs(x) < INFINITY)) return NAN;
  int quadrant = 0;
  const double r = reduced(x, &quadrant), z = r * r;
  quadrant += quarter;
  const bool cosine = quadrant & 1;
  double p = 1;
  for (int k = cosine ? 18 : 19; k > 1; k -= 2) p = 1 - z / (k * (k - 1)) * p;
  const double y = cosine ? p : r * p;
  return quadrant & 2 ? -y : y;
}
