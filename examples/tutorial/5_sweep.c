/* 5. One probe, many simulations: how the field at a point answers to the first parameter.
 *
 *     cc 5_sweep.c $(pkg-config --cflags --libs drr) -o sweep
 *     ./sweep field.drr.safetensors
 */

#include "tutorial.h"

enum { STEPS = 21 };

int main(int count, char **arguments) {
    drr_model *model = open_argument(count, arguments);
    drr_model_info info = info_of(model);
    if (info.parameters == 0) {
        fprintf(stderr, "a model without parameters\n");
        return EXIT_FAILURE;
    }
    drr_range_info first = {.struct_size = sizeof first};
    check(drr_model_get_parameter(model, 0, &first));

    /* A row of parameters for each simulation. */
    static double sets[STEPS][MAX_PARAMETERS];
    for (int s = 0; s < STEPS; s++) {
        middle_parameters(model, sets[s]);
        sets[s][0] = first.min + (first.max - first.min) * s / (STEPS - 1);
    }
    drr_parameters parameters = {.struct_size = sizeof parameters,
                                 .scalar = DRR_F64,
                                 .count = STEPS,
                                 .data = sets,
                                 .row_stride = sizeof sets[0],
                                 .parameter_stride = sizeof sets[0][0]};

    double probe[3];
    drr_points points = {.struct_size = sizeof points, .scalar = DRR_F64, .count = 1};
    for (uint32_t k = 0; k < info.dims; k++) {
        drr_range_info axis = axis_of(model, k);
        probe[k] = (axis.min + axis.max) / 2;
        points.axis[k] = &probe[k];
    }
    /* What does not depend on parameters is computed once for all of them. */
    double *numbers = calloc((size_t)STEPS * info.outputs, sizeof *numbers);
    if (!numbers)
        return EXIT_FAILURE;
    drr_values values = {.struct_size = sizeof values, .scalar = DRR_F64, .data = numbers};
    check(drr_model_query_sets(model, &parameters, NULL, &points, &values, 0));

    for (int s = 0; s < STEPS; s++)
        printf("%s = %-10g %g\n", first.name, sets[s][0], numbers[(size_t)s * info.outputs]);

    free(numbers);
    drr_model_close(model);
    return EXIT_SUCCESS;
}
