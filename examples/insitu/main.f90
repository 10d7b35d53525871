! An explosion over the ground that is compared with its surrogate while it is simulated: ParaView
! runs in the solver's process, on its arrays.
!
!     mpirun -n 2 ./explosion_in_situ SCRIPT PLUGIN MODEL [pictures: 6] [strength: 2.5] [must]
!
! SCRIPT is compare.py, PLUGIN the plugin's drr.so, MODEL data/euler/explosion.drr.safetensors. The
! pressure at the end is written to truth.vtk. What goes wrong in ParaView is reported, and the
! simulation goes on; with `must` it ends.
program explosion_in_situ
  use, intrinsic :: iso_fortran_env, only: error_unit, real64
  use mpi_f08
  use arguments
  use euler
  use explosion
  use insitu, only: pipeline
  use vtk, only: write_vtk
  implicit none

  integer, parameter :: CELLS_PER_METRE = 2, TOTAL(3) = nint(WHOLE(:, 2)*CELLS_PER_METRE)
  type(solver), target :: gas
  type(open_air) :: beyond
  type(pipeline) :: paraview
  character(len=:), allocatable :: problem
  real(real64) :: strength
  integer :: pictures, n, steps
  logical :: is_shown, is_fine

  call MPI_Init()
  if (command_argument_count() < 3) call fail( &
      'usage: explosion_in_situ SCRIPT PLUGIN MODEL [pictures] [strength] [must]')
  pictures = nint(number(4, 6d0, 1d0))
  strength = number(5, 2.5d0, 1d-3)
  call prepare(gas, WHOLE, CELLS_PER_METRE, strength, .false.)
  call begin()
  is_shown = works()

  steps = 0
  do n = 1, pictures
    do while (gas%time < n*END_TIME/pictures)
      call gas%step(beyond, min(gas%stable_step(), n*END_TIME/pictures - gas%time))
      steps = steps + 1
    end do
    if (.not. is_shown) cycle
    call paraview%show(steps, gas%time, problem)
    is_fine = works()
  end do
  call paraview%end()
  call write_truth()
  if (gas%rank == 0) print '(a, i0, a)', 'simulated ', steps, ' steps'
  call MPI_Finalize()

contains

  !> Tells ParaView what there is; the pressure stays where it is.
  subroutine begin()
    call paraview%begin(gas%comm, argument(1), problem)
    call paraview%set_box(TOTAL, gas%first, gas%cells, GHOSTS, gas%corner, gas%width, problem)
    call paraview%set_field('pressure', gas%state(:, :, :, PRESSURE), problem)
    call paraview%set('plugin', argument(2), problem)
    call paraview%set('model', argument(3), problem)
    ! The surrogate has disturbances of the air at rest in units of their own, and asks for the
    ! strength of the explosion and which variable is meant.
    call paraview%set('at rest', AIR(PRESSURE), problem)
    call paraview%set('unit', UNITS(PRESSURE), problem)
    call paraview%set('strength', strength, problem)
    call paraview%set('variable', real(PRESSURE, real64), problem)
  end subroutine

  !> Reports what the latest call had to say.
  logical function works()
    works = .not. allocated(problem)
    if (works) return
    if (command_argument_count() >= 6) call fail(problem)
    if (gas%rank == 0) write (error_unit, '(2a)') 'no picture: ', problem
    deallocate (problem)
  end function

  subroutine write_truth()
    real(real64), allocatable :: truth(:, :, :)
    allocate (truth(TOTAL(1), TOTAL(2), TOTAL(3)))
    truth(:, :, :) = gas%gather(PRESSURE, [0, 0, 0], TOTAL)
    if (gas%rank == 0) call write_vtk('truth.vtk', gas%corner, gas%width, ['pressure'], &
        reshape(truth, [TOTAL, 1]))
  end subroutine
end program
