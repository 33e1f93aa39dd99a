// The functions of a net around the code of its cell and head; names with a dollar sign are filled in.
#include <vector>
#include "functions.hpp"
enum { I = $I, IP = $IP, S = $S, P = $P, F = $F, E = $E, ALL = P + F + E, REC = $REC, HREC = $HREC, H = $H, OUT = $OUT,
       DENSE = $DENSE, BOTH = $BOTH, EVERY = $EVERY, K = $K, LOSSES = $LOSSES, SCALAR = $SCALAR, TARGET = $TARGET, START = $START, BY_STEP = $BY_STEP, GW = $GW };
static const long CACHE = $CACHE;

static void fill_panels(R* to, const R* w, int deep, int N, int wide, long by_k, long by_n) {
  const int W = 2 * V, last = wide / W * W;
  for (int n = 0; n < wide; n++) {
    int n0 = n < last ? n / W * W : last, width = n < last ? W : V;
    R* q = to + (long)n0 * deep + (n - n0);
    if (n < N) for (int k = 0; k < deep; k++) q[(long)k * width] = w[k * by_k + n * by_n];
    else for (int k = 0; k < deep; k++) q[(long)k * width] = 0;
  }
}
static void fill_rows(R* to, const R* w, int deep, int N, int wide, long by_k, long by_n) {
  for (int k = 0; k < deep; k++) for (int n = 0; n < wide; n++) to[(long)k * wide + n] = n < N ? w[k * by_k + n * by_n] : 0;
}
static void pick(int m, int wide, const int* digits, const R* rows, R* tile, bool more) {
  for (int i = 0; i < m; i++) { const R* row = rows + (long)digits[i] * wide; R* to = tile + i * wide;
    for (int j = 0; j < wide; j += V) st(to + j, more ? ld(to + j) + ld(row + j) : ld(row + j)); }
}
static void scatter(int wide, int nb, int T, int RB, long rec, const R* d, const int* digits, R* rows) {
  for (int t = 0; t < T; t++) for (int b = 0; b < nb; b++) {
    const R* from = d + ((long)t * RB + b) * rec; R* to = rows + (long)digits[t * RB + b] * wide;
    for (int j = 0; j < wide; j += V) st(to + j, ld(to + j) + ld(from + j)); }
}
// Rows of the steps first .. T - 1, as many at once as lie one after the other.
template <class Function> static void rows_of(int T, int RB, int nb, int first, Function f) {
  if (nb == RB) { int step = RB >= 128 ? 1 : 128 / RB;
    for (int t = first; t < T; t += step) f((long)t * RB, (t + step < T ? step : T - t) * RB); }
  else for (int t = first; t < T; t++) f((long)t * RB, nb);
}
$code

static R* aligned(std::vector<R>& x, size_t n) { if (x.size() < n + 64) x.assign(n + 64, 0); return (R*)(((uintptr_t)x.data() + 63) / 64 * 64); }
static int block_rows(int B, int T) {
  const long row = (long)T * REC * sizeof(R);
  int RB = 8;
  while (RB * 2 <= B && RB * 2 * row <= CACHE) RB *= 2;
  return RB < B ? RB : B;
}
struct Scratch { std::vector<R> w, p, rec, hrec, ct, dp, dh, gw, g, xb, temp, cot; std::vector<int> digits, all, held; };
static thread_local Scratch scratch;

