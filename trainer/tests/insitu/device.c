/* Blocks in the memory of a GPU teach what those of the host do. The GPU is that of
 * tests/cuda/driver.cpp, whose memory is the host's.
 *
 * usage: device FOLDER whole | none | fails STATUS TEXT
 */
#include "insitu.h"

#include <dlfcn.h>

typedef unsigned long long address;

/* Of the driver that the library opens too. */
static int (*allocate)(address *, size_t), (*give_back)(address);
static int (*allocate_pinned)(void **, size_t, unsigned), (*give_back_pinned)(void *);
static int (*upload)(address, const void *, size_t);
static int (*is_clean)(void *);
static void (*enter)(void *);

/* A context of the program's. */
static int context;

static void open_driver(void) {
    void *driver = dlopen("libcuda.so", RTLD_NOW);
    CHECK(driver != NULL);
    *(void **)&allocate = dlsym(driver, "cuMemAlloc_v2");
    *(void **)&give_back = dlsym(driver, "cuMemFree_v2");
    *(void **)&allocate_pinned = dlsym(driver, "cuMemHostAlloc");
    *(void **)&give_back_pinned = dlsym(driver, "cuMemFreeHost");
    *(void **)&upload = dlsym(driver, "cuMemcpyHtoD_v2");
    *(void **)&is_clean = dlsym(driver, "fake_cuda_is_clean");
    *(void **)&enter = dlsym(driver, "fake_cuda_enter");
    enter(&context);
}

static address copied(const void *data, size_t bytes) {
    address there = 0;
    CHECK(allocate(&there, bytes) == 0 && upload(there, data, bytes) == 0);
    return there;
}

/* How blocks lie in memory: numbers of the array along x, y, z, and what is taken of them. */
struct layout {
    uint32_t scalar;
    int room[3], first[3];
    /* Along each axis 1 or -1; as many numbers lie side by side at a point. */
    int way[3], width;
};

enum { MOST = 2 * (NX + 2) * (NY + 2) * (NZ + 2) };
static double doubles[MOST];
static float floats[MOST];

/* A member as the layout has it; NaN where nothing is to be read. */
static drr_train_block member(const struct layout *layout, double time) {
    const size_t number = layout->scalar == DRR_F64 ? sizeof(double) : sizeof(float);
    const int *room = layout->room;
    const int points[3] = {NX, NY, NZ};
    for (int n = 0; n < MOST; n++) {
        doubles[n] = NAN;
        floats[n] = NAN;
    }
    int64_t stride[3] = {layout->width, 0, 0}, first = 0;
    stride[1] = stride[0] * room[0];
    stride[2] = stride[1] * room[1];
    for (int k = 0; k < 3; k++) {
        first += stride[k] * (layout->first[k] + (layout->way[k] < 0 ? points[k] - 1 : 0));
        stride[k] *= layout->way[k];
    }
    for (int n = 0; n < POINTS; n++) {
        const int i = n % NX, j = n / NX % NY, l = n / (NX * NY);
        const int64_t at = first + i * stride[0] + j * stride[1] + l * stride[2];
        floats[at] = (float)truth(i, j, l, time);
        /* What the trainings see is the same. */
        doubles[at] = floats[at];
    }
    drr_train_block block;
    memset(&block, 0, sizeof block);
    block.struct_size = sizeof block;
    block.scalar = layout->scalar;
    block.data = number == sizeof(double) ? (const void *)(doubles + first) : floats + first;
    for (int k = 0; k < 3; k++) {
        block.extent[k] = (uint64_t)points[k];
        block.stride[k] = stride[k] * (int64_t)number;
    }
    return block;
}

/* The same block in the GPU's memory, and where that begins. */
static address put(drr_train_block *block) {
    const int is_double = block->scalar == DRR_F64;
    const char *array = is_double ? (const char *)doubles : (const char *)floats;
    const address there = copied(array, is_double ? sizeof doubles : sizeof floats);
    block->data = (const void *)(there + (address)((const char *)block->data - array));
    block->location = DRR_TRAIN_DEVICE;
    return there;
}

static void baked(drr_train_session *session, const void **data, uint64_t *size) {
    OK(drr_train_step(session, 20, 0.0, NULL, NULL, NULL));
    OK(drr_train_bake_memory(session, NULL, data, size));
}

static void same_training(void) {
    static const struct layout layouts[] = {
        {DRR_F32, {NX, NY, NZ}, {0, 0, 0}, {1, 1, 1}, 1},
        {DRR_F64, {NX, NY, NZ}, {0, 0, 0}, {1, 1, 1}, 1},
        /* Ghost layers, from behind, one number of two. */
        {DRR_F32, {NX + 2, NY + 2, NZ + 2}, {1, 1, 1}, {1, 1, 1}, 1},
        {DRR_F64, {NX + 2, NY + 2, NZ + 2}, {1, 1, 1}, {-1, 1, -1}, 1},
        {DRR_F32, {NX + 2, NY + 2, NZ + 2}, {0, 2, 1}, {1, -1, 1}, 2},
    };
    const void *expected = NULL, *data = NULL;
    uint64_t wanted = 0, size = 0;
    drr_train_session *host = started((drr_train_options){.seed = 5});
    for (int n = 0; n < TIMES; n++) {
        const double time = time_of(n);
        const drr_train_block block = member(&layouts[0], time);
        OK(drr_train_add_block(host, &time, 1, &block, NULL));
    }
    baked(host, &expected, &wanted);
    for (size_t k = 0; k < sizeof layouts / sizeof *layouts; k++) {
        drr_train_session *session = started((drr_train_options){.seed = 5});
        for (int n = 0; n < TIMES; n++) {
            const double time = time_of(n);
            drr_train_block block = member(&layouts[k], time);
            const address there = put(&block);
            uint32_t complete = 0;
            if (n % 2 == 0) {
                OK(drr_train_add_block(session, &time, 1, &block, &complete));
            } else {
                /* In two halves. */
                drr_train_block half = block;
                half.extent[0] = NX / 2;
                OK(drr_train_add_block(session, &time, 1, &half, NULL));
                half.data = (const char *)block.data + NX / 2 * block.stride[0];
                half.offset[0] = NX / 2;
                OK(drr_train_add_block(session, &time, 1, &half, &complete));
            }
            CHECK(complete == 1);
            /* It was copied. */
            CHECK(give_back(there) == 0);
        }
        baked(session, &data, &size);
        CHECK(size == wanted && memcmp(data, expected, size) == 0);
        drr_train_block block = member(&layouts[k], time_of(1));
        const address there = put(&block);
        drr_train_quality quality = {.struct_size = sizeof quality};
        OK(drr_train_evaluate(session, &(double){time_of(1)}, 1, &block, &quality));
        CHECK(quality.points == POINTS && quality.psnr > 5.0);
        CHECK(give_back(there) == 0);
        drr_train_free(session);
    }
    drr_train_free(host);
}

