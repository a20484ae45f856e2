/* The server's functions for metrics: what is shown is what a test can ask for. */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { COUNTER, GAUGE, HISTOGRAM };
enum { INTERNAL = 1, UNSUPPORTED = 5 };
enum { LONGEST = 512, MOST = 256 };

typedef struct { char name[LONGEST]; int kind; int members; } family;
typedef struct { char key[LONGEST]; double value; int observed; int users; } shown;
typedef struct { family *family; shown *shown; } metric;
typedef struct { char name[LONGEST]; char value[LONGEST]; } parameter;
typedef struct { double buckets[MOST]; uint64_t count; } arguments;

static shown all[MOST];
static int families, metrics, parameters, args;
static bool disabled;
static void *(*new_error)(int, const char *);
static void (*delete_error)(void *);

void standin_errors(void *(*create)(int, const char *), void (*destroy)(void *))
{
    new_error = create;
    delete_error = destroy;
}

void standin_disable(bool really) { disabled = really; }

/* Families, metrics, labels and arguments that exist. */
int standin_live(int what)
{
    int live[] = { families, metrics, parameters, args };
    return live[what];
}

static shown *find(const char *key)
{
    for (int i = 0; i < MOST; i++)
        if (all[i].users > 0 && strcmp(all[i].key, key) == 0) return &all[i];
    return NULL;
}

/* What is shown under "name{label=value,...}"; of a histogram the sum. NaN if nothing is. */
double standin_value(const char *key)
{
    shown *found = find(key);
    return found ? found->value : NAN;
}

int standin_observed(const char *key)
{
    shown *found = find(key);
    return found ? found->observed : -1;
}

void TRITONSERVER_ErrorDelete(void *error) { delete_error(error); }

void *TRITONSERVER_MetricFamilyNew(family **out, int kind, const char *name, const char *help)
{
    if (disabled) return new_error(UNSUPPORTED, "metrics not supported");
    family *made = calloc(1, sizeof *made);
    strncpy(made->name, name, LONGEST - 1);
    made->kind = kind;
    families++;
    *out = made;
    return NULL;
}

void *TRITONSERVER_MetricFamilyDelete(family *family)
{
    if (family->members > 0) return new_error(INTERNAL, "members are left");
    free(family);
    families--;
    return NULL;
}

parameter *TRITONSERVER_ParameterNew(const char *name, int type, const void *value)
{
    if (type != 0) return NULL;
    parameter *made = calloc(1, sizeof *made);
    strncpy(made->name, name, LONGEST - 1);
    strncpy(made->value, value, LONGEST - 1);
    parameters++;
    return made;
}

void TRITONSERVER_ParameterDelete(parameter *parameter)
{
    free(parameter);
    parameters--;
}

void *TRITONSERVER_MetricArgsNew(arguments **out)
{
    *out = calloc(1, sizeof **out);
    args++;
    return NULL;
}

void *TRITONSERVER_MetricArgsSetHistogram(arguments *arguments, const double *buckets, uint64_t count)
{
    memcpy(arguments->buckets, buckets, count * sizeof *buckets);
    arguments->count = count;
    return NULL;
}

void *TRITONSERVER_MetricArgsDelete(arguments *arguments)
{
    free(arguments);
    args--;
    return NULL;
}

void *TRITONSERVER_MetricNewWithArgs(
    metric **out, family *family, const parameter **labels, uint64_t count, const arguments *arguments)
{
    if ((family->kind == HISTOGRAM) != (arguments != NULL)) return new_error(INTERNAL, "these are no arguments of the kind");
    char key[LONGEST] = "";
    strncat(key, family->name, LONGEST / 4);
    for (uint64_t i = 0; i < count; i++) {
        strcat(key, i == 0 ? "{" : ",");
        strncat(key, labels[i]->name, 64);
        strcat(key, "=");
        strncat(key, labels[i]->value, 64);
    }
    strcat(key, "}");
    metric *made = calloc(1, sizeof *made);
    made->family = family;
    made->shown = find(key);
    for (int i = 0; !made->shown && i < MOST; i++)
        if (all[i].users == 0) {
            made->shown = &all[i];
            strcpy(all[i].key, key);
            all[i].value = 0;
            all[i].observed = 0;
        }
    made->shown->users++;
    family->members++;
    metrics++;
    *out = made;
    return NULL;
}

void *TRITONSERVER_MetricNew(metric **out, family *family, const parameter **labels, uint64_t count)
{
    return TRITONSERVER_MetricNewWithArgs(out, family, labels, count, NULL);
}

void *TRITONSERVER_MetricDelete(metric *metric)
{
    metric->family->members--;
    metric->shown->users--;
    free(metric);
    metrics--;
    return NULL;
}

void *TRITONSERVER_MetricIncrement(metric *metric, double value)
{
    if (metric->family->kind == COUNTER && value < 0) return new_error(INTERNAL, "a counter only grows");
    metric->shown->value += value;
    return NULL;
}

void *TRITONSERVER_MetricObserve(metric *metric, double value)
{
    metric->shown->value += value;
    metric->shown->observed++;
    return NULL;
}
