// Vectors of 16 numbers, whatever the registers of the processor hold. So sums have one order on every machine.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>
#if defined(__FMA__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif
#define UNROLL _Pragma("GCC unroll 16")
#define INL static inline __attribute__((always_inline))

typedef REAL R;
typedef std::conditional<sizeof(R) == 4, int32_t, int64_t>::type Int;
#if defined(__AVX512F__)
enum { BYTES = 64 };
#elif defined(__AVX__)
enum { BYTES = 32 };
#else
enum { BYTES = 16 };
#endif
enum { V = 16, LANES = BYTES / sizeof(R), REGS = V / LANES };
typedef R reg __attribute__((vector_size(BYTES), may_alias));
typedef R unaligned __attribute__((vector_size(BYTES), aligned(sizeof(R)), may_alias));
typedef Int ireg __attribute__((vector_size(BYTES), may_alias));

struct v {
  reg p[REGS];
  v() = default;
  __attribute__((always_inline)) v(R x) { UNROLL for (int q = 0; q < REGS; q++) p[q] = x - reg{}; }
  __attribute__((always_inline)) R& operator[](int i) { return ((R*)p)[i]; }
  __attribute__((always_inline)) const R& operator[](int i) const { return ((const R*)p)[i]; }
};
struct vi { ireg p[REGS]; };  // whole numbers, or a test of each lane: -1 or 0

#define ON(type, result, name, expression) INL type name { result y; UNROLL for (int q = 0; q < REGS; q++) y.p[q] = expression; return y; }
ON(v, v, operator+(v a, v b), a.p[q] + b.p[q])
ON(v, v, operator-(v a, v b), a.p[q] - b.p[q])
ON(v, v, operator*(v a, v b), a.p[q] * b.p[q])
ON(v, v, operator/(v a, v b), a.p[q] / b.p[q])
ON(v, v, operator-(v a), -a.p[q])
ON(vi, vi, operator<(v a, v b), a.p[q] < b.p[q])
ON(vi, vi, operator<=(v a, v b), a.p[q] <= b.p[q])
ON(vi, vi, operator>(v a, v b), a.p[q] > b.p[q])
ON(vi, vi, operator>=(v a, v b), a.p[q] >= b.p[q])
ON(vi, vi, operator==(v a, v b), a.p[q] == b.p[q])
ON(v, v, pick(vi test, v a, v b), test.p[q] ? a.p[q] : b.p[q])
ON(vi, vi, operator+(vi a, vi b), a.p[q] + b.p[q])
ON(vi, vi, operator-(vi a, vi b), a.p[q] - b.p[q])
ON(vi, vi, operator<<(vi a, int n), a.p[q] << n)
ON(vi, vi, operator>>(vi a, int n), a.p[q] >> n)
ON(vi, vi, whole(Int n), n - ireg{})
ON(vi, vi, to_whole(v a), __builtin_convertvector(a.p[q], ireg))
ON(v, v, to_real(vi a), __builtin_convertvector(a.p[q], reg))
ON(vi, vi, bits_of(v a), (ireg)a.p[q])
ON(v, v, of_bits(vi a), (reg)a.p[q])
INL v& operator+=(v& a, v b) { return a = a + b; }

// a b + c, rounded once.
INL reg fused(reg a, reg b, reg c) {
#if defined(__AVX512F__)
  return sizeof(R) == 4 ? (reg)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c) : (reg)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif defined(__FMA__)
  return sizeof(R) == 4 ? (reg)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c) : (reg)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#elif defined(__aarch64__)
  return sizeof(R) == 4 ? (reg)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b) : (reg)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
#else
  for (int i = 0; i < LANES; i++) c[i] = sizeof(R) == 4 ? __builtin_fmaf(a[i], b[i], c[i]) : __builtin_fma(a[i], b[i], c[i]);
  return c;
#endif
}
ON(v, v, fused(v a, v b, v c), fused(a.p[q], b.p[q], c.p[q]))

INL v bc(R x) { return v(x); }
ON(v, v, ld(const R* x), ((const unaligned*)x)[q])
INL void st(R* x, v a) { UNROLL for (int q = 0; q < REGS; q++) ((unaligned*)x)[q] = a.p[q]; }
INL v iota() { v x; for (int i = 0; i < V; i++) x[i] = i; return x; }
INL v ldn(const R* p, int n) { v x(0); memcpy(&x, p, (n < V ? n : V) * sizeof(R)); return x; }
INL void stn(R* p, v x, int n) { memcpy(p, &x, (n < V ? n : V) * sizeof(R)); }
INL v firstn(v x, int n, R other) { return n < V ? pick(iota() < v(n), x, v(other)) : x; }

// Products: each element is one chain of fused multiply-adds over k, in order.
void product(int M, int N, int K, const R* A, long by_row, const R* panels, R* C, long ldc, bool more);
void outer(int M, int N, int K, const R* A, long by_k, const R* B, long ldb, R* C, long ldc);
