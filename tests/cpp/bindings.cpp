// The C++ wrapper says what the C interface says, in every layout, and every mistake is an error.
//
// usage: bindings MODEL
//
// Compiled with exceptions and, with DRR_NO_EXCEPTIONS, without: DONE, taken and failure hide the
// difference.
#include "drr.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <new>
#include <thread>
#include <vector>
#if __cplusplus >= 202002L
#include <span>
#endif

#define CHECK(condition) check((condition), #condition, __LINE__)

static void check(bool condition, const char *text, int line) {
    if (!condition) {
        std::fprintf(stderr, "line %d: %s\n  last error: %s\n", line, text, drr_last_error());
        std::exit(1);
    }
}

#ifdef DRR_NO_EXCEPTIONS

#define DONE(call) CHECK((call).has_value())

template <class T> static T taken(drr::Result<T> result) {
    CHECK(result && result.status() == drr::Status::ok);
    return *std::move(result);
}

template <class Call> static drr::Error failure(const Call &call) {
    const auto result = call();
    CHECK(!result && result.status() == result.error().status());
    return result.error();
}

#else

#define DONE(call) (call)

template <class T> static T taken(T value) { return value; }

template <class Call> static drr::Error failure(const Call &call) {
    try {
        call();
    } catch (const drr::Error &error) {
        return error;
    }
    check(false, "an exception", __LINE__);
    std::abort();
}

#endif

#define REFUSED(expected, call) refused(drr::Status::expected, failure([&] { return call; }), #call)
#define INVALID(call) REFUSED(invalid_argument, call)

static drr::Error refused(drr::Status status, const drr::Error &error, const char *text) {
    if (error.status() != status || *error.what() == '\0') {
        std::fprintf(stderr, "%s: %s\n", drr::status_name(error.status()), error.what());
        check(false, text, __LINE__);
    }
    return error;
}

// Counted, since queries allocate nothing.
static std::size_t allocations = 0;

void *operator new(std::size_t size) {
    allocations++;
    if (void *memory = std::malloc(size))
        return memory;
    std::abort();
}
void operator delete(void *memory) noexcept { std::free(memory); }
void operator delete(void *memory, std::size_t) noexcept { std::free(memory); }

constexpr std::size_t count = 101, dims = 3, outputs = 2;

struct Particle {
    char name[3];
    double x, y, z;
    float energy[2];
    float parameters[2];
};

// Numbers that 32 and 64 bits hold alike, and what the C interface says there.
struct Expected {
    double points[count * dims], values[count * outputs];
    double by_position[count * outputs * dims], by_parameters[count * outputs * 2];

    explicit Expected(const drr::Sampler &sampler) {
        for (std::size_t i = 0; i < count; i++)
            for (std::size_t k = 0; k < dims; k++)
                points[i * dims + k] =
                    static_cast<double>((i * 37 + k * 61 + i * k * 5) % 256) / 256;
        CHECK(drr_sampler_query_gradient_f64(sampler.get(), count, points, values, by_position,
                                             by_parameters) == DRR_OK);
        CHECK(values[0] != values[outputs]);
    }
};

static void descriptions(const drr::Model &model) {
    const drr::Info &info = model.info();
    CHECK(info.dims == dims && info.parameters == 2 && info.outputs == outputs);
    CHECK(info.file_bytes > 0 && info.memory_bytes >= info.file_bytes);
    CHECK(!info.kernel.empty() && info.spec_json[0] == '{');
    CHECK(taken(model.axis(1)).name == "y" && taken(model.axis(1)).max == 1);
    CHECK(taken(model.parameter(1)).name == "q" && taken(model.parameter(1)).unit.empty());
    CHECK(taken(model.value(0)).min == -1 && taken(model.value(1)).unit == "K");
    INVALID(model.axis(3));
    INVALID(model.parameter(2));
    CHECK(taken(model.value(0)).transform == drr::Transform::linear);
    CHECK(taken(model.value(1)).transform == drr::Transform::log);
    INVALID(model.value(2));
    CHECK(std::strcmp(drr::status_name(drr::Status::io), "DRR_ERROR_IO") == 0);
    CHECK(std::strcmp(drr::version(), drr_version()) == 0);
}

