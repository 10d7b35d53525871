! The solver of examples/euler against the exact solution of Sod's shock tube, along each axis, and
! behind a wall. Prints nothing, or what is wrong.
program shock_tube
  use, intrinsic :: iso_fortran_env, only: error_unit, real64
  use mpi_f08
  use euler
  implicit none

  integer, parameter :: LENGTH = 128
  type(open_air) :: beyond
  integer :: axis

  call MPI_Init()
  do axis = 1, 3
    call tube(axis)
  end do
  call wall()
  call MPI_Finalize()

contains

  !> Densities 1 and 1/8, pressures 1 and 1/10, until time 0.2.
  subroutine tube(axis)
    integer, intent(in) :: axis
    type(solver) :: gas
    integer :: cells(3), half(3)
    cells = 4
    cells(axis) = LENGTH
    call gas%create(MPI_COMM_WORLD, [0d0, 0d0, 0d0], cells, 1d0/LENGTH)
    gas%state = 0
    gas%state(:, :, :, DENSITY) = 0.125d0
    gas%state(:, :, :, PRESSURE) = 0.1d0
    ! The first half of the box; none of it, maybe, is this rank's.
    half = gas%cells
    half(axis) = min(half(axis), LENGTH/2 - gas%first(axis))
    gas%state(:half(1), :half(2), :half(3), DENSITY) = 1
    gas%state(:half(1), :half(2), :half(3), PRESSURE) = 1
    call advance(gas, 0.2d0)
    ! In the fan's tail, beside the contact, behind the shock, before it (Toro, chapter 4).
    call compare(gas, axis, DENSITY, 0.6d0, 0.42632d0)
    call compare(gas, axis, DENSITY, 0.76d0, 0.26557d0)
    call compare(gas, axis, PRESSURE, 0.62d0, 0.30313d0)
    call compare(gas, axis, PRESSURE, 0.8d0, 0.30313d0)
    call compare(gas, axis, VELOCITY(axis), 0.7d0, 0.92745d0)
    call compare(gas, axis, PRESSURE, 0.9d0, 0.1d0)
    call compare(gas, axis, VELOCITY(1 + mod(axis, 3)), 0.7d0, 0d0)
  end subroutine

  !> A stream of Mach 2 that a wall stops.
  subroutine wall()
    type(solver) :: gas
    call gas%create(MPI_COMM_WORLD, [0d0, 0d0, 0d0], [LENGTH, 4, 4], 1d0/LENGTH)
    call gas%add_wall([0.9d0, -1d0, -1d0], [2d0, 2d0, 2d0])
    gas%state = 0
    gas%state(:, :, :, DENSITY) = GAMMA
    gas%state(:, :, :, PRESSURE) = 1
    gas%state(:, :, :, VELOCITY(1)) = 2
    call advance(gas, 0.2d0)
    call compare(gas, 1, PRESSURE, 0.85d0, 1 + GAMMA*2*mach())
    call compare(gas, 1, VELOCITY(1), 0.85d0, 0d0)
    call compare(gas, 1, VELOCITY(1), 0.3d0, 2d0)
  end subroutine

  !> Of the shock, seen from the stream of Mach 2: M = (gamma + 1)/2 + sqrt(((gamma + 1)/2)**2 + 1).
  pure real(real64) function mach()
    mach = (GAMMA + 1)/2 + sqrt(((GAMMA + 1)/2)**2 + 1)
  end function

  subroutine advance(gas, time)
    type(solver), intent(inout) :: gas
    real(real64), intent(in) :: time
    do while (gas%time < time)
      call gas%step(beyond, min(gas%stable_step(), time - gas%time))
    end do
  end subroutine

  !> Stops unless a variable at x along the tube is what it should be, up to 1.5 % (of 0.5 at least).
  subroutine compare(gas, axis, variable, x, expected)
    type(solver), intent(in) :: gas
    integer, intent(in) :: axis, variable
    real(real64), intent(in) :: x, expected
    real(real64) :: found(1, 1, 1)
    integer :: first(3)
    first = 1
    first(axis) = floor(x*LENGTH)
    found = gas%gather(variable, first, [1, 1, 1])
    if (abs(found(1, 1, 1) - expected) <= 0.015d0*max(expected, 0.5d0)) return
    write (error_unit, '(a, i0, a, i0, a, f5.2, 2(a, g0.6))') 'axis ', axis, ', variable ', &
        variable, ' at ', x, ': ', found, ' instead of ', expected
    flush (error_unit)
    call MPI_Abort(MPI_COMM_WORLD, 1)
  end subroutine
end program
