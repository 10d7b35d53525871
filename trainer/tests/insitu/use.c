/* Training in situ works as the header says: blocks in any layout, copied or borrowed, teach the
 * same bit for bit; what is baked is what was learned; the host's state stays as it was. */
#include "insitu.h"

#include <locale.h>
#include <signal.h>
#include <unistd.h>

#ifdef _OPENMP
#include <omp.h>
#endif

/* Two ranks share the lattice along x; each has a layer of ghosts around what it owns, in double.
 */
enum { HALF = NX / 2, GX = HALF + 2, GY = NY + 2, GZ = NZ + 2 };

static double memory[TIMES][2][GZ][GY][GX];
static float fields[TIMES][POINTS];
static int released;

static void give_back(const void *data, void *user_data) {
    CHECK(data != NULL && user_data == &released);
    released++;
}

static void simulate(void) {
    for (int n = 0; n < TIMES; n++) {
        fill(fields[n], time_of(n));
        for (int rank = 0; rank < 2; rank++) {
            for (int l = -1; l <= NZ; l++) {
                for (int j = -1; j <= NY; j++) {
                    for (int i = -1; i <= HALF; i++) {
                        memory[n][rank][l + 1][j + 1][i + 1] =
                            truth(rank * HALF + i, j, l, time_of(n));
                    }
                }
            }
        }
    }
}

static drr_train_block part(int n, int rank, uint32_t kind) {
    drr_train_block block = {0};
    block.struct_size = sizeof block;
    block.scalar = DRR_F64;
    block.data = &memory[n][rank][1][1][1];
    block.offset[0] = (uint64_t)rank * HALF;
    block.extent[0] = HALF;
    block.extent[1] = NY;
    block.extent[2] = NZ;
    block.stride[1] = GX * sizeof(double);
    block.stride[2] = GY * GX * sizeof(double);
    block.memory = kind;
    block.release = give_back;
    block.user_data = &released;
    return block;
}

static void add_parts(drr_train_session *session, uint32_t kind) {
    for (int n = 0; n < TIMES; n++) {
        const double time = time_of(n);
        for (int rank = 0; rank < 2; rank++) {
            const drr_train_block block = part(n, rank, kind);
            uint32_t complete = 7;
            OK(drr_train_add_block(session, &time, 1, &block, &complete));
            CHECK(complete == (uint32_t)rank);
        }
    }
}

struct seen {
    drr_train_session *session;
    uint64_t last, stop;
};

static uint32_t watch(uint64_t step, double loss, double seconds, void *user_data) {
    struct seen *seen = user_data;
    drr_train_info info = {0};
    info.struct_size = sizeof info;
    CHECK(step == seen->last + 1 && loss >= 0.0 && seconds > 0.0);
    REFUSED(DRR_TRAIN_ERROR_BUSY, "another call", drr_train_get_info(seen->session, &info));
    seen->last = step;
    return step == seen->stop;
}

/* The same members, however they come. */
static void blocks_teach_the_same(void) {
    drr_train_session *sessions[3];
    const void *data[3];
    uint64_t size[3], done = 0;
    for (int n = 0; n < 3; n++) {
        sessions[n] = started((drr_train_options){.seed = 5});
    }
    for (int n = 0; n < TIMES; n++) {
        const double time = time_of(n);
        const drr_train_block block = whole(fields[n]);
        OK(drr_train_add_block(sessions[0], &time, 1, &block, NULL));
    }
    add_parts(sessions[1], DRR_TRAIN_COPY);
    add_parts(sessions[2], DRR_TRAIN_BORROW);
    CHECK(info_of(sessions[1]).copied_bytes == sizeof fields);
    CHECK(info_of(sessions[2]).copied_bytes == 0);
    for (int n = 0; n < 3; n++) {
        struct seen seen = {sessions[n], 0, 10};
        OK(drr_train_step(sessions[n], 30, 0.0, watch, &seen, &done));
        CHECK(done == 10 && seen.last == 10);
        OK(drr_train_step(sessions[n], 20, 1e9, NULL, NULL, &done));
        CHECK(done == 20);
        OK(drr_train_bake_memory(sessions[n], NULL, &data[n], &size[n]));
        CHECK(size[n] == size[0] && memcmp(data[n], data[0], size[0]) == 0);
    }
    CHECK(released == 0);
    for (int n = 0; n < 3; n++) {
        drr_train_free(sessions[n]);
    }
    CHECK(released == 2 * TIMES);
}

