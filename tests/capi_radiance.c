/* Radiance fields by the C ABI: pictures, rays and points agree, in every layout; mistakes are
 * errors.
 *
 * usage: capi_radiance MODEL
 * MODEL.radiance is a radiance field in a box from -1 to 1 with one parameter.
 */
#include <math.h>

#include "capi.h"

enum { WIDTH = 31, HEIGHT = 22, PIXELS = WIDTH * HEIGHT };

static const double middle = 0.5;

static drr_camera camera(void) {
    const drr_camera camera = {
        .struct_size = sizeof camera,
        /* From (0, -4, 0), along y. */
        .to_world = {1, 0, 0, 0, 0, 0, -1, -4, 0, 1, 0, 0},
        .focal_x = 40,
        .focal_y = 40,
        .centre_x = WIDTH / 2.0,
        .centre_y = HEIGHT / 2.0,
    };
    return camera;
}

static drr_radiance_options defaults(void) {
    return (drr_radiance_options){.struct_size = sizeof(drr_radiance_options)};
}

static drr_points all(const double *points, uint64_t count) {
    const int64_t stride = 3 * sizeof(double);
    return (drr_points){sizeof(drr_points),
                        DRR_F64,
                        count,
                        {points, points + 1, points + 2},
                        {stride, stride, stride}};
}

/* The rays of the camera above. */
static double directions[PIXELS][3];
static const double eye[1][3] = {{0, -4, 0}};

static drr_points the_eye(void) {
    drr_points points = all(eye[0], PIXELS);
    for (int k = 0; k < 3; k++)
        points.stride[k] = DRR_STRIDE_SAME;
    return points;
}

static void pictures_are_rays(const drr_sampler *sampler, const drr_sampler *threaded) {
    static float rgba[PIXELS][4], rays[PIXELS][4], depth[PIXELS], depths[PIXELS];
    const drr_camera from = camera();
    for (int i = 0; i < PIXELS; i++) {
        directions[i][0] = (i % WIDTH + 0.5 - from.centre_x) / 40;
        directions[i][1] = 1;
        directions[i][2] = -(i / WIDTH + 0.5 - from.centre_y) / 40;
    }
    CHECK(drr_radiance_render(sampler, &from, WIDTH, HEIGHT, NULL, rgba[0], depth) == DRR_OK);
    const drr_points origins = the_eye(), along = all(directions[0], PIXELS);
    CHECK(drr_radiance_render_rays(sampler, &origins, &along, NULL, rays[0], depths) == DRR_OK);
    CHECK(memcmp(rgba, rays, sizeof rgba) == 0 && memcmp(depth, depths, sizeof depth) == 0);
    CHECK(drr_radiance_render(threaded, &from, WIDTH, HEIGHT, NULL, rays[0], NULL) == DRR_OK);
    CHECK(memcmp(rgba, rays, sizeof rgba) == 0);

    /* Something in the middle, nothing at the corner. */
    const float *centre = rgba[HEIGHT / 2 * WIDTH + WIDTH / 2];
    CHECK(centre[3] > 0.9f && centre[3] <= 1 && centre[0] > 0 && centre[0] < 1);
    CHECK(depth[HEIGHT / 2 * WIDTH + WIDTH / 2] > 3 && depth[HEIGHT / 2 * WIDTH + WIDTH / 2] < 5);
    CHECK(rgba[0][3] == 0 && isinf(depth[0]));
}

static void options_are_followed(const drr_sampler *sampler) {
    static float rgba[PIXELS][4], other[PIXELS][4], depth[PIXELS], scene[PIXELS];
    const drr_camera from = camera();
    drr_radiance_options options = defaults();
    CHECK(drr_radiance_render(sampler, &from, WIDTH, HEIGHT, &options, rgba[0], NULL) == DRR_OK);
    options.output = DRR_RADIANCE_OPAQUE;
    options.background[1] = 0.5;
    CHECK(drr_radiance_render(sampler, &from, WIDTH, HEIGHT, &options, other[0], NULL) == DRR_OK);
    for (int i = 0; i < PIXELS; i++) {
        CHECK(other[i][3] == 1 && other[i][0] == rgba[i][0] && other[i][2] == rgba[i][2]);
        CHECK(fabsf(other[i][1] - (rgba[i][1] + 0.5f * (1 - rgba[i][3]))) < 1e-6f);
    }

    /* A wall before the domain hides all of it, one behind it nothing. */
    options = defaults();
    options.depth = DRR_DEPTH_ALONG_AXIS;
    options.scene_depth = scene;
    for (int i = 0; i < PIXELS; i++)
        scene[i] = 2.5f;
    CHECK(drr_radiance_render(sampler, &from, WIDTH, HEIGHT, &options, other[0], depth) == DRR_OK);
    for (int i = 0; i < PIXELS; i++)
        CHECK(other[i][3] == 0 && fabsf(depth[i] - 2.5f) < 1e-6f);
    for (int i = 0; i < PIXELS; i++)
        scene[i] = INFINITY;
    CHECK(drr_radiance_render(sampler, &from, WIDTH, HEIGHT, &options, other[0], NULL) == DRR_OK);
    CHECK(memcmp(rgba, other, sizeof rgba) == 0);
    options = defaults();
    options.ray_end = 2.5;
    CHECK(drr_radiance_render(sampler, &from, WIDTH, HEIGHT, &options, other[0], depth) == DRR_OK);
    CHECK(other[PIXELS / 2][3] == 0 && depth[PIXELS / 2] == 2.5f);
    options.ray_end = 0;
    options.step = 0.05;
    CHECK(drr_radiance_render(sampler, &from, WIDTH, HEIGHT, &options, other[0], NULL) == DRR_OK);
    CHECK(memcmp(rgba, other, sizeof rgba) != 0);
}

