/* Arguments that cannot be right: NULL for every pointer, addresses without alignment, structs of a
 * wrong size, numbers that no enum has. Each is a status with a reason; nothing crashes.
 *
 * usage: capi_arguments MODEL
 */
#include <math.h>

#include "capi.h"

static void null_pointers(const drr_model *model, const drr_sampler *sampler) {
    drr_model *no_model = (drr_model *)&path;
    drr_sampler *no_sampler = (drr_sampler *)&path;
    drr_model_info info = {.struct_size = sizeof info};
    drr_range_info range = {.struct_size = sizeof range};
    INVALID(drr_model_open(path, NULL, NULL));
    INVALID(drr_model_open(NULL, NULL, &no_model));
    CHECK(no_model == NULL);
    INVALID(drr_model_open_memory(path, 1, NULL, NULL));
    INVALID(drr_model_open_memory(NULL, 1, NULL, &no_model));
    REFUSED(DRR_ERROR_FORMAT, drr_model_open_memory(NULL, 0, NULL, &no_model));
    drr_model_close(NULL);
    INVALID(drr_model_get_info(NULL, &info));
    INVALID(drr_model_get_info(model, NULL));
    INVALID(drr_model_get_axis(NULL, 0, &range));
    INVALID(drr_model_get_axis(model, 0, NULL));
    INVALID(drr_model_get_parameter(NULL, 0, &range));
    INVALID(drr_model_get_parameter(model, 0, NULL));
    INVALID(drr_model_get_value(NULL, 0, &range));
    INVALID(drr_model_get_value(model, 0, NULL));
    INVALID(drr_sampler_create(NULL, parameters, 2, NULL, &no_sampler));
    CHECK(no_sampler == NULL);
    INVALID(drr_sampler_create(model, NULL, 2, NULL, &no_sampler));
    INVALID(drr_sampler_create(model, parameters, 2, NULL, NULL));
    drr_sampler_free(NULL);

    double numbers[DIMS + OUTPUTS] = {0};
    float numbers32[DIMS + OUTPUTS] = {0};
    INVALID(drr_sampler_query_f32(NULL, 1, numbers32, numbers32 + DIMS));
    INVALID(drr_sampler_query_f32(sampler, 1, NULL, numbers32));
    INVALID(drr_sampler_query_f32(sampler, 1, numbers32, NULL));
    CHECK(drr_sampler_query_f32(sampler, 0, NULL, NULL) == DRR_OK);
    INVALID(drr_sampler_query_f64(NULL, 1, numbers, numbers + DIMS));
    INVALID(drr_sampler_query_f64(sampler, 1, NULL, numbers));
    INVALID(drr_sampler_query_f64(sampler, 1, numbers, NULL));
    CHECK(drr_sampler_query_f64(sampler, 0, NULL, NULL) == DRR_OK);

    drr_points points = {sizeof points, DRR_F64, 1, {numbers, numbers, numbers}, {0}};
    drr_values values = {.struct_size = sizeof values, .scalar = DRR_F64, .data = numbers + DIMS};
    CHECK(drr_sampler_query(sampler, &points, &values) == DRR_OK);
    INVALID(drr_sampler_query(NULL, &points, &values));
    INVALID(drr_sampler_query(sampler, NULL, &values));
    INVALID(drr_sampler_query(sampler, &points, NULL));
    for (int k = 0; k < DIMS; k++) {
        drr_points without = points;
        without.axis[k] = NULL;
        INVALID(drr_sampler_query(sampler, &without, &values));
    }
    values.data = NULL;
    INVALID(drr_sampler_query(sampler, &points, &values));
    drr_points none = {.struct_size = sizeof none, .scalar = DRR_F64};
    CHECK(drr_sampler_query(sampler, &none, &values) == DRR_OK);

    drr_lattice lattice = {.struct_size = sizeof lattice, .dims = {1, 1, 1}};
    INVALID(drr_sampler_query_lattice(sampler, &lattice, &values));
    values.data = numbers + DIMS;
    CHECK(drr_sampler_query_lattice(sampler, &lattice, &values) == DRR_OK);
    INVALID(drr_sampler_query_lattice(NULL, &lattice, &values));
    INVALID(drr_sampler_query_lattice(sampler, NULL, &values));
    INVALID(drr_sampler_query_lattice(sampler, &lattice, NULL));
    lattice.origin[0] = NAN;
    INVALID(drr_sampler_query_lattice(sampler, &lattice, &values));
    lattice.origin[0] = 0;
    lattice.dims[0] = UINT64_MAX;
    INVALID(drr_sampler_query_lattice(sampler, &lattice, &values));
    lattice.dims[0] = lattice.dims[1] = UINT32_MAX;
    INVALID(drr_sampler_query_lattice(sampler, &lattice, &values));
    lattice.dims[0] = 0;
    CHECK(drr_sampler_query_lattice(sampler, &lattice, &values) == DRR_OK);
}

