// Tasks over the threads of the OpenMP runtime that is already in the process.
//
// torch brings its own copy of libgomp; a second pool beside it would fight for the same cores.
// So nothing is linked: the entry point is looked up when it is first needed, and where there is
// none (no torch, another runtime) the tasks run one after the other.
#pragma once

#include <atomic>
#include <cstddef>

#if defined(__linux__) || defined(__APPLE__)
#include <dlfcn.h>
#include <unistd.h>
#define XENT_HAS_DLSYM 1
#endif

namespace xent {

using ParallelRegion = void (*)(void (*)(void*), void*, unsigned threads, unsigned flags);

inline ParallelRegion find_parallel_region() {
#if defined(XENT_HAS_DLSYM)
  return reinterpret_cast<ParallelRegion>(dlsym(RTLD_DEFAULT, "GOMP_parallel"));
#else
  return nullptr;
#endif
}

// A forked child inherits the runtime but not its threads, and would wait for them forever.
inline bool is_forked_child() {
#if defined(XENT_HAS_DLSYM)
  static const pid_t loaded_in = getpid();
  return getpid() != loaded_in;
#else
  return false;
#endif
}

// Calls run(task) for each task from 0 to `tasks` - 1, in any order.
template <typename Run>
void run_tasks(std::size_t tasks, unsigned threads, const Run& run) {
  static const ParallelRegion region = find_parallel_region();
  if (threads < 2 || tasks < 2 || region == nullptr || is_forked_child()) {
    for (std::size_t task = 0; task < tasks; ++task) run(task);
    return;
  }
  struct Shared {
    std::atomic<std::size_t> next{0};
    std::size_t tasks;
    const Run& run;
  } shared{{0}, tasks, run};
  region(
      [](void* data) {
        auto& own = *static_cast<Shared*>(data);
        for (std::size_t task; (task = own.next.fetch_add(1)) < own.tasks;) own.run(task);
      },
      &shared, threads, 0);
}

}  // namespace xent
