/* Models on a GPU by the C ABI. The GPU is that of tests/cuda/driver.cpp, whose memory is the
 * host's.
 *
 * usage: device MODEL whole | none | fails STATUS TEXT
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <drr.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n%s\n", __FILE__, __LINE__, #condition, drr_last_error());  \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

enum { POINTS = 100, DIMS = 3, OUTPUTS = 2 };

static const double parameters[2] = {0.4, 0.6}, others[2] = {0.1, 0.9};

static drr_model *open_model(const char *path) {
    drr_model *model = NULL;
    CHECK(drr_model_open(path, NULL, &model) == DRR_OK);
    return model;
}

static void ask_the_cpu(const drr_model *model, const double *bound, const double *points,
                        double *values) {
    drr_sampler *sampler = NULL;
    CHECK(drr_sampler_create(model, bound, 2, NULL, &sampler) == DRR_OK);
    CHECK(drr_sampler_query_f64(sampler, POINTS, points, values) == DRR_OK);
    drr_sampler_free(sampler);
}

static int is_close(const double *a, const double *b, size_t count) {
    for (size_t n = 0; n < count; n++) {
        const double difference = a[n] > b[n] ? a[n] - b[n] : b[n] - a[n];
        if (!(difference <= 1e-5 * (1 + (b[n] > 0 ? b[n] : -b[n])))) {
            return 0;
        }
    }
    return 1;
}

static drr_points packed_points(const double *points) {
    drr_points packed = {sizeof packed, DRR_F64, POINTS, {0}, {0}};
    for (int k = 0; k < DIMS; k++) {
        packed.axis[k] = points + k;
        packed.stride[k] = DIMS * sizeof(double);
    }
    return packed;
}

#define INVALID(call) CHECK((call) == DRR_ERROR_INVALID_ARGUMENT)

/* Derivatives at points and at those of a lattice; values beside them, or alone. */
static void derivatives(const drr_model *model, const drr_device_sampler *there,
                        const drr_points *points, const drr_lattice *lattice) {
    enum { BY_POSITION = POINTS * OUTPUTS * DIMS, BY_PARAMETER = POINTS * OUTPUTS * 2 };
    static double found[2][POINTS * OUTPUTS], x[2][BY_POSITION], p[2][BY_PARAMETER];
    drr_sampler *cpu = NULL;
    CHECK(drr_sampler_create(model, others, 2, NULL, &cpu) == DRR_OK);
    for (int form = 0; form < 2; form++) {
        drr_values values[2];
        drr_gradients by_x[2], by_p[2];
        for (int n = 0; n < 2; n++) {
            values[n] = (drr_values){.struct_size = sizeof *values, .scalar = DRR_F64};
            by_x[n] = (drr_gradients){.struct_size = sizeof *by_x, .scalar = DRR_F64};
            by_p[n] = by_x[n];
            values[n].data = found[n];
            by_x[n].data = x[n];
            by_p[n].data = p[n];
        }
        memset(x[0], 0, sizeof x[0]);
        if (form == 0) {
            CHECK(drr_device_sampler_query_gradient(there, points, values, by_x, by_p, NULL) ==
                  DRR_OK);
            CHECK(drr_sampler_query_gradient(cpu, points, values + 1, by_x + 1, by_p + 1) ==
                  DRR_OK);
        } else {
            CHECK(drr_device_sampler_query_lattice_gradient(there, lattice, values, by_x, by_p,
                                                            NULL) == DRR_OK);
            CHECK(drr_sampler_query_lattice_gradient(cpu, lattice, values + 1, by_x + 1,
                                                     by_p + 1) == DRR_OK);
        }
        CHECK(is_close(found[0], found[1], POINTS * OUTPUTS));
        CHECK(is_close(x[0], x[1], BY_POSITION) && is_close(p[0], p[1], BY_PARAMETER));
        memset(x[0], 0, sizeof x[0]);
        CHECK(form == 1 ||
              drr_device_sampler_query_gradient(there, points, NULL, by_x, NULL, NULL) == DRR_OK);
        CHECK(form == 1 || is_close(x[0], x[1], BY_POSITION));
        INVALID(drr_device_sampler_query_gradient(there, NULL, values, by_x, by_p, NULL));
        INVALID(drr_device_sampler_query_lattice_gradient(there, NULL, values, by_x, by_p, NULL));
        by_x[0].data = NULL;
        INVALID(drr_device_sampler_query_gradient(there, points, values, by_x, by_p, NULL));
        CHECK(strstr(drr_last_error(), "position_gradients") != NULL);
    }
    drr_sampler_free(cpu);
}

