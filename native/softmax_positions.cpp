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
// How far ahead rows are asked for.
constexpr std::size_t elements_ahead = 2048;
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
        turn_(rows.classes, turn, strips, turn_is_ready) {}

  double run(std::size_t first, std::size_t last) {
    CompensatedSum<double> total;
    while (first < last) {
      // Strips stay within one image.
      std::size_t end = last;
      if (!rows_in_memory) {
        const std::size_t image_end = (first / rows_.positions + 1) * rows_.positions;
        end = image_end < last ? image_end : last;
      }
      const std::size_t count = end - first < strips * n ? end - first : strips * n;
      total.add(take(first, count));
      first += count;
    }
    for (std::size_t i = 0; i < strips; ++i) write_rows(i);
    if (streaming) finish_streaming();
    return total.value();
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

  // What is known of a strip on its way.
  struct Strip {
    std::size_t position;
    std::size_t lanes;
    S* exponentials;
    I valid;
    I target;
    V row_weight;
    V class_weight;
    RowSums<V> sums;
    RowTerms<V> terms;
  };

  // Rows that are turned back and not yet written: memory takes them best a strip at a time, while
  // the next are computed.
  struct Turned {
    std::size_t position = 0;
    std::size_t count = 0;
  };
  Turned turned_;

  XENT_INLINE void write_rows(std::size_t strip) {
    if constexpr (rows_in_memory) {
      if (strip * n >= turned_.count) return;
      const std::size_t rows = turned_.count - strip * n;
      auto* to = static_cast<Stored*>(rows_.gradient) + (turned_.position + strip * n) * classes_;
      turn_.template write<streaming>(strip, rows < n ? rows : n, to);
      if (rows <= n) turned_.count = 0;
    }
  }

  // Stage by stage over all strips: one strip's stages wait for each other, other strips' don't.
  double take(std::size_t first, std::size_t count) {
    Strip all[strips];
    const std::size_t used = (count + n - 1) / n;
    for (std::size_t i = 0; i < used; ++i) {
      Strip& strip = all[i];
      strip.position = first + i * n;
      strip.lanes = count - i * n < n ? count - i * n : n;
      strip.exponentials = exponentials_ + i * classes_ * n;
      read_targets(strip);
      write_rows(i);
      if (smoothing || strip.lanes < n || !read_at_once(strip)) {
        take_logits(strip);
        read(strip);
      }
    }
    for (std::size_t i = used; i < strips; ++i) write_rows(i);
    doubles total{};
    for (std::size_t i = 0; i < used; ++i) add_to(total, finish(all[i]));
    if (rows_.gradient == nullptr) return sum_of(total);
    if constexpr (!rows_in_memory) {
      for (std::size_t i = 0; i < used; ++i) write_slopes(all[i]);
    } else {
      for (std::size_t i = 0; i < used; ++i) {
        const Slopes slope_of = slopes_of(all[i]);
        turn_.classes_to_rows(all[i].exponentials, i, slope_of);
      }
      turned_ = {first, count};
    }
    return sum_of(total);
  }

  // ---- one strip ----

  XENT_INLINE V finish(Strip& strip) const {
    strip.terms = terms_of<V>(rows_, strip.sums, strip.row_weight, strip.class_weight);
    const V losses = choose(strip.valid, strip.terms.loss, V{});
    if (rows_.losses != nullptr) {
      auto* to = static_cast<Stored*>(rows_.losses) + strip.position;
      if (strip.lanes == n) {
        store<false>(to, losses);
      } else {
        store_first(to, strip.lanes, losses);
      }
    }
    return losses;
  }

  // Lanes of ignored rows and beyond the end are not valid.
  XENT_INLINE void read_targets(Strip& strip) const {
    const std::size_t position = strip.position;
    strip.valid = strip.target = I{};
    strip.row_weight = strip.class_weight = repeat<V>(S(1));
#if defined(__AVX512F__)
    if constexpr (std::is_same_v<S, float>) {
      if (strip.lanes == n && weights_ == nullptr && rows_.row_weight == nullptr) {
        const __m512i ignored = _mm512_set1_epi64(rows_.ignore_index);
        const __m512i low = _mm512_loadu_si512(rows_.target + position);
        const __m512i high = _mm512_loadu_si512(rows_.target + position + 8);
        const unsigned mask = _mm512_cmpneq_epi64_mask(low, ignored) |
                              static_cast<unsigned>(_mm512_cmpneq_epi64_mask(high, ignored)) << 8;
        strip.target = (I)_mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtepi64_epi32(low)),
                                       _mm512_cvtepi64_epi32(high), 1);
        strip.valid = (I)_mm512_movm_epi32(static_cast<__mmask16>(mask));
        return;
      }
    }
