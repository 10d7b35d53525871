/* The C ABI used as its header says: every kind of query, every lifetime.
 *
 * usage: capi_use MODEL
 */
#include <math.h>

#include "capi.h"

static void versions_and_names(void) {
    CHECK(drr_abi_version() == DRR_ABI_VERSION);
    CHECK(drr_version()[0] >= '0' && drr_version()[0] <= '9');
    CHECK(strcmp(drr_status_name(DRR_OK), "DRR_OK") == 0);
    CHECK(strcmp(drr_status_name(DRR_ERROR_INTERNAL), "DRR_ERROR_INTERNAL") == 0);
    CHECK(strcmp(drr_status_name(98), "unknown status") == 0);
    CHECK(strcmp(drr_status_name(UINT32_MAX), "unknown status") == 0);
    CHECK(strcmp(drr_last_error(), "") == 0);
}

static void descriptions(const drr_model *model) {
    drr_model_info info = {.struct_size = sizeof info};
    CHECK(drr_model_get_info(model, &info) == DRR_OK && info.struct_size == sizeof info);
    CHECK(info.dims == DIMS && info.parameters == 2 && info.outputs == OUTPUTS);
    CHECK(info.file_bytes > 0 && info.memory_bytes >= info.file_bytes);
    CHECK(info.kernel[0] != '\0' && info.spec_json[0] == '{');
    drr_range_info range = {.struct_size = sizeof range};
    for (uint32_t k = 0; k < DIMS; k++) {
        CHECK(drr_model_get_axis(model, k, &range) == DRR_OK);
        CHECK(range.name[0] == "xyz"[k] && range.min == 0.0 && range.max == 1.0);
    }
    CHECK(drr_model_get_parameter(model, 1, &range) == DRR_OK && strcmp(range.name, "q") == 0);
    CHECK(drr_model_get_value(model, 1, &range) == DRR_OK && strcmp(range.unit, "K") == 0);
    CHECK(range.transform == DRR_TRANSFORM_LOG);
    CHECK(drr_model_get_value(model, 0, &range) == DRR_OK);
    CHECK(range.transform == DRR_TRANSFORM_LINEAR);
}

static void layouts_agree(const drr_sampler *sampler) {
    static double points[POINTS][DIMS], values[POINTS][OUTPUTS];
    static float points32[POINTS][DIMS], values32[POINTS][OUTPUTS];
    fill_points(points);
    for (int i = 0; i < POINTS * DIMS; i++) {
        points32[i / DIMS][i % DIMS] = (float)points[i / DIMS][i % DIMS];
    }
    CHECK(drr_sampler_query_f64(sampler, POINTS, &points[0][0], &values[0][0]) == DRR_OK);
    CHECK(drr_sampler_query_f32(sampler, POINTS, &points32[0][0], &values32[0][0]) == DRR_OK);
    CHECK(values[0][0] != values[1][0] && !isnan(values[0][0]));

    /* Structs of 64-bit coordinates, separate 32-bit arrays, and backwards. */
    static struct record {
        char name[3];
        double result[OUTPUTS];
        double position[DIMS];
    } records[POINTS];
    static float x[POINTS], y[POINTS], z[POINTS], planes[OUTPUTS][POINTS];
    for (int i = 0; i < POINTS; i++) {
        memcpy(records[i].position, points[i], sizeof points[i]);
        x[i] = points32[i][0], y[i] = points32[i][1], z[i] = points32[i][2];
    }
    const int64_t size = sizeof records[0];
    drr_points from = {sizeof from, DRR_F64, POINTS, {0}, {size, size, size}};
    for (int k = 0; k < DIMS; k++) {
        from.axis[k] = &records[0].position[k];
    }
    drr_values to = {.struct_size = sizeof to,
                     .scalar = DRR_F64,
                     .data = records[0].result,
                     .point_stride = size};
    CHECK(drr_sampler_query(sampler, &from, &to) == DRR_OK);

    drr_points separate = {sizeof separate, DRR_F32, POINTS, {x, y, z}, {0}};
    drr_values planar = {.struct_size = sizeof planar,
                         .data = planes,
                         .point_stride = sizeof(float),
                         .value_stride = sizeof planes[0]};
    CHECK(drr_sampler_query(sampler, &separate, &planar) == DRR_OK);

    static double backwards[POINTS][OUTPUTS];
    const int64_t back = -(int64_t)sizeof points[0];
    double *last = points[POINTS - 1];
    drr_points reversed = {
        sizeof reversed, DRR_F64, POINTS, {&last[0], &last[1], &last[2]}, {back, back, back}};
    drr_values packed = {.struct_size = sizeof packed, .scalar = DRR_F64, .data = backwards};
    CHECK(drr_sampler_query(sampler, &reversed, &packed) == DRR_OK);

    for (int i = 0; i < POINTS; i++) {
        for (int k = 0; k < OUTPUTS; k++) {
            CHECK(values32[i][k] == (float)values[i][k]);
            CHECK(records[i].result[k] == values[i][k]);
            CHECK(planes[k][i] == (float)values[i][k]);
            CHECK(backwards[POINTS - 1 - i][k] == values[i][k]);
        }
    }
}