static void null_gradients(const drr_sampler *sampler) {
    double numbers[DIMS] = {0}, values[OUTPUTS], by_x[OUTPUTS][DIMS], by_p[OUTPUTS][2];
    float numbers32[DIMS] = {0}, by_x32[OUTPUTS][DIMS];
    INVALID(drr_sampler_query_gradient_f32(NULL, 1, numbers32, NULL, by_x32[0], NULL));
    INVALID(drr_sampler_query_gradient_f32(sampler, 1, NULL, NULL, by_x32[0], NULL));
    INVALID(drr_sampler_query_gradient_f64(NULL, 1, numbers, values, by_x[0], by_p[0]));
    INVALID(drr_sampler_query_gradient_f64(sampler, 1, NULL, values, by_x[0], by_p[0]));
    CHECK(drr_sampler_query_gradient_f64(sampler, 0, NULL, NULL, NULL, NULL) == DRR_OK);
    CHECK(drr_sampler_query_gradient_f64(sampler, 1, numbers, NULL, NULL, NULL) == DRR_OK);
    CHECK(drr_sampler_query_gradient_f64(sampler, 1, numbers, values, NULL, NULL) == DRR_OK);
    CHECK(drr_sampler_query_gradient_f64(sampler, 1, numbers, NULL, NULL, by_p[0]) == DRR_OK);

    drr_points points = {sizeof points, DRR_F64, 1, {numbers, numbers, numbers}, {0}};
    drr_gradients gradients = {.struct_size = sizeof gradients, .scalar = DRR_F64, .data = by_x};
    CHECK(drr_sampler_query_gradient(sampler, &points, NULL, &gradients, NULL) == DRR_OK);
    INVALID(drr_sampler_query_gradient(NULL, &points, NULL, &gradients, NULL));
    INVALID(drr_sampler_query_gradient(sampler, NULL, NULL, &gradients, NULL));
    gradients.data = NULL;
    INVALID(drr_sampler_query_gradient(sampler, &points, NULL, &gradients, NULL));
    CHECK(strstr(drr_last_error(), "position_gradients") != NULL);
    INVALID(drr_sampler_query_gradient(sampler, &points, NULL, NULL, &gradients));
    CHECK(strstr(drr_last_error(), "parameter_gradients") != NULL);

    const drr_lattice lattice = {.struct_size = sizeof lattice, .dims = {1, 1, 1}};
    gradients.data = by_x;
    CHECK(drr_sampler_query_lattice_gradient(sampler, &lattice, NULL, &gradients, NULL) == DRR_OK);
    INVALID(drr_sampler_query_lattice_gradient(NULL, &lattice, NULL, &gradients, NULL));
    INVALID(drr_sampler_query_lattice_gradient(sampler, NULL, NULL, &gradients, NULL));
    gradients.data = NULL;
    INVALID(drr_sampler_query_lattice_gradient(sampler, &lattice, NULL, &gradients, NULL));
    INVALID(drr_sampler_query_lattice_gradient(sampler, &lattice, NULL, NULL, &gradients));
}

