/* A stand-in for the CUDA runtime on machines without one. "GPU memory" is pages that nobody may touch (fake_host/gpu.rs); a
   copy opens them for as long as it takes. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int is_closed(const void *memory)
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

int cudaMemcpy(void *to, const void *from, size_t size, int kind)
{
    int to_closed = is_closed(to), from_closed = is_closed(from);
    if (kind != 4)
        return 1;
    if (size == 13)
        return 2;
    if (to_closed)
        protect(to, size, PROT_READ | PROT_WRITE);
    if (from_closed)
        protect(from, size, PROT_READ);
    memcpy(to, from, size);
    if (to_closed)
        protect(to, size, PROT_NONE);
    if (from_closed)
        protect(from, size, PROT_NONE);
    return 0;
}

const char *cudaGetErrorString(int status)
{
    return status == 2 ? "unlucky size" : "wrong kind";
}
