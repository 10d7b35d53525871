! Replays a run from the file that learn.f90 made of it: any time, at any point.
!
!     ./replay FILE                 # pressure in front of the house, 200 times: time, pressure
!     ./replay FILE TIMES RAW       # how near it comes to the states that learn wrote
!
! The second prints a line for each state: time, PSNR in dB, largest error; then the root of the mean
! squared error of all of them. PSNR is of the range of all values of all states.
program replay
  use, intrinsic :: iso_fortran_env, only: error_unit, iostat_end, real32, real64
  use drr
  implicit none

  integer, parameter :: SAMPLES = 200
  ! The unit of disturbances of the pressure, and that of the air at rest: see explosion.f90.
  real(real64), parameter :: UNIT = 1.4d0*0.1d0, REST = 0.1d0, FRONT(3) = [10.75d0, 9.25d0, 0.25d0]
  type(drr_model) :: model
  type(drr_sampler) :: sampler

  if (all(command_argument_count() /= [1, 3])) then
    write (error_unit, '(a)') 'usage: replay FILE [TIMES RAW]'
    error stop 2
  end if
  call model%open(argument(1))
  if (command_argument_count() == 1) then
    call listen()
  else
    call compare()
  end if

contains

  subroutine listen()
    type(drr_range) :: time
    real(real64) :: at, values(5, 1)
    integer :: n
    call model%get_parameter(1, time)
    do n = 0, SAMPLES - 1
      at = time%min + (time%max - time%min)*n/(SAMPLES - 1)
      call sampler%create(model, [at])
      call sampler%query(reshape(FRONT, [3, 1]), values)
      print '(f0.4, 1x, f0.6)', at, REST + UNIT*values(5, 1)
    end do
  end subroutine

  subroutine compare()
    real(real32), allocatable :: found(:, :, :, :), state(:, :, :, :)
    real(real64), allocatable :: rows(:, :)
    type(drr_range) :: axis
    real(real64) :: origin(3), spacing(3), time, squares, low, high
    integer :: times, raw, status, extent(3), count, k, m
    character(len=200) :: header

    open (newunit=times, file=argument(2), status='old', action='read')
    open (newunit=raw, file=argument(3), status='old', action='read', access='stream', &
        form='unformatted')
    read (times, '(a)') header
    read (header(index(header, 'z:') + 2:), *) count, extent
    do k = 1, 3
      call model%get_axis(k, axis)
      origin(k) = axis%min
      spacing(k) = (axis%max - axis%min)/(extent(k) - 1)
    end do
    allocate (found(count, extent(1), extent(2), extent(3)), &
        state(extent(1), extent(2), extent(3), count), rows(3, 0))
    low = huge(low)
    high = -huge(high)
    do
      read (times, *, iostat=status) time
      if (status == iostat_end) exit
      read (raw) state
      call sampler%create(model, [time])
      call sampler%query_lattice(origin, spacing, found)
      low = min(low, real(minval(state), real64))
      high = max(high, real(maxval(state), real64))
      do m = 1, count
        state(:, :, :, m) = abs(state(:, :, :, m) - found(m, :, :, :))
      end do
      squares = sum(real(state, real64)**2)/size(state)
      rows = reshape([rows, time, squares, real(maxval(state), real64)], [3, size(rows, 2) + 1])
    end do
    do k = 1, size(rows, 2)
      print '(f9.4, f9.2, f9.4)', rows(1, k), 20*log10((high - low)/sqrt(rows(2, k))), rows(3, k)
    end do
    print '(a, es12.4, a, f0.2, a)', 'rms', sqrt(sum(rows(2, :))/size(rows, 2)), ' psnr ', &
        20*log10((high - low)/sqrt(sum(rows(2, :))/size(rows, 2))), ' dB'
  end subroutine

  function argument(n) result(text)
    integer, intent(in) :: n
    character(len=:), allocatable :: text
    integer :: length
    call get_command_argument(n, length=length)
    allocate (character(len=length) :: text)
    call get_command_argument(n, text)
  end function
end program