template <class Values> static bool equal(const Values &values, const Expected &expected) {
    for (std::size_t i = 0; i < count * outputs; i++)
        if (static_cast<float>(values[i]) != static_cast<float>(expected.values[i]))
            return false;
    return true;
}

static void arrays_without_gaps(const drr::Sampler &sampler, const Expected &expected) {
    const double *first = expected.points;
    const std::vector<float> floats(first, first + count * dims);
    const std::vector<double> doubles(floats.begin(), floats.end());
    std::vector<float> values32(count * outputs);
    std::vector<double> values(count * outputs);
    DONE(sampler.query(floats, values32));
    CHECK(equal(values32, expected));
    DONE(sampler.query(doubles, values));
    CHECK(std::memcmp(values.data(), expected.values, sizeof expected.values) == 0);

    static double plain_points[count][dims], plain[count][outputs];
    std::memcpy(plain_points, expected.points, sizeof plain_points);
    DONE(sampler.query(plain_points, plain));
    CHECK(std::memcmp(plain, expected.values, sizeof plain) == 0);

    std::vector<std::array<double, 3>> triples(count);
    std::memcpy(triples.data(), expected.points, sizeof expected.points);
    std::array<std::array<double, outputs>, count> pairs{};
    DONE(sampler.query(triples, pairs));
    CHECK(std::memcmp(pairs.data(), expected.values, sizeof expected.values) == 0);

    std::fill(values.begin(), values.end(), 0);
    DONE(sampler.query(drr::Span(first, count * dims), drr::Span(values.data(), values.size())));
    CHECK(equal(values, expected));
#if __cplusplus >= 202002L
    std::fill(values.begin(), values.end(), 0);
    DONE(sampler.query(std::span(doubles), std::span(values)));
    CHECK(equal(values, expected));
#endif
    const std::vector<double> none;
    std::vector<double> nowhere;
    DONE(sampler.query(none, nowhere));
}

static void arrays_with_gaps(const drr::Sampler &sampler, const Expected &expected) {
    std::vector<float> x, y, z, planes(outputs * count);
    std::vector<Particle> particles(count);
    for (std::size_t i = 0; i < count; i++) {
        const double *point = expected.points + i * dims;
        x.push_back(static_cast<float>(point[0]));
        y.push_back(static_cast<float>(point[1]));
        z.push_back(static_cast<float>(point[2]));
        particles[i] = {"ab", point[0], point[1], point[2], {}, {}};
    }
    DONE(sampler.query(drr::Points::separate(x, y, z),
                       drr::Values::strided(planes.data(), sizeof(float), count * sizeof(float))));
    Particle &p = particles[0];
    DONE(sampler.query(drr::Points::strided(count, {&p.x, &p.y, &p.z}, sizeof p),
                       drr::Values::strided(p.energy, sizeof p)));
    std::vector<double> backwards(count * outputs);
    const double *last = expected.points + (count - 1) * dims;
    const auto back = -static_cast<std::ptrdiff_t>(dims * sizeof(double));
    DONE(sampler.query(drr::Points::strided(count, {last, last + 1, last + 2}, back), backwards));
    for (std::size_t i = 0; i < count; i++) {
        for (std::size_t k = 0; k < outputs; k++) {
            const auto value = static_cast<float>(expected.values[i * outputs + k]);
            CHECK(planes[k * count + i] == value);
            CHECK(particles[i].energy[k] == value);
            CHECK(backwards[(count - 1 - i) * outputs + k] == expected.values[i * outputs + k]);
        }
        CHECK(std::strcmp(particles[i].name, "ab") == 0 && particles[i].parameters[0] == 0);
    }

    // A plane: one z for all points.
    std::vector<double> flat(count * outputs), points(expected.points, last + 3);
    for (std::size_t i = 0; i < count; i++)
        points[3 * i + 2] = 0.5;
    const double plane = 0.5;
    DONE(sampler.query(points, flat));
    DONE(sampler.query(drr::Points::strided(count, {points.data(), points.data() + 1, &plane},
                                            {3 * sizeof(double), 3 * sizeof(double), 0}),
                       backwards));
    CHECK(flat == backwards && !equal(flat, expected));

    // The same point for all.
    DONE(sampler.query(drr::Points::strided(count, {last, last + 1, last + 2}, 0), flat));
    CHECK(std::memcmp(&flat[outputs], &expected.values[(count - 1) * outputs],
                      outputs * sizeof(double)) == 0);
}

