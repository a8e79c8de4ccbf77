// Vectors of one instruction set: the only file that knows which one it is compiled for.
//
// Everything is written over the vector extensions of GCC and Clang, which exist on every processor;
// where x86 has one instruction for what they spell out in several, that is used. A file that
// includes this one is compiled once for each instruction set, into a namespace of its name, and may
// share nothing with the other copies: an inline function of the standard library compiled for
// AVX-512 could be the one that the linker keeps for all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#define XENT_INLINE inline __attribute__((always_inline))

namespace xent::XENT_INSTRUCTION_SET {
namespace {

#if defined(__AVX512F__)
constexpr int vector_bytes = 64;
#elif defined(__AVX2__)
constexpr int vector_bytes = 32;
#else
constexpr int vector_bytes = 16;
#endif

using floats = float __attribute__((vector_size(vector_bytes)));
using doubles = double __attribute__((vector_size(vector_bytes)));
using int32s = std::int32_t __attribute__((vector_size(vector_bytes)));
using int64s = std::int64_t __attribute__((vector_size(vector_bytes)));

// The same 16 bits in memory, told apart by type.
struct bfloat16 {
  std::uint16_t bits;
};
struct float16 {
  std::uint16_t bits;
};

// What a type of memory is computed in, and how many of those fill a vector.
template <typename Stored>
struct Arithmetic {
  using scalar = float;
  using vector = floats;
  using integers = int32s;
};
template <>
struct Arithmetic<double> {
  using scalar = double;
  using vector = doubles;
  using integers = int64s;
};
template <typename Stored>
using Scalar = typename Arithmetic<Stored>::scalar;
template <typename Stored>
using Vector = typename Arithmetic<Stored>::vector;
template <typename Stored>
using Integers = typename Arithmetic<Stored>::integers;
template <typename Stored>
constexpr std::size_t width = vector_bytes / sizeof(Scalar<Stored>);

// The number type of a vector, or of a number itself.
template <typename V>
struct ElementOf {
  using type = V;
};
template <>
struct ElementOf<floats> {
  using type = float;
};
template <>
struct ElementOf<doubles> {
  using type = double;
};
template <>
struct ElementOf<int32s> {
  using type = std::int32_t;
};
template <>
struct ElementOf<int64s> {
  using type = std::int64_t;
};
template <typename V>
using Element = typename ElementOf<V>::type;

template <typename V>
XENT_INLINE V repeat(Element<V> value) {
  return V{} + value;
}

// ---- scalars of memory ----

XENT_INLINE float widen(float value) { return value; }
XENT_INLINE double widen(double value) { return value; }
XENT_INLINE float widen(bfloat16 value) {
  const std::uint32_t bits = static_cast<std::uint32_t>(value.bits) << 16;
  float result;
  std::memcpy(&result, &bits, sizeof result);
  return result;
}
XENT_INLINE float widen(float16 value) {
  const std::uint32_t sign = static_cast<std::uint32_t>(value.bits & 0x8000u) << 16;
  const std::uint32_t magnitude = value.bits & 0x7fffu;
  std::uint32_t bits;
  float result;
  if (magnitude >= 0x7c00u) {  // infinite or NaN
    bits = sign | 0x7f800000u | (magnitude & 0x3ffu) << 13;
    std::memcpy(&result, &bits, sizeof result);
    return result;
  }
  // Denormals included: the bits read as a float are the value times 2^-112.
  bits = magnitude << 13;
  std::memcpy(&result, &bits, sizeof result);
  result *= 5.192296858534828e33f;  // 2^112
  std::memcpy(&bits, &result, sizeof bits);
  bits |= sign;
  std::memcpy(&result, &bits, sizeof result);
  return result;
}

XENT_INLINE void narrow(float value, float* out) { *out = value; }
XENT_INLINE void narrow(double value, double* out) { *out = value; }
XENT_INLINE void narrow(float value, bfloat16* out) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  out->bits = static_cast<std::uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}
XENT_INLINE void narrow(float value, float16* out) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  const std::uint16_t sign = static_cast<std::uint16_t>(bits >> 16 & 0x8000u);
  bits &= 0x7fffffffu;
  if (bits > 0x7f800000u) {
    out->bits = sign | 0x7e00u;
  } else if (bits >= 0x477ff000u) {  // rounds beyond the largest
    out->bits = sign | 0x7c00u;
  } else if (bits < 0x38800000u) {  // denormal: the addition rounds to its last place
    float magnitude;
    std::memcpy(&magnitude, &bits, sizeof magnitude);
    magnitude += 0.5f;
    std::uint32_t rounded;
    std::memcpy(&rounded, &magnitude, sizeof rounded);
    out->bits = sign | static_cast<std::uint16_t>(rounded - 0x3f000000u);
  } else {
    bits += 0xc8000fffu + (bits >> 13 & 1u);
    out->bits = sign | static_cast<std::uint16_t>(bits >> 13);
  }
}

