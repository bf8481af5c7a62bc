# Threads, see threads.h and pthreads(7).
from libc.stdint cimport uint64_t

cdef extern from "threads.h" nogil:
    uint64_t load_acquire(const uint64_t *source) noexcept
    void store_release(uint64_t *target, uint64_t value) noexcept
    void prefetch(const void *address) noexcept
    void prefetch_later(const void *address) noexcept
    bint rarely(bint) noexcept
    uint64_t clock_ns() noexcept
    uint64_t ticks() noexcept
    int sched_yield() noexcept

cdef extern from "<pthread.h>" nogil:
    ctypedef struct pthread_t:
        pass
    ctypedef struct pthread_mutex_t:
        pass
    ctypedef struct pthread_cond_t:
        pass
    int pthread_create(pthread_t *thread, const void *attributes, void *(*start)(void *) noexcept nogil, void *argument) noexcept
    int pthread_join(pthread_t thread, void **result) noexcept
    int pthread_mutex_init(pthread_mutex_t *mutex, const void *attributes) noexcept
    int pthread_mutex_destroy(pthread_mutex_t *mutex) noexcept
    int pthread_mutex_lock(pthread_mutex_t *mutex) noexcept
    int pthread_mutex_unlock(pthread_mutex_t *mutex) noexcept
    int pthread_cond_init(pthread_cond_t *condition, const void *attributes) noexcept
    int pthread_cond_destroy(pthread_cond_t *condition) noexcept
    int pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex) noexcept
    int pthread_cond_broadcast(pthread_cond_t *condition) noexcept