static int digit(const R* x) {  // which one of a one-hot row, -1 if it is none
  int at = -1;
  for (int i = 0; i < I; i++) if (x[i] != 0) { if (at >= 0 || x[i] != 1) return -1; at = i; }
  return at;
}
// The digits of one-hot rows, or null if they are none, or if the cell reads rows.
static const int* as_digits(const R* x, long rows, std::vector<int>& to) {
  if (DENSE) return nullptr;
  to.resize(rows);
  for (long i = 0; i < rows; i++) if ((to[i] = digit(x + i * I)) < 0) return nullptr;
  return to.data();
}
// Inputs of nb rows in the order of time: as digits (true), or as padded rows.
static bool inputs(const R* x, const int* given, int T, int RB, int nb, int* digits, R* xb) {
  if (given && !DENSE) {
    for (int b = 0; b < nb; b++) for (int t = 0; t < T; t++) digits[t * RB + b] = given[(long)b * T + t];
    return true;
  }
  for (int b = 0; b < nb; b++) for (int t = 0; t < T; t++) {
    for (int way = 0; way <= BOTH; way++) {
      R* to = xb + ((long)t * RB + b) * IP + way * I; const long at = (long)b * T + (way ? T - 1 - t : t);
      if (given) { memset(to, 0, I * sizeof(R)); to[given[at]] = 1; } else memcpy(to, x + at * I, I * sizeof(R));
    }
  }
  return false;
}
// What loss and score are made of: numbers of a step times coefficients. A coefficient of 0 leaves them out.
struct Sums {
  const R* loss; const R* score; int U;
  double of(const R* coefficients, int u, const R* numbers) const {
    double sum = 0;
    for (int k = 0; k < K; k++) { const R c = coefficients[k * U + u]; if (c != 0) sum += double(c) * double(numbers[k]); }
    return sum;
  }
  bool active(int u) const { for (int k = 0; k < K; k++) if (loss[k * U + u] != 0 || score[k * U + u] != 0) return true; return false; }
  int at(int t, int T) const { return EVERY ? t : t == T - 1 ? 0 : -1; }
  bool read(int t, int T) const { const int u = at(t, T); return u >= 0 && active(u); }
};
struct Model {  // the weights of one replica, and its panels
  R *w, *panels, *temp; cell_Panels cp; head_Panels hp;
  const int* table;
  void load(const R* trained, const R* frozen, const R* extra, const int* table_) {
    Scratch& s = scratch; table = table_;
    w = aligned(s.w, ALL + 32); temp = aligned(s.temp, TEMP); panels = aligned(s.p, cell_PANELS + head_PANELS);
    memcpy(w, trained, P * sizeof(R)); memcpy(w + P, frozen, F * sizeof(R)); memcpy(w + P + F, extra, E * sizeof(R));
    derive(w, table, temp);
    cp.at(panels); hp.at(panels + cell_PANELS);
    cell_fill(cp, w); head_fill(hp, w);
  }
  void start(R* rec, int rows) const {  // states before the first step
    memset(rec, 0, sizeof(R) * rows * REC);
    if (START >= 0) for (int b = 0; b < rows; b++) for (int j = 0; j < S; j++) rec[(long)b * REC + OUT + j] = w[table[START + j]];
  }
};

