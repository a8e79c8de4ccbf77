// Rows of two classes, side by side: the loss of a row is the logistic loss of one difference, so
// that one exponential and one logarithm are enough.
#include <utility>

#include "softmax.hpp"
#include "softplus.hpp"
#include "vector.hpp"

namespace xent::XENT_INSTRUCTION_SET {
namespace {

constexpr std::size_t bytes_ahead = 4096;
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
constexpr bool first_bytes_are_low = false;
#else
constexpr bool first_bytes_are_low = true;
#endif
// Vectors of losses that are added before they join a sum in double.
constexpr std::size_t vectors_together = 16;

// ---- rows side by side: all first classes, then all second ones ----

template <typename V>
struct Pair {
  V first;
  V second;
};

#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define XENT_SHUFFLES
#endif
#endif

#if defined(XENT_SHUFFLES)
template <typename V, std::size_t... i>
XENT_INLINE Pair<V> apart(V low, V high, std::index_sequence<i...>) {
  return {__builtin_shufflevector(low, high, (2 * i)...),
          __builtin_shufflevector(low, high, (2 * i + 1)...)};
}
template <typename V, std::size_t... i>
XENT_INLINE Pair<V> together(const Pair<V>& pair, std::index_sequence<i...>) {
  constexpr std::size_t n = sizeof...(i);
  return {__builtin_shufflevector(pair.first, pair.second, (i / 2 + i % 2 * n)...),
          __builtin_shufflevector(pair.first, pair.second, (n / 2 + i / 2 + i % 2 * n)...)};
}
#else
template <typename V, std::size_t... i>
XENT_INLINE Pair<V> apart(V low, V high, std::index_sequence<i...>) {
  constexpr std::size_t n = sizeof...(i);
  Pair<V> pair;
  for (std::size_t k = 0; k < n; ++k) {
    pair.first[k] = 2 * k < n ? low[2 * k] : high[2 * k - n];
    pair.second[k] = 2 * k < n ? low[2 * k + 1] : high[2 * k + 1 - n];
  }
  return pair;
}
template <typename V, std::size_t... i>
XENT_INLINE Pair<V> together(const Pair<V>& pair, std::index_sequence<i...>) {
  constexpr std::size_t n = sizeof...(i);
  Pair<V> halves;
  for (std::size_t k = 0; k < n; ++k) {
    const V& from = k % 2 == 0 ? pair.first : pair.second;
    halves.first[k] = from[k / 2];
    halves.second[k] = from[n / 2 + k / 2];
  }
  return halves;
}
#endif

// ---- the loss of a vector of rows ----

// second - first, and what that was rounded by: the exponential would magnify it.
template <typename V>
struct Distance {
  V rounded;
  V lost;
};
template <typename V>
XENT_INLINE Distance<V> distance_of(const Pair<V>& logits) {
  const V difference = logits.second - logits.first, back = difference - logits.second;
  return {difference, (logits.second - (difference - back)) - (logits.first + back)};
}

// Factors of the losses -log p of the target's class and of the other one.
template <typename V>
struct Factors {
  V own;
  V other;
  V whole;
};

// With d the distance from the target's logit to the other one, the loss is
// own * softplus(d) + other * softplus(-d), and its slope the gradient of the other logit.
// The gradient of the second class is the slope with the sign that the second logit has in d.
template <typename V, typename I>
XENT_INLINE Logistic<V> loss_of(const Pair<V>& logits, I is_second, const Factors<V>& factors) {
  const V infinity = repeat<V>(std::numeric_limits<Element<V>>::infinity());
  const auto distance = distance_of(logits);
  // An infinite logit has no softmax.
  const auto known = larger(logits.first, logits.second) < infinity;
  const V d = choose(known, distance.rounded, infinity - infinity);
  const V minus_size = minus_size_of(d);
  const V tail = exponential_of_tail(minus_size);
  // Minus infinity is as far from all others as can be, whatever its distance lost.
  const V lost = choose(minus_size > -infinity, turned_by(d, distance.lost), V{});
  const V of_target = choose(is_second, -d, d);
  auto of = logistic_loss(of_target, minus_size, fused(tail, -lost, tail), factors.other,
                          factors.own, factors.whole);
  of.slope = choose(is_second, -of.slope, of.slope);
  return of;
}

// ---- the loop ----

// `plain` is without weights and smoothing.
template <typename Stored, bool streaming, bool plain>
class PairLoop {
  using S = Scalar<Stored>;
  using V = Vector<Stored>;
  using I = Integers<Stored>;
  static constexpr std::size_t n = width<Stored>;
  static constexpr auto lanes = std::make_index_sequence<n>{};

 public:
  explicit PairLoop(const SoftmaxRows& rows)
      : rows_(rows),
        logits_(static_cast<const Stored*>(rows.logits)),
        target_(rows.target),
        gradient_(static_cast<Stored*>(rows.gradient)),
        losses_(static_cast<Stored*>(rows.losses)),
        scale_(repeat<V>(static_cast<S>(rows.scale))) {
    const auto* weight = static_cast<const S*>(rows.class_weight);
    const S smoothing = static_cast<S>(rows.label_smoothing);
    for (int c = 0; c < 2; ++c) {
      const S own = weight == nullptr ? S(1) : weight[c];
      kept_[c] = repeat<V>(own * (S(1) - smoothing / 2));
      moved_[c] = repeat<V>(own * (smoothing / 2));
    }
  }

  double run(std::size_t first, std::size_t last) {
    doubles total{};
    std::size_t i = first;
    while (i + n <= last) {
      const std::size_t stop = i + vectors_together * n <= last ? i + vectors_together * n
                                                                : i + (last - i) / n * n;
      V part{};
      for (; i < stop; i += n) {
        prefetch_ahead(i);
        part += take(i);
      }
      add_to(total, part);
    }
    if (i < last) add_to(total, take_last(i, last - i));
    if (streaming) finish_streaming();
    return sum_of(total);
  }

