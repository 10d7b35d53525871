/// drr for C++17: query a baked neural-field surrogate of a simulation ensemble.
///
///     const auto model = drr::Model::open("field.drr.safetensors");
///     const auto sampler = model.sampler({0.3, 1.2}); // simulation parameters
///     std::vector<double> points(3 * n), values(n);   // x y z x y z ...
///     sampler.query(points, values);
///
/// Header only, over the C interface in drr.h: link with libdrr.
///
/// Arrays are the caller's: nothing is copied, and a call that succeeds allocates nothing but what
/// the library keeps per thread. An array without gaps is passed as it is: `std::vector`,
/// `std::array`, `std::span`, a C array, `drr::Span(pointer, size)`, of numbers or of
/// `std::array<double, 3>`. Its size is checked. Everything else is said by `Points::separate` and
/// the functions named `strided`, in bytes, which trust their caller.
///
/// Failures throw `drr::Error`. With DRR_NO_EXCEPTIONS defined, what can fail returns a
/// `drr::Result` instead (`Fallible<T>` below is `T` or `Result<T>`); both kinds of translation
/// units can be linked together.
///
/// Threads: `const` functions may be called from any number of threads at once. Moving, closing and
/// destroying need the object alone.

#ifndef DRR_HPP
#define DRR_HPP

#include <drr.h>

#include <array>
#include <cassert>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <limits>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#if !defined(DRR_NO_EXCEPTIONS) && !defined(__cpp_exceptions)
#error "drr.hpp: exceptions are disabled, define DRR_NO_EXCEPTIONS to get results instead"
#endif

