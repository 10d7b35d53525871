/// A volume rendering without a voxel grid: rays ask the surrogate itself, values and gradients.
///
///     flags=$(pkg-config --cflags --libs drr libpng)
///     c++ -std=c++17 -O2 -fopenmp raymarch.cpp $flags -o raymarch
///     raymarch FILE PICTURE.png WIDTH PARAMETER...
///
/// Needs a file with three axes; shows its first value. What is near the value's middle in space is
/// clear, what is above is orange, below blue; gradients shade it. Parameters that are left out are
/// in the middle of their ranges. All steps of a row of pixels are one query.

#include <drr.hpp>
#include <png.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using Vector = std::array<double, 3>;

constexpr int STEPS = 160;

Vector operator+(const Vector &a, const Vector &b) {
    return {a[0] + b[0], a[1] + b[1], a[2] + b[2]};
}
Vector operator-(const Vector &a, const Vector &b) {
    return {a[0] - b[0], a[1] - b[1], a[2] - b[2]};
}
Vector operator*(double s, const Vector &a) { return {s * a[0], s * a[1], s * a[2]}; }
double dot(const Vector &a, const Vector &b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }
Vector cross(const Vector &a, const Vector &b) {
    return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}
Vector unit(const Vector &a) { return (1 / std::max(std::sqrt(dot(a, a)), 1e-300)) * a; }

struct Box {
    Vector low, high;
};

/// Where a ray from `eye` is within the box, from the first to the second; nowhere if that is less.
std::array<double, 2> within(const Box &box, const Vector &eye, const Vector &ray) {
    std::array<double, 2> range{0, 1e300};
    for (std::size_t k = 0; k < 3; k++) {
        const double a = (box.low[k] - eye[k]) / ray[k], b = (box.high[k] - eye[k]) / ray[k];
        range = {std::max(range[0], std::min(a, b)), std::min(range[1], std::max(a, b))};
    }
    return range;
}

/// What is seen of a value: its colour, and in [3] its opacity over `length` of the domain's size.
std::array<double, 4> look(double value, double scale, double length) {
    const double strength = std::min(1.0, std::abs(value) / scale);
    const double opacity = 1 - std::exp(-20 * length * strength * strength);
    if (value > 0)
        return {1.0, 0.55, 0.2, opacity};
    return {0.25, 0.45, 0.95, opacity};
}

class Camera {
  public:
    Camera(const Box &box, std::size_t width, std::size_t height) : width_(width), height_(height) {
        const Vector centre = 0.5 * (box.low + box.high), size = box.high - box.low;
        const double length = std::sqrt(dot(size, size));
        forward = unit(Vector{0.55, 0.75, -0.45});
        eye = centre - 1.6 * length * forward;
        right_ = unit(cross(forward, Vector{0, 0, 1}));
        up_ = cross(right_, forward);
    }

    Vector ray(std::size_t x, std::size_t y) const {
        const double scale = 0.8 / static_cast<double>(width_);
        const double u = static_cast<double>(x) + 0.5 - 0.5 * static_cast<double>(width_);
        const double v = 0.5 * static_cast<double>(height_) - static_cast<double>(y) - 0.5;
        return unit(forward + u * scale * right_ + v * scale * up_);
    }

    Vector eye{}, forward{};

  private:
    std::size_t width_, height_;
    Vector right_{}, up_{};
};