static void halves(const drr::Sampler &sampler, const Expected &expected) {
    std::vector<drr::Half> values(count * outputs);
    DONE(sampler.query(expected.points, values));
    for (std::size_t i = 0; i < values.size(); i++) {
        const double value = expected.values[i];
        const double error = std::fabs(static_cast<double>(static_cast<float>(values[i])) - value);
        CHECK(error <= std::fabs(value) / 2048 + 1e-7);
    }
    CHECK(static_cast<float>(drr::Half{0xc500}) == -5);
    CHECK(static_cast<float>(drr::Half{0x0001}) == std::ldexp(1.0F, -24));
    CHECK(static_cast<float>(drr::Half{0xfc00}) == -std::numeric_limits<float>::infinity());
    CHECK(std::isnan(static_cast<float>(drr::Half{0x7e00})));
}

static void gradients(const drr::Sampler &sampler, const Expected &expected) {
    std::vector<double> values(count * outputs), by_position(count * outputs * dims);
    std::vector<float> by_parameters(count * outputs * 2);
    DONE(sampler.query_gradient(expected.points, values, by_position, by_parameters));
    CHECK(std::memcmp(values.data(), expected.values, sizeof expected.values) == 0);
    CHECK(std::memcmp(by_position.data(), expected.by_position, sizeof expected.by_position) == 0);
    for (std::size_t i = 0; i < by_parameters.size(); i++)
        CHECK(by_parameters[i] == static_cast<float>(expected.by_parameters[i]));

    static double planes[dims][outputs][count];
    const auto strided = drr::Gradients::strided(planes[0][0], sizeof(double), sizeof planes[0][0],
                                                 sizeof planes[0]);
    DONE(sampler.query_gradient(expected.points, {}, strided));
    for (std::size_t i = 0; i < count; i++)
        CHECK(planes[2][1][i] == expected.by_position[(i * outputs + 1) * dims + 2]);

    DONE(sampler.query_gradient(expected.points, {}, {}, by_parameters));
    by_parameters.pop_back();
    INVALID(sampler.query_gradient(expected.points, {}, {}, by_parameters));
    INVALID(sampler.query_gradient(expected.points, {}, by_parameters));
}

static void lattices(const drr::Sampler &sampler) {
    const drr::Lattice lattice{{5, 3, 2}, {0.1, 0.2, 0.3}, {0.05, 0.1, 0.2}};
    std::vector<std::array<double, 3>> points;
    for (int z = 0; z < 2; z++)
        for (int y = 0; y < 3; y++)
            for (int x = 0; x < 5; x++)
                points.push_back({0.1 + x * 0.05, 0.2 + y * 0.1, 0.3 + z * 0.2});
    std::vector<double> expected(points.size() * outputs), values(expected.size());
    DONE(sampler.query(points, expected));
    DONE(sampler.query_lattice(lattice, values));
    for (std::size_t i = 0; i < values.size(); i++)
        CHECK(std::fabs(values[i] - expected[i]) <= 1e-5 * (1 + std::fabs(expected[i])));
    CHECK(values.front() != values.back());
    values.push_back(0);
    INVALID(sampler.query_lattice(lattice, values));
    values.clear();
    DONE(sampler.query_lattice({{5, 0, 2}, {}, {}}, values));
}