#endif
    for (std::size_t i = 0; i < strip.lanes; ++i) {
      const std::int64_t index = rows_.target[position + i];
      if (index == rows_.ignore_index) continue;
      strip.target[i] = static_cast<Element<I>>(index);
      strip.valid[i] = -1;
      strip.class_weight[i] = weight_at<S>(weights_, static_cast<std::size_t>(index));
      strip.row_weight[i] = weight_at<S>(rows_.row_weight, position + i);
    }
  }

  XENT_INLINE const Stored* logits_of(const Strip& strip) const {
    const Stored* from = static_cast<const Stored*>(rows_.logits) + start_of(strip.position);
    if constexpr (rows_in_memory) {
      for (std::size_t c = 0; c < classes_; ++c) prefetch_far(from + c * n + elements_ahead);
    }
    return from;
  }

  // The exponentials relative to 1, without looking for the largest logit first. False where a sum
  // of them shows that to be too high or too low; infinities and NaN are left to that case, too.
  XENT_INLINE bool read_at_once(Strip& strip) const {
    const I target = strip.target;
    S* const exponentials = strip.exponentials;
    CompensatedSum<V> others;
    V part{}, of_target{}, target_logit{};
    const auto take = [&](std::size_t c, V x) {
      const auto power = exponential(x);
      const V value = times_power_of_two(power.mantissa, power.exponent);
      store<false>(exponentials + c * n, value);
      const auto is_target = target == static_cast<Element<I>>(c);
      part = choose(is_target, part, part + value);
      of_target = choose(is_target, value, of_target);
      target_logit = choose(is_target, x, target_logit);
      if (c % classes_together == classes_together - 1) {
        others.add(part);
        part = V{};
      }
    };
    const Stored* from = logits_of(strip);
    if constexpr (rows_in_memory) {
      turn_.each_class(from, take);
    } else {
      for (std::size_t c = 0; c < classes_; ++c) {
        prefetch(from + c * stride_ + strips * n);
        take(c, load(from + c * stride_));
      }
    }
    others.add(part);
    strip.sums = {{V{}, V{}}, others.value(), of_target, target_logit, V{}, V{}};
    const V sum = strip.sums.others + of_target;
    return all_of((sum >= S(least_sum)) & (sum <= S(largest_sum)));
  }

  // The logits on their side, kept where their exponentials will be.
  XENT_INLINE void take_logits(const Strip& strip) const {
    const Stored* from = logits_of(strip);
    S* const logits = strip.exponentials;
    if constexpr (rows_in_memory) {
      turn_.rows_to_classes(from, strip.lanes, logits);
    } else {
      for (std::size_t c = 0; c < classes_; ++c) {
        const Stored* at = from + c * stride_;
        store<false>(logits + c * n, strip.lanes == n ? load(at) : load_first(at, strip.lanes, S(0)));
      }
    }
  }

  void read(Strip& strip) const {
    const I target = strip.target;
    S* const exponentials = strip.exponentials;
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
          if (weight != 0) apart = fused(repeat<V>(weight), largest - x, apart);
        }
      }
      others.add(part);
      if constexpr (smoothing) distances.add(apart);
    }
    strip.sums = {base, others.value(), of_target, target_logit, largest, distances.value()};
  }

  // The gradient, class by class.
  struct Slopes {
    const S* exponentials;
    const S* weights;
    I target;
    V of_softmax, of_class_weight, at_target;

    XENT_INLINE V operator()(std::size_t c) const {
      V slope = load(exponentials + c * n) * of_softmax;
      if constexpr (smoothing) {
        slope = fused(-of_class_weight, repeat<V>(weights == nullptr ? S(1) : weights[c]), slope);
      }
      return choose(target == static_cast<Element<I>>(c), at_target, slope);
    }
  };

  // Lanes that are not valid get zeros, whatever their exponentials are.
  XENT_INLINE Slopes slopes_of(const Strip& strip) const {
    const I valid = strip.valid;
    const RowTerms<V>& terms = strip.terms;
    if (!all_of(valid)) {
      for (std::size_t c = 0; c < classes_; ++c) {
        S* const at = strip.exponentials + c * n;
        store<false>(at, choose(valid, load(at), V{}));
      }
    }
    return {strip.exponentials, weights_, strip.target, choose(valid, terms.of_softmax, V{}),
            choose(valid, terms.of_class_weight, V{}), choose(valid, terms.at_target, V{})};
  }

  XENT_INLINE void write_slopes(const Strip& strip) const {
    Stored* to = static_cast<Stored*>(rows_.gradient) + start_of(strip.position);
    const Slopes slope_of = slopes_of(strip);
    for (std::size_t c = 0; c < classes_; ++c) {
      if (strip.lanes == n) {
        store<streaming>(to + c * stride_, slope_of(c));
      } else {
        store_first(to + c * stride_, strip.lanes, slope_of(c));
      }
    }
  }
};

// Whether every vector of the gradient is a whole line: others would only be in the way of memory.
template <typename Stored, bool rows_in_memory>
bool writes_whole_lines(const SoftmaxRows& rows, std::size_t first) {
  const auto gradient = reinterpret_cast<std::uintptr_t>(rows.gradient);
  if (rows_in_memory) return (gradient + first * rows.classes * sizeof(Stored)) % vector_bytes == 0;
  return sizeof(Stored) == sizeof(Scalar<Stored>) && gradient % vector_bytes == 0 &&
         rows.positions % width<Stored> == 0 && first % width<Stored> == 0;
}

template <typename Stored, bool rows_in_memory, bool smoothing>
double run_strips(const SoftmaxRows& rows, std::size_t first, std::size_t last) {
  using Plain = Strips<Stored, rows_in_memory, smoothing, false>;
  using Streamed = Strips<Stored, rows_in_memory, smoothing, true>;
  static thread_local Scratch scratch, tables;
  void* memory = scratch.take(Plain::scratch_bytes(rows.classes));
  void* turn = rows_in_memory ? tables.take(Turn<Stored>::bytes(rows.classes, strips_together)) : nullptr;
  const bool ready = tables.holds(rows.classes);
  if (rows.streaming && writes_whole_lines<Stored, rows_in_memory>(rows, first)) {
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
