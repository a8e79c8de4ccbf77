// Rows of a few classes that are turned on their side, so that each lane of a vector is a row.
#pragma once

#include "vector.hpp"

namespace xent::XENT_INSTRUCTION_SET {
namespace {

// ---- four by four ----

constexpr std::size_t quad = 4;                         // floats of 16 bytes
constexpr std::size_t parts = vector_bytes / 16;        // of a vector

struct Quads {
  floats at[quad];
};

// In each part of 16 bytes: the first two, or the last two, elements of a and b in turns.
XENT_INLINE floats first_in_turns(floats a, floats b) {
#if defined(__AVX512F__)
  return (floats)_mm512_unpacklo_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
  return (floats)_mm256_unpacklo_ps((__m256)a, (__m256)b);
#elif defined(__x86_64__)
  return (floats)_mm_unpacklo_ps((__m128)a, (__m128)b);
#else
  return floats{a[0], b[0], a[1], b[1]};
#endif
}
XENT_INLINE floats last_in_turns(floats a, floats b) {
#if defined(__AVX512F__)
  return (floats)_mm512_unpackhi_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
  return (floats)_mm256_unpackhi_ps((__m256)a, (__m256)b);
#elif defined(__x86_64__)
  return (floats)_mm_unpackhi_ps((__m128)a, (__m128)b);
#else
  return floats{a[2], b[2], a[3], b[3]};
#endif
}
// In each part of 16 bytes: the first half, or the last half, of a and then of b.
XENT_INLINE floats first_halves(floats a, floats b) {
#if defined(__AVX512F__)
  return (floats)_mm512_shuffle_ps((__m512)a, (__m512)b, 0x44);
#elif defined(__AVX2__)
  return (floats)_mm256_shuffle_ps((__m256)a, (__m256)b, 0x44);
#elif defined(__x86_64__)
  return (floats)_mm_shuffle_ps((__m128)a, (__m128)b, 0x44);
#else
  return floats{a[0], a[1], b[0], b[1]};
#endif
}
XENT_INLINE floats last_halves(floats a, floats b) {
#if defined(__AVX512F__)
  return (floats)_mm512_shuffle_ps((__m512)a, (__m512)b, 0xee);
#elif defined(__AVX2__)
  return (floats)_mm256_shuffle_ps((__m256)a, (__m256)b, 0xee);
#elif defined(__x86_64__)
  return (floats)_mm_shuffle_ps((__m128)a, (__m128)b, 0xee);
#else
  return floats{a[2], a[3], b[2], b[3]};
#endif
}

// Element j of vector i becomes element i of vector j, in each part of 16 bytes.
XENT_INLINE Quads turned(const Quads& q) {
  const floats a = first_in_turns(q.at[0], q.at[1]), b = last_in_turns(q.at[0], q.at[1]);
  const floats c = first_in_turns(q.at[2], q.at[3]), d = last_in_turns(q.at[2], q.at[3]);
  return {{first_halves(a, c), last_halves(a, c), first_halves(b, d), last_halves(b, d)}};
}

// 16 bytes into each part of a vector, `distance` elements apart in memory, and back.
XENT_INLINE floats load_parts(const float* from, std::size_t distance) {
#if defined(__AVX512F__)
  // Loads that fill one part need no port for shuffles.
  __m512 result = _mm512_castps128_ps512(_mm_loadu_ps(from));
  result = _mm512_mask_broadcast_f32x4(result, 0x00f0, _mm_loadu_ps(from + distance));
  result = _mm512_mask_broadcast_f32x4(result, 0x0f00, _mm_loadu_ps(from + 2 * distance));
  return (floats)_mm512_mask_broadcast_f32x4(result, 0xf000, _mm_loadu_ps(from + 3 * distance));
#else
  floats result;
  for (std::size_t p = 0; p < parts; ++p) {
    std::memcpy(reinterpret_cast<char*>(&result) + 16 * p, from + p * distance, 16);
  }
  return result;
#endif
}
XENT_INLINE void store_parts(float* to, std::size_t distance, floats value) {
#if defined(__AVX512F__)
  _mm_storeu_ps(to, _mm512_castps512_ps128((__m512)value));
  _mm_storeu_ps(to + distance, _mm512_extractf32x4_ps((__m512)value, 1));
  _mm_storeu_ps(to + 2 * distance, _mm512_extractf32x4_ps((__m512)value, 2));
  _mm_storeu_ps(to + 3 * distance, _mm512_extractf32x4_ps((__m512)value, 3));
#else
  for (std::size_t p = 0; p < parts; ++p) {
    std::memcpy(to + p * distance, reinterpret_cast<const char*>(&value) + 16 * p, 16);
  }
#endif
}

// ---- rows ----

// Turns `n` rows of a few classes on their side, and back.
//
// Floats go four classes at a time: a vector takes those of a row into each of its parts, and four
// vectors change places within the parts. Fewer classes, and doubles, go by a table of where each
// lane comes from.
template <typename Stored>
class Turn {
  using S = Scalar<Stored>;
  using V = Vector<Stored>;
  static constexpr std::size_t n = width<Stored>;
  static constexpr std::size_t prefetch_bytes = 4096;

