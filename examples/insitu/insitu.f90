!> Hands the fields of a running simulation to a ParaView pipeline: `insitu.h` in Fortran.
!>
!>     type(pipeline) :: shown
!>     character(len=:), allocatable :: problem
!>     call shown%begin(MPI_COMM_WORLD, 'compare.py', problem)
!>     call shown%set_box(total, first, cells, ghosts, corner, width, problem)
!>     call shown%set_field('pressure', pressure, problem)      ! a target: it is not copied
!>     call shown%show(step, time, problem)                     ! whenever there is something new
!>     call shown%end()
!>
!> Nothing ends the program: `problem` is the reason of a failure, and not allocated without one.
!> Calls with a problem do nothing, so that one may ask once after several. All ranks call these
!> together, and all fail together.
module insitu
  use, intrinsic :: iso_c_binding
  use mpi_f08, only: MPI_Comm
  implicit none
  private

  type, public :: pipeline
    private
    type(c_ptr) :: handle = c_null_ptr
    integer :: shape(3) = 0
  contains
    procedure :: begin
    procedure, private :: set_text, set_number
    generic :: set => set_text, set_number
    procedure :: set_box
    procedure :: set_field
    procedure :: show
    procedure :: end => end_pipeline
  end type

  interface
    integer(c_int) function insitu_begin(communicator, script, made) bind(c)
      import :: c_char, c_int, c_ptr
      integer(c_int), value :: communicator
      character(kind=c_char), intent(in) :: script(*)
      type(c_ptr), intent(out) :: made
    end function

    integer(c_int) function insitu_set_text(self, name, text) bind(c)
      import :: c_char, c_int, c_ptr
      type(c_ptr), value :: self
      character(kind=c_char), intent(in) :: name(*), text(*)
    end function

    integer(c_int) function insitu_set_number(self, name, number) bind(c)
      import :: c_char, c_double, c_int, c_ptr
      type(c_ptr), value :: self
      character(kind=c_char), intent(in) :: name(*)
      real(c_double), value :: number
    end function

    integer(c_int) function insitu_set_box(self, total, first, cells, ghosts, corner, width) bind(c)
      import :: c_double, c_int, c_ptr
      type(c_ptr), value :: self
      integer(c_int), intent(in) :: total(3), first(3), cells(3)
      integer(c_int), value :: ghosts
      real(c_double), intent(in) :: corner(3)
      real(c_double), value :: width
    end function

    integer(c_int) function insitu_set_field(self, name, values) bind(c)
      import :: c_char, c_int, c_ptr
      type(c_ptr), value :: self, values
      character(kind=c_char), intent(in) :: name(*)
    end function

    integer(c_int) function insitu_show(self, step, time) bind(c)
      import :: c_double, c_int, c_long_long, c_ptr
      type(c_ptr), value :: self
      integer(c_long_long), value :: step
      real(c_double), value :: time
    end function

    subroutine insitu_end(self) bind(c)
      import :: c_ptr
      type(c_ptr), value :: self
    end subroutine

    type(c_ptr) function insitu_problem() bind(c)
      import :: c_ptr
    end function
  end interface

contains

  !> Starts ParaView on the ranks of `comm` with a script.
  subroutine begin(self, comm, script, problem)
    class(pipeline), intent(inout) :: self
    type(MPI_Comm), intent(in) :: comm
    character(len=*), intent(in) :: script
    character(len=:), allocatable, intent(inout) :: problem
    if (allocated(problem)) return
    call check(insitu_begin(int(comm%MPI_VAL, c_int), trim(script)//c_null_char, self%handle), &
        problem)
  end subroutine

  !> A word for the script.
  subroutine set_text(self, name, text, problem)
    class(pipeline), intent(in) :: self
    character(len=*), intent(in) :: name, text
    character(len=:), allocatable, intent(inout) :: problem
    if (allocated(problem)) return
    call check(insitu_set_text(self%handle, name//c_null_char, trim(text)//c_null_char), problem)
  end subroutine

  !> A number for the script.
  subroutine set_number(self, name, number, problem)
    class(pipeline), intent(in) :: self
    character(len=*), intent(in) :: name
    real(c_double), intent(in) :: number
    character(len=:), allocatable, intent(inout) :: problem
    if (allocated(problem)) return
    call check(insitu_set_number(self%handle, name//c_null_char, number), problem)
  end subroutine

  !> The cells of a box of `total` cells of a width, from `corner` on, that this rank has: so many
  !> `cells` after the `first`, with layers of ghosts around. Fields are forgotten.
  subroutine set_box(self, total, first, cells, ghosts, corner, width, problem)
    class(pipeline), intent(inout) :: self
    integer, intent(in) :: total(3), first(3), cells(3), ghosts
    real(c_double), intent(in) :: corner(3), width
    character(len=:), allocatable, intent(inout) :: problem
    if (allocated(problem)) return
    self%shape = cells + 2*ghosts
    call check(insitu_set_box(self%handle, int(total, c_int), int(first, c_int), &
        int(cells, c_int), int(ghosts, c_int), corner, width), problem)
  end subroutine

  !> A field of the cells, ghosts included. The script reads it where it is: whatever `values` is
  !> taken from is a target that lives until the box is set anew.
  subroutine set_field(self, name, values, problem)
    class(pipeline), intent(in) :: self
    character(len=*), intent(in) :: name
    real(c_double), pointer, intent(in) :: values(:, :, :)
    character(len=:), allocatable, intent(inout) :: problem
    character(len=200) :: text
    type(c_ptr) :: place
    logical :: fits
    if (allocated(problem)) return
    place = c_null_ptr
    fits = all(shape(values) == self%shape) .and. is_contiguous(values)
    if (fits) place = c_loc(values)
    ! A rank must not fail alone.
    call check(insitu_set_field(self%handle, name//c_null_char, place), problem)
    if (fits) return
    write (text, '(2(a, 2(i0, " x "), i0))') ' is an array of ', shape(values), &
        ', expected a contiguous one of ', self%shape
    problem = 'field '//name//trim(text)
  end subroutine

  !> Runs the script on the fields as they are now.
  subroutine show(self, step, time, problem)
    class(pipeline), intent(in) :: self
    integer, intent(in) :: step
    real(c_double), intent(in) :: time
    character(len=:), allocatable, intent(inout) :: problem
    if (allocated(problem)) return
    call check(insitu_show(self%handle, int(step, c_long_long), time), problem)
  end subroutine

  !> Ends the script; ParaView lives as long as the process.
  subroutine end_pipeline(self)
    class(pipeline), intent(inout) :: self
    call insitu_end(self%handle)
    self%handle = c_null_ptr
  end subroutine

  subroutine check(failed, problem)
    integer(c_int), intent(in) :: failed
    character(len=:), allocatable, intent(inout) :: problem
    character(kind=c_char), pointer :: text(:)
    type(c_ptr) :: place
    integer :: n
    if (failed == 0) return
    place = insitu_problem()
    call c_f_pointer(place, text, [huge(n)])
    n = 0
    do while (text(n + 1) /= c_null_char)
      n = n + 1
    end do
    allocate (character(len=n) :: problem)
    problem = transfer(text(:n), problem)
  end subroutine
end module
