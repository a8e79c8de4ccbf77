// Statistics of rows of logits, in two forms: row by row, where many classes lie next to each other
// in memory, and with a row in each lane of a vector, for few classes (turned on their side on the
// way in) or for positions side by side.
//
// With m the class of the largest logit, E the sum of exp(x_c - x_m) over the other classes and D
// that of exp(x_c - x_m) * (x_m - x_c), all at least 0:
//   rest = log(1 + E),  log_sum_exp = x_m + rest,  nll = rest + (x_m - x_y),
//   entropy = rest + D / (1 + E)
#include "statistics.hpp"

#include <cstdlib>

#include "peak.hpp"
#include "turn.hpp"

namespace xent::XENT_INSTRUCTION_SET {
namespace {

inline std::int64_t prediction_of_ignored(const StatisticsRows& rows) {
  return rows.ignore_index == -1 ? -2 : -1;
}

template <typename V>
struct RowStatistics {
  V nll, log_sum_exp, entropy;
};

// A sum without an end or a value leaves nothing known.
template <typename V>
XENT_INLINE RowStatistics<V> statistics_of(V peak, V target_logit, V rest, V others, V peak_term,
                                           V distances) {
  return {rest + (peak - target_logit), peak + rest, rest + distances / (others + peak_term)};
}

// ---- row by row ----

template <typename Stored>
class RowReader {
  using S = Scalar<Stored>;
  using V = Vector<Stored>;
  using I = Integers<Stored>;
  static constexpr std::size_t n = width<Stored>;

 public:
  explicit RowReader(const StatisticsRows& rows) : rows_(rows) {}

  void run(std::size_t first, std::size_t last) {
    for (std::size_t row = first; row < last; ++row) {
      const std::int64_t target = rows_.target[row];
      if (target == rows_.ignore_index) {
        write(row, {0.0, 0.0, 0.0}, prediction_of_ignored(rows_));
      } else {
        const RowStatistics<double> statistics = take(row, static_cast<std::size_t>(target));
        write(row, statistics, static_cast<std::int64_t>(peak_.place));
      }
    }
  }

 private:
  const StatisticsRows& rows_;

  // The row that is read.
  const Stored* logits_ = nullptr;
  Peak<S> peak_;
  double others_ = 0.0;     // sum of the exponentials, relative to the base, without the largest
  double distances_ = 0.0;  // sum of those times the distance from the largest logit

  RowStatistics<double> take(std::size_t row, std::size_t target) {
    const std::size_t classes = rows_.classes;
    logits_ = static_cast<const Stored*>(rows_.logits) + row * classes;
    peak_ = Peak<S>();
    others_ = distances_ = 0.0;
    for (std::size_t first = 0; first < classes; first += block_size) {
      take_block(first, classes - first < block_size ? classes : first + block_size);
    }
    const double rest = peak_.rest(others_);
    if (rest != rest) find_not_a_number();
    return statistics_of<double>(peak_.logit, widen(logits_[target]), rest, others_, peak_.term, distances_);
  }

  void take_block(std::size_t first, std::size_t last) {
    const double largest = largest_in(logits_ + first, last - first);
    std::size_t place = nowhere;
    if (largest > peak_.logit) {
      place = first + place_of(static_cast<S>(largest), logits_ + first, last - first);
      rise_to(largest, place);
    }
    BlockSums sums;
    if (place == nowhere) {
      read(first, last, sums);
    } else {
      const std::size_t vector = first + (place - first) / n * n;
      const std::size_t after = vector + n < last ? vector + n : last;
      read(first, vector, sums);
      read_some(vector, after - vector, place - vector, sums);
      read(after, last, sums);
    }
    others_ += sum_of(in_double(sums.others.value()));
    distances_ += sum_of(in_double(sums.distances.value()));
  }