static void points_are_asked_for(const drr_sampler *sampler) {
    const double points[4][3] = {{0, 0, 0}, {0.1, 0.2, -0.1}, {1.5, 0, 0}, {0.3, NAN, 0}};
    const double down[1][3] = {{0, 0, -7}}, up[1][3] = {{0, 0, 1e-3}};
    float below[4][4], above[4][4], columns[4][4];
    drr_points from = all(points[0], 4), along = all(down[0], 4);
    for (int k = 0; k < 3; k++)
        along.stride[k] = DRR_STRIDE_SAME;
    drr_values to = {.struct_size = sizeof to, .data = below};
    CHECK(drr_radiance_query(sampler, &from, &along, &to) == DRR_OK);
    for (int k = 0; k < 3; k++)
        along.axis[k] = &up[0][k];
    to.data = above;
    CHECK(drr_radiance_query(sampler, &from, &along, &to) == DRR_OK);
    CHECK(below[0][0] > 1 && below[0][0] == above[0][0]);
    CHECK(below[0][1] > above[0][1] && below[1][3] > above[1][3]);
    for (int k = 0; k < 4; k++)
        CHECK(below[2][k] == 0 && isnan(below[3][k]));

    to = (drr_values){.struct_size = sizeof to, .data = columns, .point_stride = 4};
    to.value_stride = sizeof columns[0];
    CHECK(drr_radiance_query(sampler, &from, &along, &to) == DRR_OK);
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 4; k++)
            CHECK(columns[k][i] == above[i][k]);

    /* The density is value 0. */
    double value[4], at[3] = {0.1, 0.2, -0.1};
    CHECK(drr_sampler_query_f64(sampler, 1, at, value) == DRR_OK);
    CHECK((float)value[0] == above[1][0]);
}

