/* Nanoseconds that a query of one warm point takes from C.
 *
 * usage: one_point MODEL CALLS
 */
#define _POSIX_C_SOURCE 200809L

#include <drr.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

int main(int count, char **arguments) {
    const double parameters[2] = {0.5, 0.5};
    drr_model *model = NULL;
    drr_sampler *sampler = NULL;
    if (count != 3 || drr_model_open(arguments[1], NULL, &model) != DRR_OK ||
        drr_sampler_create(model, parameters, 2, NULL, &sampler) != DRR_OK) {
        fprintf(stderr, "usage: one_point MODEL CALLS\n%s\n", drr_last_error());
        return 1;
    }
    const long calls = atol(arguments[2]);
    double point[3] = {0.5, 0.5, 0.5}, values[2], sum = 0, start = 0;
    for (long call = -calls / 10; call < calls; call++) {
        if (call == 0) {
            start = now();
        }
        point[0] = (double)(call & 255) / 256;
        if (drr_sampler_query_f64(sampler, 1, point, values) != DRR_OK) {
            return 1;
        }
        sum += values[0];
    }
    printf("%.1f %g\n", (now() - start) / (double)calls, sum);
    drr_sampler_free(sampler);
    drr_model_close(model);
    return 0;
}
