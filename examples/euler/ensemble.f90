! Explosions of several strengths over the ground, without the house: what a surrogate learns from.
!
! usage: ensemble FOLDER
!
! Writes params.csv, field.yaml and a file for each strength, time and variable: disturbances of the
! air at rest, in the part of the whole box that holds the small one and 1.5 m around it. The five
! variables of the gas become one value and a third parameter that says which is meant.
program ensemble
  use, intrinsic :: iso_fortran_env, only: int64, real32, real64
  use mpi_f08
  use euler
  use explosion
  implicit none

  integer, parameter :: CELLS_PER_METRE = 2, TIMES = 24
  real(real64), parameter :: STRENGTHS(7) = [1d0, 1.6d0, 2.2d0, 2.5d0, 2.8d0, 3.4d0, 4d0]
  integer, parameter :: HELD_OUT = 4 ! of the strengths
  integer, parameter :: FIRST(3) = [6, 3, 0]*CELLS_PER_METRE, COUNT(3) = [12, 12, 6]*CELLS_PER_METRE
  character(len=500) :: folder
  type(solver) :: gas
  type(open_air) :: beyond
  integer :: s, t, table

  call MPI_Init()
  call get_command_argument(1, folder)
  do s = 1, size(STRENGTHS)
    call prepare(gas, WHOLE, CELLS_PER_METRE, STRENGTHS(s), .false.)
    if (s == 1 .and. gas%rank == 0) call describe()
    do t = 0, TIMES
      do while (gas%time < t*END_TIME/TIMES)
        call gas%step(beyond, min(gas%stable_step(), t*END_TIME/TIMES - gas%time))
      end do
      call write_state()
    end do
    if (gas%rank == 0) print '(a, f0.1)', 'explosion of strength ', STRENGTHS(s)
    deallocate (gas%state, gas%solid)
    gas%time = 0
  end do
  call MPI_Finalize()

contains

  subroutine describe()
    real(real64) :: low(3), high(3)
    integer :: file, axis
    low = (FIRST + 0.5d0)/CELLS_PER_METRE
    high = (FIRST + COUNT - 0.5d0)/CELLS_PER_METRE
    open (newunit=file, file=trim(folder)//'/field.yaml', status='replace', action='write')
    write (file, '(a, 2(i0, a), i0, a)') 'dims: [', COUNT(3), ', ', COUNT(2), ', ', COUNT(1), ']'
    write (file, '(a)') 'values:', '  - {name: disturbance, unit: ""}', 'axes:'
    do axis = 1, 3
      write (file, '(3a, f7.4, a, f7.4, a)') '  - {name: ', 'xyz'(axis:axis), &
          ', unit: m, min: ', low(axis), ', max: ', high(axis), '}'
    end do
    close (file)
    open (newunit=table, file=trim(folder)//'/params.csv', status='replace', action='write')
    write (table, '(a)') 'file,split,time,strength,variable'
  end subroutine

  subroutine write_state()
    real(real64) :: values(COUNT(1), COUNT(2), COUNT(3))
    character(len=40) :: name
    integer :: m, file
    do m = 1, VARIABLES
      values = (gas%gather(m, FIRST, COUNT) - AIR(m))/UNITS(m)
      if (gas%rank /= 0) cycle
      write (name, '(a, i0, a, i2.2, a, i0, a)') 'strength', s, '_time', t, '_variable', m, '.raw'
      open (newunit=file, file=trim(folder)//'/'//name, status='replace', action='write', &
          access='stream', form='unformatted')
      write (file) real(values, real32)
      close (file)
      write (table, '(3a, f4.1, a, f3.1, a, i0)') trim(name), ',', &
          trim(merge('test, ', 'train,', s == HELD_OUT)), gas%time, ',', STRENGTHS(s), &
          ',', m
    end do
  end subroutine
end program