/// Results in arrays of their own, and in the inner cells of larger ones.
static void parts_and_separate_arrays(const drr::Sampler &sampler, const Expected &expected) {
    std::vector<float> u(count), v(count);
    DONE(sampler.query(expected.points, drr::Values::separate(u, v)));
    std::vector<std::array<double, 2>> wide(count);
    DONE(sampler.query(expected.points,
                       drr::Values::strided({&wide[0][1], &wide[0][0]}, sizeof wide[0])));
    static double slopes[outputs * dims][count];
    DONE(sampler.query_gradient(
        expected.points, drr::Values::separate(u, v),
        drr::Gradients::strided({slopes[5], slopes[4], slopes[3], slopes[2], slopes[1], slopes[0]},
                                sizeof(double))));
    for (std::size_t i = 0; i < count; i++) {
        const double *values = expected.values + i * outputs;
        CHECK(u[i] == static_cast<float>(values[0]) && v[i] == static_cast<float>(values[1]));
        CHECK(wide[i][1] == values[0] && wide[i][0] == values[1]);
        for (std::size_t n = 0; n < outputs * dims; n++)
            CHECK(slopes[5 - n][i] == expected.by_position[i * outputs * dims + n]);
    }
    v.pop_back();
    INVALID(sampler.query(expected.points, drr::Values::separate(u, v)));
    INVALID(sampler.query(expected.points, drr::Values::separate(v, v)));
    v.push_back(0);
    INVALID(sampler.query(expected.points, drr::Values::separate(u, v, v)));
    INVALID(sampler.query(expected.points, drr::Values::strided({u.data()}, sizeof(float))));

    const drr::Lattice lattice{{5, 3, 2}, {0.1, 0.2, 0.3}, {0.05, 0.1, 0.2}};
    static double packed[2][3][5][outputs], ghosts[4][5][7][outputs], by[2][3][5][outputs][dims];
    static double turned[outputs][5][3][2], parts[outputs * dims][4][5][7];
    DONE(sampler.query_lattice(lattice, drr::Span(&packed[0][0][0][0], 30 * outputs)));
    DONE(sampler.query_lattice(
        lattice, drr::Values::lattice(ghosts[1][1][1], {sizeof ghosts[0][0][0], sizeof ghosts[0][0],
                                                        sizeof ghosts[0]})));
    DONE(sampler.query_lattice(
        lattice, drr::Values::lattice({&turned[0][0][0][0], &turned[1][0][0][0]},
                                      {sizeof turned[0][0], sizeof turned[0][0][0], 8})));
    DONE(sampler.query_lattice_gradient(lattice, {}, by));
    DONE(sampler.query_lattice_gradient(
        lattice, {},
        drr::Gradients::lattice(&parts[0][1][1][1], {8, sizeof parts[0][0][0], sizeof parts[0][0]},
                                dims * sizeof parts[0], sizeof parts[0])));
    for (std::size_t i = 0; i < 30; i++) {
        const std::size_t x = i % 5, y = i / 5 % 3, z = i / 15;
        for (std::size_t k = 0; k < outputs; k++) {
            CHECK(ghosts[z + 1][y + 1][x + 1][k] == packed[z][y][x][k]);
            CHECK(turned[k][x][y][z] == packed[z][y][x][k]);
            for (std::size_t c = 0; c < dims; c++)
                CHECK(parts[k * dims + c][z + 1][y + 1][x + 1] == by[z][y][x][k][c]);
        }
    }
    CHECK(ghosts[1][1][0][0] == 0 && ghosts[1][1][6][0] == 0 && ghosts[1][4][1][0] == 0);
    INVALID(sampler.query(expected.points, drr::Values::lattice(ghosts[1][1][1], {16, 112, 560})));
}

