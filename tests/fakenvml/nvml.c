/* A stand-in for the NVIDIA driver's library, for the functions that eco2ai calls.
 *
 * What it answers stands in the file that $FAKE_NVML names, read anew in each call, a `key value`
 * a line; the last line of a key wins. N is a device's index.
 *   count 2                    number of devices (default 1)
 *   driver 570.86.10           version of the driver
 *   N.uuid, N.name             text
 *   N.bus                      place on the bus; absent: made up from N
 *   N.architecture 7           as of nvmlDeviceArchitecture_t; absent: not supported
 *   N.power_mw 250000          power draw; absent: not supported
 *   N.limit_mw 400000          enforced and default power limit
 *   N.energy_mj 123            energy counter; `clock`: N.power_mw x the monotonic clock, in
 *                              steps of 20 ms; absent: not supported
 *   N.compute 12 34            PIDs; also N.graphics, N.mps
 *   N.busy 12:40 34:60         PID and percent of the processors; N.busy_us: when, 1 if absent
 *   N.util, N.memory, N.temperature
 *   N.mig 3                    MIG is on, and there are that many slices; N.slices: of how many
 *   N.M.uuid, N.M.name, N.M.slices, N.M.compute …    of the slice M, which is GPU instance M+1
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
#define NOT_FOUND 6
#define INSUFFICIENT_SIZE 7

#ifndef LISTS
#define LISTS _v3
#endif
#define JOIN2(a, b) a##b
#define JOIN(a, b) JOIN2(a, b)

typedef struct { unsigned gpu, memory; } Utilization;
typedef struct { unsigned long long total, free, used; } Memory;
typedef struct { unsigned pid; unsigned long long memory; unsigned gi, ci; } Process;
typedef struct { unsigned pid; unsigned long long at_us; unsigned sm, mem, enc, dec; } Sample;
typedef struct {
    char legacy[16];
    unsigned domain, bus, device, pci_id, subsystem_id;
    char id[32];
} Bus;
typedef struct {
    unsigned processors, copy, decode, encode, jpeg, ofa, gpu_slices, compute_slices;
    unsigned long long memory_mb;
} Attributes;
typedef struct {
    unsigned version, id, p2p, slices, instances, processors, copy, decode, encode, jpeg, ofa;
    unsigned long long memory_mb;
    char name[96];
} Profile;

#define SLICES 8
static const int devices[16 * (1 + SLICES)]; /* what a handle points to says only where it is */
typedef const int *Device;

/* Number a handle: N for a device, 16 + 8 N + M for a slice of it. */
static int of(Device device) { return (int)(device - devices); }

/* Find the value of `key` (of what is numbered `n`, or of the machine if n < 0); 0: there is none. */
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
    else if (n < 16)
        snprintf(wanted, sizeof wanted, "%d.%s ", n, key);
    else
        snprintf(wanted, sizeof wanted, "%d.%d.%s ", (n - 16) / SLICES, (n - 16) % SLICES, key);
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

int nvmlSystemGetDriverVersion(char *text, unsigned size)
{
    ENTER(-1, "SystemGetDriverVersion");
    if (!find(-1, "driver", text, size))
        snprintf(text, size, "570.00");
    return OK;
}

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
    ENTER(of(device), "DeviceGetUUID");
    if (!find(of(device), "uuid", text, size))
        snprintf(text, size, "%s-%08d-0000-0000-0000-000000000000",
                 of(device) < 16 ? "GPU" : "MIG", of(device));
    return OK;
}

int nvmlDeviceGetName(Device device, char *text, unsigned size)
{
    ENTER(of(device), "DeviceGetName");
    if (!find(of(device), "name", text, size))
        snprintf(text, size, "NVIDIA Stand-in");
    return OK;
}

int nvmlDeviceGetPowerUsage(Device device, unsigned *mw)
{
    ENTER(of(device), "DeviceGetPowerUsage");
    return narrow(of(device), "power_mw", mw);
}

int nvmlDeviceGetEnforcedPowerLimit(Device device, unsigned *mw)
{
    ENTER(of(device), "DeviceGetEnforcedPowerLimit");
    return narrow(of(device), "limit_mw", mw);
}

int nvmlDeviceGetTotalEnergyConsumption(Device device, unsigned long long *mj)
{
    char text[64];
    struct timespec now;
    unsigned power_mw = 0;

    ENTER(of(device), "DeviceGetTotalEnergyConsumption");
    if (!find(of(device), "energy_mj", text, sizeof text))
        return NOT_SUPPORTED;
    *mj = strtoull(text, NULL, 10);
    if (!strcmp(text, "clock")) {
        narrow(of(device), "power_mw", &power_mw);
        clock_gettime(CLOCK_MONOTONIC, &now);
        *mj = power_mw * (unsigned long long)(now.tv_sec * 50 + now.tv_nsec / 20000000) / 50;
    }
    return OK;
}

int nvmlDeviceGetPowerManagementDefaultLimit(Device device, unsigned *mw)
{
    ENTER(of(device), "DeviceGetPowerManagementDefaultLimit");
    return narrow(of(device), "limit_mw", mw);
}

