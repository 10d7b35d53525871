/* How good is a surrogate on simulations that it has not seen? A tutorial of the C interface.
 *
 * usage: heldout MODEL FOLDER
 *
 * MODEL is a baked file, FOLDER an ensemble on a cubic grid (see ensemble.h). Every held-out run is
 * predicted by the surrogate and, for comparison, from the training runs nearest in parameter
 * space. The exit status is 0 if the surrogate is the best on average, 2 if it is not, 1 after an
 * error.
 *
 *     cc -std=c11 -Iinclude examples/c/heldout.c examples/c/ensemble.c -Ltarget/release -ldrr -lm
 */

#define _POSIX_C_SOURCE 200809L /* clock_gettime */

#include "ensemble.h"

#include <drr.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { AXES = 3, SURROGATE = 0, NEAREST = 1, WEIGHTED = 2, METHODS = 3 };

/* Every drr call returns a status. The reason of the last failure is kept per thread. */
static bool succeeded(drr_status status, const char *what) {
    if (status == DRR_OK)
        return true;
    fprintf(stderr, "%s: %s: %s\n", what, drr_status_name(status), drr_last_error());
    return false;
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void print_range(const char *kind, const drr_range_info *info) {
    printf("  %-9s %-20s %g to %g%s%s\n", kind, info->name, info->min, info->max,
           *info->unit ? " " : "", info->unit);
}

/* Prints what the file holds, and checks that it was trained on this kind of ensemble. */
static bool describe(const drr_model *model, const ensemble *runs, drr_range_info axes[AXES]) {
    /* A caller states the size of the struct that it was compiled with, so that later versions of
     * the library can add fields to the end without writing past it. */
    drr_model_info info = {.struct_size = sizeof info};
    if (!succeeded(drr_model_get_info(model, &info), "describing the model"))
        return false;
    printf("a model of %.1f MB, evaluated by the %s kernel\n", (double)info.file_bytes / 1e6,
           info.kernel);
    if (info.dims != AXES || info.outputs != 1 || info.parameters != runs->parameters) {
        fprintf(stderr,
                "the model has %u axes, %u values and %u parameters; needed: 3, 1 and %zu\n",
                info.dims, info.outputs, info.parameters, runs->parameters);
        return false;
    }
    for (uint32_t k = 0; k < AXES; k++) {
        axes[k] = (drr_range_info){.struct_size = sizeof axes[k]};
        if (!succeeded(drr_model_get_axis(model, k, &axes[k]), "describing an axis"))
            return false;
        print_range("axis", &axes[k]);
    }
    for (uint32_t k = 0; k < info.parameters; k++) {
        drr_range_info parameter = {.struct_size = sizeof parameter};
        if (!succeeded(drr_model_get_parameter(model, k, &parameter), "describing a parameter"))
            return false;
        print_range("parameter", &parameter);
        if (strcmp(parameter.name, runs->names[k]) != 0) {
            fprintf(stderr, "params.csv has %s in place of this parameter\n", runs->names[k]);
            return false;
        }
    }
    drr_range_info value = {.struct_size = sizeof value};
    if (!succeeded(drr_model_get_value(model, 0, &value), "describing the value"))
        return false;
    print_range("value", &value);
    return true;
}

/* The positions of a field's samples, `[samples][3]`, in the order of the samples: x fastest.
 * An axis runs from its first to its last sample. NULL after printing why. */
static float *lattice(const ensemble *runs, const drr_range_info axes[AXES]) {
    size_t side = (size_t)lround(cbrt((double)runs->samples));
    float *points = malloc(runs->samples * AXES * sizeof *points);
    if (!points || side < 2 || side * side * side != runs->samples) {
        fputs(points ? "the fields are not cubes\n" : "out of memory\n", stderr);
        free(points);
        return NULL;
    }
    for (size_t i = 0; i < runs->samples; i++) {
        size_t index[AXES] = {i % side, i / side % side, i / side / side};
        for (size_t k = 0; k < AXES; k++) {
            double step = (axes[k].max - axes[k].min) / (double)(side - 1);
            points[AXES * i + k] = (float)(axes[k].min + (double)index[k] * step);
        }
    }
    return points;
}

/* Asks the surrogate for a run's whole field. This is all that a simulation code has to do:
 * bind the model to parameters, query as often as it likes, free. */
static bool ask(const drr_model *model, const ensemble *runs, const ensemble_member *member,
                const float *points, float *field) {
    drr_sampler *sampler = NULL;
    drr_status status =
        drr_sampler_create(model, member->parameters, runs->parameters, NULL, &sampler);
    if (!succeeded(status, "setting the parameters"))
        return false;
    status = drr_sampler_query_f32(sampler, runs->samples, points, field);
    drr_sampler_free(sampler);
    return succeeded(status, "querying");
}

/* Predicts every held-out run in every way; prints the table and returns the means. */
static bool compare(const drr_model *model, const ensemble *runs, const float *points, float *field,
                    double mean[METHODS]) {
    size_t held_out = 0;
    double spent = 0.0;
    printf("\nPSNR in dB of runs that were held out (higher is better)\n");
    printf("%-24s %10s %10s %10s\n", "", "surrogate", "nearest", "IDW-8");
    for (size_t m = 0; m < runs->count; m++) {
        const ensemble_member *member = &runs->members[m];
        if (!member->held_out)
            continue;
        double start = seconds(), psnr[METHODS];
        if (!ask(model, runs, member, points, field))
            return false;
        spent += seconds() - start;
        psnr[SURROGATE] = ensemble_psnr(runs, field, member->field);
        ensemble_predict(runs, member, 1, field);
        psnr[NEAREST] = ensemble_psnr(runs, field, member->field);
        ensemble_predict(runs, member, 8, field);
        psnr[WEIGHTED] = ensemble_psnr(runs, field, member->field);
        printf("%-24s %10.2f %10.2f %10.2f\n", member->file, psnr[0], psnr[1], psnr[2]);
        for (size_t k = 0; k < METHODS; k++)
            mean[k] += psnr[k];
        held_out++;
    }
    if (held_out == 0) {
        fprintf(stderr, "params.csv marks no run as `test`\n");
        return false;
    }
    for (size_t k = 0; k < METHODS; k++)
        mean[k] /= (double)held_out;
    printf("%-24s %10.2f %10.2f %10.2f\n", "mean", mean[0], mean[1], mean[2]);
    printf("\n%.2f million points/s, one thread (%zu fields of %zu points in %.3f s)\n",
           1e-6 * (double)(held_out * runs->samples) / spent, held_out, runs->samples, spent);
    return true;
}

int main(int count, char **arguments) {
    if (count != 3) {
        fprintf(stderr, "usage: %s MODEL FOLDER\n", arguments[0]);
        return 1;
    }
    /* A library found at run time can be another one than that of the header. */
    if (drr_abi_version() != DRR_ABI_VERSION) {
        fprintf(stderr, "libdrr %s does not fit the drr.h of this program\n", drr_version());
        return 1;
    }

    int status = 1;
    ensemble runs = {0};
    drr_model *model = NULL;
    drr_range_info axes[AXES];
    float *points = NULL, *field = NULL;
    double mean[METHODS] = {0};

    if (!ensemble_read(&runs, arguments[2]))
        goto done;
    if (!succeeded(drr_model_open(arguments[1], NULL, &model), "opening the model"))
        goto done;
    if (!describe(model, &runs, axes))
        goto done;
    points = lattice(&runs, axes);
    field = malloc(runs.samples * sizeof *field);
    if (!points || !field || !compare(model, &runs, points, field, mean))
        goto done;

    if (mean[SURROGATE] > mean[NEAREST] && mean[SURROGATE] > mean[WEIGHTED]) {
        status = 0;
    } else {
        printf("The surrogate is not better than the training runs themselves: train it longer.\n");
        status = 2;
    }

done:
    /* All of these accept NULL. The order does not matter: a sampler outlives its model, too. */
    free(field);
    free(points);
    drr_model_close(model);
    ensemble_free(&runs);
    return status;
}