static void many_parameters(const drr::Model &model, const Expected &expected) {
    constexpr std::size_t sets = 5;
    std::vector<double> rows(2 * count), values(count * outputs), c_values(count * outputs);
    std::vector<Particle> particles(count);
    for (std::size_t i = 0; i < count; i++) {
        const double *point = expected.points + i * dims;
        rows[2 * i] = static_cast<double>(i * 29 % 64) / 64;
        rows[2 * i + 1] = static_cast<double>(i * 43 % 32) / 32;
        particles[i] = {"ab", point[0], point[1], point[2], {}, {}};
        particles[i].parameters[0] = static_cast<float>(rows[2 * i]);
        particles[i].parameters[1] = static_cast<float>(rows[2 * i + 1]);
    }
    CHECK(drr_model_query_f64(model.get(), count, expected.points, rows.data(), c_values.data()) ==
          DRR_OK);
    DONE(model.query(rows, expected.points, values));
    CHECK(values == c_values);
    Particle &p = particles[0];
    DONE(model.query(drr::Parameters::strided(count, p.parameters, sizeof p),
                     drr::Points::strided(count, {&p.x, &p.y, &p.z}, sizeof p),
                     drr::Values::strided(p.energy, sizeof p)));
    for (std::size_t i = 0; i < count; i++)
        CHECK(particles[i].energy[1] == static_cast<float>(values[2 * i + 1]));
    std::vector<double> of_one(values), again(values);
    DONE(model.query(drr::Parameters::strided(count, &rows[2], 0), expected.points, of_one));
    DONE(taken(model.sampler({rows[2], rows[3]})).query(expected.points, again));
    for (std::size_t i = 0; i < again.size(); i++)
        CHECK(std::fabs(of_one[i] - again[i]) <= 1e-5 * (1 + std::fabs(again[i])));
    INVALID(model.query(drr::Span(rows.data(), 2 * count - 1), expected.points, values));
    INVALID(model.query(drr::Span(rows.data(), 2 * count - 2), expected.points, values));

    const drr::Span table(rows.data(), 2 * sets);
    std::vector<double> all(sets * count * outputs), apart(count * sets * outputs);
    DONE(model.query_sets(table, expected.points, all));
    DONE(model.query_sets(table, expected.points,
                          drr::Values::strided(apart.data(), sets * outputs * sizeof(double)), {},
                          outputs * sizeof(double)));
    for (std::size_t s = 0; s < sets; s++) {
        DONE(taken(model.sampler({rows[2 * s], rows[2 * s + 1]})).query(expected.points, values));
        CHECK(std::memcmp(values.data(), &all[s * values.size()], sizeof expected.values) == 0);
        for (std::size_t i = 0; i < count; i++)
            CHECK(apart[(i * sets + s) * outputs] == values[i * outputs]);
    }
    all.pop_back();
    INVALID(model.query_sets(table, expected.points, all));
}

static void options(const std::string &path) {
    drr::OpenOptions opening;
    opening.storage = drr::Storage::copied;
    opening.checksums = drr::Checksums::skip;
    opening.threads = 2;
    const auto model = taken(drr::Model::open(path, opening));
    opening.threads = 1025;
    INVALID(drr::Model::open(path, opening));

    drr::SamplerOptions answering;
    answering.outside = drr::Outside::error;
    const auto strict = taken(model.sampler({0.25, 0.75}, answering));
    const double outside[] = {0.5, 2, 0.5}, middle[] = {0, 0, 0};
    double values[outputs] = {7, 7}, physical[outputs];
    REFUSED(outside_domain, strict.query(outside, values));
    CHECK(values[0] == 7);
    answering.outside_parameters = drr::Outside::error;
    const std::vector<double> wrong{0.25, 1.75};
    REFUSED(outside_domain, model.sampler(wrong, answering));
    answering.outside_parameters = drr::Outside::zeros;
    INVALID(model.sampler({0.25, 0.75}, answering));

    // [-1, 1] and [0, 1] stand for the same, and the first value is linear from -1 to 2.
    answering = {};
    answering.units = drr::Units::normalized;
    DONE(taken(model.sampler({0.25, 0.75}, answering)).query(middle, values));
    DONE(strict.query(std::array<double, 3>{0.5, 0.5, 0.5}, physical));
    CHECK(values[0] != physical[0]);
    answering.outside_parameters = drr::Outside::nan;
    DONE(model.query(wrong, middle, values, answering));
    CHECK(std::isnan(values[0]));
}

