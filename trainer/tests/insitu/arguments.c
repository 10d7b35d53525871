/* Impossible arguments are errors that say what was given and what was expected. */
#include "insitu.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

static _Alignas(double) float values[POINTS];
static const double now = 1.0;

static drr_train_status created(const char *config, const drr_train_data *data,
                                const drr_train_options *options) {
    drr_train_session *session = (drr_train_session *)&values;
    const drr_train_status status = drr_train_create(config, data, options, &session);
    CHECK(session == NULL);
    return status;
}

static uint32_t reduce(void *numbers, uint64_t count, uint32_t reduction, void *user_data) {
    (void)numbers, (void)count, (void)reduction, (void)user_data;
    return 7;
}

static uint32_t broadcast(void *bytes, uint64_t count, void *user_data) {
    (void)bytes, (void)count, (void)user_data;
    return 0;
}

static uint32_t exchange(const drr_train_message *sent, uint32_t sent_count,
                         const drr_train_message *received, uint32_t received_count,
                         void *user_data) {
    (void)sent, (void)sent_count, (void)received, (void)received_count, (void)user_data;
    return 0;
}

static void communicators(void) {
    drr_train_data data = field();
    drr_train_communicator others = {.struct_size = sizeof others, .rank = 2, .size = 2};
    drr_train_options options = {.struct_size = sizeof options, .communicator = &others};
    INVALID("communicator.rank is 2 of a size of 2", created(MODEL, &data, &options));
    others.rank = 1;
    INVALID("communicator.reduce is NULL", created(MODEL, &data, &options));
    others.reduce = reduce;
    INVALID("communicator.broadcast is NULL", created(MODEL, &data, &options));
    others.broadcast = broadcast;
    INVALID("communicator.exchange is NULL", created(MODEL, &data, &options));
    others.exchange = exchange;
    REFUSED(DRR_TRAIN_ERROR_COMMUNICATION, "communicator.reduce returned 7",
            created(MODEL, &data, &options));
    others.struct_size = 3;
    INVALID("drr_train_communicator.struct_size is 3", created(MODEL, &data, &options));
    /* One alone needs no functions, but all of the lattice. */
    others = (drr_train_communicator){.struct_size = sizeof others, .size = 1};
    drr_train_session *session = NULL;
    OK(drr_train_create(MODEL, &data, &options, &session));
    drr_train_free(session);
    data.own_extent[0] = data.own_extent[1] = data.own_extent[2] = 2;
    INVALID("is not all of the lattice", created(MODEL, &data, &options));
    data.own_offset[1] = UINT64_MAX;
    INVALID("does not fit", created(MODEL, &data, &options));
}

