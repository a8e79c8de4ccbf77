// One pass over the elements: loss and gradient together.
#include "sigmoid.hpp"

#include "vector.hpp"

namespace xent::XENT_INSTRUCTION_SET {
namespace {

constexpr std::size_t prefetch_bytes = 768, prefetch_far_bytes = 4096;
// Vectors of losses that are added before they join a sum in double.
constexpr std::size_t vectors_together = 16;

template <typename V>
struct Slopes {
  V loss;
  V gradient;
  decltype(V{} < V{}) in_range;
};

// exp(-|x|) and what follows from it, so that both tails keep their relative precision:
// softplus(x) = max(x, 0) + log(1 + e), and sigmoid(x) is 1 / (1 + e) or e / (1 + e).
struct Logits {
  template <typename V>
  static XENT_INLINE Slopes<V> of(V x, V, V, V positive, V negative, V scale) {
    using S = Element<V>;
    const V size = absolute(x);
    // Beyond this both tails are 0; minus infinity would leave no remainder to take a power of.
    const auto power = exponential(larger(repeat<V>(-2 * exact_limit<S>), -size));
    const V e = times_power_of_two(power.mantissa, power.exponent);
    const V above = larger(x, V{}), below = larger(-x, V{});
    const V none{};
    // A factor of 0 drops its term, even an infinite one.
    const V loss = (positive + negative) * log_one_plus(e) +
                   (choose(positive == none, none, positive * below) +
                    choose(negative == none, none, negative * above));
    // 1 / (1 + e), the rounding of 1 + e made good.
    const V d = e + 1;
    const V rounded = inverse_of(d);
    const V inverse = fused(rounded, remainder_of(repeat<V>(S(1)), rounded, d) - rounded * (e - (d - 1)), rounded);
    const V difference = choose(x > none, fused(-positive, e, negative), fused(negative, e, -positive));
    return {loss, difference * inverse * scale, x == x};
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
  template <typename V>
  static XENT_INLINE Slopes<V> of(V p, V target, V share, V positive, V negative, V scale) {
    using S = Element<V>;
    const V one = repeat<V>(S(1)), zero{}, lowest = repeat<V>(S(-100));
    const V q = one - p;
    // Below one half 1 - p may round: log(1 - p) is then taken of p itself.
    const V log_p = choose(p == zero, lowest, larger(lowest, log_of_probability(p, q)));
    const V log_q = choose(q == zero, lowest, larger(lowest, log_of_complement(p, q)));
    const V loss = -(choose(positive == zero, zero, positive * log_p) +
                     choose(negative == zero, zero, negative * log_q));
    V gradient = steep(negative, q) - steep(positive, p);
    // Where both terms are alike they cancel: without a pos_weight their difference is known exactly.
    const auto cancels = (share > zero) & (share < one) & (p * q > repeat<V>(S(1e-30))) &
                         (positive + negative > zero) & (share * (positive + negative) == positive);
    gradient = choose(cancels, (positive + negative) * (p - share) / (p * q), gradient);
    return {loss, gradient * scale, (p >= zero) & (p <= one) & (target >= zero) & (target <= one)};
  }

 private:
  template <typename V>
  static XENT_INLINE V log_of_complement(V p, V q) {
    using S = Element<V>;
    const auto low = p <= repeat<V>(S(0.5));
    const auto log = logarithm(choose(q > V{}, q, repeat<V>(S(1))));
    const V fraction = log_one_plus_exactly(choose(low, -p, log.fraction), V{});
    const V rest = fused(log.exponent, repeat<V>(log_of_two<S>.low), fraction);
    return choose(low, fraction, fused(log.exponent, repeat<V>(log_of_two<S>.high), rest));
  }

  // weight / distance; where no number can hold it, the slope that PyTorch gives there.
  template <typename V>
  static XENT_INLINE V steep(V weight, V distance) {
    using S = Element<V>;
    const V inverse = repeat<V>(S(1)) / distance;
    const V bounded =
        choose(inverse > repeat<V>(std::numeric_limits<S>::max()), repeat<V>(S(1e12)), inverse);
    return choose(bounded == repeat<V>(S(1e12)), weight * bounded, weight / distance);
  }
};

template <typename Loss, typename Stored, bool streaming>
class ElementLoop {
  using S = Scalar<Stored>;
  using V = Vector<Stored>;
  static constexpr std::size_t n = width<Stored>;

