/// drr_train for C++17: train a neural-field surrogate while a simulation runs.
///
///     auto data = drr::train::Data{{nx, ny, nz}};
///     data.parameters = {{"time", "s", 0.0, 2.0}};
///     auto session = drr::train::Session(config, data);
///     session.add({time}, drr::train::Block::whole(temperature.data()));
///     session.step(100);
///     const drr::Model model = session.bake_model();
///
/// Header only, over the C interface in drr_train.h, which says the rest: link with libdrr_train
/// and libdrr. Failures throw `drr::train::Error`; those of libdrr throw `drr::Error`.

#ifndef DRR_TRAIN_HPP
#define DRR_TRAIN_HPP

#include <drr.hpp>
#include <drr_train.h>

#include <array>
#include <cstdint>
#include <exception>
#include <functional>
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#ifdef DRR_NO_EXCEPTIONS
#error "drr_train.hpp needs exceptions: without them use drr_train.h"
#endif

namespace drr {
namespace train {

/// Why a call failed. `what()` says what was given and what was expected, in UTF-8.
class Error : public std::runtime_error {
  public:
    Error(drr_train_status status, const std::string &message)
        : std::runtime_error(message), status_(status) {}

    drr_train_status status() const noexcept { return status_; }

  private:
    drr_train_status status_;
};

/// An axis, a parameter or a component of the values (whose range is ignored). An empty name is the
/// default of `drr_train_range`.
struct Range {
    std::string name;
    std::string unit;
    double min = 0.0;
    double max = 0.0;
};

/// The fields that will come, see `drr_train_data`.
struct Data {
    /// Points along x, y (, z).
    std::vector<std::uint64_t> points;
    /// x first; empty: x, y, z from -1 to 1.
    std::vector<Range> axes = {};
    std::vector<Range> parameters = {};
    std::vector<Range> values = {Range{}};
    /// Both 0: from the configuration, or found by the first step.
    double value_min = 0.0;
    double value_max = 0.0;
    /// The lattice points that this process gives, x first, with `Options::communicator`.
    std::array<std::uint64_t, 3> own_offset = {0, 0, 0};
    /// All 0: all of them.
    std::array<std::uint64_t, 3> own_extent = {0, 0, 0};
};

/// How to train, see `drr_train_options`.
struct Options {
    std::uint32_t threads = 0;
    std::uint64_t seed = 0;
    drr_train_keep keep = DRR_TRAIN_KEEP_ALL;
    std::uint64_t capacity = 0;
    std::uint32_t entry = 0;
    /// Empty: as the configuration says.
    std::string device = {};
    /// Processes that train together; null: this one alone. `drr_train_mpi.h` makes one.
    const drr_train_communicator *communicator = nullptr;
};

/// How a model is baked, see `drr_train_bake_options`.
struct BakeOptions {
    drr_train_grid grid = DRR_TRAIN_GRID_F16;
    drr_train_decoder decoder = DRR_TRAIN_DECODER_F32;
    drr_train_fold fold = DRR_TRAIN_FOLD_AUTO;
    std::uint64_t rank = 0;
    double max_error = 0.0;
};

/// How training goes, after a step.
struct Progress {
    std::uint64_t step;
    double loss;
    double seconds;
};

/// Values of a member, `float` or `double`; does not own them. They are in the host's memory,
/// unless `on_device` says otherwise.
class Block {
  public:
    /// The whole lattice without gaps, x fastest, the values of a point side by side.
    template <class T> static Block whole(const T *data) {
        static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>,
                      "values are float or double");
        Block block;
        block.raw_.struct_size = sizeof block.raw_;
        block.raw_.scalar = std::is_same_v<T, double> ? DRR_F64 : DRR_F32;
        block.raw_.data = data;
        return block;
    }