 public:
  // With room for rows that are turned back, of so many strips at a time.
  static std::size_t bytes(std::size_t classes, std::size_t strips) {
    return (strips * sizeof(S) + 2 * sizeof(std::int32_t)) * classes * n + sizeof(Masks);
  }

  // The memory may be `ready` from an earlier one of as many classes.
  Turn(std::size_t classes, void* memory, std::size_t strips, bool ready = false)
      : classes_(classes),
        rows_(static_cast<S*>(memory)),
        in_(reinterpret_cast<std::int32_t*>(rows_ + strips * classes * n)),
        out_(in_ + classes * n),
        masks_(reinterpret_cast<Masks*>(out_ + classes * n)) {
    if (memory == nullptr || ready || by_quads()) return;
    for (std::size_t i = 0; i < classes * n; ++i) {
      const std::size_t row = i / classes, c = i % classes;
      in_[c * n + row] = static_cast<std::int32_t>(permuted() ? i % n : i);
      out_[i] = static_cast<std::int32_t>(permuted() ? row : c * n + row);
    }
    if (!permuted()) return;
    *masks_ = Masks{};
    for (std::size_t i = 0; i < classes * n; ++i) {
      const std::size_t row = i / classes, c = i % classes, vector = i / n;
      masks_->in[c][vector] |= 1u << row;
      masks_->out[vector][c] |= 1u << i % n;
    }
  }

  // Gives each class of `n` rows, in order, to `take`.
  template <typename Take>
  XENT_INLINE void each_class(const Stored* from, const Take& take) const {
    prefetch(reinterpret_cast<const char*>(from) + prefetch_bytes);
    const S* whole;
    if constexpr (std::is_same_v<Stored, S>) {
      whole = from;
    } else {
      for (std::size_t j = 0; j < classes_; ++j) store<false>(rows_ + j * n, load(from + j * n));
      whole = rows_;
    }
    if constexpr (std::is_same_v<S, float>) {
      if (by_quads()) return quads_to_classes(whole, take);
#if defined(__AVX512F__)
      return permute(whole, in_, masks_->in, take);
#endif
    }
    for (std::size_t c = 0; c < classes_; ++c) take(c, gather(whole, in_ + c * n));
  }

  XENT_INLINE void rows_to_classes(const Stored* from, std::size_t rows, S* to) const {
    if (rows == n) return each_class(from, [&](std::size_t c, V x) { store<false>(to + c * n, x); });
    for (std::size_t c = 0; c < classes_; ++c) {
      for (std::size_t i = 0; i < n; ++i) to[c * n + i] = i < rows ? widen(from[i * classes_ + c]) : S(0);
    }
  }

