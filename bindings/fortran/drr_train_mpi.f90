!> drr_train over MPI: images of a simulation that train together.
!>
!>     use drr_train
!>     use drr_train_mpi
!>     call session%create(config, [nx, ny, nz], parameters=..., own_first=[i, j, k], &
!>         own_extent=[mx, my, mz], communicator=drr_train_mpi_communicator(MPI_COMM_WORLD))
!>
!> Compile it with the program, by the MPI that the program uses: libdrr_train itself knows none. It uses
!> module mpi; programs that use mpi_f08 give `comm%mpi_val`. What drr_train_mpi.h says holds here.
module drr_train_mpi
  use, intrinsic :: iso_c_binding
  use mpi
  use drr_train, only: drr_train_communicator
  implicit none
  private
  public :: drr_train_mpi_communicator

  ! MPI counts with default integers; long messages go in pieces of so many numbers.
  integer(c_int64_t), parameter :: PIECE = 2_c_int64_t**26
  integer, parameter :: TAG = 6910

  !> `drr_train_message` of drr_train.h
  type, bind(c) :: message
    type(c_ptr) :: numbers
    integer(c_int64_t) :: count
    integer(c_int32_t) :: rank, reserved
  end type

contains

  !> Those that a communicator has, which must be valid until the session is closed.
  type(drr_train_communicator) function drr_train_mpi_communicator(comm) result(together)
    integer, intent(in) :: comm
    integer :: rank, size, code
    call MPI_Comm_rank(comm, rank, code)
    call MPI_Comm_size(comm, size, code)
    together%rank = int(rank, c_int32_t)
    together%size = int(size, c_int32_t)
    together%user_data = transfer(int(comm, c_intptr_t), c_null_ptr)
    together%reduce = c_funloc(reduce)
    together%broadcast = c_funloc(broadcast)
    together%exchange = c_funloc(exchange)
  end function

  integer function comm_of(user_data)
    type(c_ptr), intent(in) :: user_data
    comm_of = int(transfer(user_data, 0_c_intptr_t))
  end function

  ! What a drr_train_reduction makes of all numbers.
  integer(c_int32_t) function reduce(place, count, reduction, user_data) bind(c)
    type(c_ptr), value :: place, user_data
    integer(c_int64_t), value :: count
    integer(c_int32_t), value :: reduction
    real(c_double), pointer :: doubles(:)
    real(c_float), pointer :: floats(:)
    integer(c_signed_char), pointer :: bytes(:)
    integer(c_int64_t) :: done, last
    integer :: code, many
    code = MPI_SUCCESS
    do done = 0, count - 1, PIECE
      last = min(done + PIECE, count)
      many = int(last - done)
      select case (reduction)
      case (0)
        call c_f_pointer(place, doubles, [count])
        call MPI_Allreduce(MPI_IN_PLACE, doubles(done + 1:last), many, MPI_DOUBLE_PRECISION, &
          MPI_SUM, comm_of(user_data), code)
      case (1)
        call c_f_pointer(place, floats, [count])
        call MPI_Allreduce(MPI_IN_PLACE, floats(done + 1:last), many, MPI_REAL, MPI_SUM, &
          comm_of(user_data), code)
      case default
        call c_f_pointer(place, bytes, [count])
        call MPI_Allreduce(MPI_IN_PLACE, bytes(done + 1:last), many, MPI_INTEGER1, MPI_MAX, &
          comm_of(user_data), code)
      end select
      if (code /= MPI_SUCCESS) exit
    end do
    reduce = int(code, c_int32_t)
  end function

  ! The bytes of the first.
  integer(c_int32_t) function broadcast(place, count, user_data) bind(c)
    type(c_ptr), value :: place, user_data
    integer(c_int64_t), value :: count
    integer(c_signed_char), pointer :: bytes(:)
    integer(c_int64_t) :: done, last
    integer :: code
    code = MPI_SUCCESS
    call c_f_pointer(place, bytes, [count])
    do done = 0, count - 1, PIECE
      last = min(done + PIECE, count)
      call MPI_Bcast(bytes(done + 1:last), int(last - done), MPI_BYTE, 0, comm_of(user_data), code)
      if (code /= MPI_SUCCESS) exit
    end do
    broadcast = int(code, c_int32_t)
  end function

  integer(c_int32_t) function exchange(sent, sent_count, received, received_count, user_data) bind(c)
    type(c_ptr), value :: sent, received, user_data
    integer(c_int32_t), value :: sent_count, received_count
    integer, allocatable :: requests(:)
    integer :: code
    allocate (requests(0))
    code = MPI_SUCCESS
    call start(received, received_count, .false.)
    call start(sent, sent_count, .true.)
    if (code == MPI_SUCCESS) then
      call MPI_Waitall(size(requests), requests, MPI_STATUSES_IGNORE, code)
    end if
    exchange = int(code, c_int32_t)

  contains

    subroutine start(place, count, is_sent)
      type(c_ptr), intent(in) :: place
      integer(c_int32_t), intent(in) :: count
      logical, intent(in) :: is_sent
      type(message), pointer :: messages(:)
      real(c_float), pointer :: numbers(:)
      integer(c_int64_t) :: done, last
      integer :: n, request
      if (count == 0) return
      call c_f_pointer(place, messages, [count])
      do n = 1, count
        call c_f_pointer(messages(n)%numbers, numbers, [messages(n)%count])
        do done = 0, messages(n)%count - 1, PIECE
          if (code /= MPI_SUCCESS) return
          last = min(done + PIECE, messages(n)%count)
          if (is_sent) then
            call MPI_Isend(numbers(done + 1:last), int(last - done), MPI_REAL, &
              int(messages(n)%rank), TAG, comm_of(user_data), request, code)
          else
            call MPI_Irecv(numbers(done + 1:last), int(last - done), MPI_REAL, &
              int(messages(n)%rank), TAG, comm_of(user_data), request, code)
          end if
          requests = [requests, request]
        end do
      end do
    end subroutine
  end function
end module drr_train_mpi
