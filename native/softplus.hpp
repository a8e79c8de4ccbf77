// What the losses of two outcomes have in common: both tails of the logistic function, each with its
// full relative precision, from one exponential.
#pragma once

#include "vector.hpp"

namespace xent::XENT_INSTRUCTION_SET {
namespace {

// -|x|, with one instruction.
XENT_INLINE floats minus_size_of(floats x) {
  return (floats)((int32s)x | std::numeric_limits<std::int32_t>::min());
}
XENT_INLINE doubles minus_size_of(doubles x) {
  return (doubles)((int64s)x | std::numeric_limits<std::int64_t>::min());
}

// exp(x) for x <= 0, 0 for minus infinity.
template <typename V>
XENT_INLINE V exponential_of_tail(V x) {
  // Beyond this it is 0; minus infinity would leave no remainder to take a power of.
  const auto power = exponential(larger(repeat<V>(-2 * exact_limit<Element<V>>), x));
  return times_power_of_two(power.mantissa, power.exponent);
}

// 1 / (1 + e) for e in [0, 1], the rounding of 1 + e made good.
template <typename V>
XENT_INLINE V inverse_of_one_plus(V e) {
  const V one = repeat<V>(Element<V>(1)), d = e + one;
  const V about = estimate_of_inverse(d);
  if constexpr (!has_fused) return about - about * about * (e - (d - one));
  // 1 - about is exact.
  return fused(about, fused(-about, e, one - about), about);
}

// The loss  first * softplus(-x) + second * softplus(x)  and its slope
// second * sigmoid(x) - first * sigmoid(-x), with whole = first + second and
// e = exp(-|x|), minus_size = -|x|.
template <typename V>
struct Logistic {
  V loss;
  V slope;
};
template <typename V>
XENT_INLINE Logistic<V> logistic_loss(V x, V minus_size, V e, V first, V second, V whole) {
  const auto below = is_signed(x);
  // The side that x is wrong about pays |x|; the other only its tail.
  const V wrong = choose(below, first, second), right = choose(below, second, first);
  const V tail = whole * log_one_plus(e);
  // A factor of 0 drops its term, even an infinite one.
  const V loss = choose(wrong == V{}, tail, fused(-wrong, minus_size, tail));
  const V slope = fused(-right, e, wrong) * inverse_of_one_plus(e);
  return {loss, turned_by(x, slope)};
}

}  // namespace
}  // namespace xent::XENT_INSTRUCTION_SET
