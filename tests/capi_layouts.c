/* Where numbers are read and results go: arrays of their own, parts of larger ones, the same for
 * all.
 *
 * usage: capi_layouts MODEL
 */
#include <math.h>

#include "capi.h"

enum { NX = 5, NY = 3, NZ = 2, CELLS = NX * NY * NZ };

static drr_points rows_of(double points[][DIMS], uint64_t count) {
    const int64_t size = sizeof points[0];
    return (drr_points){sizeof(drr_points),
                        DRR_F64,
                        count,
                        {&points[0][0], &points[0][1], &points[0][2]},
                        {size, size, size}};
}

static drr_values packed_values(double *data) {
    return (drr_values){.struct_size = sizeof(drr_values), .scalar = DRR_F64, .data = data};
}

/* A plane: x and y from arrays, one z for all points; and one place for all. */
static void coordinates_may_be_the_same_for_all(const drr_sampler *sampler) {
    static double points[POINTS][DIMS], expected[POINTS][OUTPUTS], values[POINTS][OUTPUTS];
    fill_points(points);
    const double z = points[1][2];
    for (int i = 0; i < POINTS; i++) {
        points[i][2] = z;
    }
    CHECK(drr_sampler_query_f64(sampler, POINTS, points[0], expected[0]) == DRR_OK);
    drr_points given = rows_of(points, POINTS);
    given.axis[2] = &z;
    given.stride[2] = DRR_STRIDE_SAME;
    const drr_values to = packed_values(values[0]);
    CHECK(drr_sampler_query(sampler, &given, &to) == DRR_OK);
    CHECK(memcmp(values, expected, sizeof values) == 0);

    static double x[POINTS];
    for (int i = 0; i < POINTS; i++) {
        x[i] = points[i][0];
    }
    given.axis[0] = x;
    given.stride[0] = 0; /* beside others: an array without gaps */
    memset(values, 0, sizeof values);
    CHECK(drr_sampler_query(sampler, &given, &to) == DRR_OK);
    CHECK(memcmp(values, expected, sizeof values) == 0);

    given.stride[0] = given.stride[1] = DRR_STRIDE_SAME;
    CHECK(drr_sampler_query(sampler, &given, &to) == DRR_OK);
    for (int i = 0; i < POINTS; i++) {
        CHECK(memcmp(values[i], expected[0], sizeof expected[0]) == 0);
    }
}

/* One row of parameters for all points: the sampler that has them. */
static void parameters_may_be_the_same_for_all(const drr_model *model, const drr_sampler *sampler) {
    static double points[POINTS][DIMS], expected[POINTS][OUTPUTS], values[POINTS][OUTPUTS];
    fill_points(points);
    CHECK(drr_sampler_query_f64(sampler, POINTS, points[0], expected[0]) == DRR_OK);
    const drr_points given = rows_of(points, POINTS);
    const drr_values to = packed_values(values[0]);
    const drr_parameters one = {.struct_size = sizeof one,
                                .scalar = DRR_F64,
                                .count = POINTS,
                                .data = parameters,
                                .row_stride = DRR_STRIDE_SAME};
    CHECK(drr_model_query(model, &one, NULL, &given, &to) == DRR_OK);
    for (int i = 0; i < POINTS; i++) {
        for (int k = 0; k < OUTPUTS; k++) {
            CHECK(fabs(values[i][k] - expected[i][k]) <= 1e-5 * (1 + fabs(expected[i][k])));
        }
    }
}

/* Nothing of what is said of strides holds for results that all go to one place. */
static void results_may_not_be_the_same(const drr_sampler *sampler) {
    static double points[POINTS][DIMS], values[POINTS][OUTPUTS];
    const drr_points given = rows_of(points, POINTS);
    drr_values to = packed_values(values[0]);
    to.point_stride = DRR_STRIDE_SAME;
    INVALID(drr_sampler_query(sampler, &given, &to));
    to.point_stride = 0;
    to.value_stride = DRR_STRIDE_SAME;
    INVALID(drr_sampler_query(sampler, &given, &to));
}

