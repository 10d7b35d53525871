/* 7. MPI ranks: each asks for its own block, all share one copy of the file in memory.
 *
 *     mpicc 7_ranks.c $(pkg-config --cflags --libs drr) -o ranks
 *     mpirun -n 4 ./ranks field.drr.safetensors field.raw
 */

#include "ranks.h"

enum { POINTS = 64 };

int main(int count, char **arguments) {
    MPI_Init(&count, &arguments);
    int rank, ranks, position[3], blocks[3] = {0, 0, 0}, never[3] = {0, 0, 0};
    drr_model *model = open_argument(count, arguments);
    drr_model_info info = info_of(model);
    for (uint32_t k = info.dims; k < 3; k++)
        blocks[k] = 1;
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    MPI_Dims_create(ranks, 3, blocks);
    MPI_Comm all;
    MPI_Cart_create(MPI_COMM_WORLD, 3, blocks, never, 0, &all);
    MPI_Comm_rank(all, &rank);
    MPI_Cart_coords(all, rank, 3, position);
    block own = block_of(model, POINTS, blocks, position);

    /* An array with ghost cells, as a simulation has: the results go right into its middle. */
    size_t point = info.outputs * sizeof(float), row = point * (size_t)(own.cells[0] + 2);
    size_t plane = row * (size_t)(own.cells[1] + 2);
    char *field = calloc((size_t)own.cells[2] + 2, plane);
    if (!field)
        MPI_Abort(all, EXIT_FAILURE);
    drr_values values = {.struct_size = sizeof values,
                         .scalar = DRR_F32,
                         .data = field + plane + row + point,
                         .row_stride = (int64_t)row,
                         .plane_stride = (int64_t)plane};
    drr_sampler *sampler = sampler_of(model);
    check(drr_sampler_query_lattice(sampler, &own.lattice, &values));
    write_blocks(all, count > 2 ? arguments[2] : "field.raw", &own, (float *)field,
                 (int)info.outputs);

    /* How much memory does the file take, while all ranks have it open? */
    MPI_Barrier(all);
    mapping mine = mapping_of(arguments[1]), *each = calloc((size_t)ranks, sizeof mine), sum = {0};
    MPI_Barrier(all);
    if (!each)
        MPI_Abort(all, EXIT_FAILURE);
    MPI_Gather(&mine, 3, MPI_DOUBLE, each, 3, MPI_DOUBLE, 0, all);
    MPI_Reduce(&mine, &sum, 3, MPI_DOUBLE, MPI_SUM, 0, all);
    if (rank == 0) {
        printf("KiB of the file in memory\n%6s %10s %10s %10s\n", "rank", "mapped", "shared",
               "its part");
        for (int r = 0; r < ranks; r++)
            printf("%6d %10.0f %10.0f %10.0f\n", r, each[r].resident, each[r].shared,
                   each[r].fraction);
        printf("%6s %10.0f %10.0f %10.0f\n%6s %10.0f\n", "all", sum.resident, sum.shared,
               sum.fraction, "file", (double)info.file_bytes / 1024);
    }

    free(each);
    free(field);
    drr_sampler_free(sampler);
    drr_model_close(model);
    MPI_Finalize();
    return EXIT_SUCCESS;
}
