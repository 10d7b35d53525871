! The library reads and writes the caller's arrays themselves, no copies of them, whatever sections
! of them it is given. Linked with spy.c.
!
! usage: in_place MODEL [components]
! `components`: components of an array of records too, which gfortran copies.
module spies
  use, intrinsic :: iso_c_binding
  implicit none

  interface
    type(c_ptr) function spy_axis(k) bind(c)
      import :: c_int32_t, c_ptr
      integer(c_int32_t), value :: k
    end function

    integer(c_int64_t) function spy_stride(k) bind(c)
      import :: c_int32_t, c_int64_t
      integer(c_int32_t), value :: k
    end function

    type(c_ptr) function spy_values() bind(c)
      import :: c_ptr
    end function

    integer(c_int64_t) function spy_point_stride() bind(c)
      import :: c_int64_t
    end function

    integer(c_int64_t) function spy_row_stride() bind(c)
      import :: c_int64_t
    end function
  end interface

contains

  subroutine check(condition, what)
    logical, intent(in) :: condition
    character(len=*), intent(in) :: what
    if (condition) return
    print '(2a)', 'failed: ', what
    error stop 3
  end subroutine

  ! Coordinate k is read from this address on.
  subroutine check_read(k, first, stride, what)
    integer, intent(in) :: k, stride
    type(c_ptr), intent(in) :: first
    character(len=*), intent(in) :: what
    call check(c_associated(spy_axis(k), first), what//': where coordinates are')
    call check(spy_stride(k) == stride, what//': distance of coordinates')
  end subroutine

  ! Values are written from this address on.
  subroutine check_written(first, stride, what)
    type(c_ptr), intent(in) :: first
    integer, intent(in) :: stride
    character(len=*), intent(in) :: what
    call check(c_associated(spy_values(), first), what//': where values are')
    call check(spy_point_stride() == stride, what//': distance of values')
  end subroutine
end module

program in_place
  use, intrinsic :: iso_fortran_env, only: real32, real64
  use drr
  use spies
  implicit none

  type particle
    real(real64) :: x, y, z
    real(real32) :: charge
  end type

  integer, parameter :: n = 101, dims = 3, outputs = 2
  character(len=1000) :: path, wish
  type(drr_model) :: model
  type(drr_sampler) :: sampler
  real(real64), target :: xyz(2*dims, 2*n), found(outputs, 3*n)
  type(particle), target :: particles(n)

  call get_command_argument(1, path)
  call get_command_argument(2, wish)
  call model%open(path)
  call sampler%create(model, [0.25d0, 0.75d0])
  xyz = 0.5d0
  particles = particle(0.5d0, 0.5d0, 0.5d0, 1)
  call points()
  call held_otherwise(xyz)
  call lattice()
  if (wish == 'components') call components()
  call sampler%close()
  call model%close()

contains

  subroutine points()
    call sampler%query(xyz(:dims, :n), found(:, :n))
    call check_read(2, c_loc(xyz(2, 1)), 8*2*dims, 'columns')
    call check_written(c_loc(found), 8*outputs, 'columns')

    call sampler%query(xyz(::2, 2*n:2:-2), found(:, ::3))
    call check_read(3, c_loc(xyz(5, 2*n)), -8*2*2*dims, 'every other column, backwards')
    call check_written(c_loc(found), 8*outputs*3, 'every third value')

    call sampler%query(xyz(1, ::2), xyz(4, ::2), xyz(6, ::2), found(:, 2::3))
    call check_read(2, c_loc(xyz(4, 1)), 8*2*2*dims, 'rows')
    call check_written(c_loc(found(1, 2)), 8*outputs*3, 'values from the second on')
  end subroutine

  ! Through an assumed-shape argument, an allocatable array and a pointer.
  subroutine held_otherwise(given)
    real(real64), intent(in), target :: given(:, :)
    real(real64), allocatable, target :: own(:, :)
    real(real64), pointer :: some(:, :)
    call sampler%query(given(2:4, ::2), found(:, :n))
    call check_read(1, c_loc(xyz(2, 1)), 8*2*2*dims, 'a section of an argument')
    allocate (own(dims, 2*n), source=0.5d0)
    call sampler%query(own(:, 2::2), found(:, :n))
    call check_read(1, c_loc(own(1, 2)), 8*2*dims, 'a section of an allocatable array')
    some => own(:, n:1:-1)
    call sampler%query(some, found(:, :n))
    call check_read(1, c_loc(own(1, n)), -8*dims, 'a pointer')
  end subroutine

  ! The inner cells of an array with ghost cells.
  subroutine lattice()
    real(real64), target :: ghosts(outputs, 7, 5, 4)
    call sampler%query_lattice([0d0, 0d0, 0d0], [0.1d0, 0.1d0, 0.1d0], ghosts(:, 2:6, 2:4, 2:3))
    call check_written(c_loc(ghosts(1, 2, 2, 2)), 8*outputs, 'inner cells')
    call check(spy_row_stride() == 8*outputs*7, 'inner cells: distance of rows')
  end subroutine

  subroutine components()
    call sampler%query(particles%x, particles%y, particles%z, found(:, :n))
    call check_read(2, c_loc(particles(1)%y), storage_size(particles)/8, 'components')
  end subroutine
end program
