/* An ensemble of simulations on disk, and the predictions that can be made without a surrogate.
 *
 * The folder holds params.csv (file, split, one column per simulation parameter) and the fields
 * that it names: raw little-endian float32, x fastest. Nothing here knows about drr.
 */

#ifndef ENSEMBLE_H
#define ENSEMBLE_H

#include <stdbool.h>
#include <stddef.h>

enum { ENSEMBLE_MAX_PARAMETERS = 16, ENSEMBLE_MAX_NAME = 64 };

/* One simulation run. */
typedef struct {
    char file[ENSEMBLE_MAX_NAME];               /* as in params.csv */
    bool held_out;                              /* not used in training */
    double parameters[ENSEMBLE_MAX_PARAMETERS]; /* as in params.csv */
    double scaled[ENSEMBLE_MAX_PARAMETERS];     /* the same, in [0, 1] over all members */
    float *field;                               /* the result of the run */
} ensemble_member;

/* All runs. Start from zeros: `ensemble runs = {0};` */
typedef struct {
    size_t parameters; /* per member */
    char names[ENSEMBLE_MAX_PARAMETERS][ENSEMBLE_MAX_NAME];
    size_t count; /* of members */
    ensemble_member *members;
    size_t samples;  /* per field */
    double min, max; /* of the training members' values */
} ensemble;

/* Reads params.csv and all fields. Returns false after printing why on stderr; what was read until
 * then is to be freed too. */
bool ensemble_read(ensemble *runs, const char *folder);

/* Frees what `ensemble_read` allocated. */
void ensemble_free(ensemble *runs);

/* Predicts a member's field from its `neighbours` (1 to 8) nearest training members, weighted by
 * their inverse squared distance in parameter space. One is a plain copy of the nearest. */
void ensemble_predict(const ensemble *runs, const ensemble_member *member, size_t neighbours,
                      float *field);

/* Peak signal-to-noise ratio of a prediction in dB; the peak is the training values' span. */
double ensemble_psnr(const ensemble *runs, const float *field, const float *truth);

#endif