/// One row of pixels, front to back; `rgb` receives three bytes each. `value.min` and `max` tell
/// how strong a colour is.
void march(const drr::Sampler &sampler, const drr::Range &value, std::uint32_t outputs,
           const Box &box, const Camera &camera, std::size_t y, std::size_t width,
           unsigned char *rgb) {
    std::vector<Vector> points;
    std::vector<double> steps(width, 0);
    for (std::size_t x = 0; x < width; x++) {
        const Vector ray = camera.ray(x, y);
        const auto [first, last] = within(box, camera.eye, ray);
        if (first >= last)
            continue;
        steps[x] = (last - first) / STEPS;
        for (int n = 0; n < STEPS; n++)
            points.push_back(camera.eye + (first + (n + 0.5) * steps[x]) * ray);
    }
    std::vector<float> values(points.size() * outputs), gradients(3 * values.size());
    sampler.query_gradient(points, values, gradients);

    const Vector size = box.high - box.low;
    const double scale = 0.3 * std::max(std::abs(value.min), std::abs(value.max));
    const double length = std::sqrt(dot(size, size));
    std::size_t point = 0;
    for (std::size_t x = 0; x < width; x++) {
        Vector colour{};
        double clear = 1;
        for (int n = 0; n < STEPS && steps[x] > 0; n++, point++) {
            const float *slope = &gradients[3 * outputs * point];
            const Vector normal = unit({slope[0], slope[1], slope[2]});
            const double light = 0.45 + 0.55 * std::abs(dot(normal, camera.forward));
            const auto [r, g, b, opacity] = look(values[outputs * point], scale, steps[x] / length);
            colour = colour + clear * opacity * light * Vector{r, g, b};
            clear *= 1 - opacity;
        }
        for (std::size_t k = 0; k < 3; k++)
            rgb[3 * x + k] =
                static_cast<unsigned char>(std::lround(255 * std::min(1.0, colour[k] + clear)));
    }
}

void write(const std::string &picture, const std::vector<unsigned char> &rgb, std::size_t width,
           std::size_t height) {
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    image.width = static_cast<png_uint_32>(width);
    image.height = static_cast<png_uint_32>(height);
    image.format = PNG_FORMAT_RGB;
    if (!png_image_write_to_file(&image, picture.c_str(), 0, rgb.data(), 0, nullptr))
        throw std::runtime_error(picture + " cannot be written: " + image.message);
}

void render(const std::string &file, const std::string &picture, std::size_t width,
            std::vector<double> parameters) {
    const auto model = drr::Model::open(file);
    const drr::Info &info = model.info();
    if (info.dims != 3)
        throw std::runtime_error(file + " has " + std::to_string(info.dims) + " axes, expected 3");
    for (auto k = static_cast<std::uint32_t>(parameters.size()); k < info.parameters; k++)
        parameters.push_back((model.parameter(k).min + model.parameter(k).max) / 2);
    const auto sampler = model.sampler(parameters);
    Box box{};
    for (std::uint32_t k = 0; k < 3; k++) {
        box.low[k] = model.axis(k).min;
        box.high[k] = model.axis(k).max;
    }
    const std::size_t height = width * 3 / 4;
    const Camera camera(box, width, height);
    const drr::Range value = model.value(0);
    std::vector<unsigned char> rgb(3 * width * height);
    std::string problem;
#pragma omp parallel for schedule(dynamic)
    for (std::size_t y = 0; y < height; y++) {
        try {
            march(sampler, value, info.outputs, box, camera, y, width, &rgb[3 * width * y]);
        } catch (const std::exception &error) {
            // It must not leave the thread.
#pragma omp critical
            problem = error.what();
        }
    }
    if (!problem.empty())
        throw std::runtime_error(problem);
    write(picture, rgb, width, height);
}

} // namespace

int main(int count, char **arguments) {
    const long width = count > 3 ? std::strtol(arguments[3], nullptr, 10) : 0;
    if (width < 4 || width > 16384) {
        std::cerr << "usage: raymarch FILE PICTURE.png WIDTH PARAMETER...\n";
        return 2;
    }
    try {
        std::vector<double> parameters;
        for (int n = 4; n < count; n++)
            parameters.push_back(std::stod(arguments[n]));
        render(arguments[1], arguments[2], static_cast<std::size_t>(width), parameters);
    } catch (const std::exception &error) {
        std::cerr << "raymarch: " << error.what() << "\n";
        return 1;
    }
}