/* An array per value and per derivative, at addresses that no stride describes. */
static void arrays_may_be_separate(const drr_model *model, const drr_sampler *sampler) {
    static double points[POINTS][DIMS], values[POINTS][OUTPUTS], by_x[POINTS][OUTPUTS][DIMS];
    fill_points(points);
    CHECK(drr_sampler_query_gradient_f64(sampler, POINTS, points[0], values[0], by_x[0][0], NULL) ==
          DRR_OK);
    static float field[OUTPUTS][POINTS], slopes[OUTPUTS][DIMS][2 * POINTS];
    void *fields[OUTPUTS] = {field[1], field[0]}, *gradients[OUTPUTS][DIMS];
    for (int k = 0; k < OUTPUTS; k++) {
        for (int c = 0; c < DIMS; c++) {
            gradients[k][c] = slopes[k][(c + 1) % DIMS];
        }
    }
    const drr_points given = rows_of(points, POINTS);
    drr_values to = {.struct_size = sizeof to, .separate = fields};
    drr_gradients by = {
        .struct_size = sizeof by, .point_stride = 2 * sizeof(float), .separate = &gradients[0][0]};
    CHECK(drr_sampler_query_gradient(sampler, &given, &to, &by, NULL) == DRR_OK);
    for (int i = 0; i < POINTS; i++) {
        for (int k = 0; k < OUTPUTS; k++) {
            CHECK(field[1 - k][i] == (float)values[i][k]);
            for (int c = 0; c < DIMS; c++) {
                CHECK(slopes[k][(c + 1) % DIMS][2 * i] == (float)by_x[i][k][c]);
                CHECK(slopes[k][c][2 * i + 1] == 0);
            }
        }
    }

    /* Two sets one after the other in each array. */
    static float sets[OUTPUTS][2][POINTS];
    void *both[OUTPUTS] = {sets[0], sets[1]};
    const double rows[2][2] = {{parameters[0], parameters[1]}, {0, 0}};
    const drr_parameters table = {
        .struct_size = sizeof table, .scalar = DRR_F64, .count = 2, .data = rows};
    to.separate = both;
    CHECK(drr_model_query_sets(model, &table, NULL, &given, &to, 0) == DRR_OK);
    CHECK(memcmp(sets[0][0], field[1], sizeof field[1]) == 0);
    CHECK(memcmp(sets[1][0], field[0], sizeof field[0]) == 0);
    CHECK(sets[1][1][POINTS - 1] != 0 && sets[1][1][0] != sets[1][0][0]);

    to.data = field;
    INVALID(drr_sampler_query(sampler, &given, &to));
    to.data = NULL;
    to.value_stride = 4;
    INVALID(drr_sampler_query(sampler, &given, &to));
    to.value_stride = 0;
    both[1] = NULL;
    INVALID(drr_sampler_query(sampler, &given, &to));
    CHECK(strstr(drr_last_error(), "separate[1]") != NULL);
}

static drr_lattice lattice_of(double points[NZ][NY][NX][DIMS]) {
    drr_lattice lattice = {.struct_size = sizeof lattice,
                           .dims = {NX, NY, NZ},
                           .origin = {0.1, 0.2, 0.3},
                           .spacing = {0.05, 0.1, 0.2}};
    for (int z = 0; z < NZ; z++) {
        for (int y = 0; y < NY; y++) {
            for (int x = 0; x < NX; x++) {
                const int index[DIMS] = {x, y, z};
                for (int k = 0; k < DIMS; k++) {
                    points[z][y][x][k] = lattice.origin[k] + index[k] * lattice.spacing[k];
                }
            }
        }
    }
    return lattice;
}

/* A lattice, x fastest, into every other place of an array. */
static void a_lattice_needs_no_coordinates(const drr_sampler *sampler) {
    static double points[NZ][NY][NX][DIMS], expected[CELLS][OUTPUTS], values[CELLS][2][OUTPUTS];
    const drr_lattice lattice = lattice_of(points);
    CHECK(drr_sampler_query_f64(sampler, CELLS, points[0][0][0], expected[0]) == DRR_OK);
    drr_values to = packed_values(values[0][0]);
    to.point_stride = sizeof values[0];
    CHECK(drr_sampler_query_lattice(sampler, &lattice, &to) == DRR_OK);
    for (int i = 0; i < CELLS; i++) {
        for (int k = 0; k < OUTPUTS; k++) {
            CHECK(fabs(values[i][0][k] - expected[i][k]) <= 1e-5 * (1 + fabs(expected[i][k])));
            CHECK(values[i][1][k] == 0);
        }
    }
}

