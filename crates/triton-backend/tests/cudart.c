/* A stand-in for the CUDA runtime on machines without one: "GPU memory" is plain memory. */
#include <string.h>

int cudaMemcpy(void *to, const void *from, size_t size, int kind)
{
    if (kind != 4)
        return 1;
    if (size == 13)
        return 2;
    memcpy(to, from, size);
    return 0;
}

const char *cudaGetErrorString(int status)
{
    return status == 2 ? "unlucky size" : "wrong kind";
}
