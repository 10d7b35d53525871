/* Processes that train together over MPI, in C and in C++: each has a slab of the field, all learn
 * what one alone learns, which the caller sees from what the first one prints. */
#include "drr_train_mpi.h"
#include "insitu.h"

/* Along x, of uneven thickness. */
static int border(int rank, int size) { return rank * NX / size; }

static drr_train_block slab(const float *values, int first, int end) {
    drr_train_block block = whole(values + first);
    block.offset[0] = (uint64_t)first;
    block.extent[0] = (uint64_t)(end - first);
    block.extent[1] = NY;
    block.extent[2] = NZ;
    block.stride[0] = sizeof(float);
    block.stride[1] = NX * (int64_t)sizeof(float);
    block.stride[2] = (int64_t)NX * NY * (int64_t)sizeof(float);
    return block;
}

/* The model of the test, in which rounding does not show, and perhaps a mistake. */
static const char *model_in(const char *folder, const char *mistake) {
    static char text[4096];
    char path[1024];
    snprintf(path, sizeof path, "%s/model.yaml", folder);
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL);
    text[fread(text, 1, sizeof text - 100, file)] = '\0';
    fclose(file);
    return strcat(text, mistake);
}

int main(int count, char **arguments) {
    int rank = 0, size = 1, provided = 0;
    MPI_Init_thread(&count, &arguments, MPI_THREAD_FUNNELED, &provided);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    CHECK(count == 2);

    MPI_Comm own;
    MPI_Comm_dup(MPI_COMM_WORLD, &own);
    const drr_train_communicator together = drr_train_mpi(own);
    CHECK(together.size == (uint32_t)size && together.rank == (uint32_t)rank);
    const drr_train_communicator same = drr_train_mpi_f(MPI_Comm_c2f(own));
    CHECK(same.user_data == together.user_data && same.size == together.size);

    drr_train_options options;
    memset(&options, 0, sizeof options);
    options.struct_size = sizeof options;
    options.threads = 1;
    options.seed = 4;
    options.communicator = &together;
    drr_train_data data = field();
    const int first = border(rank, size), end = border(rank + 1, size);
    data.own_offset[0] = (uint64_t)first;
    data.own_extent[0] = (uint64_t)(end - first);
    data.own_extent[1] = NY;
    data.own_extent[2] = NZ;

    /* Mistakes of one are errors of all. */
    drr_train_session *session = NULL;
    if (size > 1) {
        drr_train_data other = data;
        other.own_extent[0] = rank == 0 ? 1 : other.own_extent[0];
        const char *config = model_in(arguments[1], "");
        INVALID("points together", drr_train_create(config, &other, &options, &session));
        CHECK(session == NULL);
        config = model_in(arguments[1], rank == 0 ? "train: {stepz: 3}\n" : "");
        const drr_train_status status = drr_train_create(config, &data, &options, &session);
        CHECK(status ==
              (rank == 0 ? DRR_TRAIN_ERROR_INVALID_ARGUMENT : DRR_TRAIN_ERROR_COMMUNICATION));
    }
    OK(drr_train_create(model_in(arguments[1], ""), &data, &options, &session));

    float values[POINTS];
    for (int n = 0; n < TIMES; n++) {
        const double time = time_of(n);
        fill(values, time);
        const drr_train_block block = slab(values, first, end);
        uint32_t is_complete = 0;
        OK(drr_train_add_block(session, &time, 1, &block, &is_complete));
        CHECK(is_complete == 1);
    }
    OK(drr_train_step(session, 60, 0.0, NULL, NULL, NULL));
    const double time = time_of(2);
    fill(values, time);
    const drr_train_block block = slab(values, first, end);
    drr_train_quality quality;
    memset(&quality, 0, sizeof quality);
    quality.struct_size = sizeof quality;
    OK(drr_train_evaluate(session, &time, 1, &block, &quality));
    CHECK(quality.points == POINTS);

    /* All open the same model, and the file is the same. */
    drr_model *model = NULL;
    OK(drr_train_bake_model(session, NULL, NULL, &model));
    drr_sampler *sampler = NULL;
    CHECK(drr_sampler_create(model, &time, 1, NULL, &sampler) == DRR_OK);
    const double middle[3] = {0.5, 0.5, 0.5};
    double answer = 0.0, least = 0.0, most = 0.0;
    CHECK(drr_sampler_query_f64(sampler, 1, middle, &answer) == DRR_OK);
    MPI_Allreduce(&answer, &least, 1, MPI_DOUBLE, MPI_MIN, MPI_COMM_WORLD);
    MPI_Allreduce(&answer, &most, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
    CHECK(least == answer && most == answer);
    drr_sampler_free(sampler);
    drr_model_close(model);
    char path[1024];
    snprintf(path, sizeof path, "%s/run", arguments[1]);
    OK(drr_train_save(session, path));
    OK(drr_train_restore(session, path));
    OK(drr_train_step(session, 5, 0.0, NULL, NULL, NULL));

    if (rank == 0) {
        printf("%.9g %.9g %.9g\n", info_of(session).loss, quality.psnr, answer);
    }
    drr_train_free(session);
    MPI_Comm_free(&own);
    MPI_Finalize();
    return 0;
}
