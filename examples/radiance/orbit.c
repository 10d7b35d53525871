/* Goes around a radiance field, a picture from each side.
 *
 *     cc orbit.c $(pkg-config --cflags --libs drr) -lm -o orbit
 *     orbit FILE FOLDER [FRAMES [WIDTH [THREADS]]]
 *
 * Writes FOLDER/000.ppm, 001.ppm, ...; ffmpeg and most viewers read them.
 */
#include "picture.h"

int main(int count, char **arguments) {
    if (count < 3) {
        fprintf(stderr, "usage: %s FILE FOLDER [FRAMES [WIDTH [THREADS]]]\n", arguments[0]);
        return EXIT_FAILURE;
    }
    const int frames = count > 3 ? atoi(arguments[3]) : 36;
    const int width = count > 4 ? atoi(arguments[4]) : 320, height = width * 3 / 4;
    const int threads = count > 5 ? atoi(arguments[5]) : 0;
    if (frames < 1 || frames > 1000 || width < 4 || width > 16384 || threads < 0) {
        fprintf(stderr, "expected 1 to 1000 frames, 4 to 16384 pixels across, threads\n");
        return EXIT_FAILURE;
    }
    double domain[3][2];
    drr_sampler *sampler = open_scene(arguments[1], (uint32_t)threads, domain);
    float *rgba = room_for((size_t)width * (size_t)height, 4 * sizeof *rgba);

    /* Over a background: pictures are finished then. */
    drr_radiance_options options = {.struct_size = sizeof options,
                                    .output = DRR_RADIANCE_OPAQUE,
                                    .background = {0.93, 0.94, 0.96}};
    for (int n = 0; n < frames; n++) {
        const double angle = 6.283185307179586 * n / frames;
        const drr_camera camera = orbit_camera(domain, angle, width, height);
        check(drr_radiance_render(sampler, &camera, (uint64_t)width, (uint64_t)height, &options,
                                  rgba, NULL));
        char path[4096];
        snprintf(path, sizeof path, "%s/%03d.ppm", arguments[2], n);
        write_ppm(path, rgba, 4, width, height);
    }
    free(rgba);
    drr_sampler_free(sampler);
    return EXIT_SUCCESS;
}