static void sessions(void) {
    const drr_train_data good = field();
    drr_train_data data = good;
    drr_train_options options = {.struct_size = sizeof options};
    INVALID("session is", drr_train_create(MODEL, &data, NULL, NULL));
    INVALID("config is NULL", created(NULL, &data, NULL));
    INVALID("drr_train_data is NULL", created(MODEL, NULL, NULL));
    INVALID("with `model:` in it", created("", &data, NULL));
    INVALID("not valid YAML", created("model: [", &data, NULL));
    INVALID("did you mean `steps`", created(MODEL "train: {stepz: 3}\n", &data, NULL));
    INVALID("train.minutes", created(MODEL "train: {minutes: 3}\n", &data, NULL));
    data.struct_size = 8;
    INVALID("drr_train_data.struct_size is 8, expected sizeof(drr_train_data) = 128",
            created(MODEL, &data, NULL));
    data = good;
    data.dims = 4;
    INVALID("data.dims is 4", created(MODEL, &data, NULL));
    data.dims = 2;
    INVALID("the model has 3 axes", created(MODEL, &data, NULL));
    data = good;
    data.points[1] = 1;
    INVALID("[12, 1, 8] points", created(MODEL, &data, NULL));
    data.points[1] = UINT64_MAX;
    INVALID("too many", created(MODEL, &data, NULL));
    memset(data.points, 0, sizeof data.points);
    INVALID("dataset.param.dims", created(MODEL, &data, NULL));
    data = good;
    data.parameter_count = 0;
    INVALID("the model takes 1 parameters", created(MODEL, &data, NULL));
    data = good;
    data.value_count = 2;
    data.values = NULL;
    INVALID("2 values a point", created(MODEL, &data, NULL));
    data = good;
    data.value_min = 3.0;
    data.value_max = NAN;
    INVALID("data.value_min and data.value_max are 3 and NaN", created(MODEL, &data, NULL));
    const drr_train_range time = {"time", "s", 2.0, 1.0};
    data = good;
    data.parameters = &time;
    INVALID("parameter time has the range 2 to 1", created(MODEL, &data, NULL));
    data = good;
    options.keep = DRR_TRAIN_KEEP_LATEST;
    INVALID("options.capacity is 0", created(MODEL, &data, &options));
    options.keep = 9;
    INVALID("options.keep is 9", created(MODEL, &data, &options));
    options.keep = 0;
    options.device = "gpu";
    INVALID("expected cpu, cuda, cuda:N or auto", created(MODEL, &data, &options));
    options.device = "cuda:99";
    REFUSED(DRR_TRAIN_ERROR_NO_DEVICE, "cuda:99", created(MODEL, &data, &options));
    struct {
        drr_train_options options;
        uint64_t more;
    } newer = {.options = {.struct_size = sizeof newer, .threads = 1}};
    drr_train_session *session = NULL;
    OK(drr_train_create(MODEL, &data, &newer.options, &session));
    drr_train_free(session);
    /* Of programs that know nothing of processes that train together. */
    data.struct_size = 80;
    data.own_extent[0] = 1;
    newer.options.struct_size = 40;
    newer.options.communicator = (const drr_train_communicator *)&data;
    OK(drr_train_create(MODEL, &data, &newer.options, &session));
    drr_train_free(session);
    newer.options.communicator = NULL;
    newer.options.struct_size = sizeof newer;
    data = good;
    newer.more = 1;
    INVALID("does not know", created(MODEL, &data, &newer.options));
    drr_train_free(NULL);
}

static void blocks(drr_train_session *session) {
    const drr_train_block good = whole(values);
    drr_train_block block = good;
    INVALID("parameters is", drr_train_add_block(session, NULL, 1, &block, NULL));
    INVALID("2 parameters", drr_train_add_block(session, (double[]){1, 2}, 2, &block, NULL));
    INVALID("time is NaN", drr_train_add_block(session, &(double){NAN}, 1, &block, NULL));
    INVALID("time is 2.5, outside", drr_train_add_block(session, &(double){2.5}, 1, &block, NULL));
    INVALID("drr_train_block is NULL", drr_train_add_block(session, &now, 1, NULL, NULL));
    block.data = NULL;
    INVALID("block.data is NULL", drr_train_add_block(session, &now, 1, &block, NULL));
    block = good;
    block.scalar = DRR_F16;
    INVALID("block.scalar is 2", drr_train_add_block(session, &now, 1, &block, NULL));
    block = good;
    block.location = 2;
    INVALID("block.location is 2", drr_train_add_block(session, &now, 1, &block, NULL));
    block.location = DRR_TRAIN_DEVICE;
    block.memory = DRR_TRAIN_BORROW;
    INVALID("expected DRR_TRAIN_COPY", drr_train_add_block(session, &now, 1, &block, NULL));
    block = good;
    block.memory = 2;
    INVALID("block.memory is 2", drr_train_add_block(session, &now, 1, &block, NULL));
    block = good;
    block.extent[0] = NX;
    block.extent[1] = NY;
    block.extent[2] = NZ;
    block.offset[1] = UINT64_MAX;
    INVALID("axis y has 10 points", drr_train_add_block(session, &now, 1, &block, NULL));
    block.offset[1] = 0;
    block.stride[2] = INT64_MAX;
    INVALID("too far", drr_train_add_block(session, &now, 1, &block, NULL));
    block = good;
    values[NX + 2] = NAN;
    INVALID("value 0 of the point [2, 1, 0] (x first) is NaN",
            drr_train_add_block(session, &now, 1, &block, NULL));
    fill(values, now);
}

