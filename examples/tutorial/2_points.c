/* 2. Values at scattered points, in whatever arrays a code has.
 *
 *     cc 2_points.c $(pkg-config --cflags --libs drr) -o points
 *     ./points field.drr.safetensors
 */

#include "tutorial.h"

enum { PARTICLES = 1000 };

/* A record of the simulation's own; drr reads and writes it in place. */
typedef struct {
    int id;
    double position[3];
    float field;
} particle;

int main(int count, char **arguments) {
    drr_model *model = open_argument(count, arguments);
    drr_model_info info = info_of(model);
    drr_sampler *sampler = sampler_of(model);

    static particle particles[PARTICLES];
    for (uint32_t k = 0; k < info.dims; k++) {
        drr_range_info axis = axis_of(model, k);
        for (int i = 0; i < PARTICLES; i++) {
            double t = (double)((i * (37 + 24 * (int)k)) % 997) / 996;
            particles[i].position[k] = axis.min + t * (axis.max - axis.min);
        }
    }

    /* Where the coordinates are: an address per axis, and the bytes to the next point. */
    drr_points points = {.struct_size = sizeof points, .scalar = DRR_F64, .count = PARTICLES};
    for (uint32_t k = 0; k < info.dims; k++) {
        points.axis[k] = &particles[0].position[k];
        points.stride[k] = sizeof(particle);
    }
    /* Where results go. A model of several values would need an array of them in the record. */
    static float all[PARTICLES][16];
    drr_values values = {.struct_size = sizeof values, .scalar = DRR_F32};
    if (info.outputs == 1) {
        values.data = &particles[0].field;
        values.point_stride = sizeof(particle);
    } else if (info.outputs <= 16) {
        values.data = all;
        values.point_stride = sizeof all[0];
    } else {
        fprintf(stderr, "more than 16 values\n");
        return EXIT_FAILURE;
    }
    check(drr_sampler_query(sampler, &points, &values));

    double sum = 0;
    for (int i = 0; i < PARTICLES; i++)
        sum += info.outputs == 1 ? particles[i].field : all[i][0];
    printf("mean at %d particles: %g\n", PARTICLES, sum / PARTICLES);

    drr_sampler_free(sampler);
    drr_model_close(model);
    return EXIT_SUCCESS;
}
