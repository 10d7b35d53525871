/* Particles that live on a GPU ask a surrogate there: their coordinates never leave it, and nothing
 * waits until all simulations of a sweep are answered.
 *
 *     cc sweep.c $(pkg-config --cflags --libs drr) -I$CUDA_HOME/include -L$CUDA_HOME/lib64 -lcudart
 * \ -o sweep
 *     ./sweep field.drr.safetensors
 */

#include <cuda_runtime_api.h>
#include <drr.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { PARTICLES = 100000, STEPS = 5, MAX_PARAMETERS = 64, COMPARED = 1000 };

static void check(drr_status status) {
    if (status != DRR_OK) {
        fprintf(stderr, "%s: %s\n", drr_status_name(status), drr_last_error());
        exit(EXIT_FAILURE);
    }
}

static void check_cuda(cudaError_t error) {
    if (error != cudaSuccess) {
        fprintf(stderr, "CUDA: %s\n", cudaGetErrorString(error));
        exit(EXIT_FAILURE);
    }
}

static void *room_on_gpu(size_t bytes) {
    void *address;
    check_cuda(cudaMalloc(&address, bytes));
    return address;
}

/* Particles anywhere in the domain, an array for each coordinate, on the GPU. `host` keeps them. */
static drr_points make_particles(const drr_model *model, uint32_t dims, float *host) {
    drr_points particles = {.struct_size = sizeof particles, .scalar = DRR_F32, .count = PARTICLES};
    for (uint32_t k = 0; k < dims; k++) {
        drr_range_info axis = {.struct_size = sizeof axis};
        check(drr_model_get_axis(model, k, &axis));
        float *own = host + (size_t)k * PARTICLES;
        for (int i = 0; i < PARTICLES; i++)
            own[i] = (float)(axis.min + (axis.max - axis.min) * rand() / RAND_MAX);
        float *there = room_on_gpu(PARTICLES * sizeof *own);
        check_cuda(cudaMemcpy(there, own, PARTICLES * sizeof *own, cudaMemcpyHostToDevice));
        particles.axis[k] = there;
    }
    return particles;
}

/* The largest difference from the CPU at some particles. */
static double difference(const drr_model *model, const double *parameters, uint32_t count,
                         drr_points particles, const float *host, const float *found,
                         uint32_t outputs) {
    drr_sampler *sampler;
    check(drr_sampler_create(model, parameters, count, NULL, &sampler));
    float *expected = calloc((size_t)COMPARED * outputs, sizeof *expected);
    if (!expected)
        exit(EXIT_FAILURE);
    for (uint32_t k = 0; k < 3; k++)
        particles.axis[k] = particles.axis[k] ? host + (size_t)k * PARTICLES : NULL;
    particles.count = COMPARED;
    drr_values values = {.struct_size = sizeof values, .scalar = DRR_F32, .data = expected};
    check(drr_sampler_query(sampler, &particles, &values));
    double largest = 0;
    for (size_t n = 0; n < (size_t)COMPARED * outputs; n++)
        largest = fmax(largest, fabs((double)found[n] - (double)expected[n]));
    free(expected);
    drr_sampler_free(sampler);
    return largest;
}