// ---- vectors of memory ----

#if defined(__AVX512F__)
// Half types in registers.
template <typename Stored>
XENT_INLINE floats widen(__m256i bits) {
  if constexpr (std::is_same_v<Stored, float16>) return (floats)_mm512_cvtph_ps(bits);
  return (floats)_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16);
}
template <typename Stored>
XENT_INLINE __m256i narrow(floats value) {
  if constexpr (std::is_same_v<Stored, float16>) {
    return _mm512_cvtps_ph((__m512)value, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  const __m512i whole = (__m512i)value;
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(whole, 16), _mm512_set1_epi32(1));
  const __m512i rounded = _mm512_add_epi32(_mm512_add_epi32(whole, _mm512_set1_epi32(0x7fff)), odd);
  return _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16));
}
#endif

template <typename Stored>
XENT_INLINE Vector<Stored> load(const Stored* from) {
  constexpr std::size_t n = width<Stored>;
  Vector<Stored> result;
  if constexpr (sizeof(Stored) == sizeof(Scalar<Stored>)) {
    std::memcpy(&result, from, sizeof result);
    return result;
  }
#if defined(__AVX512F__)
  if constexpr (sizeof(Stored) == 2) {
    return widen<Stored>(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
  }
#elif defined(__AVX2__)
  if constexpr (std::is_same_v<Stored, bfloat16>) {
    const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    return (floats)_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16);
  } else if constexpr (std::is_same_v<Stored, float16>) {
    return (floats)_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
  }
#endif
  for (std::size_t i = 0; i < n; ++i) result[i] = widen(from[i]);
  return result;
}

// The first `count` of a vector, the rest `fill`.
template <typename Stored>
XENT_INLINE Vector<Stored> load_first(const Stored* from, std::size_t count, Scalar<Stored> fill) {
#if defined(__AVX512F__)
  if constexpr (std::is_same_v<Stored, float>) {
    const auto mask = static_cast<__mmask16>((1u << count) - 1u);
    return (floats)_mm512_mask_loadu_ps(_mm512_set1_ps(fill), mask, from);
  } else if constexpr (sizeof(Stored) == 2) {
    const auto mask = static_cast<__mmask16>((1u << count) - 1u);
    const floats values = widen<Stored>(_mm256_maskz_loadu_epi16(mask, from));
    return (floats)_mm512_mask_mov_ps(_mm512_set1_ps(fill), mask, (__m512)values);
  }
#endif
  Vector<Stored> result = repeat<Vector<Stored>>(fill);
  for (std::size_t i = 0; i < count; ++i) result[i] = widen(from[i]);
  return result;
}

