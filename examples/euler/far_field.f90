!> What comes into a box from far away, as a baked surrogate has it.
module far_field
  use, intrinsic :: iso_fortran_env, only: int64, real64
  use mpi_f08, only: MPI_Wtime
  use drr
  use euler
  use explosion, only: AIR, UNITS
  implicit none
  private

  !> The disturbances that an explosion of `strength` sends out, asked from `model`. Only the ghost
  !> cells get the state outside; the solver's fluxes take from it what runs inwards, so that waves
  !> of the box itself still leave.
  type, extends(surroundings), public :: surrogate
    type(drr_model) :: model
    real(real64) :: strength = 0
    integer(int64) :: values = 0  !< that this rank has asked for
    real(real64) :: seconds = 0   !< that it took
    type(drr_sampler), private :: samplers(VARIABLES)
    real(real64), private :: time = -1, filled(2, 3) = -1
  contains
    procedure :: fill
  end type

contains

  subroutine fill(self, gas, axis, side, low, high)
    class(surrogate), intent(inout) :: self
    class(solver), intent(inout) :: gas
    integer, intent(in) :: axis, side, low(3), high(3)
    real(real64) :: start, spacing(3)
    integer :: m

    ! A step ends at the time at which the next one starts.
    if (self%filled(side, axis) >= gas%time) return
    self%filled(side, axis) = gas%time
    start = MPI_Wtime()
    if (gas%time > self%time) then
      do m = 1, VARIABLES
        call self%samplers(m)%create(self%model, [gas%time, self%strength, real(m, real64)])
      end do
      self%time = gas%time
    end if
    spacing = gas%width
    do m = 1, VARIABLES
      associate (ghosts => gas%state(low(1):high(1), low(2):high(2), low(3):high(3), m))
        call self%samplers(m)%query_lattice(gas%centre(low), spacing, ghosts)
        ghosts = AIR(m) + UNITS(m)*ghosts
        self%values = self%values + size(ghosts)
      end associate
    end do
    self%seconds = self%seconds + MPI_Wtime() - start
  end subroutine
end module
