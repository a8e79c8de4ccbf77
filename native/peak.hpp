// The largest logit of a row that is read block by block, each block once from memory.
//
// Its own term stays out of the sums over the classes, so that a confident row keeps its digits.
#pragma once

#include <cmath>

#include "softmax_row.hpp"

namespace xent::XENT_INSTRUCTION_SET {
namespace {

// Two distances, into the first and into the second cache.
constexpr std::size_t near_bytes = 768, far_bytes = 4096;
// Elements whose largest is found before they are read again, from the first cache.
constexpr std::size_t block_size = 1024;
constexpr std::size_t nowhere = std::numeric_limits<std::size_t>::max();
// The base lies this power of two below the largest logit, so that no exponential of consequence is
// denormal, and moves when a logit is found that many nats above it.
constexpr double headroom = 40.0, most_above_base = 50.0;

XENT_INLINE void prefetch_both(const void* address) {
  prefetch(static_cast<const char*>(address) + near_bytes);
  prefetch_far(static_cast<const char*>(address) + far_bytes);
}

// Sums over a block run in as many chains of additions as the registers hold, short ones, which are
// then added up with compensation.
constexpr std::size_t chains = vector_bytes == 64 ? 4 : 2, chain_length = 8;

// Takes whole vectors from `i` on, as many as belong to one addition of the chains; returns where
// the next begins.
template <std::size_t n, typename Take>
XENT_INLINE std::size_t take_chains(std::size_t i, std::size_t last, const Take& take_at) {
  constexpr std::size_t step = chains * n;
  const std::size_t stop = last - i < chain_length * step ? last : i + chain_length * step;
  for (; i + step <= stop; i += step) {
    for (std::size_t a = 0; a < chains; ++a) take_at(i + a * n, a);
  }
  for (; i + n <= stop; i += n) take_at(i, 0);
  return i;
}

template <typename V>
XENT_INLINE V sum_of_chains(const V (&parts)[chains]) {
  if constexpr (chains == 2) return parts[0] + parts[1];
  else return (parts[0] + parts[1]) + (parts[2] + parts[3]);
}

// log(1 + others / term), which is log_sum_exp less the largest logit, whose term it is.
inline double rest_of(double others, double term) {
  const double ratio = others / term;
  const double lost = remainder_of(others, ratio, term) / term;
  if (ratio <= 1.0) return log_one_plus_exactly(ratio, lost);
  const double sum = 1.0 + ratio;
  return std::log(sum) + ((1.0 - (sum - ratio)) + lost) / sum;
}
inline doubles rest_of(doubles others, doubles term) {
  doubles result;
  for (std::size_t i = 0; i < width<double>; ++i) result[i] = rest_of(others[i], term[i]);
  return result;
}
inline floats rest_of(floats others, floats term) {
  const floats ratio = others / term;
  const auto confident = ratio <= 1.0f;
  const floats lost = remainder_of(others, ratio, term) / term;
  const auto sum = exact_sum(ratio, repeat<floats>(1.0f));
  const auto log = logarithm(sum.sum);
  const floats scaled = times_power_of_two(sum.lost + lost, -log.exponent);
  const floats small = log_one_plus_exactly(choose(confident, ratio, log.fraction),
                                    choose(confident, lost, scaled));
  // Products of exponents this small with the 15 bits of the first part of ln 2 are exact.
  const floats low = fused(log.exponent, repeat<floats>(1.42860682030941723e-6f), small);
  const floats large = fused(log.exponent, repeat<floats>(0.693145751953125f), low);
  // The sum of a NaN or an infinite logit has no exponent to trust.
  const auto known = ratio < std::numeric_limits<float>::infinity();
  return choose(known, choose(confident, small, large), repeat<floats>(NAN));
}

// Of logits that are read from memory here. NaN may be passed over: it shows in the sums.
template <typename Stored>
inline Scalar<Stored> largest_in(const Stored* from, std::size_t count) {
  using S = Scalar<Stored>;
  using V = Vector<Stored>;
  constexpr std::size_t n = width<Stored>, chains = 4;
  constexpr S lowest = -std::numeric_limits<S>::infinity();
  V largest[chains];
  for (std::size_t a = 0; a < chains; ++a) largest[a] = repeat<V>(lowest);
  std::size_t i = 0;
  for (; i + chains * n <= count; i += chains * n) {
    for (std::size_t a = 0; a < chains; ++a) {
      prefetch_both(from + i + a * n);
      largest[a] = larger(load(from + i + a * n), largest[a]);
    }
  }
  for (; i + n <= count; i += n) largest[0] = larger(load(from + i), largest[0]);
  if (i < count) largest[1] = larger(load_first(from + i, count - i, lowest), largest[1]);
  return largest_of(larger(larger(largest[0], largest[1]), larger(largest[2], largest[3])));
}

// Where the first element is that equals the value, which one does.
template <typename Stored>
inline std::size_t place_of(Scalar<Stored> value, const Stored* from, std::size_t count) {
  constexpr std::size_t n = width<Stored>;
  std::size_t i = 0;
  while (i + n <= count && !any_of(load(from + i) == value)) i += n;
  while (i + 1 < count && !(widen(from[i]) == value)) ++i;
  return i;
}

template <typename S>
struct Peak {
  Base<double> base{0.0, 0.0};
  double logit = -std::numeric_limits<double>::infinity();
  std::size_t place = 0;
  double term = 0.0;  // exp of the logit, relative to the base

  bool known() const { return logit > -std::numeric_limits<double>::infinity(); }

  // What distances are counted from.
  double reference() const { return known() ? logit : 0.0; }

  // To a larger logit. Returns the factor for exponentials relative to the base so far.
  double move_to(double larger_logit, std::size_t its_place) {
    double factor = 1.0;
    if (!known() || log_of_base_less(base, larger_logit) < -most_above_base) {
      Base<double> moved{0.0, std::nearbyint(larger_logit * 1.44269504088896340736) - headroom};
      if (!(std::fabs(larger_logit) <= exact_limit<S>)) moved = {larger_logit, -headroom};
      if (known()) {
        factor = moved.shift == base.shift
                     ? std::exp2(base.exponent - moved.exponent)
                     : std::exp(log_of_base_less(base, 0.0) - log_of_base_less(moved, 0.0));
      }
      base = moved;
    }
    logit = larger_logit;
    place = its_place;
    term = exponential_relative_to(base, logit);
    return factor;
  }

  double rest(double others) const { return rest_of(others, term); }
};

// The base of rows that are known, one in each lane.
template <typename V>
XENT_INLINE Base<V> base_below(V largest) {
  using S = Element<V>;
  const V shift = choose(!(absolute(largest) <= exact_limit<S>), largest, V{});
  return {shift, nearest((largest - shift) * S(1.44269504088896340736)) - S(headroom)};
}

}  // namespace
}  // namespace xent::XENT_INSTRUCTION_SET