/* The inner cells of arrays with ghost cells, one array per value; and axes the other way round. */
static void a_lattice_may_be_a_part_of_an_array(const drr_sampler *sampler) {
    static double points[NZ][NY][NX][DIMS], packed[NZ][NY][NX][OUTPUTS];
    const drr_lattice lattice = lattice_of(points);
    drr_values to = packed_values(packed[0][0][0]);
    CHECK(drr_sampler_query_lattice(sampler, &lattice, &to) == DRR_OK);

    static float ghosts[OUTPUTS][NZ + 2][NY + 2][NX + 2];
    void *inner[OUTPUTS] = {&ghosts[0][1][1][1], &ghosts[1][1][1][1]};
    to = (drr_values){.struct_size = sizeof to,
                      .row_stride = sizeof ghosts[0][0][0],
                      .plane_stride = sizeof ghosts[0][0],
                      .separate = inner};
    CHECK(drr_sampler_query_lattice(sampler, &lattice, &to) == DRR_OK);
    static double turned[NX][NY][NZ][OUTPUTS];
    to = packed_values(turned[0][0][0]);
    to.point_stride = sizeof turned[0];
    to.row_stride = sizeof turned[0][0];
    to.plane_stride = sizeof turned[0][0][0];
    CHECK(drr_sampler_query_lattice(sampler, &lattice, &to) == DRR_OK);
    /* Planes alone have gaps: rows follow one another. */
    static double gaps[NZ][NY + 1][NX][OUTPUTS];
    to = packed_values(gaps[0][0][0]);
    to.plane_stride = sizeof gaps[0];
    CHECK(drr_sampler_query_lattice(sampler, &lattice, &to) == DRR_OK);

    for (int n = 0; n < OUTPUTS * (NZ + 2) * (NY + 2) * (NX + 2); n++) {
        const int x = n % (NX + 2) - 1, y = n / (NX + 2) % (NY + 2) - 1;
        const int z = n / (NX + 2) / (NY + 2) % (NZ + 2) - 1;
        const int k = n / (NX + 2) / (NY + 2) / (NZ + 2);
        const bool is_inside = x >= 0 && x < NX && y >= 0 && y < NY && z >= 0 && z < NZ;
        const double found = (&ghosts[0][0][0][0])[n];
        CHECK(found == (is_inside ? (float)packed[z][y][x][k] : 0));
        if (is_inside) {
            CHECK(turned[x][y][z][k] == packed[z][y][x][k]);
            CHECK(gaps[z][y][x][k] == packed[z][y][x][k]);
        }
    }
    CHECK(gaps[0][NY][0][0] == 0 && gaps[0][NY][NX - 1][1] == 0);

    to.row_stride = INT64_MAX / 2;
    INVALID(drr_sampler_query_lattice(sampler, &lattice, &to));
    const drr_points scattered = rows_of(points[0][0], CELLS);
    to.row_stride = 8;
    INVALID(drr_sampler_query(sampler, &scattered, &to));
    CHECK(strstr(drr_last_error(), "no lattice") != NULL);
}

/* Derivatives on a lattice are those at its points, bit by bit. */
static void a_lattice_has_derivatives(const drr_sampler *sampler) {
    static double points[NZ][NY][NX][DIMS], expected[CELLS][OUTPUTS], values[CELLS][OUTPUTS];
    static double by_x[CELLS][OUTPUTS][DIMS], slopes[OUTPUTS][DIMS][NZ][NY + 1][NX];
    static double by_p[CELLS][OUTPUTS][2], found[CELLS][OUTPUTS][2];
    const drr_lattice lattice = lattice_of(points);
    CHECK(drr_sampler_query_gradient_f64(sampler, CELLS, points[0][0][0], expected[0], by_x[0][0],
                                         by_p[0][0]) == DRR_OK);
    const drr_values to = packed_values(values[0]);
    const drr_gradients position = {.struct_size = sizeof position,
                                    .scalar = DRR_F64,
                                    .data = slopes,
                                    .point_stride = sizeof slopes[0][0][0][0][0],
                                    .value_stride = sizeof slopes[0],
                                    .component_stride = sizeof slopes[0][0],
                                    .plane_stride = sizeof slopes[0][0][0]};
    const drr_gradients parameter = {
        .struct_size = sizeof parameter, .scalar = DRR_F64, .data = found};
    CHECK(drr_sampler_query_lattice_gradient(sampler, &lattice, &to, &position, &parameter) ==
          DRR_OK);
    CHECK(memcmp(values, expected, sizeof values) == 0);
    CHECK(memcmp(found, by_p, sizeof found) == 0);
    for (int i = 0; i < CELLS; i++) {
        const int x = i % NX, y = i / NX % NY, z = i / NX / NY;
        for (int k = 0; k < OUTPUTS; k++) {
            for (int c = 0; c < DIMS; c++) {
                CHECK(slopes[k][c][z][y][x] == by_x[i][k][c]);
                CHECK(slopes[k][c][z][NY][x] == 0);
            }
        }
    }
    CHECK(drr_sampler_query_lattice_gradient(sampler, &lattice, NULL, NULL, NULL) == DRR_OK);
    INVALID(drr_sampler_query_lattice_gradient(sampler, NULL, &to, NULL, NULL));
}

int main(int count, char **arguments) {
    if (count < 2) {
        fprintf(stderr, "usage: capi_layouts MODEL\n");
        return 2;
    }
    path = arguments[1];
    drr_model *model = opened(2);
    drr_sampler *sampler = bound(model);
    coordinates_may_be_the_same_for_all(sampler);
    parameters_may_be_the_same_for_all(model, sampler);
    results_may_not_be_the_same(sampler);
    arrays_may_be_separate(model, sampler);
    a_lattice_needs_no_coordinates(sampler);
    a_lattice_may_be_a_part_of_an_array(sampler);
    a_lattice_has_derivatives(sampler);
    drr_sampler_free(sampler);
    drr_model_close(model);
    return 0;
}
