// What a row of the categorical losses comes to once its sums are known: the one place where the
// options of the loss are arithmetic. V is a number (a row at a time) or a vector of rows.
#pragma once

#include <cmath>

#include "softmax.hpp"
#include "vector.hpp"

namespace xent::XENT_INSTRUCTION_SET {
namespace {

// Exponentials of a row are kept relative to exp(shift) * 2^exponent.
template <typename V>
struct Base {
  V shift;
  V exponent;
};

// Sums of exponentials outside show a base to be too high or too low: within, they neither overflow
// nor lose the small terms of a row. The least is for what is read first.
constexpr double least_sum = 0x1p-4, largest_sum = 0x1p+60;

// The sums of a row. `others` leaves the target's own term out, so that a confident row keeps its
// digits: together they would round to the target's term alone.
template <typename V>
struct RowSums {
  Base<V> base;
  V others;
  V target;        // exp of the target's logit, relative to the base
  V target_logit;
  V reference;     // for label smoothing: a number near the largest logit, and
  V distances;     // the sum over c of w_c * (reference - x_c)
};

template <typename V>
struct RowTerms {
  V loss;
  V of_softmax;       // coefficients of the gradient: of exp(x_c) relative to the base,
  V of_class_weight;  // of the weight of class c,
  V at_target;        // and the whole gradient at the target
};

// ---- one row in double precision ----

// ln 2 in two parts, the first with so few bits that its product with an exponent is exact.
constexpr double log_of_two_high = 0.69314718036912381649;
constexpr double log_of_two_low = 1.9082149292705877e-10;

// log of exp(shift) * 2^exponent, less x; exact to the last places of the result.
inline double log_of_base_less(const Base<double>& base, double x) {
  return (base.exponent * log_of_two_high - (x - base.shift)) + base.exponent * log_of_two_low;
}

// exp(x) relative to the base.
inline double exponential_relative_to(const Base<double>& base, double x) {
  const double d = x - base.shift;
  if (!(d > -1e6)) return d == d ? 0.0 : d;
  const double n = std::nearbyint(d * 1.44269504088896340736);
  const double r = (d - n * log_of_two_high) - n * log_of_two_low;
  const double power = n - base.exponent;
  if (power < -1000.0) return 0.0;
  const std::uint64_t bits = static_cast<std::uint64_t>(static_cast<std::int64_t>(power) + 1023) << 52;
  double scale;
  std::memcpy(&scale, &bits, sizeof scale);
  return std::exp(r) * scale;
}

inline double log_of_sum(const Base<double>& base, double sum) {
  return std::log(sum) + log_of_base_less(base, 0.0);
}

inline double negative_log_likelihood(const RowSums<double>& sums) {
  const double ratio = sums.others / sums.target;
  const double lost = remainder_of(sums.others, ratio, sums.target) / sums.target;
  if (ratio <= 1.0) return log_one_plus_exactly(ratio, lost);
  if (sums.target > 1e-280) {
    const double sum = 1.0 + ratio;
    return std::log(sum) + ((1.0 - (sum - ratio)) + lost) / sum;
  }
  return std::log(sums.others + sums.target) + log_of_base_less(sums.base, sums.target_logit);
}

inline double log_of_total_less(const RowSums<double>& sums, double x) {
  return std::log(sums.others + sums.target) + log_of_base_less(sums.base, x);
}

// ---- a vector of rows ----

// All of its digits in the first part where products can be exact with them.
constexpr TwoParts<float> log_of_two_in_float =
    has_fused ? TwoParts<float>{0.693147182464599609375f, -1.904654323148236017e-9f}
              : log_of_two<float>;

// log of 2^exponent * (1 + fraction) relative to the base, less x, with log(1 + fraction) given. The
// parts are kept apart until the end, which rounds once.
XENT_INLINE floats with_fraction(const Base<floats>& base, floats exponent, floats log, floats x) {
  const floats power = exponent + base.exponent;
  const floats high = repeat<floats>(log_of_two_in_float.high);
  const floats product = power * high;
  const floats product_lost = -remainder_of(product, power, high);
  const floats subtracted = base.shift - x;
  const floats difference = product + subtracted;
  const floats back = difference - product;
  const floats difference_lost = (product - (difference - back)) + (subtracted - back);
  const floats low = fused(power, repeat<floats>(log_of_two_in_float.low), log);
  const floats exact = difference + (difference_lost + (product_lost + low));
  // Infinite differences have nothing to make good.
  return choose(subtracted < std::numeric_limits<float>::infinity(), exact, difference);
}

struct SumOfTwo {
  floats sum;
  floats lost;
};
XENT_INLINE SumOfTwo exact_sum(floats a, floats b) {
  const floats sum = a + b, back = sum - a;
  return {sum, (a - (sum - back)) + (b - back)};
}

// log of others + target relative to the base, less x.
XENT_INLINE floats log_of_total_less(const RowSums<floats>& sums, floats x) {
  const auto total = exact_sum(sums.others, sums.target);
  const auto log = logarithm(total.sum);
  const floats low = times_power_of_two(total.lost, -log.exponent);
  return with_fraction(sums.base, log.exponent, log_one_plus_exactly(log.fraction, low), x);
}

XENT_INLINE floats negative_log_likelihood(const RowSums<floats>& sums) {
  // Not a number where the target's term has underflowed, and then not confident.
  const floats inverse = inverse_of(sums.target);
  const floats ratio = sums.others * inverse;
  const auto confident = ratio <= 1.0f;
  const floats lost = remainder_of(sums.others, ratio, sums.target) * inverse;
  const auto total = exact_sum(sums.others, sums.target);
  const auto log = logarithm(total.sum);
  const floats scaled = times_power_of_two(total.lost, -log.exponent);
  const floats small = log_one_plus_exactly(choose(confident, ratio, log.fraction),
                                    choose(confident, lost, scaled));
  const floats large = with_fraction(sums.base, log.exponent, small, sums.target_logit);
  // The sum of a NaN or an infinite logit has no exponent to trust.
  const auto known = total.sum < std::numeric_limits<float>::infinity();
  return choose(known, choose(confident, small, large), repeat<floats>(NAN));
}

XENT_INLINE floats log_of_sum(const Base<floats>& base, floats sum) {
  const auto log = logarithm(sum);
  return with_fraction(base, log.exponent, log_one_plus_exactly(log.fraction, floats{}), floats{});
}

inline RowSums<double> lane_of(const RowSums<doubles>& sums, std::size_t i) {
  return {{sums.base.shift[i], sums.base.exponent[i]}, sums.others[i],    sums.target[i],
          sums.target_logit[i],                        sums.reference[i], sums.distances[i]};
}
inline doubles negative_log_likelihood(const RowSums<doubles>& sums) {
  doubles result;
  for (std::size_t i = 0; i < width<double>; ++i) {
    result[i] = negative_log_likelihood(lane_of(sums, i));
  }
  return result;
}
inline doubles log_of_total_less(const RowSums<doubles>& sums, doubles x) {
  doubles result;
  for (std::size_t i = 0; i < width<double>; ++i) {
    result[i] = log_of_total_less(lane_of(sums, i), x[i]);
  }
  return result;
}
inline doubles log_of_sum(const Base<doubles>& base, doubles sum) {
  doubles result;
  for (std::size_t i = 0; i < width<double>; ++i) {
    result[i] = log_of_sum(Base<double>{base.shift[i], base.exponent[i]}, sum[i]);
  }
  return result;
}

// A factor of 0 drops its term, even an infinite one.
XENT_INLINE double product(double factor, double value) { return factor == 0.0 ? 0.0 : factor * value; }
XENT_INLINE floats product(floats factor, floats value) {
  return choose(factor == floats{}, floats{}, factor * value);
}
XENT_INLINE doubles product(doubles factor, doubles value) {
  return choose(factor == doubles{}, doubles{}, factor * value);
}

// ---- the options ----

template <typename V>
XENT_INLINE RowTerms<V> terms_of(const SoftmaxRows& rows, const RowSums<V>& sums, V row_weight,
                            V class_weight) {
  using S = Element<V>;
  const V total = sums.others + sums.target;
  const S kept = static_cast<S>(1.0 - rows.label_smoothing);
  V of_softmax = class_weight * kept;
  V loss = product(of_softmax, negative_log_likelihood(sums));
  const V of_target = of_softmax;
  V of_class_weight = V{};
  if (rows.label_smoothing != 0.0) {
    const S share = static_cast<S>(rows.label_smoothing / static_cast<double>(rows.classes));
    const S weights = static_cast<S>(rows.total_class_weight);
    of_class_weight += share;
    loss = fused(fused(log_of_total_less(sums, sums.reference), V{} + weights, sums.distances),
                 V{} + share, loss);
    of_softmax += share * weights;
  }
  if (rows.z_loss != 0.0) {
    const S z = static_cast<S>(rows.z_loss);
    const V log_sum_exp = log_of_sum(sums.base, total);
    loss += class_weight * z * log_sum_exp * log_sum_exp;
    of_softmax += class_weight * (z * 2) * log_sum_exp;
  }
  const V scale = row_weight * static_cast<S>(rows.scale);
  // (of_softmax - of_target) p_y - of_target (1 - p_y): no 1 - p_y is ever rounded.
  const V inverse = inverse_of(total), share = scale * inverse;
  const V share_of_total = share + remainder_of(scale, share, total) * inverse;
  const V at_target =
      fused(of_softmax - of_target, sums.target, -(of_target * sums.others));
  return {product(row_weight, loss), of_softmax * share_of_total, scale * of_class_weight,
          fused(at_target, share_of_total, -(scale * of_class_weight * class_weight))};
}

template <typename S>
inline S weight_at(const void* weights, std::size_t i) {
  return weights == nullptr ? S(1) : static_cast<const S*>(weights)[i];
}

}  // namespace
}  // namespace xent::XENT_INSTRUCTION_SET
