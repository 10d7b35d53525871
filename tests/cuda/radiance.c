/* Pictures of a radiance field on a GPU by the C ABI: those of the CPU. The GPU is that of
 * tests/cuda/driver.cpp, whose memory is the host's.
 *
 * usage: radiance MODEL     MODEL.radiance is a radiance field in a box from -1 to 1
 */
#include <drr.h>
#include <math.h>
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

#define INVALID(call) CHECK((call) == DRR_ERROR_INVALID_ARGUMENT)

enum { WIDTH = 21, HEIGHT = 13, PIXELS = WIDTH * HEIGHT };

static const double middle = 0.5;

static const drr_camera camera = {
    .struct_size = sizeof camera,
    /* From (0, -4, 0), along y. */
    .to_world = {1, 0, 0, 0, 0, 0, -1, -4, 0, 1, 0, 0},
    .focal_x = 30,
    .focal_y = 30,
    .centre_x = WIDTH / 2.0,
    .centre_y = HEIGHT / 2.0,
};

static void is_close(const float *found, const float *expected, int count) {
    for (int n = 0; n < count; n++) {
        CHECK(found[n] == expected[n] || fabsf(found[n] - expected[n]) < 1e-3f);
    }
}

static drr_points all(const double *points) {
    const int64_t stride = 3 * sizeof(double);
    return (drr_points){sizeof(drr_points),
                        DRR_F64,
                        PIXELS,
                        {points, points + 1, points + 2},
                        {stride, stride, stride}};
}

static void pictures(const drr_sampler *here, const drr_device_sampler *there) {
    static float found[PIXELS][4], expected[PIXELS][4], depth[2][PIXELS], scene[PIXELS];
    CHECK(drr_device_radiance_render(there, &camera, WIDTH, HEIGHT, NULL, found[0], depth[0],
                                     NULL) == DRR_OK);
    CHECK(drr_radiance_render(here, &camera, WIDTH, HEIGHT, NULL, expected[0], depth[1]) == DRR_OK);
    is_close(found[0], expected[0], 4 * PIXELS);
    is_close(depth[0], depth[1], PIXELS);
    CHECK(found[HEIGHT / 2 * WIDTH + WIDTH / 2][3] > 0.9f && found[0][3] == 0);

    for (int i = 0; i < PIXELS; i++) {
        scene[i] = i % 3 ? 3.8f : INFINITY;
    }
    const drr_radiance_options options = {.struct_size = sizeof options,
                                          .output = DRR_RADIANCE_OPAQUE,
                                          .depth = DRR_DEPTH_ALONG_AXIS,
                                          .background = {0.1, 0.2, 0.3},
                                          .scene_depth = scene};
    CHECK(drr_device_radiance_render(there, &camera, WIDTH, HEIGHT, &options, found[0], NULL,
                                     NULL) == DRR_OK);
    CHECK(drr_radiance_render(here, &camera, WIDTH, HEIGHT, &options, expected[0], NULL) == DRR_OK);
    is_close(found[0], expected[0], 4 * PIXELS);
}

