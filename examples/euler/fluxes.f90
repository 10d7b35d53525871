!> A perfect gas in cells and at the faces between them; knows nothing of boxes, ranks or time.
!>
!> Units are the caller's, as long as pressure is density times velocity squared.
module euler_fluxes
  use, intrinsic :: iso_fortran_env, only: real64
  implicit none
  private
  public :: conserved, primitive, face_fluxes

  !> The variables of a cell. What it holds are, in their places, density, momentum and energy by
  !> volume.
  integer, parameter, public :: DENSITY = 1, VELOCITY(3) = [2, 3, 4], PRESSURE = 5, VARIABLES = 5
  !> Ratio of specific heats.
  real(real64), parameter, public :: GAMMA = 1.4_real64

contains

  !> What cells of a state (i, j, k, variable) hold, and the reverse.
  pure function conserved(state) result(held)
    real(real64), intent(in) :: state(:, :, :, :)
    real(real64), allocatable :: held(:, :, :, :)
    integer :: axis, v
    held = state
    held(:, :, :, PRESSURE) = state(:, :, :, PRESSURE)/(GAMMA - 1)
    do axis = 1, 3
      v = VELOCITY(axis)
      held(:, :, :, v) = state(:, :, :, DENSITY)*state(:, :, :, v)
      held(:, :, :, PRESSURE) = held(:, :, :, PRESSURE) + held(:, :, :, v)*state(:, :, :, v)/2
    end do
  end function

  pure function primitive(held) result(state)
    real(real64), intent(in) :: held(:, :, :, :)
    real(real64), allocatable :: state(:, :, :, :)
    integer :: axis, v
    state = held
    do axis = 1, 3
      v = VELOCITY(axis)
      state(:, :, :, v) = held(:, :, :, v)/held(:, :, :, DENSITY)
      state(:, :, :, PRESSURE) = state(:, :, :, PRESSURE) - held(:, :, :, v)*state(:, :, :, v)/2
    end do
    state(:, :, :, PRESSURE) = (GAMMA - 1)*state(:, :, :, PRESSURE)
  end function

  !> How much mass, momentum and energy flow through a row of faces across an axis, by area and
  !> time. `cells` has the variables of the two cells before each face and the two behind it. A
  !> solid cell next to a face reflects; slopes are not taken across walls.
  pure subroutine face_fluxes(axis, cells, solid, fluxes)
    integer, intent(in) :: axis
    real(real64), intent(in) :: cells(:, :, :) !< (face, 1 to 4, variable)
    logical, intent(in) :: solid(:, :)         !< (face, 1 to 4)
    real(real64), intent(out) :: fluxes(:, :)  !< (face, variable)
    real(real64) :: left(size(cells, 1), VARIABLES), right(size(cells, 1), VARIABLES)
    logical :: level(size(cells, 1), 2) ! no slope in the cell before, behind the face
    integer :: i, m, n, s, t

    level(:, 1) = solid(:, 1) .or. solid(:, 2) .or. solid(:, 3)
    level(:, 2) = solid(:, 2) .or. solid(:, 3) .or. solid(:, 4)
    do m = 1, VARIABLES
      do i = 1, size(cells, 1)
        left(i, m) = cells(i, 2, m) + merge(0.0_real64, slope(cells(i, 2, m) - cells(i, 1, m), &
            cells(i, 3, m) - cells(i, 2, m))/2, level(i, 1))
        right(i, m) = cells(i, 3, m) - merge(0.0_real64, slope(cells(i, 3, m) - cells(i, 2, m), &
            cells(i, 4, m) - cells(i, 3, m))/2, level(i, 2))
      end do
    end do
    n = VELOCITY(axis)
    s = VELOCITY(1 + mod(axis, 3))
    t = VELOCITY(1 + mod(axis + 1, 3))
    do i = 1, size(cells, 1)
      if (solid(i, 2)) left(i, :) = right(i, :)
      if (solid(i, 2)) left(i, n) = -right(i, n)
      if (solid(i, 3)) right(i, :) = left(i, :)
      if (solid(i, 3)) right(i, n) = -left(i, n)
    end do
    call hllc(left(:, DENSITY), left(:, n), left(:, s), left(:, t), left(:, PRESSURE), &
        right(:, DENSITY), right(:, n), right(:, s), right(:, t), right(:, PRESSURE), &
        fluxes(:, DENSITY), fluxes(:, n), fluxes(:, s), fluxes(:, t), fluxes(:, PRESSURE))
  end subroutine

  !> Van Leer's: the harmonic mean of the differences to both neighbours, 0 at extrema.
  elemental real(real64) function slope(a, b)
    real(real64), intent(in) :: a, b
    slope = 0
    if (a*b > 0) slope = 2*a*b/(a + b)
  end function

  !> The flux between two states by three waves (Toro, Spruce and Speares 1994), with estimates of
  !> the outer ones by Davis (1988): r density, n velocity across the face, s and t along it, p pressure.
  elemental subroutine hllc(rl, nl, sl, tl, pl, rr, nr, sr, tr, pr, &
      mass, push, shear1, shear2, energy)
    real(real64), intent(in) :: rl, nl, sl, tl, pl, rr, nr, sr, tr, pr
    real(real64), intent(out) :: mass, push, shear1, shear2, energy
    real(real64) :: below, above, contact, fan, r, n, s, t, p, e, squeeze, rise
    logical :: from_left, between

    below = min(nl - sqrt(GAMMA*pl/rl), nr - sqrt(GAMMA*pr/rr))
    above = max(nl + sqrt(GAMMA*pl/rl), nr + sqrt(GAMMA*pr/rr))
    contact = (pr - pl + rl*nl*(below - nl) - rr*nr*(above - nr)) &
        /(rl*(below - nl) - rr*(above - nr))
    from_left = contact >= 0
    r = merge(rl, rr, from_left)
    n = merge(nl, nr, from_left)
    s = merge(sl, sr, from_left)
    t = merge(tl, tr, from_left)
    p = merge(pl, pr, from_left)
    fan = merge(below, above, from_left)
    e = p/(GAMMA - 1) + r*(n*n + s*s + t*t)/2
    ! Between the outer waves it is the state beside the contact, else that of the gas itself.
    between = below < 0 .and. above > 0
    squeeze = merge((fan - n)/(fan - contact), 1.0_real64, between)
    rise = merge(r*(fan - n)*(contact - n), 0.0_real64, between)
    contact = merge(contact, n, between)
    e = squeeze*e + ((p + rise)*contact - p*n)/(fan - contact)
    r = r*squeeze
    p = p + rise
    mass = r*contact
    push = mass*contact + p
    shear1 = mass*s
    shear2 = mass*t
    energy = (e + p)*contact
  end subroutine
end module
