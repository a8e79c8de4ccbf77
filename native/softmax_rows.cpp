// Rows of many classes that lie next to each other in memory.
//
// One uniform loop does everything: it computes the exponentials of one row into a scratch that
// stays in the caches, and in the same steps scales the exponentials of the row before into its
// gradient. Memory is then busy all the time: each logit is read once from memory and each slope
// written once, past the caches where they would only be in the way.
#include <limits>

#include "scratch.hpp"
#include "softmax_row.hpp"

namespace xent::XENT_INSTRUCTION_SET {
namespace {

constexpr std::size_t accumulators = 4;
// Summed in the precision of the logits, then in double: shorter where that is the same.
template <typename S>
constexpr std::size_t block_size = std::is_same_v<S, double> ? 256 : 1024;
// Two distances, into the first and into the second cache: the hardware's own prefetching ends with
// each page. Measured on an Intel server: 4 KiB ahead alone is a tenth slower, 2 KiB a sixth.
constexpr std::size_t prefetch_bytes = 2048, prefetch_far_bytes = 12288;
constexpr std::size_t line = 64;  // bytes of a cache line
constexpr double log2_of_e = 1.44269504088896340736;

enum class Smoothing { none, uniform, weighted };

// Closer with label smoothing, whose distances from the base would cancel otherwise.
constexpr double least_sum_near = 0x1p-1, largest_sum_near = 0x1p+20;

template <typename Stored, Smoothing smoothing, bool streaming>
class RowPipeline {
  using S = Scalar<Stored>;
  using V = Vector<Stored>;
  static constexpr std::size_t n = width<Stored>;
  static constexpr std::size_t step = accumulators * n;

 public:
  RowPipeline(const SoftmaxRows& rows, void* scratch, std::size_t scratch_size)
      : rows_(rows),
        weights_(static_cast<const S*>(rows.class_weight)),
        incoming_(static_cast<S*>(scratch)),
        outgoing_(static_cast<S*>(scratch) + scratch_size) {}

  double run(std::size_t first, std::size_t last) {
    CompensatedSum<double> total;
    for (std::size_t row = first; row < last; ++row) {
      const std::int64_t target = rows_.target[row];
      const bool ignored = target == rows_.ignore_index;
      const double loss = ignored ? 0.0 : take(row, static_cast<std::size_t>(target));
      if (ignored) skip(row);
      if (rows_.losses != nullptr) {
        narrow(static_cast<S>(loss), static_cast<Stored*>(rows_.losses) + row);
      }
      total.add(loss);
    }
    finish_writing();
    if (streaming) finish_streaming();
    return total.value();
  }

 private:
  const SoftmaxRows& rows_;
  const S* weights_;

  // The row that is read.
  const Stored* logits_ = nullptr;
  S* incoming_;
  Base<double> base_{0.0, 0.0};
  std::size_t target_ = 0;
  double sum_ = 0.0;        // of the exponentials relative to the base, without the target's
  double reference_ = 0.0;  // near the largest logit, for label smoothing
  double distances_ = 0.0;  // of the logits from the reference, weighted by class

  // The row that is written: exponential * of_softmax - class weight * of_class_weight.
  S* outgoing_;
  Stored* gradient_ = nullptr;
  std::size_t next_ = 0, end_ = 0;
  V of_softmax_{}, of_class_weight_{};

  double take(std::size_t row, std::size_t target) {
    logits_ = static_cast<const Stored*>(rows_.logits) + row * rows_.classes;
    target_ = target;
    sum_ = distances_ = 0.0;
    for (std::size_t first = 0; first < rows_.classes; first += block_size<S>) {
      const std::size_t rest = rows_.classes - first;
      read(first, rest < block_size<S> ? first + rest : first + block_size<S>);
    }
    const double logit = widen(logits_[target]);
    if (smoothing != Smoothing::none && !(std::abs(distances_) < 1e300)) distances_ = exact_distances();
    const RowSums<double> sums{base_, sum_, exponential_relative_to(base_, logit), logit,
                               reference_, distances_};
    const RowTerms<double> terms =
        terms_of<double>(rows_, sums, weight_at<S>(rows_.row_weight, row), weight_at<S>(weights_, target));
    if (rows_.gradient != nullptr) {
      finish_writing();
      start_writing(row, terms);
    }
    return terms.loss;
  }