// Streaming keeps lines that nothing reads soon out of the caches, and saves reading them first.
template <bool streaming, typename Stored>
XENT_INLINE void store(Stored* to, Vector<Stored> value) {
  if constexpr (sizeof(Stored) == sizeof(Scalar<Stored>)) {
#if defined(__x86_64__)
    if constexpr (streaming) {
      if constexpr (std::is_same_v<Stored, float>) {
#if defined(__AVX512F__)
        _mm512_stream_ps(to, (__m512)value);
#elif defined(__AVX2__)
        _mm256_stream_ps(to, (__m256)value);
#else
        _mm_stream_ps(to, (__m128)value);
#endif
      } else {
#if defined(__AVX512F__)
        _mm512_stream_pd(to, (__m512d)value);
#elif defined(__AVX2__)
        _mm256_stream_pd(to, (__m256d)value);
#else
        _mm_stream_pd(to, (__m128d)value);
#endif
      }
      return;
    }
#endif
    std::memcpy(to, &value, sizeof value);
    return;
  }
#if defined(__AVX512F__)
  if constexpr (sizeof(Stored) == 2) {
    auto* line = reinterpret_cast<__m256i*>(to);
    if constexpr (streaming) {
      _mm256_stream_si256(line, narrow<Stored>(value));
    } else {
      _mm256_storeu_si256(line, narrow<Stored>(value));
    }
  }
#else
  for (std::size_t i = 0; i < width<Stored>; ++i) narrow(value[i], to + i);
#endif
}

template <typename Stored>
XENT_INLINE void store_first(Stored* to, std::size_t count, Vector<Stored> value) {
#if defined(__AVX512F__)
  if constexpr (std::is_same_v<Stored, float>) {
    _mm512_mask_storeu_ps(to, static_cast<__mmask16>((1u << count) - 1u), (__m512)value);
    return;
  } else if constexpr (sizeof(Stored) == 2) {
    _mm256_mask_storeu_epi16(to, static_cast<__mmask16>((1u << count) - 1u), narrow<Stored>(value));
    return;
  }
#endif
  for (std::size_t i = 0; i < count; ++i) narrow(value[i], to + i);
}

XENT_INLINE void prefetch(const void* address) { __builtin_prefetch(address); }
XENT_INLINE void prefetch_far(const void* address) { __builtin_prefetch(address, 0, 2); }

// Streamed lines become visible to other threads in order only after this.
XENT_INLINE void finish_streaming() {
#if defined(__x86_64__)
  _mm_sfence();
#endif
}

// ---- arithmetic ----

// Whether a product can be added without rounding in between: then x - n ln 2 is exact.
#if defined(__FMA__) || defined(__aarch64__)
constexpr bool has_fused = true;
#else
constexpr bool has_fused = false;
#endif

template <typename V>
XENT_INLINE V choose(decltype(V{} < V{}) condition, V yes, V no) {
  return condition ? yes : no;
}

XENT_INLINE double fused(double a, double b, double c) {
  return has_fused ? __builtin_fma(a, b, c) : a * b + c;
}
XENT_INLINE floats fused(floats a, floats b, floats c) {
#if defined(__AVX512F__)
  return (floats)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__FMA__)
  return (floats)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(__aarch64__)
  return (floats)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
  return a * b + c;
#endif
}
XENT_INLINE doubles fused(doubles a, doubles b, doubles c) {
#if defined(__AVX512F__)
  return (doubles)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif defined(__FMA__)
  return (doubles)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#elif defined(__aarch64__)
  return (doubles)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
#else
  return a * b + c;
#endif
}

// 1 / b to about 2^-14 for normal b, not a number for 0: the hardware's division takes 16 cycles.
XENT_INLINE floats estimate_of_inverse(floats b) {
#if defined(__AVX512F__)
  return (floats)_mm512_rcp14_ps((__m512)b);
#else
  return 1.0f / b;
#endif
}
XENT_INLINE doubles estimate_of_inverse(doubles b) { return 1.0 / b; }

// The same to about 2^-27.
XENT_INLINE floats inverse_of(floats b) {
  const floats estimate = estimate_of_inverse(b);
#if defined(__AVX512F__)
  return fused(estimate, fused(-b, estimate, repeat<floats>(1.0f)), estimate);
#else
  return estimate;
#endif
}
XENT_INLINE doubles inverse_of(doubles b) { return 1.0 / b; }
XENT_INLINE double inverse_of(double b) { return 1.0 / b; }