  // The largest logit so far joins the others, and all distances grow.
  void rise_to(double largest, std::size_t place) {
    others_ += peak_.term;
    if (others_ != 0.0) distances_ += others_ * (largest - peak_.logit);
    const double factor = peak_.move_to(largest, place);
    others_ *= factor;
    distances_ *= factor;
  }

  // Largest of all, as everywhere in PyTorch.
  void find_not_a_number() {
    for (std::size_t i = 0; i < rows_.classes; ++i) {
      const S x = widen(logits_[i]);
      if (x == x) continue;
      peak_.place = i;
      return;
    }
  }

  struct BlockSums {
    CompensatedSum<V> others, distances;
  };

  struct Constants {
    V shift, exponent, reference, lowest;
  };
  XENT_INLINE Constants constants() const {
    return {repeat<V>(static_cast<S>(peak_.base.shift)), repeat<V>(static_cast<S>(peak_.base.exponent)),
            repeat<V>(static_cast<S>(peak_.reference() - peak_.base.shift)), repeat<V>(-2 * exact_limit<S>)};
  }

  static XENT_INLINE void take_vector(V x, const Constants& constant, V& value, V& distance) {
    // Far below every base stands for minus infinity, so that its distance is finite; a NaN comes
    // second and goes on.
    const V bounded = larger(constant.lowest, x - constant.shift);
    const auto power = exponential(bounded);
    value = times_power_of_two(power.mantissa, power.exponent - constant.exponent);
    distance = constant.reference - bounded;
  }

  // Whole vectors, and what is left over.
  void read(std::size_t first, std::size_t last, BlockSums& sums) {
    const Constants constant = constants();
    std::size_t i = first;
    while (i + n <= last) {
      V others[chains] = {}, distances[chains] = {};
      const auto take_at = [&](std::size_t at, std::size_t a) {
        V value, distance;
        take_vector(load(logits_ + at), constant, value, distance);
        others[a] += value;
        distances[a] = fused(value, distance, distances[a]);
      };
      i = take_chains<n>(i, last, take_at);
      sums.others.add(sum_of_chains(others));
      sums.distances.add(sum_of_chains(distances));
    }
    if (i < last) read_some(i, last - i, nowhere, sums);
  }

  // The first of a vector, without the lane of the largest logit.
  void read_some(std::size_t i, std::size_t count, std::size_t left_out, BlockSums& sums) {
    V value, distance;
    take_vector(load_first(logits_ + i, count, -std::numeric_limits<S>::infinity()), constants(), value,
                distance);
    value = choose(lane_numbers<I>() == static_cast<Element<I>>(left_out), V{}, value);
    sums.others.add(value);
    sums.distances.add(value * distance);
  }

  void write(std::size_t row, const RowStatistics<double>& statistics, std::int64_t prediction) const {
    narrow(static_cast<S>(statistics.nll), static_cast<Stored*>(rows_.nll) + row);
    narrow(static_cast<S>(statistics.log_sum_exp), static_cast<Stored*>(rows_.log_sum_exp) + row);
    narrow(static_cast<S>(statistics.entropy), static_cast<Stored*>(rows_.entropy) + row);
    rows_.prediction[row] = prediction;
  }
};

// ---- a row in each lane ----

template <typename Stored, bool rows_in_memory>
class StripReader {
  using S = Scalar<Stored>;
  using V = Vector<Stored>;
  using I = Integers<Stored>;
  static constexpr std::size_t n = width<Stored>;
  // Strips of one vector each that pass through together: their loads and stores to the scratch are
  // then far enough apart not to wait for each other.
  static constexpr std::size_t strips = 4;
  // Classes that are summed before their sum joins that of the others.
  static constexpr std::size_t classes_together = 16;
  static constexpr std::size_t ahead = 8192 / sizeof(Stored);

 public:
  static std::size_t scratch_bytes(std::size_t classes) {
    return strips * n * classes * sizeof(S) + (rows_in_memory ? Turn<Stored>::bytes(classes, 1) : 0);
  }