static void rays_and_points(const drr_sampler *here, const drr_device_sampler *there) {
    static double directions[PIXELS][3], places[PIXELS][3];
    static float found[PIXELS][4], expected[PIXELS][4];
    static const double eye[3] = {0, -4, 0};
    for (int i = 0; i < PIXELS; i++) {
        directions[i][0] = (i % WIDTH + 0.5 - camera.centre_x) / 30;
        directions[i][1] = 1;
        directions[i][2] = -(i / WIDTH + 0.5 - camera.centre_y) / 30;
        for (int k = 0; k < 3; k++) {
            places[i][k] = eye[k] + (3.0 + i % 5 * 0.6) * directions[i][k];
        }
    }
    const drr_points to = all(directions[0]), at = all(places[0]);
    drr_points from = all(eye);
    for (int k = 0; k < 3; k++) {
        from.stride[k] = DRR_STRIDE_SAME;
    }
    CHECK(drr_device_radiance_render_rays(there, &from, &to, NULL, found[0], NULL, NULL) == DRR_OK);
    CHECK(drr_radiance_render_rays(here, &from, &to, NULL, expected[0], NULL) == DRR_OK);
    is_close(found[0], expected[0], 4 * PIXELS);

    drr_values values = {.struct_size = sizeof values, .scalar = DRR_F32, .data = found[0]};
    CHECK(drr_device_radiance_query(there, &at, &to, &values, NULL) == DRR_OK);
    values.data = expected[0];
    CHECK(drr_radiance_query(here, &at, &to, &values) == DRR_OK);
    is_close(found[0], expected[0], 4 * PIXELS);

    INVALID(drr_device_radiance_query(NULL, &at, &to, &values, NULL));
    INVALID(drr_device_radiance_query((void *)here, &at, &to, &values, NULL));
    INVALID(drr_device_radiance_query(there, NULL, &to, &values, NULL));
    INVALID(drr_device_radiance_query(there, &at, NULL, &values, NULL));
    INVALID(drr_device_radiance_query(there, &at, &to, NULL, NULL));
    INVALID(drr_device_radiance_render_rays(there, NULL, &to, NULL, found[0], NULL, NULL));
    INVALID(drr_device_radiance_render_rays(there, &from, &to, NULL, NULL, NULL, NULL));
    drr_points fewer = to;
    fewer.count = 3;
    INVALID(drr_device_radiance_render_rays(there, &from, &fewer, NULL, found[0], NULL, NULL));
    INVALID(drr_device_radiance_render(there, NULL, 1, 1, NULL, found[0], NULL, NULL));
    INVALID(drr_device_radiance_render(there, &camera, 1, 1, NULL, NULL, NULL, NULL));
    INVALID(drr_device_radiance_render(there, &camera, UINT64_MAX, 2, NULL, found[0], NULL, NULL));
    CHECK(drr_device_radiance_render(there, &camera, 0, 7, NULL, NULL, NULL, NULL) == DRR_OK);
    drr_radiance_options options = {.struct_size = sizeof options, .depth = DRR_DEPTH_ALONG_AXIS};
    INVALID(drr_device_radiance_render_rays(there, &from, &to, &options, found[0], NULL, NULL));
    options.output = 5;
    INVALID(drr_device_radiance_render(there, &camera, 1, 1, &options, found[0], NULL, NULL));
}

int main(int count, char **words) {
    char path[4096];
    if (count != 2 || snprintf(path, sizeof path, "%s.radiance", words[1]) >= (int)sizeof path) {
        return 2;
    }
    drr_model *model = NULL;
    drr_device_model *device_model = NULL;
    drr_sampler *here = NULL;
    drr_device_sampler *there = NULL;
    CHECK(drr_model_open(path, NULL, &model) == DRR_OK);
    CHECK(drr_model_to_device(model, 0, NULL, &device_model) == DRR_OK);
    CHECK(drr_sampler_create(model, &middle, 1, NULL, &here) == DRR_OK);
    CHECK(drr_device_sampler_create(device_model, &middle, 1, NULL, &there) == DRR_OK);
    pictures(here, there);
    rays_and_points(here, there);
    drr_device_sampler_free(there);
    drr_sampler_free(here);
    drr_device_model_close(device_model);

    /* Another model has no colours. */
    static const double parameters[2] = {0.5, 0.5};
    float rgba[4] = {7, 7, 7, 7};
    drr_model *other = NULL;
    CHECK(drr_model_open(words[1], NULL, &other) == DRR_OK);
    CHECK(drr_model_to_device(other, 0, NULL, &device_model) == DRR_OK);
    CHECK(drr_device_sampler_create(device_model, parameters, 2, NULL, &there) == DRR_OK);
    INVALID(drr_device_radiance_render(there, &camera, 1, 1, NULL, rgba, NULL, NULL));
    CHECK(strstr(drr_last_error(), "no radiance field") != NULL && rgba[0] == 7);
    drr_device_sampler_free(there);
    drr_device_model_close(device_model);
    drr_model_close(other);
    drr_model_close(model);
    return 0;
}
