/* What the programs of this tutorial share. */
#ifndef TUTORIAL_H
#define TUTORIAL_H

#include <drr.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_PARAMETERS = 64 };

/* Every call that can fail returns a status; the library keeps the reason. */
static inline void check(drr_status status) {
    if (status != DRR_OK) {
        fprintf(stderr, "%s: %s\n", drr_status_name(status), drr_last_error());
        exit(EXIT_FAILURE);
    }
}

/* The file that the program was given. */
static inline drr_model *open_argument(int count, char **arguments) {
    if (count < 2) {
        fprintf(stderr, "usage: %s FILE\n", arguments[0]);
        exit(EXIT_FAILURE);
    }
    drr_model *model;
    check(drr_model_open(arguments[1], NULL, &model));
    return model;
}

static inline drr_model_info info_of(const drr_model *model) {
    drr_model_info info = {.struct_size = sizeof info};
    check(drr_model_get_info(model, &info));
    return info;
}

static inline drr_range_info axis_of(const drr_model *model, uint32_t index) {
    drr_range_info axis = {.struct_size = sizeof axis};
    check(drr_model_get_axis(model, index, &axis));
    return axis;
}

/* The middle of all parameters' ranges; returns how many there are. */
static inline uint32_t middle_parameters(const drr_model *model, double *parameters) {
    uint32_t count = info_of(model).parameters;
    for (uint32_t i = 0; i < count && i < MAX_PARAMETERS; i++) {
        drr_range_info range = {.struct_size = sizeof range};
        check(drr_model_get_parameter(model, i, &range));
        parameters[i] = (range.min + range.max) / 2;
    }
    return count;
}

/* A model bound to the middle of its parameters' ranges. */
static inline drr_sampler *sampler_of(const drr_model *model) {
    double parameters[MAX_PARAMETERS];
    uint32_t count = middle_parameters(model, parameters);
    drr_sampler *sampler;
    check(drr_sampler_create(model, parameters, count, NULL, &sampler));
    return sampler;
}

#endif
