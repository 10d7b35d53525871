// The C++ wrapper trains in situ, frees what it made, and throws what went wrong.
#include <drr_train.hpp>

#include "insitu.h"

#include <utility>

namespace {

template <class Call> void throws(drr_train_status status, const char *reason, const Call &call) {
    try {
        call();
    } catch (const drr::train::Error &error) {
        CHECK(error.status() == status && strstr(error.what(), reason) != nullptr);
        return;
    }
    CHECK(false); // An error was expected.
}

void give_back(const void *, void *user_data) { ++*static_cast<int *>(user_data); }

} // namespace

int main(int count, char **arguments) {
    using namespace drr::train;
    CHECK(count == 2);
    std::vector<float> values(POINTS);
    std::vector<std::vector<double>> fields;
    int released = 0;
    Data data{{NX, NY, NZ}};
    data.axes = {{"x", "m", 0.0, 1.0}, {"y", "m", 0.0, 1.0}, {"z", "m", 0.0, 1.0}};
    data.parameters = {{"time", "s", 0.0, 2.0}};
    data.values = {{"temperature", "K"}};
    Options options;
    options.threads = 1;
    options.seed = 3;
    throws(DRR_TRAIN_ERROR_INVALID_ARGUMENT, "stepz",
           [&] { Session(MODEL "train: {stepz: 3}\n", data, options); });
    {
        Session moved(MODEL, data, options);
        Session session = std::move(moved);
        throws(DRR_TRAIN_ERROR_INVALID_ARGUMENT, "session is NULL", [&] { moved.step(1); });
        throws(DRR_TRAIN_ERROR_NOT_READY, "no member", [&] { session.step(1); });
        for (int n = 0; n < TIMES; n++) {
            fill(values.data(), time_of(n));
            fields.emplace_back(values.begin(), values.end());
            const double *first = fields.back().data();
            constexpr std::int64_t number = sizeof(double);
            for (std::uint64_t half = 0; half < 2; half++) {
                auto block = Block::part(first + half * (NX / 2), {half * (NX / 2), 0, 0},
                                         {NX / 2, NY, NZ}, {0, NX * number, NX * NY * number});
                block.borrow(give_back, &released);
                CHECK(session.add({time_of(n)}, block) == (half == 1));
            }
        }
        CHECK(session.step(50, 1e9, [](const Progress &now) { return now.step == 7; }) == 7);
        try {
            session.step(50, 0.0, [](const Progress &) -> bool { throw std::string("mine"); });
            CHECK(false); // It was thrown on.
        } catch (const std::string &mine) {
            CHECK(mine == "mine");
        }
        CHECK(session.step(300) == 300 && session.info().steps == 308);
        const auto quality = session.evaluate({time_of(2)}, Block::whole(fields[2].data()));
        CHECK(quality.psnr > 25.0 && quality.points == POINTS);
        const std::string folder = arguments[1];
        BakeOptions exact;
        exact.grid = DRR_TRAIN_GRID_F32;
        session.bake(folder + "/file", exact);
        session.save(folder + "/run");
        session.restore(folder + "/run");
        for (const drr::Model &model :
             {drr::Model::open(folder + "/file"), session.bake_model(exact)}) {
            const auto sampler = model.sampler({time_of(2)});
            const std::vector<double> point = {3.0 / (NX - 1), 2.0 / (NY - 1), 1.0 / (NZ - 1)};
            std::vector<double> value(1);
            sampler.query(point, value);
            CHECK(std::fabs(value[0] - truth(3, 2, 1, time_of(2))) < 1.001 * quality.max_error);
        }
        CHECK(released == 0);
    }
    CHECK(released == 2 * TIMES);
    return 0;
}