    /// A box of points, x first: `first` is the address of its first value, strides are in bytes; 0
    /// means without gaps.
    template <class T>
    static Block part(const T *first, const std::array<std::uint64_t, 3> &offset,
                      const std::array<std::uint64_t, 3> &extent,
                      const std::array<std::int64_t, 3> &stride = {0, 0, 0},
                      std::int64_t value_stride = 0) {
        Block block = whole(first);
        for (std::size_t k = 0; k < 3; k++) {
            block.raw_.offset[k] = offset[k];
            block.raw_.extent[k] = extent[k];
            block.raw_.stride[k] = stride[k];
        }
        block.raw_.value_stride = value_stride;
        return block;
    }

    /// Looked at where it is, until its member leaves (see `drr_train_block`); `release` tells
    /// then.
    Block &borrow(drr_train_release release = nullptr, void *user_data = nullptr) noexcept {
        raw_.memory = DRR_TRAIN_BORROW;
        raw_.release = release;
        raw_.user_data = user_data;
        return *this;
    }

    /// The address is one of a GPU's memory: copied from there by `add`, never borrowed. See
    /// `DRR_TRAIN_DEVICE` for what has to be done before.
    Block &on_device() noexcept {
        raw_.location = DRR_TRAIN_DEVICE;
        return *this;
    }

    const drr_train_block &raw() const noexcept { return raw_; }

  private:
    Block() = default;

    drr_train_block raw_ = {};
};

/// A training in situ. One call at a time; several sessions may be used at the same time.
class Session {
  public:
    /// @param config  text of the configuration, YAML
    Session(const std::string &config, const Data &data, const Options &options = {}) {
        // A library found at run time can be another one than that of the header.
        if (drr_train_abi_version() != DRR_TRAIN_ABI_VERSION)
            throw Error(DRR_TRAIN_ERROR_UNSUPPORTED,
                        std::string("libdrr_train ") + drr_train_version() +
                            " does not fit the drr_train.h of this program");
        const auto axes = ranges(data.axes), parameters = ranges(data.parameters),
                   values = ranges(data.values);
        drr_train_data raw = {};
        raw.struct_size = sizeof raw;
        raw.dims = static_cast<std::uint32_t>(data.points.size());
        for (std::size_t k = 0; k < 3 && k < data.points.size(); k++)
            raw.points[k] = data.points[k];
        raw.axes = data.axes.empty() ? nullptr : axes.data();
        raw.parameters = parameters.data();
        raw.values = values.data();
        raw.parameter_count = static_cast<std::uint32_t>(parameters.size());
        raw.value_count = static_cast<std::uint32_t>(values.size());
        raw.value_min = data.value_min;
        raw.value_max = data.value_max;
        for (std::size_t k = 0; k < 3; k++) {
            raw.own_offset[k] = data.own_offset[k];
            raw.own_extent[k] = data.own_extent[k];
        }
        if (!data.axes.empty() && data.axes.size() != data.points.size())
            throw Error(DRR_TRAIN_ERROR_INVALID_ARGUMENT, std::to_string(data.axes.size()) +
                                                              " axes are given for a lattice of " +
                                                              std::to_string(data.points.size()));
        drr_train_options how = {};
        how.struct_size = sizeof how;
        how.threads = options.threads;
        how.seed = options.seed;
        how.capacity = options.capacity;
        how.keep = options.keep;
        how.entry = options.entry;
        how.device = options.device.empty() ? nullptr : options.device.c_str();
        how.communicator = options.communicator;
        drr_train_session *session = nullptr;
        check(drr_train_create(config.c_str(), &raw, &how, &session));
        handle_.reset(session);
    }

    /// Takes a block of the member with these parameters; whether the member is complete now.
    bool add(const std::vector<double> &parameters, const Block &block) {
        std::uint32_t complete = 0;
        check(drr_train_add_block(handle_.get(), parameters.data(), count(parameters), &block.raw(),
                                  &complete));
        return complete == 1;
    }

    /// Forgets the blocks of members that are not complete.
    void forget_pending() { check(drr_train_forget_pending(handle_.get())); }

    /// Forgets all complete members.
    void forget_members() { check(drr_train_forget_members(handle_.get())); }

