/* Preloaded before libhs: notes every hs_scan of a run, and plays the log back with an empty callback.

   What the engine scanned, and with which database, is so known without a hook in the engine. Idle, it costs a branch. Logs are
   numbered from 0 and stay.
   Linked against libhs, so that the library is in the global scope before any extension asks for it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <hs.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

typedef struct scan {
    const hs_database_t *database;
    size_t at;
    uint32_t length;
} scan_t;

enum { ARENA = 1u << 31, LOGS = 16 };
typedef hs_error_t (*scan_function)(const hs_database_t *, const char *, unsigned, unsigned, hs_scratch_t *, match_event_handler, void *);

static scan_function real;
static int recording;
static scan_t *scans;
static size_t used, room, filled;
static struct { size_t first, end, bytes; } logs[LOGS];
static int log_count;
static char *arena;

static int ignore(unsigned id, unsigned long long from, unsigned long long to, unsigned flags, void *context)
{
    (void)id, (void)from, (void)to, (void)flags, (void)context;
    return 0;
}

static void note(const hs_database_t *database, const char *data, unsigned length)
{
    if (arena == NULL) {
        arena = mmap(NULL, ARENA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (arena == MAP_FAILED)
            abort();
    }
    if (used == room) {
        room = room ? 2 * room : 1 << 16;
        scans = realloc(scans, room * sizeof *scans);
        if (scans == NULL)
            abort();
    }
    if (filled + length > ARENA)
        abort();
    memcpy(arena + filled, data, length);
    scans[used++] = (scan_t){database, filled, length};
    filled += length;
}

hs_error_t hs_scan(const hs_database_t *database, const char *data, unsigned length, unsigned flags, hs_scratch_t *scratch,
                   match_event_handler handler, void *context)
{
    if (real == NULL)
        real = (scan_function)dlsym(RTLD_NEXT, "hs_scan");
    if (recording)
        note(database, data, length);
    return real(database, data, length, flags, scratch, handler, context);
}

/* Begins a log, and gives its number. */
int hsrecord_start(void)
{
    if (log_count == LOGS)
        abort();
    logs[log_count].first = used;
    logs[log_count].bytes = filled;
    recording = 1;
    return log_count;
}

void hsrecord_stop(void)
{
    recording = 0;
    logs[log_count].end = used;
    logs[log_count].bytes = filled - logs[log_count].bytes;
    log_count++;
}

size_t hsrecord_scans(int log) { return logs[log].end - logs[log].first; }
size_t hsrecord_bytes(int log) { return logs[log].bytes; }

/* One pass over a log, in nanoseconds of the wall clock or of the processor; 0 on an error. The engine that made the log must still be open. */
uint64_t hsrecord_replay(int log, int cpu)
{
    size_t first = logs[log].first, end = logs[log].end;
    hs_scratch_t *scratch = NULL;
    const hs_database_t *last = NULL;
    struct timespec from, to;
    hs_error_t error = HS_SUCCESS;
    clockid_t clock = cpu ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC;
    for (size_t i = first; i < end && error == HS_SUCCESS; i++)
        if (scans[i].database != last)
            error = hs_alloc_scratch(last = scans[i].database, &scratch);
    clock_gettime(clock, &from);
    for (size_t i = first; i < end && error == HS_SUCCESS; i++)
        error = real(scans[i].database, arena + scans[i].at, scans[i].length, 0, scratch, ignore, NULL);
    clock_gettime(clock, &to);
    hs_free_scratch(scratch);
    if (error != HS_SUCCESS)
        return 0;
    return (uint64_t)(to.tv_sec - from.tv_sec) * 1000000000u + (uint64_t)to.tv_nsec - (uint64_t)from.tv_nsec;
}
