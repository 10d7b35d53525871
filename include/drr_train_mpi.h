/** @file
 *
 * drr_train over MPI: processes of a simulation that train together.
 *
 *     struct drr_train_communicator together = drr_train_mpi(MPI_COMM_WORLD);
 *     options.communicator = &together;
 *     data.own_offset[0] = ...;  // the lattice points that this process has
 *     drr_train_create(config, &data, &options, &session);
 *
 * This file is compiled with the program, by the MPI that the program uses: libdrr_train itself
 * knows none. Calls of MPI are made in the threads of drr_train's collective calls, within them;
 * for MPI that was initialised with MPI_THREAD_FUNNELED (or less) that has to be the main thread.
 *
 * Messages have the tag 6910. Where others may be under way with it, or with any tag, give a
 * communicator of its own (MPI_Comm_dup) and free it behind the session. Errors are those of the
 * communicator's error handler; where that returns, a call ends with DRR_TRAIN_ERROR_COMMUNICATION.
 *
 * From Fortran: bindings/fortran/drr_train_mpi.f90.
 */

#ifndef DRR_TRAIN_MPI_H
#define DRR_TRAIN_MPI_H

#include <mpi.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "drr_train.h"

#ifdef __cplusplus
extern "C" {
#endif

/// @cond
/* MPI counts with int; long messages go in pieces of so many numbers. */
#define DRR_TRAIN_MPI_PIECE ((uint64_t)1 << 26)

static inline MPI_Comm drr_train_mpi_of(void *user_data) {
    return MPI_Comm_f2c((MPI_Fint)(intptr_t)user_data);
}

static inline uint32_t drr_train_mpi_reduce(void *numbers, uint64_t count, uint32_t reduction,
                                            void *user_data) {
    const MPI_Datatype type = reduction == DRR_TRAIN_SUM_F64   ? MPI_DOUBLE
                              : reduction == DRR_TRAIN_SUM_F32 ? MPI_FLOAT
                                                               : MPI_UNSIGNED_CHAR;
    const uint64_t bytes = reduction == DRR_TRAIN_SUM_F64   ? sizeof(double)
                           : reduction == DRR_TRAIN_SUM_F32 ? sizeof(float)
                                                            : 1;
    const MPI_Op by = reduction == DRR_TRAIN_MAX_U8 ? MPI_MAX : MPI_SUM;
    for (uint64_t done = 0; done < count; done += DRR_TRAIN_MPI_PIECE) {
        const uint64_t left = count - done;
        const int piece = (int)(left < DRR_TRAIN_MPI_PIECE ? left : DRR_TRAIN_MPI_PIECE);
        const int failed = MPI_Allreduce(MPI_IN_PLACE, (char *)numbers + done * bytes, piece, type,
                                         by, drr_train_mpi_of(user_data));
        if (failed != MPI_SUCCESS) {
            return (uint32_t)failed;
        }
    }
    return 0;
}

static inline uint32_t drr_train_mpi_broadcast(void *bytes, uint64_t count, void *user_data) {
    for (uint64_t done = 0; done < count; done += DRR_TRAIN_MPI_PIECE) {
        const uint64_t left = count - done;
        const int piece = (int)(left < DRR_TRAIN_MPI_PIECE ? left : DRR_TRAIN_MPI_PIECE);
        const int failed =
            MPI_Bcast((char *)bytes + done, piece, MPI_BYTE, 0, drr_train_mpi_of(user_data));
        if (failed != MPI_SUCCESS) {
            return (uint32_t)failed;
        }
    }
    return 0;
}

/* Starts sending or receiving the pieces of messages; how many requests that are. */
static inline uint64_t drr_train_mpi_start(const struct drr_train_message *messages, uint32_t count,
                                           int is_sent, void *user_data, MPI_Request *requests,
                                           int *failed) {
    uint64_t started = 0;
    for (uint32_t n = 0; n < count; n++) {
        const struct drr_train_message *message = &messages[n];
        for (uint64_t done = 0; done < message->count; done += DRR_TRAIN_MPI_PIECE) {
            const uint64_t left = message->count - done;
            const int piece = (int)(left < DRR_TRAIN_MPI_PIECE ? left : DRR_TRAIN_MPI_PIECE);
            if (requests != NULL && *failed == MPI_SUCCESS) {
                float *numbers = message->numbers + done;
                const MPI_Comm comm = drr_train_mpi_of(user_data);
                const int rank = (int)message->rank;
                *failed = is_sent ? MPI_Isend(numbers, piece, MPI_FLOAT, rank, 6910, comm,
                                              &requests[started])
                                  : MPI_Irecv(numbers, piece, MPI_FLOAT, rank, 6910, comm,
                                              &requests[started]);
            }
            started++;
        }
    }
    return started;
}

static inline uint32_t drr_train_mpi_exchange(const struct drr_train_message *sent,
                                              uint32_t sent_count,
                                              const struct drr_train_message *received,
                                              uint32_t received_count, void *user_data) {
    int failed = MPI_SUCCESS;
    const uint64_t count =
        drr_train_mpi_start(sent, sent_count, 1, user_data, NULL, &failed) +
        drr_train_mpi_start(received, received_count, 0, user_data, NULL, &failed);
    if (count == 0) {
        return 0;
    }
    MPI_Request *requests = (MPI_Request *)malloc((size_t)count * sizeof(MPI_Request));
    if (requests == NULL) {
        return MPI_ERR_NO_MEM;
    }
    for (uint64_t n = 0; n < count; n++) {
        requests[n] = MPI_REQUEST_NULL;
    }
    const uint64_t receiving =
        drr_train_mpi_start(received, received_count, 0, user_data, requests, &failed);
    drr_train_mpi_start(sent, sent_count, 1, user_data, requests + receiving, &failed);
    const int waited = MPI_Waitall((int)count, requests, MPI_STATUSES_IGNORE);
    free(requests);
    return (uint32_t)(failed != MPI_SUCCESS ? failed : waited);
}

/// @endcond

/// Those that a communicator has, for `drr_train_options::communicator`.
///
/// @param comm  an intracommunicator; valid until the session is freed
/// @return what reaches them; `size` is 0, which drr_train_create refuses, if MPI fails
static inline struct drr_train_communicator drr_train_mpi(MPI_Comm comm) {
    struct drr_train_communicator together;
    int rank = 0, size = 0;
    memset(&together, 0, sizeof together);
    together.struct_size = sizeof together;
    if (MPI_Comm_rank(comm, &rank) == MPI_SUCCESS && MPI_Comm_size(comm, &size) == MPI_SUCCESS) {
        together.rank = (uint32_t)rank;
        together.size = (uint32_t)size;
    }
    together.user_data = (void *)(intptr_t)MPI_Comm_c2f(comm);
    together.reduce = drr_train_mpi_reduce;
    together.broadcast = drr_train_mpi_broadcast;
    together.exchange = drr_train_mpi_exchange;
    return together;
}

/// As `drr_train_mpi`, of Fortran's handle of a communicator.
///
/// @param comm  the handle
/// @return as `drr_train_mpi`
static inline struct drr_train_communicator drr_train_mpi_f(MPI_Fint comm) {
    return drr_train_mpi(MPI_Comm_f2c(comm));
}

#ifdef __cplusplus
} // extern "C"
#endif

#endif /* DRR_TRAIN_MPI_H */
