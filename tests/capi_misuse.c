/* The C ABI misused in every way that can be told (but for what tests/capi_arguments.c has): each
 * mistake is a status with a reason, nothing crashes, nothing is written.
 *
 * usage: capi_misuse MODEL [checked]
 * `checked`: memory is watched by a tool, so what reads freed memory is left out.
 */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <math.h>
#include <unistd.h>

#include "capi.h"

static bool all(const double *values, size_t count, double expected) {
    for (size_t i = 0; i < count; i++) {
        if (values[i] != expected && !(isnan(expected) && isnan(values[i]))) {
            return false;
        }
    }
    return true;
}

static const drr_model *the_model;
static const drr_sampler *the_sampler;

static void indices(const drr_model *model) {
    drr_range_info range = {.struct_size = sizeof range};
    const uint32_t beyond[] = {DIMS, UINT32_MAX};
    for (int n = 0; n < 2; n++) {
        INVALID(drr_model_get_axis(model, beyond[n], &range));
        INVALID(drr_model_get_parameter(model, beyond[n], &range));
        INVALID(drr_model_get_value(model, beyond[n], &range));
    }
}

static void counts(void) {
    drr_sampler *sampler = NULL;
    const double five[5] = {0};
    const uint64_t wrong[] = {0, 1, 3, 5, UINT64_MAX, UINT64_MAX / 8};
    for (int n = 0; n < 6; n++) {
        INVALID(drr_sampler_create(the_model, five, wrong[n], NULL, &sampler));
    }
    float f = 0;
    double d = 0;
    const uint64_t huge[] = {UINT64_MAX, UINT64_MAX / 2, UINT64_MAX / 3, (uint64_t)1 << 62};
    for (int n = 0; n < 4; n++) {
        INVALID(drr_sampler_query_f32(the_sampler, huge[n], &f, &f));
        INVALID(drr_sampler_query_f64(the_sampler, huge[n], &d, &d));
        drr_points points = {sizeof points, DRR_F64, huge[n], {&d, &d, &d}, {0}};
        drr_values values = {.struct_size = sizeof values, .scalar = DRR_F64, .data = &d};
        INVALID(drr_sampler_query(the_sampler, &points, &values));
        INVALID(drr_sampler_query_gradient_f32(the_sampler, huge[n], &f, NULL, &f, NULL));
        INVALID(drr_sampler_query_gradient_f64(the_sampler, huge[n], &d, NULL, NULL, &d));
        drr_gradients gradients = {.struct_size = sizeof gradients, .scalar = DRR_F64, .data = &d};
        INVALID(drr_sampler_query_gradient(the_sampler, &points, NULL, &gradients, NULL));
    }
    drr_points far = {sizeof far, DRR_F64, 3, {&d, &d, &d}, {INT64_MAX, 8, INT64_MIN}};
    drr_values values = {.struct_size = sizeof values, .scalar = DRR_F64, .data = &d};
    INVALID(drr_sampler_query(the_sampler, &far, &values));
}

/* No gaps between points, but gaps between their values: results would overwrite one another. */
static void contradictory_strides(void) {
    double numbers[2] = {0}, room[8] = {0};
    drr_points points = {sizeof points, DRR_F64, 2, {numbers, numbers, numbers}, {0}};
    drr_values values = {.struct_size = sizeof values,
                         .scalar = DRR_F64,
                         .data = room,
                         .value_stride = 2 * sizeof(double)};
    INVALID(drr_sampler_query(the_sampler, &points, &values));
    CHECK(all(room, 8, 0));
    values.value_stride = sizeof(double);
    CHECK(drr_sampler_query(the_sampler, &points, &values) == DRR_OK);
}

static void impossible_gradients(void) {
    double numbers[2] = {0}, room[200];
    for (int n = 0; n < 200; n++) {
        room[n] = -7;
    }
    const drr_points points = {sizeof points, DRR_F64, 2, {numbers, numbers, numbers}, {0}};
    const int64_t size = sizeof(double),
                  wrong[][3] = {
                      {0, 0, 2 * size},   /* gaps between components only */
                      {0, 4 * size, 0},   /* gaps between values only */
                      {100, 0, 2 * size}, /* gaps between components, none between values */
                      {INT64_MAX, 24, 8}, /* beyond what can be addressed */
                      {INT64_MIN, 24, 8}, {48, INT64_MAX, 8}, {48, 24, INT64_MIN},
                  };
    for (size_t n = 0; n < sizeof wrong / sizeof wrong[0]; n++) {
        const drr_gradients gradients = {.struct_size = sizeof gradients,
                                         .scalar = DRR_F64,
                                         .data = room,
                                         .point_stride = wrong[n][0],
                                         .value_stride = wrong[n][1],
                                         .component_stride = wrong[n][2]};
        INVALID(drr_sampler_query_gradient(the_sampler, &points, NULL, &gradients, NULL));
        CHECK(all(room, 200, -7));
    }
    const drr_gradients good = {.struct_size = sizeof good,
                                .scalar = DRR_F64,
                                .data = room,
                                .point_stride = 48,
                                .value_stride = 24,
                                .component_stride = 8};
    CHECK(drr_sampler_query_gradient(the_sampler, &points, NULL, &good, NULL) == DRR_OK);
    CHECK(room[11] != -7 && all(room + 12, 188, -7));
}