/* Derivatives without gaps, among the fields of a struct and as planes; NULL for what is not
 * wanted. */
static void gradients_agree(const drr_sampler *sampler) {
    static double points[POINTS][DIMS], values[POINTS][OUTPUTS], expected[POINTS][OUTPUTS];
    static double by_x[POINTS][OUTPUTS][DIMS], by_p[POINTS][OUTPUTS][2];
    static float points32[POINTS][DIMS], by_x32[POINTS][OUTPUTS][DIMS], by_p32[POINTS][OUTPUTS][2];
    fill_points(points);
    for (int i = 0; i < POINTS * DIMS; i++) {
        points32[i / DIMS][i % DIMS] = (float)points[i / DIMS][i % DIMS];
    }
    CHECK(drr_sampler_query_f64(sampler, POINTS, points[0], expected[0]) == DRR_OK);
    CHECK(drr_sampler_query_gradient_f64(sampler, POINTS, points[0], values[0], by_x[0][0],
                                         by_p[0][0]) == DRR_OK);
    CHECK(memcmp(values, expected, sizeof values) == 0);
    CHECK(drr_sampler_query_gradient_f32(sampler, POINTS, points32[0], NULL, by_x32[0][0],
                                         by_p32[0][0]) == DRR_OK);
    for (int i = 0; i < POINTS; i++) {
        for (int k = 0; k < OUTPUTS; k++) {
            for (int c = 0; c < DIMS; c++) {
                CHECK(by_x32[i][k][c] == (float)by_x[i][k][c] && isfinite(by_x[i][k][c]));
            }
            CHECK(by_p32[i][k][0] == (float)by_p[i][k][0]);
            CHECK(by_p32[i][k][1] == (float)by_p[i][k][1]);
        }
    }

    static struct record {
        char name[3];
        float gradient[OUTPUTS][DIMS];
    } records[POINTS];
    static double planes[2][OUTPUTS][POINTS];
    drr_points from = {sizeof from, DRR_F64, POINTS, {0}, {sizeof points[0]}};
    for (int k = 0; k < DIMS; k++) {
        from.axis[k] = &points[0][k];
        from.stride[k] = sizeof points[0];
    }
    drr_gradients position = {.struct_size = sizeof position,
                              .scalar = DRR_F32,
                              .data = records[0].gradient,
                              .point_stride = sizeof records[0]};
    drr_gradients parameter = {.struct_size = sizeof parameter,
                               .scalar = DRR_F64,
                               .data = planes,
                               .point_stride = sizeof(double),
                               .value_stride = sizeof planes[0][0],
                               .component_stride = sizeof planes[0]};
    CHECK(drr_sampler_query_gradient(sampler, &from, NULL, &position, &parameter) == DRR_OK);
    for (int i = 0; i < POINTS; i++) {
        CHECK(memcmp(records[i].gradient, by_x32[i], sizeof by_x32[i]) == 0);
        for (int k = 0; k < OUTPUTS; k++) {
            CHECK(planes[0][k][i] == by_p[i][k][0] && planes[1][k][i] == by_p[i][k][1]);
        }
    }
    memset(by_x, 0, sizeof by_x);
    drr_gradients packed = {.struct_size = sizeof packed, .scalar = DRR_F64, .data = by_x};
    CHECK(drr_sampler_query_gradient(sampler, &from, NULL, &packed, NULL) == DRR_OK);
    CHECK((float)by_x[7][1][2] == by_x32[7][1][2] && by_x[7][1][2] != 0);
}

/* What a value changes by over a small distance. */
static void gradients_are_slopes(const drr_sampler *sampler) {
    const double h = 0.01;
    const double points[3][DIMS] = {{0.4, 0.3, 0.6}, {0.4 + h, 0.3, 0.6}, {0.4 - h, 0.3, 0.6}};
    double values[3][OUTPUTS], gradients[3][OUTPUTS][DIMS];
    CHECK(drr_sampler_query_gradient_f64(sampler, 3, points[0], values[0], gradients[0][0], NULL) ==
          DRR_OK);
    for (int k = 0; k < OUTPUTS; k++) {
        const double slope = (values[1][k] - values[2][k]) / (2 * h);
        CHECK(fabs(gradients[0][k][0] - slope) < 0.05 * fabs(slope) + 0.01);
        CHECK(fabs(slope) > 0.1);
    }
}

