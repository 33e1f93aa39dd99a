// Vectors of 16 numbers, whatever the processor: the compiler maps them to its registers. So sums have one order.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
typedef REAL R;
enum { V = 16 };
typedef R v __attribute__((vector_size(V * sizeof(R)), may_alias));
typedef R vu __attribute__((vector_size(V * sizeof(R)), aligned(sizeof(R)), may_alias));
#define INL static inline __attribute__((always_inline))

INL v ld(const R* p) { return *(const vu*)p; }
INL void st(R* p, v x) { *(vu*)p = x; }
INL v bc(R x) { return x - v{}; }
INL v iota() { v x; for (int i = 0; i < V; i++) x[i] = i; return x; }
INL v ldn(const R* p, int n) { v x{}; memcpy(&x, p, (n < V ? n : V) * sizeof(R)); return x; }
INL void stn(R* p, v x, int n) { memcpy(p, &x, (n < V ? n : V) * sizeof(R)); }
INL v firstn(v x, int n, R other) { return n < V ? (iota() < bc(R(n)) ? x : bc(other)) : x; }

// Products: each element is one chain of fused multiply-adds over k, in order.
void product(int M, int N, int K, const R* A, long by_row, const R* panels, R* C, long ldc, bool more);
void outer(int M, int N, int K, const R* A, long by_k, const R* B, long ldb, R* C, long ldc);