struct Batch {  // gradients of one replica, block of rows by block of rows
  Model& model; const Sums& sums; const int T, RB; const R* cot;
  R *rec, *hrec, *ct, *dp, *dh, *gw, *g, *xb; int* digits;
  double loss, score;
  int chunk() const { return !EVERY || RB >= 128 ? 1 : 128 / RB; }
  Batch(Model& model, const Sums& sums, int T, int RB, const R* cot) : model(model), sums(sums), T(T), RB(RB), cot(cot) {
    Scratch& s = scratch;
    rec = aligned(s.rec, (long)(T + 1) * RB * REC + 32); hrec = aligned(s.hrec, (long)chunk() * RB * HREC + 32);
    ct = aligned(s.ct, (long)RB * S + 32); dp = aligned(s.dp, (long)RB * S + 32); dh = aligned(s.dh, (long)chunk() * RB * H + 32);
    gw = aligned(s.gw, GW); g = aligned(s.g, ALL + 32); xb = aligned(s.xb, (long)T * RB * IP + 32);
    s.digits.resize((size_t)T * RB);
  }
  void clear() { memset(gw, 0, sizeof(R) * GW); memset(g, 0, sizeof(R) * ALL); loss = score = 0; }
  void forward(int nb) {
    model.start(rec, RB);
    for (int t = 0; t < T; t++) for (int q = 0; q < nb; q += 8) {
      const int m = nb - q < 8 ? nb - q : 8; const long row = (long)t * RB + q;
      cell_forward<true>(m, model.cp, model.w, xb + row * IP, IP, digits ? digits + row : nullptr, nullptr, 0, nullptr, 0,
        rec + row * REC + OUT, REC, rec + (row + RB) * REC, nullptr, 0, nullptr, t == 0 && START < 0);
    }
  }
  // Heads of the steps low .. high: losses, scores, and the derivatives by hidden states.
  void heads(int low, int high, int nb, const R* y, long by_row) {
    for (int t = low; t <= high; t++) for (int q = 0; q < nb; q += 8) {
      const int m = nb - q < 8 ? nb - q : 8, u = sums.at(t, T); const long row = (long)(t - low) * RB + q;
      const R* h = rec + ((long)(t + 1) * RB + q) * REC + OUT; R* to = hrec + row * HREC;
      const R* target = y + q * by_row + (BY_STEP ? (long)t * TARGET : 0);
      head_forward<true>(m, model.hp, model.w, nullptr, 0, nullptr, target, by_row, nullptr, 0, h, REC, to, nullptr, 0, nullptr, false);
      for (int i = 0; i < m; i++) { loss += sums.of(sums.loss, u, to + (long)i * HREC + SCALAR); score += sums.of(sums.score, u, to + (long)i * HREC + SCALAR); }
      head_backward(m, model.hp, model.w, nullptr, 0, nullptr, target, by_row, cot + (long)u * LOSSES, 0, h, REC, to, dh + row * H, H, g, false);
    }
    const long steps = high - low + 1; const R* last = rec + (long)(low + 1) * RB * REC;
    (void)steps; (void)last;
    $sum_head
  }
  void backward(int nb, const R* y, long by_row) {
    memset(ct, 0, sizeof(R) * nb * S);
    for (int t = T - 1, low = T; t >= 0; t--) {
      if (sums.read(t, T)) {
        if (t < low) {
          const int high = low = t;
          while (low > 0 && high - low + 1 < chunk() && sums.read(low - 1, T)) low--;
          heads(low, high, nb, y, by_row);
        }
        for (int b = 0; b < nb; b++) { const R* from = dh + ((long)(t - low) * RB + b) * H; R* to = ct + (long)b * S;
          for (int j = 0; j < H; j++) to[j] += from[j]; }
      }
      for (int q = 0; q < nb; q += 8) {
        const int m = nb - q < 8 ? nb - q : 8; const long row = (long)t * RB + q;
        cell_backward(m, model.cp, model.w, xb + row * IP, IP, digits ? digits + row : nullptr, nullptr, 0, ct + (long)q * S, S,
          rec + row * REC + OUT, REC, rec + (row + RB) * REC, dp + (long)q * S, S, g, t == 0 && START < 0);
      }
      R* other = ct; ct = dp; dp = other;
    }
    if (START >= 0) for (int b = 0; b < nb; b++) for (int j = 0; j < S; j++) g[model.table[START + j]] += ct[(long)b * S + j];
    $sum_cell
  }
  void finish(const int* table) {
    $unpack
    underive(model.w, g, table, model.temp);
  }
};

