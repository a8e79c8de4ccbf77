// Positions side by side: each lane of a vector is a position (a row, or a pixel) of its own, and
// the classes come one after the other. For the pixels of images, whose classes lie apart in memory,
// and for rows of few classes, which are turned on their side on the way in and out.
#include "softmax_row.hpp"
#include "scratch.hpp"
#include "turn.hpp"

namespace xent::XENT_INSTRUCTION_SET {
namespace {

// Strips of one vector each that pass through together: their loads and stores to the scratch are
// then far enough apart not to wait for each other.
constexpr std::size_t strips_together = 8;
// Classes that are summed before their sum joins that of the others.
constexpr std::size_t classes_together = 8;

template <typename Stored, bool rows_in_memory, bool smoothing, bool streaming>
class Strips {
  using S = Scalar<Stored>;
  using V = Vector<Stored>;
  using I = Integers<Stored>;
  static constexpr std::size_t n = width<Stored>;
  static constexpr std::size_t strips = strips_together;

 public:
  static std::size_t scratch_bytes(std::size_t classes) {
    return strips * n * classes * sizeof(S);
  }

  Strips(const SoftmaxRows& rows, void* scratch, void* turn, bool turn_is_ready)
      : rows_(rows),
        classes_(rows.classes),
        stride_(rows_in_memory ? 1 : rows.positions),
        weights_(static_cast<const S*>(rows.class_weight)),
        exponentials_(static_cast<S*>(scratch)),
        turn_(rows.classes, turn, turn_is_ready) {}

  double run(std::size_t first, std::size_t last) {
    double total = 0.0;
    while (first < last) {
      // Strips stay within one image.
      std::size_t end = last;
      if (!rows_in_memory) {
        const std::size_t image_end = (first / rows_.positions + 1) * rows_.positions;
        end = image_end < last ? image_end : last;
      }
      const std::size_t count = end - first < strips * n ? end - first : strips * n;
      total += take(first, count);
      first += count;
    }
    if (streaming) finish_streaming();
    return total;
  }

 private:
  const SoftmaxRows& rows_;
  const std::size_t classes_;
  const std::size_t stride_;
  const S* const weights_;
  S* const exponentials_;
  const Turn<Stored> turn_;

  std::size_t start_of(std::size_t position) const {
    if (rows_in_memory) return position * classes_;
    const std::size_t image = position / rows_.positions;
    return image * classes_ * rows_.positions + position % rows_.positions;
  }

  double take(std::size_t first, std::size_t count) {
    doubles total{};
    for (std::size_t strip = 0; strip * n < count; ++strip) {
      const std::size_t position = first + strip * n;
      const std::size_t lanes = count - strip * n < n ? count - strip * n : n;
      add_to(total, take_strip(position, lanes, exponentials_ + strip * classes_ * n));
    }
    if (rows_in_memory && rows_.gradient != nullptr) {
      for (std::size_t strip = 0; strip * n < count; ++strip) {
        const std::size_t lanes = count - strip * n < n ? count - strip * n : n;
        auto* to = static_cast<Stored*>(rows_.gradient) + (first + strip * n) * classes_;
        turn_.template classes_to_rows<streaming>(exponentials_ + strip * classes_ * n, lanes, to);
      }
    }
    return sum_of(total);
  }

  // ---- one strip ----

  V take_strip(std::size_t position, std::size_t lanes, S* exponentials) {
    const Stored* from = static_cast<const Stored*>(rows_.logits) + start_of(position);
    I target;
    V row_weight, class_weight;
    const auto valid = read_targets(position, lanes, target, row_weight, class_weight);
    take_logits(from, lanes, exponentials);
    const RowSums<V> sums = read(target, exponentials);
    RowTerms<V> terms = terms_of<V>(rows_, sums, row_weight, class_weight);
    const V losses = choose(valid, terms.loss, V{});
    if (rows_.losses != nullptr) {
      auto* to = static_cast<Stored*>(rows_.losses) + position;
      if (lanes == n) {
        store<false>(to, losses);
      } else {
        store_first(to, lanes, losses);
      }
    }
    if (rows_.gradient != nullptr) slopes(position, lanes, valid, target, terms, exponentials);
    return losses;
  }

  // Lanes of ignored rows and beyond the end are not valid.
  XENT_INLINE I read_targets(std::size_t position, std::size_t lanes, I& target, V& row_weight,
                             V& class_weight) const {
    I valid{};
    target = I{};
    row_weight = repeat<V>(S(1));
    class_weight = repeat<V>(S(1));
#if defined(__AVX512F__)
    if constexpr (std::is_same_v<S, float>) {
      if (lanes == n && weights_ == nullptr && rows_.row_weight == nullptr) {
        const __m512i ignored = _mm512_set1_epi64(rows_.ignore_index);
        const __m512i low = _mm512_loadu_si512(rows_.target + position);
        const __m512i high = _mm512_loadu_si512(rows_.target + position + 8);
        const unsigned mask = _mm512_cmpneq_epi64_mask(low, ignored) |
                              static_cast<unsigned>(_mm512_cmpneq_epi64_mask(high, ignored)) << 8;
        target = (I)_mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtepi64_epi32(low)),
                                       _mm512_cvtepi64_epi32(high), 1);
        return (I)_mm512_movm_epi32(static_cast<__mmask16>(mask));
      }
    }
#endif
    for (std::size_t i = 0; i < lanes; ++i) {
      const std::int64_t index = rows_.target[position + i];
      if (index == rows_.ignore_index) continue;
      target[i] = static_cast<Element<I>>(index);
      valid[i] = -1;
      class_weight[i] = weight_at<S>(weights_, static_cast<std::size_t>(index));
      row_weight[i] = weight_at<S>(rows_.row_weight, position + i);
    }
    return valid;
  }

