/* 6. OpenMP threads that share a sampler: it never changes, so that nothing has to be locked.
 *
 *     cc -fopenmp 6_threads.c $(pkg-config --cflags --libs drr) -o threads
 *     ./threads field.drr.safetensors
 */

#include "tutorial.h"
#include <omp.h>

enum { BLOCKS = 64, POINTS = 1024 };

int main(int count, char **arguments) {
    drr_model *model = open_argument(count, arguments);
    drr_model_info info = info_of(model);
    drr_sampler *sampler = sampler_of(model);
    drr_range_info axes[3];
    for (uint32_t k = 0; k < info.dims; k++)
        axes[k] = axis_of(model, k);

    double sum = 0;
    int failures = 0;
#pragma omp parallel for reduction(+ : sum, failures)
    for (int block = 0; block < BLOCKS; block++) {
        float *points = malloc(POINTS * info.dims * sizeof *points);
        float *values = malloc(POINTS * info.outputs * sizeof *values);
        for (uint32_t i = 0; points && i < POINTS * info.dims; i++) {
            drr_range_info axis = axes[i % info.dims];
            double t = (double)((i * 7919u + (uint32_t)block * 104729u) % 65521) / 65520;
            points[i] = (float)(axis.min + t * (axis.max - axis.min));
        }
        /* The reason of a failure belongs to the thread that failed. */
        if (!points || !values ||
            drr_sampler_query_f32(sampler, POINTS, points, values) != DRR_OK) {
            fprintf(stderr, "block %d: %s\n", block, drr_last_error());
            failures++;
        } else {
            for (int i = 0; i < POINTS; i++)
                sum += values[(size_t)i * info.outputs];
        }
        free(points);
        free(values);
    }
    printf("mean of %d points, asked by %d threads: %.9g\n", BLOCKS * POINTS, omp_get_max_threads(),
           sum / (BLOCKS * POINTS));

    drr_sampler_free(sampler);
    drr_model_close(model);
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
