/* A stand-in for the CUDA runtime on machines without one: no header of it is needed.

   "GPU memory" is pages that nobody may touch (fake_host/block.rs); a copy opens them for as long as it takes. Copies are put off:
   a thread of its own makes them CUDART_DELAY_MS (20) after they were asked for, so that what does not wait for them sees what
   was there before. It is stricter than the real runtime, which makes some copies of ordinary memory at once.

   What the real runtime does not refuse, but nothing of ours is to do, is refused: the legacy default stream, streams that wait
   for it, and a copy on another device's stream than the current device's.

   Errors come on demand: CUDART_FAIL="cudaMemcpyAsync=2,cudaHostAlloc=2" lets each of these fail the first time,
   standin_fail() the next times. The function "copy" is a copy itself, which fails late: its stream's synchronisation says so. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { OK = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, INVALID_DEVICE = 101, INVALID_HANDLE = 400, ILLEGAL_ADDRESS = 700 };
enum { DEVICES = 2, NON_BLOCKING = 1, COPY_DEFAULT = 4, MOST_FAULTS = 16, MOST_BLOCKS = 256 };

struct stream {
    int device;
    int pending;
    int status;
    int ended;
};

struct copy {
    struct copy *next;
    struct stream *stream;
    void *to;
    const void *from;
    size_t size;
    struct timespec due;
    int status;
};

struct fault {
    char function[32];
    int status, times;
};

struct block {
    void *base;
    size_t size;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t queued = PTHREAD_COND_INITIALIZER;
static pthread_cond_t done = PTHREAD_COND_INITIALIZER;
static pthread_once_t started = PTHREAD_ONCE_INIT;
static struct copy *first, **end = &first;
static struct fault faults[MOST_FAULTS];
static struct block pinned[MOST_BLOCKS], on_gpu[MOST_BLOCKS];
static size_t pinned_now, on_gpu_now;
static int streams, allocations, copies[DEVICES], legacy, delay_ms = 20;
static __thread int device, last_error;

static int closed(const void *memory)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512];
    int closed = 0;
    while (maps && fgets(line, sizeof line, maps)) {
        uintptr_t begin, end;
        char may[5];
        if (sscanf(line, "%lx-%lx %4s", &begin, &end, may) == 3 && (uintptr_t)memory - begin < end - begin)
            closed = may[0] == '-';
    }
    if (maps)
        fclose(maps);
    return closed;
}

static void protect(const void *memory, size_t size, int protection)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t begin = (uintptr_t)memory & ~(page - 1);
    mprotect((void *)begin, (uintptr_t)memory + size - begin, protection);
}

static void make(const struct copy *copy)
{
    int to_closed = closed(copy->to), from_closed = closed(copy->from);
    if (to_closed)
        protect(copy->to, copy->size, PROT_READ | PROT_WRITE);
    if (from_closed)
        protect(copy->from, copy->size, PROT_READ);
    memcpy(copy->to, copy->from, copy->size);
    if (to_closed)
        protect(copy->to, copy->size, PROT_NONE);
    if (from_closed)
        protect(copy->from, copy->size, PROT_NONE);
}

/* Makes the copies, late and in their order. */
static void *work(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&lock);
    for (;;) {
        struct copy *copy = first;
        if (!copy) {
            pthread_cond_wait(&queued, &lock);
            continue;
        }
        pthread_mutex_unlock(&lock);
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &copy->due, NULL);
        if (copy->status == OK)
            make(copy);
        pthread_mutex_lock(&lock);
        if (copy->status != OK)
            copy->stream->status = copy->status;
        copy->stream->pending--;
        if (copy->stream->ended && !copy->stream->pending)
            free(copy->stream);
        if (!(first = copy->next))
            end = &first;
        free(copy);
        pthread_cond_broadcast(&done);
    }
    return NULL;
}

static void add_fault(const char *function, int status, int times)
{
    for (int i = 0; i < MOST_FAULTS; i++)
        if (!faults[i].times) {
            snprintf(faults[i].function, sizeof faults[i].function, "%s", function);
            faults[i].status = status;
            faults[i].times = times;
            return;
        }
}

static void start(void)
{
    pthread_t worker;
    const char *delay = getenv("CUDART_DELAY_MS"), *fail = getenv("CUDART_FAIL");
    char function[32];
    int status, read;
    if (delay)
        delay_ms = atoi(delay);
    while (fail && sscanf(fail, "%31[a-zA-Z]=%d%n", function, &status, &read) == 2) {
        add_fault(function, status, 1);
        fail += read;
        fail += *fail == ',';
    }
    pthread_create(&worker, NULL, work, NULL);
    pthread_detach(worker);
}

static int told(int status)
{
    if (status != OK)
        last_error = status;
    return status;
}

/* Takes the lock. What the function is to fail with, if it is. */
static int enter(const char *function)
{
    pthread_once(&started, start);
    pthread_mutex_lock(&lock);
    for (int i = 0; i < MOST_FAULTS; i++)
        if (faults[i].times > 0 && !strcmp(faults[i].function, function)) {
            faults[i].times--;
            return faults[i].status;
        }
    return OK;
}

static int leave(int status)
{
    pthread_mutex_unlock(&lock);
    return told(status);
}

int cudaGetDevice(int *current)
{
    int status = enter("cudaGetDevice");
    *current = device;
    return leave(status);
}

int cudaSetDevice(int wanted)
{
    int status = enter("cudaSetDevice");
    if (status == OK && (wanted < 0 || wanted >= DEVICES))
        status = INVALID_DEVICE;
    if (status == OK)
        device = wanted;
    return leave(status);
}