/* 16 bits are for results. */
static void short_numbers(void) {
    const uint16_t halves[DIMS] = {0};
    const double row[2] = {0.5, 0.5};
    double room[OUTPUTS] = {-7, -7};
    drr_points points = {sizeof points, DRR_F16, 1, {halves, halves, halves}, {0}};
    drr_values values = {.struct_size = sizeof values, .scalar = DRR_F64, .data = room};
    INVALID(drr_sampler_query(the_sampler, &points, &values));
    CHECK(strstr(drr_last_error(), "f16") != NULL);
    drr_parameters own = {sizeof own, DRR_F64, 1, row, 0, 0};
    INVALID(drr_model_query(the_model, &own, NULL, &points, &values));
    INVALID(drr_model_query_sets(the_model, &own, NULL, &points, &values, 0));
    points.scalar = DRR_F64;
    points.axis[0] = points.axis[1] = points.axis[2] = row;
    own.scalar = DRR_F16;
    own.data = halves;
    INVALID(drr_model_query(the_model, &own, NULL, &points, &values));
    INVALID(drr_model_query_sets(the_model, &own, NULL, &points, &values, 0));
    CHECK(strstr(drr_last_error(), "f16") != NULL && all(room, OUTPUTS, -7));
}

static void rows_of_parameters(void) {
    double numbers[6] = {0.5, 0.5, 0.5, 0.5, 0.5, 0.5}, room[3 * OUTPUTS];
    for (int i = 0; i < 3 * OUTPUTS; i++) {
        room[i] = -7;
    }
    drr_points points = {sizeof points, DRR_F64, 3, {numbers, numbers, numbers}, {0}};
    drr_parameters rows = {sizeof rows, DRR_F64, 3, numbers, 0, 0};
    drr_values values = {.struct_size = sizeof values, .scalar = DRR_F64, .data = room};
    /* One row per point, no more and no less. */
    for (rows.count = 2; rows.count <= 4; rows.count += 2) {
        INVALID(drr_model_query(the_model, &rows, NULL, &points, &values));
    }
    /* Counts and strides that reach beyond all memory. */
    const uint64_t huge[] = {UINT64_MAX, UINT64_MAX / 2, UINT64_MAX / 3, (uint64_t)1 << 62};
    for (int n = 0; n < 4; n++) {
        rows.count = huge[n];
        INVALID(drr_model_query_sets(the_model, &rows, NULL, &points, &values, 0));
        drr_points many = points;
        many.count = huge[n];
        INVALID(drr_model_query(the_model, &rows, NULL, &many, &values));
        INVALID(drr_model_query_f32(the_model, huge[n], (float *)numbers, (float *)numbers,
                                    (float *)room));
        INVALID(drr_model_query_f64(the_model, huge[n], numbers, numbers, room));
    }
    rows.count = 3;
    const int64_t far[] = {INT64_MAX, INT64_MIN + 8, INT64_MAX / 2};
    for (int n = 0; n < 3; n++) {
        rows.row_stride = far[n];
        INVALID(drr_model_query(the_model, &rows, NULL, &points, &values));
        INVALID(drr_model_query_sets(the_model, &rows, NULL, &points, &values, 0));
        rows.row_stride = 16;
        rows.parameter_stride = far[n];
        if (n < 2) {
            INVALID(drr_model_query(the_model, &rows, NULL, &points, &values));
        }
        rows.parameter_stride = rows.row_stride = 0;
        INVALID(drr_model_query_sets(the_model, &rows, NULL, &points, &values, far[n]));
    }
    /* No gaps between rows, but gaps within them; the same for sets and their points. */
    rows.parameter_stride = 16;
    INVALID(drr_model_query(the_model, &rows, NULL, &points, &values));
    rows.parameter_stride = 0;
    values.point_stride = 64;
    INVALID(drr_model_query_sets(the_model, &rows, NULL, &points, &values, 0));
    CHECK(strstr(drr_last_error(), "set_stride") != NULL);
    CHECK(all(room, 3 * OUTPUTS, -7));
}

