// Models on a GPU in C++. The GPU is that of driver.cpp, whose memory is the host's.
//
// usage: device MODEL
#include <drr.hpp>

#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                   \
            std::exit(1);                                                                          \
        }                                                                                          \
    } while (0)

using Point = std::array<float, 3>;
using Pair = std::array<double, 2>;

static bool is_close(const std::vector<Pair> &found, const std::vector<Pair> &expected) {
    bool close = found.size() == expected.size();
    for (std::size_t i = 0; close && i < found.size(); i++)
        for (int k = 0; k < 2; k++)
            close &=
                std::fabs(found[i][k] - expected[i][k]) <= 1e-5 * (1 + std::fabs(expected[i][k]));
    return close;
}

template <class Call> static drr::Status status_of(const Call &call) {
    try {
        call();
    } catch (const drr::Error &error) {
        return error.status();
    }
    return drr::Status::ok;
}

using Colour = std::array<float, 4>;

static bool is_close(const std::vector<Colour> &found, const std::vector<Colour> &expected) {
    bool close = found.size() == expected.size();
    for (std::size_t i = 0; close && i < found.size(); i++)
        for (std::size_t k = 0; k < 4; k++)
            close &= found[i][k] == expected[i][k] || std::fabs(found[i][k] - expected[i][k]) <=
                                                          1e-3 * (1 + std::fabs(expected[i][k]));
    return close;
}

static drr::Span<float> flat(std::vector<Colour> &colours) {
    return {colours.data()->data(), 4 * colours.size()};
}

// A radiance field: pictures, rays and points.
static void pictures(const std::string &path) {
    constexpr std::uint64_t width = 15, height = 11, pixels = width * height;
    drr::Camera camera;
    camera.to_world = {1, 0, 0, 0, 0, 0, -1, -4, 0, 1, 0, 0};
    camera.focal = {20, 20};
    camera.centre = {width / 2.0, height / 2.0};
    const drr::Model model = drr::Model::open(path);
    const drr::Sampler here = model.sampler({0.5});
    const drr::DeviceModel device_model = model.to_device(0);
    const drr::DeviceSampler there = device_model.sampler({0.5});
    std::vector<Colour> found(pixels), expected(pixels);
    std::vector<float> depth(pixels), scene(pixels, 3.9f);
    there.render(camera, width, height, flat(found), depth, {}, scene);
    here.render(camera, width, height, flat(expected), {}, {}, scene);
    CHECK(is_close(found, expected) && found[pixels / 2][3] > 0.5f);
    CHECK(depth[pixels / 2] > 3 && depth[pixels / 2] <= 3.9f);

    std::vector<Point> points(pixels), directions(pixels);
    for (std::size_t i = 0; i < pixels; i++) {
        points[i] = {i / 200.0f, i * 5 % 77 / 77.0f - 0.5f, i * 9 % 77 / 77.0f};
        directions[i] = {1, i / 100.0f - 1, 0.5f};
    }
    there.render_rays(points, directions, flat(found));
    here.render_rays(points, directions, flat(expected));
    CHECK(is_close(found, expected));
    there.radiance(points, directions, found);
    here.radiance(points, directions, expected);
    CHECK(is_close(found, expected));
    const auto invalid = drr::Status::invalid_argument;
    CHECK(status_of([&] { there.render(camera, width, 1, flat(found)); }) == invalid);
    CHECK(status_of([&] { there.render_rays(points, points, flat(found), scene, {}, depth); }) ==
          drr::Status::ok);
    depth.pop_back();
    CHECK(status_of([&] { there.render_rays(points, points, flat(found), depth); }) == invalid);
}