/* What libdrr makes of the model, against the truth. */
static double psnr_of(const drr_model *model, double time, drr_train_info info) {
    drr_sampler *sampler = NULL;
    CHECK(drr_sampler_create(model, &time, 1, NULL, &sampler) == DRR_OK);
    double sum = 0.0;
    for (int n = 0; n < POINTS; n++) {
        const int i = n % NX, j = n / NX % NY, l = n / (NX * NY);
        const double point[3] = {(double)i / (NX - 1), (double)j / (NY - 1), (double)l / (NZ - 1)};
        double value = 0.0;
        CHECK(drr_sampler_query_f64(sampler, 1, point, &value) == DRR_OK);
        sum += pow((value - truth(i, j, l, time)) / (info.value_max - info.value_min), 2.0);
    }
    drr_sampler_free(sampler);
    return -10.0 * log10(sum / POINTS);
}

static void models_are_what_was_learned(const char *folder) {
    char path[4096], run[4096];
    snprintf(path, sizeof path, "%s/field.drr.safetensors", folder);
    snprintf(run, sizeof run, "%s/run", folder);
    drr_train_session *session = started((drr_train_options){.seed = 1});
    add_parts(session, DRR_TRAIN_BORROW);
    OK(drr_train_step(session, 300, 0.0, NULL, NULL, NULL));
    OK(drr_train_save(session, run));
    OK(drr_train_anneal(session, 200));
    OK(drr_train_step(session, 200, 0.0, NULL, NULL, NULL));
    const drr_train_info info = info_of(session);
    CHECK(info.steps == 500 && info.members_held == TIMES && info.loss < 0.01);
    CHECK(info.learning_rate < 0.0002 && info.trainable > 500 && info.seconds > 0.0);
    CHECK(info.value_min == info.seen_min && info.value_max > 25.0);

    const double time = time_of(1);
    const drr_train_block block = whole(fields[1]);
    drr_train_quality quality = {.struct_size = sizeof quality};
    OK(drr_train_evaluate(session, &time, 1, &block, &quality));
    CHECK(quality.points == POINTS && quality.psnr > 30.0);
    CHECK(quality.rms_error < quality.max_error && quality.max_error < 5.0);

    drr_train_bake_options exact = {.struct_size = sizeof exact};
    exact.grid = DRR_TRAIN_GRID_F32;
    drr_train_bake_options small = {.struct_size = sizeof small, .rank = 6};
    small.grid = DRR_TRAIN_GRID_I8;
    small.decoder = DRR_TRAIN_DECODER_BF16;
    drr_model *models[3] = {NULL};
    OK(drr_train_bake(session, path, &exact));
    CHECK(drr_model_open(path, NULL, &models[0]) == DRR_OK);
    OK(drr_train_bake_model(session, &exact, NULL, &models[1]));
    OK(drr_train_bake_model(session, &small, NULL, &models[2]));
    const double psnr = psnr_of(models[0], time, info);
    CHECK(fabs(psnr - quality.psnr) < 0.01 && psnr_of(models[1], time, info) == psnr);
    CHECK(psnr_of(models[2], time, info) > 20.0);
    drr_range_info parameter = {.struct_size = sizeof parameter};
    CHECK(drr_model_get_parameter(models[1], 0, &parameter) == DRR_OK);
    CHECK(strcmp(parameter.name, "time") == 0 && parameter.max == 2.0);
    for (int n = 0; n < 3; n++) {
        drr_model_close(models[n]);
    }

    /* From what was stored on to the same model, in another session. */
    drr_train_session *again = started((drr_train_options){.seed = 1});
    add_parts(again, DRR_TRAIN_COPY);
    OK(drr_train_restore(again, run));
    CHECK(info_of(again).steps == 300);
    OK(drr_train_anneal(again, 200));
    OK(drr_train_step(again, 200, 0.0, NULL, NULL, NULL));
    const void *data[2];
    uint64_t size[2];
    OK(drr_train_bake_memory(session, NULL, &data[0], &size[0]));
    OK(drr_train_bake_memory(again, NULL, &data[1], &size[1]));
    CHECK(size[0] == size[1] && memcmp(data[0], data[1], size[0]) == 0);
    drr_train_free(session);
    drr_train_free(again);
}

