// Probabilities of the classes as targets, in two forms: row by row, where many classes lie next to
// each other in memory, and with a row in each lane of a vector, for few classes (turned on their
// side on the way in and out) or for positions side by side.
//
// Every sum over the classes leaves the term of the largest logit out, whose distance is 0 and whose
// gradient is then known from the others: (K e_m - k_m E) / (E + e_m), where k_m and e_m are the
// share and the exponential of that class, K and E the sums of those of the others.
#include "soft_targets.hpp"

#include <cstdlib>

#include "peak.hpp"
#include "turn.hpp"

namespace xent::XENT_INSTRUCTION_SET {
namespace {

// The share k_c of a class: its target, smoothed and weighted.
template <typename Stored>
struct Share {
  using S = Scalar<Stored>;
  using V = Vector<Stored>;
  double kept, even;
  const S* weights;

  explicit Share(const SoftTargetRows& rows)
      : kept(1.0 - rows.label_smoothing),
        even(rows.label_smoothing / static_cast<double>(rows.classes)),
        weights(static_cast<const S*>(rows.class_weight)) {}

  double of(std::size_t c, double target) const {
    return (kept * target + even) * weight_at<S>(weights, c);
  }
};

// What a row, or a vector of rows, comes to. V is a number or a vector.
template <typename V>
struct SoftTerms {
  V loss;
  V of_softmax;  // coefficients of the gradient: of exp(x_c) relative to the base,
  V of_share;    // of the share of class c,
  V at_peak;     // and the whole gradient at the largest logit
};

// The sums over the classes, `others` and `shares` without that of the largest logit.
template <typename V>
struct SoftSums {
  V others;
  V peak_term;
  V shares;
  V peak_share;
  V distances;  // sum over c of k_c * (largest - x_c)
};

template <typename V>
XENT_INLINE SoftTerms<V> soft_terms(const SoftTargetRows& rows, const SoftSums<V>& sums, V peak, V rest,
                                    V row_weight) {
  using S = Element<V>;
  const V all_shares = sums.shares + sums.peak_share;
  V loss = fused(all_shares, rest, sums.distances);
  V slope_of_square{};
  if (rows.z_loss != 0.0) {
    const S z = static_cast<S>(rows.z_loss);
    const V log_sum_exp = peak + rest;
    loss += z * log_sum_exp * log_sum_exp;
    slope_of_square = (z * 2) * log_sum_exp;
  }
  const V of_share = row_weight * static_cast<S>(rows.scale);
  const V part = of_share / (sums.others + sums.peak_term);
  const V at_peak = fused(sums.shares + slope_of_square, sums.peak_term,
                          -(sums.peak_share * sums.others));
  return {loss, (all_shares + slope_of_square) * part, of_share, at_peak * part};
}

// ---- row by row ----

template <typename Stored, bool weighted, bool streaming>
class SoftTargetPipeline {
  using S = Scalar<Stored>;
  using V = Vector<Stored>;
  using I = Integers<Stored>;
  static constexpr std::size_t n = width<Stored>;

 public:
  SoftTargetPipeline(const SoftTargetRows& rows, void* scratch)
      : rows_(rows), share_(rows), exponentials_(static_cast<S*>(scratch)) {}

  double run(std::size_t first, std::size_t last) {
    CompensatedSum<double> total;
    for (std::size_t row = first; row < last; ++row) {
      const double loss = take(row);
      if (rows_.losses != nullptr) {
        narrow(static_cast<S>(loss), static_cast<Stored*>(rows_.losses) + row);
      }
      total.add(loss);
    }
    if (streaming) finish_streaming();
    return total.value();
  }

 private:
  const SoftTargetRows& rows_;
  const Share<Stored> share_;
  S* const exponentials_;

  // The row that is read.
  const Stored* logits_ = nullptr;
  const Stored* target_ = nullptr;
  Peak<S> peak_;
  SoftSums<double> sums_{};

