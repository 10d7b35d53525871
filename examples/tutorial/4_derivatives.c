/* 4. Value, slope in space and sensitivity to the parameters, in one call.
 *
 *     cc 4_derivatives.c $(pkg-config --cflags --libs drr) -o derivatives
 *     ./derivatives field.drr.safetensors
 */

#include "tutorial.h"

int main(int count, char **arguments) {
    drr_model *model = open_argument(count, arguments);
    drr_model_info info = info_of(model);
    drr_sampler *sampler = sampler_of(model);

    /* A little off the middle: at a vertex of the grid there are two slopes. */
    double point[3];
    for (uint32_t k = 0; k < info.dims; k++) {
        drr_range_info axis = axis_of(model, k);
        point[k] = axis.min + 0.51 * (axis.max - axis.min);
    }
    double *values = calloc(info.outputs, sizeof *values);
    double *slopes = calloc((size_t)info.outputs * info.dims, sizeof *slopes);
    double *sensitivities = calloc((size_t)info.outputs * info.parameters + 1, sizeof *slopes);
    if (!values || !slopes || !sensitivities)
        return EXIT_FAILURE;
    check(drr_sampler_query_gradient_f64(sampler, 1, point, values, slopes, sensitivities));

    for (uint32_t v = 0; v < info.outputs; v++) {
        drr_range_info value = {.struct_size = sizeof value};
        check(drr_model_get_value(model, v, &value));
        printf("%s = %g %s\n", value.name, values[v], value.unit);
        for (uint32_t k = 0; k < info.dims; k++)
            printf("    by %s: %g\n", axis_of(model, k).name, slopes[v * info.dims + k]);
        for (uint32_t k = 0; k < info.parameters; k++) {
            drr_range_info parameter = {.struct_size = sizeof parameter};
            check(drr_model_get_parameter(model, k, &parameter));
            printf("    by %s: %g\n", parameter.name, sensitivities[v * info.parameters + k]);
        }
    }

    free(values);
    free(slopes);
    free(sensitivities);
    drr_sampler_free(sampler);
    drr_model_close(model);
    return EXIT_SUCCESS;
}
