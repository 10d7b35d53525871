! 8. A surrogate in a simulation's time loop: how hard does an explosion hit a house, if it happens
! outside the box that is simulated?
!
!     mpirun -n 2 ./euler explosion.drr.safetensors [cells per metre: 2]
!
! What enters through the faces of the box is asked from a surrogate of explosions of other
! strengths, without a house. The same box without that knowledge, and one of twice the size that
! holds the explosion too, show what it is worth. README.md says how to compile it.
program euler_tutorial
  use, intrinsic :: iso_fortran_env, only: real64
  use mpi_f08
  use euler, only: open_air, PRESSURE, solver, surroundings
  use explosion
  use far_field, only: surrogate
  use vtk, only: write_vtk
  implicit none

  character(len=9), parameter :: NAMES(4) = ['truth    ', 'surrogate', 'open     ', 'still    ']
  real(real64), parameter :: STRENGTH = 2.5d0
  type(solver) :: gas(4)
  type(surrogate) :: far
  type(open_air) :: nothing
  type(still_air) :: still
  character(len=500) :: path, text
  real(real64), allocatable :: p(:, :, :, :)
  real(real64) :: peaks(4) = AIR(PRESSURE), seconds = 0
  integer :: cells = 2, steps = 0, n, part_of_time

  call MPI_Init()
  call get_command_argument(1, path)
  call get_command_argument(2, text)
  if (text /= '') read (text, *) cells
  call far%model%open(path)
  far%strength = STRENGTH
  do n = 1, 4
    call prepare(gas(n), merge(WHOLE, PART, n == 1), cells, STRENGTH, .true.)
  end do
  p = reshape([real(real64) ::], [nint(PART(:, 2)*cells), 4], pad=[AIR(PRESSURE)])

  if (gas(1)%rank == 0) print '(a/a6, 3a12)', &
      'error of the pressure, in parts of what the explosion adds to it', 'ms', NAMES(2:)
  do part_of_time = 1, 6
    call run(1, nothing)
    call run(2, far)
    call run(3, nothing)
    call run(4, still)
    if (gas(1)%rank == 0) print '(f6.1, 3f12.4)', gas(1)%time, (norm2(p(:, :, :, n) - &
        p(:, :, :, 1))/norm2(p(:, :, :, 1) - AIR(PRESSURE)), n=2, 4)
  end do
  if (gas(1)%rank == 0) then
    print '(a, 4(/a12, f9.2))', 'highest overpressure before the house, kPa', &
        (NAMES(n), 1000*(peaks(n) - AIR(PRESSURE)), n=1, 4)
    print '(i0, 2(a, f0.2), a, i0, 2(a, f0.2))', steps, ' steps of ', 1000*seconds/steps, &
        ' ms; queries take ', 1000*far%seconds/steps, ' ms of them (', &
        nint(100*far%seconds/seconds), ' %), ', far%values/far%seconds/1e6, ' million values/s'
    call write_vtk('euler.vtk', PART(:, 1), gas(2)%width, NAMES, p)
  end if
  call MPI_Finalize()

contains

  !> Goes on by a sixth of the time.
  subroutine run(n, beyond)
    integer, intent(in) :: n
    class(surroundings), intent(inout) :: beyond
    real(real64) :: start
    do while (gas(n)%time < part_of_time*END_TIME/6)
      start = MPI_Wtime()
      call gas(n)%step(beyond, min(gas(n)%stable_step(), part_of_time*END_TIME/6 - gas(n)%time))
      if (n == 2) seconds = seconds + MPI_Wtime() - start
      if (n == 2) steps = steps + 1
      peaks(n) = max(peaks(n), maxval(gas(n)%gather(PRESSURE, &
          floor((FRONT - gas(n)%corner)*cells), [1, 1, 1])))
    end do
    p(:, :, :, n) = gas(n)%gather(PRESSURE, nint((PART(:, 1) - gas(n)%corner)*cells), &
        nint(PART(:, 2)*cells))
  end subroutine
end program
