// A libcuda for tests: one GPU whose memory and kernels are the host's. Counts what is given out,
// so that a program can see whether all came back.
//
//     FAKE_CUDA_FAIL=cuMemAlloc:2:2   call number 2 of cuMemAlloc gives error 2
//     FAKE_CUDA_DEVICES=0             no GPU
//     FAKE_CUDA_CAPABILITY=52         an old one
//     FAKE_CUDA_POOL=1                memory is in no context, as that of pools
#include "host.cpp"

#include <map>
#include <set>
#include <string>

typedef int Result;
typedef struct Context *ContextHandle;

namespace {

enum { OK = 0, INVALID_VALUE = 1, NO_DEVICE = 100, INVALID_CONTEXT = 201, NOT_FOUND = 500 };

int number(const char *name, int otherwise) {
    const char *text = std::getenv(name);
    return text ? std::atoi(text) : otherwise;
}

// The error that this call is to give, if any.
Result fault(const char *function) {
    static std::map<std::string, int> calls;
    const int call = ++calls[function];
    const char *wanted = std::getenv("FAKE_CUDA_FAIL");
    char name[64];
    int at = 0, error = 0;
    if (wanted && std::sscanf(wanted, "%63[^:]:%d:%d", name, &at, &error) == 3 &&
        std::string(name) == function && at == call)
        return error;
    return OK;
}

#define CALL                                                                                       \
    if (const Result error = fault(__func__))                                                      \
    return error

std::vector<ContextHandle> contexts;
int retained = 0, modules = 0, streams = 0;
std::map<unsigned long long, std::unique_ptr<char[]>> memory;
std::map<unsigned long long, size_t> sizes;
std::set<unsigned long long> pinned;
// The context of the last allocation.
ContextHandle owner = nullptr;

ContextHandle primary() { return reinterpret_cast<ContextHandle>(&retained); }

// Memory and kernels need a context.
Result current() { return contexts.empty() || !contexts.back() ? INVALID_CONTEXT : OK; }

#define NEEDS_CONTEXT                                                                              \
    CALL;                                                                                          \
    if (const Result error = current())                                                            \
    return error

} // namespace