  StripReader(const StatisticsRows& rows, void* scratch)
      : rows_(rows),
        classes_(rows.classes),
        stride_(rows_in_memory ? 1 : rows.positions),
        logits_(static_cast<S*>(scratch)),
        turn_(rows.classes, rows_in_memory ? logits_ + strips * n * classes_ : nullptr, 1) {}

  void run(std::size_t first, std::size_t last) {
    while (first < last) {
      // Strips stay within one image.
      std::size_t end = last;
      if (!rows_in_memory) {
        const std::size_t image_end = (first / rows_.positions + 1) * rows_.positions;
        end = image_end < last ? image_end : last;
      }
      const std::size_t count = end - first < strips * n ? end - first : strips * n;
      take(first, count);
      first += count;
    }
  }

 private:
  const StatisticsRows& rows_;
  const std::size_t classes_;
  const std::size_t stride_;
  S* const logits_;
  const Turn<Stored> turn_;

  std::size_t start_of(std::size_t position) const {
    if (rows_in_memory) return position * classes_;
    const std::size_t image = position / rows_.positions;
    return image * classes_ * rows_.positions + position % rows_.positions;
  }

  void take(std::size_t first, std::size_t count) {
    for (std::size_t k = 0; k * n < count; ++k) {
      const std::size_t lanes = count - k * n < n ? count - k * n : n;
      take_in(static_cast<const Stored*>(rows_.logits) + start_of(first + k * n), lanes,
              logits_ + k * classes_ * n);
    }
    for (std::size_t k = 0; k * n < count; ++k) {
      const std::size_t lanes = count - k * n < n ? count - k * n : n;
      take_strip(first + k * n, lanes, logits_ + k * classes_ * n);
    }
  }

  // Class by class, into the scratch.
  XENT_INLINE void take_in(const Stored* from, std::size_t lanes, S* to) const {
    if constexpr (rows_in_memory) {
      for (std::size_t c = 0; c < classes_; ++c) prefetch_far(from + c * n + ahead);
      turn_.rows_to_classes(from, lanes, to);
    } else {
      for (std::size_t c = 0; c < classes_; ++c) {
        const Stored* at = from + c * stride_;
        prefetch(at + strips * n);
        store<false>(to + c * n, lanes == n ? load(at) : load_first(at, lanes, S(0)));
      }
    }
  }

  // The class of the largest logit, and the logits of that class and of the target.
  struct Picked {
    I place, target;
    V largest, target_logit;
  };

  void take_strip(std::size_t position, std::size_t lanes, const S* logits) {
    Picked picked{};
    const I valid = read_targets(position, lanes, picked.target);
    pick(logits, picked);
    const Base<V> base = base_below(picked.largest);
    V others, peak_term, distances;
    read(base, picked, logits, others, peak_term, distances);
    const V rest = rest_of(others, peak_term);
    if (any_of(rest != rest)) find_not_a_number(logits, picked.place);
    const RowStatistics<V> statistics =
        statistics_of<V>(picked.largest, picked.target_logit, rest, others, peak_term, distances);
    write(rows_.nll, position, lanes, choose(valid, statistics.nll, V{}));
    write(rows_.log_sum_exp, position, lanes, choose(valid, statistics.log_sum_exp, V{}));
    write(rows_.entropy, position, lanes, choose(valid, statistics.entropy, V{}));
    for (std::size_t i = 0; i < lanes; ++i) {
      rows_.prediction[position + i] = valid[i] ? picked.place[i] : prediction_of_ignored(rows_);
    }
  }

  XENT_INLINE I read_targets(std::size_t position, std::size_t lanes, I& target) const {
    I valid{};
    for (std::size_t i = 0; i < lanes; ++i) {
      const std::int64_t index = rows_.target[position + i];
      if (index == rows_.ignore_index) continue;
      target[i] = static_cast<Element<I>>(index);
      valid[i] = -1;
    }
    return valid;
  }

