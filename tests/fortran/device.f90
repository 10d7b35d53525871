! Models on a GPU in Fortran. The GPU is that of tests/cuda/driver.cpp, whose memory is the host's.
!
! usage: device MODEL
program device
  use, intrinsic :: iso_c_binding
  use, intrinsic :: iso_fortran_env, only: error_unit, int64, real32, real64
  use drr
  use drr_cuda
  implicit none

  integer(int64), parameter :: n = 60
  real(real64), parameter :: own(2) = [0.4d0, 0.6d0], others(2) = [0.1d0, 0.9d0]
  type(drr_model) :: model
  type(drr_sampler) :: cpu
  type(drr_device_model) :: there
  type(drr_device_sampler) :: sampler
  real(real64), target :: xyz(3, n), values(2, n), rows(2, n)
  real(real64), target :: by_position(3, 2, n), by_parameters(2, 2, n)
  real(real64) :: expected(2, n), position(3, 2, n), parameters(2, 2, n)
  real(real32), target :: x(n), y(n), z(n), single(2, n)
  character(len=256) :: path, message
  integer :: status

  call get_command_argument(1, path)
  call check(drr_device_count() == 1, 'count')
  call model%open(path)
  call there%create(model, 0, DRR_DEVICE_KERNEL_PORTABLE)
  call check(there%device() == 'cuda:0 (Fake GPU)' .and. there%kernel() == 'portable', 'names')
  call check(there%memory_bytes() > 1000, 'memory')
  call sampler%create(there, own)
  call cpu%create(model, own)
  call random_number(xyz)
  x = real(xyz(1, :), real32)
  y = real(xyz(2, :), real32)
  z = real(xyz(3, :), real32)

  call cpu%query(xyz, expected)
  values = 0
  call sampler%query(c_loc(xyz), n, c_loc(values), DRR_F64)
  call close_to(values, expected, 'packed')
  call sampler%query(c_loc(x), c_loc(y), c_loc(z), n, c_loc(single), DRR_F32, c_null_ptr)
  call close_to(real(single, real64), expected, 'separate')
  values = 0
  call sampler%query(c_loc(x), c_loc(y), c_loc(z), n, c_loc(values), DRR_F32, results=DRR_F64)
  call close_to(values, expected, 'mixed')
  values = 0
  call sampler%query_host(c_loc(xyz), n, c_loc(values), DRR_F64)
  call close_to(values, expected, 'host')
  values = 0
  rows(1, :) = own(1)
  rows(2, :) = own(2)
  call there%query(c_loc(rows), c_loc(xyz), n, c_loc(values), DRR_F64)
  call close_to(values, expected, 'own parameters')

  call cpu%query_gradient(xyz, expected, position, parameters)
  call sampler%query_gradient(c_loc(xyz), n, c_loc(values), c_loc(by_position), &
      c_loc(by_parameters), DRR_F64)
  call close_to(reshape(by_position, [2, 3*int(n)]), reshape(position, [2, 3*int(n)]), 'position')
  call close_to(reshape(by_parameters, [2, 2*int(n)]), reshape(parameters, [2, 2*int(n)]), &
      'parameters')
  by_position = 0
  call sampler%query_gradient(c_loc(xyz), n, c_null_ptr, c_loc(by_position), c_null_ptr, DRR_F64)
  call close_to(reshape(by_position, [2, 3*int(n)]), reshape(position, [2, 3*int(n)]), 'alone')

  call sampler%set_parameters(others)
  call cpu%create(model, others)
  call lattices()

  ! What is wrong is said.
  call sampler%query(c_null_ptr, n, c_loc(values), DRR_F64, status=status, message=message)
  call check(status == DRR_ERROR_INVALID_ARGUMENT .and. message /= '', 'no points')
  call sampler%query_lattice([0d0], [1d0], [3], c_loc(values), DRR_F64, status=status, &
      message=message)
  call check(status == DRR_ERROR_INVALID_ARGUMENT .and. index(message, 'size of origin') == 1, &
      'an origin of one number')
  call sampler%set_parameters([1d0], status=status)
  call check(status == DRR_ERROR_INVALID_ARGUMENT, 'one parameter')
  call there%create(model, 7, status=status, message=message)
  call check(status == DRR_ERROR_NO_DEVICE .and. index(message, 'device 7 asked for') > 0, 'device 7')
  call check(.not. there%is_open() .and. there%device() == '', 'empty')
  call sampler%query(c_loc(xyz), n, c_loc(values), DRR_F64)  ! keeps its model
  call sampler%close()
  call sampler%query(c_loc(xyz), n, c_loc(values), DRR_F64, status=status)
  call check(status == DRR_ERROR_INVALID_ARGUMENT, 'closed')
  call pictures()