  // ---- reading ----

  struct BlockSums {
    V distances[accumulators];
    V sum[accumulators];
  };

  void read(std::size_t first, std::size_t last) {
    BlockSums sums;
    read_block<true>(first, last, sums);
    const double all = sum_of_block(sums);
    constexpr bool near = smoothing != Smoothing::none;
    const bool fits = all <= (near ? largest_sum_near : largest_sum) &&
                      (first > 0 || all >= (near ? least_sum_near : least_sum));
    if (!fits && move_base(first, last)) read_block<false>(first, last, sums);
    if (target_ >= first && target_ < last) {
      leave_target_out(first, last, sums);
      sum_ += sum_of_block(sums);
    } else {
      sum_ += fits ? all : sum_of_block(sums);
    }
    if (smoothing != Smoothing::none) distances_ += sum_of((sums.distances[0] + sums.distances[1]) +
                                                           (sums.distances[2] + sums.distances[3]));
  }

  static XENT_INLINE double sum_of_block(const BlockSums& sums) {
    return sum_of((sums.sum[0] + sums.sum[1]) + (sums.sum[2] + sums.sum[3]));
  }

  // Reads a block, and meanwhile writes as much of the row before.
  template <bool writing>
  void read_block(std::size_t first, std::size_t last, BlockSums& sums) {
    const V shift = repeat<V>(static_cast<S>(base_.shift));
    const V exponent = repeat<V>(static_cast<S>(base_.exponent));
    const V reference = repeat<V>(static_cast<S>(reference_));
    const V lowest = repeat<V>(-2 * exact_limit<S>);
    // Of this block alone, so that the compiler keeps them in registers.
    const Stored* const logits = logits_;
    const S* const weights = weights_;
    S* const exponentials = incoming_;
    V distances[accumulators] = {}, sum[accumulators] = {}, lost[accumulators] = {};
    const auto take_vector = [&](std::size_t i, std::size_t a, V x, V of_distance, V weight) {
      // Far below every base stands for minus infinity; a NaN comes second and goes on.
      const V bounded = larger(lowest, x - shift);
      const auto power = exponential(bounded);
      const V value = times_power_of_two(power.mantissa, power.exponent - exponent);
      store<false>(exponentials + i, value);
      if constexpr (std::is_same_v<S, double>) {
        // Nothing longer to sum in: what an addition rounds away joins the next.
        const V whole = value + lost[a], next = sum[a] + whole;
        lost[a] = whole - (next - sum[a]);
        sum[a] = next;
      } else {
        sum[a] += value;
      }
      if constexpr (smoothing == Smoothing::uniform) distances[a] += reference - of_distance;
      if constexpr (smoothing == Smoothing::weighted) {
        distances[a] = fused(weight, reference - of_distance, distances[a]);
      }
    };
    const auto take_at = [&](std::size_t i, std::size_t a) {
      prefetch(reinterpret_cast<const char*>(logits + i) + prefetch_bytes);
      prefetch_far(reinterpret_cast<const char*>(logits + i) + prefetch_far_bytes);
      const V x = load(logits + i);
      if constexpr (smoothing == Smoothing::weighted) {
        take_vector(i, a, x, x, load(weights + i));
      } else {
        take_vector(i, a, x, x, V{});
      }
    };
    std::size_t i = first;
    if constexpr (writing) {
      std::size_t next = next_;
      const std::size_t end = end_;
      for (; i + step <= last && next + step <= end; i += step, next += step) {
        for (std::size_t a = 0; a < accumulators; ++a) {
          take_at(i + a * n, a);
          write_vector<streaming>(next + a * n);
        }
      }
      next_ = next;
    }
    for (; i + step <= last; i += step) {
      for (std::size_t a = 0; a < accumulators; ++a) take_at(i + a * n, a);
    }
    for (std::size_t a = 0; i < last; ++a, i += n) {
      if (i + n <= last) {
        take_at(i, a);
        continue;
      }
      const std::size_t rest = last - i;
      V weight{};
      if constexpr (smoothing == Smoothing::weighted) weight = load_first(weights + i, rest, S(0));
      take_vector(i, a, load_first(logits + i, rest, -std::numeric_limits<S>::infinity()),
                  load_first(logits + i, rest, reference[0]), weight);
    }
    for (std::size_t a = 0; a < accumulators; ++a) {
      sums.sum[a] = sum[a];
      sums.distances[a] = distances[a];
    }
  }

