/* One model and one sampler shared by many threads: every call gives what a single thread gets,
 * reasons of failures belong to the thread that failed, and handles may be closed while others go
 * on with theirs.
 *
 * usage: capi_threads MODEL [THREADS [ROUNDS [watched | race | forked]]]
 * `watched`: ThreadSanitizer watches, which does not see into the standard library of Rust. So
 * there is no pool, whose threads wait in it, and what the first who asks makes is there already.
 * `race`: two threads write the same results, for it to find that in one of the rounds.
 * `forked`: a child process asks its parent's models.
 */
#define _POSIX_C_SOURCE 200809L

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "capi.h"

enum { MOST = 256, NX = 7, NY = 5, NZ = 3 };

/* All that is asked for, once by a single thread and then by all. */
typedef struct {
    double values[POINTS][OUTPUTS], by_x[POINTS][OUTPUTS][DIMS], by_p[POINTS][OUTPUTS][2];
    double own[POINTS][OUTPUTS], sets[3][POINTS][OUTPUTS];
    float lattice[NZ][NY][NX][OUTPUTS];
} answers;

static const drr_model *model;
static const drr_sampler *sampler;
static answers expected;
static int rounds;
static bool is_watched;
static pthread_barrier_t start;

static void ask(answers *all) {
    double points[POINTS][DIMS], rows[POINTS][2];
    fill_points(points);
    for (int i = 0; i < POINTS; i++) {
        rows[i][0] = points[i][1], rows[i][1] = points[i][0];
    }
    /* Derivatives first: what they need is made by the first who asks. */
    CHECK(drr_sampler_query_gradient_f64(sampler, POINTS, points[0], NULL, all->by_x[0][0],
                                         all->by_p[0][0]) == DRR_OK);
    CHECK(drr_sampler_query_f64(sampler, POINTS, points[0], all->values[0]) == DRR_OK);
    const drr_lattice lattice = {.struct_size = sizeof lattice,
                                 .dims = {NX, NY, NZ},
                                 .origin = {0.1, 0.2, 0.3},
                                 .spacing = {0.1, 0.1, 0.1}};
    const drr_values to = {.struct_size = sizeof to, .data = all->lattice};
    CHECK(drr_sampler_query_lattice(sampler, &lattice, &to) == DRR_OK);
    CHECK(drr_model_query_f64(model, POINTS, points[0], rows[0], all->own[0]) == DRR_OK);
    const drr_points from = {.struct_size = sizeof from,
                             .scalar = DRR_F64,
                             .count = POINTS,
                             .axis = {&points[0][0], &points[0][1], &points[0][2]},
                             .stride = {sizeof points[0], sizeof points[0], sizeof points[0]}};
    const drr_parameters some = {
        .struct_size = sizeof some, .scalar = DRR_F64, .count = 3, .data = rows};
    const drr_values sets = {.struct_size = sizeof sets, .scalar = DRR_F64, .data = all->sets};
    CHECK(drr_model_query_sets(model, &some, NULL, &from, &sets, 0) == DRR_OK);
}

static void fail_alone(int thread, int round) {
    char name[64];
    snprintf(name, sizeof name, "no-such-file-%d-%d", thread, round);
    drr_model *none = NULL;
    REFUSED(DRR_ERROR_IO, drr_model_open(name, NULL, &none));
    CHECK(strstr(drr_last_error(), name) != NULL);
}

static void come_and_go(int thread) {
    drr_sampler *mine = bound(model);
    const double point[DIMS] = {0.5, 0.25, 0.125 * (thread % 8)};
    double value[OUTPUTS], shared[OUTPUTS];
    CHECK(drr_sampler_query_f64(mine, 1, point, value) == DRR_OK);
    CHECK(drr_sampler_query_f64(sampler, 1, point, shared) == DRR_OK);
    CHECK(memcmp(value, shared, sizeof value) == 0);
    drr_sampler_free(mine);
    drr_model_close(opened(0));
}

static void *work(void *number) {
    const int thread = *(int *)number;
    answers *mine = malloc(sizeof *mine);
    CHECK(mine != NULL && strcmp(drr_last_error(), "") == 0);
    pthread_barrier_wait(&start);
    for (int round = 0; round < rounds; round++) {
        memset(mine, 0, sizeof *mine);
        ask(mine);
        CHECK(memcmp(mine, &expected, sizeof *mine) == 0);
        fail_alone(thread, round);
        come_and_go(thread);
    }
    free(mine);
    return NULL;
}

