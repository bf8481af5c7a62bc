/* What the worker threads need of the machine: ordered loads and stores, prefetch, a clock. */
#ifndef FASTPATH_THREADS_H
#define FASTPATH_THREADS_H

#include <sched.h>
#include <stdint.h>
#include <time.h>

/* Holds, but seldom: what depends on it is laid out, and given registers, last. */
#define rarely(x) __builtin_expect(!!(x), 0)

static inline uint64_t load_acquire(const uint64_t *from) { return __atomic_load_n(from, __ATOMIC_ACQUIRE); }
static inline void store_release(uint64_t *to, uint64_t value) { __atomic_store_n(to, value, __ATOMIC_RELEASE); }

/* The empty asm counts as an effect: GCC takes a function that only prefetches for one without any, and drops its calls. */
static inline void prefetch(const void *address)
{
    __builtin_prefetch(address);
    __asm__ volatile("" : : "r"(address));
}

/* For what is read some thousand cycles from now: into the second cache. */
static inline void prefetch_later(const void *address)
{
    __builtin_prefetch(address, 0, 2);
    __asm__ volatile("" : : "r"(address));
}

static inline uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* A counter that goes evenly for what lies between two readings, in units of its own: what a burst's stages take is asked for
   more often than a clock should be, which in a virtual machine costs as much as a packet. */
static inline uint64_t ticks(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t now;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(now));
    return now;
#else
    return clock_ns();
#endif
}

#endif
