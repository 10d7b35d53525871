/* Says what is in a baked file: axes, parameters, values.
 *
 *     cc describe.c $(pkg-config --cflags --libs drr) -o describe
 *     ./describe field.drr.safetensors
 */

#include <drr.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Every call that can fail returns a status; the library keeps the reason. */
static void check(drr_status status) {
    if (status != DRR_OK) {
        fprintf(stderr, "describe: %s: %s\n", drr_status_name(status), drr_last_error());
        exit(EXIT_FAILURE);
    }
}

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

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: describe FILE\n");
        return EXIT_FAILURE;
    }
    if (drr_abi_version() != DRR_ABI_VERSION) {
        fprintf(stderr, "describe: made for another drr than %s\n", drr_version());
        return EXIT_FAILURE;
    }
    drr_model *model;
    check(drr_model_open(argv[1], NULL, &model));

    drr_model_info info = {.struct_size = sizeof info};
    check(drr_model_get_info(model, &info));
    printf("%s: %" PRIu64 " bytes, evaluated by kernel %s of drr %s\n", argv[1], info.file_bytes,
           info.kernel, drr_version());
    list(model, "axes", info.dims, drr_model_get_axis);
    list(model, "parameters", info.parameters, drr_model_get_parameter);
    list(model, "values", info.outputs, drr_model_get_value);

    drr_model_close(model);
    return EXIT_SUCCESS;
}
