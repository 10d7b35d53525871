// The C++ wrapper hands over memory of a GPU, which is that of tests/cuda/driver.cpp.
#include <drr_train.hpp>

#include "insitu.h"

extern "C" {
// Of the driver that the library opens too.
typedef int (*allocate_function)(unsigned long long *, std::size_t);
typedef int (*upload_function)(unsigned long long, const void *, std::size_t);
}

#include <dlfcn.h>

int main() {
    using namespace drr::train;
    void *driver = dlopen("libcuda.so", RTLD_NOW);
    CHECK(driver != nullptr);
    static int context;
    reinterpret_cast<void (*)(void *)>(dlsym(driver, "fake_cuda_enter"))(&context);
    const auto allocate = reinterpret_cast<allocate_function>(dlsym(driver, "cuMemAlloc_v2"));
    const auto upload = reinterpret_cast<upload_function>(dlsym(driver, "cuMemcpyHtoD_v2"));

    std::vector<float> values(POINTS);
    fill(values.data(), 1.0);
    const std::vector<double> field(values.begin(), values.end());
    unsigned long long there = 0;
    CHECK(allocate(&there, POINTS * sizeof(double)) == 0);
    CHECK(upload(there, field.data(), POINTS * sizeof(double)) == 0);
    Data data{{NX, NY, NZ}};
    data.parameters = {{"time", "s", 0.0, 2.0}};
    Options options;
    options.threads = 1;
    std::vector<double> losses;
    for (const bool is_there : {false, true}) {
        Session session(MODEL, data, options);
        auto block =
            Block::whole(is_there ? reinterpret_cast<const double *>(there) : field.data());
        if (is_there)
            block.on_device();
        CHECK(session.add({1.0}, block) && session.step(5) == 5);
        losses.push_back(session.info().loss);
        CHECK(session.evaluate({1.0}, block).points == POINTS);
        if (!is_there)
            continue;
        try {
            session.add({1.0}, block.borrow());
            CHECK(false); // An error was expected.
        } catch (const Error &error) {
            CHECK(error.status() == DRR_TRAIN_ERROR_INVALID_ARGUMENT);
        }
    }
    CHECK(losses[0] == losses[1]);
    return 0;
}