static void mistakes(const drr::Model &model, const drr::Sampler &sampler) {
    const drr::Error missing = REFUSED(io, drr::Model::open("no-such-file"));
    CHECK(std::strstr(missing.what(), "no-such-file") != nullptr);
    CHECK(missing.os_error() == ENOENT);
    CHECK(REFUSED(format, drr::Model::open_memory("no model", 8)).os_error() == 0);
    INVALID(model.sampler({0.5}));
    INVALID(model.sampler({0.5, 0.5, 0.5}));
    INVALID(model.sampler({}));

    std::vector<double> points(3 * dims), values(3 * outputs);
    DONE(sampler.query(points, values));
    values.resize(3 * outputs + 1);
    const drr::Error longer = INVALID(sampler.query(points, values));
    CHECK(std::strcmp(longer.what(), "values has 7 numbers, expected [3][2]") == 0);
    values.resize(3 * outputs - 1);
    INVALID(sampler.query(points, values));
    values.resize(3 * outputs);
    points.resize(3 * dims + 1);
    INVALID(sampler.query(points, values));
    const std::vector<double> x(3), longer_x(4);
    DONE(sampler.query(drr::Points::separate(x, x, x), values));
    INVALID(sampler.query(drr::Points::separate(x, x), values));
    INVALID(sampler.query(drr::Points::separate(x, x, longer_x), values));
    const double *p = points.data();
    INVALID(sampler.query(drr::Points::strided<double>(3, {}, 8), values));
    INVALID(sampler.query(drr::Points::strided(3, {p}, 8), values));
    INVALID(sampler.query(drr::Points::strided(3, {p, p, p, p}, 8), values));
    INVALID(sampler.query(drr::Points::strided(3, {p, p, p}, {8, 8}), values));
    INVALID(sampler.query(std::vector<double>(3), {}));
}

static void moved_and_closed(const std::string &path) {
    static_assert(!std::is_copy_constructible_v<drr::Model>);
    static_assert(!std::is_copy_assignable_v<drr::Sampler>);
    static_assert(std::is_nothrow_move_constructible_v<drr::Model>);
    static_assert(std::is_nothrow_move_assignable_v<drr::Sampler>);
    const std::vector<double> point(dims);
    std::vector<double> values(outputs);
    drr::Model empty, model = taken(drr::Model::open(path));
    CHECK(!empty && model && empty.info().dims == 0);
    empty = std::move(model);
    CHECK(empty && !model && model.get() == nullptr && model.info().kernel.empty());
    drr::Model other_model = std::move(empty);
    CHECK(other_model && !empty && empty.info().kernel.empty());
    empty = std::move(other_model);
    INVALID(model.sampler({0.25, 0.75}));
    INVALID(model.axis(0));
    INVALID(model.query(point, point, values));
    INVALID(model.query_sets(point, point, values));

    drr::Sampler none, sampler = taken(empty.sampler({0.25, 0.75}));
    INVALID(none.query(point, values));
    const drr::Sampler other = std::move(sampler);
    CHECK(other && !sampler);
    INVALID(sampler.query(point, values));
    INVALID(sampler.query_lattice({}, values));
    INVALID(sampler.query_gradient(point, values, {}));
    empty.close();
    empty.close();
    CHECK(!empty && empty.info().dims == 0);
    INVALID(empty.sampler({0.25, 0.75}));
    DONE(other.query(point, values)); // outlives its model
    sampler = taken(taken(drr::Model::open(path)).sampler({0.25, 0.75}));
    sampler.close();
    INVALID(sampler.query(point, values));
}

