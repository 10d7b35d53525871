// What is in a baked file, and what does it say? A tutorial of the C++ interface.
//
// usage: query MODEL
//
//     c++ -std=c++17 -Iinclude -Ibindings/cpp examples/cpp/query.cpp -Ltarget/release -ldrr
//
// Asks at the middle of all ranges: one point, then a lattice over the whole domain.
#include <drr.hpp>

#include <cstdio>
#include <string>
#include <vector>

static double middle(const drr::Range &range) { return (range.min + range.max) / 2; }

static void print(const char *kind, const drr::Range &range) {
    std::printf("  %-9s %-12s %g to %g %s\n", kind, std::string(range.name).c_str(), range.min,
                range.max, std::string(range.unit).c_str());
}

static void ask(const char *path) {
    const drr::Model model = drr::Model::open(path);
    const drr::Info &info = model.info();
    std::printf("a model of %.3f MB, evaluated by the %s kernel\n",
                static_cast<double>(info.file_bytes) / 1e6, std::string(info.kernel).c_str());

    std::vector<double> point, parameters;
    drr::Lattice lattice;
    for (std::uint32_t k = 0; k < info.dims; k++) {
        const drr::Range axis = model.axis(k);
        print("axis", axis);
        point.push_back(middle(axis));
        lattice.dims[k] = 16;
        lattice.origin[k] = axis.min;
        lattice.spacing[k] = (axis.max - axis.min) / 15;
    }
    for (std::uint32_t k = 0; k < info.parameters; k++) {
        print("parameter", model.parameter(k));
        parameters.push_back(middle(model.parameter(k)));
    }
    for (std::uint32_t k = 0; k < info.outputs; k++)
        print("value", model.value(k));

    // This is all that a simulation code has to do: bind the model to parameters, ask.
    const drr::Sampler sampler = model.sampler(parameters);
    std::vector<double> values(info.outputs);
    sampler.query(point, values);
    std::printf("in the centre: %g\n", values[0]);

    std::vector<float> volume(lattice.dims[0] * lattice.dims[1] * lattice.dims[2] * info.outputs);
    sampler.query_lattice(lattice, volume);
    double sum = 0;
    for (std::size_t i = 0; i < volume.size(); i += info.outputs)
        sum += static_cast<double>(volume[i]);
    std::printf("mean over a lattice of %zu points: %g\n", volume.size() / info.outputs,
                sum / static_cast<double>(volume.size() / info.outputs));
}

int main(int count, char **arguments) {
    if (count != 2) {
        std::fprintf(stderr, "usage: %s MODEL\n", arguments[0]);
        return 1;
    }
    try {
        ask(arguments[1]);
    } catch (const drr::Error &error) {
        std::fprintf(stderr, "%s: %s\n", drr::status_name(error.status()), error.what());
        return 2;
    }
    return 0;
}
