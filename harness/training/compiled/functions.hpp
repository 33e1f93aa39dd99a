// Element-wise functions, the same on every machine: no library's, no contraction of products and sums.
#pragma once
#include "kernels.hpp"
INL v vtanh(v x) {  // a rational function of degrees 13 and 6, good to 2 units in the last place; a NaN stays a NaN
  if (sizeof(R) == 8) { v y; for (int i = 0; i < V; i++) y[i] = std::tanh(x[i]); return y; }
  const R most = R(7.90531110763549805);
  x = x > bc(most) ? bc(most) : x;
  x = x < bc(-most) ? bc(-most) : x;
  v q = x * x;
  v p = q * R(-2.76076847742355e-16) + R(2.00018790482477e-13);
  p = q * p + R(-8.60467152213735e-11);
  p = q * p + R(5.12229709037114e-08);
  p = q * p + R(1.48572235717979e-05);
  p = q * p + R(6.37261928875436e-04);
  p = q * p + R(4.89352455891786e-03);
  v d = q * R(1.19825839466702e-06) + R(1.18534705686654e-04);
  d = q * d + R(2.26843463243900e-03);
  d = q * d + R(4.89352518554385e-03);
  return x * p / d;
}
INL v vsigmoid(v x) {
  if (sizeof(R) == 8) { v y; for (int i = 0; i < V; i++) y[i] = 1 / (1 + std::exp(-x[i])); return y; }
  return vtanh(x * R(.5)) * R(.5) + R(.5);
}
INL v vexp(v x) {  // 2^n times a polynomial on [-ln 2 / 2, ln 2 / 2]
  if (sizeof(R) == 8) { v y; for (int i = 0; i < V; i++) y[i] = std::exp(x[i]); return y; }
  v whole;
  typedef int32_t vi __attribute__((vector_size(V * 4)));
  v bounded = x > bc(R(88.7)) ? bc(R(88.7)) : x;
  bounded = bounded < bc(R(-87.3)) ? bc(R(-87.3)) : bounded;
  v scaled = bounded * R(1.44269504088896341) + R(12582912);  // rounds to a whole number
  whole = scaled - R(12582912);
  v r = bounded - whole * R(0.693359375) - whole * R(-2.12194440e-4);
  v p = r * R(1.9875691500e-4) + R(1.3981999507e-3);
  p = p * r + R(8.3334519073e-3);
  p = p * r + R(4.1665795894e-2);
  p = p * r + R(1.6666665459e-1);
  p = p * r + R(5.0000001201e-1);
  v y = p * r * r + r + R(1);
  vi n = (__builtin_convertvector(whole, vi) + 127) << 23;
  v power;
  memcpy(&power, &n, V * 4);
  y = y * power;
  y = x > bc(R(88.7)) ? bc(R(INFINITY)) : y;
  y = x < bc(R(-87.3)) ? bc(R(0)) : y;
  return x == x ? y : x;
}
INL v vlog(v x) {
  v y;
  for (int i = 0; i < V; i++) y[i] = (R)std::log((double)x[i]);
  return y;
}
INL v vsin(v x) { v y; for (int i = 0; i < V; i++) y[i] = (R)std::sin((double)x[i]); return y; }
INL v vcos(v x) { v y; for (int i = 0; i < V; i++) y[i] = (R)std::cos((double)x[i]); return y; }
INL v vsqrt(v x) { v y; for (int i = 0; i < V; i++) y[i] = sizeof(R) == 8 ? std::sqrt((double)x[i]) : sqrtf((float)x[i]); return y; }
INL v vrelu(v x) { return x > bc(0) ? x : (x == x ? bc(0) : x); }
INL v flag(bool) = delete;
#define COMPARE(name, op) INL v name(v a, v b) { return a op b ? bc(1) : bc(0); }
COMPARE(veq, ==) COMPARE(vgt, >) COMPARE(vge, >=) COMPARE(vlt, <) COMPARE(vle, <=)
INL v vwhere(v test, v a, v b) { return test != bc(0) ? a : b; }
INL v vsum(v x) { R s[V]; st(s, x); for (int w = V / 2; w; w /= 2) for (int i = 0; i < w; i++) s[i] += s[i + w]; return bc(s[0]); }
INL v vmax(v x) { R m = x[0]; for (int i = 1; i < V; i++) m = x[i] > m ? x[i] : m; return bc(m); }
INL v vmin(v x) { R m = x[0]; for (int i = 1; i < V; i++) m = x[i] < m ? x[i] : m; return bc(m); }