namespace drr {

// Two names, since functions that differ in their result alone would be the same to a linker.
#ifdef DRR_NO_EXCEPTIONS
inline namespace with_results {
#else
inline namespace with_exceptions {
#endif

/// What kind of failure. Numbers are those of `drr_status`.
enum class Status : std::uint32_t {
    ok = DRR_OK,
    /// An argument is of the wrong size, out of its range, or an object that was moved or closed.
    invalid_argument = DRR_ERROR_INVALID_ARGUMENT,
    /// The operating system refused: no such file, no permission, ...
    io = DRR_ERROR_IO,
    /// Not a valid baked model: truncated, damaged or inconsistent.
    format = DRR_ERROR_FORMAT,
    /// A baked model of a version that the library does not know.
    version = DRR_ERROR_VERSION,
    /// A point or parameter lies outside, and `Outside::error` was asked for.
    outside_domain = DRR_ERROR_OUTSIDE_DOMAIN,
    /// This machine or build lacks what was asked for.
    unsupported = DRR_ERROR_UNSUPPORTED,
    /// Memory could not be had.
    out_of_memory = DRR_ERROR_OUT_OF_MEMORY,
    /// There is no such device, or no driver for one.
    no_device = DRR_ERROR_NO_DEVICE,
    /// A device or its driver failed.
    device = DRR_ERROR_DEVICE,
    /// A bug in drr; please report it.
    internal = DRR_ERROR_INTERNAL,
};

/// Name of a status, for instance `DRR_ERROR_IO`. Static.
inline const char *status_name(Status status) noexcept {
    return drr_status_name(static_cast<std::uint32_t>(status));
}

/// Version of the loaded library, `MAJOR.MINOR.PATCH`. Static.
inline const char *version() noexcept { return drr_version(); }

/// Why a call failed. `what()` says what was given and what was expected, in UTF-8.
class Error : public std::runtime_error {
  public:
    Error(Status status, const std::string &message, int os_error = 0)
        : std::runtime_error(message), status_(status), os_error_(os_error) {}

    Status status() const noexcept { return status_; }

    /// The operating system's number for what it refused: `errno`, or what `GetLastError` gives on
    /// Windows. 0 if it had no part in the failure.
    int os_error() const noexcept { return os_error_; }

  private:
    Status status_;
    int os_error_;
};

/// A value or the reason why there is none, as `std::expected` has it.
template <class T> class [[nodiscard]] Result {
  public:
    Result(T &&value) : content_(std::in_place_index<0>, std::move(value)) {}
    Result(Error error) : content_(std::in_place_index<1>, std::move(error)) {}

    bool has_value() const noexcept { return content_.index() == 0; }
    explicit operator bool() const noexcept { return has_value(); }
    Status status() const noexcept { return has_value() ? Status::ok : error().status(); }

    /// The value. There must be one.
    T &operator*() &noexcept { return *get(); }
    const T &operator*() const &noexcept { return *get(); }
    T &&operator*() &&noexcept { return std::move(*get()); }
    T *operator->() noexcept { return get(); }
    const T *operator->() const noexcept { return get(); }

    /// The reason. There must be one.
    const Error &error() const noexcept {
        assert(!has_value());
        return *std::get_if<1>(&content_);
    }

  private:
    T *get() noexcept {
        assert(has_value());
        return std::get_if<0>(&content_);
    }
    const T *get() const noexcept {
        assert(has_value());
        return std::get_if<0>(&content_);
    }

    std::variant<T, Error> content_;
};

/// Success or the reason of a failure.
template <> class [[nodiscard]] Result<void> {
  public:
    Result() = default;
    Result(Error error) : error_(std::move(error)) {}

    bool has_value() const noexcept { return !error_; }
    explicit operator bool() const noexcept { return has_value(); }
    Status status() const noexcept { return error_ ? error_->status() : Status::ok; }

    /// The reason. There must be one.
    const Error &error() const noexcept {
        assert(error_);
        return *error_;
    }

  private:
    std::optional<Error> error_;
};

/// What a function returns that can fail.
#ifdef DRR_NO_EXCEPTIONS
template <class T> using Fallible = Result<T>;
#else
template <class T> using Fallible = T;
#endif

/// A 16-bit floating-point number (IEEE 754 binary16), for results only.
struct Half {
    std::uint16_t bits;

    /// The same number in 32 bits, which hold every half exactly.
    explicit operator float() const noexcept {
        const int exponent = bits >> 10 & 31;
        const auto fraction = static_cast<float>(bits & 1023);
        float magnitude = std::numeric_limits<float>::infinity();
        if (exponent == 0)
            magnitude = std::ldexp(fraction, -24);
        else if (exponent < 31)
            magnitude = std::ldexp(fraction + 1024, exponent - 25);
        else if (fraction > 0)
            magnitude = std::numeric_limits<float>::quiet_NaN();
        return bits >> 15 ? -magnitude : magnitude;
    }
};
static_assert(sizeof(Half) == 2);

/// Where an open file's bytes live.
enum class Storage : std::uint32_t {
    /// Mapped and shared with other processes. The file must not be truncated or rewritten in
    /// place while it is open; replacing it by rename is fine.
    mapped = DRR_STORAGE_MAPPED,
    /// Read into private memory.
    copied = DRR_STORAGE_COPIED,
    /// Read into private memory in huge pages where the system has them to give: faster for points
    /// in random order on large grids.
    huge_pages = DRR_STORAGE_HUGE_PAGES,
};

/// Whether numbers are compared with their checksums when a file is opened.
enum class Checksums : std::uint32_t {
    /// Read the whole file once; refuse it if a bit is wrong.
    verify = DRR_CHECKSUMS_VERIFY,
    /// Trust the numbers: opening does not touch the grids.
    skip = DRR_CHECKSUMS_SKIP,
};

/// What coordinates, parameters and results are measured in.
enum class Units : std::uint32_t {
    /// The file's physical units.
    physical = DRR_UNITS_PHYSICAL,
    /// Coordinates in [-1, 1], parameters in [0, 1], results before de-normalisation.
    normalized = DRR_UNITS_NORMALIZED,
};

/// What a point or parameter outside its range gives. NaN always gives NaN.
enum class Outside : std::uint32_t {
    /// The value at the nearest point of the border.
    clamp = DRR_OUTSIDE_CLAMP,
    /// Vertex features outside are zero and fade out within one cell. For points only.
    zeros = DRR_OUTSIDE_ZEROS,
    /// NaN.
    nan = DRR_OUTSIDE_NAN,
    /// `Status::outside_domain`; nothing is written.
    error = DRR_OUTSIDE_ERROR,
};

/// How the values of a field were spread for training between `min` and `max`.
enum class Transform : std::uint32_t {
    /// Evenly: errors are alike everywhere.
    linear = DRR_TRANSFORM_LINEAR,
    /// By their logarithms: relative errors are alike everywhere.
    log = DRR_TRANSFORM_LOG,
};

/// What is written for each pixel of a radiance field.
enum class RenderOutput : std::uint32_t {
    /// Colours multiplied by opacity, and opacity: to be put over something.
    premultiplied = DRR_RADIANCE_PREMULTIPLIED,
    /// Colours over the background, and 1.
    opaque = DRR_RADIANCE_OPAQUE,
};

/// How the distance of something from a camera is measured.
enum class Depth : std::uint32_t {
    /// Along the ray, from the camera.
    along_ray = DRR_DEPTH_ALONG_RAY,
    /// Along the camera's axis: how far in front of the camera's plane.
    along_axis = DRR_DEPTH_ALONG_AXIS,
};

/// How a file is opened.
struct OpenOptions {
    Storage storage = Storage::mapped;
    Checksums checksums = Checksums::verify;
    /// Threads that a query may use: 0 or 1 for the caller's alone, more (at most 1024) for a
    /// private pool.
    std::uint32_t threads = 0;
};

/// How questions are answered.
struct SamplerOptions {
    /// Of points, parameters, values and derivatives.
    Units units = Units::physical;
    /// For points.
    Outside outside = Outside::clamp;
    /// For parameters; not `Outside::zeros`.
    Outside outside_parameters = Outside::clamp;
};

/// What a model is. The texts are UTF-8, valid until the model is closed.
struct Info {
    /// Coordinates per point, 1 to 3.
    std::uint32_t dims = 0;
    /// Simulation parameters per sampler.
    std::uint32_t parameters = 0;
    /// Values per point.
    std::uint32_t outputs = 0;
    /// Size of the file in bytes.
    std::uint64_t file_bytes = 0;
    /// Memory that the open model takes in bytes, the file included (mapped pages are shared).
    std::uint64_t memory_bytes = 0;
    /// Name of the kernel in use: `avx2`, `neon`, ...
    std::string_view kernel;
    /// The whole description as JSON (see docs/format.md).
    std::string_view spec_json;
    /// Whether it is a radiance field, which `Sampler::render` makes pictures of.
    bool is_radiance = false;
};

/// A pinhole camera. Its own axes: x right, y up, and it looks along -z, as in OpenGL and NeRF.
struct Camera {
    /// From the camera's coordinates to the model's: three rows of four numbers, a rotation in the
    /// first three columns, the camera's position in the last.
    std::array<double, 12> to_world{1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0};
    /// Focal lengths in pixels, horizontal and vertical; positive.
    std::array<double, 2> focal{};
    /// Where the camera's axis meets the picture, in pixels from its upper left corner.
    std::array<double, 2> centre{};
};

/// How a picture is made.
struct RenderOptions {
    RenderOutput output = RenderOutput::premultiplied;
    /// Of `scene_depth` and of the depths that are written.
    Depth depth = Depth::along_ray;
    /// Distance of samples along a ray; 0: the one that the model was trained with.
    double step = 0;
    /// Where rays begin and end, along the ray; 0 as `ray_end` is never.
    double ray_begin = 0, ray_end = 0;
    /// A ray ends when less than this part of the light passes; 0: 1e-4.
    double stop = 0;
    /// Red, green, blue of what is behind, for `RenderOutput::opaque`.
    std::array<double, 3> background{};
};

/// One axis, parameter or value of a model. The texts are UTF-8, valid until the model is closed.
struct Range {
    /// Name, for instance `x`.
    std::string_view name;
    /// Unit, empty if none.
    std::string_view unit;
    /// Smallest physical value: first vertex of an axis, lower end of a parameter, smallest
    /// training value.
    double min = 0;
    /// Largest physical value.
    double max = 0;
    /// Linear for axes and parameters.
    Transform transform = Transform::linear;
};

/// A regular lattice of points: `origin[k] + i * spacing[k]` for i from 0 to below `dims[k]` on
/// each axis k. Axes that the model lacks: `dims` 1, the rest is ignored.
struct Lattice {
    /// Points per axis, x first; 0 is fine.
    std::array<std::uint64_t, 3> dims{1, 1, 1};
    /// The first point, in the sampler's units.
    std::array<double, 3> origin{};
    /// Distance of neighbouring points; may be negative.
    std::array<double, 3> spacing{};
};

namespace detail {

using Problem = std::optional<Error>;

template <class T> Fallible<T> failed(const Error &error) {
#ifdef DRR_NO_EXCEPTIONS
    return error;
#else
    throw error;
#endif
}

template <class T> Fallible<T> failed(drr_status status) {
    return failed<T>(Error(static_cast<Status>(status), drr_last_error(), drr_last_os_error()));
}

inline Error invalid(const std::string &message) {
    return Error(Status::invalid_argument, message);
}

/// Calls the library unless something is wrong already.
template <class Call>
Fallible<void> checked(std::initializer_list<Problem> problems, const Call &call) {
    for (const Problem &problem : problems)
        if (problem)
            return failed<void>(*problem);
    if (const drr_status status = call(); status != DRR_OK)
        return failed<void>(status);
    return Fallible<void>();
}

inline Problem is_open(const void *handle, const char *name) {
    if (handle != nullptr)
        return std::nullopt;
    return invalid(std::string("the ") + name + " is empty: never opened, moved or closed");
}

/// Whether an array without gaps has the shape that a call needs.
inline Problem has_shape(const char *name, std::uint64_t size, const std::uint64_t *shape,
                         std::size_t rank) {
    std::uint64_t rest = size;
    bool has_zero = false, divides = true;
    for (std::size_t n = 0; n < rank; n++) {
        const std::uint64_t extent = shape[n];
        has_zero |= extent == 0;
        divides = divides && extent != 0 && rest % extent == 0;
        rest = divides ? rest / extent : rest;
    }
    if (has_zero ? size == 0 : divides && rest == 1)
        return std::nullopt;
    std::string text = std::string(name) + " has " + std::to_string(size) + " numbers, expected ";
    for (std::size_t n = 0; n < rank; n++)
        text += '[' + std::to_string(shape[n]) + ']';
    return invalid(text);
}

inline Problem has_shape(const char *name, std::uint64_t size,
                         std::initializer_list<std::uint64_t> shape) {
    return has_shape(name, size, shape.begin(), shape.size());
}

/// What may be left out has a number for each pixel otherwise.
inline Problem has_plane(const char *name, bool is_absent, std::uint64_t size, std::uint64_t height,
                         std::uint64_t width) {
    if (is_absent)
        return std::nullopt;
    return has_shape(name, size, {height, width});
}

/// A struct of the C interface, zero but for its size.
template <class T> T sized() {
    T value{};
    value.struct_size = static_cast<std::uint32_t>(sizeof(T));
    return value;
}

inline drr_sampler_options raw(const SamplerOptions &options) {
    auto raw = sized<drr_sampler_options>();
    raw.units = static_cast<std::uint32_t>(options.units);
    raw.outside = static_cast<std::uint32_t>(options.outside);
    raw.outside_parameters = static_cast<std::uint32_t>(options.outside_parameters);
    return raw;
}

inline drr_radiance_options raw(const RenderOptions &options, const float *scene_depth) {
    auto raw = sized<drr_radiance_options>();
    raw.output = static_cast<std::uint32_t>(options.output);
    raw.depth = static_cast<std::uint32_t>(options.depth);
    raw.step = options.step;
    raw.ray_begin = options.ray_begin;
    raw.ray_end = options.ray_end;
    raw.stop = options.stop;
    for (std::size_t k = 0; k < 3; k++)
        raw.background[k] = options.background[k];
    raw.scene_depth = scene_depth;
    return raw;
}

inline drr_camera raw(const Camera &camera) {
    auto raw = sized<drr_camera>();
    for (std::size_t k = 0; k < camera.to_world.size(); k++)
        raw.to_world[k] = camera.to_world[k];
    raw.focal_x = camera.focal[0];
    raw.focal_y = camera.focal[1];
    raw.centre_x = camera.centre[0];
    raw.centre_y = camera.centre[1];
    return raw;
}

inline drr_lattice raw(const Lattice &lattice) {
    auto raw = sized<drr_lattice>();
    for (std::size_t k = 0; k < 3; k++) {
        raw.dims[k] = lattice.dims[k];
        raw.origin[k] = lattice.origin[k];
        raw.spacing[k] = lattice.spacing[k];
    }
    return raw;
}

template <class T> constexpr std::uint32_t scalar() {
    static_assert(std::is_same_v<T, float> || std::is_same_v<T, double> || std::is_same_v<T, Half>,
                  "drr reads float and double, and writes drr::Half too");
    return std::is_same_v<T, float> ? DRR_F32 : std::is_same_v<T, double> ? DRR_F64 : DRR_F16;
}

template <class T> constexpr std::uint32_t input_scalar() {
    static_assert(!std::is_same_v<T, Half>, "drr::Half is for results only");
    return scalar<std::remove_const_t<T>>();
}

/// What is a distance here has a sign of its own for none in C, where 0 is short for no gaps.
inline std::int64_t input_stride(std::ptrdiff_t stride) {
    return stride == 0 ? DRR_STRIDE_SAME : stride;
}

/// What arrays of arrays consist of.
template <class T> struct Flat {
    using Number = T;
    static constexpr std::size_t count = 1;
};
template <class T, std::size_t N> struct Flat<T[N]> {
    using Number = typename Flat<T>::Number;
    static constexpr std::size_t count = N * Flat<T>::count;
};
template <class T, std::size_t N> struct Flat<std::array<T, N>> : Flat<T[N]> {
    static_assert(sizeof(std::array<T, N>) == N * sizeof(T));
};

/// What a container of adjacent elements holds: `const double`, `std::array<float, 3>`, ...
template <class Array>
using Element = std::remove_pointer_t<decltype(std::data(std::declval<Array &>()))>;

template <class Array> using Number = typename Flat<std::remove_cv_t<Element<Array>>>::Number;

template <class Array> std::uint64_t flat_size(const Array &array) {
    return std::uint64_t{std::size(array)} * Flat<std::remove_cv_t<Element<const Array>>>::count;
}

template <class Array> void *writable(Array &array) {
    static_assert(!std::is_const_v<std::remove_all_extents_t<Element<Array>>>,
                  "results cannot be written to a constant array");
    return std::data(array);
}

} // namespace detail

/// Elements side by side in memory that someone else owns.
template <class T> class Span {
  public:
    Span() = default;
    Span(T *data, std::size_t size) noexcept : data_(data), size_(size) {}

    /// The elements of a `std::vector`, `std::array`, `std::span`, C array, ...
    template <class Array, class Element = detail::Element<Array>,
              class = std::enable_if_t<std::is_convertible_v<Element (*)[], T (*)[]>>>
    Span(Array &&array) noexcept : data_(std::data(array)), size_(std::size(array)) {}

    T *data() const noexcept { return data_; }
    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }
    T *begin() const noexcept { return data_; }
    T *end() const noexcept { return data_ + size_; }
    T &operator[](std::size_t index) const noexcept { return data_[index]; }

  private:
    T *data_ = nullptr;
    std::size_t size_ = 0;
};
template <class T> Span(T *, std::size_t) -> Span<T>;
template <class Array> Span(Array &&) -> Span<detail::Element<Array>>;

/// Where coordinates are: `float` or `double`, in the sampler's units, in any layout. Does not own
/// them.
class Points {
  public:
    /// `[count][dims]` without gaps, x first.
    template <class Array, class = detail::Element<const Array>> Points(const Array &interleaved) {
        using Number = detail::Number<const Array>;
        raw_.scalar = detail::input_scalar<Number>();
        raw_.axis[0] = std::data(interleaved);
        number_ = sizeof(Number);
        size_ = detail::flat_size(interleaved);
    }

    /// An array without gaps per axis: x, and y, and z, as many as the model has. All have the
    /// same size and type.
    template <class X, class... YZ> static Points separate(const X &x, const YZ &...yz) {
        static_assert(sizeof...(YZ) < 3, "a point has at most three coordinates");
        using Number = detail::Number<const X>;
        static_assert((std::is_same_v<Number, detail::Number<const YZ>> && ...),
                      "all coordinates have the same type");
        const std::uint64_t size = detail::flat_size(x);
        Points points = strided<Number>(size, {std::data(x), std::data(yz)...}, sizeof(Number));
        points.uneven_ = (... || (detail::flat_size(yz) != size));
        return points;
    }

    /// `count` points, the first of which has its coordinates at `first`, x first, as many as the
    /// model has. `stride` is the distance from one point to the next in bytes; may be negative, or
    /// 0 if all are the same. For members of a struct: `strided(n, {&p->x, &p->y, &p->z}, sizeof
    /// *p)`.
    template <class T>
    static Points strided(std::uint64_t count, std::initializer_list<const T *> first,
                          std::ptrdiff_t stride) {
        Points points;
        points.raw_.scalar = detail::input_scalar<T>();
        points.raw_.count = count;
        points.given_ = first.size();
        std::size_t k = 0;
        for (const T *address : first) {
            if (k == 3)
                break;
            points.raw_.axis[k] = address;
            points.raw_.stride[k++] = detail::input_stride(stride);
        }
        return points;
    }

    /// The same with a distance per axis: 0 is the same coordinate for all points (a plane, say).
    template <class T>
    static Points strided(std::uint64_t count, std::initializer_list<const T *> first,
                          std::initializer_list<std::ptrdiff_t> strides) {
        Points points = strided<T>(count, first, 0);
        points.uneven_ = strides.size() != first.size();
        std::size_t k = 0;
        for (const std::ptrdiff_t stride : strides)
            if (k < 3)
                points.raw_.stride[k++] = detail::input_stride(stride);
        return points;
    }

  private:
    friend class DeviceModel;
    friend class DeviceSampler;
    friend class Model;
    friend class Sampler;

    Points() = default;

    drr_points raw(std::uint32_t dims) const {
        drr_points raw = raw_;
        if (size_ && dims > 0) {
            raw.count = *size_ / dims;
            for (std::size_t k = 0; k < dims && raw.axis[0] != nullptr; k++) {
                raw.axis[k] = static_cast<const char *>(raw_.axis[0]) + k * number_;
                raw.stride[k] = static_cast<std::int64_t>(dims * number_);
            }
        }
        return raw;
    }

    detail::Problem problem(std::uint32_t dims) const {
        if (size_)
            return detail::has_shape("points", *size_, {dims > 0 ? *size_ / dims : 0, dims});
        if (uneven_)
            return detail::invalid("points: the arrays of coordinates differ in size");
        if (given_ == dims)
            return std::nullopt;
        return detail::invalid("points have " + std::to_string(given_) +
                               " coordinates, the model has " + std::to_string(dims) + " axes");
    }

    drr_points raw_ = detail::sized<drr_points>();
    std::optional<std::uint64_t> size_; // of an interleaved array
    std::size_t number_ = 0;            // size of its numbers in bytes
    std::size_t given_ = 0;             // coordinates, if not interleaved
    bool uneven_ = false;
};

/// Where simulation parameters are: `float` or `double`, a row per point or per set, in the model's
/// order. Does not own them.
class Parameters {
  public:
    /// `[rows][parameters]` without gaps.
    template <class Array, class = detail::Element<const Array>> Parameters(const Array &packed) {
        raw_.scalar = detail::input_scalar<detail::Number<const Array>>();
        raw_.data = std::data(packed);
        size_ = detail::flat_size(packed);
    }

    /// `rows` rows from `first` on. Strides are in bytes, from one row to the next (may be
    /// negative, or 0 if all are the same) and from one parameter to the next.
    template <class T>
    static Parameters strided(std::uint64_t rows, const T *first, std::ptrdiff_t row_stride,
                              std::ptrdiff_t parameter_stride = sizeof(T)) {
        Parameters parameters;
        parameters.raw_.scalar = detail::input_scalar<T>();
        parameters.raw_.count = rows;
        parameters.raw_.data = first;
        parameters.raw_.row_stride = detail::input_stride(row_stride);
        parameters.raw_.parameter_stride = parameter_stride;
        return parameters;
    }

  private:
    friend class DeviceModel;
    friend class Model;

    Parameters() = default;

    /// `rows` is what an array without gaps has if its rows are empty.
    drr_parameters raw(std::uint32_t columns, std::uint64_t rows) const {
        drr_parameters raw = raw_;
        if (size_)
            raw.count = columns > 0 ? *size_ / columns : rows;
        return raw;
    }

    detail::Problem problem(std::uint32_t columns) const {
        if (!size_)
            return std::nullopt;
        return detail::has_shape("parameters", *size_,
                                 {columns > 0 ? *size_ / columns : 0, columns});
    }

    drr_parameters raw_ = detail::sized<drr_parameters>();
    std::optional<std::uint64_t> size_; // of an array without gaps
};

namespace detail {

/// What `Values` and `Gradients` have in common: results in the caller's memory.
template <class Raw> class Results {
  public:
    /// NULL if they are not wanted.
    const Raw *get(Raw &room) const noexcept {
        room = raw_;
        if (given_ > 0)
            room.separate = separate_.data();
        return wanted_ ? &room : nullptr;
    }

    // As they were given.
    const Raw &raw() const noexcept { return raw_; }

    // Numbers of one array without gaps, else 0.
    std::uint64_t packed() const noexcept { return given_ > 0 ? 0 : size_.value_or(0); }

    /// What is wrong with these for results of the shape `[points..., outputs, ...]`: so many
    /// points, and so many numbers each.
    Problem problem(const char *name, std::initializer_list<std::uint64_t> points,
                    std::initializer_list<std::uint64_t> numbers) const {
        if (uneven_)
            return invalid(std::string(name) + ": the separate arrays differ in size");
        std::uint64_t each = 1;
        for (const std::uint64_t extent : numbers)
            each *= extent;
        if (given_ > 0 && given_ != each)
            return invalid(std::string(name) + " has " + std::to_string(given_) +
                           " separate arrays, expected " + std::to_string(each));
        if (!size_)
            return std::nullopt;
        std::array<std::uint64_t, 6> shape{};
        std::size_t n = 0;
        for (const std::uint64_t extent : points)
            shape[n++] = extent;
        if (given_ == 0)
            for (const std::uint64_t extent : numbers)
                shape[n++] = extent;
        return has_shape(name, *size_, shape.data(), n);
    }

  protected:
    Results() = default;

    template <class Array> explicit Results(std::in_place_t, Array &array) : wanted_(true) {
        raw_.scalar = scalar<Number<Array>>();
        raw_.data = writable(array);
        size_ = flat_size(array);
    }

    template <class T> Results(T *first, std::ptrdiff_t point_stride) : wanted_(true) {
        raw_.scalar = scalar<T>();
        raw_.data = first;
        raw_.point_stride = point_stride;
    }

    template <class T>
    Results(std::initializer_list<T *> firsts, std::ptrdiff_t point_stride) : wanted_(true) {
        raw_.scalar = scalar<T>();
        raw_.point_stride = point_stride;
        for (T *first : firsts) {
            if (given_ < separate_.size())
                separate_[given_] = first;
            ++given_;
        }
        uneven_ = given_ > separate_.size();
    }

    void set_lattice(const std::array<std::ptrdiff_t, 3> &strides) {
        raw_.point_stride = strides[0];
        raw_.row_stride = strides[1];
        raw_.plane_stride = strides[2];
    }

    Raw raw_ = sized<Raw>();
    std::optional<std::uint64_t> size_; // of each array without gaps
    std::array<void *, 32> separate_{};
    std::size_t given_ = 0; // separate arrays
    bool uneven_ = false, wanted_ = false;
};

} // namespace detail

/// Where results go: `float`, `double` or `Half`, in any layout. They must overlap neither each
/// other nor the points. Does not own them. All strides are in bytes and may be negative, but not
/// 0.
class Values : private detail::Results<drr_values> {
  public:
    /// Results that are not wanted.
    Values() = default;

    /// `[count][outputs]` without gaps.
    template <class Array, class = detail::Element<Array>>
    Values(Array &&packed) : Results(std::in_place, packed) {}

    /// An array without gaps per value of a point, all of the same size and type; 2 to 32.
    template <class First, class... Others>
    static Values separate(First &&first, Others &&...others) {
        static_assert(sizeof...(Others) < 32, "drr.hpp takes up to 32 separate arrays");
        using Number = detail::Number<First>;
        static_assert((std::is_same_v<Number, detail::Number<Others>> && ...),
                      "all values have the same type");
        const auto begin = [](auto &array) {
            return static_cast<Number *>(detail::writable(array));
        };
        Values values({begin(first), begin(others)...}, sizeof(Number));
        values.size_ = detail::flat_size(first);
        values.uneven_ = (... || (detail::flat_size(others) != *values.size_));
        return values;
    }

    /// From `first` on, with the distance from one point to the next and from one value of a point
    /// to the next. For a member of a struct: `strided(&p->energy, sizeof *p)`; for
    /// `[outputs][count]`: `strided(values, sizeof(double), count * sizeof(double))`.
    template <class T>
    static Values strided(T *first, std::ptrdiff_t point_stride,
                          std::ptrdiff_t value_stride = sizeof(T)) {
        Values values(first, point_stride);
        values.raw_.value_stride = value_stride;
        return values;
    }

    /// The same for separate arrays: where the first point's values go, one address per value of
    /// the model (up to 32).
    template <class T>
    static Values strided(std::initializer_list<T *> firsts, std::ptrdiff_t point_stride) {
        return Values(firsts, point_stride);
    }

    /// Results of a lattice as a part of a larger array (one with ghost cells, say): the distance
    /// from one point to its neighbour along x, y and z, and from one value of a point to the next.
    template <class T>
    static Values lattice(T *first, const std::array<std::ptrdiff_t, 3> &strides,
                          std::ptrdiff_t value_stride = sizeof(T)) {
        Values values = strided(first, 0, value_stride);
        values.set_lattice(strides);
        return values;
    }

    /// The same for separate arrays.
    template <class T>
    static Values lattice(std::initializer_list<T *> firsts,
                          const std::array<std::ptrdiff_t, 3> &strides) {
        Values values(firsts, 0);
        values.set_lattice(strides);
        return values;
    }

  private:
    friend class DeviceModel;
    friend class DeviceSampler;
    friend class Model;
    friend class Sampler;
    using Results::Results;
};

/// Where derivatives go: `float`, `double` or `Half`, in any layout. They must overlap neither each
/// other nor the points. Does not own them. All strides are in bytes and may be negative, but not
/// 0. The *components* of a derivative are the model's axes or its parameters.
class Gradients : private detail::Results<drr_gradients> {
  public:
    /// Derivatives that are not wanted.
    Gradients() = default;

    /// `[count][outputs][components]` without gaps.
    template <class Array, class = detail::Element<Array>>
    Gradients(Array &&packed) : Results(std::in_place, packed) {}

    /// From `first` on, with the distance from one point to the next, from one value of a point to
    /// the next, and from one derivative of a value to the next.
    template <class T>
    static Gradients strided(T *first, std::ptrdiff_t point_stride, std::ptrdiff_t value_stride,
                             std::ptrdiff_t component_stride = sizeof(T)) {
        Gradients gradients(first, point_stride);
        gradients.raw_.value_stride = value_stride;
        gradients.raw_.component_stride = component_stride;
        return gradients;
    }

    /// Separate arrays: where the first point's derivatives go, `[outputs][components]` addresses
    /// (up to 32).
    template <class T>
    static Gradients strided(std::initializer_list<T *> firsts, std::ptrdiff_t point_stride) {
        return Gradients(firsts, point_stride);
    }

    /// Derivatives on a lattice as a part of a larger array: the distance from one point to its
    /// neighbour along x, y and z, and the others as above.
    template <class T>
    static Gradients lattice(T *first, const std::array<std::ptrdiff_t, 3> &strides,
                             std::ptrdiff_t value_stride,
                             std::ptrdiff_t component_stride = sizeof(T)) {
        Gradients gradients = strided(first, 0, value_stride, component_stride);
        gradients.set_lattice(strides);
        return gradients;
    }

    /// The same for separate arrays.
    template <class T>
    static Gradients lattice(std::initializer_list<T *> firsts,
                             const std::array<std::ptrdiff_t, 3> &strides) {
        Gradients gradients(firsts, 0);
        gradients.set_lattice(strides);
        return gradients;
    }

  private:
    friend class DeviceSampler;
    friend class Sampler;
    using Results::Results;
};

/// A model bound to one set of simulation parameters; `Model::sampler` makes it. Cheap to make,
/// cannot be changed, keeps what it needs of its model alive. Once moved from or closed it is
/// empty: its queries fail with `Status::invalid_argument`.
class Sampler {
  public:
    /// An empty one, to be assigned to.
    Sampler() = default;

    /// Values at points.
    ///
    /// @param points  coordinates, `[count][dims]` if without gaps
    /// @param values  receives the results, `[count][outputs]` if without gaps
    ///
    /// Fails with `Status::invalid_argument`, or `Status::outside_domain` by policy, naming the
    /// first such point; then nothing is written.
    Fallible<void> query(const Points &points, const Values &values) const {
        if (const std::optional<drr_status> status = query_packed(points, values)) {
            if (*status != DRR_OK)
                return detail::failed<void>(*status);
            return Fallible<void>();
        }
        const drr_points from = points.raw(dims_);
        drr_values to;
        return detail::checked(
            {is_open(), points.problem(dims_), values.problem("values", {from.count}, {outputs_})},
            [&] { return drr_sampler_query(get(), &from, values.get(to)); });
    }

    /// Values at the points of a regular lattice, without an array of coordinates. Faster than the
    /// same points one by one, and equal to them up to rounding.
    ///
    /// @param lattice  the points
    /// @param values   receives the results, x fastest: `[nz][ny][nx][outputs]` if without gaps
    ///
    /// Fails as `query`.
    Fallible<void> query_lattice(const Lattice &lattice, const Values &values) const {
        const drr_lattice raw = detail::raw(lattice);
        const auto &[nx, ny, nz] = lattice.dims;
        drr_values to;
        return detail::checked(
            {is_open(), values.problem("values", {nz, ny, nx}, {outputs_})},
            [&] { return drr_sampler_query_lattice(get(), &raw, values.get(to)); });
    }

    /// Values and derivatives; `{}` for what is not wanted. Values are those of `query`, bit by
    /// bit. Units and where derivatives jump: docs/derivatives.md.
    ///
    /// @param points         coordinates, `[count][dims]` if without gaps
    /// @param values         receives values, `[count][outputs]` if without gaps
    /// @param by_position    receives the derivatives by each coordinate, `[count][outputs][dims]`
    /// @param by_parameters  receives the derivatives by each parameter,
    ///                       `[count][outputs][parameters]`
    ///
    /// Fails as `query`, or with `Status::out_of_memory`.
    Fallible<void> query_gradient(const Points &points, const Values &values,
                                  const Gradients &by_position,
                                  const Gradients &by_parameters = {}) const {
        const drr_points from = points.raw(dims_);
        const auto count = from.count;
        drr_values to;
        drr_gradients position, parameter;
        return detail::checked(
            {is_open(), points.problem(dims_), values.problem("values", {count}, {outputs_}),
             by_position.problem("by_position", {count}, {outputs_, dims_}),
             by_parameters.problem("by_parameters", {count}, {outputs_, parameters_})},
            [&] {
                return drr_sampler_query_gradient(get(), &from, values.get(to),
                                                  by_position.get(position),
                                                  by_parameters.get(parameter));
            });
    }

    /// Values and derivatives at the points of a regular lattice; bit by bit those of
    /// `query_gradient` at these points, and no faster.
    ///
    /// @param lattice        the points
    /// @param values         receives values, `[nz][ny][nx][outputs]` if without gaps
    /// @param by_position    receives the derivatives by each coordinate,
    ///                       `[nz][ny][nx][outputs][dims]`
    /// @param by_parameters  receives the derivatives by each parameter,
    ///                       `[nz][ny][nx][outputs][parameters]`
    ///
    /// Fails as `query_gradient`.
    Fallible<void> query_lattice_gradient(const Lattice &lattice, const Values &values,
                                          const Gradients &by_position,
                                          const Gradients &by_parameters = {}) const {
        const drr_lattice raw = detail::raw(lattice);
        const auto &[nx, ny, nz] = lattice.dims;
        drr_values to;
        drr_gradients position, parameter;
        return detail::checked(
            {is_open(), values.problem("values", {nz, ny, nx}, {outputs_}),
             by_position.problem("by_position", {nz, ny, nx}, {outputs_, dims_}),
             by_parameters.problem("by_parameters", {nz, ny, nx}, {outputs_, parameters_})},
            [&] {
                return drr_sampler_query_lattice_gradient(get(), &raw, values.get(to),
                                                          by_position.get(position),
                                                          by_parameters.get(parameter));
            });
    }

    /// Densities and colours of a radiance field at points, each seen along a direction.
    ///
    /// @param points      `[count][3]` if without gaps
    /// @param directions  as many, away from the eye, of any length but 0
    /// @param values      receives density, red, green, blue: `[count][4]` if without gaps
    ///
    /// Fails with `Status::invalid_argument`, also if the model is no radiance field; then nothing
    /// is written.
    Fallible<void> radiance(const Points &points, const Points &directions,
                            const Values &values) const {
        const drr_points from = points.raw(3), along = directions.raw(3);
        drr_values to;
        return detail::checked(
            {is_open(), points.problem(3), directions.problem(3),
             values.problem("values", {from.count}, {4})},
            [&] { return drr_radiance_query(get(), &from, &along, values.get(to)); });
    }

    /// A picture of a radiance field as a camera sees it.
    ///
    /// @param camera       where it is seen from
    /// @param width        pixels; 0 is fine
    /// @param height       the same
    /// @param rgba         receives `[height][width][4]`, the upper row first: red, green, blue,
    ///                     opacity
    /// @param depth        empty, or receives `[height][width]`: how far away what is seen is
    /// @param options      how
    /// @param scene_depth  empty, or `[height][width]`: where rays end at something else
    ///
    /// Fails as `radiance`.
    Fallible<void> render(const Camera &camera, std::uint64_t width, std::uint64_t height,
                          Span<float> rgba, Span<float> depth = {},
                          const RenderOptions &options = {},
                          Span<const float> scene_depth = {}) const {
        const drr_camera raw = detail::raw(camera);
        const drr_radiance_options how = detail::raw(options, scene_depth.data());
        return detail::checked(
            {is_open(), detail::has_shape("rgba", rgba.size(), {height, width, 4}),
             detail::has_plane("depth", depth.empty(), depth.size(), height, width),
             detail::has_plane("scene_depth", scene_depth.empty(), scene_depth.size(), height,
                               width)},
            [&] {
                return drr_radiance_render(get(), &raw, width, height, &how, rgba.data(),
                                           depth.data());
            });
    }

    /// The same for rays of any kind.
    ///
    /// @param origins      where rays begin, `[count][3]` if without gaps
    /// @param directions   where they go, as many, of any length but 0
    /// @param rgba         receives `[count][4]`
    /// @param depth        empty, or receives `[count]`
    /// @param options      how; not `Depth::along_axis`
    /// @param scene_depth  empty, or `[count]`
    ///
    /// Fails as `radiance`.
    Fallible<void> render_rays(const Points &origins, const Points &directions, Span<float> rgba,
                               Span<float> depth = {}, const RenderOptions &options = {},
                               Span<const float> scene_depth = {}) const {
        const drr_points from = origins.raw(3), along = directions.raw(3);
        const drr_radiance_options how = detail::raw(options, scene_depth.data());
        const std::uint64_t count = from.count;
        return detail::checked(
            {is_open(), origins.problem(3), directions.problem(3),
             detail::has_shape("rgba", rgba.size(), {count, 4}),
             detail::has_plane("depth", depth.empty(), depth.size(), count, 1),
             detail::has_plane("scene_depth", scene_depth.empty(), scene_depth.size(), count, 1)},
            [&] {
                return drr_radiance_render_rays(get(), &from, &along, &how, rgba.data(),
                                                depth.data());
            });
    }

    /// Frees it now; it is empty then.
    void close() noexcept { handle_.reset(); }

    /// Whether it is not empty.
    explicit operator bool() const noexcept { return handle_ != nullptr; }

    /// For functions of drr.h; stays owned by this object. NULL if empty.
    drr_sampler *get() const noexcept { return handle_.get(); }

  private:
    friend class Model;

    struct Free {
        void operator()(drr_sampler *sampler) const noexcept { drr_sampler_free(sampler); }
    };

    detail::Problem is_open() const { return detail::is_open(get(), "sampler"); }

    // The short way for arrays of one type without gaps, which need no description. Whatever does
    // not fit goes the long way, which says why.
    std::optional<drr_status> query_packed(const Points &points, const Values &values) const {
        const std::uint64_t numbers = points.size_.value_or(0);
        const std::uint64_t count = dims_ > 0 ? numbers / dims_ : 0;
        if (count == 0 || count * dims_ != numbers || values.packed() != count * outputs_)
            return std::nullopt;
        if (const auto arrays = both<double>(points, values); arrays.first != nullptr)
            return drr_sampler_query_f64(get(), count, arrays.first, arrays.second);
        if (const auto arrays = both<float>(points, values); arrays.first != nullptr)
            return drr_sampler_query_f32(get(), count, arrays.first, arrays.second);
        return std::nullopt;
    }

    // The arrays if both are of type T and where such numbers can be, else NULL.
    template <class T>
    static std::pair<const T *, T *> both(const Points &points, const Values &values) {
        constexpr std::uint32_t kind = detail::scalar<T>();
        const void *from = points.raw_.axis[0];
        const auto is_aligned = [](const void *address) {
            return reinterpret_cast<std::uintptr_t>(address) % alignof(T) == 0;
        };
        if (points.raw_.scalar != kind || values.raw().scalar != kind || !is_aligned(from) ||
            !is_aligned(values.raw().data))
            return {nullptr, nullptr};
        return {static_cast<const T *>(from), static_cast<T *>(values.raw().data)};
    }

    std::unique_ptr<drr_sampler, Free> handle_;
    std::uint32_t dims_ = 0, parameters_ = 0, outputs_ = 0;
};

/// A queue of work of a GPU: a `CUstream` or `cudaStream_t`, NULL for the default one.
using Stream = void *;

/// Which kernel answers on a GPU.
enum class DeviceKernel : std::uint32_t {
    /// The one for tensor cores where it can, else the portable one.
    automatic = DRR_DEVICE_KERNEL_AUTO,
    /// The portable one: everything in 32 bits.
    portable = DRR_DEVICE_KERNEL_PORTABLE,
    /// The one for tensor cores, or `Status::unsupported`.
    tensor = DRR_DEVICE_KERNEL_TENSOR,
};

/// How a model is used on a GPU.
struct DeviceOptions {
    DeviceKernel kernel = DeviceKernel::automatic;
    /// A `CUcontext` of the GPU, which must outlive the model there and its samplers; NULL for the
    /// primary one, that of the CUDA runtime.
    void *context = nullptr;
};

/// A model on a GPU. The texts are UTF-8, valid until the model there is closed.
struct DeviceInfo {
    /// Number of the GPU, as CUDA counts.
    std::uint32_t ordinal = 0;
    /// Memory of the GPU that the model takes in bytes, without its samplers.
    std::uint64_t memory_bytes = 0;
    /// Number and name of the GPU: `cuda:0 (...)`.
    std::string_view device;
    /// Name of the kernel in use: `portable` or `tensor`.
    std::string_view kernel;
};

/// Number of GPUs that NVIDIA's driver shows; 0 without a driver. Fails with `Status::device` if
/// there is a driver that does not work.
inline Fallible<std::uint32_t> device_count() {
    std::uint32_t count = 0;
    if (const drr_status status = drr_device_count(&count); status != DRR_OK)
        return detail::failed<std::uint32_t>(status);
    return count;
}

/// A model on a GPU bound to one set of simulation parameters; from `DeviceModel::sampler`. Belongs
/// to one stream at a time. Keeps its model there alive. Arrays of the GPU are described as those
/// of the host are (`Span(address, size)`, `Points::strided`, ...); nothing reads them here.
///
/// What a function without `host` in its name asks for is queued on a stream: it neither waits nor
/// allocates, and may be captured into a CUDA graph. The sampler must live until the stream got to
/// the end of it.
class DeviceSampler {
  public:
    /// An empty one, to be assigned to.
    DeviceSampler() = default;

    /// Binds it to other parameters, numbers of the host: what is queued on `stream` afterwards is
    /// answered for them. Fails with `Status::invalid_argument` or `Status::device`.
    Fallible<void> set_parameters(Span<const double> parameters, Stream stream = nullptr) const {
        return detail::checked({is_open()}, [&] {
            return drr_device_sampler_set_parameters(get(), parameters.data(), parameters.size(),
                                                     stream);
        });
    }

    /// Values at points, all in the GPU's memory. Arguments as for `Sampler::query`; fails with
    /// `Status::invalid_argument`, `Status::unsupported` or `Status::device`. Errors of the GPU
    /// itself may show up later, where the stream is waited for.
    Fallible<void> query(const Points &points, const Values &values,
                         Stream stream = nullptr) const {
        return ask(points, values, [&](const drr_points &from, const drr_values *to) {
            return drr_device_sampler_query(get(), &from, to, stream);
        });
    }

    /// Values at the points of a lattice, in the GPU's memory. Otherwise as `query`.
    Fallible<void> query_lattice(const Lattice &lattice, const Values &values,
                                 Stream stream = nullptr) const {
        return ask(lattice, values, [&](const drr_lattice &from, const drr_values *to) {
            return drr_device_sampler_query_lattice(get(), &from, to, stream);
        });
    }

    /// Values and derivatives at points, all in the GPU's memory, in 32 bits. Arguments as for
    /// `Sampler::query_gradient`; fails as `query`, and with `Status::unsupported` if the model's
    /// layers are too wide and many for it.
    Fallible<void> query_gradient(const Points &points, const Values &values,
                                  const Gradients &by_position, const Gradients &by_parameters = {},
                                  Stream stream = nullptr) const {
        const drr_points from = points.raw(dims_);
        const auto count = from.count;
        drr_values to;
        drr_gradients position, parameter;
        return detail::checked(
            {is_open(), points.problem(dims_), values.problem("values", {count}, {outputs_}),
             by_position.problem("by_position", {count}, {outputs_, dims_}),
             by_parameters.problem("by_parameters", {count}, {outputs_, parameters_})},
            [&] {
                return drr_device_sampler_query_gradient(get(), &from, values.get(to),
                                                         by_position.get(position),
                                                         by_parameters.get(parameter), stream);
            });
    }

    /// Values and derivatives at the points of a lattice, in the GPU's memory. Otherwise as
    /// `query_gradient`.
    Fallible<void> query_lattice_gradient(const Lattice &lattice, const Values &values,
                                          const Gradients &by_position,
                                          const Gradients &by_parameters = {},
                                          Stream stream = nullptr) const {
        const drr_lattice raw = detail::raw(lattice);
        const auto &[nx, ny, nz] = lattice.dims;
        drr_values to;
        drr_gradients position, parameter;
        return detail::checked(
            {is_open(), values.problem("values", {nz, ny, nx}, {outputs_}),
             by_position.problem("by_position", {nz, ny, nx}, {outputs_, dims_}),
             by_parameters.problem("by_parameters", {nz, ny, nx}, {outputs_, parameters_})},
            [&] {
                return drr_device_sampler_query_lattice_gradient(
                    get(), &raw, values.get(to), by_position.get(position),
                    by_parameters.get(parameter), stream);
            });
    }

    /// Densities and colours of a radiance field at points, all in the GPU's memory. Arguments as
    /// for `Sampler::radiance`; a direction of length 0 makes the colour NaN. Fails as `query`, and
    /// with `Status::unsupported` if the layers that make colours are too wide for it.
    Fallible<void> radiance(const Points &points, const Points &directions, const Values &values,
                            Stream stream = nullptr) const {
        const drr_points from = points.raw(3), along = directions.raw(3);
        drr_values to;
        return detail::checked({is_open(), points.problem(3), directions.problem(3),
                                values.problem("values", {from.count}, {4})},
                               [&] {
                                   return drr_device_radiance_query(get(), &from, &along,
                                                                    values.get(to), stream);
                               });
    }

    /// A picture of a radiance field as a camera sees it, in the GPU's memory. Arguments as for
    /// `Sampler::render`, arrays being those of the GPU; fails as `radiance`.
    Fallible<void> render(const Camera &camera, std::uint64_t width, std::uint64_t height,
                          Span<float> rgba, Span<float> depth = {},
                          const RenderOptions &options = {}, Span<const float> scene_depth = {},
                          Stream stream = nullptr) const {
        const drr_camera raw = detail::raw(camera);
        const drr_radiance_options how = detail::raw(options, scene_depth.data());
        return detail::checked(
            {is_open(), detail::has_shape("rgba", rgba.size(), {height, width, 4}),
             detail::has_plane("depth", depth.empty(), depth.size(), height, width),
             detail::has_plane("scene_depth", scene_depth.empty(), scene_depth.size(), height,
                               width)},
            [&] {
                return drr_device_radiance_render(get(), &raw, width, height, &how, rgba.data(),
                                                  depth.data(), stream);
            });
    }

    /// The same for rays of any kind. Arguments as for `Sampler::render_rays`.
    Fallible<void> render_rays(const Points &origins, const Points &directions, Span<float> rgba,
                               Span<float> depth = {}, const RenderOptions &options = {},
                               Span<const float> scene_depth = {}, Stream stream = nullptr) const {
        const drr_points from = origins.raw(3), along = directions.raw(3);
        const drr_radiance_options how = detail::raw(options, scene_depth.data());
        const std::uint64_t count = from.count;
        return detail::checked(
            {is_open(), origins.problem(3), directions.problem(3),
             detail::has_shape("rgba", rgba.size(), {count, 4}),
             detail::has_plane("depth", depth.empty(), depth.size(), count, 1),
             detail::has_plane("scene_depth", scene_depth.empty(), scene_depth.size(), count, 1)},
            [&] {
                return drr_device_radiance_render_rays(get(), &from, &along, &how, rgba.data(),
                                                       depth.data(), stream);
            });
    }

    /// Values at points, all in memory of the host; waits for them. Copies there and back overlap
    /// with the work. Fails as `query`, or with `Status::out_of_memory`.
    Fallible<void> query_host(const Points &points, const Values &values) const {
        return ask(points, values, [&](const drr_points &from, const drr_values *to) {
            return drr_device_sampler_query_host(get(), &from, to);
        });
    }

    /// Values at the points of a lattice, in memory of the host; waits. Fails as `query_host`.
    Fallible<void> query_lattice_host(const Lattice &lattice, const Values &values) const {
        return ask(lattice, values, [&](const drr_lattice &from, const drr_values *to) {
            return drr_device_sampler_query_lattice_host(get(), &from, to);
        });
    }

    /// Frees it now; it is empty then. No work of it may be under way.
    void close() noexcept { handle_.reset(); }

    /// Whether it is not empty.
    explicit operator bool() const noexcept { return handle_ != nullptr; }

    /// For functions of drr.h; stays owned by this object. NULL if empty.
    drr_device_sampler *get() const noexcept { return handle_.get(); }

  private:
    friend class DeviceModel;

    struct Free {
        void operator()(drr_device_sampler *sampler) const noexcept {
            drr_device_sampler_free(sampler);
        }
    };

    detail::Problem is_open() const { return detail::is_open(get(), "device sampler"); }

    template <class Call>
    Fallible<void> ask(const Points &points, const Values &values, const Call &call) const {
        const drr_points from = points.raw(dims_);
        drr_values to;
        return detail::checked(
            {is_open(), points.problem(dims_), values.problem("values", {from.count}, {outputs_})},
            [&] { return call(from, values.get(to)); });
    }

    template <class Call>
    Fallible<void> ask(const Lattice &lattice, const Values &values, const Call &call) const {
        const drr_lattice from = detail::raw(lattice);
        const auto &[nx, ny, nz] = lattice.dims;
        drr_values to;
        return detail::checked({is_open(), values.problem("values", {nz, ny, nx}, {outputs_})},
                               [&] { return call(from, values.get(to)); });
    }

    std::unique_ptr<drr_device_sampler, Free> handle_;
    std::uint32_t dims_ = 0, outputs_ = 0, parameters_ = 0;
};

/// A model in the memory of a GPU; from `Model::to_device`. Immutable: `const` functions may be
/// called from any number of threads at once.
class DeviceModel {
  public:
    /// An empty one, to be assigned to.
    DeviceModel() = default;

    /// Where it is. Fails with `Status::invalid_argument` if it is empty.
    Fallible<DeviceInfo> info() const {
        auto info = detail::sized<drr_device_info>();
        if (const drr_status status = drr_device_model_get_info(get(), &info); status != DRR_OK)
            return detail::failed<DeviceInfo>(status);
        return DeviceInfo{info.ordinal, info.memory_bytes, info.device, info.kernel};
    }

    /// Binds the model to simulation parameters, and waits for that. Arguments as for
    /// `Model::sampler`; fails with `Status::unsupported` for `Outside::error` too.
    Fallible<DeviceSampler> sampler(Span<const double> parameters,
                                    const SamplerOptions &options = {}) const {
        const drr_sampler_options raw = detail::raw(options);
        drr_device_sampler *handle = nullptr;
        const drr_status status =
            drr_device_sampler_create(get(), parameters.data(), parameters.size(), &raw, &handle);
        if (status != DRR_OK)
            return detail::failed<DeviceSampler>(status);
        DeviceSampler sampler;
        sampler.handle_.reset(handle);
        sampler.dims_ = dims_;
        sampler.outputs_ = outputs_;
        sampler.parameters_ = parameters_;
        return sampler;
    }

    /// The same for numbers in braces.
    Fallible<DeviceSampler> sampler(std::initializer_list<double> parameters,
                                    const SamplerOptions &options = {}) const {
        return sampler(Span<const double>(parameters.begin(), parameters.size()), options);
    }

    /// Values at points of which each has parameters of its own, all in the GPU's memory; queued on
    /// `stream`. Arguments as for `Model::query`; fails as `DeviceSampler::query`.
    Fallible<void> query(const Parameters &parameters, const Points &points, const Values &values,
                         const SamplerOptions &options = {}, Stream stream = nullptr) const {
        const drr_points from = points.raw(dims_);
        const drr_parameters rows = parameters.raw(parameters_, from.count);
        const drr_sampler_options raw = detail::raw(options);
        drr_values to;
        return detail::checked({is_open(), parameters.problem(parameters_), points.problem(dims_),
                                values.problem("values", {from.count}, {outputs_})},
                               [&] {
                                   return drr_device_model_query(get(), &rows, &raw, &from,
                                                                 values.get(to), stream);
                               });
    }

    /// Closes it now; it is empty then. Its samplers stay valid. No work of it may be under way.
    void close() noexcept { *this = DeviceModel(); }

    /// Whether it is not empty.
    explicit operator bool() const noexcept { return handle_ != nullptr; }

    /// For functions of drr.h; stays owned by this object. NULL if empty.
    drr_device_model *get() const noexcept { return handle_.get(); }

  private:
    friend class Model;

    struct Close {
        void operator()(drr_device_model *model) const noexcept { drr_device_model_close(model); }
    };

    detail::Problem is_open() const { return detail::is_open(get(), "device model"); }

    std::unique_ptr<drr_device_model, Close> handle_;
    std::uint32_t dims_ = 0, parameters_ = 0, outputs_ = 0;
};

/// An open baked model. Cannot be changed. Once moved from or closed it is empty: what can fail
/// fails with `Status::invalid_argument`.
class Model {
  public:
    /// An empty one, to be assigned to.
    Model() = default;

    Model(Model &&other) noexcept
        : handle_(std::move(other.handle_)), info_(std::exchange(other.info_, {})) {}

    Model &operator=(Model &&other) noexcept {
        handle_ = std::move(other.handle_);
        info_ = std::exchange(other.info_, {});
        return *this;
    }

    /// Opens a baked file, checks it completely and prepares it for queries.
    ///
    /// @param path  name of the file, in the system's encoding
    ///
    /// Fails with `Status::io`, `format`, `version`, `unsupported`, `invalid_argument` or
    /// `out_of_memory`.
    static Fallible<Model> open(const std::string &path, const OpenOptions &options = {}) {
        return opened(options, [&](const drr_open_options *raw, drr_model **handle) {
            return drr_model_open(path.c_str(), raw, handle);
        });
    }

    /// Opens a baked file that is in memory already: `size` bytes, which are copied. `storage` is
    /// ignored. Fails as `open`.
    static Fallible<Model> open_memory(const void *data, std::size_t size,
                                       const OpenOptions &options = {}) {
        return opened(options, [&](const drr_open_options *raw, drr_model **handle) {
            return drr_model_open_memory(data, size, raw, handle);
        });
    }

    /// What the model is; all zero if empty.
    const Info &info() const noexcept { return info_; }

    /// One axis of the domain, from 0 (x); from its first to its last vertex. Fails with
    /// `Status::invalid_argument` if the model has no such axis.
    Fallible<Range> axis(std::uint32_t index) const { return range(drr_model_get_axis, index); }

    /// One simulation parameter, from 0. Fails as `axis`.
    Fallible<Range> parameter(std::uint32_t index) const {
        return range(drr_model_get_parameter, index);
    }

    /// One component of the field, from 0, and what it spanned in training. Fails as `axis`.
    Fallible<Range> value(std::uint32_t index) const { return range(drr_model_get_value, index); }

    /// Binds the model to simulation parameters.
    ///
    /// @param parameters  one number for each of the model's, in its order; read during the call
    ///
    /// Fails with `Status::invalid_argument`, or `Status::outside_domain` if a parameter is out of
    /// its range and `outside_parameters` says so.
    Fallible<Sampler> sampler(Span<const double> parameters,
                              const SamplerOptions &options = {}) const {
        const drr_sampler_options raw = detail::raw(options);
        drr_sampler *handle = nullptr;
        const drr_status status =
            drr_sampler_create(get(), parameters.data(), parameters.size(), &raw, &handle);
        if (status != DRR_OK)
            return detail::failed<Sampler>(status);
        Sampler sampler;
        sampler.handle_.reset(handle);
        sampler.dims_ = info_.dims;
        sampler.parameters_ = info_.parameters;
        sampler.outputs_ = info_.outputs;
        return sampler;
    }

    /// The same for numbers in braces.
    Fallible<Sampler> sampler(std::initializer_list<double> parameters,
                              const SamplerOptions &options = {}) const {
        return sampler(Span<const double>(parameters.begin(), parameters.size()), options);
    }

    /// Values at points of which each has parameters of its own: a query of many times, say, or of
    /// particles that carry them.
    ///
    /// @param parameters  a row per point, `[count][parameters]` if without gaps
    /// @param points      coordinates, `[count][dims]` if without gaps
    /// @param values      receives the results, `[count][outputs]` if without gaps
    ///
    /// Fails with `Status::invalid_argument`, or `Status::outside_domain` by policy, naming the
    /// first such point; then nothing is written.
    Fallible<void> query(const Parameters &parameters, const Points &points, const Values &values,
                         const SamplerOptions &options = {}) const {
        const drr_points from = points.raw(info_.dims);
        const drr_parameters rows = parameters.raw(info_.parameters, from.count);
        const drr_sampler_options raw = detail::raw(options);
        drr_values to;
        return detail::checked(
            {is_open(), parameters.problem(info_.parameters), points.problem(info_.dims),
             values.problem("values", {from.count}, {info_.outputs})},
            [&] { return drr_model_query(get(), &rows, &raw, &from, values.get(to)); });
    }

    /// Values at the same points for many sets of parameters, bit by bit those of a sampler for
    /// each, but sooner.
    ///
    /// @param parameters  a row per set, `[sets][parameters]` if without gaps
    /// @param points      coordinates, `[count][dims]` if without gaps
    /// @param values      receives the results, `[sets][count][outputs]` if without gaps; if
    ///                    strided, where those of the first set go
    /// @param set_stride  bytes from the results of one set to those of the next, may be negative;
    ///                    needed if `values` is strided and there are several sets
    ///
    /// Fails as `query`, naming the first such set or point.
    Fallible<void> query_sets(const Parameters &parameters, const Points &points,
                              const Values &values, const SamplerOptions &options = {},
                              std::ptrdiff_t set_stride = 0) const {
        const drr_points from = points.raw(info_.dims);
        const drr_parameters rows = parameters.raw(info_.parameters, 0);
        const drr_sampler_options raw = detail::raw(options);
        drr_values to;
        return detail::checked(
            {is_open(), parameters.problem(info_.parameters), points.problem(info_.dims),
             values.problem("values", {rows.count, from.count}, {info_.outputs})},
            [&] {
                return drr_model_query_sets(get(), &rows, &raw, &from, values.get(to), set_stride);
            });
    }

    /// Copies the model to a GPU, compares some hundred values there with those of the CPU, and
    /// waits for both. This thread's current context is the same afterwards.
    ///
    /// @param ordinal  number of the GPU, as CUDA counts
    ///
    /// Fails with `Status::no_device`, `Status::out_of_memory`, `Status::unsupported` if the GPU,
    /// its driver or this build cannot run the model, or `Status::device` if it fails or its values
    /// are not those of the CPU.
    Fallible<DeviceModel> to_device(std::uint32_t ordinal,
                                    const DeviceOptions &options = {}) const {
        auto raw = detail::sized<drr_device_options>();
        raw.kernel = static_cast<std::uint32_t>(options.kernel);
        raw.context = options.context;
        drr_device_model *handle = nullptr;
        const drr_status status = drr_model_to_device(get(), ordinal, &raw, &handle);
        if (status != DRR_OK)
            return detail::failed<DeviceModel>(status);
        DeviceModel model;
        model.handle_.reset(handle);
        model.dims_ = info_.dims;
        model.parameters_ = info_.parameters;
        model.outputs_ = info_.outputs;
        return model;
    }

    /// Closes it now; it is empty then. Its samplers stay valid, texts that it gave out do not.
    void close() noexcept { *this = Model(); }

    /// Whether it is not empty.
    explicit operator bool() const noexcept { return handle_ != nullptr; }

    /// For functions of drr.h; stays owned by this object. NULL if empty.
    drr_model *get() const noexcept { return handle_.get(); }

  private:
    struct Close {
        void operator()(drr_model *model) const noexcept { drr_model_close(model); }
    };

    template <class Open>
    static Fallible<Model> opened(const OpenOptions &options, const Open &open) {
        // A library found at run time can be another one than that of the header.
        if (drr_abi_version() != DRR_ABI_VERSION)
            return detail::failed<Model>(
                Error(Status::unsupported, std::string("libdrr ") + drr_version() +
                                               " does not fit the drr.h of this program"));
        auto raw = detail::sized<drr_open_options>();
        raw.storage = static_cast<std::uint32_t>(options.storage);
        raw.checksums = static_cast<std::uint32_t>(options.checksums);
        raw.threads = options.threads;
        drr_model *handle = nullptr;
        drr_status status = open(&raw, &handle);
        Model model;
        model.handle_.reset(handle);
        auto info = detail::sized<drr_model_info>();
        if (status == DRR_OK)
            status = drr_model_get_info(handle, &info);
        if (status != DRR_OK)
            return detail::failed<Model>(status);
        model.info_ = {info.dims,         info.parameters, info.outputs,   info.file_bytes,
                       info.memory_bytes, info.kernel,     info.spec_json, info.is_radiance != 0};
        return model;
    }

    Fallible<Range> range(drr_status (*get_range)(const drr_model *, std::uint32_t,
                                                  drr_range_info *),
                          std::uint32_t index) const {
        auto info = detail::sized<drr_range_info>();
        if (const drr_status status = get_range(get(), index, &info); status != DRR_OK)
            return detail::failed<Range>(status);
        return Range{info.name, info.unit, info.min, info.max,
                     static_cast<Transform>(info.transform)};
    }

    detail::Problem is_open() const { return detail::is_open(get(), "model"); }

    std::unique_ptr<drr_model, Close> handle_;
    Info info_;
};

} // inline namespace
} // namespace drr

#endif // DRR_HPP