/* Out of range: reported by policy, never wrapped. */
static void parameters_outside(const drr_model *model) {
    const double points[3][DIMS] = {{0.5, 0.5, 0.5}, {0.5, 0.5, 0.5}, {0.5, 0.5, 0.5}};
    const double rows[3][2] = {{0.5, 0.5}, {0.5, 1.5}, {0.5, -9}};
    const double ends[3][2] = {{0.5, 0.5}, {0.5, 1}, {0.5, 0}};
    double values[3][OUTPUTS] = {{-7, -7}, {-7, -7}, {-7, -7}}, expected[3][OUTPUTS];
    const int64_t size = sizeof points[0];
    drr_points from = {
        sizeof from, DRR_F64, 3, {&points[0][0], &points[0][1], &points[0][2]}, {size, size, size}};
    drr_points one = from;
    one.count = 1;
    drr_parameters given = {sizeof given, DRR_F64, 3, rows, 0, 0};
    drr_values to = {.struct_size = sizeof to, .scalar = DRR_F64, .data = values};
    drr_sampler_options options = {.struct_size = sizeof options};
    options.outside_parameters = DRR_OUTSIDE_ERROR;
    REFUSED(DRR_ERROR_OUTSIDE_DOMAIN, drr_model_query(model, &given, &options, &from, &to));
    CHECK(strstr(drr_last_error(), "point 1: parameter q") != NULL);
    REFUSED(DRR_ERROR_OUTSIDE_DOMAIN, drr_model_query_sets(model, &given, &options, &one, &to, 0));
    CHECK(strstr(drr_last_error(), "set 1: parameter q") != NULL);
    CHECK(all(values[0], 3 * OUTPUTS, -7));
    options.outside_parameters = DRR_OUTSIDE_ZEROS; /* for points only */
    INVALID(drr_model_query(model, &given, &options, &from, &to));
    INVALID(drr_model_query_sets(model, &given, &options, &one, &to, 0));
    options.outside_parameters = 4;
    INVALID(drr_model_query(model, &given, &options, &from, &to));
    INVALID(drr_model_query_sets(model, &given, &options, &one, &to, 0));
    CHECK(all(values[0], 3 * OUTPUTS, -7));

    CHECK(drr_model_query_f64(model, 3, points[0], ends[0], expected[0]) == DRR_OK);
    CHECK(drr_model_query_f64(model, 3, points[0], rows[0], values[0]) == DRR_OK);
    CHECK(memcmp(values, expected, sizeof values) == 0 && values[1][0] != values[2][0]);
    options.outside_parameters = DRR_OUTSIDE_NAN;
    CHECK(drr_model_query(model, &given, &options, &from, &to) == DRR_OK);
    CHECK(memcmp(values[0], expected[0], sizeof values[0]) == 0);
    CHECK(all(values[1], 2 * OUTPUTS, NAN));
    memset(values, 0, sizeof values);
    CHECK(drr_model_query_sets(model, &given, &options, &one, &to, 0) == DRR_OK);
    CHECK(!isnan(values[0][0]) && all(values[1], 2 * OUTPUTS, NAN));
}

static void foreign_handles(drr_model *model, drr_sampler *sampler, bool is_checked) {
    drr_model_info info = {.struct_size = sizeof info};
    double numbers[DIMS] = {0};
    uint64_t zeros[8] = {0};
    INVALID(drr_model_get_info((drr_model *)sampler, &info));
    INVALID(drr_sampler_query_f64((drr_sampler *)model, 1, numbers, numbers));
    INVALID(drr_model_query_f64((drr_model *)sampler, 1, numbers, numbers, numbers));
    INVALID(drr_model_get_info((drr_model *)zeros, &info));
    INVALID(drr_model_get_info((drr_model *)((char *)model + 1), &info));
    drr_model_close((drr_model *)sampler);
    drr_sampler_free((drr_sampler *)model);
    CHECK(drr_sampler_query_f64(sampler, 0, NULL, NULL) == DRR_OK);
    if (!is_checked) {
        drr_model *volatile closed = opened(0);
        drr_sampler *volatile freed = bound(closed);
        drr_sampler_free(freed);
        drr_sampler_free(freed);
        drr_model_close(closed);
        drr_model_close(closed);
        INVALID(drr_model_get_info(closed, &info));
        INVALID(drr_sampler_query_f64(freed, 1, numbers, numbers));
    }
}