  // The target's lane, added up again without the target.
  void leave_target_out(std::size_t first, std::size_t last, BlockSums& sums) const {
    const std::size_t place = target_ - first;
    const std::size_t a = place / n % accumulators, lane = place % n;
    // Two sums: an addition need not wait for the one before.
    S sum[2] = {0, 0};
    for (std::size_t i = first + a * n + lane, k = 0; i < last; i += step, ++k) {
      sum[k % 2] += i == target_ ? S(0) : incoming_[i];
    }
    sums.sum[a][lane] = sum[0] + sum[1];
  }

  // Moves to a base that suits the logits so far; what was read before the block moves with it.
  bool move_base(std::size_t first, std::size_t last) {
    double highest = -std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i < last; ++i) {
      const double x = widen(logits_[i]);
      highest = x > highest ? x : highest;
    }
    // Of a row of minus infinities nothing is known yet; plus infinity makes it NaN, as it should.
    if (highest == -std::numeric_limits<double>::infinity()) return false;
    Base<double> moved{0.0, std::nearbyint(highest * log2_of_e)};
    if (std::abs(highest) > exact_limit<S>) moved = {highest, 0.0};
    if (moved.shift == base_.shift && moved.exponent == base_.exponent) return false;
    const double reference = static_cast<S>(log_of_base_less(moved, 0.0));
    if (first == 0) {
      base_ = moved;
      reference_ = reference;
      return true;
    }
    const double down = log_of_base_less(base_, 0.0) - log_of_base_less(moved, 0.0);
    const double factor = base_.shift == moved.shift
                              ? std::exp2(base_.exponent - moved.exponent)
                              : std::exp(down);
    sum_ *= factor;
    double weight = static_cast<double>(first);
    if (smoothing == Smoothing::weighted) {
      weight = 0.0;
      for (std::size_t i = 0; i < first; ++i) weight += weights_[i];
    }
    distances_ += weight * (reference - reference_);
    reference_ = reference;
    for (std::size_t i = 0; i < first; ++i) incoming_[i] = static_cast<S>(incoming_[i] * factor);
    base_ = moved;
    return true;
  }

  // A class without weight drops its term, however far its logit is.
  double exact_distances() const {
    double total = 0.0;
    for (std::size_t i = 0; i < rows_.classes; ++i) {
      const double weight = weight_at<S>(weights_, i);
      if (weight != 0.0) total += weight * (reference_ - widen(logits_[i]));
    }
    return total;
  }

  // ---- writing ----

  void start_writing(std::size_t row, const RowTerms<double>& terms) {
    S* const finished = incoming_;
    incoming_ = outgoing_;
    outgoing_ = finished;
    gradient_ = static_cast<Stored*>(rows_.gradient) + row * rows_.classes;
    const S of_softmax = static_cast<S>(terms.of_softmax);
    const S of_class_weight = static_cast<S>(terms.of_class_weight);
    of_softmax_ = repeat<V>(of_softmax);
    of_class_weight_ = repeat<V>(of_class_weight);
    // The value that the loop turns into the target's gradient, which is known more precisely.
    const double subtracted = of_class_weight * weight_at<S>(weights_, target_);
    outgoing_[target_] = of_softmax == 0 ? S(0)
                             : static_cast<S>((terms.at_target + subtracted) / of_softmax);
    next_ = 0;
    end_ = rows_.classes;
    const auto address = reinterpret_cast<std::uintptr_t>(gradient_);
    if (streaming && address % line != 0) {
      const std::size_t head = (line - address % line) / sizeof(Stored);
      write_slowly(head < end_ ? head : end_);
    }
  }