// Mean loss (NR), mean score (NR) and gradient (NR, P) of replicas on their batches. Inputs are x (NR, B, T, I), or
// digits (NR, B, T) where x is null. Targets y: (NR, B, TARGET), or (NR, B, T, TARGET).
extern "C" void gradients(int NR, int B, int T, const R* w, const R* frozen, const R* x, const int* d, const R* y, const R* constants,
                          const int* table, R* loss, R* score, R* grad) {
  const int U = EVERY ? T : 1, RB = block_rows(B, T);
  const Sums sums{constants, constants + K * U, U}; const R* offsets = constants + 2 * K * U;
  R* cot = aligned(scratch.cot, (long)U * LOSSES + 32);
  for (int u = 0; u < U; u++) for (int k = 0; k < LOSSES; k++) cot[u * LOSSES + k] = sums.loss[k * U + u] / R(B);
  const long by_row = BY_STEP ? (long)T * TARGET : TARGET;
  if (!d) d = as_digits(x, (long)NR * B * T, scratch.all);
  Model model; Batch batch(model, sums, T, RB, cot);
  for (int r = 0; r < NR; r++) {
    model.load(w + (long)r * P, frozen + (long)r * F, offsets + 2, table);
    batch.clear();
    for (int b0 = 0; b0 < B; b0 += RB) {
      const int nb = B - b0 < RB ? B - b0 : RB; const long first = (long)r * B + b0;
      batch.digits = scratch.digits.data();
      if (!inputs(d ? nullptr : x + first * T * I, d ? d + first * T : nullptr, T, RB, nb, batch.digits, batch.xb)) batch.digits = nullptr;
      batch.forward(nb);
      batch.backward(nb, y + first * by_row, by_row);
    }
    batch.finish(table);
    memcpy(grad + (long)r * P, batch.g, P * sizeof(R));
    loss[r] = R(batch.loss / B + double(offsets[0])); score[r] = R(batch.score / B + double(offsets[1]));
  }
}

// Mean loss and score of replicas (NR) on N sequences, the same for all.
extern "C" void evaluate(int NR, int N, int T, const R* w, const R* frozen, const R* x, const int* d, const R* y, const R* constants,
                         const int* table, R* loss_, R* score_) {
  const int U = EVERY ? T : 1;
  const Sums sums{constants, constants + K * U, U}; const R* offsets = constants + 2 * K * U;
  const long by_row = BY_STEP ? (long)T * TARGET : TARGET;
  Scratch& s = scratch; Model model;
  R* rec = aligned(s.rec, 16L * REC + 32); R* hrec = aligned(s.hrec, 8L * HREC + 32); R* xb = aligned(s.xb, (long)T * 8 * IP + 32);
  s.digits.resize((size_t)T * 8);
  if (!d) d = as_digits(x, (long)N * T, s.held);
  for (int r = 0; r < NR; r++) {
    model.load(w + (long)r * P, frozen + (long)r * F, offsets + 2, table);
    double loss = 0, score = 0;
    for (int q = 0; q < N; q += 8) {
      const int m = N - q < 8 ? N - q : 8;
      const int* digits = s.digits.data();
      if (!inputs(d ? nullptr : x + (long)q * T * I, d ? d + (long)q * T : nullptr, T, 8, m, s.digits.data(), xb)) digits = nullptr;
      model.start(rec, 8);
      R *prev = rec, *next = rec + 8L * REC;
      for (int t = 0; t < T; t++) {
        cell_forward<false>(m, model.cp, model.w, xb + (long)t * 8 * IP, IP, digits ? digits + t * 8 : nullptr, nullptr, 0, nullptr, 0, prev + OUT, REC, next, nullptr, 0, nullptr, t == 0 && START < 0);
        R* other = prev; prev = next; next = other;
        if (!sums.read(t, T)) continue;
        const R* target = y + q * by_row + (BY_STEP ? (long)t * TARGET : 0);
        head_forward<false>(m, model.hp, model.w, nullptr, 0, nullptr, target, by_row, nullptr, 0, prev + OUT, REC, hrec, nullptr, 0, nullptr, false);
        const int u = sums.at(t, T);
        for (int i = 0; i < m; i++) { loss += sums.of(sums.loss, u, hrec + (long)i * HREC + SCALAR); score += sums.of(sums.score, u, hrec + (long)i * HREC + SCALAR); }
      }
    }
    loss_[r] = R(loss / N + double(offsets[0])); score_[r] = R(score / N + double(offsets[1]));
  }
}
