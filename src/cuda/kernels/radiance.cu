// Radiance fields in 32-bit arithmetic: densities and colours at points, pictures along rays.
// docs/format.md has the formulas.

#include "tile.h"

#include "rays.h"

namespace drr {

// Samples that weigh less give no colour: less than any picture shows. They hide what is behind
// them all the same.
constexpr double NEGLIGIBLE = 1.0 / 4194304.0;

// The values of a tile, in `m.front`, whose places are known to the threads that have them.
DRR_DEVICE void evaluate(const Query &q, Memory &m) {
    const Model &model = q.model;
    gather(q, m, 0, model.spatial, KeepNothing{});
    for (u32 l = 0; l < model.layer_count; l++) {
        const Layer &layer = at<Layer>(model, model.layers)[l];
        const float *bias =
            l == 0 ? reinterpret_cast<const float *>(q.binding.bias) : at<float>(model, layer.bias);
        dense(model, l, bias, l == 0 ? model.spatial : layer.inputs, q.tile, m, KeepNothing{});
    }
}

// Density of the point of this thread, from its values.
DRR_DEVICE double density(const Query &q, const Memory &m) {
    const double x = denormalize(q.model, 0, m.front[thread()]);
    return x < 0.0 ? 0.0 : x;
}

// Real spherical harmonics of a direction of length 1, as many as there is room for, up to 16.
DRR_DEVICE void harmonics(const float d[3], u32 count, float *room, u32 stride) {
    const float x = d[0], y = d[1], z = d[2], xx = x * x, yy = y * y, zz = z * z;
    const float all[16] = {
        0.28209479f,
        -0.48860251f * y,
        0.48860251f * z,
        -0.48860251f * x,
        1.09254843f * x * y,
        -1.09254843f * y * z,
        0.31539157f * (3.0f * zz - 1.0f),
        -1.09254843f * x * z,
        0.54627422f * (xx - yy),
        0.59004359f * y * (yy - 3.0f * xx),
        2.89061144f * x * y * z,
        0.45704580f * y * (1.0f - 5.0f * zz),
        0.37317633f * z * (5.0f * zz - 3.0f),
        0.45704580f * x * (1.0f - 5.0f * zz),
        1.44530572f * z * (xx - yy),
        0.59004359f * x * (3.0f * yy - xx),
    };
    DRR_UNROLL for (u32 n = 0; n < 16; n++) if (n < count) room[n * stride] = all[n];
}

// From the values of a tile to its colours, in the first three rows of `m.front`. Each thread has
// the direction from which its point is seen.
DRR_DEVICE void shade(const Query &q, const Field &field, const float direction[3], Memory &m) {
    const Model &model = q.model;
    const u32 tile = q.tile, i = thread(), features = model.outputs - 1;
    // The layers are those of a model that has nothing else.
    Model head = model;
    head.layers = field.layers;
    head.layer_count = field.layer_count;
    if (i < tile) {
        harmonics(direction, field.harmonics, m.back + i, tile);
        for (u32 n = 0; n < features; n++)
            m.back[(field.harmonics + n) * tile + i] =
                float(denormalize(model, 1 + n, m.front[(1 + n) * tile + i]));
        for (u32 n = 0; n < field.harmonics + features; n++) {
            float &x = m.back[n * tile + i];
            x = rounded(head, 0, x);
        }
    }
    barrier();
    swap(m);
    for (u32 l = 0; l < head.layer_count; l++) {
        const Layer &layer = at<Layer>(head, head.layers)[l];
        dense(head, l, at<float>(head, layer.bias), layer.inputs, tile, m, KeepNothing{});
    }
}

// Goes to a ray's next sample, or to those of rays that nobody has begun, until there is one. False
// if there are no more.
DRR_DEVICE bool find_sample(const Render &r, u64 *begun, bool &has_ray, Ray &ray, double &t,
                            double x[3]) {
    const u64 all = numbers(r);
    for (;;) {
        if (!has_ray) {
            const u64 n = take(begun);
            // Blocks take groups in turn.
            const u64 number = (n / GROUP * blocks() + block()) * GROUP + n % GROUP;
            if (number >= all)
                return false;
            const u64 index = index_of(r, number);
            if (index >= r.query.count)
                continue;
            ray = begin(r, index);
            has_ray = true;
        }
        if (next_sample(r, ray, t, x))
            return true;
        finish(r, ray);
        has_ray = false;
    }
}

} // namespace drr

// Densities and colours at points. Blocks take one tile after another; a tile has a thread for each
// point at least.
DRR_KERNEL drr_radiance(const drr::Radiance r) {
    using namespace drr;
    const Query &q = r.query;
    const u32 i = thread();
    Memory m = memory_of(q);
    for (u64 first = u64(block()) * q.tile; first < q.count; first += u64(blocks()) * q.tile) {
        bool is_outside = false, is_lost = false, is_unseen = false;
        double d[3] = {};
        if (i < q.tile) {
            const u64 point = in_tile(q, first, i);
            is_lost = *reinterpret_cast<const u32 *>(q.binding.is_nan) != 0;
            for (u32 k = 0; k < 3; k++) {
                const double x = normalized(q.frame.axes[k], coordinate(q.points, point, k));
                is_lost |= is_nan(x);
                is_outside |= fabs(x) > 1.0;
                m.positions[k * q.tile + i] = to_border(x);
                d[k] = coordinate(r.directions, point, k);
            }
            make_unit(d);
            is_unseen = is_nan(d[0]) || is_nan(d[1]) || is_nan(d[2]);
        }
        const bool is_there = i < q.tile && first + i < q.count;
        const auto give = [&](u32 k, double x) {
            if (is_there)
                write(place(q.results, q.points, first + i, k, 0), q.results.scalar,
                      is_lost      ? not_a_number()
                      : is_outside ? 0.0
                                   : x);
        };
        evaluate(q, m);
        if (is_there)
            give(0, density(q, m));
        const float direction[3] = {float(d[0]), float(d[1]), float(d[2])};
        shade(q, r.field, direction, m);
        for (u32 c = 0; c < 3; c++)
            give(1 + c, is_unseen ? not_a_number() : double(m.front[c * q.tile + i % q.tile]));
        barrier();
    }
}

// Pictures. A thread for each point of the tile has a ray under way, and begins another one where
// that ends, until all rays of the block have; the samples of all of them are evaluated together.
DRR_KERNEL drr_render(const drr::Render r) {
    using namespace drr;
    const Query &q = r.query;
    const u32 i = thread();
    Memory m = memory_of(q);
    u64 *begun = reinterpret_cast<u64 *>(m.end);
    if (i == 0)
        *begun = 0;
    barrier();
    Ray ray = {};
    bool has_ray = false;
    for (;;) {
        double t = 0.0, x[3] = {};
        const bool has_sample = i < q.tile && find_sample(r, begun, has_ray, ray, t, x);
        if (!barrier_any(has_sample))
            return;
        if (i < q.tile)
            for (u32 k = 0; k < 3; k++)
                m.positions[k * q.tile + i] = x[k];
        evaluate(q, m);
        double weight = 0.0;
        if (has_sample)
            weight = meet(ray, t, -expm1(-density(q, m) * r.rays.step));
        const bool is_seen = has_sample && !(weight < NEGLIGIBLE);
        if (!barrier_any(is_seen))
            continue;
        shade(q, r.field, ray.direction, m);
        for (u32 c = 0; is_seen && c < 3; c++)
            ray.colour[c] += weight * double(m.front[c * q.tile + i]);
    }
}
