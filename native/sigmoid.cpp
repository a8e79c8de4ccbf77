// One pass over the elements: loss and gradient together.
#include "sigmoid.hpp"

#include "softplus.hpp"
#include "vector.hpp"

namespace xent::XENT_INSTRUCTION_SET {
namespace {

constexpr std::size_t prefetch_bytes = 2048, prefetch_far_bytes = 12288;
// Vectors of losses that are added before they join a sum in double.
constexpr std::size_t vectors_together = 16;

template <typename V>
struct Slopes {
  V loss;
  V gradient;
};

// What an element's target gives to each side, after smoothing and before and after weights.
template <typename V>
struct Shares {
  V target;
  V smoothed;
  V positive;
  V negative;
  V whole;  // both together
};

struct Logits {
  static constexpr bool has_domain = false;

  template <typename V>
  static XENT_INLINE Slopes<V> of(V x, const Shares<V>& shares, V scale) {
    const V minus_size = minus_size_of(x);
    const auto of = logistic_loss(x, minus_size, exponential_of_tail(minus_size), shares.positive,
                                  shares.negative, shares.whole);
    // The sum makes minus zero zero.
    return {of.loss, fused(of.slope, scale, V{})};
  }
};

// log(v) for v in [0, 1], with 1 - v given, which is exact where it is used: above one half.
template <typename V>
XENT_INLINE V log_of_probability(V v, V complement) {
  using S = Element<V>;
  const auto high = v >= repeat<V>(S(0.5));
  // Denormals are brought into the range of normal numbers first.
  const V lifted = choose(v < repeat<V>(smallest_normal<S>), v * lift<S>, v);
  const V lift_exponent = choose(v < repeat<V>(smallest_normal<S>), repeat<V>(-lift_bits<S>), V{});
  const auto log = logarithm(lifted);
  const V fraction = log_one_plus_exactly(choose(high, -complement, log.fraction), V{});
  const V exponent = log.exponent + lift_exponent;
  const V low = fused(exponent, repeat<V>(log_of_two<S>.low), fraction);
  return choose(high, fraction, fused(exponent, repeat<V>(log_of_two<S>.high), low));
}

struct Probabilities {
  static constexpr bool has_domain = true;

  template <typename V>
  static XENT_INLINE decltype(V{} < V{}) in_domain(V p, V target) {
    const V one = repeat<V>(Element<V>(1)), zero{};
    return (p >= zero) & (p <= one) & (target >= zero) & (target <= one);
  }

  template <typename V>
  static XENT_INLINE Slopes<V> of(V p, const Shares<V>& shares, V scale) {
    const V none{};
    const auto of_one = shares.negative == none, of_other = shares.positive == none;
    const auto slopes = any_of(~(of_one | of_other)) ? of_both_sides(p, shares)
                                                     : of_one_side(p, shares, of_one & ~of_other);
    return {slopes.loss, slopes.gradient * scale};
  }

 private:
  // Elements whose target is 0 or 1 need one logarithm and one division.
  template <typename V>
  static XENT_INLINE Slopes<V> of_one_side(V p, const Shares<V>& shares,
                                           decltype(V{} < V{}) is_positive) {
    const V q = repeat<V>(Element<V>(1)) - p;
    const V chosen = choose(is_positive, p, q), rest = choose(is_positive, q, p);
    const V weight = choose(is_positive, shares.positive, shares.negative);
    const V slope = steep(weight, chosen);
    return {-cost(weight, bounded_log(chosen, rest)), choose(is_positive, -slope, slope)};
  }

  template <typename V>
  static XENT_INLINE Slopes<V> of_both_sides(V p, const Shares<V>& shares) {
    using S = Element<V>;
    const V one = repeat<V>(S(1)), none{};
    const V q = one - p, positive = shares.positive, negative = shares.negative;
    const V share = shares.smoothed;
    const V loss = -(cost(positive, bounded_log(p, q)) + cost(negative, bounded_log(q, p)));
    const V gradient = steep(negative, q) - steep(positive, p);
    // Where both terms are alike they cancel: without a pos_weight their difference is known exactly.
    const auto cancels = (share > none) & (share < one) & (p * q > repeat<V>(S(1e-30))) &
                         (shares.whole > none) & (share * shares.whole == positive);
    return {loss, choose(cancels, shares.whole * (p - share) / (p * q), gradient)};
  }