contains

  ! A radiance field.
  subroutine pictures()
    integer, parameter :: width = 15, height = 11, pixels = width*height
    type(drr_camera) :: camera
    type(drr_render_options) :: options
    real(real32), target :: rgba(4, width, height), depth(width, height), scene(width, height)
    real(real32) :: expected(4, width, height), depths(width, height)
    real(real64), target :: origins(3, pixels), colours(4, pixels)
    real(real64) :: wanted(4, pixels)
    real(real32) :: single_row(4, pixels)
    call model%open(trim(path)//'.radiance')
    call there%create(model, 0)
    call cpu%create(model, [0.5d0])
    call sampler%create(there, [0.5d0])
    camera%to_world = reshape([1d0, 0d0, 0d0, 0d0, 0d0, 1d0, 0d0, -1d0, 0d0, 0d0, -4d0, 0d0], &
        [3, 4])
    camera%focal = 20
    camera%centre = [width, height]/2d0
    rgba = 7
    call sampler%render(camera, width, height, c_loc(rgba), c_loc(depth))
    call cpu%render(camera, expected, depths)
    call check(all(abs(rgba - expected) < 1e-3), 'a picture')
    call check(all(depth >= depths .or. abs(depth - depths) < 1e-3), 'depths')
    call check(rgba(4, 8, 6) > 0.5, 'something seen')
    scene = 3.9
    options%output = DRR_RADIANCE_OPAQUE
    options%background = 0.5d0
    call sampler%render(camera, width, height, c_loc(rgba), options=options, &
        scene_depth=c_loc(scene), stream=c_null_ptr)
    call cpu%render(camera, expected, options=options, scene_depth=scene)
    call check(all(abs(rgba - expected) < 1e-3), 'a picture among other things')
    call random_number(origins)
    call sampler%render_rays(c_loc(origins), c_loc(origins), int(pixels, int64), DRR_F64, &
        c_loc(rgba))
    call cpu%render_rays(origins, origins, rgba=single_row)
    call check(all(abs(reshape(rgba, [4, pixels]) - single_row) < 1e-3), 'rays')
    call sampler%radiance(c_loc(origins), c_loc(origins), int(pixels, int64), c_loc(colours), &
        DRR_F64)
    call cpu%radiance(origins, origins, wanted)
    call close_to(colours, wanted, 'colours')
    call sampler%render(camera, -1, height, c_loc(rgba), status=status, message=message)
    call check(status == DRR_ERROR_INVALID_ARGUMENT .and. index(message, 'width') == 1, 'width')
    call sampler%render(camera, width, height, c_null_ptr, status=status)
    call check(status == DRR_ERROR_INVALID_ARGUMENT, 'no room')
  end subroutine

  subroutine lattices()
    integer, parameter :: extent(3) = [5, 4, 3]
    real(real64), parameter :: origin(3) = [0.1d0, 0.2d0, 0.1d0], spacing(3) = [0.2d0, 0.1d0, 0.2d0]
    real(real64), target :: volume(2, 5, 4, 3), slopes(3, 2, 5, 4, 3)
    real(real64) :: wanted(2, 5, 4, 3), wanted_slopes(3, 2, 5, 4, 3)
    call cpu%query_lattice(origin, spacing, wanted)
    volume = 0
    call sampler%query_lattice(origin, spacing, extent, c_loc(volume), DRR_F64)
    call close_to(reshape(volume, [2, 60]), reshape(wanted, [2, 60]), 'lattice')
    volume = 0
    call sampler%query_lattice_host(origin, spacing, extent, c_loc(volume), DRR_F64)
    call close_to(reshape(volume, [2, 60]), reshape(wanted, [2, 60]), 'lattice of the host')
    call cpu%query_lattice_gradient(origin, spacing, wanted, wanted_slopes)
    call sampler%query_lattice_gradient(origin, spacing, extent, c_null_ptr, c_loc(slopes), &
        c_null_ptr, DRR_F64)
    call close_to(reshape(slopes, [2, 180]), reshape(wanted_slopes, [2, 180]), 'slopes')
  end subroutine

  subroutine close_to(found, wanted, what)
    real(real64), intent(in) :: found(:, :), wanted(:, :)
    character(len=*), intent(in) :: what
    call check(all(abs(found - wanted) <= 1d-4*(1 + abs(wanted))), what)
  end subroutine

  subroutine check(is_right, what)
    logical, intent(in) :: is_right
    character(len=*), intent(in) :: what
    if (is_right) return
    write (error_unit, '(2a)') 'wrong: ', what
    error stop 1
  end subroutine
end program
