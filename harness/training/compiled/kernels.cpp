#include "kernels.hpp"
enum { TILE = BYTES == 64 ? 8 : 4, AT_ONCE = BYTES == 64 ? 2 : 1 };  // rows and vectors whose sums fit into the registers
// C (MR x NV vectors) (+)= A (m at m * rs, k at k * ks) times B (row k at k * ldb)
template <int MR, int NV> INL void kern(int K, const R* A, long rs, long ks, const R* B, long ldb, R* C, long ldc, bool more) {
  v c[MR][NV];
  UNROLL for (int m = 0; m < MR; m++) UNROLL for (int n = 0; n < NV; n++) c[m][n] = more ? ld(C + m * ldc + n * V) : bc(0);
  for (int k = 0; k < K; k++) {
    v b[NV];
    UNROLL for (int n = 0; n < NV; n++) b[n] = ld(B + k * ldb + n * V);
    UNROLL for (int m = 0; m < MR; m++) { v a = bc(A[m * rs + k * ks]); UNROLL for (int n = 0; n < NV; n++) c[m][n] = fused(a, b[n], c[m][n]); }
  }
  UNROLL for (int m = 0; m < MR; m++) UNROLL for (int n = 0; n < NV; n++) st(C + m * ldc + n * V, c[m][n]);
}
template <int NV> static void strip(int M, int K, const R* A, long rs, long ks, const R* B, long ldb, R* C, long ldc, bool more) {
  int m = 0;
  for (; m + TILE <= M; m += TILE) kern<TILE, NV>(K, A + m * rs, rs, ks, B, ldb, C + m * ldc, ldc, more);
  if (TILE > 4 && M - m >= 4) { kern<4, NV>(K, A + m * rs, rs, ks, B, ldb, C + m * ldc, ldc, more); m += 4; }
  for (; m < M; m++) kern<1, NV>(K, A + m * rs, rs, ks, B, ldb, C + m * ldc, ldc, more);
}
// Panels are of two vectors, but the last may be of one.
static void columns(int M, int N, int K, const R* A, long rs, long ks, const R* B, bool panels, long ldb, R* C, long ldc, bool more) {
  for (int n = 0; n < N; n += 2 * V) {
    const int left = N - n < 2 * V ? V : 2 * V;
    const R* b = panels ? B + (long)n * K : B + n;
    const long by = panels ? left : ldb;
    if (AT_ONCE == 2 && left == 2 * V) strip<2>(M, K, A, rs, ks, b, by, C + n, ldc, more);
    else for (int i = 0; i < left; i += V) strip<1>(M, K, A, rs, ks, b + i, by, C + n + i, ldc, more);
  }
}
void product(int M, int N, int K, const R* A, long by_row, const R* panels, R* C, long ldc, bool more) {
  columns(M, N, K, A, by_row, 1, panels, true, 0, C, ldc, more);
}
void outer(int M, int N, int K, const R* A, long by_k, const R* B, long ldb, R* C, long ldc) {
  columns(M, N, K, A, 1, by_k, B, false, ldb, C, ldc, true);
}
