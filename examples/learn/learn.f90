! An explosion over the ground and a house: while it is simulated, a surrogate learns it, in space and
! time, and is baked at the end. No field has to be written.
!
!     mpirun -n 2 ./learn CONFIG OUTPUT [SECONDS: 0.2] [FRAMES: 0] [CELLS: 2]
!
! CONFIG is model.yaml, OUTPUT the baked file. Training takes SECONDS after each step of the solver, and
! fifty times as much at the end, while the learning rate falls. The ranks train together, each on its
! block of the box: no state is gathered. For comparison, FRAMES states are written to OUTPUT.raw, and
! their times to OUTPUT.times. There are CELLS cells per metre.
program learn
  use, intrinsic :: iso_fortran_env, only: real32, real64
  use mpi_f08
  use arguments
  use euler
  use explosion
  use drr_train
  use drr_train_mpi
  implicit none

  real(real64), parameter :: STRENGTH = 2.5d0
  integer, parameter :: CAPACITY = 64, LAST = 50
  type(solver) :: gas
  type(open_air) :: beyond
  type(drr_train_session) :: session
  type(drr_train_info) :: info
  real(real64) :: budget, simulating = 0, training = 0, began, next_frame
  real(real32), allocatable :: state(:, :, :, :) ! of this rank's block
  integer :: total(3), frames, written = 0, steps = 0, cells, raw, times, file_bytes

  call MPI_Init()
  if (command_argument_count() < 2) call fail('usage: learn CONFIG OUTPUT [SECONDS] [FRAMES] [CELLS]')
  budget = number(3, 0.2d0, 0d0)
  frames = nint(number(4, 0d0, 0d0))
  cells = nint(number(5, 2d0, 1d0))
  total = nint(WHOLE(:, 2)*cells)
  call prepare(gas, WHOLE, cells, STRENGTH, .true.)
  allocate (state(gas%cells(1), gas%cells(2), gas%cells(3), VARIABLES))
  call begin()

  next_frame = 0
  call take()
  do while (gas%time < END_TIME)
    began = MPI_Wtime()
    call gas%step(beyond, min(gas%stable_step(), END_TIME - gas%time))
    simulating = simulating + MPI_Wtime() - began
    steps = steps + 1
    call take()
  end do
  call finish()
  call session%close()
  call MPI_Finalize()

contains

  ! The whole box in space, the whole run in time.
  subroutine begin()
    type(drr_train_range) :: axes(3), values(VARIABLES)
    real(real64) :: low, high
    integer :: k
    do k = 1, 3
      low = WHOLE(k, 1) + 0.5d0/cells
      high = WHOLE(k, 1) + WHOLE(k, 2) - 0.5d0/cells
      axes(k) = drr_train_range('xyz'(k:k), 'm', low, high)
    end do
    values%name = [character(len=64) :: 'density', 'velocity x', 'velocity y', 'velocity z', &
        'pressure']
    call session%create(text_of(argument(1)), total, axes, &
        [drr_train_range('time', 'ms', 0d0, END_TIME)], values, threads=1, seed=1, &
        keep=DRR_TRAIN_KEEP_RESERVOIR, capacity=CAPACITY, own_first=gas%first + 1, &
        own_extent=gas%cells, communicator=drr_train_mpi_communicator(gas%comm%mpi_val))
    if (frames == 0 .or. gas%rank > 0) return
    open (newunit=raw, file=argument(2)//'.raw', status='replace', action='write', &
        access='stream', form='unformatted')
    open (newunit=times, file=argument(2)//'.times', status='replace', action='write')
    write (times, '(a, 4(1x, i0))') '# time; values and cells along x, y, z:', VARIABLES, total
  end subroutine

  ! Hands over the state of now and trains for a while. Disturbances of the air at rest, in units that
  ! make them alike.
  subroutine take()
    integer :: m, made
    if (frames > 0 .and. gas%time >= next_frame) call write_frame()
    began = MPI_Wtime()
    do m = 1, VARIABLES
      associate (n => gas%cells)
        state(:, :, :, m) = disturbance(gas%state(1:n(1), 1:n(2), 1:n(3), m), m)
      end associate
    end do
    call session%add([gas%time], drr_train_block(state, gas%first + 1))
    call session%step(huge(made), budget, made)
    training = training + MPI_Wtime() - began
  end subroutine

  elemental real(real32) function disturbance(value, variable)
    real(real64), intent(in) :: value
    integer, intent(in) :: variable
    disturbance = real((value - AIR(variable))/UNITS(variable), real32)
  end function

  ! What is learned, for whoever wants to compare.
  subroutine write_frame()
    real(real32) :: whole_state(total(1), total(2), total(3))
    integer :: m
    do m = 1, VARIABLES
      whole_state = disturbance(gas%gather(m, [0, 0, 0], total), m)
      if (gas%rank == 0) write (raw) whole_state
    end do
    if (gas%rank == 0) write (times, '(f12.6)') gas%time
    written = written + 1
    next_frame = written*END_TIME/max(1, frames - 1) - 1d-9
  end subroutine

  subroutine finish()
    real(real64) :: annealing, baking
    integer :: more
    call session%get_info(info)
    more = max(1, int(info%steps/max(info%seconds, 1d-3)*budget*LAST))
    began = MPI_Wtime()
    call session%anneal(more)
    call session%step(more)
    annealing = MPI_Wtime() - began
    began = MPI_Wtime()
    call session%bake(argument(2), grid=DRR_TRAIN_GRID_I8, &
        decoder=DRR_TRAIN_DECODER_BF16, rank=16)
    baking = MPI_Wtime() - began
    if (gas%rank > 0) return
    call session%get_info(info)
    print '(a, i0, a, f0.1, a, i0, a)', 'simulated ', steps, ' steps in ', simulating, ' s with ', &
        ranks(), ' ranks'
    print '(a, f0.3, a, f0.3, a)', 'each took ', simulating/steps, ' s, training ', &
        training/(steps + 1), ' s'
    print '(3(a, i0), a, f0.1, a)', 'trained ', info%steps, ' steps on ', info%members_held, ' of ', &
        info%members_seen, ' states, the last ones in ', annealing, ' s'
    inquire (file=argument(2), size=file_bytes)
    print '(3a, i0, a, f0.1, a, f0.1, a)', 'baked ', argument(2), ' of ', file_bytes/1000, ' kB in ', &
        baking, ' s; the states that the solver went through are ', &
        4d-6*product(total)*VARIABLES*(steps + 1), ' MB'
  end subroutine

  integer function ranks()
    call MPI_Comm_size(MPI_COMM_WORLD, ranks)
  end function

  ! All of a file.
  function text_of(path) result(text)
    character(len=*), intent(in) :: path
    character(len=:), allocatable :: text
    integer :: file, length, status
    open (newunit=file, file=path, status='old', action='read', access='stream', &
        form='unformatted', iostat=status)
    if (status /= 0) call fail('cannot read '//path)
    inquire (file, size=length)
    allocate (character(len=length) :: text)
    read (file) text
    close (file)
  end function
end program
