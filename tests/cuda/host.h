// A GPU for tests: the threads of a block take turns on the host's, from barrier to barrier. Shared
// memory has exactly the size of the launch and begins as NaN; the order of the threads changes
// from turn to turn, so that results depend on it wherever a barrier is missing.
#pragma once

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <ucontext.h>
#include <vector>

#define DRR_KERNEL extern "C" void
#define DRR_DEVICE inline

namespace drr {

using std::exp, std::fabs, std::floor, std::fmax, std::fmin;

// The block that runs, and where its thread is.
struct Block {
    u32 thread = 0, threads = 0, block = 0, blocks = 0;
    char *memory = nullptr;
    ucontext_t scheduler, *fiber = nullptr;
};

inline Block running;

DRR_DEVICE u32 thread() { return running.thread; }
DRR_DEVICE u32 threads() { return running.threads; }
DRR_DEVICE u32 block() { return running.block; }
DRR_DEVICE u32 blocks() { return running.blocks; }
DRR_DEVICE void barrier() { swapcontext(running.fiber, &running.scheduler); }
DRR_DEVICE char *shared_memory() { return running.memory; }

template <class To, class From> To same_bits(From from) {
    static_assert(sizeof(To) == sizeof(From));
    To to;
    std::memcpy(&to, &from, sizeof to);
    return to;
}

DRR_DEVICE u32 bits_of(float value) { return same_bits<u32>(value); }
DRR_DEVICE float float_of(u32 bits) { return same_bits<float>(bits); }
DRR_DEVICE double not_a_number() { return std::numeric_limits<double>::quiet_NaN(); }

DRR_DEVICE float float_of_half(u16 bits) { return static_cast<float>(same_bits<_Float16>(bits)); }
DRR_DEVICE u16 half_of_double(double value) { return same_bits<u16>(static_cast<_Float16>(value)); }

namespace host {

struct Fiber {
    ucontext_t context;
    std::unique_ptr<char[]> stack;
    bool is_done = false;
};

constexpr std::size_t STACK = 64 << 10;

[[noreturn]] inline void fail(const char *what) {
    std::fprintf(stderr, "block %u: %s\n", running.block, what);
    std::abort();
}

// The kernel and argument of the block that runs, for fibers, which take no pointers.
inline void (*call)(const void *) = nullptr;
inline const void *argument = nullptr;
inline std::vector<Fiber> fibers;

inline void body() {
    call(argument);
    fibers[running.thread].is_done = true;
}

// Every thread up to its next barrier, forwards or backwards. Returns how many ended.
inline u32 turn(bool backwards) {
    u32 done = 0;
    for (u32 n = 0; n < running.threads; n++) {
        running.thread = backwards ? running.threads - 1 - n : n;
        running.fiber = &fibers[running.thread].context;
        swapcontext(&running.scheduler, running.fiber);
        done += fibers[running.thread].is_done;
    }
    return done;
}

inline void run_block(std::size_t bytes) {
    // One number more, to see that it stays.
    constexpr double GUARD = 12345.0;
    std::vector<double> memory((bytes + 7) / 8 + 1, not_a_number());
    memory.back() = GUARD;
    running.memory = reinterpret_cast<char *>(memory.data());
    fibers.resize(running.threads);
    for (Fiber &fiber : fibers) {
        if (!fiber.stack)
            fiber.stack = std::make_unique<char[]>(STACK);
        fiber.is_done = false;
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = fiber.stack.get();
        fiber.context.uc_stack.ss_size = STACK;
        fiber.context.uc_link = &running.scheduler;
        makecontext(&fiber.context, body, 0);
    }
    for (u32 round = 0;; round++) {
        const u32 done = turn(round % 2 == 1);
        if (done == running.threads)
            break;
        if (done > 0)
            fail("some threads ended while others wait at a barrier");
    }
    if (memory.back() != GUARD)
        fail("written beyond the end of shared memory");
}

// What a launch does, one block after the other.
template <class Argument, void kernel(Argument)>
void launch(const Argument &given, u32 blocks, u32 threads, std::size_t bytes) {
    call = [](const void *given) { kernel(*static_cast<const Argument *>(given)); };
    argument = &given;
    running.threads = threads;
    running.blocks = blocks;
    for (running.block = 0; running.block < blocks; running.block++)
        run_block(bytes);
}

} // namespace host
} // namespace drr