  template <typename V>
  static XENT_INLINE V bounded_log(V v, V complement) {
    const V lowest = repeat<V>(Element<V>(-100));
    return choose(v == V{}, lowest, larger(lowest, log_of_probability(v, complement)));
  }

  // A factor of 0 drops its term.
  template <typename V>
  static XENT_INLINE V cost(V weight, V log) {
    return choose(weight == V{}, V{}, weight * log);
  }

  // weight / distance; where no number can hold 1 / distance, the slope that PyTorch gives there.
  template <typename V>
  static XENT_INLINE V steep(V weight, V distance) {
    using S = Element<V>;
    const auto too_steep = distance <= repeat<V>(std::numeric_limits<S>::min() / 4);
    return choose(too_steep, weight * repeat<V>(S(1e12)), weight / distance);
  }
};

// `plain` is without weights, smoothing and ignored elements.
template <typename Loss, typename Stored, bool streaming, bool plain>
class ElementLoop {
  using S = Scalar<Stored>;
  using V = Vector<Stored>;
  static constexpr std::size_t n = width<Stored>;

 public:
  explicit ElementLoop(const Elements& elements)
      : elements_(elements),
        input_(static_cast<const Stored*>(elements.input)),
        target_(static_cast<const Stored*>(elements.target)),
        losses_(static_cast<Stored*>(elements.losses)),
        gradient_(static_cast<Stored*>(elements.gradient)),
        kept_(repeat<V>(static_cast<S>(1.0 - elements.label_smoothing))),
        moved_(repeat<V>(static_cast<S>(elements.label_smoothing / 2.0))),
        scale_(repeat<V>(static_cast<S>(elements.scale))) {}

  ElementSums run(std::size_t first, std::size_t last) {
    std::size_t i = first;
    while (i + n <= last) {
      const std::size_t stop = i + vectors_together * n <= last ? i + vectors_together * n
                                                                : i + (last - i) / n * n;
      V part{};
      for (; i < stop; i += n) {
        prefetch_ahead(i);
        part += take(i, load(input_ + i), load(target_ + i), n);
      }
      add_to(total_, part);
    }
    if (i < last) {
      const std::size_t rest = last - i;
      add_to(total_, take(i, load_first(input_ + i, rest, S(0.5)),
                          load_first(target_ + i, rest, S(0.5)), rest));
    }
    if (streaming) finish_streaming();
    return {sum_of(total_), !any_of(~in_domain_)};
  }

 private:
  const Elements& elements_;
  const Stored* const input_;
  const Stored* const target_;
  Stored* const losses_;
  Stored* const gradient_;
  const V kept_, moved_, scale_;
  doubles total_{};
  Integers<Stored> in_domain_ = Integers<Stored>{} - 1;

  XENT_INLINE void prefetch_ahead(std::size_t i) const {
    const auto* input = reinterpret_cast<const char*>(input_ + i);
    const auto* target = reinterpret_cast<const char*>(target_ + i);
    prefetch(input + prefetch_bytes);
    prefetch(target + prefetch_bytes);
    prefetch_far(input + prefetch_far_bytes);
    prefetch_far(target + prefetch_far_bytes);
  }

  static XENT_INLINE V periodic(const void* values, std::size_t period, std::size_t i,
                                std::size_t count) {
    if (values == nullptr) return repeat<V>(S(1));
    const auto* from = static_cast<const S*>(values);
    std::size_t at = period == 1 ? 0 : i % period;
    if (period != 1 && count == n && at + n <= period) return load(from + at);
    V result{};
    for (std::size_t lane = 0; lane < count; ++lane) {
      result[lane] = from[at];
      if (++at == period) at = 0;
    }
    return result;
  }

  XENT_INLINE V take(std::size_t i, V input, V target, std::size_t count) {
    Integers<Stored> counted = Integers<Stored>{} - 1;
    if (!plain && elements_.ignores) {
      counted = target != repeat<V>(static_cast<S>(elements_.ignored_target));
      input = choose(counted, input, repeat<V>(S(0.5)));
      target = choose(counted, target, repeat<V>(S(0.5)));
    }
    if constexpr (Loss::has_domain) in_domain_ &= Loss::in_domain(input, target);
    const auto slopes = Loss::of(input, shares_of(target, i, count), scale_);
    V loss = slopes.loss, gradient = slopes.gradient;
    if (!plain && elements_.ignores) {
      loss = choose(counted, loss, V{});
      gradient = choose(counted, gradient, V{});
    }
    if (count < n) return take_some(i, count, loss, gradient);
    if (losses_ != nullptr) store<false>(losses_ + i, loss);
    if (gradient_ != nullptr) store<streaming>(gradient_ + i, gradient);
    return loss;
  }

