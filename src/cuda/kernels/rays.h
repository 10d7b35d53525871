// Rays through a radiance field: where they begin, where their samples are, what they add up to.
// In 64 bits, as on the CPU (src/sampler/radiance/): jumps over empty cells end at the same
// samples.
#pragma once

#include "arrays.h"

namespace drr {

// Cells of a block along each axis.
constexpr u32 BLOCK = 8;

// Rays that are numbered together: of a camera, a square of pixels.
constexpr u64 SQUARE = 8, GROUP = SQUARE * SQUARE;

// A sample that falls on the wall of a cell may be on either side by rounding: part of a step by
// which jumps fall short.
constexpr double SHORT = 1e-6;

struct Ray {
    u64 index;
    // In normalised coordinates, where it begins and how it moves per unit of length.
    double start[3], slope[3];
    float direction[3];
    double first, last; // distances between which it is followed, if `first < last`
    double end;         // where it ends if there is nothing
    double slant;       // length along it per depth along the camera's axis
    double clear;       // the part of the light that passes what was met
    double colour[3], distance;
    u32 next; // number of its next sample
};

DRR_DEVICE bool is_nan(double x) { return x != x; }

DRR_DEVICE double length(const double v[3]) {
    return sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
}

// Makes the length of a direction 1; NaN where it has none.
DRR_DEVICE void make_unit(double d[3]) {
    const double largest = fmax(fmax(fabs(d[0]), fabs(d[1])), fabs(d[2]));
    for (u32 k = 0; k < 3; k++)
        d[k] /= largest;
    const double scaled = length(d);
    for (u32 k = 0; k < 3; k++)
        d[k] /= scaled;
}

// The nearest normalised coordinate within the domain; one that is not NaN.
DRR_DEVICE double to_border(double x) { return x > -1.0 ? fmin(x, 1.0) : -1.0; }

// Numbers of the picture's rays, some of which are of no pixel.
DRR_DEVICE u64 numbers(const Render &r) {
    const u64 *size = r.rays.size;
    return r.rays.is_camera
               ? (size[0] + SQUARE - 1) / SQUARE * ((size[1] + SQUARE - 1) / SQUARE) * GROUP
               : r.query.count;
}

// Where the ray of number `n` is in the picture; beyond its count if it is of no pixel.
DRR_DEVICE u64 index_of(const Render &r, u64 n) {
    if (!r.rays.is_camera)
        return n;
    const u64 *size = r.rays.size;
    const u64 across = (size[0] + SQUARE - 1) / SQUARE, square = n / GROUP, within = n % GROUP;
    const u64 x = square % across * SQUARE + within % SQUARE;
    const u64 y = square / across * SQUARE + within / SQUARE;
    return x < size[0] && y < size[1] ? y * size[0] + x : r.query.count;
}

// Between which distances a ray is within the domain, a wall being within for one along it.
DRR_DEVICE void clip(const Render &r, const double origin[3], const double direction[3],
                     double &enter, double &exit) {
    for (u32 k = 0; k < 3; k++) {
        const double low = r.query.frame.axes[k].min, high = r.rays.max[k];
        const double o = origin[k], d = direction[k];
        if (d == 0.0) {
            if (!(o >= low && o <= high))
                exit = enter;
            continue;
        }
        const double a = (low - o) / d, b = (high - o) / d;
        enter = fmax(enter, fmin(a, b));
        exit = fmin(exit, fmax(a, b));
    }
}

// The ray at `index` of the picture. One with a NaN in it passes NaN.
DRR_DEVICE Ray begin(const Render &r, u64 index) {
    const Query &q = r.query;
    const Rays &rays = r.rays;
    double origin[3], direction[3];
    Ray ray = {};
    ray.index = index;
    ray.slant = 1.0;
    if (rays.is_camera) {
        const double x = double(index % rays.size[0]) + 0.5, y = double(index / rays.size[0]) + 0.5;
        const double u = (x - rays.centre[0]) / rays.focal[0],
                     v = (y - rays.centre[1]) / rays.focal[1];
        for (u32 k = 0; k < 3; k++) {
            const double *row = rays.to_world + 4 * k;
            // Down the picture is down in the camera's coordinates, where y is up.
            direction[k] = row[0] * u - row[1] * v - row[2];
            origin[k] = row[3];
        }
        ray.slant = length(direction);
    } else {
        for (u32 k = 0; k < 3; k++) {
            origin[k] = coordinate(q.points, index, k);
            direction[k] = coordinate(rays.directions, index, k);
        }
    }
    make_unit(direction);
    double scene = rays.far;
    if (rays.has_scene_depth) {
        const double depth = coordinate(rays.scene_depth, index, 0);
        const double t = rays.along_axis ? depth * ray.slant : depth;
        scene = is_nan(t) ? t : fmin(scene, t);
    }
    bool lost = is_nan(scene) || *reinterpret_cast<const u32 *>(q.binding.is_nan) != 0;
    for (u32 k = 0; k < 3; k++)
        lost |= is_nan(origin[k]) || is_nan(direction[k]);
    ray.clear = lost ? not_a_number() : 1.0;
    double enter = rays.near, exit = scene;
    clip(r, origin, direction, enter, exit);
    ray.end = scene;
    ray.first = enter;
    ray.last = lost ? enter : exit;
    for (u32 k = 0; k < 3; k++) {
        const Axis &axis = q.frame.axes[k];
        ray.start[k] = normalized(axis, origin[k]);
        ray.slope[k] = 2.0 * direction[k] / axis.range;
        ray.direction[k] = float(direction[k]);
    }
    return ray;
}

// How far a ray that moves by `slope` per unit of length can go from `x` without meeting anything;
// a negative number if something may be there.
DRR_DEVICE double clearance(const Model &model, const Field &field, const double x[3],
                            const double slope[3]) {
    u64 cell = 0, block = 0;
    u32 at_cell[3];
    for (u32 k = 3; k-- > 0;) {
        const u32 size = field.shape[k], blocks = (size + BLOCK - 1) / BLOCK;
        // In range where rounding put it on the border or beyond.
        const u32 n = u32((x[k] + 1.0) * 0.5 * double(size));
        at_cell[k] = n < size ? n : size - 1;
        cell = cell * size + at_cell[k];
        block = block * blocks + at_cell[k] / BLOCK;
    }
    u32 size = 1;
    if (!at<unsigned char>(model, field.blocks)[block])
        size = BLOCK;
    else if (at<unsigned char>(model, field.cells)[cell / 8] >> cell % 8 & 1)
        return -1.0;
    double least = 1e300;
    for (u32 k = 0; k < 3; k++) {
        if (slope[k] == 0.0)
            continue;
        const u32 low = at_cell[k] / size * size, border = slope[k] > 0.0 ? low + size : low;
        const double wall = 2.0 * (double(border) / double(field.shape[k])) - 1.0;
        least = fmin(least, (wall - x[k]) / slope[k]);
    }
    return least;
}

// Distance and normalised place of a ray's next sample where there may be something, if there is
// one.
DRR_DEVICE bool next_sample(const Render &r, Ray &ray, double &t, double x[3]) {
    if (!(ray.clear >= r.rays.stop))
        return false;
    for (;;) {
        t = ray.first + (double(ray.next) + 0.5) * r.rays.step;
        if (!(t < ray.last))
            return false;
        // Within the domain but for rounding.
        for (u32 k = 0; k < 3; k++)
            x[k] = to_border(ray.start[k] + t * ray.slope[k]);
        const double far =
            r.field.shape[0] ? clearance(r.query.model, r.field, x, ray.slope) : -1.0;
        if (far < 0.0) {
            ray.next++;
            return true;
        }
        const double steps = fmax(ceil(far / r.rays.step - SHORT), 1.0);
        ray.next += u32(fmin(steps, double(0xffffffffu - ray.next)));
    }
}

// Adds a sample at distance `t` that hides so much of what is behind it; its weight is returned,
// for its colour.
DRR_DEVICE double meet(Ray &ray, double t, double opacity) {
    const double weight = ray.clear * opacity;
    ray.clear *= 1.0 - opacity;
    ray.distance += weight * t;
    return weight;
}

// Writes what a ray met.
DRR_DEVICE void finish(const Render &r, const Ray &ray) {
    const bool lost = is_nan(ray.clear);
    const double opacity = 1.0 - ray.clear;
    for (u32 c = 0; c < 4; c++) {
        double x = c == 3 ? (r.is_opaque ? 1.0 : opacity) : ray.colour[c];
        if (r.is_opaque && c < 3)
            x += ray.clear * r.background[c];
        write(place(r.query.results, r.query.points, ray.index, c, 0), r.query.results.scalar,
              lost ? not_a_number() : x);
    }
    if (!r.has_depth)
        return;
    const double t = opacity == 0.0 ? ray.end : ray.distance / opacity;
    write(place(r.depth, r.query.points, ray.index, 0, 0), r.depth.scalar,
          r.rays.along_axis ? t / ray.slant : t);
}

} // namespace drr