  // To the room of a strip; `write` brings them to where they belong, later, so that nothing waits
  // for what was just stored. `value_of` gives a class.
  template <typename ValueOf>
  XENT_INLINE void classes_to_rows(S* scratch, std::size_t strip, const ValueOf& value_of) const {
    S* const to = rows_ + strip * classes_ * n;
    if constexpr (std::is_same_v<S, float>) {
      if (by_quads()) return quads_to_rows(value_of, to);
    }
    for (std::size_t c = 0; c < classes_; ++c) store<false>(scratch + c * n, value_of(c));
    const S* const from = scratch;
    if constexpr (std::is_same_v<S, float>) {
#if defined(__AVX512F__)
      return permute(from, out_, masks_->out,
                     [&](std::size_t j, floats v) { store<false>(to + j * n, v); });
#endif
    }
    for (std::size_t j = 0; j < classes_; ++j) store<false>(to + j * n, gather(from, out_ + j * n));
  }

  template <bool streaming>
  XENT_INLINE void write(std::size_t strip, std::size_t rows, Stored* to) const {
    const S* const from = rows_ + strip * classes_ * n;
    if (rows < n) {
      for (std::size_t i = 0; i < rows * classes_; ++i) narrow(from[i], to + i);
      return;
    }
    for (std::size_t j = 0; j < classes_; ++j) store<streaming>(to + j * n, load(from + j * n));
  }

 private:
  static constexpr std::size_t most_permuted = quad - 1;

  // Which lanes come from which vector.
  struct Masks {
    std::uint32_t in[most_permuted][most_permuted];
    std::uint32_t out[most_permuted][most_permuted];
  };

  const std::size_t classes_;
  S* const rows_;
  std::int32_t* const in_;  // where each lane comes from
  std::int32_t* const out_;
  Masks* const masks_;

  bool by_quads() const { return std::is_same_v<S, float> && classes_ >= quad; }

  bool permuted() const {
#if defined(__AVX512F__)
    return std::is_same_v<S, float> && classes_ < quad;
#else
    return false;
#endif
  }

  // The first class of the step after this one. The last step goes over classes of the one before
  // again rather than beyond the row.
  std::size_t after(std::size_t c) const {
    return c + quad == classes_ ? classes_ : c + 2 * quad <= classes_ ? c + quad : classes_ - quad;
  }

  template <typename Take>
  XENT_INLINE void quads_to_classes(const float* from, const Take& take) const {
    std::size_t taken = 0;
    for (std::size_t c = 0; c < classes_; c = after(c)) {
      Quads rows;
      for (std::size_t k = 0; k < quad; ++k) {
        rows.at[k] = load_parts(from + k * classes_ + c, quad * classes_);
      }
      const Quads classes = turned(rows);
      for (std::size_t k = 0; k < quad; ++k) {
        if (c + k >= taken) take(c + k, classes.at[k]);
      }
      taken = c + quad;
    }
  }

  template <typename ValueOf>
  XENT_INLINE void quads_to_rows(const ValueOf& value_of, float* to) const {
    for (std::size_t c = 0; c < classes_; c = after(c)) {
      Quads classes;
      for (std::size_t k = 0; k < quad; ++k) classes.at[k] = value_of(c + k);
      const Quads rows = turned(classes);
      for (std::size_t k = 0; k < quad; ++k) {
        store_parts(to + k * classes_ + c, quad * classes_, rows.at[k]);
      }
    }
  }

#if defined(__AVX512F__)
  template <typename Take>
  XENT_INLINE void permute(const float* from, const std::int32_t* lanes,
                           const std::uint32_t (&masks)[most_permuted][most_permuted],
                           const Take& take) const {
    for (std::size_t j = 0; j < classes_; ++j) {
      const __m512i index = _mm512_loadu_si512(lanes + j * n);
      __m512 result = _mm512_setzero_ps();
      for (std::size_t k = 0; k < classes_; ++k) {
        result = _mm512_mask_permutexvar_ps(result, static_cast<__mmask16>(masks[j][k]), index,
                                            _mm512_loadu_ps(from + k * n));
      }
      take(j, (floats)result);
    }
  }
#endif

  static XENT_INLINE V gather(const S* from, const std::int32_t* lanes) {
    V result;
    for (std::size_t i = 0; i < n; ++i) result[i] = from[lanes[i]];
    return result;
  }
};

}  // namespace
}  // namespace xent::XENT_INSTRUCTION_SET
