/* Sessions do not disturb each other, and one that is in use says so. */
#include "insitu.h"

#include <pthread.h>

enum { SESSIONS = 3 };

struct result {
    drr_train_session *session;
    const void *data;
    uint64_t size;
};

static float fields[TIMES][POINTS];
static drr_train_session *shared;

static void *train(void *argument) {
    struct result *result = argument;
    result->session = started((drr_train_options){.seed = 9});
    for (int n = 0; n < TIMES; n++) {
        const double time = time_of(n);
        drr_train_block block = whole(fields[n]);
        block.memory = DRR_TRAIN_BORROW;
        OK(drr_train_add_block(result->session, &time, 1, &block, NULL));
        OK(drr_train_step(result->session, 10, 0.0, NULL, NULL, NULL));
    }
    OK(drr_train_bake_memory(result->session, NULL, &result->data, &result->size));
    return NULL;
}

/* Each call is made, or refused. */
static void *share(void *argument) {
    int *refused = argument;
    for (int n = 0; n < 40; n++) {
        const drr_train_status status = drr_train_step(shared, 1, 0.0, NULL, NULL, NULL);
        CHECK(status == DRR_TRAIN_OK || status == DRR_TRAIN_ERROR_BUSY);
        *refused += status == DRR_TRAIN_ERROR_BUSY;
    }
    return NULL;
}

static void together(void *(*work)(void *), void *const arguments[SESSIONS]) {
    pthread_t threads[SESSIONS];
    for (int n = 0; n < SESSIONS; n++) {
        CHECK(pthread_create(&threads[n], NULL, work, arguments[n]) == 0);
    }
    for (int n = 0; n < SESSIONS; n++) {
        CHECK(pthread_join(threads[n], NULL) == 0);
    }
}

int main(void) {
    struct result alone, results[SESSIONS];
    int refused[SESSIONS] = {0};
    for (int n = 0; n < TIMES; n++) {
        fill(fields[n], time_of(n));
    }
    train(&alone);
    together(train, (void *[SESSIONS]){&results[0], &results[1], &results[2]});
    for (int n = 0; n < SESSIONS; n++) {
        CHECK(results[n].size == alone.size &&
              memcmp(results[n].data, alone.data, alone.size) == 0);
        drr_train_free(results[n].session);
    }
    shared = alone.session;
    const uint64_t before = info_of(shared).steps;
    together(share, (void *[SESSIONS]){&refused[0], &refused[1], &refused[2]});
    const int made = 40 * SESSIONS - refused[0] - refused[1] - refused[2];
    CHECK(info_of(shared).steps == before + (uint64_t)made);
    drr_train_free(shared);
    return 0;
}
