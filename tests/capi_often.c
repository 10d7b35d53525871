/* Models and samplers come and go very often and leave nothing behind: no memory, no file, no
 * mapping, no thread; nor do failures.
 *
 * usage: capi_often MODEL [TIMES [checked]]
 * `checked`: memory is watched by a tool, so that the system does not say what is the library's.
 */
#define _POSIX_C_SOURCE 200809L

#include <dirent.h>
#include <unistd.h>

#include "capi.h"

/* Kilobytes that the process has in memory. */
static long resident(void) {
    long pages = 0, unused;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file != NULL && fscanf(file, "%ld %ld", &unused, &pages) == 2 && fclose(file) == 0);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static int entries(const char *folder) {
    DIR *all = opendir(folder);
    CHECK(all != NULL);
    int count = 0;
    while (readdir(all) != NULL) {
        count++;
    }
    CHECK(closedir(all) == 0);
    return count;
}

static int lines(const char *name) {
    FILE *file = fopen(name, "r");
    CHECK(file != NULL);
    int count = 0;
    for (int c = fgetc(file); c != EOF; c = fgetc(file)) {
        count += c == '\n';
    }
    CHECK(fclose(file) == 0);
    return count;
}

/* What the system has for the process. */
typedef struct {
    long kilobytes;
    int files, mappings;
} possessions;

static possessions owned(void) {
    return (possessions){
        .kilobytes = resident(),
        .files = entries("/proc/self/fd"),
        .mappings = lines("/proc/self/maps"),
    };
}

static void nothing_is_left(possessions before, int times) {
    const possessions after = owned();
    /* Ten bytes lost each time would be a megabyte. */
    const long grown = after.kilobytes - before.kilobytes;
    if (grown >= 1024) {
        fprintf(stderr, "%d times left %ld KiB behind\n", times, grown);
        exit(1);
    }
    CHECK(after.files == before.files);
    CHECK(after.mappings <= before.mappings + 2);
    CHECK(entries("/proc/self/task") == 3); /* this thread, and two names of the folder itself */
}

static void open_ask_close(drr_open_options options) {
    const double point[DIMS] = {0.25, 0.5, 0.75};
    double value[OUTPUTS], by_p[OUTPUTS][2];
    options.struct_size = sizeof options;
    drr_model *model = NULL;
    CHECK(drr_model_open(path, &options, &model) == DRR_OK);
    drr_sampler *sampler = bound(model);
    CHECK(drr_sampler_query_f64(sampler, 1, point, value) == DRR_OK);
    CHECK(drr_sampler_query_gradient_f64(sampler, 1, point, NULL, NULL, by_p[0]) == DRR_OK);
    drr_model_close(model);
    drr_sampler_free(sampler);
}

static void fail(const drr_model *model, const char *bytes, size_t size) {
    drr_model *none = NULL;
    drr_sampler *unbound = NULL;
    REFUSED(DRR_ERROR_IO, drr_model_open("no/such/file", NULL, &none));
    REFUSED(DRR_ERROR_FORMAT, drr_model_open_memory(bytes, size - 1, NULL, &none));
    INVALID(drr_sampler_create(model, parameters, 3, NULL, &unbound));
}

int main(int count, char **arguments) {
    const int times = count > 2 ? atoi(arguments[2]) : 100000;
    if (count < 2 || times < 1) {
        fprintf(stderr, "usage: capi_often MODEL [TIMES [checked]]\n");
        return 2;
    }
    path = arguments[1];
    static char bytes[1 << 20];
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL);
    const size_t size = fread(bytes, 1, sizeof bytes, file);
    CHECK(size > 0 && size < sizeof bytes && fclose(file) == 0);
    drr_model *kept = opened(0);

    possessions before = {0};
    for (int n = -times / 10; n < times; n++) {
        if (n == 0) { /* after a tenth, when all that is made once is there */
            before = owned();
        }
        open_ask_close((drr_open_options){.storage = (uint32_t)(n & 1)});
        if (n % 100 == 0) {
            open_ask_close((drr_open_options){.storage = DRR_STORAGE_HUGE_PAGES, .threads = 2});
        }
        fail(kept, bytes, size);
    }
    if (count < 4) {
        nothing_is_left(before, times);
    }
    drr_model_close(kept);
    return 0;
}
