// Compiled once for each instruction set, into a namespace of its name. Nothing here may be shared
// with the other copies: an inline function of the standard library compiled for AVX-512 could be
// the one that the linker keeps for all.
#include "sigmoid.hpp"

#include <cstdint>
#include <cstring>

namespace xent::XENT_INSTRUCTION_SET {
namespace {

// Losses are summed in float over this many, and in double beyond.
constexpr std::size_t block = 512;

// exp(x) for x <= 0, at least exp(-87); relative error below 2^-23. Adding a large constant rounds
// to an integer whose bits are the exponent, so that no conversion interrupts the vector loop.
inline float exp_of_negative(float x) {
  constexpr float shift = 12582912.0f;  // 1.5 * 2^23
  x = x > -87.0f ? x : -87.0f;
  const float shifted = x * 1.44269504088896341f + shift;
  const float power = shifted - shift;
  const float r = (x - power * 0.693145751953125f) - power * 1.42860682030941723e-6f;
  float p = 1.0f / 5040.0f;
  p = p * r + 1.0f / 720.0f;
  p = p * r + 1.0f / 120.0f;
  p = p * r + 1.0f / 24.0f;
  p = p * r + 1.0f / 6.0f;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  std::uint32_t bits;
  std::memcpy(&bits, &shifted, sizeof bits);
  bits = (bits + 127u) << 23;
  float scale;
  std::memcpy(&scale, &bits, sizeof scale);
  return p * scale;
}

struct LogisticTerms {
  float softplus;
  float sigmoid;
};

// Everything follows from e = exp(-|x|), so that both tails keep their relative precision:
// softplus = max(x, 0) + log1p(e), and sigmoid is 1 / (1 + e) or e / (1 + e). log1p(e) is
// 2 atanh(e / (2 + e)), and the two quotients share one division.
inline LogisticTerms logistic(float x) {
  const float e = exp_of_negative(x > 0.0f ? -x : x);
  const float inverse = 1.0f / ((1.0f + e) * (2.0f + e));
  const float s = e * inverse * (1.0f + e);
  const float z = s * s;
  float p = 1.0f / 13.0f;
  p = p * z + 1.0f / 11.0f;
  p = p * z + 1.0f / 9.0f;
  p = p * z + 1.0f / 7.0f;
  p = p * z + 1.0f / 5.0f;
  p = p * z + 1.0f / 3.0f;
  p = p * z + 1.0f;
  const float positive = x > 0.0f ? x : 0.0f;
  const float numerator = x >= 0.0f ? 1.0f : e;
  return {positive + 2.0f * s * p, numerator * inverse * (2.0f + e)};
}

// The loop, once: what is asked for is known when it is compiled.
template <bool weighted, bool gradient>
double sum_row(const float* __restrict u, const float* __restrict c, const float* __restrict t,
               float* __restrict slope, std::size_t n) {
  double sum = 0.0;
  for (std::size_t first = 0; first < n; first += block) {
    const std::size_t last = first + block < n ? first + block : n;
    float part = 0.0f;
#pragma omp simd reduction(+ : part)
    for (std::size_t i = first; i < last; ++i) {
      const LogisticTerms terms = logistic(u[i]);
      const float both = weighted ? t[i] : 1.0f;
      // A NaN has no exponent bits to trust: c * u carries it into the sum and, below, the slope.
      part += both * terms.softplus - c[i] * u[i];
      if (gradient) slope[i] = (both * terms.sigmoid - c[i]) + (u[i] - u[i]);
    }
    sum += part;
  }
  return sum;
}

}  // namespace

double sigmoid_sum(const SigmoidRows& rows, std::size_t row, std::size_t first,
                   std::size_t columns) {
  const std::size_t member = row / rows.outputs, output = row % rows.outputs;
  const std::size_t start = row * rows.columns + first;
  const float* u = rows.logits + start;
  const float* c = rows.coefficients + member * rows.coefficient_member +
                   output * rows.coefficient_stride + first;
  const bool weighted = rows.total != nullptr, gradient = rows.slope != nullptr;
  const float* t = weighted ? rows.total + member * rows.total_member + first : nullptr;
  float* slope = gradient ? rows.slope + start : nullptr;
  if (weighted) {
    return gradient ? sum_row<true, true>(u, c, t, slope, columns)
                    : sum_row<true, false>(u, c, t, slope, columns);
  }
  return gradient ? sum_row<false, true>(u, c, t, slope, columns)
                  : sum_row<false, false>(u, c, t, slope, columns);
}

}  // namespace xent::XENT_INSTRUCTION_SET
