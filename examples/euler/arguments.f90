!> What stands behind a program's name, and how the program ends when it makes no sense.
module arguments
  use, intrinsic :: iso_fortran_env, only: error_unit, real64
  use mpi_f08
  implicit none
  private
  public :: argument, number, fail

contains

  !> Word `n`, empty if there are not so many.
  function argument(n) result(text)
    integer, intent(in) :: n
    character(len=:), allocatable :: text
    integer :: length
    call get_command_argument(n, length=length)
    allocate (character(len=length) :: text)
    call get_command_argument(n, text)
  end function

  !> Word `n` as a number of `least` or more; `default` if it is not there.
  real(real64) function number(n, default, least)
    integer, intent(in) :: n
    real(real64), intent(in) :: default, least
    character(len=:), allocatable :: text
    character(len=24) :: bound
    integer :: status
    number = default
    text = argument(n)
    if (text == '') return
    read (text, *, iostat=status) number
    if (status == 0 .and. number >= least) return
    write (bound, '(g0.3)') least
    call fail('"'//text//'": expected a number of '//trim(bound)//' or more')
  end function

  !> Ends the program on all ranks and says why.
  subroutine fail(text)
    character(len=*), intent(in) :: text
    character(len=:), allocatable :: name
    name = argument(0)
    write (error_unit, '(3a)') name(index(name, '/', back=.true.) + 1:), ': ', text
    flush (error_unit)
    call MPI_Abort(MPI_COMM_WORLD, 1)
  end subroutine
end module
