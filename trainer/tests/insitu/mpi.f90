! Images that train together over MPI: as mpi.c does.
program together
  use, intrinsic :: iso_c_binding, only: c_double
  use mpi
  use drr_train
  use drr_train_mpi
  implicit none

  integer, parameter :: nx = 12, ny = 10, nz = 8, times = 5
  real(c_double) :: values(nx, ny, nz)
  type(drr_train_session) :: session
  type(drr_train_info) :: info
  type(drr_train_quality) :: quality
  character(len=1024) :: folder
  character(len=:), allocatable :: text
  character(len=256) :: message
  integer :: rank, ranks, code, low, high, n, file, length, status

  call MPI_Init(code)
  call MPI_Comm_rank(MPI_COMM_WORLD, rank, code)
  call MPI_Comm_size(MPI_COMM_WORLD, ranks, code)
  call get_command_argument(1, folder)
  open (newunit=file, file=trim(folder)//'/model.yaml', access='stream', form='unformatted')
  inquire (file, size=length)
  allocate (character(len=length) :: text)
  read (file) text
  close (file)
  low = rank * nz / ranks + 1
  high = (rank + 1) * nz / ranks

  ! A process that says nothing of its block has all of it, and so has another one.
  if (ranks > 1) then
    call create()
    if (status /= DRR_TRAIN_ERROR_INVALID_ARGUMENT .or. index(message, 'overlaps') == 0) error stop 2
  end if
  call create([1, 1, low], [nx, ny, high - low + 1])
  if (status /= DRR_TRAIN_OK) error stop 3
  do n = 1, times
    call fill(time_of(n))
    call session%add([time_of(n)], drr_train_block(values(:, :, low:high), [1, 1, low]))
  end do
  call session%step(60)
  call fill(time_of(3))
  call session%evaluate([time_of(3)], drr_train_block(values(:, :, low:high), [1, 1, low]), quality)
  if (quality%points /= nx * ny * nz) error stop 4
  call session%bake(trim(folder)//'/field.drr.safetensors')
  call session%get_info(info)
  if (rank == 0) print '(es16.9, 1x, es16.9)', info%loss, quality%psnr
  call session%close()
  call MPI_Finalize(code)

contains

  subroutine create(first, extent)
    integer, intent(in), optional :: first(3), extent(3)
    call session%create(text, [nx, ny, nz], &
      parameters=[drr_train_range('time', 's', 0d0, 2d0)], threads=1, seed=4, own_first=first, &
      own_extent=extent, communicator=drr_train_mpi_communicator(MPI_COMM_WORLD), status=status, &
      message=message)
  end subroutine

  pure real(c_double) function time_of(n)
    integer, intent(in) :: n
    time_of = 2d0 * (n - 1) / (times - 1)
  end function

  subroutine fill(time)
    real(c_double), intent(in) :: time
    integer :: i, j, l
    do l = 1, nz
      do j = 1, ny
        do i = 1, nx
          values(i, j, l) = 20 + 5 * sin(3d0 * (i - 1) / (nx - 1) + time) &
            * (1 + (j - 1d0) / (ny - 1)) + 4 * (l - 1d0) / (nz - 1) * cos(time)
        end do
      end do
    end do
  end subroutine
end program
