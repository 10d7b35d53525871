/* Stands between a program and libdrr, and remembers where the last query was told to read and
 * write. */

#include <dlfcn.h>
#include <drr.h>
#include <stddef.h>
#include <stdlib.h>

static drr_points seen_points;
static drr_values seen_values;

const void *spy_axis(int32_t k) { return seen_points.axis[k - 1]; }
int64_t spy_stride(int32_t k) { return seen_points.stride[k - 1]; }
const void *spy_values(void) { return seen_values.data; }
int64_t spy_point_stride(void) { return seen_values.point_stride; }
int64_t spy_row_stride(void) { return seen_values.row_stride; }

/* The library's function of that name, which this file hides. */
static void *next(const char *name) {
    void *function = dlsym(RTLD_NEXT, name);
    if (function == NULL)
        abort();
    return function;
}

drr_status drr_sampler_query(const drr_sampler *sampler, const drr_points *points,
                             const drr_values *values) {
    drr_status (*query)(const drr_sampler *, const drr_points *, const drr_values *);
    *(void **)&query = next("drr_sampler_query");
    seen_points = *points;
    seen_values = *values;
    return query(sampler, points, values);
}

drr_status drr_sampler_query_lattice(const drr_sampler *sampler, const drr_lattice *lattice,
                                     const drr_values *values) {
    drr_status (*query)(const drr_sampler *, const drr_lattice *, const drr_values *);
    *(void **)&query = next("drr_sampler_query_lattice");
    seen_values = *values;
    return query(sampler, lattice, values);
}