  XENT_INLINE void pick(const S* logits, Picked& picked) const {
    picked.largest = repeat<V>(-std::numeric_limits<S>::infinity());
    for (std::size_t c = 0; c < classes_; ++c) {
      const V x = load(logits + c * n);
      const I index = repeat<I>(static_cast<Element<I>>(c));
      const auto above = x > picked.largest;
      picked.largest = choose(above, x, picked.largest);
      picked.place = choose(above, index, picked.place);
      picked.target_logit = choose(picked.target == index, x, picked.target_logit);
    }
  }

  XENT_INLINE void read(const Base<V>& base, const Picked& picked, const S* logits, V& others,
                        V& peak_term, V& distances) const {
    const V lowest = repeat<V>(-2 * exact_limit<S>);
    const V reference = picked.largest - base.shift;
    CompensatedSum<V> all_others, all_distances;
    peak_term = V{};
    for (std::size_t start = 0; start < classes_; start += classes_together) {
      const std::size_t stop = start + classes_together < classes_ ? start + classes_together : classes_;
      V part{}, part_of_distances{};
      for (std::size_t c = start; c < stop; ++c) {
        // Far below every base stands for minus infinity, so that its distance is finite.
        const V bounded = larger(lowest, load(logits + c * n) - base.shift);
        const auto power = exponential(bounded);
        const V value = times_power_of_two(power.mantissa, power.exponent - base.exponent);
        const auto is_peak = picked.place == static_cast<Element<I>>(c);
        const V other = choose(is_peak, V{}, value);
        peak_term = choose(is_peak, value, peak_term);
        part += other;
        part_of_distances = fused(other, reference - bounded, part_of_distances);
      }
      all_others.add(part);
      all_distances.add(part_of_distances);
    }
    others = all_others.value();
    distances = all_distances.value();
  }

  // Largest of all, as everywhere in PyTorch.
  void find_not_a_number(const S* logits, I& place) const {
    for (std::size_t c = classes_; c-- > 0;) {
      const V x = load(logits + c * n);
      place = choose(x != x, repeat<I>(static_cast<Element<I>>(c)), place);
    }
  }

  static XENT_INLINE void write(void* to, std::size_t position, std::size_t lanes, V values) {
    if (lanes == n) {
      store<false>(static_cast<Stored*>(to) + position, values);
    } else {
      store_first(static_cast<Stored*>(to) + position, lanes, values);
    }
  }
};

// ---- the choice ----

// Rows with more classes fill the vectors by themselves. Measured where both forms take as long.
constexpr std::size_t few_classes = vector_bytes == 64 ? 96 : 64;

template <typename Stored, bool rows_in_memory>
void run_strips(const StatisticsRows& rows, std::size_t first, std::size_t last) {
  using Reader = StripReader<Stored, rows_in_memory>;
  void* scratch = std::aligned_alloc(64, (Reader::scratch_bytes(rows.classes) + 127) / 64 * 64);
  Reader(rows, scratch).run(first, last);
  std::free(scratch);
}

template <typename Stored>
void run(const StatisticsRows& rows, std::size_t first, std::size_t last) {
  if (rows.positions != 1) return run_strips<Stored, false>(rows, first, last);
  if (rows.classes <= few_classes) return run_strips<Stored, true>(rows, first, last);
  RowReader<Stored>(rows).run(first, last);
}

}  // namespace

void softmax_statistics(const StatisticsRows& rows, Storage storage, std::size_t first, std::size_t last) {
  switch (storage) {
    case Storage::float64: return run<double>(rows, first, last);
    case Storage::bfloat16: return run<bfloat16>(rows, first, last);
    case Storage::float16: return run<float16>(rows, first, last);
    default: return run<float>(rows, first, last);
  }
}

}  // namespace xent::XENT_INSTRUCTION_SET