 private:
  const SoftmaxRows& rows_;
  const Stored* const logits_;
  const std::int64_t* const target_;
  Stored* const gradient_;
  Stored* const losses_;
  const V scale_;
  V kept_[2], moved_[2];

  XENT_INLINE void prefetch_ahead(std::size_t i) const {
    const auto* logits = reinterpret_cast<const char*>(logits_ + 2 * i);
    const auto* target = reinterpret_cast<const char*>(target_ + i);
    prefetch_far(logits + bytes_ahead);
    if (sizeof(Stored) >= 4) prefetch_far(logits + bytes_ahead + vector_bytes);
    prefetch_far(target + bytes_ahead);
    if (sizeof(Stored) < 8) prefetch_far(target + bytes_ahead + vector_bytes);
  }

  XENT_INLINE V take(std::size_t i) const {
    const Stored* logits = logits_ + 2 * i;
    V weight = repeat<V>(S(1));
    if (!plain && rows_.row_weight != nullptr) {
      weight = load(static_cast<const S*>(rows_.row_weight) + i);
    }
    const auto of = loss_of_rows(apart(load(logits), load(logits + n), lanes),
                                 targets_at(target_ + i), weight);
    if (losses_ != nullptr) store<false>(losses_ + i, of.loss);
    if (gradient_ != nullptr) {
      const auto halves = together(gradient_of(of.slope), lanes);
      store<streaming>(gradient_ + 2 * i, halves.first);
      store<streaming>(gradient_ + 2 * i + n, halves.second);
    }
    return of.loss;
  }

  // The rows at the end, which fill no vector: what fills it up is ignored.
  V take_last(std::size_t i, std::size_t count) const {
    Pair<V> logits{};
    V weight{};
    I target = I{} + static_cast<Element<I>>(rows_.ignore_index);
    for (std::size_t k = 0; k < count; ++k) {
      logits.first[k] = widen(logits_[2 * (i + k)]);
      logits.second[k] = widen(logits_[2 * (i + k) + 1]);
      target[k] = static_cast<Element<I>>(target_[i + k]);
      const auto* weights = static_cast<const S*>(rows_.row_weight);
      weight[k] = weights == nullptr ? S(1) : weights[i + k];
    }
    const auto of = loss_of_rows(logits, target, weight);
    const auto gradient = gradient_of(of.slope);
    for (std::size_t k = 0; k < count; ++k) {
      if (losses_ != nullptr) narrow(of.loss[k], losses_ + i + k);
      if (gradient_ == nullptr) continue;
      narrow(gradient.first[k], gradient_ + 2 * (i + k));
      narrow(gradient.second[k], gradient_ + 2 * (i + k) + 1);
    }
    return of.loss;
  }

  // As numbers of the logits' width: those that count are 0 and 1.
  static XENT_INLINE I targets_at(const std::int64_t* from) {
    I low, high;
    std::memcpy(&low, from, sizeof low);
    if constexpr (sizeof(S) == 8) return low;
    std::memcpy(&high, from + n / 2, sizeof high);
    const auto halves = apart(low, high, lanes);
    return first_bytes_are_low ? halves.first : halves.second;
  }

  XENT_INLINE Logistic<V> loss_of_rows(const Pair<V>& logits, I target, V weight) const {
    auto of = loss_of(logits, target == 1, factors_of(target, weight));
    const auto counted = target != static_cast<Element<I>>(rows_.ignore_index);
    of.loss = choose(counted, of.loss, V{});
    of.slope = choose(counted, of.slope, V{});
    return of;
  }

  XENT_INLINE Factors<V> factors_of(I target, V weight) const {
    const V one = repeat<V>(S(1));
    if constexpr (plain) return {one, V{}, one};
    const V own = weight * choose(target == 1, kept_[1], kept_[0]);
    const V other = weight * choose(target == 1, moved_[0], moved_[1]);
    return {own, other, own + other};
  }

  // Of the first and the second classes. The sum makes minus zero zero.
  XENT_INLINE Pair<V> gradient_of(V of_second) const {
    return {fused(-of_second, scale_, V{}), fused(of_second, scale_, V{})};
  }
};

template <typename Stored, bool streaming>
double run_pairs(const SoftmaxRows& rows, std::size_t first, std::size_t last) {
  const bool plain =
      rows.class_weight == nullptr && rows.row_weight == nullptr && rows.label_smoothing == 0.0;
  return plain ? PairLoop<Stored, streaming, true>(rows).run(first, last)
               : PairLoop<Stored, streaming, false>(rows).run(first, last);
}

template <typename Stored>
double run_pairs(const SoftmaxRows& rows, std::size_t first, std::size_t last) {
  const auto start = reinterpret_cast<std::uintptr_t>(rows.gradient) + 2 * first * sizeof(Stored);
  return rows.streaming && start % vector_bytes == 0 ? run_pairs<Stored, true>(rows, first, last)
                                                     : run_pairs<Stored, false>(rows, first, last);
}

}  // namespace

double softmax_pairs(const SoftmaxRows& rows, Storage storage, std::size_t first,
                     std::size_t last) {
  switch (storage) {
    case Storage::float64: return run_pairs<double>(rows, first, last);
    case Storage::bfloat16: return run_pairs<bfloat16>(rows, first, last);
    case Storage::float16: return run_pairs<float16>(rows, first, last);
    default: return run_pairs<float>(rows, first, last);
  }
}

}  // namespace xent::XENT_INSTRUCTION_SET