/* What is wrong is said, and nothing is queued. */
static void wrong_arguments(drr_device_model *there, drr_device_sampler *sampler,
                            const drr_points *points, const drr_values *values) {
    const drr_sampler_options strict = {sizeof strict, 0, DRR_OUTSIDE_ERROR, 0};
    const drr_parameters table = {sizeof table, DRR_F64, 1, parameters, 0, 0};
    drr_device_sampler *nobody = sampler;
    drr_device_info info = {.struct_size = 4};
    INVALID(drr_device_model_get_info(there, NULL));
    INVALID(drr_device_model_get_info(there, &info));
    INVALID(drr_device_sampler_create(there, parameters, 2, NULL, NULL));
    INVALID(drr_device_sampler_create(there, NULL, 2, NULL, &nobody));
    CHECK(nobody == NULL);
    INVALID(drr_device_sampler_create(there, parameters, 3, NULL, &nobody));
    CHECK(drr_device_sampler_create(there, parameters, 2, &strict, &nobody) ==
          DRR_ERROR_UNSUPPORTED);
    INVALID(drr_device_sampler_set_parameters(sampler, NULL, 2, NULL));
    INVALID(drr_device_sampler_set_parameters(sampler, parameters, 1, NULL));
    INVALID(drr_device_sampler_query(sampler, NULL, values, NULL));
    INVALID(drr_device_sampler_query(sampler, points, NULL, NULL));
    INVALID(drr_device_sampler_query((void *)there, points, values, NULL));
    INVALID(drr_device_sampler_query_lattice(sampler, NULL, values, NULL));
    INVALID(drr_device_sampler_query_host(sampler, NULL, values));
    INVALID(drr_device_sampler_query_host(sampler, points, NULL));
    INVALID(drr_device_sampler_query_lattice_host(sampler, NULL, values));
    INVALID(drr_device_model_query(there, NULL, NULL, points, values, NULL));
    INVALID(drr_device_model_query(there, &table, NULL, points, values, NULL)); /* one row */
    drr_values half = *values;
    half.scalar = 7;
    INVALID(drr_device_sampler_query(sampler, points, &half, NULL));
}

/* Everything works, and all comes back. */
static void whole(const char *path) {
    void *driver = dlopen("libcuda.so", RTLD_NOW);
    CHECK(driver);
    int (*is_clean)(void *) = (int (*)(void *))dlsym(driver, "fake_cuda_is_clean");
    void (*enter)(void *) = (void (*)(void *))dlsym(driver, "fake_cuda_enter");
    static double points[POINTS * DIMS], found[POINTS * OUTPUTS], expected[POINTS * OUTPUTS];
    static double rows[POINTS * 2];
    char mine, another;
    void *contexts[2] = {NULL, &another};
    uint32_t count = 9;
    CHECK(is_clean && enter && drr_device_count(&count) == DRR_OK && count == 1);
    enter(&mine);
    for (int n = 0; n < POINTS * DIMS; n++) {
        points[n] = (n * 37 % 101) / 101.0;
    }
    for (int n = 0; n < 2; n++) {
        drr_model *model = open_model(path);
        drr_device_model *there = NULL;
        drr_device_sampler *sampler = NULL;
        const drr_device_options options = {sizeof options, DRR_DEVICE_KERNEL_PORTABLE,
                                            contexts[n]};
        CHECK(drr_model_to_device(model, 0, &options, &there) == DRR_OK);
        drr_device_info info = {.struct_size = sizeof info, .ordinal = 5};
        CHECK(drr_device_model_get_info(there, &info) == DRR_OK && info.ordinal == 0);
        CHECK(info.memory_bytes > 1000 && strcmp(info.device, "cuda:0 (Fake GPU)") == 0);
        CHECK(strcmp(info.kernel, "portable") == 0);
        CHECK(drr_device_sampler_create(there, parameters, 2, NULL, &sampler) == DRR_OK);

        drr_points from = packed_points(points);
        drr_values to = {.struct_size = sizeof to, .scalar = DRR_F64, .data = found};
        CHECK(drr_device_sampler_query(sampler, &from, &to, NULL) == DRR_OK);
        ask_the_cpu(model, parameters, points, expected);
        CHECK(is_close(found, expected, POINTS * OUTPUTS));
        CHECK(drr_device_sampler_set_parameters(sampler, others, 2, NULL) == DRR_OK);
        CHECK(drr_device_sampler_query(sampler, &from, &to, NULL) == DRR_OK);
        ask_the_cpu(model, others, points, expected);
        CHECK(is_close(found, expected, POINTS * OUTPUTS));

        memset(found, 0, sizeof found);
        CHECK(drr_device_sampler_query_host(sampler, &from, &to) == DRR_OK);
        CHECK(is_close(found, expected, POINTS * OUTPUTS));

        for (int i = 0; i < POINTS; i++) {
            memcpy(rows + 2 * i, others, sizeof others);
        }
        drr_parameters table = {sizeof table, DRR_F64, POINTS, rows, 0, 0};
        memset(found, 0, sizeof found);
        CHECK(drr_device_model_query(there, &table, NULL, &from, &to, NULL) == DRR_OK);
        CHECK(is_close(found, expected, POINTS * OUTPUTS));

        drr_lattice lattice = {sizeof lattice, 0, {5, 5, 4}, {0.1, 0.1, 0.1}, {0.2, 0.2, 0.2}};
        drr_sampler *cpu = NULL;
        CHECK(drr_sampler_create(model, others, 2, NULL, &cpu) == DRR_OK);
        CHECK(drr_device_sampler_query_lattice(sampler, &lattice, &to, NULL) == DRR_OK);
        drr_values to_cpu = {.struct_size = sizeof to, .scalar = DRR_F64, .data = expected};
        CHECK(drr_sampler_query_lattice(cpu, &lattice, &to_cpu) == DRR_OK);
        CHECK(is_close(found, expected, POINTS * OUTPUTS));
        memset(found, 0, sizeof found);
        CHECK(drr_device_sampler_query_lattice_host(sampler, &lattice, &to) == DRR_OK);
        CHECK(is_close(found, expected, POINTS * OUTPUTS));
        drr_sampler_free(cpu);

        derivatives(model, sampler, &from, &lattice);
        wrong_arguments(there, sampler, &from, &to);
        drr_device_model *nobody = there;
        CHECK(drr_model_to_device(model, 1, NULL, &nobody) == DRR_ERROR_NO_DEVICE);
        CHECK(nobody == NULL);
        CHECK(strstr(drr_last_error(), "device 1 asked for, there are 1"));

        /* A sampler keeps its model. */
        drr_model_close(model);
        drr_device_model_close(there);
        CHECK(drr_device_sampler_query(sampler, &from, &to, NULL) == DRR_OK);
        CHECK(!is_clean(&mine));
        drr_device_sampler_free(sampler);
        CHECK(is_clean(&mine));
    }
}