  // The logits on their side, kept where their exponentials will be.
  XENT_INLINE void take_logits(const Stored* from, std::size_t lanes, S* logits) const {
    if constexpr (rows_in_memory) {
      turn_.rows_to_classes(from, lanes, logits);
    } else {
      for (std::size_t c = 0; c < classes_; ++c) {
        const Stored* at = from + c * stride_;
        store<false>(logits + c * n, lanes == n ? load(at) : load_first(at, lanes, S(0)));
      }
    }
  }

  XENT_INLINE RowSums<V> read(I target, S* exponentials) const {
    V largest = repeat<V>(-std::numeric_limits<S>::infinity());
    V target_logit{};
    for (std::size_t c = 0; c < classes_; ++c) {
      const V x = load(exponentials + c * n);
      largest = larger(largest, x);
      target_logit = choose(target == static_cast<Element<I>>(c), x, target_logit);
    }
    const auto far = absolute(largest) > exact_limit<S>;
    const V shift = choose(far, largest, V{});
    const Base<V> base{shift, nearest((largest - shift) * S(1.44269504088896340736))};
    const V lowest = repeat<V>(-2 * exact_limit<S>);
    CompensatedSum<V> others, distances;
    V of_target{};
    for (std::size_t start = 0; start < classes_; start += classes_together) {
      const std::size_t stop = start + classes_together < classes_ ? start + classes_together : classes_;
      V part{}, apart{};
      for (std::size_t c = start; c < stop; ++c) {
        const V x = load(exponentials + c * n);
        const auto power = exponential(larger(lowest, x - shift));
        const V value = times_power_of_two(power.mantissa, power.exponent - base.exponent);
        store<false>(exponentials + c * n, value);
        const auto is_target = target == static_cast<Element<I>>(c);
        part += choose(is_target, V{}, value);
        of_target = choose(is_target, value, of_target);
        if constexpr (smoothing) {
          const S weight = weights_ == nullptr ? S(1) : weights_[c];
          // A class without weight drops its term, however far its logit is.
          if (weight != 0) apart += weight * (largest - x);
        }
      }
      others.add(part);
      if constexpr (smoothing) distances.add(apart);
    }
    return {base, others.value(), of_target, target_logit, largest, distances.value()};
  }

  XENT_INLINE void slopes(std::size_t position, std::size_t lanes, I valid, I target,
                          const RowTerms<V>& terms, S* exponentials) const {
    Stored* to = static_cast<Stored*>(rows_.gradient) + start_of(position);
    const V of_softmax = terms.of_softmax, of_class_weight = terms.of_class_weight;
    for (std::size_t c = 0; c < classes_; ++c) {
      V slope = load(exponentials + c * n) * of_softmax;
      if constexpr (smoothing) slope -= of_class_weight * (weights_ == nullptr ? S(1) : weights_[c]);
      slope = choose(target == static_cast<Element<I>>(c), terms.at_target, slope);
      slope = choose(valid, slope, V{});
      if constexpr (rows_in_memory) {
        store<false>(exponentials + c * n, slope);
      } else if (lanes == n) {
        store<false>(to + c * stride_, slope);
      } else {
        store_first(to + c * stride_, lanes, slope);
      }
    }
  }
};

template <typename Stored, bool rows_in_memory, bool smoothing>
double run_strips(const SoftmaxRows& rows, std::size_t first, std::size_t last) {
  using Plain = Strips<Stored, rows_in_memory, smoothing, false>;
  using Streamed = Strips<Stored, rows_in_memory, smoothing, rows_in_memory>;
  static thread_local Scratch scratch, tables;
  void* memory = scratch.take(Plain::scratch_bytes(rows.classes));
  void* turn = rows_in_memory ? tables.take(Turn<Stored>::bytes(rows.classes)) : nullptr;
  const bool ready = tables.holds(rows.classes);
  // Whole vectors of rows begin at whole lines only where the first one does.
  const auto start =
      reinterpret_cast<std::uintptr_t>(rows.gradient) + first * rows.classes * sizeof(Stored);
  const bool aligned = start % vector_bytes == 0;
  if (rows_in_memory && rows.streaming && aligned) {
    return Streamed(rows, memory, turn, ready).run(first, last);
  }
  return Plain(rows, memory, turn, ready).run(first, last);
}

template <typename Stored>
double run_strips(const SoftmaxRows& rows, std::size_t first, std::size_t last) {
  const bool smoothing = rows.label_smoothing != 0.0;
  if (rows.positions == 1) {
    return smoothing ? run_strips<Stored, true, true>(rows, first, last)
                     : run_strips<Stored, true, false>(rows, first, last);
  }
  return smoothing ? run_strips<Stored, false, true>(rows, first, last)
                   : run_strips<Stored, false, false>(rows, first, last);
}

}  // namespace

double softmax_positions(const SoftmaxRows& rows, Storage storage, std::size_t first,
                         std::size_t last) {
  switch (storage) {
    case Storage::float64: return run_strips<double>(rows, first, last);
    case Storage::bfloat16: return run_strips<bfloat16>(rows, first, last);
    case Storage::float16: return run_strips<float16>(rows, first, last);
    default: return run_strips<float>(rows, first, last);
  }
}

}  // namespace xent::XENT_INSTRUCTION_SET