static void all_at_once(int threads, uint32_t pool) {
    drr_model *shared = opened(pool);
    drr_sampler *fresh = bound(shared);
    model = shared;
    sampler = fresh;
    if (is_watched) {
        static answers unused;
        ask(&unused);
    }
    pthread_t ids[MOST];
    int numbers[MOST];
    CHECK(pthread_barrier_init(&start, NULL, (unsigned)threads) == 0);
    for (int n = 0; n < threads; n++) {
        numbers[n] = n;
        CHECK(pthread_create(&ids[n], NULL, work, &numbers[n]) == 0);
    }
    for (int n = 0; n < threads; n++) {
        CHECK(pthread_join(ids[n], NULL) == 0);
    }
    CHECK(pthread_barrier_destroy(&start) == 0);
    drr_sampler_free(fresh);
    drr_model_close(shared);
}

/* A sampler outlives its model, in whatever threads the two end. */
static void *query_and_free(void *mine) {
    pthread_barrier_wait(&start);
    double points[POINTS][DIMS], values[POINTS][OUTPUTS];
    fill_points(points);
    CHECK(drr_sampler_query_f64(mine, POINTS, points[0], values[0]) == DRR_OK);
    CHECK(memcmp(values, expected.values, sizeof values) == 0);
    drr_sampler_free(mine);
    return NULL;
}

static void closed_meanwhile(int threads, uint32_t pool) {
    drr_model *shared = opened(pool);
    pthread_t ids[MOST];
    CHECK(pthread_barrier_init(&start, NULL, (unsigned)threads + 1) == 0);
    for (int n = 0; n < threads; n++) {
        CHECK(pthread_create(&ids[n], NULL, query_and_free, bound(shared)) == 0);
    }
    pthread_barrier_wait(&start);
    drr_model_close(shared);
    for (int n = 0; n < threads; n++) {
        CHECK(pthread_join(ids[n], NULL) == 0);
    }
    CHECK(pthread_barrier_destroy(&start) == 0);
}

static void *write_the_same(void *unused) {
    static double values[POINTS][OUTPUTS];
    double points[POINTS][DIMS];
    fill_points(points);
    for (int round = 0; round < rounds; round++) {
        pthread_barrier_wait(&start);
        CHECK(drr_sampler_query_f64(sampler, POINTS, points[0], values[0]) == DRR_OK);
    }
    return unused;
}

static void race(void) {
    pthread_t ids[2];
    CHECK(pthread_barrier_init(&start, NULL, 2) == 0);
    for (int n = 0; n < 2; n++) {
        CHECK(pthread_create(&ids[n], NULL, write_the_same, NULL) == 0);
    }
    for (int n = 0; n < 2; n++) {
        CHECK(pthread_join(ids[n], NULL) == 0);
    }
    CHECK(pthread_barrier_destroy(&start) == 0);
}

/* A forked process has its parent's handles, but none of the threads behind them. */
static void forked(void) {
    drr_model *shared = opened(2);
    drr_sampler *fresh = bound(shared);
    model = shared;
    sampler = fresh;
    answers found;
    memset(&found, 0, sizeof found);
    ask(&found); /* the pool is awake */
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(60);
        memset(&found, 0, sizeof found);
        ask(&found);
        CHECK(memcmp(&found, &expected, sizeof found) == 0);
        drr_model_close(shared);
        drr_sampler_free(fresh);
        _exit(0);
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    ask(&found);
    CHECK(memcmp(&found, &expected, sizeof found) == 0);
    drr_sampler_free(fresh);
    drr_model_close(shared);
}

int main(int count, char **arguments) {
    const int threads = count > 2 ? atoi(arguments[2]) : 64;
    rounds = count > 3 ? atoi(arguments[3]) : 10;
    const char *what = count > 4 ? arguments[4] : "";
    is_watched = strcmp(what, "watched") == 0;
    if (count < 2 || threads < 1 || threads > MOST || rounds < 1) {
        fprintf(stderr,
                "usage: capi_threads MODEL [THREADS (1-%d) [ROUNDS [watched | race | forked]]]\n",
                MOST);
        return 2;
    }
    path = arguments[1];
    drr_model *alone = opened(0);
    drr_sampler *of_one = bound(alone);
    model = alone;
    sampler = of_one;
    ask(&expected);
    /* The reason that this thread failed for stays its own. */
    INVALID(drr_model_get_axis(alone, 9, NULL));
    const char *reason = drr_last_error();
    if (strcmp(what, "race") == 0) {
        race();
    } else if (strcmp(what, "forked") == 0) {
        forked();
    } else {
        for (uint32_t pool = 0; pool <= (is_watched ? 0 : 2); pool += 2) {
            all_at_once(threads, pool);
            closed_meanwhile(threads, pool);
        }
    }
    CHECK(drr_last_error() == reason && strstr(reason, "axis 9") != NULL);
    drr_sampler_free(of_one);
    drr_model_close(alone);
    return 0;
}