/* Rows of parameters within their ranges that both types hold. */
static void fill_parameters(double rows[][2], int count) {
    for (int i = 0; i < count; i++) {
        rows[i][0] = (double)(i * 29 % 64) / 64;
        rows[i][1] = (double)(i * 43 % 32) / 32;
    }
}

/* Each point its own parameters, from records, packed, and in 32 bits. */
static void points_have_parameters_of_their_own(const drr_model *model) {
    static double points[POINTS][DIMS], rows[POINTS][2], values[POINTS][OUTPUTS];
    static float points32[POINTS][DIMS], rows32[POINTS][2], values32[POINTS][OUTPUTS];
    static struct particle {
        float charge, parameters[2];
        double position[DIMS], result[OUTPUTS];
    } particles[POINTS];
    fill_points(points);
    fill_parameters(rows, POINTS);
    for (int i = 0; i < POINTS; i++) {
        for (int k = 0; k < DIMS; k++) {
            points32[i][k] = (float)(particles[i].position[k] = points[i][k]);
        }
        for (int k = 0; k < 2; k++) {
            rows32[i][k] = particles[i].parameters[k] = (float)rows[i][k];
        }
    }
    CHECK(drr_model_query_f64(model, POINTS, points[0], rows[0], values[0]) == DRR_OK);
    CHECK(drr_model_query_f32(model, POINTS, points32[0], rows32[0], values32[0]) == DRR_OK);

    const int64_t size = sizeof particles[0];
    drr_points from = {sizeof from, DRR_F64, POINTS, {0}, {size, size, size}};
    for (int k = 0; k < DIMS; k++) {
        from.axis[k] = &particles[0].position[k];
    }
    drr_parameters own = {sizeof own, DRR_F32, POINTS, particles[0].parameters, size, 0};
    drr_values to = {.struct_size = sizeof to,
                     .scalar = DRR_F64,
                     .data = particles[0].result,
                     .point_stride = size};
    CHECK(drr_model_query(model, &own, NULL, &from, &to) == DRR_OK);

    for (int i = 0; i < POINTS; i++) {
        CHECK(memcmp(particles[i].result, values[i], sizeof values[i]) == 0);
        drr_sampler *sampler = NULL;
        double expected[OUTPUTS];
        CHECK(drr_sampler_create(model, rows[i], 2, NULL, &sampler) == DRR_OK);
        CHECK(drr_sampler_query_f64(sampler, 1, points[i], expected) == DRR_OK);
        drr_sampler_free(sampler);
        for (int k = 0; k < OUTPUTS; k++) {
            CHECK(values32[i][k] == (float)values[i][k]);
            CHECK(fabs(values[i][k] - expected[k]) <= 1e-5 * (1 + fabs(expected[k])));
        }
    }
}

/* Many sets of parameters at the same points: packed, and point by point with gaps. */
static void sets_share_points(const drr_model *model) {
    enum { SETS = 5 };
    static double points[POINTS][DIMS], rows[SETS][2], values[SETS][POINTS][OUTPUTS];
    static struct { float values[SETS][OUTPUTS], untouched; } records[POINTS];
    fill_points(points);
    fill_parameters(rows, SETS);
    const int64_t size = sizeof points[0];
    drr_points from = {sizeof from,
                       DRR_F64,
                       POINTS,
                       {&points[0][0], &points[0][1], &points[0][2]},
                       {size, size, size}};
    drr_parameters table = {.struct_size = sizeof table, .scalar = DRR_F64, .count = SETS};
    table.data = rows;
    drr_values packed = {.struct_size = sizeof packed, .scalar = DRR_F64, .data = values};
    CHECK(drr_model_query_sets(model, &table, NULL, &from, &packed, 0) == DRR_OK);
    drr_values gaps = {
        .struct_size = sizeof gaps, .data = records, .point_stride = sizeof records[0]};
    const int64_t by_set = sizeof records[0].values[0];
    CHECK(drr_model_query_sets(model, &table, NULL, &from, &gaps, by_set) == DRR_OK);
    for (int s = 0; s < SETS; s++) {
        static double expected[POINTS][OUTPUTS];
        drr_sampler *sampler = NULL;
        CHECK(drr_sampler_create(model, rows[s], 2, NULL, &sampler) == DRR_OK);
        CHECK(drr_sampler_query_f64(sampler, POINTS, points[0], expected[0]) == DRR_OK);
        CHECK(memcmp(values[s], expected, sizeof expected) == 0);
        drr_sampler_free(sampler);
        for (int i = 0; i < POINTS; i++) {
            for (int k = 0; k < OUTPUTS; k++) {
                CHECK(records[i].values[s][k] == (float)expected[i][k]);
            }
            CHECK(records[i].untouched == 0);
        }
    }
    table.count = 0;
    CHECK(drr_model_query_sets(model, &table, NULL, &from, &packed, 0) == DRR_OK);
}