int main(int count, char **words) {
    CHECK(count == 2 && drr::device_count() == 1);
    pictures(std::string(words[1]) + ".radiance");
    const drr::Model model = drr::Model::open(words[1]);
    drr::DeviceOptions options;
    options.kernel = drr::DeviceKernel::portable;
    drr::DeviceModel there = model.to_device(0, options);
    CHECK(there.info().kernel == "portable" && there.info().memory_bytes > 1000);
    CHECK(there.info().device == "cuda:0 (Fake GPU)" && there.info().ordinal == 0);

    std::vector<Point> points(77);
    for (std::size_t i = 0; i < points.size(); i++)
        points[i] = {i / 77.0f, i * 5 % 77 / 77.0f, i * 9 % 77 / 77.0f};
    std::vector<Pair> found(points.size()), expected(points.size());
    const std::array<double, 2> others{0.1, 0.9};
    drr::DeviceSampler sampler = there.sampler({0.4, 0.6});
    sampler.query(points, found);
    model.sampler({0.4, 0.6}).query(points, expected);
    CHECK(is_close(found, expected));

    sampler.set_parameters(others);
    sampler.query(drr::Span<const Point>(points.data(), points.size()), found);
    const drr::Sampler cpu = model.sampler(others);
    cpu.query(points, expected);
    CHECK(is_close(found, expected));
    std::vector<Pair> host(points.size());
    sampler.query_host(points, host);
    CHECK(is_close(host, expected));
    const std::vector<Pair> rows(points.size(), others);
    std::vector<Pair> each(points.size());
    there.query(rows, points, each);
    CHECK(is_close(each, expected));

    const drr::Lattice lattice{{4, 3, 2}, {0.1, 0.1, 0.1}, {0.2, 0.2, 0.2}};
    std::vector<Pair> volume(24), same(24), wanted(24);
    sampler.query_lattice(lattice, volume);
    sampler.query_lattice_host(lattice, same);
    cpu.query_lattice(lattice, wanted);
    CHECK(is_close(volume, wanted) && is_close(same, wanted));

    // Derivatives: `[points][outputs][dims]`, and of the lattice by parameters alone.
    using Slopes = std::array<std::array<double, 3>, 2>;
    std::vector<Slopes> by_position(points.size()), by_position_cpu(points.size());
    std::vector<Pair> beside(points.size());
    sampler.query_gradient(points, beside, by_position);
    cpu.query_gradient(points, expected, by_position_cpu);
    CHECK(is_close(beside, expected));
    for (std::size_t i = 0; i < points.size(); i++)
        for (std::size_t k = 0; k < 2; k++)
            for (std::size_t d = 0; d < 3; d++)
                CHECK(std::abs(by_position[i][k][d] - by_position_cpu[i][k][d]) < 1e-3);
    std::vector<std::array<Pair, 2>> by_parameter(24), by_parameter_cpu(24);
    sampler.query_lattice_gradient(lattice, {}, {}, by_parameter);
    cpu.query_lattice_gradient(lattice, {}, {}, by_parameter_cpu);
    for (std::size_t i = 0; i < 24; i++)
        for (std::size_t k = 0; k < 2; k++)
            for (std::size_t p = 0; p < 2; p++)
                CHECK(std::abs(by_parameter[i][k][p] - by_parameter_cpu[i][k][p]) < 1e-3);

    // What is wrong is said.
    const auto invalid = drr::Status::invalid_argument;
    CHECK(status_of([&] { sampler.query(points, volume); }) == invalid);
    CHECK(status_of([&] { sampler.query_gradient(points, {}, by_parameter); }) == invalid);
    CHECK(status_of([&] { sampler.set_parameters(drr::Span<const double>(others.data(), 1)); }) ==
          invalid);
    CHECK(status_of([&] { model.to_device(1); }) == drr::Status::no_device);
    drr::SamplerOptions strict;
    strict.outside = drr::Outside::error;
    CHECK(status_of([&] { there.sampler(others, strict); }) == drr::Status::unsupported);
    there.close();
    CHECK(!there && status_of([&] { there.info(); }) == invalid);
    sampler.query(points, found); // keeps its model
    sampler.close();
    CHECK(!sampler && status_of([&] { sampler.query(points, found); }) == invalid);
    return 0;
}