  XENT_INLINE Shares<V> shares_of(V target, std::size_t i, std::size_t count) const {
    const V one = repeat<V>(S(1));
    V positive = target, negative = one - target;
    if constexpr (plain) return {target, positive, positive, negative, one};
    if (elements_.label_smoothing != 0.0) {
      positive = fused(kept_, positive, moved_);
      negative = fused(kept_, negative, moved_);
    }
    const V smoothed = positive;
    const V weight = periodic(elements_.weight, elements_.weight_period, i, count);
    positive *= weight * periodic(elements_.pos_weight, elements_.pos_weight_period, i, count);
    negative *= weight;
    return {target, smoothed, positive, negative, positive + negative};
  }

  V take_some(std::size_t i, std::size_t count, V loss, V gradient) const {
    if (losses_ != nullptr) store_first(losses_ + i, count, loss);
    if (gradient_ != nullptr) store_first(gradient_ + i, count, gradient);
    for (std::size_t lane = count; lane < n; ++lane) loss[lane] = 0;
    return loss;
  }
};

template <typename Loss, typename Stored, bool streaming>
ElementSums run_elements(const Elements& elements, std::size_t first, std::size_t last) {
  const bool plain = elements.weight == nullptr && elements.pos_weight == nullptr &&
                     elements.label_smoothing == 0.0 && !elements.ignores;
  return plain ? ElementLoop<Loss, Stored, streaming, true>(elements).run(first, last)
               : ElementLoop<Loss, Stored, streaming, false>(elements).run(first, last);
}

template <typename Loss, typename Stored>
ElementSums run_elements(const Elements& elements, std::size_t first, std::size_t last) {
  return elements.streaming ? run_elements<Loss, Stored, true>(elements, first, last)
                            : run_elements<Loss, Stored, false>(elements, first, last);
}

template <typename Loss>
ElementSums run_elements(const Elements& elements, Storage storage, std::size_t first,
                         std::size_t last) {
  switch (storage) {
    case Storage::float64: return run_elements<Loss, double>(elements, first, last);
    case Storage::bfloat16: return run_elements<Loss, bfloat16>(elements, first, last);
    case Storage::float16: return run_elements<Loss, float16>(elements, first, last);
    default: return run_elements<Loss, float>(elements, first, last);
  }
}

}  // namespace

ElementSums sigmoid_elements(const Elements& elements, Storage storage, std::size_t first,
                             std::size_t last) {
  return run_elements<Logits>(elements, storage, first, last);
}

ElementSums probability_elements(const Elements& elements, Storage storage, std::size_t first,
                                 std::size_t last) {
  return run_elements<Probabilities>(elements, storage, first, last);
}

double sigmoid_sum(const SigmoidRows& rows, std::size_t row, std::size_t first,
                   std::size_t columns) {
  const std::size_t member = row / rows.outputs, output = row % rows.outputs;
  const std::size_t start = row * rows.columns + first;
  const float* u = rows.logits + start;
  const float* c = rows.coefficients + member * rows.coefficient_member +
                   output * rows.coefficient_stride + first;
  const float* t =
      rows.total == nullptr ? nullptr : rows.total + member * rows.total_member + first;
  float* slope = rows.slope == nullptr ? nullptr : rows.slope + start;
  constexpr std::size_t n = width<float>;
  doubles total{};
  const floats one = repeat<floats>(1.0f);
  for (std::size_t i = 0; i < columns; i += n) {
    const std::size_t count = columns - i < n ? columns - i : n;
    const bool whole = count == n;
    const floats logit = whole ? load(u + i) : load_first(u + i, count, 0.0f);
    const floats positive = whole ? load(c + i) : load_first(c + i, count, 0.0f);
    floats both = whole ? one : load_first(&one[0], count, 0.0f);
    if (t != nullptr) both = whole ? load(t + i) : load_first(t + i, count, 0.0f);
    const auto slopes = Logits::of<floats>(logit, {positive, positive, positive, both - positive, both}, one);
    add_to(total, slopes.loss);
    if (slope == nullptr) continue;
    if (whole) {
      store<false>(slope + i, slopes.gradient);
    } else {
      store_first(slope + i, count, slopes.gradient);
    }
  }
  return sum_of(total);
}

}  // namespace xent::XENT_INSTRUCTION_SET