/* Results in 16 bits are the nearest ones. */
static void results_may_have_16_bits(const drr_sampler *sampler) {
    static double points[POINTS][DIMS], values[POINTS][OUTPUTS];
    static uint16_t halves[POINTS + 1][OUTPUTS];
    fill_points(points);
    memset(halves, 0xff, sizeof halves);
    CHECK(drr_sampler_query_f64(sampler, POINTS, points[0], values[0]) == DRR_OK);
    const int64_t size = sizeof points[0];
    drr_points from = {sizeof from,
                       DRR_F64,
                       POINTS,
                       {&points[0][0], &points[0][1], &points[0][2]},
                       {size, size, size}};
    drr_values to = {.struct_size = sizeof to, .scalar = DRR_F16, .data = halves};
    CHECK(drr_sampler_query(sampler, &from, &to) == DRR_OK);
    for (int i = 0; i < POINTS; i++) {
        for (int k = 0; k < OUTPUTS; k++) {
            /* Between 2^-14 and 65504, where the fraction has ten bits. */
            const int exponent = (halves[i][k] >> 10 & 31) - 15;
            const double fraction = 1 + (halves[i][k] & 1023) / 1024.0;
            const double half = ldexp(halves[i][k] >> 15 ? -fraction : fraction, exponent);
            CHECK(fabs(half - values[i][k]) <= ldexp(1, exponent - 11));
        }
    }
    CHECK(halves[POINTS][0] == 0xffff);
}

static void memory_is_copied(void) {
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL);
    static char bytes[1 << 20];
    size_t size = fread(bytes, 1, sizeof bytes, file);
    CHECK(size > 0 && size < sizeof bytes && fclose(file) == 0);
    drr_model *model = NULL;
    CHECK(drr_model_open_memory(bytes, size, NULL, &model) == DRR_OK);
    memset(bytes, 0xff, size);
    drr_sampler *sampler = bound(model);
    drr_model_close(model);
    layouts_agree(sampler);
    drr_sampler_free(sampler);
}

typedef struct {
    int messages;
    uint32_t level;
    char last[1000];
} heard;

static void hear(uint32_t level, const char *message, void *user_data) {
    heard *all = user_data;
    all->messages++;
    all->level = level;
    snprintf(all->last, sizeof all->last, "%s", message);
    /* What is said meanwhile is dropped, and a callback stays until it has returned. */
    drr_model_close(opened(0));
    INVALID(drr_set_log_callback(NULL, DRR_LOG_OFF, NULL));
}

static void messages_are_heard(void) {
    heard all = {0};
    CHECK(drr_set_log_callback(hear, DRR_LOG_INFO, &all) == DRR_OK);
    drr_model_close(opened(2));
    CHECK(all.messages == 1 && all.level == DRR_LOG_INFO);
    CHECK(strncmp(all.last, "opened ", 7) == 0 && strstr(all.last, path) != NULL);
    CHECK(strstr(all.last, "threads 2") != NULL && strchr(all.last, '\n') == NULL);
    INVALID(drr_set_log_callback(hear, 4, &all));
    CHECK(drr_set_log_callback(hear, DRR_LOG_WARN, &all) == DRR_OK);
    drr_model_close(opened(0));
    CHECK(all.messages == 1);
    CHECK(drr_set_log_callback(hear, DRR_LOG_INFO, &all) == DRR_OK);
    drr_model_close(opened(0));
    CHECK(all.messages == 2);
    CHECK(drr_set_log_callback(NULL, DRR_LOG_INFO, NULL) == DRR_OK);
    drr_model_close(opened(0));
    CHECK(all.messages == 2);
}

int main(int count, char **arguments) {
    if (count < 2) {
        fprintf(stderr, "usage: capi_use MODEL\n");
        return 2;
    }
    path = arguments[1];
    versions_and_names();
    drr_model *model = opened(0);
    drr_sampler *sampler = bound(model);
    descriptions(model);
    layouts_agree(sampler);
    gradients_agree(sampler);
    gradients_are_slopes(sampler);
    points_have_parameters_of_their_own(model);
    sets_share_points(model);
    results_may_have_16_bits(sampler);
    drr_model_close(model);
    layouts_agree(sampler); /* outlives its model */
    drr_sampler_free(sampler);
    memory_is_copied();
    messages_are_heard();
    return 0;
}