int nvmlDeviceGetArchitecture(Device device, unsigned *architecture)
{
    ENTER(of(device), "DeviceGetArchitecture");
    return narrow(of(device), "architecture", architecture);
}

int nvmlDeviceGetPciInfo_v3(Device device, Bus *bus)
{
    ENTER(of(device), "DeviceGetPciInfo");
    memset(bus, 0, sizeof *bus);
    if (!find(of(device), "bus", bus->id, sizeof bus->id))
        snprintf(bus->id, sizeof bus->id, "00000000:%02X:00.0", of(device) + 1);
    return OK;
}

int nvmlDeviceGetMigMode(Device device, unsigned *now, unsigned *next)
{
    ENTER(of(device), "DeviceGetMigMode");
    *next = narrow(of(device), "mig", now) == OK;
    if (!*next)
        return NOT_SUPPORTED;
    *now = 1;
    return OK;
}

int nvmlDeviceGetMaxMigDeviceCount(Device device, unsigned *count)
{
    ENTER(of(device), "DeviceGetMaxMigDeviceCount");
    *count = SLICES - 1; /* as the driver does: what would go, not what is there */
    return OK;
}

int nvmlDeviceGetMigDeviceHandleByIndex(Device device, unsigned m, Device *slice)
{
    unsigned count = 0;

    ENTER(of(device), "DeviceGetMigDeviceHandleByIndex");
    narrow(of(device), "mig", &count);
    if (m >= count)
        return NOT_FOUND;
    *slice = &devices[16 + SLICES * of(device) + m];
    return OK;
}

int nvmlDeviceGetGpuInstanceId(Device slice, unsigned *id)
{
    ENTER(of(slice), "DeviceGetGpuInstanceId");
    *id = (of(slice) - 16) % SLICES + 1;
    return OK;
}

int nvmlDeviceGetComputeInstanceId(Device slice, unsigned *id)
{
    ENTER(of(slice), "DeviceGetComputeInstanceId");
    *id = 0;
    return OK;
}

int nvmlDeviceGetAttributes_v2(Device slice, Attributes *attributes)
{
    int error;

    ENTER(of(slice), "DeviceGetAttributes");
    memset(attributes, 0, sizeof *attributes);
    error = narrow(of(slice), "slices", &attributes->gpu_slices);
    attributes->compute_slices = attributes->gpu_slices;
    return error;
}

/* The profile of a slice as large as the device: number 4 has 7 slices, number 3 has 4. */
int nvmlDeviceGetGpuInstanceProfileInfoV(Device device, unsigned number, Profile *profile)
{
    unsigned slices = 7;

    ENTER(of(device), "DeviceGetGpuInstanceProfileInfo");
    narrow(of(device), "slices", &slices);
    if (number > 4 || slices < (number == 4 ? 7u : number + 1))
        return NOT_SUPPORTED;
    profile->slices = number == 4 ? 7 : number + 1;
    return OK;
}

int nvmlDeviceGetUtilizationRates(Device device, Utilization *rates)
{
    ENTER(of(device), "DeviceGetUtilizationRates");
    rates->memory = 0;
    return narrow(of(device), "util", &rates->gpu);
}

int nvmlDeviceGetMemoryInfo(Device device, Memory *memory)
{
    ENTER(of(device), "DeviceGetMemoryInfo");
    memory->total = memory->free = 0;
    return number(of(device), "memory", &memory->used);
}

int nvmlDeviceGetTemperature(Device device, int sensor, unsigned *celsius)
{
    (void)sensor;
    ENTER(of(device), "DeviceGetTemperature");
    return narrow(of(device), "temperature", celsius);
}

/* As the driver does: too little room for the list is an error that tells how much is needed. */
static int list(Device device, const char *function, const char *key, unsigned *count, Process *out)
{
    char text[4096] = "", *rest, *word;
    unsigned found = 0, room = *count;

    ENTER(of(device), function);
    find(of(device), key, text, sizeof text);
    for (word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest), found++)
        if (out && found < room) {
            memset(&out[found], 0, sizeof *out);
            out[found].pid = (unsigned)strtoul(word, NULL, 10);
        }
    *count = found;
    return found > room ? INSUFFICIENT_SIZE : OK;
}

int nvmlDeviceGetProcessUtilization(
    Device device, Sample *out, unsigned *count, unsigned long long since_us)
{
    char text[4096] = "", *rest, *word;
    unsigned found = 0, room = out ? *count : 0;
    unsigned long long at_us = 1;

    ENTER(of(device), "DeviceGetProcessUtilization");
    number(of(device), "busy_us", &at_us);
    find(of(device), "busy", text, sizeof text);
    for (word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest), found++)
        if (found < room) {
            memset(&out[found], 0, sizeof *out);
            out[found].pid = (unsigned)strtoul(word, &word, 10);
            out[found].sm = *word == ':' ? (unsigned)strtoul(word + 1, NULL, 10) : 0;
            out[found].at_us = at_us;
        }
    if (!found || at_us <= since_us)
        return NOT_FOUND;
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
