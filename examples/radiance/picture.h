/* What the programs of this folder share: opening a radiance field, a camera that looks at its
 * domain, and pictures in files. */
#ifndef PICTURE_H
#define PICTURE_H

#include <drr.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Every call that can fail returns a status; the library keeps the reason. */
static inline void check(drr_status status) {
    if (status != DRR_OK) {
        fprintf(stderr, "%s: %s\n", drr_status_name(status), drr_last_error());
        exit(EXIT_FAILURE);
    }
}

static inline void *room_for(size_t count, size_t size) {
    void *memory = calloc(count, size);
    if (memory == NULL) {
        fprintf(stderr, "no memory for %zu times %zu bytes\n", count, size);
        exit(EXIT_FAILURE);
    }
    return memory;
}

/* A radiance field bound to the middle of its parameters' ranges; `threads` make its pictures. */
static inline drr_sampler *open_scene(const char *path, uint32_t threads, double domain[3][2]) {
    enum { MAX_PARAMETERS = 64 };
    drr_open_options options = {.struct_size = sizeof options, .threads = threads};
    drr_model *model;
    check(drr_model_open(path, &options, &model));
    drr_model_info info = {.struct_size = sizeof info};
    check(drr_model_get_info(model, &info));
    if (!info.is_radiance || info.parameters > MAX_PARAMETERS) {
        fprintf(stderr, "%s is no radiance field, or has too many parameters\n", path);
        exit(EXIT_FAILURE);
    }
    for (uint32_t k = 0; k < 3; k++) {
        drr_range_info axis = {.struct_size = sizeof axis};
        check(drr_model_get_axis(model, k, &axis));
        domain[k][0] = axis.min;
        domain[k][1] = axis.max;
    }
    double parameters[MAX_PARAMETERS];
    for (uint32_t k = 0; k < info.parameters; k++) {
        drr_range_info range = {.struct_size = sizeof range};
        check(drr_model_get_parameter(model, k, &range));
        parameters[k] = (range.min + range.max) / 2;
    }
    drr_sampler *sampler;
    check(drr_sampler_create(model, parameters, info.parameters, NULL, &sampler));
    /* The sampler keeps what it needs. */
    drr_model_close(model);
    return sampler;
}

/* A camera that looks at the middle of the domain from `angle` around its z axis, a little from
 * above. */
static inline drr_camera orbit_camera(double domain[3][2], double angle, int width, int height) {
    double middle[3], reach = 0;
    for (int k = 0; k < 3; k++) {
        middle[k] = (domain[k][0] + domain[k][1]) / 2;
        reach = hypot(reach, domain[k][1] - domain[k][0]);
    }
    const double tilt = 0.4, distance = 1.1 * reach;
    const double c = cos(angle), s = sin(angle), ct = cos(tilt), st = sin(tilt);
    /* Right, up and backward, which is where the camera stands. */
    const double axes[3][3] = {{-s, c, 0}, {-st * c, -st * s, ct}, {ct * c, ct * s, st}};
    drr_camera camera = {.struct_size = sizeof camera};
    for (int row = 0; row < 3; row++) {
        for (int column = 0; column < 3; column++)
            camera.to_world[4 * row + column] = axes[column][row];
        camera.to_world[4 * row + 3] = middle[row] + distance * axes[2][row];
    }
    camera.focal_x = camera.focal_y = 1.2 * height;
    camera.centre_x = width / 2.0;
    camera.centre_y = height / 2.0;
    return camera;
}

/* Writes red, green, blue from 0 to 1, `stride` numbers from pixel to pixel, as a PPM picture. */
static inline void write_ppm(const char *path, const float *rgb, int stride, int width,
                             int height) {
    FILE *file = fopen(path, "wb");
    if (file == NULL) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    fprintf(file, "P6 %d %d 255\n", width, height);
    for (int i = 0; i < width * height; i++) {
        for (int k = 0; k < 3; k++) {
            const float x = fminf(fmaxf(rgb[i * stride + k], 0), 1);
            fputc((int)lrintf(255 * x), file);
        }
    }
    if (fclose(file) != 0) {
        perror(path);
        exit(EXIT_FAILURE);
    }
}

#endif