static void outside_policies(const drr_model *model) {
    const double points[2][DIMS] = {{0.5, 0.5, 0.5}, {0.5, 1.5, 0.5}};
    const double border[2][DIMS] = {{0.5, 0.5, 0.5}, {0.5, 1.0, 0.5}};
    double values[2][OUTPUTS] = {{-7, -7}, {-7, -7}}, expected[2][OUTPUTS];
    const uint32_t policies[] = {DRR_OUTSIDE_ERROR, DRR_OUTSIDE_NAN, DRR_OUTSIDE_ZEROS,
                                 DRR_OUTSIDE_CLAMP};
    for (int n = 0; n < 4; n++) {
        drr_sampler *sampler = bound_with(model, (drr_sampler_options){.outside = policies[n]});
        CHECK(drr_sampler_query_f64(sampler, 2, border[0], expected[0]) == DRR_OK);
        drr_status status = drr_sampler_query_f64(sampler, 2, points[0], values[0]);
        if (policies[n] == DRR_OUTSIDE_ERROR) {
            REFUSED(DRR_ERROR_OUTSIDE_DOMAIN, status);
            CHECK(strstr(drr_last_error(), "point 1") != NULL);
            CHECK(all(values[0], OUTPUTS, -7) && all(values[1], OUTPUTS, -7));
        } else {
            CHECK(status == DRR_OK && memcmp(values[0], expected[0], sizeof values[0]) == 0);
        }
        if (policies[n] == DRR_OUTSIDE_NAN) {
            CHECK(all(values[1], OUTPUTS, NAN));
        }
        if (policies[n] == DRR_OUTSIDE_CLAMP) {
            CHECK(memcmp(values[1], expected[1], sizeof values[1]) == 0);
        }
        drr_sampler_free(sampler);
    }
    const double far[2] = {0.5, 9.0};
    drr_sampler_options options = {.struct_size = sizeof options,
                                   .outside_parameters = DRR_OUTSIDE_ERROR};
    drr_sampler *sampler = (drr_sampler *)&path;
    REFUSED(DRR_ERROR_OUTSIDE_DOMAIN, drr_sampler_create(model, far, 2, &options, &sampler));
    CHECK(sampler == NULL && strstr(drr_last_error(), "q") != NULL);
}

static void files(void) {
    drr_model *model = (drr_model *)&path;
    REFUSED(DRR_ERROR_IO, drr_model_open("no/such/file", NULL, &model));
    CHECK(drr_last_os_error() == ENOENT);
    CHECK(model == NULL && strstr(drr_last_error(), "no/such/file") != NULL);
    REFUSED(DRR_ERROR_IO, drr_model_open("", NULL, &model));
    REFUSED(DRR_ERROR_IO, drr_model_open("/", NULL, &model));
    CHECK(drr_last_os_error() == EISDIR);
    REFUSED(DRR_ERROR_FORMAT, drr_model_open_memory("no model", 8, NULL, &model));
    CHECK(drr_last_os_error() == 0);
    CHECK(setenv("DRR_CPU", "abacus", 1) == 0);
    REFUSED(DRR_ERROR_UNSUPPORTED, drr_model_open(path, NULL, &model));
    CHECK(strstr(drr_last_error(), "abacus") != NULL && unsetenv("DRR_CPU") == 0);
}

/* Names are bytes that the system knows, not text; reasons are text all the same. */
static void names_that_are_no_text(void) {
    static const char latin[] = "no/such/m\xe9l\xff";
    drr_model *model = NULL;
    REFUSED(DRR_ERROR_IO, drr_model_open(latin, NULL, &model));
    CHECK(strstr(drr_last_error(), "no/such/m\xef\xbf\xbdl") != NULL);
    char name[4096];
    CHECK(snprintf(name, sizeof name, "%s.\xe9", path) < (int)sizeof name);
    CHECK(link(path, name) == 0);
    CHECK(drr_model_open(name, NULL, &model) == DRR_OK);
    drr_model_close(model);
    CHECK(unlink(name) == 0);
    memset(name, 'm', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    REFUSED(DRR_ERROR_IO, drr_model_open(name, NULL, &model));
    CHECK(drr_last_os_error() == ENAMETOOLONG && model == NULL);
}

int main(int count, char **arguments) {
    if (count < 2) {
        fprintf(stderr, "usage: capi_misuse MODEL [checked]\n");
        return 2;
    }
    path = arguments[1];
    drr_model *model = opened(0);
    drr_sampler *sampler = bound(model);
    the_model = model;
    the_sampler = sampler;
    indices(model);
    counts();
    contradictory_strides();
    short_numbers();
    rows_of_parameters();
    parameters_outside(model);
    impossible_gradients();
    foreign_handles(model, sampler, count > 2);
    outside_policies(model);
    files();
    names_that_are_no_text();
    drr_sampler_free(sampler);
    drr_model_close(model);
    return 0;
}
