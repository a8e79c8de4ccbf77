#include "pool.hpp"

#include <chrono>
#include <mutex>
#include <new>
#include <vector>

#if defined(__linux__) || defined(__APPLE__)
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>
#define XENT_HAS_MMAP 1
#endif

namespace xent {
namespace {

constexpr std::size_t huge_page = std::size_t{1} << 21;
constexpr std::size_t most_idle_blocks = 4;
constexpr auto longest_idle = std::chrono::seconds(10);

using Clock = std::chrono::steady_clock;

struct IdleBlock {
  Block block;
  Clock::time_point since;
};

struct Pool {
  std::mutex mutex;
  std::vector<IdleBlock> idle;
};

Pool* the_pool = nullptr;

#if defined(XENT_HAS_MMAP)

std::size_t most_idle_bytes() {
  const long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGE_SIZE);
  return pages > 0 && size > 0 ? static_cast<std::size_t>(pages) * static_cast<std::size_t>(size) / 4
                               : std::size_t{1} << 30;
}

// After a fork another thread's lock would stay locked forever, and idle blocks would be copied
// page by page: the child starts anew. Blocks in use come back to it as usual.
void start_anew() { the_pool = new (std::nothrow) Pool; }

Pool* pool() {
  // Never destroyed: tensors may die after everything else.
  static const bool made = [] {
    start_anew();
    pthread_atfork(nullptr, nullptr, start_anew);
    return true;
  }();
  (void)made;
  return the_pool;
}

Block map_block(std::size_t bytes) {
  const std::size_t capacity = (bytes + huge_page - 1) / huge_page * huge_page;
  const std::size_t mapped = capacity + huge_page;
  void* start = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (start == MAP_FAILED) return {nullptr, 0, false};
  auto* first = static_cast<char*>(start);
  const std::size_t head = (huge_page - reinterpret_cast<std::size_t>(first) % huge_page) % huge_page;
  if (head > 0) munmap(first, head);
  if (huge_page - head > 0) munmap(first + head + capacity, huge_page - head);
#if defined(MADV_HUGEPAGE)
  madvise(first + head, capacity, MADV_HUGEPAGE);
#endif
  return {first + head, capacity, false};
}

void unmap(const Block& block) { munmap(block.address, block.capacity); }

std::size_t idle_bytes(const Pool& own) {
  std::size_t bytes = 0;
  for (const IdleBlock& idle : own.idle) bytes += idle.block.capacity;
  return bytes;
}

// The oldest come first.
void drop_oldest_while(Pool& own, bool (*too_many)(const Pool&)) {
  while (!own.idle.empty() && too_many(own)) {
    unmap(own.idle.front().block);
    own.idle.erase(own.idle.begin());
  }
}

void trim(Pool& own) {
  static const std::size_t most_bytes = most_idle_bytes();
  drop_oldest_while(own, [](const Pool& p) {
    return p.idle.size() > most_idle_blocks || idle_bytes(p) > most_bytes ||
           Clock::now() - p.idle.front().since > longest_idle;
  });
}

#endif

}  // namespace

#if defined(XENT_HAS_MMAP)

Block take_block(std::size_t bytes) {
  Pool* own = pool();
  if (own == nullptr) return {nullptr, 0, false};
  {
    const std::lock_guard<std::mutex> lock(own->mutex);
    auto best = own->idle.end();
    for (auto idle = own->idle.begin(); idle != own->idle.end(); ++idle) {
      const std::size_t capacity = idle->block.capacity;
      const bool fits = capacity >= bytes && capacity <= bytes + bytes / 2 + huge_page;
      if (fits && (best == own->idle.end() || capacity < best->block.capacity)) best = idle;
    }
    if (best != own->idle.end()) {
      const Block block = best->block;
      own->idle.erase(best);
      trim(*own);
      return block;
    }
    trim(*own);
  }
  return map_block(bytes);
}

void give_block_back(const Block& block) {
  Pool* own = pool();
  if (own == nullptr) return unmap(block);
  const std::lock_guard<std::mutex> lock(own->mutex);
  own->idle.push_back({{block.address, block.capacity, true}, Clock::now()});
  trim(*own);
}

std::size_t empty_pool() {
  Pool* own = pool();
  if (own == nullptr) return 0;
  const std::lock_guard<std::mutex> lock(own->mutex);
  const std::size_t bytes = idle_bytes(*own);
  drop_oldest_while(*own, [](const Pool&) { return true; });
  return bytes;
}

#else

Block take_block(std::size_t) { return {nullptr, 0, false}; }
void give_block_back(const Block&) {}
std::size_t empty_pool() { return 0; }

#endif

}  // namespace xent
