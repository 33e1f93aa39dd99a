// Element-wise functions, the same on every machine: no library's (but for builds in double, which tests use). Good to a
// few units in the last place; a NaN stays a NaN.
#pragma once
#include "kernels.hpp"
#include "doubles.hpp"
#define EACH(expression) { v y; for (int i = 0; i < V; i++) y[i] = R(expression); return y; }
enum { DOUBLE = sizeof(R) == 8 };

INL v within(v x, R low, R high) { x = pick(x > v(high), v(high), x); return pick(x < v(low), v(low), x); }
INL v vtanh(v x) {  // a rational function of degrees 13 and 6, both sides times 2^8 against underflow
  if (DOUBLE) EACH(std::tanh(double(x[i])))
  const R most = R(7.90531110763549805);
  x = within(x, -most, most);
  v q = x * x;
  v p = fused(q, v(R(-7.067567302204288e-14)), v(R(5.120481036351411e-11)));
  p = fused(q, p, v(R(-2.2027959096671616e-08)));
  p = fused(q, p, v(R(1.3113080551350119e-05)));
  p = fused(q, p, v(R(0.0038034492343802626)));
  p = fused(q, p, v(R(0.1631390537921116)));
  p = fused(q, p, v(R(1.252742287082972)));
  v d = fused(q, v(R(0.0003067541490347571)), v(R(0.030344884655783423)));
  d = fused(q, d, v(R(0.580719265904384)));
  d = fused(q, d, v(R(1.2527424474992257)));
  return x * p / d;
}
INL v power_of_two(vi n) { return of_bits((n + whole(127)) << 23); }
// exp(x) = p 2^n: n, and p in [sqrt(1/2), sqrt(2)], a polynomial on [-ln 2 / 2, ln 2 / 2].
INL v exp_parts(v x, vi* n) {
  v nearest = x * v(R(1.44269504088896341)) + v(R(12582912));  // rounds to a whole number
  nearest = nearest - v(R(12582912));
  v r = fused(nearest, v(R(-0.693359375)), x);
  r = fused(nearest, v(R(2.12194440e-4)), r);
  v p = fused(r, v(R(1.9875691500e-4)), v(R(1.3981999507e-3)));
  p = fused(p, r, v(R(8.3334519073e-3)));
  p = fused(p, r, v(R(4.1665795894e-2)));
  p = fused(p, r, v(R(1.6666665459e-1)));
  p = fused(p, r, v(R(5.0000001201e-1)));
  *n = to_whole(nearest);
  return fused(p, r * r, r) + v(1);
}
INL v vexp(v x) {
  if (DOUBLE) EACH(std::exp(double(x[i])))
  vi n;
  v p = exp_parts(within(pick(x == x, x, v(0)), R(-105), R(90)), &n);
  vi half = n >> 1;  // in two steps: beyond the range inf, and towards 0 what is not normal
  return pick(x == x, p * power_of_two(half) * power_of_two(n - half), x);
}
INL v vsigmoid(v x) {  // 0 where it would not be a normal number
  if (DOUBLE) EACH(1 / (1 + std::exp(double(-x[i]))))
  vi n;
  v p = exp_parts(within(-x, R(-87), R(89)), &n);  // the largest n, 128, is an infinite power
  return v(1) / fused(p, power_of_two(n), v(1));
}
INL v vlog(v x) {  // n ln 2 plus a polynomial on [sqrt(1/2) - 1, sqrt(2) - 1]
  if (DOUBLE) EACH(std::log(double(x[i])))
  const vi small = x < v(R(1.17549435e-38));
  v scaled = pick(small, x * v(R(33554432)), x), shift = pick(small, v(-25), v(0));
  vi bits = bits_of(scaled), n = (bits - whole(0x3f3504f3)) >> 23;
  v f = of_bits(bits - (n << 23)) - v(1);
  v e = to_real(n) + shift, z = f * f;
  v p = fused(f, v(R(7.0376836292e-2)), v(R(-1.1514610310e-1)));
  p = fused(p, f, v(R(1.1676998740e-1)));
  p = fused(p, f, v(R(-1.2420140846e-1)));
  p = fused(p, f, v(R(1.4249322787e-1)));
  p = fused(p, f, v(R(-1.6668057665e-1)));
  p = fused(p, f, v(R(2.0000714765e-1)));
  p = fused(p, f, v(R(-2.4999993993e-1)));
  p = fused(p, f, v(R(3.3333331174e-1)));
  v y = p * f * z + e * v(R(-2.12194440e-4)) - z * v(R(.5)) + f + e * v(R(0.693359375));
  y = pick(x < v(R(INFINITY)), y, x);
  y = pick(x == v(0), v(R(-INFINITY)), y);
  return pick(x < v(0), v(R(NAN)), y);
}
INL v vsin(v x) EACH(DOUBLE ? std::sin(double(x[i])) : of_angle(x[i], 0))
INL v vcos(v x) EACH(DOUBLE ? std::cos(double(x[i])) : of_angle(x[i], 1))
INL v vsqrt(v x) EACH(DOUBLE ? std::sqrt(double(x[i])) : sqrtf(float(x[i])))  // exact by IEEE 754
INL v vrelu(v x) { return pick(x > v(0), x, pick(x == x, v(0), x)); }
#define COMPARE(name, op) INL v name(v a, v b) { return pick(a op b, v(1), v(0)); }
COMPARE(veq, ==) COMPARE(vgt, >) COMPARE(vge, >=) COMPARE(vlt, <) COMPARE(vle, <=)
INL v vwhere(v test, v a, v b) { return pick(test == v(0), b, a); }
INL v larger(v a, v b) { return pick(a > b, a, b); }
INL v smaller(v a, v b) { return pick(a < b, a, b); }
INL v vsum(v x) { for (int w = V / 2; w; w /= 2) for (int i = 0; i < w; i++) x[i] += x[i + w]; return v(x[0]); }
INL v vmax(v x) { R m = x[0]; for (int i = 1; i < V; i++) m = x[i] > m ? x[i] : m; return v(m); }
INL v vmin(v x) { R m = x[0]; for (int i = 1; i < V; i++) m = x[i] < m ? x[i] : m; return v(m); }