static void null_parameters(const drr_model *model) {
    double numbers[DIMS + OUTPUTS] = {0};
    float numbers32[DIMS + OUTPUTS] = {0};
    double *room = numbers + DIMS;
    const double row[2] = {0.5, 0.5};
    const float row32[2] = {0.5f, 0.5f};
    CHECK(drr_model_query_f32(model, 1, numbers32, row32, numbers32 + DIMS) == DRR_OK);
    INVALID(drr_model_query_f32(NULL, 1, numbers32, row32, numbers32 + DIMS));
    INVALID(drr_model_query_f32(model, 1, NULL, row32, numbers32 + DIMS));
    INVALID(drr_model_query_f32(model, 1, numbers32, NULL, numbers32 + DIMS));
    INVALID(drr_model_query_f32(model, 1, numbers32, row32, NULL));
    CHECK(drr_model_query_f32(model, 0, NULL, NULL, NULL) == DRR_OK);
    CHECK(drr_model_query_f64(model, 1, numbers, row, room) == DRR_OK);
    INVALID(drr_model_query_f64(NULL, 1, numbers, row, room));
    INVALID(drr_model_query_f64(model, 1, NULL, row, room));
    INVALID(drr_model_query_f64(model, 1, numbers, NULL, room));
    INVALID(drr_model_query_f64(model, 1, numbers, row, NULL));
    CHECK(drr_model_query_f64(model, 0, NULL, NULL, NULL) == DRR_OK);

    drr_points points = {sizeof points, DRR_F64, 1, {numbers, numbers, numbers}, {0}};
    drr_parameters own = {sizeof own, DRR_F64, 1, row, 0, 0};
    drr_values values = {.struct_size = sizeof values, .scalar = DRR_F64, .data = room};
    CHECK(drr_model_query(model, &own, NULL, &points, &values) == DRR_OK);
    INVALID(drr_model_query(NULL, &own, NULL, &points, &values));
    INVALID(drr_model_query(model, NULL, NULL, &points, &values));
    INVALID(drr_model_query(model, &own, NULL, NULL, &values));
    INVALID(drr_model_query(model, &own, NULL, &points, NULL));
    CHECK(drr_model_query_sets(model, &own, NULL, &points, &values, 0) == DRR_OK);
    INVALID(drr_model_query_sets(NULL, &own, NULL, &points, &values, 0));
    INVALID(drr_model_query_sets(model, NULL, NULL, &points, &values, 0));
    INVALID(drr_model_query_sets(model, &own, NULL, NULL, &values, 0));
    INVALID(drr_model_query_sets(model, &own, NULL, &points, NULL, 0));
    own.data = NULL;
    INVALID(drr_model_query(model, &own, NULL, &points, &values));
    INVALID(drr_model_query_sets(model, &own, NULL, &points, &values, 0));
    own.data = row;
    values.data = NULL;
    INVALID(drr_model_query(model, &own, NULL, &points, &values));
    INVALID(drr_model_query_sets(model, &own, NULL, &points, &values, 0));
    own.count = 0;
    own.data = NULL;
    CHECK(drr_model_query_sets(model, &own, NULL, &points, &values, 0) == DRR_OK);
    points.count = 0;
    CHECK(drr_model_query(model, &own, NULL, &points, &values) == DRR_OK);
}

/* What each function makes of a struct with the given size and of bytes behind it. */
static const drr_model *the_model;
static const drr_sampler *the_sampler;

static drr_status with_open_options(void *options) {
    drr_model *model = NULL;
    drr_status status = drr_model_open(path, options, &model);
    CHECK((status == DRR_OK) == (model != NULL));
    drr_model_close(model);
    return status;
}

static drr_status with_sampler_options(void *options) {
    drr_sampler *sampler = NULL;
    drr_status status = drr_sampler_create(the_model, parameters, 2, options, &sampler);
    CHECK((status == DRR_OK) == (sampler != NULL));
    drr_sampler_free(sampler);
    return status;
}

static drr_status with_points(void *points) {
    drr_values values = {.struct_size = sizeof values};
    return drr_sampler_query(the_sampler, points, &values);
}

static drr_status with_lattice(void *lattice) {
    drr_values values = {.struct_size = sizeof values};
    return drr_sampler_query_lattice(the_sampler, lattice, &values);
}

static drr_status with_values(void *values) {
    drr_points points = {.struct_size = sizeof points};
    return drr_sampler_query(the_sampler, &points, values);
}

static drr_status with_gradients(void *gradients) {
    drr_points points = {.struct_size = sizeof points};
    drr_status status = drr_sampler_query_gradient(the_sampler, &points, NULL, gradients, NULL);
    CHECK(status == drr_sampler_query_gradient(the_sampler, &points, NULL, NULL, gradients));
    return status;
}

static drr_status with_parameters(void *parameters) {
    drr_points points = {.struct_size = sizeof points};
    drr_values values = {.struct_size = sizeof values};
    return drr_model_query(the_model, parameters, NULL, &points, &values);
}

