!> The Euler equations of a perfect gas around solid bodies: finite volumes of second order (MUSCL
!> with van Leer's slopes, HLLC fluxes, Heun's two stages) on blocks that MPI ranks share.
!>
!>     type(solver) :: gas
!>     type(open_air) :: beyond                               ! or another type of surroundings
!>     call gas%create(MPI_COMM_WORLD, corner, cells, width)
!>     call gas%add_wall(low, high)
!>     gas%state(...) = ...                                   ! at time 0
!>     call gas%step(beyond, gas%stable_step())
!>
!> Units are the caller's, as long as pressure is density times velocity squared. Fields are the
!> same, bit by bit, on any number of ranks.
module euler
  use, intrinsic :: iso_fortran_env, only: real64
  use mpi_f08
  use euler_block
  use euler_fluxes
  implicit none
  private
  public :: GHOSTS, DENSITY, VELOCITY, PRESSURE, VARIABLES, GAMMA

  !> A rank's block of gas, and what time it is.
  type, extends(block), public :: solver
    real(real64) :: time = 0
  contains
    procedure :: stable_step
    procedure :: step
    procedure, private :: fill, add_fluxes, set_state
  end type

  !> What is outside the box. `fill` sets the state of the ghost cells `low` to `high`, which lie
  !> beyond the face on `side` 1 (below) or 2 (above) of an axis, to what it is at gas%time.
  type, abstract, public :: surroundings
  contains
    procedure(fill_outside), deferred :: fill
  end type

  abstract interface
    subroutine fill_outside(self, gas, axis, side, low, high)
      import :: surroundings, solver
      class(surroundings), intent(inout) :: self
      class(solver), intent(inout) :: gas
      integer, intent(in) :: axis, side, low(3), high(3)
    end subroutine
  end interface

  !> More of what is inside (no gradient): waves leave, nothing is known of what may enter.
  type, extends(surroundings), public :: open_air
  contains
    procedure :: fill => fill_with_inside
  end type

contains

  !> The longest step that keeps the scheme stable, with some reserve; the same on all ranks.
  real(real64) function stable_step(self)
    class(solver), intent(in) :: self
    real(real64) :: fastest
    integer :: i, j, k
    fastest = 0
    do k = 1, self%cells(3)
      do j = 1, self%cells(2)
        do i = 1, self%cells(1)
          associate (cell => self%state(i, j, k, :))
            fastest = max(fastest, sum(abs(cell(VELOCITY))) + &
                3*sqrt(GAMMA*cell(PRESSURE)/cell(DENSITY)))
          end associate
        end do
      end do
    end do
    call MPI_Allreduce(MPI_IN_PLACE, fastest, 1, MPI_DOUBLE_PRECISION, MPI_MAX, self%comm)
    stable_step = 0.8_real64*self%width/fastest
  end function

  !> Goes on by a time `dt`. Ghost cells are filled twice, for the time before and for that after.
  subroutine step(self, beyond, dt)
    class(solver), intent(inout) :: self
    class(surroundings), intent(inout) :: beyond
    real(real64), intent(in) :: dt
    real(real64), allocatable :: before(:, :, :, :), held(:, :, :, :)

    ! A layer around the cells, so that all faces have both of theirs.
    associate (n => self%cells)
      allocate (before(0:n(1) + 1, 0:n(2) + 1, 0:n(3) + 1, VARIABLES))
      before = conserved(self%state(0:n(1) + 1, 0:n(2) + 1, 0:n(3) + 1, :))
    end associate
    allocate (held, source=before)
    call self%fill(beyond)
    call self%add_fluxes(dt, held)
    call self%set_state(held)
    self%time = self%time + dt
    call self%fill(beyond)
    call self%add_fluxes(dt, held)
    call self%set_state((before + held)/2)
  end subroutine

  subroutine fill(self, beyond)
    class(solver), intent(inout) :: self
    class(surroundings), intent(inout) :: beyond
    integer :: axis, side, low(3), high(3)
    call self%exchange()
    do axis = 1, 3
      do side = 1, 2
        if (self%neighbours(side, axis) /= MPI_PROC_NULL) cycle
        call self%layers(axis, side, .true., low, high)
        if (.not. all(self%solid(low(1):high(1), low(2):high(2), low(3):high(3)))) &
            call beyond%fill(self, axis, side, low, high)
      end do
    end do
  end subroutine

  !> Adds what flows into the cells through their faces during `dt` to what they hold.
  subroutine add_fluxes(self, dt, held)
    class(solver), intent(in) :: self
    real(real64), intent(in) :: dt
    real(real64), intent(inout) :: held(0:, 0:, 0:, :)
    real(real64) :: cells(self%cells(1) + 1, 4, VARIABLES), fluxes(self%cells(1) + 1, VARIABLES)
    logical :: solid(self%cells(1) + 1, 4)
    integer :: axis, e(3), n, j, k, m, s(3)

    do axis = 1, 3
      e = 0
      e(axis) = 1
      n = self%cells(1) + e(1)
      do k = 1, self%cells(3) + e(3)
        do j = 1, self%cells(2) + e(2)
          do m = 1, 4
            s = (m - 3)*e
            cells(:n, m, :) = self%state(1 + s(1):n + s(1), j + s(2), k + s(3), :)
            solid(:n, m) = self%solid(1 + s(1):n + s(1), j + s(2), k + s(3))
          end do
          call face_fluxes(axis, cells(:n, :, :), solid(:n, :), fluxes(:n, :))
          fluxes(:n, :) = fluxes(:n, :)*(dt/self%width)
          held(1:n, j, k, :) = held(1:n, j, k, :) + fluxes(:n, :)
          held(1 - e(1):n - e(1), j - e(2), k - e(3), :) = &
              held(1 - e(1):n - e(1), j - e(2), k - e(3), :) - fluxes(:n, :)
        end do
      end do
    end do
  end subroutine

  !> The cells that are not solid are in the state of what they hold.
  subroutine set_state(self, held)
    class(solver), intent(inout) :: self
    real(real64), intent(in) :: held(0:, 0:, 0:, :)
    real(real64) :: state(self%cells(1), self%cells(2), self%cells(3), VARIABLES)
    integer :: variable
    associate (n => self%cells)
      state = primitive(held(1:n(1), 1:n(2), 1:n(3), :))
      do variable = 1, VARIABLES
        where (.not. self%solid(1:n(1), 1:n(2), 1:n(3))) &
            self%state(1:n(1), 1:n(2), 1:n(3), variable) = state(:, :, :, variable)
      end do
    end associate
  end subroutine

  subroutine fill_with_inside(self, gas, axis, side, low, high)
    class(open_air), intent(inout) :: self
    class(solver), intent(inout) :: gas
    integer, intent(in) :: axis, side, low(3), high(3)
    integer :: i, j, k, inside(3)
    do k = low(3), high(3)
      do j = low(2), high(2)
        do i = low(1), high(1)
          inside = min(max([i, j, k], 1), gas%cells)
          gas%state(i, j, k, :) = gas%state(inside(1), inside(2), inside(3), :)
        end do
      end do
    end do
  end subroutine
end module
