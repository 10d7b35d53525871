!> An explosion over the ground, and a house some metres away, in a box of 18 m x 18 m x 9 m or in a
!> part of it of half that size that holds the house but not the explosion.
!>
!> Units: metres, milliseconds, kilograms; so velocities are in m/ms and pressures in MPa.
module explosion
  use, intrinsic :: iso_fortran_env, only: real64
  use mpi_f08
  use euler
  implicit none
  private

  !> The boxes: their least corners and sizes.
  real(real64), parameter, public :: &
      WHOLE(3, 2) = reshape([0d0, 0d0, 0d0, 18d0, 18d0, 9d0], [3, 2]), &
      PART(3, 2) = reshape([7.5d0, 4.5d0, 0d0, 9d0, 9d0, 4.5d0], [3, 2])
  !> Air at rest.
  real(real64), parameter, public :: AIR(VARIABLES) = [1.2d0, 0d0, 0d0, 0d0, 0.1d0]
  real(real64), parameter, public :: SOUND = sqrt(GAMMA*AIR(PRESSURE)/AIR(DENSITY))
  !> Units of disturbances of that state that make those of all variables alike in a sound wave.
  real(real64), parameter, public :: UNITS(VARIABLES) = &
      [AIR(DENSITY), SOUND, SOUND, SOUND, GAMMA*AIR(PRESSURE)]
  !> When the simulations end: the wave is over the house then.
  real(real64), parameter, public :: END_TIME = 36
  !> A point in front of the house, where the wave hits it.
  real(real64), parameter, public :: FRONT(3) = [10.75d0, 9.25d0, 0.25d0]

  real(real64), parameter :: CHARGE(3) = [3d0, 7.5d0, 1.5d0], RADIUS = 1.5d0, FAR = 100
  real(real64), parameter :: HOUSE(3, 2) = reshape([11d0, 8d0, 0d0, 13.5d0, 10.5d0, 2.5d0], [3, 2])

  !> Nothing but air at rest.
  type, extends(surroundings), public :: still_air
  contains
    procedure :: fill => fill_with_air
  end type

  public :: prepare

contains

  !> Makes the gas of a box at time 0. Where the charge is, pressure is `strength` times that of the
  !> air higher, and falls off around it.
  subroutine prepare(gas, box, cells_per_metre, strength, with_house)
    type(solver), intent(inout) :: gas
    real(real64), intent(in) :: box(3, 2), strength
    integer, intent(in) :: cells_per_metre
    logical, intent(in) :: with_house
    integer :: i, j, k
    real(real64) :: distance

    call gas%create(MPI_COMM_WORLD, box(:, 1), nint(box(:, 2)*cells_per_metre), &
        1/real(cells_per_metre, real64))
    call gas%add_wall([-FAR, -FAR, -FAR], [FAR, FAR, 0d0])
    if (with_house) call gas%add_wall(HOUSE(:, 1), HOUSE(:, 2))
    do k = 1, gas%cells(3)
      do j = 1, gas%cells(2)
        do i = 1, gas%cells(1)
          distance = norm2(gas%centre([i, j, k]) - CHARGE)
          gas%state(i, j, k, :) = AIR
          gas%state(i, j, k, PRESSURE) = AIR(PRESSURE)*(1 + strength*exp(-(distance/RADIUS)**2))
        end do
      end do
    end do
  end subroutine

  subroutine fill_with_air(self, gas, axis, side, low, high)
    class(still_air), intent(inout) :: self
    class(solver), intent(inout) :: gas
    integer, intent(in) :: axis, side, low(3), high(3)
    integer :: m
    do m = 1, VARIABLES
      gas%state(low(1):high(1), low(2):high(2), low(3):high(3), m) = AIR(m)
    end do
  end subroutine
end module
