// Element-wise functions, the same on every machine: no library's (but for builds in double, which tests use), and
// no contraction of products and sums. Good to a few units in the last place; a NaN stays a NaN.
#pragma once
#include "kernels.hpp"
#include "doubles.hpp"
typedef int32_t vi __attribute__((vector_size(V * 4)));
#define EACH(expression) { v y; for (int i = 0; i < V; i++) y[i] = R(expression); return y; }
enum { DOUBLE = sizeof(R) == 8 };

INL v within(v x, R low, R high) { x = x > bc(high) ? bc(high) : x; return x < bc(low) ? bc(low) : x; }
INL v vtanh(v x) {  // a rational function of degrees 13 and 6, both sides times 2^8 against underflow
  if (DOUBLE) EACH(std::tanh(double(x[i])))
  const R most = R(7.90531110763549805);
  x = within(x, -most, most);
  v q = x * x;
  v p = q * R(-7.067567302204288e-14) + R(5.120481036351411e-11);
  p = q * p + R(-2.2027959096671616e-08);
  p = q * p + R(1.3113080551350119e-05);
  p = q * p + R(0.0038034492343802626);
  p = q * p + R(0.1631390537921116);
  p = q * p + R(1.252742287082972);
  v d = q * R(0.0003067541490347571) + R(0.030344884655783423);
  d = q * d + R(0.580719265904384);
  d = q * d + R(1.2527424474992257);
  return x * p / d;
}
INL v power_of_two(vi n) { v y; n = (n + 127) << 23; memcpy(&y, &n, V * 4); return y; }
// exp(x) = p 2^n: n, and p in [sqrt(1/2), sqrt(2)], a polynomial on [-ln 2 / 2, ln 2 / 2].
INL v exp_parts(v x, vi* n) {
  v whole = x * R(1.44269504088896341) + R(12582912);  // rounds to a whole number
  whole = whole - R(12582912);
  v r = x - whole * R(0.693359375) - whole * R(-2.12194440e-4);
  v p = r * R(1.9875691500e-4) + R(1.3981999507e-3);
  p = p * r + R(8.3334519073e-3);
  p = p * r + R(4.1665795894e-2);
  p = p * r + R(1.6666665459e-1);
  p = p * r + R(5.0000001201e-1);
  *n = __builtin_convertvector(whole, vi);
  return p * (r * r) + r + R(1);
}
INL v vexp(v x) {
  if (DOUBLE) EACH(std::exp(double(x[i])))
  vi n;
  v p = exp_parts(within(x == x ? x : v{}, R(-105), R(90)), &n);
  vi half = n >> 1;  // in two steps: beyond the range inf, and towards 0 what is not normal
  return x == x ? p * power_of_two(half) * power_of_two(n - half) : x;
}
INL v vsigmoid(v x) {  // 0 where it would not be a normal number
  if (DOUBLE) EACH(1 / (1 + std::exp(double(-x[i]))))
  vi n;
  v p = exp_parts(within(-x, R(-87), R(89)), &n);  // the largest n, 128, is an infinite power
  return R(1) / (R(1) + p * power_of_two(n));
}
INL v vlog(v x) {  // n ln 2 plus a polynomial on [sqrt(1/2) - 1, sqrt(2) - 1]
  if (DOUBLE) EACH(std::log(double(x[i])))
  const v normal = bc(R(1.17549435e-38));
  v scaled = x < normal ? x * R(33554432) : x, shift = x < normal ? bc(R(-25)) : v{};
  vi bits; memcpy(&bits, &scaled, V * 4);
  vi n = (bits - 0x3f3504f3) >> 23;
  bits -= n << 23;
  v f; memcpy(&f, &bits, V * 4);
  f = f - R(1);
  v e = __builtin_convertvector(n, v) + shift, z = f * f;
  v p = f * R(7.0376836292e-2) + R(-1.1514610310e-1);
  p = p * f + R(1.1676998740e-1);
  p = p * f + R(-1.2420140846e-1);
  p = p * f + R(1.4249322787e-1);
  p = p * f + R(-1.6668057665e-1);
  p = p * f + R(2.0000714765e-1);
  p = p * f + R(-2.4999993993e-1);
  p = p * f + R(3.3333331174e-1);
  v y = p * f * z + e * R(-2.12194440e-4) - z * R(.5) + f + e * R(0.693359375);
  y = x < bc(R(INFINITY)) ? y : x;
  y = x == v{} ? bc(R(-INFINITY)) : y;
  return x < v{} ? bc(R(NAN)) : y;
}
INL v vsin(v x) EACH(DOUBLE ? std::sin(double(x[i])) : of_angle(x[i], 0))
INL v vcos(v x) EACH(DOUBLE ? std::cos(double(x[i])) : of_angle(x[i], 1))
INL v vsqrt(v x) EACH(DOUBLE ? std::sqrt(double(x[i])) : sqrtf(float(x[i])))  // exact by IEEE 754
INL v vrelu(v x) { return x > bc(0) ? x : (x == x ? bc(0) : x); }
#define COMPARE(name, op) INL v name(v a, v b) { return a op b ? bc(1) : bc(0); }
COMPARE(veq, ==) COMPARE(vgt, >) COMPARE(vge, >=) COMPARE(vlt, <) COMPARE(vle, <=)
INL v vwhere(v test, v a, v b) { return test != bc(0) ? a : b; }
INL v vsum(v x) { R s[V]; st(s, x); for (int w = V / 2; w; w /= 2) for (int i = 0; i < w; i++) s[i] += s[i + w]; return bc(s[0]); }
INL v vmax(v x) { R m = x[0]; for (int i = 1; i < V; i++) m = x[i] > m ? x[i] : m; return bc(m); }
INL v vmin(v x) { R m = x[0]; for (int i = 1; i < V; i++) m = x[i] < m ? x[i] : m; return bc(m); }
