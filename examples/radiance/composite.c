/* A radiance field among the things of an engine: it hides what is behind it and is hidden by what
 * is in front of it.
 *
 *     cc composite.c $(pkg-config --cflags --libs drr) -lm -o composite
 *     composite FILE PICTURE.ppm [WIDTH]
 *
 * The engine is a few lines here: it draws a chessboard under the domain and a ball half within it,
 * and fills a depth buffer from 0 to 1 as OpenGL does. What then has to be done is in `add_field`:
 * depths become distances, the field is rendered up to them, and goes over the picture.
 */
#include "picture.h"

/* A picture with its depth buffer. */
struct frame {
    int width, height;
    float *rgb, *depth; /* [height][width][3] and [height][width] */
    double near_plane, far_plane;
};

/* OpenGL's depth from 0 to 1 of what is `distance` in front of the camera's plane. */
static double to_buffer(const struct frame *frame, double distance) {
    const double n = frame->near_plane, f = frame->far_plane;
    return f / (f - n) * (1 - n / distance);
}

/* And back: along the camera's axis; infinite where nothing was drawn. */
static double from_buffer(const struct frame *frame, double depth) {
    const double n = frame->near_plane, f = frame->far_plane;
    return depth >= 1 ? (double)INFINITY : n * f / (f - depth * (f - n));
}

static double dot(const double a[3], const double b[3]) {
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/* Draws what a ray from `eye` meets first if it is nearer than what is there; `reach` is how far
 * the ray goes for each unit in front of the camera. */
static void draw(struct frame *frame, int pixel, double t, double reach, const double rgb[3]) {
    const double depth = to_buffer(frame, t / reach);
    if (t > 0 && depth >= 0 && depth < frame->depth[pixel]) {
        frame->depth[pixel] = (float)depth;
        for (int k = 0; k < 3; k++)
            frame->rgb[3 * pixel + k] = (float)rgb[k];
    }
}

static void draw_scene(struct frame *frame, const drr_camera *camera, double domain[3][2]) {
    const double *m = camera->to_world;
    const double eye[3] = {m[3], m[7], m[11]}, ground = domain[2][0];
    const double ball[3] = {domain[0][0] * 0.1, domain[1][1] * 0.5, ground + 0.5}, radius = 0.5;
    for (int pixel = 0; pixel < frame->width * frame->height; pixel++) {
        const double u = (pixel % frame->width + 0.5 - camera->centre_x) / camera->focal_x;
        const double v = (pixel / frame->width + 0.5 - camera->centre_y) / camera->focal_y;
        const double reach = sqrt(u * u + v * v + 1);
        double d[3];
        for (int k = 0; k < 3; k++)
            d[k] = (m[4 * k] * u - m[4 * k + 1] * v - m[4 * k + 2]) / reach;
        frame->depth[pixel] = 1;
        for (int k = 0; k < 3; k++)
            frame->rgb[3 * pixel + k] = (float)(0.55 + 0.1 * k);

        const double t = (ground - eye[2]) / d[2];
        const double x = eye[0] + t * d[0], y = eye[1] + t * d[1];
        if (fabs(x) < 3 && fabs(y) < 3) {
            const double tile = fmod(floor(2 * x + 100) + floor(2 * y + 100), 2);
            const double shade = fabs(tile) < 0.5 ? 0.35 : 0.8;
            draw(frame, pixel, t, reach, (double[3]){shade, shade, shade});
        }
        double to_eye[3];
        for (int k = 0; k < 3; k++)
            to_eye[k] = eye[k] - ball[k];
        const double b = dot(to_eye, d), square = b * b - dot(to_eye, to_eye) + radius * radius;
        if (square > 0) {
            const double t_ball = -b - sqrt(square);
            const double light = (to_eye[2] + t_ball * d[2]) / radius;
            const double shade = 0.35 + 0.5 * fmax(light, 0);
            draw(frame, pixel, t_ball, reach, (double[3]){shade, 0.8 * shade, 0.3 * shade});
        }
    }
}

/* Puts a radiance field into a frame that has its opaque things. */
static void add_field(struct frame *frame, const drr_sampler *sampler, const drr_camera *camera) {
    const size_t pixels = (size_t)frame->width * (size_t)frame->height;
    float *scene = room_for(pixels, sizeof *scene), *rgba = room_for(pixels, 4 * sizeof *rgba);
    for (size_t i = 0; i < pixels; i++)
        scene[i] = (float)from_buffer(frame, frame->depth[i]);
    drr_radiance_options options = {
        .struct_size = sizeof options, .depth = DRR_DEPTH_ALONG_AXIS, .scene_depth = scene};
    check(drr_radiance_render(sampler, camera, (uint64_t)frame->width, (uint64_t)frame->height,
                              &options, rgba, NULL));
    /* Premultiplied: over what is there. A GPU blends by (ONE, ONE_MINUS_SRC_ALPHA). */
    for (size_t i = 0; i < pixels; i++) {
        for (size_t k = 0; k < 3; k++) {
            float *channel = &frame->rgb[3 * i + k];
            *channel = rgba[4 * i + k] + (1 - rgba[4 * i + 3]) * *channel;
        }
    }
    free(scene);
    free(rgba);
}

int main(int count, char **arguments) {
    const int width = count > 3 ? atoi(arguments[3]) : 480;
    if (count < 3 || width < 4 || width > 16384) {
        fprintf(stderr, "usage: %s FILE PICTURE.ppm [WIDTH]\n", arguments[0]);
        return EXIT_FAILURE;
    }
    double domain[3][2];
    drr_sampler *sampler = open_scene(arguments[1], 0, domain);
    struct frame frame = {
        .width = width, .height = width * 3 / 4, .near_plane = 0.1, .far_plane = 100};
    const size_t pixels = (size_t)frame.width * (size_t)frame.height;
    frame.rgb = room_for(pixels, 3 * sizeof *frame.rgb);
    frame.depth = room_for(pixels, sizeof *frame.depth);
    const drr_camera camera = orbit_camera(domain, 0.6, frame.width, frame.height);
    draw_scene(&frame, &camera, domain);
    add_field(&frame, sampler, &camera);
    write_ppm(arguments[2], frame.rgb, 3, frame.width, frame.height);
    free(frame.rgb);
    free(frame.depth);
    drr_sampler_free(sampler);
    return EXIT_SUCCESS;
}