static void work(drr_train_session *session, const char *folder) {
    char path[4096];
    uint64_t done = 9, size = 9;
    const void *data = values;
    drr_model *model = (drr_model *)values;
    drr_train_quality quality = {.struct_size = sizeof quality};
    drr_train_bake_options options = {.struct_size = sizeof options};
    drr_train_block block = whole(values);
    drr_train_info info = {.struct_size = 3};
    REFUSED(DRR_TRAIN_ERROR_NOT_READY, "no member is complete",
            drr_train_step(session, 1, 0.0, NULL, NULL, &done));
    CHECK(done == 0);
    REFUSED(DRR_TRAIN_ERROR_NOT_READY, "range of the values",
            drr_train_evaluate(session, &now, 1, &block, &quality));
    REFUSED(DRR_TRAIN_ERROR_NOT_READY, "range of the values",
            drr_train_bake_memory(session, NULL, &data, &size));
    CHECK(data == NULL && size == 0);
    REFUSED(DRR_TRAIN_ERROR_NOT_READY, "range of the values",
            drr_train_bake_model(session, NULL, NULL, &model));
    CHECK(model == NULL);
    INVALID("struct_size is 3", drr_train_get_info(session, &info));
    /* A block that is missing. */
    block.extent[0] = NX;
    block.extent[1] = NY;
    block.extent[2] = NZ - 1;
    OK(drr_train_add_block(session, &now, 1, &block, NULL));
    INVALID("overlaps", drr_train_add_block(session, &now, 1, &block, NULL));
    REFUSED(DRR_TRAIN_ERROR_NOT_READY, "1 of them lack blocks",
            drr_train_step(session, 1, 0.0, NULL, NULL, NULL));
    OK(drr_train_forget_pending(session));
    block = whole(values);
    OK(drr_train_add_block(session, &now, 1, &block, NULL));
    INVALID("seconds is NaN", drr_train_step(session, 1, NAN, NULL, NULL, NULL));
    INVALID("seconds is -1", drr_train_step(session, 1, -1.0, NULL, NULL, NULL));
    OK(drr_train_step(session, 3, 0.0, NULL, NULL, NULL));
    quality.struct_size = 1;
    INVALID("quality.struct_size is 1", drr_train_evaluate(session, &now, 1, &block, &quality));

    INVALID("path is NULL", drr_train_bake(session, NULL, NULL));
    INVALID("path is empty", drr_train_bake(session, "", NULL));
    snprintf(path, sizeof path, "%s/none/file", folder);
    REFUSED(DRR_TRAIN_ERROR_IO, "none/file", drr_train_bake(session, path, NULL));
    options.rank = 999;
    snprintf(path, sizeof path, "%s/file", folder);
    INVALID("999", drr_train_bake(session, path, &options));
    options.max_error = 0.1;
    INVALID("one of them", drr_train_bake(session, path, &options));
    options = (drr_train_bake_options){.struct_size = sizeof options, .grid = 7};
    INVALID("options.grid is 7", drr_train_bake(session, path, &options));
    INVALID("data is", drr_train_bake_memory(session, NULL, NULL, &size));
    INVALID("is not a run", drr_train_restore(session, folder));
    INVALID("is not empty", drr_train_save(session, "/"));

    /* A disk that is full: no file may grow beyond 100 bytes. What was there stays. */
    OK(drr_train_bake(session, path, NULL));
    struct stat before, after;
    CHECK(stat(path, &before) == 0);
    const struct rlimit full = {100, RLIM_INFINITY};
    struct rlimit free;
    CHECK(getrlimit(RLIMIT_FSIZE, &free) == 0 && setrlimit(RLIMIT_FSIZE, &full) == 0);
    REFUSED(DRR_TRAIN_ERROR_IO, "cannot write", drr_train_bake(session, path, NULL));
    const struct rlimit more = {free.rlim_cur, RLIM_INFINITY};
    CHECK(setrlimit(RLIMIT_FSIZE, &more) == 0);
    CHECK(stat(path, &after) == 0 && before.st_ino == after.st_ino);
    OK(drr_train_step(session, 1, 0.0, NULL, NULL, NULL));
}

/* What was said last, and how often. */
static char said[400];
static int times;