extern "C" {

// For the program that tests: how many modules are loaded.
int fake_cuda_modules() { return modules; }

// For the program that tests: nothing is left, and the context is its own.
int fake_cuda_is_clean(void *expected) {
    void *found = contexts.empty() ? nullptr : contexts.back();
    return memory.empty() && retained == 0 && modules == 0 && streams == 0 && found == expected;
}

// A context of the program's.
void fake_cuda_enter(void *context) { contexts.assign(1, static_cast<ContextHandle>(context)); }

Result cuInit(unsigned) {
    CALL;
    return OK;
}
Result cuDeviceGetCount(int *count) {
    CALL;
    *count = number("FAKE_CUDA_DEVICES", 1);
    return OK;
}
Result cuDeviceGet(int *device, int ordinal) {
    CALL;
    *device = ordinal + 7; // devices are no ordinals
    return OK;
}
Result cuDeviceGetName(char *name, int length, int) {
    CALL;
    std::snprintf(name, length, "Fake GPU");
    return OK;
}
Result cuDeviceGetAttribute(int *value, int attribute, int) {
    CALL;
    const int capability = number("FAKE_CUDA_CAPABILITY", 80);
    switch (attribute) {
    case 75:
        *value = capability / 10;
        return OK;
    case 76:
        *value = capability % 10;
        return OK;
    case 97:
        *value = 99 << 10;
        return OK;
    case 16:
        *value = 2;
        return OK;
    default:
        return INVALID_VALUE;
    }
}
Result cuDevicePrimaryCtxRetain(ContextHandle *context, int) {
    CALL;
    retained++;
    *context = primary();
    return OK;
}
Result cuDevicePrimaryCtxRelease_v2(int) {
    retained--;
    return OK;
}
Result cuCtxPushCurrent_v2(ContextHandle context) {
    CALL;
    contexts.push_back(context);
    return OK;
}
Result cuCtxPopCurrent_v2(ContextHandle *context) {
    CALL;
    if (contexts.empty())
        return INVALID_CONTEXT;
    *context = contexts.back();
    contexts.pop_back();
    return OK;
}
Result cuCtxGetDevice(int *device) {
    NEEDS_CONTEXT;
    *device = 7;
    return OK;
}
Result cuModuleLoadData(void **module, const void *image) {
    NEEDS_CONTEXT;
    if (!std::strstr(static_cast<const char *>(image), ".entry drr_"))
        return INVALID_VALUE;
    modules++;
    *module = &modules;
    return OK;
}
Result cuModuleUnload(void *) {
    NEEDS_CONTEXT;
    modules--;
    return OK;
}
Result cuModuleGetFunction(void **function, void *, const char *name) {
    NEEDS_CONTEXT;
    const std::string wanted = name;
    long number = 0;
    const char *const names[] = {"drr_bind",       "drr_query",      "drr_tensor_64",
                                 "drr_tensor_128", "drr_tensor_256", "drr_gradient",
                                 "drr_radiance",   "drr_render"};
    for (long n = 0; n < 8; n++)
        number = wanted == names[n] ? n + 1 : number;
    *function = reinterpret_cast<void *>(number);
    return *function ? OK : NOT_FOUND;
}
Result cuFuncSetAttribute(void *, int, int) {
    NEEDS_CONTEXT;
    return OK;
}
Result cuMemAlloc_v2(unsigned long long *address, size_t bytes) {
    NEEDS_CONTEXT;
    auto block = std::make_unique<char[]>(bytes);
    std::memset(block.get(), 0xff, bytes);
    *address = reinterpret_cast<unsigned long long>(block.get());
    memory[*address] = std::move(block);
    sizes[*address] = bytes;
    owner = contexts.back();
    return OK;
}
Result cuMemFree_v2(unsigned long long address) {
    NEEDS_CONTEXT;
    pinned.erase(address);
    return memory.erase(address) == 1 ? OK : INVALID_VALUE;
}
Result cuMemcpyHtoD_v2(unsigned long long to, const void *from, size_t bytes) {
    NEEDS_CONTEXT;
    std::memcpy(reinterpret_cast<void *>(to), from, bytes);
    return OK;
}
Result cuMemcpyDtoH_v2(void *to, unsigned long long from, size_t bytes) {
    NEEDS_CONTEXT;
    std::memcpy(to, reinterpret_cast<const void *>(from), bytes);
    return OK;
}
// Memory of the last allocation that begins at or before an address.
static std::pair<unsigned long long, size_t> allocation(unsigned long long address) {
    auto found = memory.upper_bound(address);
    if (found == memory.begin())
        return {0, 0};
    --found;
    const size_t bytes = sizes[found->first];
    return address < found->first + bytes ? std::make_pair(found->first, bytes)
                                          : std::make_pair(0ull, size_t(0));
}
Result cuPointerGetAttribute(void *value, int attribute, unsigned long long address) {
    CALL;
    const auto found = allocation(address);
    if (found.second == 0)
        return INVALID_VALUE;
    if (attribute == 1) // The context; that of pools is none.
        *static_cast<ContextHandle *>(value) = number("FAKE_CUDA_POOL", 0) ? nullptr : owner;
    else if (attribute == 2) // The kind of memory: the host's, or a device's.
        *static_cast<unsigned *>(value) = pinned.count(found.first) ? 1 : 2;
    else if (attribute == 9) // The device's number.
        *static_cast<int *>(value) = 0;
    else
        return INVALID_VALUE;
    return OK;
}
Result cuMemGetAddressRange_v2(unsigned long long *start, size_t *bytes,
                               unsigned long long address) {
    NEEDS_CONTEXT;
    const auto found = allocation(address);
    *start = found.first;
    *bytes = found.second;
    return found.second ? OK : NOT_FOUND;
}
Result cuMemHostAlloc(void **start, size_t bytes, unsigned) {
    unsigned long long address = 0;
    NEEDS_CONTEXT;
    const Result result = cuMemAlloc_v2(&address, bytes);
    if (result == OK)
        pinned.insert(address);
    *start = reinterpret_cast<void *>(address);
    return result;
}
Result cuMemFreeHost(void *start) {
    return cuMemFree_v2(reinterpret_cast<unsigned long long>(start));
}
Result cuStreamCreate(void **stream, unsigned) {
    NEEDS_CONTEXT;
    streams++;
    *stream = &streams;
    return OK;
}
Result cuStreamDestroy_v2(void *) {
    NEEDS_CONTEXT;
    streams--;
    return OK;
}
Result cuMemcpyHtoDAsync_v2(unsigned long long to, const void *from, size_t bytes, void *) {
    NEEDS_CONTEXT;
    return cuMemcpyHtoD_v2(to, from, bytes);
}
Result cuMemcpyDtoHAsync_v2(void *to, unsigned long long from, size_t bytes, void *) {
    NEEDS_CONTEXT;
    return cuMemcpyDtoH_v2(to, from, bytes);
}
Result cuStreamSynchronize(void *) {
    NEEDS_CONTEXT;
    return OK;
}
Result cuLaunchKernel(void *function, unsigned blocks, unsigned, unsigned, unsigned threads,
                      unsigned, unsigned, unsigned shared, void *, void **arguments, void **) {
    NEEDS_CONTEXT;
    const long number = reinterpret_cast<long>(function);
    if (number == 1)
        drr_host_bind(static_cast<const drr::Bind *>(arguments[0]), threads);
    else if (number == 6)
        drr_host_gradient(static_cast<const drr::Gradient *>(arguments[0]), blocks, threads,
                          shared);
    else if (number == 7)
        drr_host_radiance(static_cast<const drr::Radiance *>(arguments[0]), blocks, threads,
                          shared);
    else if (number == 8)
        drr_host_render(static_cast<const drr::Render *>(arguments[0]), blocks, threads, shared);
    else
        drr_host_query(unsigned(number - 2), static_cast<const drr::Query *>(arguments[0]), blocks,
                       threads, shared);
    return OK;
}
Result cuGetErrorString(Result error, const char **text) {
    *text = error == 2 ? "out of memory" : "fake error";
    return OK;
}
}