  double take(std::size_t row) {
    logits_ = static_cast<const Stored*>(rows_.logits) + row * rows_.classes;
    target_ = static_cast<const Stored*>(rows_.target) + row * rows_.classes;
    peak_ = Peak<S>();
    sums_ = SoftSums<double>{};
    for (std::size_t first = 0; first < rows_.classes; first += block_size) {
      const std::size_t rest = rows_.classes - first;
      take_block(first, rest < block_size ? first + rest : first + block_size);
    }
    sums_.peak_term = peak_.term;
    const double row_weight = weight_at<S>(rows_.row_weight, row);
    const SoftTerms<double> terms =
        soft_terms<double>(rows_, sums_, peak_.logit, peak_.rest(sums_.others), row_weight);
    if (rows_.gradient != nullptr) {
      write(static_cast<Stored*>(rows_.gradient) + row * rows_.classes, terms);
    }
    // A row without weight drops its loss, even an infinite one.
    return row_weight == 0.0 && __builtin_isinf(terms.loss) ? 0.0 : row_weight * terms.loss;
  }

  // ---- reading ----

  void take_block(std::size_t first, std::size_t last) {
    const double largest = largest_in(logits_ + first, last - first);
    std::size_t place = nowhere;
    if (largest > peak_.logit) {
      place = first + place_of(static_cast<S>(largest), logits_ + first, last - first);
      rise_to(largest, place, first);
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
    sums_.others += sum_of(in_double(sums.others.value()));
    sums_.shares += sum_of(in_double(sums.shares.value()));
    sums_.distances += sum_of(in_double(sums.distances.value()));
  }

  // The largest logit so far joins the others, and all distances grow.
  void rise_to(double largest, std::size_t place, std::size_t read_so_far) {
    if (peak_.known()) {
      const double all_shares = sums_.shares + sums_.peak_share;
      if (all_shares != 0.0) sums_.distances += all_shares * (largest - peak_.logit);
      sums_.others += peak_.term;
    }
    sums_.shares += sums_.peak_share;
    sums_.peak_share = share_.of(place, widen(target_[place]));
    const double factor = peak_.move_to(largest, place);
    if (factor == 1.0) return;
    sums_.others *= factor;
    for (std::size_t i = 0; i < read_so_far; ++i) {
      exponentials_[i] = static_cast<S>(exponentials_[i] * factor);
    }
  }

  struct BlockSums {
    CompensatedSum<V> others, shares, distances;
  };

  // A vector of logits and what is made of it.
  struct Part {
    V exponential, share, distance;
  };

  struct Constants {
    V shift, exponent, reference, lowest, kept, even;
  };
  XENT_INLINE Constants constants() const {
    return {repeat<V>(static_cast<S>(peak_.base.shift)), repeat<V>(static_cast<S>(peak_.base.exponent)),
            repeat<V>(static_cast<S>(peak_.reference())), repeat<V>(-2 * exact_limit<S>),
            repeat<V>(static_cast<S>(share_.kept)), repeat<V>(static_cast<S>(share_.even))};
  }

  static XENT_INLINE V exponential_of(V x, const Constants& constant) {
    // Far below every base stands for minus infinity; a NaN comes second and goes on.
    const auto power = exponential(larger(constant.lowest, x - constant.shift));
    return times_power_of_two(power.mantissa, power.exponent - constant.exponent);
  }

  XENT_INLINE V share_at(std::size_t i, const Constants& constant) const {
    const V share = fused(constant.kept, load(target_ + i), constant.even);
    if constexpr (weighted) return share * load(share_.weights + i);
    return share;
  }

  // A share of 0 drops its distance, even an infinite one.
  static XENT_INLINE V add_distance(V share, V distance, V sum) {
    return choose(share != V{}, fused(share, distance, sum), sum);
  }

  // Whole vectors, and what is left over.
  void read(std::size_t first, std::size_t last, BlockSums& sums) {
    const Constants constant = constants();
    std::size_t i = first;
    while (i + n <= last) {
      V others[chains] = {}, shares[chains] = {}, distances[chains] = {};
      const auto take_at = [&](std::size_t at, std::size_t a) {
        prefetch_both(target_ + at);
        const V x = load(logits_ + at);
        const V share = share_at(at, constant);
        const V value = exponential_of(x, constant);
        store<false>(exponentials_ + at, value);
        others[a] += value;
        shares[a] += share;
        distances[a] = add_distance(share, constant.reference - x, distances[a]);
      };
      i = take_chains<n>(i, last, take_at);
      sums.others.add(sum_of_chains(others));
      sums.shares.add(sum_of_chains(shares));
      sums.distances.add(sum_of_chains(distances));
    }
    if (i < last) read_some(i, last - i, nowhere, sums);
  }

  // The first of a vector, without the lane of the largest logit.
  void read_some(std::size_t i, std::size_t count, std::size_t left_out, BlockSums& sums) {
    const Constants constant = constants();
    const V x = load_first(logits_ + i, count, -std::numeric_limits<S>::infinity());
    V share = fused(constant.kept, load_first(target_ + i, count, S(0)), constant.even);
    if constexpr (weighted) share *= load_first(share_.weights + i, count, S(0));
    const V value = exponential_of(x, constant);
    store<false>(exponentials_ + i, value);
    const I lane = lane_numbers<I>();
    const I counted = (lane < static_cast<Element<I>>(count)) & (lane != static_cast<Element<I>>(left_out));
    share = choose(counted, share, V{});
    sums.others.add(choose(counted, value, V{}));
    sums.shares.add(share);
    sums.distances.add(add_distance(share, constant.reference - x, V{}));
  }

  // ---- writing ----

  void write(Stored* gradient, const SoftTerms<double>& terms) {
    const Constants constant = constants();
    const V of_softmax = repeat<V>(static_cast<S>(terms.of_softmax));
    const V of_share = repeat<V>(static_cast<S>(terms.of_share));
    const S at_peak = static_cast<S>(terms.at_peak);
    const std::size_t peak = peak_.place, classes = rows_.classes;
    std::size_t i = 0;
    const auto address = reinterpret_cast<std::uintptr_t>(gradient);
    constexpr std::size_t line = n * sizeof(Stored);
    if (streaming && address % line != 0) {
      const std::size_t head = (line - address % line) / sizeof(Stored);
      i = head < classes ? head : classes;
      write_some(gradient, 0, i, terms);
    }
    const S* const exponentials = exponentials_;
    for (; i + n <= classes; i += n) {
      V slope = fused(load(exponentials + i), of_softmax, -(share_at(i, constant) * of_share));
      if (peak - i < n) slope = choose(lane_numbers<I>() == static_cast<Element<I>>(peak - i),
                                       repeat<V>(at_peak), slope);
      store<streaming>(gradient + i, slope);
    }
    if (i < classes) write_some(gradient, i, classes - i, terms);
  }

  void write_some(Stored* gradient, std::size_t first, std::size_t count, const SoftTerms<double>& terms) {
    const Constants constant = constants();
    V share = fused(constant.kept, load_first(target_ + first, count, S(0)), constant.even);
    if constexpr (weighted) share *= load_first(share_.weights + first, count, S(0));
    V slope = fused(load_first(exponentials_ + first, count, S(0)),
                    repeat<V>(static_cast<S>(terms.of_softmax)),
                    -(share * static_cast<S>(terms.of_share)));
    if (peak_.place - first < count) slope[peak_.place - first] = static_cast<S>(terms.at_peak);
    store_first(gradient + first, count, slope);
  }
};

// ---- a row in each lane ----

template <typename Stored, bool rows_in_memory, bool streaming>
class SoftTargetStrips {
  using S = Scalar<Stored>;
  using V = Vector<Stored>;
  using I = Integers<Stored>;
  static constexpr std::size_t n = width<Stored>;
  // Strips of one vector each that pass through together: their loads and stores to the scratch are
  // then far enough apart not to wait for each other.
  static constexpr std::size_t strips = 4;
  // Classes that are summed before their sum joins that of the others.
  static constexpr std::size_t classes_together = 4;
  static constexpr std::size_t ahead = 8192 / sizeof(Stored);