static void memory_is_copied(const std::string &path, const Expected &expected) {
    std::ifstream file(path, std::ios::binary);
    std::vector<char> bytes((std::istreambuf_iterator<char>(file)), {});
    const auto model = taken(drr::Model::open_memory(bytes.data(), bytes.size()));
    std::fill(bytes.begin(), bytes.end(), '\0');
    std::vector<double> values(count * outputs);
    DONE(taken(model.sampler({0.25, 0.75})).query(expected.points, values));
    CHECK(equal(values, expected));
}

static void threads_agree(const drr::Sampler &sampler, const Expected &expected) {
    std::vector<std::thread> threads;
    for (int n = 0; n < 4; n++)
        threads.emplace_back([&] {
            static thread_local double values[count * outputs];
            for (int round = 0; round < 20; round++) {
                DONE(sampler.query(expected.points, values));
                CHECK(equal(values, expected));
            }
        });
    for (std::thread &thread : threads)
        thread.join();
}

// A model of two axes, one parameter and one value.
static void fewer_dimensions(const std::string &path) {
    const auto model = taken(drr::Model::open(path));
    const auto sampler = taken(model.sampler({0.25}));
    CHECK(model.info().dims == 2 && model.info().outputs == 1);
    const std::vector<double> x{0.5, 0.75, 0.5, 0.75}, y{0.25, 0.25, 0.5, 0.5};
    const std::vector<double> points{0.5, 0.25, 0.75, 0.25, 0.5, 0.5, 0.75, 0.5};
    std::vector<double> expected(4), values(4), slopes(8);
    CHECK(drr_sampler_query_f64(sampler.get(), 4, points.data(), expected.data()) == DRR_OK);
    CHECK(expected[0] != expected[1] && expected[1] != expected[2]);
    DONE(sampler.query(drr::Points::separate(x, y), values));
    CHECK(values == expected);
    INVALID(sampler.query(drr::Points::separate(x, y, y), values));
    INVALID(sampler.query(x, values));
    DONE(sampler.query_lattice({{2, 2, 1}, {0.5, 0.25}, {0.25, 0.25}}, values));
    for (std::size_t i = 0; i < 4; i++)
        CHECK(std::fabs(values[i] - expected[i]) < 1e-5);
    DONE(sampler.query_gradient(points, values, slopes));
    CHECK(values == expected && slopes[0] != slopes[1]);
}