static void released(const void *data, void *user_data) {
    CHECK(data == NULL && user_data == NULL); /* Never. */
}

static void wrong_arguments(void) {
    static const struct layout gapless = {DRR_F32, {NX, NY, NZ}, {0, 0, 0}, {1, 1, 1}, 1};
    const double time = 1.0;
    drr_train_session *session = started((drr_train_options){0});
    drr_train_block block = member(&gapless, time), good;
    block.location = DRR_TRAIN_DEVICE;
    INVALID("the driver does not know it", drr_train_add_block(session, &time, 1, &block, NULL));
    void *pinned = NULL;
    CHECK(allocate_pinned(&pinned, sizeof floats, 0) == 0);
    block.data = pinned;
    INVALID("memory of the host", drr_train_add_block(session, &time, 1, &block, NULL));
    CHECK(give_back_pinned(pinned) == 0);

    const address there = copied(floats, POINTS * sizeof(float));
    block.data = (const void *)there;
    good = block;
    block.memory = DRR_TRAIN_BORROW;
    block.release = released;
    INVALID("expected DRR_TRAIN_COPY", drr_train_add_block(session, &time, 1, &block, NULL));
    block = good;
    block.data = (const char *)good.data + sizeof(float);
    INVALID("3840 bytes", drr_train_add_block(session, &time, 1, &block, NULL));
    block = good;
    block.stride[0] = -(int64_t)sizeof(float);
    INVALID("not all within the allocation", drr_train_add_block(session, &time, 1, &block, NULL));
    block = good;
    block.scalar = DRR_F64;
    memset(block.stride, 0, sizeof block.stride);
    INVALID("7680 bytes", drr_train_add_block(session, &time, 1, &block, NULL));
    block = good;
    block.offset[2] = 1;
    INVALID("do not fit a lattice of [12, 10, 8]",
            drr_train_add_block(session, &time, 1, &block, NULL));
    block.offset[2] = UINT64_MAX;
    INVALID("do not fit", drr_train_add_block(session, &time, 1, &block, NULL));
    block = good;
    block.extent[0] = UINT64_MAX;
    INVALID("block.", drr_train_add_block(session, &time, 1, &block, NULL));
    block = good;
    block.data = NULL;
    INVALID("block.data is NULL", drr_train_add_block(session, &time, 1, &block, NULL));
    /* What is there is checked as what is here. */
    floats[5] = NAN;
    CHECK(upload(there, floats, POINTS * sizeof(float)) == 0);
    INVALID("point [5, 0, 0] (x first) is NaN",
            drr_train_add_block(session, &time, 1, &good, NULL));
    CHECK(info_of(session).members_pending == 0 && info_of(session).copied_bytes == 0);
    CHECK(give_back(there) == 0);
    drr_train_free(session);
}

/* One block, with whatever the driver says. */
static void fails(drr_train_status expected, const char *text) {
    static const struct layout gapless = {DRR_F32, {NX, NY, NZ}, {0, 0, 0}, {1, 1, 1}, 1};
    const double time = 1.0;
    drr_train_session *session = started((drr_train_options){0});
    drr_train_block block = member(&gapless, time);
    const address there = put(&block);
    if (expected == DRR_TRAIN_OK) {
        OK(drr_train_add_block(session, &time, 1, &block, NULL));
    } else {
        REFUSED(expected, text, drr_train_add_block(session, &time, 1, &block, NULL));
    }
    CHECK(give_back(there) == 0);
    drr_train_free(session);
}

int main(int count, char **arguments) {
    CHECK(count >= 3);
    if (strcmp(arguments[2], "none") == 0) {
        const double time = 1.0;
        drr_train_session *session = started((drr_train_options){0});
        drr_train_block block = whole(floats);
        block.location = DRR_TRAIN_DEVICE;
        REFUSED(DRR_TRAIN_ERROR_NO_DEVICE, "give it as DRR_TRAIN_HOST",
                drr_train_add_block(session, &time, 1, &block, NULL));
        drr_train_free(session);
        return 0;
    }
    open_driver();
    if (count == 5) {
        fails((drr_train_status)atoi(arguments[3]), arguments[4]);
    } else {
        same_training();
        wrong_arguments();
    }
    /* Nothing is left there, and the program's context is the current one. */
    CHECK(is_clean(&context));
    return 0;
}