 public:
  static std::size_t scratch_bytes(std::size_t classes) {
    return 2 * strips * n * classes * sizeof(S) + (rows_in_memory ? Turn<Stored>::bytes(classes, strips) : 0);
  }

  SoftTargetStrips(const SoftTargetRows& rows, void* scratch)
      : rows_(rows),
        classes_(rows.classes),
        stride_(rows_in_memory ? 1 : rows.positions),
        share_(rows),
        exponentials_(static_cast<S*>(scratch)),
        shares_(exponentials_ + strips * n * classes_),
        turn_(rows.classes, rows_in_memory ? shares_ + strips * n * classes_ : nullptr, strips) {}

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
    if (streaming) finish_streaming();
    return total.value();
  }

 private:
  const SoftTargetRows& rows_;
  const std::size_t classes_;
  const std::size_t stride_;
  const Share<Stored> share_;
  S* const exponentials_;
  S* const shares_;
  const Turn<Stored> turn_;

  std::size_t start_of(std::size_t position) const {
    if (rows_in_memory) return position * classes_;
    const std::size_t image = position / rows_.positions;
    return image * classes_ * rows_.positions + position % rows_.positions;
  }

  double take(std::size_t first, std::size_t count) {
    const Stored* logits = static_cast<const Stored*>(rows_.logits);
    const Stored* target = static_cast<const Stored*>(rows_.target);
    for (std::size_t k = 0; k * n < count; ++k) {
      const std::size_t lanes = count - k * n < n ? count - k * n : n;
      const std::size_t start = start_of(first + k * n);
      take_in(logits + start, lanes, exponentials_ + k * classes_ * n);
      take_in(target + start, lanes, shares_ + k * classes_ * n);
    }
    doubles total{};
    for (std::size_t k = 0; k * n < count; ++k) {
      const std::size_t lanes = count - k * n < n ? count - k * n : n;
      const std::size_t place = k * classes_ * n;
      total += in_double(take_strip(first + k * n, lanes, exponentials_ + place, shares_ + place));
    }
    if (rows_in_memory && rows_.gradient != nullptr) {
      for (std::size_t k = 0; k * n < count; ++k) {
        S* const from = exponentials_ + k * classes_ * n;
        turn_.classes_to_rows(from, k, [from](std::size_t c) { return load(from + c * n); });
      }
      for (std::size_t k = 0; k * n < count; ++k) {
        const std::size_t lanes = count - k * n < n ? count - k * n : n;
        auto* to = static_cast<Stored*>(rows_.gradient) + (first + k * n) * classes_;
        turn_.template write<streaming>(k, lanes, to);
      }
    }
    return sum_of(total);
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

  V take_strip(std::size_t position, std::size_t lanes, S* exponentials, S* shares) {
    V largest = repeat<V>(-std::numeric_limits<S>::infinity());
    I place{};
    for (std::size_t c = 0; c < classes_; ++c) {
      const V x = load(exponentials + c * n);
      const auto above = x > largest;
      largest = choose(above, x, largest);
      place = choose(above, repeat<I>(static_cast<Element<I>>(c)), place);
    }
    const Base<V> base = base_below(largest);
    const SoftSums<V> sums = read(base, largest, place, exponentials, shares);
    const V rest = rest_of(sums.others, sums.peak_term);
    const I valid = lane_numbers<I>() < static_cast<Element<I>>(lanes);
    V row_weight = repeat<V>(S(1));
    if (rows_.row_weight != nullptr) {
      row_weight = load_first(static_cast<const S*>(rows_.row_weight) + position, lanes, S(0));
    }
    const SoftTerms<V> terms = soft_terms<V>(rows_, sums, largest, rest, row_weight);
    // A row without weight drops its loss, even an infinite one.
    const I dropped = (row_weight == V{}) & (absolute(terms.loss) == std::numeric_limits<S>::infinity());
    const V losses = choose(valid & ~dropped, row_weight * terms.loss, V{});
    if (rows_.losses != nullptr) {
      auto* to = static_cast<Stored*>(rows_.losses) + position;
      if (lanes == n) {
        store<false>(to, losses);
      } else {
        store_first(to, lanes, losses);
      }
    }
    if (rows_.gradient != nullptr) slopes(position, lanes, place, terms, exponentials, shares);
    return losses;
  }

  XENT_INLINE SoftSums<V> read(const Base<V>& base, V largest, I place, S* exponentials, S* shares) const {
    const V lowest = repeat<V>(-2 * exact_limit<S>);
    const V kept = repeat<V>(static_cast<S>(share_.kept)), even = repeat<V>(static_cast<S>(share_.even));
    CompensatedSum<V> all_others, all_shares, all_distances;
    V peak_term{}, peak_share{};
    for (std::size_t start = 0; start < classes_; start += classes_together) {
      const std::size_t stop = start + classes_together < classes_ ? start + classes_together : classes_;
      V others{}, sum_of_shares{}, distances{};
      for (std::size_t c = start; c < stop; ++c) {
        const V x = load(exponentials + c * n);
        V share = fused(kept, load(shares + c * n), even);
        if (share_.weights != nullptr) share *= share_.weights[c];
        store<false>(shares + c * n, share);
        const auto power = exponential(larger(lowest, x - base.shift));
        const V value = times_power_of_two(power.mantissa, power.exponent - base.exponent);
        store<false>(exponentials + c * n, value);
        const auto is_peak = place == static_cast<Element<I>>(c);
        others += choose(is_peak, V{}, value);
        peak_term = choose(is_peak, value, peak_term);
        sum_of_shares += choose(is_peak, V{}, share);
        peak_share = choose(is_peak, share, peak_share);
        // A share of 0 drops its distance, even an infinite one.
        distances = choose(share != V{}, fused(share, largest - x, distances), distances);
      }
      all_others.add(others);
      all_shares.add(sum_of_shares);
      all_distances.add(distances);
    }
    return {all_others.value(), peak_term, all_shares.value(), peak_share, all_distances.value()};
  }

  XENT_INLINE void slopes(std::size_t position, std::size_t lanes, I place, const SoftTerms<V>& terms,
                          S* exponentials, const S* shares) const {
    Stored* to = static_cast<Stored*>(rows_.gradient) + start_of(position);
    for (std::size_t c = 0; c < classes_; ++c) {
      V slope = fused(load(exponentials + c * n), terms.of_softmax, -(load(shares + c * n) * terms.of_share));
      slope = choose(place == static_cast<Element<I>>(c), terms.at_peak, slope);
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

// ---- the choice ----

// Rows with more classes fill the vectors by themselves. Measured where both forms take as long.
constexpr std::size_t few_classes = vector_bytes == 64 ? 96 : 64;

void* scratch_of(std::size_t bytes) { return std::aligned_alloc(64, (bytes + 127) / 64 * 64); }

template <typename Stored, bool weighted>
double run_rows(const SoftTargetRows& rows, std::size_t first, std::size_t last) {
  void* scratch = scratch_of((rows.classes + width<Stored>) * sizeof(Scalar<Stored>));
  const double total =
      rows.streaming ? SoftTargetPipeline<Stored, weighted, true>(rows, scratch).run(first, last)
                     : SoftTargetPipeline<Stored, weighted, false>(rows, scratch).run(first, last);
  std::free(scratch);
  return total;
}

template <typename Stored, bool rows_in_memory>
double run_strips(const SoftTargetRows& rows, std::size_t first, std::size_t last) {
  using Plain = SoftTargetStrips<Stored, rows_in_memory, false>;
  using Streaming = SoftTargetStrips<Stored, rows_in_memory, rows_in_memory>;
  void* scratch = scratch_of(Plain::scratch_bytes(rows.classes));
  // Whole vectors of rows begin at whole lines only where the first one does.
  const auto start = reinterpret_cast<std::uintptr_t>(rows.gradient) + first * rows.classes * sizeof(Stored);
  const double total = rows.streaming && start % 64 == 0 ? Streaming(rows, scratch).run(first, last)
                                                         : Plain(rows, scratch).run(first, last);
  std::free(scratch);
  return total;
}

template <typename Stored>
double run(const SoftTargetRows& rows, std::size_t first, std::size_t last) {
  if (rows.positions != 1) return run_strips<Stored, false>(rows, first, last);
  if (rows.classes <= few_classes) return run_strips<Stored, true>(rows, first, last);
  return rows.class_weight == nullptr ? run_rows<Stored, false>(rows, first, last)
                                      : run_rows<Stored, true>(rows, first, last);
}

}  // namespace

double soft_target_rows(const SoftTargetRows& rows, Storage storage, std::size_t first, std::size_t last) {
  switch (storage) {
    case Storage::float64: return run<double>(rows, first, last);
    case Storage::bfloat16: return run<bfloat16>(rows, first, last);
    case Storage::float16: return run<float16>(rows, first, last);
    default: return run<float>(rows, first, last);
  }
}

}  // namespace xent::XENT_INSTRUCTION_SET
