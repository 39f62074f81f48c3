/* A stand-in for the NVIDIA driver's library, for the functions that eco2ai calls.
 *
 * What it answers stands in the file that $FAKE_NVML names, read anew in each call, a `key value`
 * a line; the last line of a key wins. N is a device's index.
 *   count 2                    number of devices (default 1)
 *   N.uuid, N.name             text
 *   N.power_mw 250000          power draw; absent: not supported
 *   N.limit_mw 400000          enforced power limit
 *   N.energy_mj 123            energy counter; `clock`: N.power_mw x the monotonic clock, in
 *                              steps of 20 ms; absent: not supported
 *   N.compute 12 34            PIDs; also N.graphics, N.mps
 *   N.util, N.memory, N.temperature
 *   error.FUNCTION 18          what nvml<FUNCTION> returns instead; also N.error.FUNCTION
 *   hang.FUNCTION 30           seconds that nvml<FUNCTION> sleeps before it answers
 * Compile with -DLISTS=_v2 for a driver older than 510.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define OK 0
#define INVALID_ARGUMENT 2
#define NOT_SUPPORTED 3
#define INSUFFICIENT_SIZE 7

#ifndef LISTS
#define LISTS _v3
#endif
#define JOIN2(a, b) a##b
#define JOIN(a, b) JOIN2(a, b)

typedef struct { unsigned gpu, memory; } Utilization;
typedef struct { unsigned long long total, free, used; } Memory;
typedef struct { unsigned pid; unsigned long long memory; unsigned gi, ci; } Process;
typedef const int *Device;

static const int devices[16] = {
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

/* Find the value of `key` (of device `n`, or of the machine if n < 0); 0 if there is none. */
static int find(int n, const char *key, char *value, size_t size)
{
    char wanted[128], line[4096];
    const char *path = getenv("FAKE_NVML");
    FILE *file = path ? fopen(path, "r") : NULL;
    int found = 0;

    if (!file)
        return 0;
    if (n < 0)
        snprintf(wanted, sizeof wanted, "%s ", key);
    else
        snprintf(wanted, sizeof wanted, "%d.%s ", n, key);
    while (fgets(line, sizeof line, file))
        if (!strncmp(line, wanted, strlen(wanted))) {
            snprintf(value, size, "%s", line + strlen(wanted));
            value[strcspn(value, "\n")] = 0;
            found = 1;
        }
    fclose(file);
    return found;
}

static int number(int n, const char *key, unsigned long long *value)
{
    char text[64];
    if (!find(n, key, text, sizeof text))
        return NOT_SUPPORTED;
    *value = strtoull(text, NULL, 10);
    return OK;
}

/* Sleep and fail as the scenario says; every function begins with it. */
static int enter(int n, const char *function)
{
    char key[96];
    unsigned long long value;

    snprintf(key, sizeof key, "hang.%s", function);
    if (number(-1, key, &value) == OK) {
        struct timespec pause = {(time_t)value, 0};
        nanosleep(&pause, NULL);
    }
    snprintf(key, sizeof key, "error.%s", function);
    if (number(-1, key, &value) == OK || (n >= 0 && number(n, key, &value) == OK))
        return (int)value;
    return OK;
}

#define ENTER(n, function) \
    do { int error = enter(n, function); if (error) return error; } while (0)

static int narrow(int n, const char *key, unsigned *value)
{
    unsigned long long wide = 0;
    int error = number(n, key, &wide);
    *value = (unsigned)wide;
    return error;
}

int nvmlInitWithFlags(unsigned flags) { (void)flags; ENTER(-1, "Init"); return OK; }
int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
int nvmlShutdown(void) { ENTER(-1, "Shutdown"); return OK; }
const char *nvmlErrorString(int error) { (void)error; return "an error of the stand-in"; }

int nvmlDeviceGetCount_v2(unsigned *count)
{
    ENTER(-1, "DeviceGetCount");
    if (narrow(-1, "count", count))
        *count = 1;
    return OK;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned n, Device *device)
{
    ENTER((int)n, "DeviceGetHandleByIndex");
    if (n >= 16)
        return INVALID_ARGUMENT;
    *device = &devices[n];
    return OK;
}

int nvmlDeviceGetUUID(Device device, char *text, unsigned size)
{
    ENTER(*device, "DeviceGetUUID");
    if (!find(*device, "uuid", text, size))
        snprintf(text, size, "GPU-%08d-0000-0000-0000-000000000000", *device);
    return OK;
}

int nvmlDeviceGetName(Device device, char *text, unsigned size)
{
    ENTER(*device, "DeviceGetName");
    if (!find(*device, "name", text, size))
        snprintf(text, size, "NVIDIA Stand-in");
    return OK;
}

int nvmlDeviceGetPowerUsage(Device device, unsigned *mw)
{
    ENTER(*device, "DeviceGetPowerUsage");
    return narrow(*device, "power_mw", mw);
}

int nvmlDeviceGetEnforcedPowerLimit(Device device, unsigned *mw)
{
    ENTER(*device, "DeviceGetEnforcedPowerLimit");
    return narrow(*device, "limit_mw", mw);
}

int nvmlDeviceGetTotalEnergyConsumption(Device device, unsigned long long *mj)
{
    char text[64];
    struct timespec now;
    unsigned power_mw = 0;

    ENTER(*device, "DeviceGetTotalEnergyConsumption");
    if (!find(*device, "energy_mj", text, sizeof text))
        return NOT_SUPPORTED;
    *mj = strtoull(text, NULL, 10);
    if (!strcmp(text, "clock")) {
        narrow(*device, "power_mw", &power_mw);
        clock_gettime(CLOCK_MONOTONIC, &now);
        *mj = power_mw * (unsigned long long)(now.tv_sec * 50 + now.tv_nsec / 20000000) / 50;
    }
    return OK;
}

int nvmlDeviceGetUtilizationRates(Device device, Utilization *rates)
{
    ENTER(*device, "DeviceGetUtilizationRates");
    rates->memory = 0;
    return narrow(*device, "util", &rates->gpu);
}

int nvmlDeviceGetMemoryInfo(Device device, Memory *memory)
{
    ENTER(*device, "DeviceGetMemoryInfo");
    memory->total = memory->free = 0;
    return number(*device, "memory", &memory->used);
}

int nvmlDeviceGetTemperature(Device device, int sensor, unsigned *celsius)
{
    (void)sensor;
    ENTER(*device, "DeviceGetTemperature");
    return narrow(*device, "temperature", celsius);
}

/* As the driver does: too little room for the list is an error that tells how much is needed. */
static int list(Device device, const char *function, const char *key, unsigned *count, Process *out)
{
    char text[4096] = "", *rest, *word;
    unsigned found = 0, room = *count;

    ENTER(*device, function);
    find(*device, key, text, sizeof text);
    for (word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest), found++)
        if (out && found < room) {
            memset(&out[found], 0, sizeof *out);
            out[found].pid = (unsigned)strtoul(word, NULL, 10);
        }
    *count = found;
    return found > room ? INSUFFICIENT_SIZE : OK;
}

#define PROCESS_LIST(function, key)                                                   \
    int JOIN(nvml##function, LISTS)(Device device, unsigned *count, Process *out)     \
    {                                                                                 \
        return list(device, #function, key, count, out);                              \
    }
PROCESS_LIST(DeviceGetComputeRunningProcesses, "compute")
PROCESS_LIST(DeviceGetGraphicsRunningProcesses, "graphics")
PROCESS_LIST(DeviceGetMPSComputeRunningProcesses, "mps")