static drr_status with_info(void *info) { return drr_model_get_info(the_model, info); }

static drr_status with_range(void *range) { return drr_model_get_axis(the_model, 0, range); }

/* `first` is the size that the struct had at first. */
static void struct_sizes(drr_status (*call)(void *), uint32_t first, uint32_t size, bool is_input) {
    static union {
        uint32_t struct_size;
        double aligned;
        unsigned char bytes[8192];
    } any;
    const uint32_t wrong[] = {0, 1, 4, first - 1, 4097, UINT32_MAX};
    for (size_t n = 0; n < sizeof wrong / sizeof wrong[0]; n++) {
        memset(&any, 0, sizeof any);
        any.struct_size = wrong[n];
        INVALID(call(&any));
    }
    for (uint32_t larger = first; larger <= size + 40; larger += 8) {
        memset(&any, 0, sizeof any);
        any.struct_size = larger;
        CHECK(call(&any) == DRR_OK && any.struct_size == larger);
        if (larger > size) {
            any.bytes[larger - 1] = 1;
            if (is_input) {
                INVALID(call(&any));
            } else {
                CHECK(call(&any) == DRR_OK && any.bytes[larger - 1] == 0);
            }
        }
    }
    INVALID(call(any.bytes + 1));
}

static void unknown_numbers(void) {
    const uint32_t unknown[] = {4, 77, UINT32_MAX};
    for (int n = 0; n < 3; n++) {
        drr_open_options open = {.struct_size = sizeof open};
        open.storage = unknown[n];
        INVALID(with_open_options(&open));
        open.storage = DRR_STORAGE_COPIED;
        open.checksums = unknown[n];
        INVALID(with_open_options(&open));
        open.checksums = DRR_CHECKSUMS_SKIP;
        CHECK(with_open_options(&open) == DRR_OK);
        open.threads = 1025;
        INVALID(with_open_options(&open));
        drr_sampler_options options = {.struct_size = sizeof options, .units = unknown[n]};
        INVALID(with_sampler_options(&options));
        options.units = DRR_UNITS_NORMALIZED;
        options.outside = unknown[n];
        INVALID(with_sampler_options(&options));
        options.outside = DRR_OUTSIDE_ZEROS;
        options.outside_parameters = unknown[n];
        INVALID(with_sampler_options(&options));
        options.outside_parameters = DRR_OUTSIDE_ZEROS; /* for points only */
        INVALID(with_sampler_options(&options));
        drr_points points = {.struct_size = sizeof points, .scalar = unknown[n]};
        INVALID(with_points(&points));
        drr_values values = {.struct_size = sizeof values, .scalar = unknown[n]};
        INVALID(with_values(&values));
        drr_parameters rows = {.struct_size = sizeof rows, .scalar = unknown[n]};
        INVALID(with_parameters(&rows));
        drr_gradients gradients = {.struct_size = sizeof gradients, .scalar = unknown[n]};
        INVALID(with_gradients(&gradients));
    }
}

/* Addresses that no number, struct or handle of their type can have. Strided arrays may be
 * anywhere, tests/capi_use.c shows that. */
static void unaligned(const drr_model *model, const drr_sampler *sampler) {
    double aligned[2 * DIMS] = {0};
    const double *numbers = (const double *)((const char *)aligned + 1);
    const float *numbers32 = (const float *)((const char *)aligned + 2);
    double values[OUTPUTS];
    float values32[OUTPUTS];
    void *handles[2] = {NULL, NULL};
    void *astride = (char *)handles + 1;
    INVALID(drr_model_open(path, NULL, astride));
    INVALID(drr_model_open_memory(path, 1, NULL, astride));
    INVALID(drr_sampler_create(model, parameters, 2, NULL, astride));
    CHECK(handles[0] == NULL && handles[1] == NULL);
    INVALID(drr_sampler_create(model, numbers, 2, NULL, (drr_sampler **)&handles[0]));
    INVALID(drr_sampler_query_f32(sampler, 1, numbers32, values32));
    INVALID(drr_sampler_query_f32(sampler, 1, (float *)aligned, (float *)numbers32));
    INVALID(drr_sampler_query_f64(sampler, 1, numbers, values));
    INVALID(drr_sampler_query_gradient_f32(sampler, 1, numbers32, values32, NULL, NULL));
    INVALID(drr_sampler_query_gradient_f64(sampler, 1, numbers, values, NULL, NULL));
    INVALID(drr_model_query_f32(model, 1, numbers32, values32, values32));
    INVALID(drr_model_query_f64(model, 1, aligned, numbers, values));
    const drr_points points = {
        sizeof points, DRR_F64, 1, {&aligned[0], &aligned[1], &aligned[2]}, {0}};
    const drr_values to = {
        .struct_size = sizeof to, .scalar = DRR_F64, .separate = (void *const *)astride};
    INVALID(drr_sampler_query(sampler, &points, &to));
    CHECK(strstr(drr_last_error(), "separate") != NULL);
}