// a - q b, exactly what the quotient q = a / b left; 0 where no fused step can tell.
template <typename V>
XENT_INLINE V remainder_of(V a, V q, V b) {
  return has_fused ? fused(-q, b, a) : V{};
}

// The larger; the second where either is NaN, so that a NaN there goes on.
XENT_INLINE floats larger(floats a, floats b) {
#if defined(__AVX512F__)
  return (floats)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
  return (floats)_mm256_max_ps((__m256)a, (__m256)b);
#else
  return choose(a > b, a, b);
#endif
}
XENT_INLINE doubles larger(doubles a, doubles b) {
#if defined(__AVX512F__)
  return (doubles)_mm512_max_pd((__m512d)a, (__m512d)b);
#elif defined(__AVX2__)
  return (doubles)_mm256_max_pd((__m256d)a, (__m256d)b);
#else
  return choose(a > b, a, b);
#endif
}

// By the bit of the sign, which zeros have too.
XENT_INLINE int32s is_signed(floats a) { return (int32s)a < 0; }
XENT_INLINE int64s is_signed(doubles a) { return (int64s)a < 0; }
// a with its sign turned where b's is minus.
XENT_INLINE floats turned_by(floats b, floats a) {
  return (floats)((int32s)a ^ ((int32s)b & std::numeric_limits<std::int32_t>::min()));
}
XENT_INLINE doubles turned_by(doubles b, doubles a) {
  return (doubles)((int64s)a ^ ((int64s)b & std::numeric_limits<std::int64_t>::min()));
}

XENT_INLINE floats absolute(floats a) { return (floats)((int32s)a & 0x7fffffff); }
XENT_INLINE doubles absolute(doubles a) { return (doubles)((int64s)a & 0x7fffffffffffffff); }

