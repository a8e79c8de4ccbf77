// Rows of a few classes that are turned on their side, so that each lane of a vector is a row.
#pragma once

#include "vector.hpp"

namespace xent::XENT_INSTRUCTION_SET {
namespace {

// Turns `n` rows of a few classes on their side, and back.
template <typename Stored>
class Turn {
  using S = Scalar<Stored>;
  using V = Vector<Stored>;
  static constexpr std::size_t n = width<Stored>;
  // Up to here every class of every vector is permuted into place; beyond, elements are gathered.
  static constexpr std::size_t most_permuted = 5;
  static constexpr std::size_t prefetch_bytes = 4096;

 public:
  static std::size_t bytes(std::size_t classes) {
    return classes * n * (2 * sizeof(std::int32_t) + sizeof(S)) + 2 * classes * most_permuted * 4;
  }

  // The memory may be `ready` from an earlier one of as many classes.
  Turn(std::size_t classes, void* memory, bool ready = false)
      : classes_(classes),
        in_(static_cast<std::int32_t*>(memory)),
        out_(in_ + classes * n),
        widened_(reinterpret_cast<S*>(out_ + classes * n)),
        in_masks_(reinterpret_cast<std::uint32_t*>(widened_ + classes * n)),
        out_masks_(in_masks_ + classes * most_permuted) {
    if (memory == nullptr || ready) return;
    for (std::size_t i = 0; i < classes * n; ++i) {
      const std::size_t row = i / classes, c = i % classes;
      in_[c * n + row] = static_cast<std::int32_t>(permuted() ? i % n : i);
      out_[i] = static_cast<std::int32_t>(permuted() ? row : c * n + row);
    }
    if (!permuted()) return;
    std::memset(in_masks_, 0, 2 * classes * most_permuted * sizeof(std::uint32_t));
    for (std::size_t i = 0; i < classes * n; ++i) {
      const std::size_t row = i / classes, c = i % classes, vector = i / n;
      in_masks_[c * classes + vector] |= 1u << row;
      out_masks_[vector * classes + c] |= 1u << i % n;
    }
  }

  XENT_INLINE void rows_to_classes(const Stored* from, std::size_t rows, S* to) const {
    prefetch(reinterpret_cast<const char*>(from) + prefetch_bytes);
    if (rows < n) {
      for (std::size_t c = 0; c < classes_; ++c) {
        for (std::size_t i = 0; i < n; ++i) to[c * n + i] = i < rows ? widen(from[i * classes_ + c]) : S(0);
      }
      return;
    }
#if defined(__AVX512F__)
    if constexpr (std::is_same_v<S, float>) {
      if (permuted()) {
        for (std::size_t j = 0; j < classes_; ++j) store<false>(widened_ + j * n, load(from + j * n));
        permute(widened_, in_, in_masks_, [&](std::size_t c, floats v) { store<false>(to + c * n, v); });
        return;
      }
    }
#endif
    for (std::size_t j = 0; j < classes_; ++j) store<false>(widened_ + j * n, load(from + j * n));
    for (std::size_t c = 0; c < classes_; ++c) store<false>(to + c * n, gather(widened_, in_ + c * n));
  }

  template <bool streaming>
  XENT_INLINE void classes_to_rows(const S* from, std::size_t rows, Stored* to) const {
    if (rows < n) {
      for (std::size_t i = 0; i < rows * classes_; ++i) {
        narrow(from[i % classes_ * n + i / classes_], to + i);
      }
      return;
    }
#if defined(__AVX512F__)
    if constexpr (std::is_same_v<S, float>) {
      if (permuted()) {
        permute(from, out_, out_masks_,
                [&](std::size_t j, floats v) { store<streaming>(to + j * n, v); });
        return;
      }
    }
#endif
    for (std::size_t j = 0; j < classes_; ++j) store<streaming>(to + j * n, gather(from, out_ + j * n));
  }

 private:
  const std::size_t classes_;
  std::int32_t* const in_;   // where each lane comes from
  std::int32_t* const out_;
  S* const widened_;
  std::uint32_t* const in_masks_;  // which lanes come from which vector
  std::uint32_t* const out_masks_;

  bool permuted() const {
#if defined(__AVX512F__)
    return std::is_same_v<S, float> && classes_ <= most_permuted;
#else
    return false;
#endif
  }

#if defined(__AVX512F__)
  template <typename Write>
  XENT_INLINE void permute(const float* from, const std::int32_t* lanes, const std::uint32_t* masks,
                           const Write& write) const {
    for (std::size_t to = 0; to < classes_; ++to) {
      const __m512i index = _mm512_loadu_si512(lanes + to * n);
      __m512 result = _mm512_setzero_ps();
      for (std::size_t j = 0; j < classes_; ++j) {
        result = _mm512_mask_permutexvar_ps(result, static_cast<__mmask16>(masks[to * classes_ + j]),
                                            index, _mm512_loadu_ps(from + j * n));
      }
      write(to, (floats)result);
    }
  }
#endif

  static XENT_INLINE V gather(const S* from, const std::int32_t* lanes) {
#if defined(__AVX512F__)
    if constexpr (std::is_same_v<S, float>) {
      return (floats)_mm512_i32gather_ps(_mm512_loadu_si512(lanes), from, 4);
    }
#endif
    V result;
    for (std::size_t i = 0; i < n; ++i) result[i] = from[lanes[i]];
    return result;
  }
};

}  // namespace
}  // namespace xent::XENT_INSTRUCTION_SET