/* What needs no device; tests/cuda/device.c has the rest. */
static void null_devices(const drr_model *model) {
    drr_device_model *there = (drr_device_model *)&path;
    drr_device_sampler *sampler = (drr_device_sampler *)&path;
    drr_device_info info = {.struct_size = sizeof info};
    double numbers[DIMS + OUTPUTS] = {0};
    drr_points points = {sizeof points, DRR_F64, 1, {numbers, numbers, numbers}, {0}};
    drr_values values = {.struct_size = sizeof values, .scalar = DRR_F64, .data = numbers + DIMS};
    drr_parameters rows = {sizeof rows, DRR_F64, 1, parameters, 0, 0};
    drr_lattice lattice = {sizeof lattice, 0, {1, 1, 1}, {0}, {0}};
    INVALID(drr_device_count(NULL));
    INVALID(drr_model_to_device(model, 0, NULL, NULL));
    INVALID(drr_model_to_device(NULL, 0, NULL, &there));
    CHECK(there == NULL);
    drr_device_model_close(NULL);
    INVALID(drr_device_model_get_info(NULL, &info));
    INVALID(drr_device_model_query(NULL, &rows, NULL, &points, &values, NULL));
    INVALID(drr_device_sampler_create(NULL, parameters, 2, NULL, NULL));
    INVALID(drr_device_sampler_create(NULL, parameters, 2, NULL, &sampler));
    CHECK(sampler == NULL);
    drr_device_sampler_free(NULL);
    INVALID(drr_device_sampler_set_parameters(NULL, parameters, 2, NULL));
    INVALID(drr_device_sampler_query(NULL, &points, &values, NULL));
    INVALID(drr_device_sampler_query_lattice(NULL, &lattice, &values, NULL));
    INVALID(drr_device_sampler_query_host(NULL, &points, &values));
    INVALID(drr_device_sampler_query_lattice_host(NULL, &lattice, &values));
    /* Handles of another type. */
    INVALID(drr_device_model_get_info((const drr_device_model *)model, &info));
    INVALID(drr_device_sampler_query((const drr_device_sampler *)model, &points, &values, NULL));
}

int main(int count, char **arguments) {
    if (count < 2) {
        fprintf(stderr, "usage: capi_arguments MODEL\n");
        return 2;
    }
    path = arguments[1];
    drr_model *model = opened(0);
    drr_sampler *sampler = bound(model);
    the_model = model;
    the_sampler = sampler;
    null_pointers(model, sampler);
    null_gradients(sampler);
    null_parameters(model);
    null_devices(model);
    struct_sizes(with_open_options, sizeof(drr_open_options), sizeof(drr_open_options), true);
    struct_sizes(with_sampler_options, sizeof(drr_sampler_options), sizeof(drr_sampler_options),
                 true);
    struct_sizes(with_points, sizeof(drr_points), sizeof(drr_points), true);
    struct_sizes(with_lattice, sizeof(drr_lattice), sizeof(drr_lattice), true);
    struct_sizes(with_values, sizeof(drr_values), sizeof(drr_values), true);
    struct_sizes(with_parameters, sizeof(drr_parameters), sizeof(drr_parameters), true);
    struct_sizes(with_gradients, sizeof(drr_gradients), sizeof(drr_gradients), true);
    struct_sizes(with_info, 48, sizeof(drr_model_info), false);
    struct_sizes(with_range, sizeof(drr_range_info), sizeof(drr_range_info), false);
    unknown_numbers();
    unaligned(model, sampler);
    drr_sampler_free(sampler);
    drr_model_close(model);
    return 0;
}
