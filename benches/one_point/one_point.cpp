// Nanoseconds that a query of one warm point takes from C++.
//
// usage: one_point MODEL CALLS
#include <drr.hpp>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>

int main(int count, char **arguments) {
    using Clock = std::chrono::steady_clock;
    if (count != 3)
        return 1;
    const drr::Model model = drr::Model::open(arguments[1]);
    const drr::Sampler sampler = model.sampler(std::array<double, 2>{0.5, 0.5});
    const long calls = std::atol(arguments[2]);
    std::array<double, 3> point{0.5, 0.5, 0.5};
    std::array<double, 2> values{};
    double sum = 0;
    Clock::time_point start;
    for (long call = -calls / 10; call < calls; call++) {
        if (call == 0)
            start = Clock::now();
        point[0] = static_cast<double>(call & 255) / 256;
        sampler.query(point, values);
        sum += values[0];
    }
    const std::chrono::duration<double, std::nano> time = Clock::now() - start;
    std::printf("%.1f %g\n", time.count() / static_cast<double>(calls), sum);
}
