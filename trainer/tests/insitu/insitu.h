/* What the C tests of training in situ share: checks that say where they failed, a model, and a
 * field that changes in time. */
#ifndef DRR_TESTS_INSITU_H
#define DRR_TESTS_INSITU_H

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drr_train.h"

#define CHECK(condition) check((condition), #condition, __LINE__)
#define OK(call) accepted((call), #call, __LINE__)
#define REFUSED(status, text, call) refused((status), (text), (call), #call, __LINE__)
#define INVALID(text, call) REFUSED(DRR_TRAIN_ERROR_INVALID_ARGUMENT, text, call)

enum { NX = 12, NY = 10, NZ = 8, POINTS = NX * NY * NZ, TIMES = 5 };

#define MODEL MODEL_OF(1)

/* Of so many values a point. */
#define MODEL_OF(count)                                                                            \
    "model:\n"                                                                                     \
    "  type: HDINRBase\n"                                                                          \
    "  param:\n"                                                                                   \
    "    out_dim: " #count "\n"                                                                    \
    "    hidden_dim: 16\n"                                                                         \
    "    default_act: ReLU\n"                                                                      \
    "    out_act: Identity\n"                                                                      \
    "    decoder_kwargs: {type: FeatMLP, param: {feat_dim: 16, num_layers: 2, out_dim: " #count    \
    "}}\n"                                                                                         \
    "    encoder_kwargs:\n"                                                                        \
    "      type: MultiDenseFeatGrid\n"                                                             \
    "      param: {grid_shapes: [[4, 5, 6]], num_feat: 8, refine_highest_res: [4, 5, 6]}\n"        \
    "    if_refine: true\n"                                                                        \
    "    spatial_fdim: 8\n"                                                                        \
    "    spatial_trans_kwargs: {type: GLUFeatMLP, param: {feat_dim: 8, out_dim: 8, num_layers: "   \
    "1, "                                                                                          \
    "hidden_mult: 2}}\n"                                                                           \
    "    cond_trans_kwargs: {type: GLUFeatMLP, param: {feat_dim: 4, out_dim: 4, num_layers: 1, "   \
    "hidden_mult: 2}}\n"                                                                           \
    "    latent_kwargs:\n"                                                                         \
    "      type: MultiCondLatentLines\n"                                                           \
    "      param: {cond_dim: 1, line_dims_list: [[5]], latent_shape: [4]}\n"                       \
    "optim: {type: Adam, param: {lr: 0.01}}\n"                                                     \
    "dataset: {type: HDFieldDataset, param: {cond_batch: 4, batch_points: 128}}\n"

static inline void check(bool condition, const char *text, int line) {
    if (!condition) {
        fprintf(stderr, "line %d: %s\n  last error: %s\n", line, text, drr_train_last_error());
        exit(1);
    }
}

static inline void accepted(drr_train_status status, const char *text, int line) {
    if (status != DRR_TRAIN_OK) {
        fprintf(stderr, "%s\n", drr_train_status_name(status));
    }
    check(status == DRR_TRAIN_OK, text, line);
}

static inline void refused(drr_train_status expected, const char *reason, drr_train_status status,
                           const char *text, int line) {
    if (status != expected || strstr(drr_train_last_error(), reason) == NULL) {
        fprintf(stderr, "%s, expected %s with `%s`\n", drr_train_status_name(status),
                drr_train_status_name(expected), reason);
    }
    check(status == expected && strstr(drr_train_last_error(), reason) != NULL, text, line);
}

/* Time from 0 to 2; positions on a lattice from 0 to 1. */
static inline double truth(int i, int j, int l, double time) {
    const double x = (double)i / (NX - 1), y = (double)j / (NY - 1), z = (double)l / (NZ - 1);
    return 20.0 + 5.0 * sin(3.0 * x + time) * (1.0 + y) + 4.0 * z * cos(time);
}

static inline double time_of(int n) { return 2.0 * n / (TIMES - 1); }

static inline drr_train_data field(void) {
    static const drr_train_range axes[3] = {
        {"x", "m", 0.0, 1.0}, {"y", "m", 0.0, 1.0}, {"z", "m", 0.0, 1.0}};
    static const drr_train_range time = {"time", "s", 0.0, 2.0};
    static const drr_train_range temperature = {"temperature", "K", 0.0, 0.0};
    drr_train_data data;
    memset(&data, 0, sizeof data);
    data.struct_size = sizeof data;
    data.dims = 3;
    data.points[0] = NX;
    data.points[1] = NY;
    data.points[2] = NZ;
    data.axes = axes;
    data.parameters = &time;
    data.parameter_count = 1;
    data.values = &temperature;
    data.value_count = 1;
    return data;
}

static inline drr_train_session *started(drr_train_options options) {
    const drr_train_data data = field();
    drr_train_session *session = NULL;
    options.struct_size = sizeof options;
    options.threads = 1;
    OK(drr_train_create(MODEL, &data, &options, &session));
    CHECK(session != NULL);
    return session;
}

static inline drr_train_info info_of(drr_train_session *session) {
    drr_train_info info;
    memset(&info, 0, sizeof info);
    info.struct_size = sizeof info;
    OK(drr_train_get_info(session, &info));
    return info;
}

/* All of a member, without gaps. */
static inline drr_train_block whole(const float *values) {
    drr_train_block block;
    memset(&block, 0, sizeof block);
    block.struct_size = sizeof block;
    block.scalar = DRR_F32;
    block.data = values;
    return block;
}

static inline void fill(float values[POINTS], double time) {
    for (int n = 0; n < POINTS; n++) {
        values[n] = (float)truth(n % NX, n / NX % NY, n / (NX * NY), time);
    }
}

#endif