// A radiance field in a box from -1 to 1: what the C interface says, and what does not fit.
static void radiance_fields(const std::string &path) {
    constexpr std::uint64_t width = 9, height = 7, pixels = width * height;
    const auto model = taken(drr::Model::open(path));
    CHECK(model.info().is_radiance);
    const auto sampler = taken(model.sampler({0.5}));
    drr::Camera camera;
    camera.to_world = {1, 0, 0, 0, 0, 0, -1, -4, 0, 1, 0, 0};
    camera.focal = {12, 12};
    camera.centre = {4.5, 3.5};
    std::vector<float> rgba(4 * pixels), depth(pixels), scene(pixels, 2.5F);
    DONE(sampler.render(camera, width, height, rgba, depth));
    CHECK(rgba[4 * (pixels / 2) + 3] > 0.9F && depth[pixels / 2] > 3 && rgba[3] == 0);
    drr_camera raw{};
    raw.struct_size = sizeof raw;
    for (std::size_t k = 0; k < 12; k++)
        raw.to_world[k] = camera.to_world[k];
    raw.focal_x = raw.focal_y = 12;
    raw.centre_x = 4.5;
    raw.centre_y = 3.5;
    std::vector<float> expected(4 * pixels), found(4 * pixels), depths(pixels);
    CHECK(drr_radiance_render(sampler.get(), &raw, width, height, nullptr, expected.data(),
                              nullptr) == DRR_OK);
    CHECK(rgba == expected);

    const std::vector<double> eye{0, -4, 0};
    std::vector<std::array<double, 3>> rays;
    for (std::size_t i = 0; i < pixels; i++)
        rays.push_back({(static_cast<double>(i % width) + 0.5 - 4.5) / 12, 1,
                        -(static_cast<double>(i / width) + 0.5 - 3.5) / 12});
    const auto origins = drr::Points::strided(pixels, {&eye[0], &eye[1], &eye[2]}, 0);
    DONE(sampler.render_rays(origins, rays, found, depths));
    CHECK(found == expected && depths == depth);

    drr::RenderOptions options;
    options.depth = drr::Depth::along_axis;
    options.output = drr::RenderOutput::opaque;
    options.background = {0.25, 0.5, 1};
    DONE(sampler.render(camera, width, height, found, depths, options, scene));
    CHECK(found[0] == 0.25F && found[2] == 1 && found[3] == 1 && depths[pixels / 2] == 2.5F);

    const std::vector<float> points{0, 0, 0, 2, 0, 0}, along{0, 0, -1, 0, 0, -1};
    std::vector<float> values(8);
    DONE(sampler.radiance(points, along, values));
    CHECK(values[0] > 1 && values[1] > 0 && values[4] == 0);

    INVALID(sampler.render(camera, width, height + 1, rgba));
    INVALID(sampler.render(camera, width, height, rgba, drr::Span(depth.data(), 5)));
    INVALID(sampler.render(camera, width, height, rgba, {}, {}, drr::Span(scene.data(), 5)));
    INVALID(sampler.render_rays(rays, rays, drr::Span(rgba.data(), 8)));
    INVALID(sampler.render_rays(rays, rays, rgba, depth, options));
    INVALID(sampler.radiance(points, along, drr::Span(values.data(), 6)));
    camera.focal[0] = 0;
    INVALID(sampler.render(camera, width, height, rgba));
}

static void queries_allocate_nothing(const drr::Model &model, const drr::Sampler &sampler,
                                     const Expected &expected) {
    const std::vector<double> rows(2 * count, 0.5);
    std::vector<double> values(count * outputs), gradient(count * outputs * dims);
    const std::size_t before = allocations;
    DONE(sampler.query(expected.points, values));
    DONE(sampler.query_lattice({{101, 1, 1}, {}, {0.01, 0, 0}}, values));
    DONE(sampler.query_gradient(expected.points, values, gradient));
    DONE(model.query(rows, expected.points, values));
    DONE(model.query_sets(drr::Span(rows.data(), 2), expected.points, values));
    CHECK(allocations == before);
}

int main(int argument_count, char **arguments) {
    if (argument_count < 2) {
        std::fprintf(stderr, "usage: bindings MODEL\n");
        return 2;
    }
    const std::string path = arguments[1];
    const drr::Model model = taken(drr::Model::open(path));
    const drr::Sampler sampler = taken(model.sampler({0.25, 0.75}));
    const auto expected = std::make_unique<Expected>(sampler);
    descriptions(model);
    arrays_without_gaps(sampler, *expected);
    arrays_with_gaps(sampler, *expected);
    halves(sampler, *expected);
    gradients(sampler, *expected);
    lattices(sampler);
    parts_and_separate_arrays(sampler, *expected);
    many_parameters(model, *expected);
    options(path);
    mistakes(model, sampler);
    moved_and_closed(path);
    memory_is_copied(path, *expected);
    threads_agree(sampler, *expected);
    fewer_dimensions(path + ".plane");
    radiance_fields(path + ".radiance");
    queries_allocate_nothing(model, sampler, *expected);
    return 0;
}
