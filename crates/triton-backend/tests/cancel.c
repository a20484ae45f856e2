/* The functions that a server has from 2.39 on: whether a client has taken its request back. */
#include <stdbool.h>
#include <stddef.h>

static bool taken_back = false;

void take_back(bool really)
{
    taken_back = really;
}

void *TRITONBACKEND_RequestIsCancelled(void *request, bool *is_cancelled)
{
    *is_cancelled = taken_back;
    return NULL;
}

void *TRITONBACKEND_ResponseFactoryIsCancelled(void *factory, bool *is_cancelled)
{
    *is_cancelled = taken_back;
    return NULL;
}
