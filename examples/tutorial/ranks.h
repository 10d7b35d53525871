/* What programs with MPI ranks need beside tutorial.h. */
#ifndef RANKS_H
#define RANKS_H

#include "tutorial.h"
#include <mpi.h>
#include <string.h>

/* A rank's block of a lattice over all of a model's domain. */
typedef struct {
    drr_lattice lattice; /* its points */
    int all[3];          /* points of the whole lattice along each axis */
    int first[3];        /* where the block begins in it */
    int cells[3];        /* points of the block */
} block;

/* Block `position` of `blocks` along each axis, of `points` points. The first of all is at the
 * least coordinates; neighbours share no points. */
static inline block block_of(const drr_model *model, int points, const int *blocks,
                             const int *position) {
    block block = {{.struct_size = sizeof(drr_lattice), .dims = {1, 1, 1}},
                   .all = {1, 1, 1},
                   .cells = {1, 1, 1}};
    for (uint32_t k = 0; k < info_of(model).dims; k++) {
        drr_range_info axis = axis_of(model, k);
        block.all[k] = points;
        block.first[k] = position[k] * points / blocks[k];
        block.cells[k] = (position[k] + 1) * points / blocks[k] - block.first[k];
        block.lattice.dims[k] = (uint64_t)block.cells[k];
        block.lattice.spacing[k] = (axis.max - axis.min) / points;
        block.lattice.origin[k] = axis.min + block.first[k] * block.lattice.spacing[k];
    }
    return block;
}

/* Writes the blocks of all ranks, each in an array of f32 with a layer of ghost cells around it, as
 * one file [z][y][x][value] without gaps. */
static inline void write_blocks(MPI_Comm ranks, const char *path, const block *block,
                                const float *array, int outputs) {
    int here[4] = {block->cells[2] + 2, block->cells[1] + 2, block->cells[0] + 2, outputs};
    int there[4] = {block->all[2], block->all[1], block->all[0], outputs};
    int cells[4] = {block->cells[2], block->cells[1], block->cells[0], outputs};
    int inner[4] = {1, 1, 1, 0};
    int place[4] = {block->first[2], block->first[1], block->first[0], 0};
    MPI_Datatype from, to;
    MPI_Type_create_subarray(4, here, cells, inner, MPI_ORDER_C, MPI_FLOAT, &from);
    MPI_Type_create_subarray(4, there, cells, place, MPI_ORDER_C, MPI_FLOAT, &to);
    MPI_Type_commit(&from);
    MPI_Type_commit(&to);

    /* Failures of files are returned, unlike those of messages. */
    MPI_File file;
    int error = MPI_File_open(ranks, path, MPI_MODE_CREATE | MPI_MODE_WRONLY, MPI_INFO_NULL, &file);
    if (error == MPI_SUCCESS) {
        MPI_File_set_size(file, 0);
        MPI_File_set_view(file, 0, MPI_FLOAT, to, "native", MPI_INFO_NULL);
        error = MPI_File_write_all(file, array, 1, from, MPI_STATUS_IGNORE);
        MPI_File_close(&file);
    }
    if (error != MPI_SUCCESS) {
        fprintf(stderr, "%s cannot be written\n", path);
        MPI_Abort(ranks, EXIT_FAILURE);
    }
    MPI_Type_free(&from);
    MPI_Type_free(&to);
}

/* What a process has in memory of a mapped file, in KiB. */
typedef struct {
    double resident; /* all of it (Rss) */
    double shared;   /* pages that other processes have too (Shared_Clean, Shared_Dirty) */
    double fraction; /* each page divided by the number of processes that have it (Pss) */
} mapping;

/* Sums up the parts of /proc/self/smaps that belong to a file of this name; 0 where there is none.
 */
static inline mapping mapping_of(const char *path) {
    mapping sum = {0, 0, 0};
    char line[5000], field[40];
    const char *slash = strrchr(path, '/'), *name = slash ? slash : path;
    FILE *maps = fopen("/proc/self/smaps", "r");
    int inside = 0;
    while (maps && fgets(line, sizeof line, maps)) {
        unsigned long start, end, kilobytes;
        if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
            inside = strstr(line, name) != NULL;
        else if (inside && sscanf(line, "%39[^:]: %lu kB", field, &kilobytes) == 2) {
            sum.resident += strcmp(field, "Rss") == 0 ? (double)kilobytes : 0;
            sum.shared += strncmp(field, "Shared_", 7) == 0 ? (double)kilobytes : 0;
            sum.fraction += strcmp(field, "Pss") == 0 ? (double)kilobytes : 0;
        }
    }
    if (maps)
        fclose(maps);
    return sum;
}

#endif
