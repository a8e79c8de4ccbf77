// A tensor in the memory of the pool, in the form in which frameworks hand tensors to each other.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "pool.hpp"
#include "softmax.hpp"

namespace xent {

// DLPack's structures, version 0.8 of its ABI.
namespace dlpack {

struct Device {
  std::int32_t type;  // 1: CPU
  std::int32_t id;
};

struct DataType {
  std::uint8_t code;  // 2: IEEE float, 4: bfloat16
  std::uint8_t bits;
  std::uint16_t lanes;
};

struct Tensor {
  void* data;
  Device device;
  std::int32_t dimensions;
  DataType dtype;
  std::int64_t* shape;
  std::int64_t* strides;  // null: contiguous
  std::uint64_t byte_offset;
};

struct ManagedTensor {
  Tensor tensor;
  void* manager;
  void (*deleter)(ManagedTensor*);
};

}  // namespace dlpack

struct PooledTensor {
  dlpack::ManagedTensor managed;
  std::vector<std::int64_t> shape;
  std::vector<std::int64_t> strides;
  Block block;
};

// Null where there is no memory.
inline std::unique_ptr<PooledTensor> make_pooled_tensor(
    std::vector<std::int64_t> shape, Storage storage, void (*deleter)(dlpack::ManagedTensor*)) {
  const std::uint8_t bits =
      storage == Storage::float64 ? 64 : storage == Storage::float32 ? 32 : 16;
  const std::uint8_t code = storage == Storage::bfloat16 ? 4 : 2;
  auto tensor = std::make_unique<PooledTensor>();
  std::size_t size = 1;
  tensor->strides.resize(shape.size());
  for (std::size_t i = shape.size(); i-- > 0;) {
    tensor->strides[i] = static_cast<std::int64_t>(size);
    size *= static_cast<std::size_t>(shape[i]);
  }
  tensor->block = take_block(size * bits / 8);
  if (tensor->block.address == nullptr) return nullptr;
  tensor->shape = std::move(shape);
  tensor->managed = {{tensor->block.address,
                      {1, 0},
                      static_cast<std::int32_t>(tensor->shape.size()),
                      {code, bits, 1},
                      tensor->shape.data(),
                      tensor->strides.data(),
                      0},
                     tensor.get(),
                     deleter};
  return tensor;
}

}  // namespace xent