 public:
  explicit ElementLoop(const Elements& elements)
      : elements_(elements),
        input_(static_cast<const Stored*>(elements.input)),
        target_(static_cast<const Stored*>(elements.target)),
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
        part += take(i, load(input_ + i), load(target_ + i), weights_at(i, n), n);
      }
      add_to(total_, part);
    }
    if (i < last) {
      const std::size_t rest = last - i;
      const V target = load_first(target_ + i, rest, S(0.5));
      add_to(total_, take(i, load_first(input_ + i, rest, S(0.5)), target, weights_at(i, rest), rest));
    }
    if (streaming) finish_streaming();
    bool in_range = true;
    for (std::size_t lane = 0; lane < n; ++lane) in_range &= in_range_[lane] != 0;
    return {sum_of(total_), in_range};
  }

 private:
  struct Weights {
    V weight;
    V pos_weight;
  };

  const Elements& elements_;
  const Stored* const input_;
  const Stored* const target_;
  const V kept_, moved_, scale_;
  doubles total_{};
  Integers<Stored> in_range_ = Integers<Stored>{} - 1;

  XENT_INLINE void prefetch_ahead(std::size_t i) const {
    const auto* input = reinterpret_cast<const char*>(input_ + i);
    const auto* target = reinterpret_cast<const char*>(target_ + i);
    prefetch(input + prefetch_bytes);
    prefetch(target + prefetch_bytes);
    prefetch_far(input + prefetch_far_bytes);
    prefetch_far(target + prefetch_far_bytes);
  }

  XENT_INLINE Weights weights_at(std::size_t i, std::size_t count) const {
    return {periodic(elements_.weight, elements_.weight_period, i, count),
            periodic(elements_.pos_weight, elements_.pos_weight_period, i, count)};
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

  XENT_INLINE V take(std::size_t i, V input, V target, Weights weights, std::size_t count) {
    Integers<Stored> counted = Integers<Stored>{} - 1;
    if (elements_.ignores) {
      counted = target != repeat<V>(static_cast<S>(elements_.ignored_target));
      input = choose(counted, input, repeat<V>(S(0.5)));
      target = choose(counted, target, repeat<V>(S(0.5)));
    }
    V positive = target, negative = repeat<V>(S(1)) - target;
    if (elements_.label_smoothing != 0.0) {
      positive = kept_ * positive + moved_;
      negative = kept_ * negative + moved_;
    }
    const V share = positive;
    positive *= weights.pos_weight * weights.weight;
    negative *= weights.weight;
    const auto slopes = Loss::of(input, target, share, positive, negative, scale_);
    in_range_ &= slopes.in_range;
    const V loss = choose(counted, slopes.loss, V{});
    const V gradient = choose(counted, slopes.gradient, V{});
    if (count < n) return take_some(i, count, loss, gradient);
    if (elements_.losses != nullptr) store<false>(static_cast<Stored*>(elements_.losses) + i, loss);
    if (elements_.gradient != nullptr) {
      store<streaming>(static_cast<Stored*>(elements_.gradient) + i, gradient);
    }
    return loss;
  }

  V take_some(std::size_t i, std::size_t count, V loss, V gradient) {
    if (elements_.losses != nullptr) {
      store_first(static_cast<Stored*>(elements_.losses) + i, count, loss);
    }
    if (elements_.gradient != nullptr) {
      store_first(static_cast<Stored*>(elements_.gradient) + i, count, gradient);
    }
    for (std::size_t lane = count; lane < n; ++lane) loss[lane] = 0;
    return loss;
  }
};

template <typename Loss, typename Stored>
ElementSums run_elements(const Elements& elements, std::size_t first, std::size_t last) {
  return elements.streaming ? ElementLoop<Loss, Stored, true>(elements).run(first, last)
                            : ElementLoop<Loss, Stored, false>(elements).run(first, last);
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
    const auto slopes = Logits::of(logit, logit, logit, positive, both - positive, one);
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