/* One model, opened and closed: all comes back, also after a failure. */
static void cycle(const char *path, uint32_t status, const char *text) {
    drr_model *model = open_model(path);
    drr_device_model *there = NULL;
    drr_device_sampler *sampler = NULL;
    uint32_t found = drr_model_to_device(model, 0, NULL, &there);
    if (found == DRR_OK) {
        found = drr_device_sampler_create(there, parameters, 2, NULL, &sampler);
    }
    if (found != status || !strstr(drr_last_error(), text)) {
        fprintf(stderr, "expected %s with %s, found %s: %s\n", drr_status_name(status), text,
                drr_status_name(found), drr_last_error());
        exit(1);
    }
    drr_device_sampler_free(sampler);
    drr_device_model_close(there);
    drr_model_close(model);
    void *driver = dlopen("libcuda.so", RTLD_NOW);
    int (*is_clean)(void *) = driver ? (int (*)(void *))dlsym(driver, "fake_cuda_is_clean") : NULL;
    CHECK(!is_clean || is_clean(NULL));
}

/* Models in the same context have their kernels in common, as long as there is one. */
static void shared_kernels(const char *path) {
    drr_model *model = open_model(path);
    drr_device_model *there[3];
    void *driver = dlopen("libcuda.so", RTLD_NOW);
    CHECK(driver);
    int (*modules)(void) = (int (*)(void))dlsym(driver, "fake_cuda_modules");
    CHECK(drr_model_to_device(model, 0, NULL, &there[0]) == DRR_OK);
    const int loaded = modules();
    CHECK(loaded > 0);
    CHECK(drr_model_to_device(model, 0, NULL, &there[1]) == DRR_OK && modules() == loaded);
    char own;
    const drr_device_options options = {sizeof options, 0, &own};
    CHECK(drr_model_to_device(model, 0, &options, &there[2]) == DRR_OK);
    CHECK(modules() == 2 * loaded);
    drr_device_model_close(there[2]);
    drr_device_model_close(there[0]);
    CHECK(modules() == loaded);
    drr_device_model_close(there[1]);
    CHECK(modules() == 0);
    CHECK(drr_model_to_device(model, 0, NULL, &there[0]) == DRR_OK && modules() == loaded);
    drr_device_model_close(there[0]);
    drr_model_close(model);
}

int main(int count, char **words) {
    if (count == 3 && strcmp(words[2], "whole") == 0) {
        whole(words[1]);
    } else if (count == 3 && strcmp(words[2], "shared") == 0) {
        shared_kernels(words[1]);
    } else if (count == 3 && strcmp(words[2], "none") == 0) {
        uint32_t devices = 9;
        CHECK(drr_device_count(&devices) == DRR_OK && devices == 0);
        cycle(words[1], DRR_ERROR_NO_DEVICE, "no NVIDIA driver on this machine");
    } else if (count == 5 && strcmp(words[2], "fails") == 0) {
        cycle(words[1], (uint32_t)atoi(words[3]), words[4]);
    } else {
        return 2;
    }
    return 0;
}