  template <bool past_caches>
  XENT_INLINE void write_vector(std::size_t i) {
    const V exponentials = load(outgoing_ + i);
    if constexpr (smoothing == Smoothing::none) {
      store<past_caches>(gradient_ + i, exponentials * of_softmax_);
    } else if constexpr (smoothing == Smoothing::uniform) {
      store<past_caches>(gradient_ + i, fused(exponentials, of_softmax_, -of_class_weight_));
    } else {
      const V weights = load(weights_ + i);
      store<past_caches>(gradient_ + i,
                         fused(exponentials, of_softmax_, -of_class_weight_ * weights));
    }
  }

  // Up to `end`, through the caches: only whole lines may go past them.
  void write_slowly(std::size_t end) {
    for (; next_ + n <= end; next_ += n) write_vector<false>(next_);
    if (next_ < end) write_some(next_, end - next_);
  }

  void write_some(std::size_t i, std::size_t count) {
    V result = load_first(outgoing_ + i, count, S(0)) * of_softmax_;
    if constexpr (smoothing == Smoothing::uniform) result -= of_class_weight_;
    if constexpr (smoothing == Smoothing::weighted) {
      result = fused(-of_class_weight_, load_first(weights_ + i, count, S(0)), result);
    }
    store_first(gradient_ + i, count, result);
    next_ += count;
  }

  void finish_writing() {
    constexpr std::size_t line_size = line / sizeof(Stored);
    for (; next_ + line_size <= end_; next_ += line_size) {
      for (std::size_t i = 0; i < line_size; i += n) write_vector<streaming>(next_ + i);
    }
    write_slowly(end_);
  }

  void skip(std::size_t row) {
    if (rows_.gradient == nullptr) return;
    finish_writing();
    std::memset(static_cast<Stored*>(rows_.gradient) + row * rows_.classes, 0,
                rows_.classes * sizeof(Stored));
  }
};

template <typename Stored, Smoothing smoothing, bool streaming>
double run_rows(const SoftmaxRows& rows, std::size_t first, std::size_t last) {
  const std::size_t size = (rows.classes * sizeof(Scalar<Stored>) + 127) / 64 * 64;
  static thread_local Scratch scratch;
  RowPipeline<Stored, smoothing, streaming> pipeline(rows, scratch.take(2 * size),
                                                     size / sizeof(Scalar<Stored>));
  return pipeline.run(first, last);
}

template <typename Stored, Smoothing smoothing>
double run_rows(const SoftmaxRows& rows, std::size_t first, std::size_t last) {
  return rows.streaming ? run_rows<Stored, smoothing, true>(rows, first, last)
                        : run_rows<Stored, smoothing, false>(rows, first, last);
}

template <typename Stored>
double run_rows(const SoftmaxRows& rows, std::size_t first, std::size_t last) {
  if (rows.label_smoothing == 0.0) return run_rows<Stored, Smoothing::none>(rows, first, last);
  return rows.class_weight == nullptr
             ? run_rows<Stored, Smoothing::uniform>(rows, first, last)
             : run_rows<Stored, Smoothing::weighted>(rows, first, last);
}

}  // namespace

double softmax_rows(const SoftmaxRows& rows, Storage storage, std::size_t first,
                    std::size_t last) {
  switch (storage) {
    case Storage::float64: return run_rows<double>(rows, first, last);
    case Storage::bfloat16: return run_rows<bfloat16>(rows, first, last);
    case Storage::float16: return run_rows<float16>(rows, first, last);
    default: return run_rows<float>(rows, first, last);
  }
}

}  // namespace xent::XENT_INSTRUCTION_SET