int main(int count, char **arguments) {
    if (count < 2) {
        fprintf(stderr, "usage: %s FILE\n", arguments[0]);
        return EXIT_FAILURE;
    }
    drr_model *model;
    check(drr_model_open(arguments[1], NULL, &model));
    drr_model_info info = {.struct_size = sizeof info};
    check(drr_model_get_info(model, &info));
    if (info.parameters == 0 || info.parameters > MAX_PARAMETERS) {
        fprintf(stderr, "a model of %u parameters, expected 1 to %d\n", info.parameters,
                MAX_PARAMETERS);
        return EXIT_FAILURE;
    }

    /* The model goes to the GPU once, compares itself with the CPU, and serves any number of
     * samplers. Its memory is that of cudaMalloc: the primary context's. */
    drr_device_model *there;
    check(drr_model_to_device(model, 0, NULL, &there));
    drr_device_info device = {.struct_size = sizeof device};
    check(drr_device_model_get_info(there, &device));
    printf("%s: %llu bytes, kernel %s\n", device.device, (unsigned long long)device.memory_bytes,
           device.kernel);

    double parameters[STEPS][MAX_PARAMETERS];
    drr_range_info first = {.struct_size = sizeof first};
    for (uint32_t p = 0; p < info.parameters; p++) {
        drr_range_info range = {.struct_size = sizeof range};
        check(drr_model_get_parameter(model, p, &range));
        first = p == 0 ? range : first;
        for (int s = 0; s < STEPS; s++)
            parameters[s][p] =
                range.min + (range.max - range.min) * (p == 0 ? (double)s / (STEPS - 1) : 0.5);
    }
    drr_device_sampler *sampler;
    check(drr_device_sampler_create(there, parameters[0], info.parameters, NULL, &sampler));

    const size_t numbers = (size_t)PARTICLES * info.outputs;
    float *host = calloc((size_t)PARTICLES * info.dims, sizeof *host);
    float *values = calloc(STEPS * numbers, sizeof *values);
    float *slopes = calloc(numbers * info.dims, sizeof *slopes);
    if (!host || !values || !slopes)
        return EXIT_FAILURE;
    drr_points particles = make_particles(model, info.dims, host);
    float *values_there = room_on_gpu(STEPS * numbers * sizeof *values);
    float *slopes_there = room_on_gpu(numbers * info.dims * sizeof *slopes);
    cudaStream_t stream;
    check_cuda(cudaStreamCreate(&stream));

    /* Everything is queued, other parameters too; the queue could as well be a CUDA graph. */
    for (int s = 0; s < STEPS; s++) {
        drr_values to = {
            .struct_size = sizeof to, .scalar = DRR_F32, .data = values_there + s * numbers};
        check(drr_device_sampler_set_parameters(sampler, parameters[s], info.parameters, stream));
        check(drr_device_sampler_query(sampler, &particles, &to, stream));
    }
    drr_gradients gradients = {
        .struct_size = sizeof gradients, .scalar = DRR_F32, .data = slopes_there};
    check(drr_device_sampler_query_gradient(sampler, &particles, NULL, &gradients, NULL, stream));
    check_cuda(cudaMemcpyAsync(values, values_there, STEPS * numbers * sizeof *values,
                               cudaMemcpyDeviceToHost, stream));
    check_cuda(cudaMemcpyAsync(slopes, slopes_there, numbers * info.dims * sizeof *slopes,
                               cudaMemcpyDeviceToHost, stream));
    check_cuda(cudaStreamSynchronize(stream));

    for (int s = 0; s < STEPS; s++) {
        const float *own = values + s * numbers;
        double sum = 0;
        for (size_t i = 0; i < PARTICLES; i++)
            sum += own[i * info.outputs];
        printf(
            "%s = %-10g mean %-12g difference from the CPU %.1e\n", first.name, parameters[s][0],
            sum / PARTICLES,
            difference(model, parameters[s], info.parameters, particles, host, own, info.outputs));
    }
    double steepest = 0;
    for (size_t n = 0; n < numbers * info.dims; n++)
        steepest = fmax(steepest, fabs((double)slopes[n]));
    printf("steepest slope %g\n", steepest);

    for (uint32_t k = 0; k < info.dims; k++)
        check_cuda(cudaFree((void *)particles.axis[k]));
    check_cuda(cudaFree(values_there));
    check_cuda(cudaFree(slopes_there));
    check_cuda(cudaStreamDestroy(stream));
    free(host);
    free(values);
    free(slopes);
    drr_device_sampler_free(sampler);
    drr_device_model_close(there);
    drr_model_close(model);
    return EXIT_SUCCESS;
}