static void hear(uint32_t level, const char *message, void *user_data) {
    CHECK(level >= DRR_LOG_WARN && level <= DRR_LOG_INFO && user_data == said);
    snprintf(said, sizeof said, "%s", message);
    times++;
}

static void messages(void) {
    const drr_train_data data = field();
    drr_train_options options = {.struct_size = sizeof options, .threads = 1};
    drr_train_session *session = NULL;
    INVALID("log level 9", drr_train_set_log_callback(hear, 9, said));
    OK(drr_train_set_log_callback(hear, DRR_LOG_INFO, said));
    OK(drr_train_create(MODEL "train: {num_workers: 3}\n", &data, &options, &session));
    CHECK(times == 2 && strstr(said, "trainable numbers on cpu") != NULL);
    drr_train_block block = whole(values);
    OK(drr_train_add_block(session, &now, 1, &block, NULL));
    CHECK(times == 2);
    OK(drr_train_step(session, 2, 0.0, NULL, NULL, NULL));
    CHECK(times == 3 && strstr(said, "are learned as 0 to 1 from now on") != NULL);
    OK(drr_train_add_block(session, &now, 1, &block, NULL));
    CHECK(times == 3);
    values[7] = 1e6f;
    OK(drr_train_add_block(session, &now, 1, &block, NULL));
    OK(drr_train_add_block(session, &now, 1, &block, NULL));
    CHECK(times == 4 && strstr(said, "member 3 has values beyond") != NULL);
    CHECK(info_of(session).seen_max == 1e6 && info_of(session).value_max < 100.0);
    fill(values, now);
    OK(drr_train_set_log_callback(NULL, DRR_LOG_OFF, NULL));
    drr_train_free(session);
    CHECK(times == 4);
}

/* Every function that takes a session. */
static void no_session(drr_train_session *none, const char *reason) {
    drr_train_block block = whole(values);
    drr_train_info info = {.struct_size = sizeof info};
    drr_train_quality quality = {.struct_size = sizeof quality};
    const void *data = values;
    uint64_t size = 9;
    drr_model *model = NULL;
    INVALID(reason, drr_train_add_block(none, &now, 1, &block, NULL));
    INVALID(reason, drr_train_forget_pending(none));
    INVALID(reason, drr_train_forget_members(none));
    INVALID(reason, drr_train_step(none, 1, 0.0, NULL, NULL, NULL));
    INVALID(reason, drr_train_anneal(none, 1));
    INVALID(reason, drr_train_evaluate(none, &now, 1, &block, &quality));
    INVALID(reason, drr_train_get_info(none, &info));
    INVALID(reason, drr_train_bake(none, "file", NULL));
    INVALID(reason, drr_train_bake_memory(none, NULL, &data, &size));
    INVALID(reason, drr_train_bake_model(none, NULL, NULL, &model));
    INVALID(reason, drr_train_save(none, "folder"));
    INVALID(reason, drr_train_restore(none, "folder"));
    drr_train_free(none);
}

int main(int count, char **arguments) {
    /* These grow at their ends only; the Fortran module counts on the numbers, too. */
    CHECK(sizeof(drr_train_data) == 128 && sizeof(drr_train_options) == 48);
    CHECK(sizeof(drr_train_communicator) == 48 && sizeof(drr_train_message) == 24);
    CHECK(sizeof(drr_train_block) == 120 && sizeof(drr_train_info) == 112);
    CHECK(sizeof(drr_train_quality) == 40 && sizeof(drr_train_bake_options) == 32);
    CHECK(sizeof(drr_train_range) == 32);
    CHECK(count == 2 && drr_train_abi_version() == DRR_TRAIN_ABI_VERSION);
    CHECK(strlen(drr_train_version()) >= 5 && drr_train_last_error()[0] == '\0');
    CHECK(strcmp(drr_train_status_name(DRR_TRAIN_ERROR_BUSY), "DRR_TRAIN_ERROR_BUSY") == 0);
    fill(values, now);
    no_session(NULL, "session is NULL");
    no_session((drr_train_session *)values, "not a live session");
    sessions();
    communicators();
    messages();
    drr_train_session *session = started((drr_train_options){0});
    blocks(session);
    work(session, arguments[1]);
    drr_train_free(session);
    return 0;
}