static void mistakes(const drr_model *model, const drr_sampler *sampler) {
    float rgba[4] = {7, 7, 7, 7}, depth = 7;
    const double one[1][3] = {{1, 0, 0}}, none[1][3] = {{0, 0, 0}};
    drr_camera from = camera();
    drr_radiance_options options = defaults();
    const drr_points to = all(one[0], 1), nowhere = all(none[0], 1);
    drr_values values = {.struct_size = sizeof values, .data = rgba};
    INVALID(drr_radiance_render(NULL, &from, 1, 1, NULL, rgba, NULL));
    INVALID(drr_radiance_render(sampler, NULL, 1, 1, NULL, rgba, NULL));
    INVALID(drr_radiance_render(sampler, &from, 1, 1, NULL, NULL, NULL));
    INVALID(drr_radiance_render(sampler, &from, UINT64_MAX, 2, NULL, rgba, NULL));
    INVALID(drr_radiance_render(sampler, &from, UINT64_MAX / 8, 1, NULL, rgba, NULL));
    INVALID(drr_radiance_render(sampler, &from, 1, 1, NULL, (float *)((char *)rgba + 1), NULL));
    INVALID(drr_radiance_render(sampler, &from, 1, 1, NULL, rgba, (float *)((char *)&depth + 1)));
    INVALID(drr_radiance_render_rays(NULL, &to, &to, NULL, rgba, NULL));
    INVALID(drr_radiance_render_rays(sampler, NULL, &to, NULL, rgba, NULL));
    INVALID(drr_radiance_render_rays(sampler, &to, NULL, NULL, rgba, NULL));
    INVALID(drr_radiance_render_rays(sampler, &to, &to, NULL, NULL, NULL));
    INVALID(drr_radiance_render_rays(sampler, &to, &nowhere, NULL, rgba, NULL));
    CHECK(strstr(drr_last_error(), "direction 0 is zero") != NULL);
    INVALID(drr_radiance_query(NULL, &to, &to, &values));
    INVALID(drr_radiance_query(sampler, NULL, &to, &values));
    INVALID(drr_radiance_query(sampler, &to, NULL, &values));
    INVALID(drr_radiance_query(sampler, &to, &to, NULL));
    INVALID(drr_radiance_query(sampler, &to, &nowhere, &values));
    options.output = 2;
    INVALID(drr_radiance_render(sampler, &from, 1, 1, &options, rgba, NULL));
    options.output = 0;
    options.depth = 2;
    INVALID(drr_radiance_render(sampler, &from, 1, 1, &options, rgba, NULL));
    options.depth = DRR_DEPTH_ALONG_AXIS;
    INVALID(drr_radiance_render_rays(sampler, &to, &to, &options, rgba, NULL));
    options.depth = 0;
    options.stop = NAN;
    INVALID(drr_radiance_render(sampler, &from, 1, 1, &options, rgba, NULL));
    options = defaults();
    options.struct_size = 79;
    INVALID(drr_radiance_render(sampler, &from, 1, 1, &options, rgba, NULL));
    from.focal_y = 0;
    INVALID(drr_radiance_render(sampler, &from, 1, 1, NULL, rgba, NULL));
    CHECK(strstr(drr_last_error(), "focal") != NULL);
    from = camera();
    from.to_world[3] = NAN;
    INVALID(drr_radiance_render(sampler, &from, 1, 1, NULL, rgba, NULL));
    from = camera();
    from.struct_size = 135;
    INVALID(drr_radiance_render(sampler, &from, 1, 1, NULL, rgba, NULL));
    from = camera();

    drr_sampler *other = NULL;
    drr_sampler_options normalized = {.struct_size = sizeof normalized,
                                      .units = DRR_UNITS_NORMALIZED};
    CHECK(drr_sampler_create(model, &middle, 1, &normalized, &other) == DRR_OK);
    INVALID(drr_radiance_render(other, &from, 1, 1, NULL, rgba, NULL));
    drr_sampler_free(other);
    for (int k = 0; k < 4; k++)
        CHECK(rgba[k] == 7 && depth == 7);

    /* Nothing is nothing. */
    const drr_points no_points = {.struct_size = sizeof no_points};
    CHECK(drr_radiance_render(sampler, &from, 0, 9, NULL, NULL, NULL) == DRR_OK);
    CHECK(drr_radiance_render_rays(sampler, &no_points, &no_points, NULL, NULL, NULL) == DRR_OK);
}

static drr_model *radiance_field(uint32_t threads) {
    char name[4096];
    snprintf(name, sizeof name, "%s.radiance", path);
    drr_open_options options = {.struct_size = sizeof options, .threads = threads};
    drr_model *model = NULL;
    CHECK(drr_model_open(name, &options, &model) == DRR_OK);
    drr_model_info info = {.struct_size = sizeof info};
    CHECK(drr_model_get_info(model, &info) == DRR_OK && info.is_radiance == 1);
    CHECK(info.dims == 3 && info.parameters == 1 && info.outputs == 4 && info.reserved == 0);
    return model;
}

int main(int count, char **arguments) {
    if (count < 2) {
        fprintf(stderr, "usage: capi_radiance MODEL\n");
        return 2;
    }
    path = arguments[1];
    drr_model *model = radiance_field(0), *with_threads = radiance_field(2);
    drr_sampler *sampler = NULL, *threaded = NULL;
    CHECK(drr_sampler_create(model, &middle, 1, NULL, &sampler) == DRR_OK);
    CHECK(drr_sampler_create(with_threads, &middle, 1, NULL, &threaded) == DRR_OK);
    drr_model_close(with_threads);
    pictures_are_rays(sampler, threaded);
    options_are_followed(sampler);
    points_are_asked_for(sampler);
    mistakes(model, sampler);
    drr_sampler_free(threaded);
    drr_sampler_free(sampler);
    drr_model_close(model);

    /* Other models are none. */
    drr_model *plain = opened(0);
    drr_sampler *values = bound(plain);
    drr_model_info info = {.struct_size = sizeof info};
    CHECK(drr_model_get_info(plain, &info) == DRR_OK && info.is_radiance == 0);
    const drr_camera from = camera();
    float rgba[4];
    INVALID(drr_radiance_render(values, &from, 1, 1, NULL, rgba, NULL));
    CHECK(strstr(drr_last_error(), "no radiance field") != NULL);
    drr_sampler_free(values);
    drr_model_close(plain);
    return 0;
}