int cudaStreamCreateWithFlags(struct stream **stream, unsigned flags)
{
    int status = enter("cudaStreamCreateWithFlags");
    if (status == OK && flags != NON_BLOCKING) {
        legacy++;
        status = INVALID_VALUE;
    }
    if (status == OK) {
        *stream = calloc(1, sizeof **stream);
        (*stream)->device = device;
        streams++;
    }
    return leave(status);
}

int cudaStreamSynchronize(struct stream *stream)
{
    int status = enter("cudaStreamSynchronize");
    while (stream->pending)
        pthread_cond_wait(&done, &lock);
    if (status == OK)
        status = stream->status;
    stream->status = OK;
    return leave(status);
}

int cudaStreamDestroy(struct stream *stream)
{
    int status = enter("cudaStreamDestroy");
    /* Its work goes on. */
    stream->ended = 1;
    if (!stream->pending)
        free(stream);
    streams--;
    return leave(status);
}

int cudaMemcpyAsync(void *to, const void *from, size_t size, int kind, struct stream *stream)
{
    int status = enter("cudaMemcpyAsync");
    struct copy *copy;
    if (!stream)
        legacy++;
    if (status == OK && kind != COPY_DEFAULT)
        status = INVALID_VALUE;
    if (status == OK && (!stream || stream->device != device))
        status = INVALID_HANDLE;
    if (status != OK)
        return leave(status);
    copy = calloc(1, sizeof *copy);
    copy->stream = stream;
    copy->to = to;
    copy->from = from;
    copy->size = size;
    clock_gettime(CLOCK_MONOTONIC, &copy->due);
    copy->due.tv_nsec += delay_ms * 1000000L;
    copy->due.tv_sec += copy->due.tv_nsec / 1000000000L;
    copy->due.tv_nsec %= 1000000000L;
    pthread_mutex_unlock(&lock);
    copy->status = enter("copy");
    stream->pending++;
    copies[device]++;
    *end = copy;
    end = &copy->next;
    pthread_cond_signal(&queued);
    return leave(OK);
}

/* Waits in the legacy default stream. */
int cudaMemcpy(void *to, const void *from, size_t size, int kind)
{
    (void)to, (void)from, (void)size, (void)kind;
    enter("cudaMemcpy");
    legacy++;
    return leave(INVALID_VALUE);
}

static int allocate(struct block *blocks, size_t *now, void **memory, size_t size, int protection)
{
    for (int i = 0; i < MOST_BLOCKS; i++)
        if (!blocks[i].base) {
            blocks[i].base = *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            blocks[i].size = size;
            memset(*memory, 0xCC, size);
            mprotect(*memory, size, protection);
            *now += size;
            return OK;
        }
    return OUT_OF_MEMORY;
}

int cudaHostAlloc(void **memory, size_t size, unsigned flags)
{
    int status = enter("cudaHostAlloc");
    (void)flags;
    if (status == OK)
        status = allocate(pinned, &pinned_now, memory, size, PROT_READ | PROT_WRITE);
    if (status == OK)
        allocations++;
    return leave(status);
}

int cudaMalloc(void **memory, size_t size)
{
    int status = enter("cudaMalloc");
    if (status == OK)
        status = allocate(on_gpu, &on_gpu_now, memory, size, PROT_NONE);
    return leave(status);
}

static int overlap(const struct block *block, const void *memory)
{
    return (uintptr_t)memory - (uintptr_t)block->base < block->size;
}

static int release(struct block *blocks, size_t *now, void *memory)
{
    for (int i = 0; i < MOST_BLOCKS; i++)
        if (blocks[i].base == memory) {
            for (struct copy *copy = first; copy; copy = copy->next)
                if (overlap(&blocks[i], copy->to) || overlap(&blocks[i], copy->from)) {
                    fprintf(stderr, "memory is freed under a copy\n");
                    abort();
                }
            munmap(memory, blocks[i].size);
            *now -= blocks[i].size;
            blocks[i].base = NULL;
            return OK;
        }
    return INVALID_VALUE;
}

int cudaFreeHost(void *memory)
{
    int status = enter("cudaFreeHost"), found = release(pinned, &pinned_now, memory);
    return leave(found == OK ? status : found);
}

int cudaFree(void *memory)
{
    int status = enter("cudaFree"), found = release(on_gpu, &on_gpu_now, memory);
    return leave(found == OK ? status : found);
}

int cudaGetLastError(void)
{
    int status = last_error;
    last_error = OK;
    return status;
}

int cudaPeekAtLastError(void)
{
    return last_error;
}

const char *cudaGetErrorString(int status)
{
    switch (status) {
    case OUT_OF_MEMORY: return "out of memory";
    case INVALID_DEVICE: return "invalid device ordinal";
    case INVALID_HANDLE: return "invalid resource handle";
    case ILLEGAL_ADDRESS: return "an illegal memory access was encountered";
    default: return "invalid argument";
    }
}

/* What follows is for tests. */

/* Lets a function, or a "copy", fail so many times. */
void standin_fail(const char *function, int status, int times)
{
    enter("");
    add_fault(function, status, times);
    leave(OK);
}

/* Copies asked for on a device. */
int standin_copies(int of)
{
    return copies[of];
}

/* Uses of the legacy default stream. */
int standin_legacy(void)
{
    return legacy;
}

/* Streams that exist. */
int standin_streams(void)
{
    return streams;
}

/* Calls of cudaHostAlloc that gave memory. */
int standin_allocations(void)
{
    return allocations;
}

/* Bytes of page-locked memory. */
int standin_pinned(void)
{
    return (int)pinned_now;
}

/* Bytes of GPU memory that cudaMalloc gave. */
int standin_on_gpu(void)
{
    return (int)on_gpu_now;
}