// Nearest whole number, of numbers below 2^22 (float) or 2^51 (double) in size.
XENT_INLINE floats nearest(floats a) {
#if defined(__AVX512F__)
  return (floats)_mm512_roundscale_ps((__m512)a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#elif defined(__AVX2__)
  return (floats)_mm256_round_ps((__m256)a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#else
  const floats shift = repeat<floats>(12582912.0f);  // 1.5 * 2^23
  return a + shift - shift;
#endif
}
XENT_INLINE doubles nearest(doubles a) {
#if defined(__AVX512F__)
  return (doubles)_mm512_roundscale_pd((__m512d)a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#elif defined(__AVX2__)
  return (doubles)_mm256_round_pd((__m256d)a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#else
  const doubles shift = repeat<doubles>(6755399441055744.0);  // 1.5 * 2^52
  return a + shift - shift;
#endif
}

// a * 2^n for whole n, with gradual underflow; 0 for n = -inf or n far below, infinite for n far above.
XENT_INLINE floats times_power_of_two(floats a, floats n) {
#if defined(__AVX512F__)
  return (floats)_mm512_scalef_ps((__m512)a, (__m512)n);
#else
  // Two factors, so that results down to the smallest denormal are reached.
  const floats above = choose(n > repeat<floats>(-252.0f), n, repeat<floats>(-252.0f));
  const floats bounded = choose(above < repeat<floats>(252.0f), above, repeat<floats>(252.0f));
  const int32s whole = __builtin_convertvector(bounded, int32s);
  const int32s half = whole >> 1;
  const floats first = (floats)((half + 127) << 23);
  const floats second = (floats)((whole - half + 127) << 23);
  const floats finite = choose(n > repeat<floats>(-252.0f), a, choose(n == n, floats{}, a));
  return finite * first * second;
#endif
}
XENT_INLINE doubles times_power_of_two(doubles a, doubles n) {
#if defined(__AVX512F__)
  return (doubles)_mm512_scalef_pd((__m512d)a, (__m512d)n);
#else
  const doubles above = choose(n > repeat<doubles>(-2044.0), n, repeat<doubles>(-2044.0));
  const doubles bounded = choose(above < repeat<doubles>(2044.0), above, repeat<doubles>(2044.0));
  const int64s whole = __builtin_convertvector(bounded, int64s);
  const int64s half = whole >> 1;
  const doubles first = (doubles)((half + 1023) << 52);
  const doubles second = (doubles)((whole - half + 1023) << 52);
  const doubles finite = choose(n > repeat<doubles>(-2044.0), a, choose(n == n, doubles{}, a));
  return finite * first * second;
#endif
}

XENT_INLINE double sum_of(doubles a) {
#if defined(__AVX512F__)
  return _mm512_reduce_add_pd((__m512d)a);
#else
  double total = 0.0;
  for (std::size_t i = 0; i < width<double>; ++i) total += a[i];
  return total;
#endif
}
XENT_INLINE double sum_of(floats a) {
#if defined(__AVX512F__)
  return _mm512_reduce_add_ps((__m512)a);
#else
  double total = 0.0;
  for (std::size_t i = 0; i < width<float>; ++i) total += a[i];
  return total;
#endif
}
XENT_INLINE float largest_of(floats a) {
#if defined(__AVX512F__)
  return _mm512_reduce_max_ps((__m512)a);
#else
  float result = a[0];
  for (std::size_t i = 1; i < sizeof a / sizeof a[0]; ++i) result = result > a[i] ? result : a[i];
  return result;
#endif
}
XENT_INLINE double largest_of(doubles a) {
  double result = a[0];
  for (std::size_t i = 1; i < sizeof a / sizeof a[0]; ++i) result = result > a[i] ? result : a[i];
  return result;
}

// ---- elementary functions ----

// exp(x) = mantissa * 2^exponent, mantissa in [0.7, 1.42]: no overflow and no cancellation, so that
// sums of exponentials can be taken relative to any power of two. Relative error of the mantissa
// below 0.8 * 2^-23 and 1.0 * 2^-52 for |x| up to `exact_limit`.
template <typename V>
struct Exponential {
  V mantissa;
  V exponent;
};

template <typename Scalar>
constexpr Scalar exact_limit =
    has_fused || std::is_same_v<Scalar, double> ? Scalar(65536) : Scalar(256);

// exp(r) for |r| <= ln(2) / 2: 1 + r + r^2 q(r), q the near-minimax polynomial there.
XENT_INLINE floats exponential_of_remainder(floats r) {
  floats q = repeat<floats>(0.0013926213466332443037f);
  q = fused(q, r, repeat<floats>(0.0083632029715758549465f));
  q = fused(q, r, repeat<floats>(0.041666554437685938899f));
  q = fused(q, r, repeat<floats>(0.16666576845993976311f));
  q = fused(q, r, repeat<floats>(0.5f));
  return fused(r * r, q, r) + 1.0f;
}
XENT_INLINE doubles exponential_of_remainder(doubles r, doubles low) {
  constexpr double coefficients[] = {2.0914717341716375952e-9, 2.5105259538448493419e-8,
                                     2.7557273570102139673e-7, 2.7557255297969644392e-6,
                                     0.000024801587325605322782, 0.00019841269874901259234,
                                     0.0013888888888883731828, 0.0083333333333261120526,
                                     0.041666666666669769767, 0.16666666666666671008, 0.5};
  doubles q = doubles{};
  for (const double coefficient : coefficients) q = fused(q, r, repeat<doubles>(coefficient));
  return (r + fused(r * r, q, low)) + 1.0;
}

XENT_INLINE Exponential<floats> exponential(floats x) {
  // The sum with 1.5 * 2^23 has no room for a fraction: it rounds to a whole number.
  const floats shift = repeat<floats>(12582912.0f);
  const floats n = fused(x, repeat<floats>(1.44269504088896341f), shift) - shift;
  if constexpr (has_fused) {
    const floats r = fused(n, repeat<floats>(-0.693147182464599609375f), x);
    return {exponential_of_remainder(fused(n, repeat<floats>(1.904654323148236017e-9f), r)), n};
  }
  // The first part of ln 2 has 15 bits: its product with a small n is exact without fusing.
  const floats r = (x - n * 0.693145751953125f) - n * 1.42860682030941723e-6f;
  return {exponential_of_remainder(r), n};
}
XENT_INLINE Exponential<doubles> exponential(doubles x) {
  const doubles n = nearest(x * 1.44269504088896340736);
  const doubles r = fused(n, repeat<doubles>(-0.69314718036912381649), x);
  const doubles subtracted = n * 1.9082149292705877e-10;
  const doubles remainder = r - subtracted;
  return {exponential_of_remainder(remainder, (r - remainder) - subtracted), n};
}

// ln 2 in two parts, the first with so few bits that its product with an exponent is exact.
template <typename S>
struct TwoParts {
  S high;
  S low;
};
template <typename S>
constexpr TwoParts<S> log_of_two{S(0.69314718036912381649), S(1.9082149292705877e-10)};
template <>
constexpr TwoParts<float> log_of_two<float>{0.693145751953125f, 1.42860682030941723e-6f};

// log(1 + e + low) for e in [-0.3, 1] and what it was rounded by, as e - s (e - 2 s^2 q(s^2)) with
// s = e / (2 + e), from log(1 + e) = 2 atanh(s). The roundings of 2 + e and of s are made good, which
// leaves less than 1 unit in the last place.
template <typename V>
XENT_INLINE V log_one_plus_exactly_by(V q_of_square(V), V e, V low) {
  const V d = e + 2;
  const V inverse = inverse_of(d);
  const V s = e * inverse;
  const V lost = remainder_of(e, s, d) - s * (e - (d - 2));
  const V t = fused(s * s * -2, q_of_square(s * s), e);
  // 1 / (1 + e), as exactly as a correction needs.
  const V derivative = fused(fused(e, repeat<V>(Element<V>(0.5)), repeat<V>(Element<V>(-1.0))), e, repeat<V>(Element<V>(1.0)));
  return e - fused(s, t, lost * inverse * t - low * derivative);
}

XENT_INLINE floats atanh_series(floats z) {
  floats q = repeat<floats>(0.11612164612011674416f);
  q = fused(q, z, repeat<floats>(0.10853287900440186323f));
  q = fused(q, z, repeat<floats>(0.14296178997151418861f));
  q = fused(q, z, repeat<floats>(0.19999853165964858701f));
  return fused(q, z, repeat<floats>(0.33333333660263706234f));
}
template <typename V>
XENT_INLINE V atanh_series_in_double(V z) {
  constexpr double coefficients[] = {
      0.0761563130971449241933661,  0.03167055425885122697967297, 0.04971012448277367314077332,
      0.05240199617182637025829719, 0.05883998883620518080066526, 0.06666588474569089225056611,
      0.07692310126902081199564199, 0.09090909043002827725923139, 0.1111111111166599342210506,
      0.1428571428571097164838527,  0.2000000000000000773915356,  0.3333333333333333333034647};
  V q = V{};
  for (const double coefficient : coefficients) q = fused(q, z, repeat<V>(coefficient));
  return q;
}

XENT_INLINE floats log_one_plus_exactly(floats e, floats low) {
  return log_one_plus_exactly_by<floats>(atanh_series, e, low);
}
XENT_INLINE doubles log_one_plus_exactly(doubles e, doubles low) {
  return log_one_plus_exactly_by<doubles>(atanh_series_in_double<doubles>, e, low);
}
XENT_INLINE double log_one_plus_exactly(double e, double low) {
  return log_one_plus_exactly_by<double>(atanh_series_in_double<double>, e, low);
}

// The same of e alone in [0, 1], as e - e^2 q(e), with the roundings left in: less than 1.2 units in
// the last place, and no division.
XENT_INLINE floats log_one_plus(floats e) {
  floats q = repeat<floats>(0.0036769004072993994f);
  q = fused(q, e, repeat<floats>(-0.021872831508517265f));
  q = fused(q, e, repeat<floats>(0.06091656908392906f));
  q = fused(q, e, repeat<floats>(-0.11024634540081024f));
  q = fused(q, e, repeat<floats>(0.15569250285625458f));
  q = fused(q, e, repeat<floats>(-0.19774229824543f));
  q = fused(q, e, repeat<floats>(0.24975082278251648f));
  q = fused(q, e, repeat<floats>(-0.3333224952220917f));
  q = fused(q, e, repeat<floats>(0.5f));
  return fused(-(e * e), q, e);
}
XENT_INLINE doubles log_one_plus(doubles e) {
  const doubles s = e / (e + 2.0);
  return fused(-s, fused(s * s * -2.0, atanh_series_in_double(s * s), e), e);
}

// log(x) = exponent * ln 2 + log(1 + fraction), for normal x > 0.
template <typename V>
struct Logarithm {
  V exponent;
  V fraction;
};
XENT_INLINE Logarithm<floats> logarithm(floats x) {
  // The exponent of x / 0.7071, so that what remains is in [0.7071, 1.4142).
  const int32s bits = (int32s)x - 0x3f3504f3;
  const int32s whole = bits >> 23;
  const floats rest = (floats)((int32s)x - (whole << 23));
  return {__builtin_convertvector(whole, floats), rest - 1.0f};
}

XENT_INLINE Logarithm<doubles> logarithm(doubles x) {
  const int64s bits = (int64s)x - 0x3fe6a09e667f3bcd;
  const int64s whole = bits >> 52;
  const doubles rest = (doubles)((int64s)x - (whole << 52));
  return {__builtin_convertvector(whole, doubles), rest - 1.0};
}

// What brings denormals into the range of normal numbers.
template <typename S>
constexpr S smallest_normal = std::numeric_limits<S>::min();
template <typename S>
constexpr S lift_bits = S(60);
template <typename S>
constexpr S lift = S(1152921504606846976.0);  // 2^60

// ---- sums and places ----

// A sum that keeps what its additions round away.
template <typename V>
struct CompensatedSum {
  V total{};
  V lost{};

  XENT_INLINE void add(V part) {
    const V sum = total + part;
    const V of_total = sum - part;
    lost += (total - of_total) + (part - (sum - of_total));
    total = sum;
  }
  // Of an infinite sum nothing is lost that could be told.
  XENT_INLINE V value() const { return choose(lost == lost, total + lost, total); }
};

// The halves of a vector of floats, added in double precision.
XENT_INLINE doubles in_double(doubles a) { return a; }
XENT_INLINE doubles in_double(floats a) {
  using half = float __attribute__((vector_size(vector_bytes / 2)));
  half parts[2];
  std::memcpy(parts, &a, sizeof parts);
  return __builtin_convertvector(parts[0], doubles) + __builtin_convertvector(parts[1], doubles);
}

// Sums beyond a few vectors are kept in double.
template <typename V>
XENT_INLINE void add_to(doubles& total, V values) {
  total += in_double(values);
}

template <typename I>
XENT_INLINE I lane_numbers() {
  I result{};
  for (std::size_t i = 0; i < sizeof(I) / sizeof result[0]; ++i) {
    result[i] = static_cast<Element<I>>(i);
  }
  return result;
}

// Whether any lane of a comparison holds.
XENT_INLINE bool any_of(int32s condition) {
#if defined(__AVX512F__)
  return _mm512_test_epi32_mask((__m512i)condition, (__m512i)condition) != 0;
#else
  std::uint64_t words[vector_bytes / 8], any = 0;
  std::memcpy(words, &condition, sizeof words);
  for (const std::uint64_t word : words) any |= word;
  return any != 0;
#endif
}
XENT_INLINE bool any_of(int64s condition) { return any_of((int32s)condition); }
XENT_INLINE bool all_of(int32s condition) { return !any_of(~condition); }
XENT_INLINE bool all_of(int64s condition) { return !any_of(~condition); }

}  // namespace
}  // namespace xent::XENT_INSTRUCTION_SET
