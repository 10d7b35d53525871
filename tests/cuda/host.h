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
#define DRR_CALLED inline
#define DRR_UNROLL

namespace drr {

using std::ceil, std::exp, std::expm1, std::fabs, std::floor, std::fmax, std::fmin, std::sqrt;

// The block that runs, and where its thread is.
struct Block {
    u32 thread = 0, threads = 0, block = 0, blocks = 0;
    char *memory = nullptr;
    bool vote = false;
    ucontext_t scheduler, *fiber = nullptr;
};

inline Block running;

DRR_DEVICE u32 thread() { return running.thread; }
DRR_DEVICE u32 threads() { return running.threads; }
DRR_DEVICE u32 block() { return running.block; }
DRR_DEVICE u32 blocks() { return running.blocks; }
void wait(bool for_block);
DRR_DEVICE void barrier() { wait(true); }
DRR_DEVICE void warp_barrier() { wait(false); }
DRR_DEVICE u64 take(u64 *counter) { return (*counter)++; }

// As device.h says.
DRR_DEVICE bool barrier_any(bool mine) {
    barrier();
    running.vote = false;
    barrier();
    running.vote |= mine;
    barrier();
    return running.vote;
}
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

DRR_DEVICE u32 halves_of_floats(float low, float high) {
    return half_of_double(low) | u32(half_of_double(high)) << 16;
}

// The fragments of a warp's lanes, given to each other.
struct Fragments {
    u32 a[32][4], b[32][2];
};

inline std::vector<Fragments> fragments;

// As device.h says. What a lane needs of others, it gets after a barrier.
DRR_DEVICE void multiply_add(float c[4], const u32 a[4], const u32 b[2]) {
    const u32 lane = thread() % 32, group = lane / 4, pair = lane % 4 * 2;
    Fragments &all = fragments[thread() / 32];
    std::memcpy(all.a[lane], a, sizeof all.a[lane]);
    std::memcpy(all.b[lane], b, sizeof all.b[lane]);
    warp_barrier();
    const auto half = [](u32 word, u32 n) { return float_of_half(u16(word >> 16 * (n % 2))); };
    const auto of_a = [&](u32 row, u32 k) {
        return half(all.a[row % 8 * 4 + k % 8 / 2][row / 8 + k / 8 * 2], k);
    };
    const auto of_b = [&](u32 k, u32 column) {
        return half(all.b[column * 4 + k % 8 / 2][k / 8], k);
    };
    for (u32 n = 0; n < 4; n++)
        for (u32 k = 0; k < 16; k++)
            c[n] += of_a(group + n / 2 * 8, k) * of_b(k, pair + n % 2);
    warp_barrier();
}

namespace host {

struct Fiber {
    ucontext_t context;
    std::unique_ptr<char[]> stack;
    enum { READY, AT_WARP, AT_BLOCK, DONE } state = READY;
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
    fibers[running.thread].state = Fiber::DONE;
}

inline bool all(u32 from, u32 to, int state) {
    for (u32 n = from; n < to; n++)
        if (fibers[n].state != state)
            return false;
    return true;
}

// Lets go who waited for everybody that is now there.
inline void open_barriers() {
    for (u32 from = 0; from < running.threads; from += 32) {
        const u32 to = from + 32 < running.threads ? from + 32 : running.threads;
        if (all(from, to, Fiber::AT_WARP))
            for (u32 n = from; n < to; n++)
                fibers[n].state = Fiber::READY;
    }
    if (all(0, running.threads, Fiber::AT_BLOCK))
        for (u32 n = 0; n < running.threads; n++)
            fibers[n].state = Fiber::READY;
}

// Every thread that can go, up to its next barrier, forwards or backwards.
inline void turn(bool backwards) {
    bool is_stuck = true;
    for (u32 n = 0; n < running.threads; n++) {
        running.thread = backwards ? running.threads - 1 - n : n;
        Fiber &fiber = fibers[running.thread];
        if (fiber.state != Fiber::READY)
            continue;
        is_stuck = false;
        running.fiber = &fiber.context;
        swapcontext(&running.scheduler, running.fiber);
    }
    if (is_stuck)
        fail("threads wait at a barrier for others that ended or wait elsewhere");
}

inline void run_block(std::size_t bytes) {
    // One number more, to see that it stays.
    constexpr double GUARD = 12345.0;
    std::vector<double> memory((bytes + 7) / 8 + 1, not_a_number());
    memory.back() = GUARD;
    running.memory = reinterpret_cast<char *>(memory.data());
    fibers.resize(running.threads);
    fragments.resize((running.threads + 31) / 32);
    for (Fiber &fiber : fibers) {
        if (!fiber.stack)
            fiber.stack = std::make_unique<char[]>(STACK);
        fiber.state = Fiber::READY;
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = fiber.stack.get();
        fiber.context.uc_stack.ss_size = STACK;
        fiber.context.uc_link = &running.scheduler;
        makecontext(&fiber.context, body, 0);
    }
    for (u32 round = 0; !all(0, running.threads, Fiber::DONE); round++) {
        turn(round % 2 == 1);
        open_barriers();
    }
    if (memory.back() != GUARD)
        fail("written beyond the end of shared memory");
}

} // namespace host

inline void wait(bool for_block) {
    host::fibers[running.thread].state = for_block ? host::Fiber::AT_BLOCK : host::Fiber::AT_WARP;
    swapcontext(running.fiber, &running.scheduler);
}

namespace host {

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
