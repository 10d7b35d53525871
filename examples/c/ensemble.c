#include "ensemble.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LINE = 4096, MAX_NEIGHBOURS = 8 };

static bool problem(const char *file, const char *reason) {
    fprintf(stderr, "%s: %s\n", file, reason);
    return false;
}

/* Cuts the next cell off a line of comma-separated values; NULL at its end. */
static char *next_cell(char **line) {
    char *cell = *line;
    if (cell) {
        char *end = cell + strcspn(cell, ",\r\n");
        *line = *end == ',' ? end + 1 : NULL;
        *end = '\0';
    }
    return cell;
}

static bool copy_name(char *name, const char *cell) {
    return cell && snprintf(name, ENSEMBLE_MAX_NAME, "%s", cell) < ENSEMBLE_MAX_NAME;
}

/* The first line: file,split,name of parameter,... */
static bool read_header(ensemble *runs, char *line) {
    const char *file = next_cell(&line), *split = next_cell(&line);
    if (!file || !split || strcmp(file, "file") != 0 || strcmp(split, "split") != 0)
        return false;
    while (line) {
        if (runs->parameters == ENSEMBLE_MAX_PARAMETERS ||
            !copy_name(runs->names[runs->parameters++], next_cell(&line)))
            return false;
    }
    return true;
}

static bool read_row(const ensemble *runs, char *line, ensemble_member *member) {
    if (!copy_name(member->file, next_cell(&line)))
        return false;
    const char *split = next_cell(&line);
    member->held_out = split && strcmp(split, "test") == 0;
    for (size_t k = 0; k < runs->parameters; k++) {
        const char *cell = next_cell(&line);
        char *end = NULL;
        if (!cell)
            return false;
        member->parameters[k] = strtod(cell, &end);
        if (end == cell || *end != '\0')
            return false;
    }
    return line == NULL;
}

static bool read_table(ensemble *runs, const char *path) {
    char line[MAX_LINE];
    FILE *file = fopen(path, "r");
    if (!file)
        return problem(path, "cannot be opened");
    bool good = fgets(line, sizeof line, file) && read_header(runs, line);
    while (good && fgets(line, sizeof line, file)) {
        ensemble_member *grown = realloc(runs->members, (runs->count + 1) * sizeof *runs->members);
        if (!grown) {
            good = false;
            break;
        }
        runs->members = grown;
        runs->members[runs->count] = (ensemble_member){0};
        good = read_row(runs, line, &runs->members[runs->count++]);
    }
    good = good && !ferror(file);
    fclose(file);
    if (!good) {
        fprintf(stderr, "%s: row %zu is not file,split,parameters...\n", path, runs->count + 1);
        return false;
    }
    return true;
}

/* Reads one field; the first decides how many samples all have. */
static bool read_field(ensemble *runs, const char *folder, ensemble_member *member) {
    char path[MAX_LINE];
    if (snprintf(path, sizeof path, "%s/%s", folder, member->file) >= (int)sizeof path)
        return problem(member->file, "the path is too long");
    FILE *file = fopen(path, "rb");
    if (!file)
        return problem(path, "cannot be opened");
    long bytes = fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    size_t samples = bytes > 0 ? (size_t)bytes / sizeof(float) : 0;
    if (runs->samples == 0)
        runs->samples = samples;
    bool good = samples > 0 && samples == runs->samples && fseek(file, 0, SEEK_SET) == 0;
    member->field = good ? malloc(samples * sizeof(float)) : NULL;
    good = member->field && fread(member->field, sizeof(float), samples, file) == samples;
    fclose(file);
    return good || problem(path, "cannot be read, or is not of the first field's size");
}

static void find_value_range(ensemble *runs) {
    runs->min = INFINITY;
    runs->max = -INFINITY;
    for (size_t m = 0; m < runs->count; m++) {
        if (runs->members[m].held_out)
            continue;
        for (size_t i = 0; i < runs->samples; i++) {
            runs->min = fmin(runs->min, runs->members[m].field[i]);
            runs->max = fmax(runs->max, runs->members[m].field[i]);
        }
    }
}

/* Distances between members are taken with every parameter scaled to [0, 1]. */
static void scale_parameters(ensemble *runs) {
    for (size_t k = 0; k < runs->parameters; k++) {
        double min = INFINITY, max = -INFINITY;
        for (size_t m = 0; m < runs->count; m++) {
            min = fmin(min, runs->members[m].parameters[k]);
            max = fmax(max, runs->members[m].parameters[k]);
        }
        double span = max > min ? max - min : 1.0;
        for (size_t m = 0; m < runs->count; m++)
            runs->members[m].scaled[k] = (runs->members[m].parameters[k] - min) / span;
    }
}

bool ensemble_read(ensemble *runs, const char *folder) {
    char path[MAX_LINE];
    if (snprintf(path, sizeof path, "%s/params.csv", folder) >= (int)sizeof path)
        return problem(folder, "the path is too long");
    if (!read_table(runs, path))
        return false;
    for (size_t m = 0; m < runs->count; m++)
        if (!read_field(runs, folder, &runs->members[m]))
            return false;
    find_value_range(runs);
    scale_parameters(runs);
    return runs->max > runs->min || problem(path, "the training members are missing or constant");
}

void ensemble_free(ensemble *runs) {
    for (size_t m = 0; m < runs->count; m++)
        free(runs->members[m].field);
    free(runs->members);
    *runs = (ensemble){0};
}

static double squared_distance(const ensemble *runs, const ensemble_member *a,
                               const ensemble_member *b) {
    double sum = 0.0;
    for (size_t k = 0; k < runs->parameters; k++)
        sum += (a->scaled[k] - b->scaled[k]) * (a->scaled[k] - b->scaled[k]);
    return sum;
}

void ensemble_predict(const ensemble *runs, const ensemble_member *member, size_t neighbours,
                      float *field) {
    const ensemble_member *nearest[MAX_NEIGHBOURS];
    double distance[MAX_NEIGHBOURS] = {0}, weight[MAX_NEIGHBOURS], total = 0.0;
    size_t found = 0;
    assert(1 <= neighbours && neighbours <= MAX_NEIGHBOURS);

    /* Insertion into a short list that stays sorted; its last entry falls off when it is full. */
    for (size_t m = 0; m < runs->count; m++) {
        const ensemble_member *other = &runs->members[m];
        if (other->held_out)
            continue;
        double d = squared_distance(runs, member, other);
        if (found == neighbours && d >= distance[found - 1])
            continue;
        size_t place = found < neighbours ? found++ : found - 1;
        for (; place > 0 && distance[place - 1] > d; place--) {
            distance[place] = distance[place - 1];
            nearest[place] = nearest[place - 1];
        }
        distance[place] = d;
        nearest[place] = other;
    }

    /* A training member with the same parameters is the answer; 1 / 0 would make it NaN. */
    if (distance[0] == 0.0)
        found = 1;
    for (size_t n = 0; n < found; n++)
        total += weight[n] = found > 1 ? 1.0 / distance[n] : 1.0;
    for (size_t i = 0; i < runs->samples; i++) {
        double sum = 0.0;
        for (size_t n = 0; n < found; n++)
            sum += weight[n] * (double)nearest[n]->field[i];
        field[i] = (float)(sum / total);
    }
}

double ensemble_psnr(const ensemble *runs, const float *field, const float *truth) {
    double sum = 0.0;
    for (size_t i = 0; i < runs->samples; i++) {
        double error = ((double)field[i] - (double)truth[i]) / (runs->max - runs->min);
        sum += error * error;
    }
    return -10.0 * log10(sum / (double)runs->samples);
}
