/* What the C tests share: checks that say where they failed, a model and points to ask it at. */
#ifndef DRR_TESTS_CAPI_H
#define DRR_TESTS_CAPI_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drr.h"

#define CHECK(condition) check((condition), #condition, __LINE__)
#define REFUSED(status, call) refused((status), (call), #call, __LINE__)
#define INVALID(call) REFUSED(DRR_ERROR_INVALID_ARGUMENT, call)

enum { POINTS = 101, DIMS = 3, OUTPUTS = 2 };

static const double parameters[2] = {0.25, 0.75};
/* Name of a file with three axes, two parameters and two values; all but the values from 0 to 1. */
static const char *path;

static inline void check(bool condition, const char *text, int line) {
    if (!condition) {
        fprintf(stderr, "line %d: %s\n  last error: %s\n", line, text, drr_last_error());
        exit(1);
    }
}

static inline void refused(drr_status expected, drr_status status, const char *text, int line) {
    if (status != expected) {
        fprintf(stderr, "%s, expected %s\n", drr_status_name(status), drr_status_name(expected));
    }
    check(status == expected && drr_last_error()[0] != '\0', text, line);
}

static inline drr_model *opened(uint32_t threads) {
    drr_open_options options = {.struct_size = sizeof options, .threads = threads};
    drr_model *model = NULL;
    CHECK(drr_model_open(path, &options, &model) == DRR_OK && model != NULL);
    return model;
}

static inline drr_sampler *bound_with(const drr_model *model, drr_sampler_options options) {
    drr_sampler *sampler = NULL;
    options.struct_size = sizeof options;
    CHECK(drr_sampler_create(model, parameters, 2, &options, &sampler) == DRR_OK &&
          sampler != NULL);
    return sampler;
}

static inline drr_sampler *bound(const drr_model *model) {
    return bound_with(model, (drr_sampler_options){0});
}

/* Numbers that 32 and 64 bits hold alike. */
static inline void fill_points(double points[POINTS][DIMS]) {
    for (int i = 0; i < POINTS; i++) {
        for (int k = 0; k < DIMS; k++) {
            points[i][k] = (double)((i * 37 + k * 61 + i * k * 5) % 256) / 256;
        }
    }
}

#endif