    /// Makes steps; how many. `seconds` 0: no limit of time. `progress` is told after each step and
    /// ends the call by `true`; what it throws ends the call, too, and is thrown on.
    std::uint64_t step(std::uint64_t steps, double seconds = 0.0,
                       const std::function<bool(const Progress &)> &progress = {}) {
        Watch watch{progress, nullptr};
        std::uint64_t done = 0;
        const auto status =
            drr_train_step(handle_.get(), steps, seconds, progress ? told : nullptr, &watch, &done);
        if (watch.thrown)
            std::rethrow_exception(watch.thrown);
        check(status);
        return done;
    }

    /// Lets the learning rate fall within `steps` steps.
    void anneal(std::uint64_t steps) { check(drr_train_anneal(handle_.get(), steps)); }

    /// Compares the model with the field of a member, or a block of it.
    drr_train_quality evaluate(const std::vector<double> &parameters, const Block &block) {
        drr_train_quality quality = {};
        quality.struct_size = sizeof quality;
        check(drr_train_evaluate(handle_.get(), parameters.data(), count(parameters), &block.raw(),
                                 &quality));
        return quality;
    }

    /// Where the training stands.
    drr_train_info info() {
        drr_train_info info = {};
        info.struct_size = sizeof info;
        check(drr_train_get_info(handle_.get(), &info));
        return info;
    }

    /// Bakes the model into a file for libdrr.
    void bake(const std::string &path, const BakeOptions &options = {}) {
        const auto raw = raw_of(options);
        check(drr_train_bake(handle_.get(), path.c_str(), &raw));
    }

    /// Bakes the model and opens it with the libdrr of this program.
    Model bake_model(const BakeOptions &options = {}, const OpenOptions &open = {}) {
        const auto raw = raw_of(options);
        const void *data = nullptr;
        std::uint64_t size = 0;
        check(drr_train_bake_memory(handle_.get(), &raw, &data, &size));
        return Model::open_memory(data, static_cast<std::size_t>(size), open);
    }

    /// Stores the training in a folder.
    void save(const std::string &folder) { check(drr_train_save(handle_.get(), folder.c_str())); }

    /// Goes on from what is stored in a folder.
    void restore(const std::string &folder) {
        check(drr_train_restore(handle_.get(), folder.c_str()));
    }

    /// For functions of the C interface.
    drr_train_session *get() const noexcept { return handle_.get(); }

  private:
    struct Free {
        void operator()(drr_train_session *session) const noexcept { drr_train_free(session); }
    };

    struct Watch {
        const std::function<bool(const Progress &)> &progress;
        std::exception_ptr thrown;
    };

    static std::uint32_t told(std::uint64_t step, double loss, double seconds, void *user_data) {
        auto &watch = *static_cast<Watch *>(user_data);
        try {
            return watch.progress(Progress{step, loss, seconds}) ? 1 : 0;
        } catch (...) {
            watch.thrown = std::current_exception();
            return 1;
        }
    }

    static void check(drr_train_status status) {
        if (status != DRR_TRAIN_OK)
            throw Error(status, drr_train_last_error());
    }

    static std::uint32_t count(const std::vector<double> &parameters) {
        return static_cast<std::uint32_t>(parameters.size());
    }

    static std::vector<drr_train_range> ranges(const std::vector<Range> &given) {
        std::vector<drr_train_range> raw;
        for (const Range &range : given)
            raw.push_back({range.name.empty() ? nullptr : range.name.c_str(), range.unit.c_str(),
                           range.min, range.max});
        return raw;
    }

    static drr_train_bake_options raw_of(const BakeOptions &options) {
        drr_train_bake_options raw = {};
        raw.struct_size = sizeof raw;
        raw.grid = options.grid;
        raw.decoder = options.decoder;
        raw.fold = options.fold;
        raw.rank = options.rank;
        raw.max_error = options.max_error;
        return raw;
    }

    std::unique_ptr<drr_train_session, Free> handle_;
};

} // namespace train
} // namespace drr

#endif
