/* 1. What is in a baked file: axes, parameters, values.
 *
 *     cc 1_describe.c $(pkg-config --cflags --libs drr) -o describe
 *     ./describe field.drr.safetensors
 */

#include "tutorial.h"
#include <inttypes.h>

/* Axes, parameters and values are described alike. */
typedef drr_status get_range(const drr_model *model, uint32_t index, drr_range_info *info);

static void list(const drr_model *model, const char *what, uint32_t count, get_range *get) {
    printf("%s\n", what);
    for (uint32_t i = 0; i < count; i++) {
        drr_range_info range = {.struct_size = sizeof range};
        check(get(model, i, &range));
        printf("    %-16s %g to %g %s\n", range.name, range.min, range.max, range.unit);
    }
}

int main(int count, char **arguments) {
    if (drr_abi_version() != DRR_ABI_VERSION) {
        fprintf(stderr, "made for another drr than %s\n", drr_version());
        return EXIT_FAILURE;
    }
    drr_model *model = open_argument(count, arguments);
    drr_model_info info = info_of(model);
    printf("%" PRIu64 " bytes, evaluated by kernel %s of drr %s\n", info.file_bytes, info.kernel,
           drr_version());
    list(model, "axes", info.dims, drr_model_get_axis);
    list(model, "parameters", info.parameters, drr_model_get_parameter);
    list(model, "values", info.outputs, drr_model_get_value);
    drr_model_close(model);
    return EXIT_SUCCESS;
}
