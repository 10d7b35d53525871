/* 3. A regular lattice over the whole domain, without coordinates, as a file for ParaView.
 *
 *     cc 3_lattice_to_vtk.c $(pkg-config --cflags --libs drr) -o lattice
 *     ./lattice field.drr.safetensors field.vtk
 */

#include "tutorial.h"
#include <stdbool.h>

enum { SIZE = 48 };

/* VTK's legacy files are big-endian. */
static bool write_big_endian(const float *numbers, size_t count, FILE *file) {
    for (size_t i = 0; i < count; i++) {
        union {
            float number;
            uint32_t bits;
        } one = {.number = numbers[i]};
        for (int shift = 24; shift >= 0; shift -= 8) {
            if (putc((int)(one.bits >> shift & 255), file) == EOF)
                return false;
        }
    }
    return true;
}

int main(int count, char **arguments) {
    drr_model *model = open_argument(count, arguments);
    const char *name = count > 2 ? arguments[2] : "field.vtk";
    drr_model_info info = info_of(model);
    drr_sampler *sampler = sampler_of(model);

    drr_lattice lattice = {.struct_size = sizeof lattice, .dims = {1, 1, 1}};
    for (uint32_t k = 0; k < info.dims; k++) {
        drr_range_info axis = axis_of(model, k);
        lattice.dims[k] = SIZE;
        lattice.origin[k] = axis.min;
        lattice.spacing[k] = (axis.max - axis.min) / (SIZE - 1);
    }
    size_t points = (size_t)(lattice.dims[0] * lattice.dims[1] * lattice.dims[2]);
    float *numbers = malloc(points * info.outputs * sizeof *numbers);
    if (!numbers)
        return EXIT_FAILURE;
    drr_values values = {.struct_size = sizeof values, .scalar = DRR_F32, .data = numbers};
    check(drr_sampler_query_lattice(sampler, &lattice, &values));

    FILE *file = fopen(name, "wb");
    if (!file) {
        perror(name);
        return EXIT_FAILURE;
    }
    fprintf(file, "# vtk DataFile Version 3.0\ndrr\nBINARY\nDATASET STRUCTURED_POINTS\n");
    fprintf(file, "DIMENSIONS %d %d %d\n", (int)lattice.dims[0], (int)lattice.dims[1],
            (int)lattice.dims[2]);
    fprintf(file, "ORIGIN %.17g %.17g %.17g\n", lattice.origin[0], lattice.origin[1],
            lattice.origin[2]);
    fprintf(file, "SPACING %.17g %.17g %.17g\n", lattice.spacing[0], lattice.spacing[1],
            lattice.spacing[2]);
    fprintf(file, "POINT_DATA %zu\nSCALARS field float %u\nLOOKUP_TABLE default\n", points,
            (unsigned)info.outputs);
    bool written = write_big_endian(numbers, points * info.outputs, file);
    if (fclose(file) != 0 || !written) {
        perror(name);
        return EXIT_FAILURE;
    }
    printf("%s: %zu points\n", name, points);

    free(numbers);
    drr_sampler_free(sampler);
    drr_model_close(model);
    return EXIT_SUCCESS;
}
