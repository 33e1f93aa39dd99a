// Training steps: gradient, norm, clip rule, optimizer. Replicas go one after the other, each in the cache.
#include <limits>
typedef void (*Update)(long r, long P, R* w, const R* g, const R* norm, const R* max_norm, const R* rate, R* coefficient, void** states);

// The L2 norm of x - y, or of x if there is no y; inf where the sum of squares is beyond an R.
static R norm_of(const R* x, const R* y, long n) {
  double sums[V] = {};
  for (long j = 0; j < n; j += V)
    for (int i = 0; i < (n - j < V ? n - j : V); i++) { const double d = y ? R(x[j + i] - y[j + i]) : x[j + i]; sums[i] += d * d; }
  for (int w = V / 2; w; w /= 2) for (int i = 0; i < w; i++) sums[i] += sums[i + w];
  return sums[0] > std::numeric_limits<R>::max() ? R(INFINITY) : R(std::sqrt(sums[0]));
}

// x (K, S, B, T, I) or digits d (K, S, B, T), y (K, S, B, Y): replica r reads stream[r] of the S. scalars (NR, 4, K), updates (U, NR, 2).
extern "C" void block(int NR, int K, int S, int B, int T, int F, int Y, const int* stream, R* w_, const R* frozen, const R* x, const int* d, const R* y,
                      const R* constants, const int* table, const R* rate, const R* max_norm, Update update, void** states, const uint8_t* measured, R* scalars, R* updates) {
  static thread_local std::vector<R> g, before;
  g.resize(P + 2 * V); before.resize(P);
  R norm, coefficient;
  if (!d) d = as_digits(x, (long)K * S * B * T, scratch.held);
  for (int r = 0; r < NR; r++) {
    R* w = w_ + (long)r * P;
    for (int k = 0, u = 0; k < K; k++) {
      const long at = (long)k * S + stream[r];
      R* out = scalars + (long)r * 4 * K + k;
      gradients(1, B, T, w, frozen + (long)r * F, d ? nullptr : x + at * B * T * I, d ? d + at * B * T : nullptr, y + at * B * Y,
                constants, table, out, out + K, g.data());
      norm = norm_of(g.data(), nullptr, P);
      if (measured[k]) memcpy(before.data(), w, P * sizeof(R));
      update(r, P, w, g.data(), &norm, max_norm + r, rate + r, &coefficient, states);
      out[2 * K] = norm; out[3 * K] = coefficient;
      if (measured[k]) { R* to = updates + ((long)u++ * NR + r) * 2; to[0] = norm_of(w, before.data(), P); to[1] = norm_of(before.data(), nullptr, P); }
    }
  }
}
