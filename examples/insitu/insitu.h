/// Hands the fields of a running simulation to a ParaView pipeline: a Catalyst adaptor for boxes of
/// cubic cells that MPI ranks share. `insitu.f90` has it in Fortran.
///
///     insitu *shown = NULL;
///     if (insitu_begin(MPI_Comm_c2f(MPI_COMM_WORLD), "compare.py", &shown) ||
///         insitu_set_box(shown, total, first, cells, ghosts, corner, width) ||
///         insitu_set_field(shown, "pressure", pressure) || insitu_show(shown, step, time))
///         fprintf(stderr, "%s\n", insitu_problem());
///     insitu_end(shown);
///
/// The pipeline is a Python script of ParaView's (Catalyst, "version 2.0"), which finds the cells
/// under the name `input`. Nothing ends the program: functions return 0, or 1 after a failure,
/// whose reason `insitu_problem` has. All ranks call them together, and all get the same result.
/// ParaView lives once in a process, until it ends: one at a time may be begun.

#ifndef INSITU_H
#define INSITU_H

#ifdef __cplusplus
extern "C" {
#endif

typedef struct insitu insitu;

/// Starts ParaView on the ranks of a communicator, as Fortran numbers it, with a script.
/// `*made` is for `insitu_end`; NULL after a failure.
int insitu_begin(int communicator, const char *script, insitu **made);

/// A word or a number for the script, which finds it among the field data of the cells.
int insitu_set_text(insitu *self, const char *name, const char *text);
int insitu_set_number(insitu *self, const char *name, double number);

/// The cells: `total` along each axis on all ranks, of which this rank has `cells` after the first
/// `first`, with so many layers of `ghosts` around; `corner` is the least of the box.
/// Fields are forgotten.
int insitu_set_box(insitu *self, const int total[3], const int first[3], const int cells[3],
                   int ghosts, const double corner[3], double width);

/// A field: one number for each of the rank's cells, ghosts included, x fastest. It is not copied;
/// it must stay, and be up to date whenever `insitu_show` is called.
int insitu_set_field(insitu *self, const char *name, const double *values);

/// Runs the script on the cells as they are now.
int insitu_show(insitu *self, long long step, double time);

/// Ends the script. NULL is fine.
void insitu_end(insitu *self);

/// Why the latest call failed, the same on all ranks; valid until the next one.
const char *insitu_problem(void);

#ifdef __cplusplus
}
#endif

#endif