/* A window moves along with a run; memory that it leaves is given back at once. */
static void members_give_way(void) {
    drr_train_options options = {.keep = DRR_TRAIN_KEEP_LATEST, .capacity = 2};
    drr_train_session *session = started(options);
    released = 0;
    for (int n = 0; n < TIMES; n++) {
        const double time = time_of(n);
        drr_train_block block = whole(fields[n]);
        block.memory = DRR_TRAIN_BORROW;
        block.release = give_back;
        block.user_data = &released;
        OK(drr_train_add_block(session, &time, 1, &block, NULL));
        CHECK(released == (n < 2 ? 0 : n - 1));
        OK(drr_train_step(session, 2, 0.0, NULL, NULL, NULL));
    }
    drr_train_info info = info_of(session);
    CHECK(info.members_seen == TIMES && info.members_held == 2);
    /* The range is that of the first step. */
    CHECK(info.seen_max > info.value_max || info.seen_min < info.value_min);
    OK(drr_train_forget_members(session));
    CHECK(released == TIMES && info_of(session).members_held == 0);
    drr_train_free(session);
    options.keep = DRR_TRAIN_KEEP_RESERVOIR;
    session = started(options);
    add_parts(session, DRR_TRAIN_COPY);
    CHECK(info_of(session).members_held == 2);
    drr_train_free(session);
}

/* Two values a point, side by side or in arrays of their own. */
static void components_are_where_strides_say(void) {
    static double together[POINTS][2], apart[2][POINTS];
    const drr_train_range names[2] = {{"u", "m/s", 0.0, 0.0}, {"v", "m/s", 0.0, 0.0}};
    drr_train_session *sessions[2];
    const void *data[2];
    uint64_t size[2];
    for (int n = 0; n < POINTS; n++) {
        apart[0][n] = together[n][0] = fields[0][n];
        apart[1][n] = together[n][1] = 2.0 * fields[1][n];
    }
    for (int n = 0; n < 2; n++) {
        drr_train_data two = field();
        two.value_count = 2;
        two.values = names;
        const drr_train_options options = {.struct_size = sizeof options, .threads = 1};
        OK(drr_train_create(MODEL_OF(2), &two, &options, &sessions[n]));
        drr_train_block block = whole(NULL);
        block.scalar = DRR_F64;
        block.memory = DRR_TRAIN_BORROW;
        block.data = n == 0 ? (const void *)together : (const void *)apart;
        if (n == 1) {
            block.stride[0] = sizeof(double);
            block.value_stride = sizeof apart[0];
        }
        const double time = 0.0;
        drr_train_quality quality = {.struct_size = sizeof quality};
        OK(drr_train_add_block(sessions[n], &time, 1, &block, NULL));
        OK(drr_train_step(sessions[n], 300, 0.0, NULL, NULL, NULL));
        OK(drr_train_evaluate(sessions[n], &time, 1, &block, &quality));
        CHECK(quality.psnr > 25.0 && quality.points == POINTS);
        OK(drr_train_bake_memory(sessions[n], NULL, &data[n], &size[n]));
    }
    CHECK(size[0] == size[1] && memcmp(data[0], data[1], size[0]) == 0);
    drr_train_free(sessions[0]);
    drr_train_free(sessions[1]);
}

int main(int count, char **arguments) {
    CHECK(count == 2);
    simulate();
    char before[4096], after[4096];
    struct sigaction action;
    void (*handlers[32])(int) = {NULL};
    sigset_t mask;
    for (int number = 1; number < 32; number++) {
        if (sigaction(number, NULL, &action) == 0) {
            handlers[number] = action.sa_handler;
        }
    }
    CHECK(getcwd(before, sizeof before) != NULL);
#ifdef _OPENMP
    omp_set_num_threads(3);
#endif
    blocks_teach_the_same();
    models_are_what_was_learned(arguments[1]);
    members_give_way();
    components_are_where_strides_say();
    CHECK(getcwd(after, sizeof after) != NULL && strcmp(before, after) == 0);
    CHECK(strcmp(setlocale(LC_ALL, NULL), "C") == 0);
    for (int number = 1; number < 32; number++) {
        if (sigaction(number, NULL, &action) == 0) {
            /* Whoever started the program may have had some ignored. */
            CHECK(action.sa_handler == handlers[number]);
        }
    }
    CHECK(sigprocmask(SIG_BLOCK, NULL, &mask) == 0 && !sigismember(&mask, SIGINT));
#ifdef _OPENMP
    CHECK(omp_get_max_threads() == 3);
#endif
    return 0;
}
