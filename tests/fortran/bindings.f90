! The Fortran wrapper says what the C interface says, in every layout; every mistake is an error.
!
! usage: bindings MODEL [components | stop]
! `components`: also pass components of an array of records, which gfortran copies.
! `stop`: fail without asking for the status, which ends the program.
module expected_values
  use, intrinsic :: iso_c_binding
  use drr_c
  implicit none

  integer, parameter :: n = 101, dims = 3, outputs = 2

  ! Numbers that 32 and 64 bits hold alike, and what the C interface says there.
  real(c_double) :: xyz(dims, n), values(outputs, n)
  real(c_double) :: by_position(dims, outputs, n), by_parameters(2, outputs, n)

  interface
    integer(c_int32_t) function query_gradient(sampler, count, points, values, by_position, &
        by_parameters) bind(c, name='drr_sampler_query_gradient_f64')
      import :: c_double, c_int32_t, c_int64_t, c_ptr
      type(c_ptr), value :: sampler
      integer(c_int64_t), value :: count
      real(c_double), intent(in) :: points(*)
      real(c_double), intent(out) :: values(*), by_position(*), by_parameters(*)
    end function

    integer(c_int32_t) function query_own(model, count, points, parameters, values) &
        bind(c, name='drr_model_query_f64')
      import :: c_double, c_int32_t, c_int64_t, c_ptr
      type(c_ptr), value :: model
      integer(c_int64_t), value :: count
      real(c_double), intent(in) :: points(*), parameters(*)
      real(c_double), intent(out) :: values(*)
    end function
  end interface

contains

  subroutine check(condition, what)
    logical, intent(in) :: condition
    character(len=*), intent(in) :: what
    if (condition) return
    print '(2a)', 'failed: ', what
    error stop 3
  end subroutine

  ! Structs state their sizes, which are written by hand.
  subroutine check_sizes()
    type(c_open_options) :: open_options
    type(c_model_info) :: model_info
    type(c_range_info) :: range_info
    type(c_sampler_options) :: sampler_options
    type(c_points) :: points
    type(c_values) :: to
    type(c_lattice) :: lattice
    type(c_gradients) :: gradients
    type(c_parameters) :: parameters
    type(c_camera) :: camera
    type(c_radiance_options) :: radiance_options
    call check(c_sizeof(camera) == camera%struct_size, 'size of c_camera')
    call check(c_sizeof(radiance_options) == radiance_options%struct_size, &
        'size of c_radiance_options')
    call check(c_sizeof(open_options) == open_options%struct_size, 'size of c_open_options')
    call check(c_sizeof(model_info) == model_info%struct_size, 'size of c_model_info')
    call check(c_sizeof(range_info) == range_info%struct_size, 'size of c_range_info')
    call check(c_sizeof(sampler_options) == sampler_options%struct_size, &
        'size of c_sampler_options')
    call check(c_sizeof(points) == points%struct_size, 'size of c_points')
    call check(c_sizeof(to) == to%struct_size, 'size of c_values')
    call check(c_sizeof(lattice) == lattice%struct_size, 'size of c_lattice')
    call check(c_sizeof(gradients) == gradients%struct_size, 'size of c_gradients')
    call check(c_sizeof(parameters) == parameters%struct_size, 'size of c_parameters')
  end subroutine

  subroutine ask_c(path)
    character(len=*), intent(in) :: path
    type(c_open_options) :: opening
    type(c_sampler_options) :: answering
    type(c_ptr) :: model, sampler
    integer :: i, k
    do i = 1, n
      do k = 1, dims
        xyz(k, i) = mod((i - 1)*37 + k*61 + i*k*5, 256)/256d0
      end do
    end do
    call check(c_model_open(path//c_null_char, opening, model) == 0, 'C opens')
    call check(c_sampler_create(model, [0.25d0, 0.75d0], 2_c_int64_t, answering, sampler) == 0, &
        'C creates')
    call check(query_gradient(sampler, int(n, c_int64_t), xyz, values, by_position, &
        by_parameters) == 0, 'C answers')
    call check(values(1, 1) /= values(1, 2), 'values differ')
    call c_sampler_free(sampler)
    call c_model_close(model)
  end subroutine

  ! Each point with parameters of its own.
  subroutine ask_c_own(path, parameters, own)
    character(len=*), intent(in) :: path
    real(c_double), intent(in) :: parameters(:, :)
    real(c_double), intent(out) :: own(:, :)
    type(c_open_options) :: opening
    type(c_ptr) :: model
    call check(c_model_open(path//c_null_char, opening, model) == 0, 'C opens')
    call check(query_own(model, int(n, c_int64_t), xyz, parameters, own) == 0, 'C answers')
    call c_model_close(model)
  end subroutine
end module

program bindings
  use, intrinsic :: iso_fortran_env, only: real32, real64
  use, intrinsic :: ieee_arithmetic, only: ieee_is_nan
  use drr
  use expected_values, only: n, dims, outputs, check, check_sizes, ask_c, ask_c_own, xyz, &
      values, by_position, by_parameters
  implicit none

  character(len=1000) :: path, wish
  type(drr_model) :: model
  type(drr_sampler) :: sampler

  call get_command_argument(1, path)
  call get_command_argument(2, wish)
  if (wish == 'stop') call model%open('no-such-file')
  call check_sizes()
  call ask_c(trim(path))
  call model%open(path)
  call sampler%create(model, [0.25d0, 0.75d0])
  call descriptions()
  call arrays_without_gaps()
  call arrays_with_gaps()
  if (wish == 'components') call components()
  call vectors()
  call few_points()
  call gradients()
  call lattices()
  call many_parameters()
  call options()
  call mistakes()
  call closed_and_copied()
  call held_by_others()
  call fewer_dimensions(trim(path)//'.plane')
  call radiance_fields(trim(path)//'.radiance')
  ! Variables of a program are not finalised.
  call sampler%close()
  call model%close()

contains

  subroutine invalid(status, message, what)
    integer, intent(in) :: status
    character(len=*), intent(in) :: message, what
    call check(status == DRR_ERROR_INVALID_ARGUMENT .and. message /= '', what)
  end subroutine

  subroutine descriptions()
    type(drr_range) :: range
    integer :: status
    character(len=256) :: message
    call check(model%dims() == dims .and. model%parameters() == 2 .and. &
        model%outputs() == outputs, 'counts')
    call check(model%file_bytes() > 0 .and. model%memory_bytes() >= model%file_bytes(), 'sizes')
    call check(len(model%kernel()) > 0, 'kernel')
    call check(index(model%description(), '{') == 1, 'description')
    call model%get_axis(2, range)
    call check(range%name == 'y' .and. range%min == 0 .and. range%max == 1, 'axis')
    call model%get_parameter(2, range)
    call check(range%name == 'q' .and. len(range%unit) == 0, 'parameter')
    call model%get_value(2, range, status, message)
    call check(range%transform == DRR_TRANSFORM_LOG, 'transform')
    call check(range%unit == 'K' .and. status == DRR_OK .and. message == '', 'value')
    call model%get_axis(4, range, status, message)
    call invalid(status, message, 'axis 4')
    call check(message == 'axis 4 asked for, the model has 3', message)
    call model%get_axis(0, range, status, message)
    call invalid(status, message, 'axis 0')
    call model%get_value(3, range, status, message)
    call invalid(status, message, 'value 3')
    call check(drr_status_name(DRR_ERROR_IO) == 'DRR_ERROR_IO', 'name of a status')
    call check(index(drr_version(), '.') > 1, 'version')
  end subroutine

  subroutine arrays_without_gaps()
    real(real64) :: found(outputs, n)
    real(real32) :: found32(outputs, n), xyz32(dims, n), x(n), y(n), z(n)
    call sampler%query(xyz, found)
    call check(all(found == values), 'xyz(3, n)')
    xyz32 = real(xyz, real32)
    call sampler%query(xyz32, found32)
    call check(all(found32 == real(values, real32)), 'xyz(3, n) in 32 bits')
    x = xyz32(1, :)
    y = xyz32(2, :)
    z = xyz32(3, :)
    found32 = 0
    call sampler%query(x, y, z, found32)
    call check(all(found32 == real(values, real32)), 'x, y, z')
  end subroutine

  subroutine arrays_with_gaps()
    real(real64) :: sparse(2*dims, 2*n), found(2*outputs, 3*n)
    sparse = -7
    sparse(::2, n + 1:) = xyz
    found = -7
    call sampler%query(sparse(1::2, n + 1:2*n), found(4:2:-2, ::3))
    call check(all(found(4, ::3) == values(1, :)), 'sections')
    call check(all(found(2, ::3) == values(2, :)), 'sections, the second value')
    call check(all(found(::2, :) == -7) .and. all(found(:, 2::3) == -7), 'what is between')

    call sampler%query(xyz(:, n:1:-1), found(:2, :n))
    call check(all(found(:2, n:1:-1) == values), 'backwards')
    call sampler%query(sparse(1, n + 1:), sparse(3, n + 1:), sparse(5, n + 1:), found(2:3, :n))
    call check(all(found(2:3, :n) == values), 'rows')
  end subroutine

  subroutine components()
    type particle
      real(real64) :: x, y, z
      real(real32) :: charge
    end type
    type(particle) :: particles(n)
    real(real64) :: found(outputs, n)
    particles%x = xyz(1, :)
    particles%y = xyz(2, :)
    particles%z = xyz(3, :)
    call sampler%query(particles%x, particles%y, particles%z, found)
    call check(all(found == values), 'components')
  end subroutine

  ! One array per value; the second model has one value, so that it has no vector.
  subroutine vectors()
    real(real64) :: u(n), v(n), wide(2, n)
    real(real32) :: xyz32(dims, n), u32(n), v32(n)
    integer :: status
    character(len=256) :: message
    call sampler%query_components(xyz, u, v)
    call check(all(u == values(1, :)) .and. all(v == values(2, :)), 'u and v')
    u = 0
    call sampler%query_components(xyz(1, :), xyz(2, :), xyz(3, :), wide(2, :), wide(1, n:1:-1), &
        status=status, message=message)
    call invalid(status, message, 'u and v with different strides')
    call sampler%query_components(xyz(1, :), xyz(2, :), xyz(3, :), wide(2, :), wide(1, :))
    call check(all(wide(2, :) == values(1, :)) .and. all(wide(1, :) == values(2, :)), 'sections')
    xyz32 = real(xyz, real32)
    call sampler%query_components(xyz32, u32, v32)
    call check(all(v32 == real(values(2, :), real32)), 'u and v in 32 bits')
    call sampler%query_components(xyz, u, v, wide(1, :), status, message)
    call invalid(status, message, 'three components of two')
    call sampler%query_components(xyz, u, v(:n - 1), status=status, message=message)
    call invalid(status, message, 'too short an array')
  end subroutine

  subroutine few_points()
    real(real64) :: found(outputs, 1), none(dims, 0), nowhere(outputs, 0), x(0)
    call sampler%query(xyz(:, 5:5), found)
    call check(all(found(:, 1) == values(:, 5)), 'one point')
    found = 0
    call sampler%query(xyz(1, 5:5), xyz(2, 5:5), xyz(3, 5:5), found)
    call check(all(found(:, 1) == values(:, 5)), 'one point of separate arrays')
    found = 0
    call sampler%query(xyz(:, 5:5), found(2:1:-1, :))
    call check(found(2, 1) == values(1, 5) .and. found(1, 1) == values(2, 5), 'one point, turned')
    call sampler%query(none, nowhere)
    call sampler%query(xyz(:, 3:2), nowhere)
    call sampler%query(x, x, x, nowhere)
  end subroutine

  subroutine gradients()
    real(real64) :: found(outputs, n), position(dims, outputs, n)
    real(real64) :: wide(2, 2*outputs, n)
    real(real32) :: xyz32(dims, n), parameters32(2, outputs, n)
    integer :: status
    character(len=256) :: message
    call sampler%query_gradient(xyz, found, position, wide(:, ::2, :))
    call check(all(found == values), 'values of gradients')
    call check(all(position == by_position), 'by position')
    call check(all(wide(:, ::2, :) == by_parameters), 'by parameters')
    position = 0
    call sampler%query_gradient(xyz(1, :), xyz(2, :), xyz(3, :), by_position=position)
    call check(all(position == by_position), 'by position only')
    xyz32 = real(xyz, real32)
    call sampler%query_gradient(xyz32, by_parameters=parameters32)
    call check(all(parameters32 == real(by_parameters, real32)), 'by parameters in 32 bits')
    call sampler%query_gradient(xyz, by_position=position(:2, :, :), status=status, message=message)
    call invalid(status, message, 'too few derivatives')
    call sampler%query_gradient(xyz, by_parameters=wide, status=status, message=message)
    call invalid(status, message, 'derivatives of too many values')
  end subroutine

  subroutine lattices()
    real(real64), parameter :: origin(3) = [0.1d0, 0.2d0, 0.3d0]
    real(real64), parameter :: spacing(3) = [0.05d0, 0.1d0, 0.2d0]
    real(real64) :: points(dims, 30), expected(outputs, 30), found(outputs, 5, 3, 2)
    real(real64) :: wide(2*outputs, 5, 3, 2), ghosts(outputs, 7, 5, 4)
    real(real64) :: position(dims, outputs, 30), wide_by(dims, outputs, 5, 3, 3)
    real(real64) :: parameter(2, outputs, 30), by(2, outputs, 5, 3, 2)
    real(real32) :: plane(outputs, 1, 3, 2)
    integer :: i, j, k, p, status
    character(len=256) :: message
    p = 0
    do k = 1, 2
      do j = 1, 3
        do i = 1, 5
          p = p + 1
          points(:, p) = origin + [i - 1, j - 1, k - 1]*spacing
        end do
      end do
    end do
    call sampler%query(points, expected)
    call sampler%query_lattice(origin, spacing, found)
    call check(close_to(reshape(found, [outputs, 30]), expected), 'lattice')
    call sampler%query_lattice(origin, spacing, wide(::2, :, :, :))
    call check(all(wide(::2, :, :, :) == found), 'lattice in a section')
    call sampler%query_lattice(origin, spacing, plane)
    call check(all(abs(plane(:, 1, :, :) - found(:, 1, :, :)) < 1e-5), 'plane')
    ghosts = -7
    call sampler%query_lattice(origin, spacing, ghosts(:, 2:6, 4:2:-1, 2:3))
    call check(all(ghosts(:, 2:6, 4:2:-1, 2:3) == found), 'lattice among ghost cells')
    call check(count(ghosts == -7) == size(ghosts) - size(found), 'ghost cells')
    call sampler%query_gradient(points, expected, position)
    call sampler%query_lattice_gradient(origin, spacing, found, wide_by(:, :, :, :, 3:1:-2), by)
    call check(all(reshape(found, [outputs, 30]) == expected), 'values of lattice gradients')
    call check(all(reshape(wide_by(:, :, :, :, 3:1:-2), shape(position)) == position), &
        'lattice gradients')
    call sampler%query_gradient(points, by_parameters=parameter)
    call check(all(reshape(by, shape(parameter)) == parameter), 'lattice gradients by parameters')
    call sampler%query_lattice_gradient(origin, spacing, found, by(:, :, :, :, :), &
        status=status, message=message)
    call invalid(status, message, 'lattice gradients of too few components')
    call sampler%query_lattice_gradient(origin, spacing, found, wide_by, status=status, &
        message=message)
    call invalid(status, message, 'gradients of another lattice')
    call sampler%query_lattice(origin(:2), spacing, found, status, message)
    call invalid(status, message, 'lattice of two axes')
    call sampler%query_lattice(origin, spacing, found(1, :, :, :), status, message)
    call invalid(status, message, 'lattice of one value')
  end subroutine

  pure logical function close_to(found, expected)
    real(real64), intent(in) :: found(:, :), expected(:, :)
    close_to = all(abs(found - expected) <= 1d-5*(1 + abs(expected)))
  end function

  subroutine many_parameters()
    integer, parameter :: sets = 5
    real(real64) :: rows(2, n), own(outputs, n), found(outputs, n), all_sets(outputs, n, sets)
    real(real64) :: wide(3, n), apart(outputs, sets, n)
    real(real32) :: rows32(2, n), xyz32(dims, n), found32(outputs, n)
    type(drr_sampler) :: each
    integer :: i, status
    character(len=256) :: message
    do i = 1, n
      rows(:, i) = [mod(i*29, 64)/64d0, mod(i*43, 32)/32d0]
    end do
    call ask_c_own(trim(path), rows, own)
    call model%query(rows, xyz, found)
    call check(all(found == own), 'parameters of their own')
    wide(2:, :) = rows
    found = 0
    call model%query(wide(2:3, :), xyz, found)
    call check(all(found == own), 'parameters of their own in a section')
    rows32 = real(rows, real32)
    xyz32 = real(xyz, real32)
    call model%query(rows32, xyz32, found32)
    call check(all(found32 == real(own, real32)), 'parameters of their own in 32 bits')
    call model%query(rows(:, 2:), xyz, found, status=status, message=message)
    call invalid(status, message, 'too few rows')
    call model%query(wide, xyz, found, status=status, message=message)
    call invalid(status, message, 'too many parameters')

    call model%query_sets(rows(:, :sets), xyz, all_sets)
    do i = 1, sets
      call each%create(model, rows(:, i))
      call each%query(xyz, found)
      call check(all(all_sets(:, :, i) == found), 'sets')
    end do
    call model%query_sets(rows(:, :sets), xyz, all_sets(:, :, sets:1:-1))
    call check(all(all_sets(:, :, 1) == found), 'sets backwards')
    call model%query_sets(rows(:, :sets), xyz, apart, status=status, message=message)
    call invalid(status, message, 'sets before points')
    call model%query_sets(rows(:, :sets), xyz, all_sets(:, :, 2:), status=status, message=message)
    call invalid(status, message, 'too few results of sets')
  end subroutine

  subroutine options()
    type(drr_model) :: other
    type(drr_sampler) :: strict
    real(real64) :: found(outputs, 1), middle(dims, 1), outside(dims, 1)
    integer :: status
    character(len=256) :: message
    call other%open(path, storage=DRR_STORAGE_COPIED, checksums=DRR_CHECKSUMS_SKIP, threads=2)
    call strict%create(other, [0.25d0, 0.75d0], outside=DRR_OUTSIDE_ERROR)
    outside(:, 1) = [0.5d0, 2d0, 0.5d0]
    found = 7
    call strict%query(outside, found, status, message)
    call check(status == DRR_ERROR_OUTSIDE_DOMAIN .and. message /= '', 'outside')
    call check(all(found == 7), 'nothing is written')
    call strict%create(other, [0.25d0, 1.75d0], outside_parameters=DRR_OUTSIDE_ERROR, &
        status=status)
    call check(status == DRR_ERROR_OUTSIDE_DOMAIN .and. .not. strict%is_open(), &
        'parameters outside')
    middle = 0
    call strict%create(other, [0.25d0, 0.75d0], units=DRR_UNITS_NORMALIZED)
    call strict%query(middle, found)
    call check(abs(found(1, 1)) <= 1, 'normalised')
    call model%query(reshape([0.25d0, 1.75d0], [2, 1]), middle, found, &
        outside_parameters=DRR_OUTSIDE_NAN)
    call check(ieee_is_nan(found(1, 1)), 'NaN')
    call other%open(path, threads=1025, status=status, message=message)
    call invalid(status, message, 'too many threads')
    call check(.not. other%is_open(), 'empty after a failure')
  end subroutine

  subroutine mistakes()
    type(drr_model) :: other
    type(drr_sampler) :: none
    real(real64) :: found(outputs, n), x(n)
    integer :: status
    character(len=256) :: message
    x = 0.5d0
    call other%open('no-such-file', status=status, message=message)
    call check(status == DRR_ERROR_IO .and. index(message, 'no-such-file') > 0, 'missing file')
    call check(drr_last_os_error() == 2, 'ENOENT')
    call none%create(model, [0.5d0], status=status, message=message)
    call invalid(status, message, 'too few parameters')
    call none%create(model, [0.5d0, 0.5d0, 0.5d0], status=status, message=message)
    call invalid(status, message, 'too many parameters')
    call sampler%query(xyz(:2, :), found, status, message)
    call invalid(status, message, 'two coordinates')
    call sampler%query(x, x, found, status, message)
    call invalid(status, message, 'two arrays of coordinates')
    call sampler%query(x, x(2:), x, found, status, message)
    call invalid(status, message, 'arrays of different sizes')
    call sampler%query(x, x, x(2:), found, status, message)
    call invalid(status, message, 'a third array of another size')
    call sampler%query(xyz, found(:, 2:), status, message)
    call invalid(status, message, 'too few results')
    call check(message == 'n in values is 100, expected 101', message)
    call sampler%query(xyz, x, status, message)
    call invalid(status, message, 'one value of two')
  end subroutine

  ! A simulation's own type that holds objects, and is copied.
  subroutine held_by_others()
    type simulation
      type(drr_model) :: model
      type(drr_sampler), allocatable :: samplers(:)
    end type
    type(simulation) :: original, copy
    real(real64) :: found(outputs, n)
    integer :: i
    call original%model%open(path)
    allocate (original%samplers(3))
    do i = 1, 3
      call original%samplers(i)%create(original%model, [0.25d0, 0.25d0*i])
    end do
    copy = original
    call copy%samplers(3)%query(xyz, found)
    call check(all(found == values), 'a copy in a copy')
    call copy%model%close()
    deallocate (copy%samplers)
    call original%samplers(3)%query(xyz, found)
    call check(all(found == values) .and. original%model%is_open(), 'the original')
  end subroutine

  ! A model of two axes, one parameter and one value.
  subroutine fewer_dimensions(path)
    character(len=*), intent(in) :: path
    type(drr_model) :: plane
    type(drr_sampler) :: one
    real(real64) :: points(2, 4), expected(1, 4), found(4), wide(3, 8), rows(1, 4)
    real(real64) :: volume(2, 2, 1)
    real(real32) :: x(4), y(4), found32(4)
    integer :: status
    character(len=256) :: message
    call plane%open(path)
    call one%create(plane, [0.25d0])
    points = reshape([0.5d0, 0.25d0, 0.75d0, 0.25d0, 0.5d0, 0.5d0, 0.75d0, 0.5d0], [2, 4])
    call one%query(points, expected)
    call check(expected(1, 1) /= expected(1, 2) .and. expected(1, 2) /= expected(1, 3), 'a plane')
    call one%query(points, found)
    call check(all(found == expected(1, :)), 'values(n)')
    call one%query(points, wide(2, 7:1:-2))
    call check(all(wide(2, 7:1:-2) == expected(1, :)), 'values(n) in a section')
    x = real(points(1, :), real32)
    y = real(points(2, :), real32)
    call one%query(x, y, found32)
    call check(all(found32 == real(expected(1, :), real32)), 'x, y')
    call one%query(x, y, y, found32, status, message)
    call invalid(status, message, 'three arrays of coordinates')
    rows = 0.25d0
    found = 0
    call plane%query(rows, points, found)
    call check(all(abs(found - expected(1, :)) < 1d-5), 'parameters of their own')
    call one%query_lattice([0.5d0, 0.25d0], [0.25d0, 0.25d0], volume)
    call check(all(abs(reshape(volume, [4]) - expected(1, :)) < 1d-5), 'lattice of two axes')
  end subroutine

  ! A radiance field in a box from -1 to 1.
  subroutine radiance_fields(path)
    character(len=*), intent(in) :: path
    integer, parameter :: width = 9, height = 7, pixels = width*height
    type(drr_model) :: field
    type(drr_sampler) :: one
    type(drr_camera) :: camera
    type(drr_render_options) :: options
    real(real32) :: rgba(4, width, height), depth(width, height), scene(width, height)
    real(real32) :: rays_rgba(4, pixels), rays_depth(pixels)
    real(real64) :: origins(3, pixels), directions(3, pixels), values(4, 2)
    integer :: status, i
    character(len=256) :: message
    call field%open(path)
    call check(field%is_radiance() .and. .not. model%is_radiance(), 'a radiance field')
    call one%create(field, [0.5d0])
    ! From (0, -4, 0), along y: right, up, backward, position.
    camera%to_world = reshape([1d0, 0d0, 0d0, 0d0, 0d0, 1d0, 0d0, -1d0, 0d0, 0d0, -4d0, 0d0], [3, 4])
    camera%focal = 12
    camera%centre = [4.5d0, 3.5d0]
    call one%render(camera, rgba, depth)
    call check(rgba(4, 5, 4) > 0.9 .and. rgba(4, 1, 1) <= 0, 'seen in the middle')
    call check(depth(5, 4) > 3 .and. depth(5, 4) < 5, 'depth')
    do i = 1, pixels
      origins(:, i) = [0d0, -4d0, 0d0]
      directions(:, i) = [(mod(i - 1, width) - 4)/12d0, 1d0, -((i - 1)/width - 3)/12d0]
    end do
    call one%render_rays(origins, directions, rays_rgba, rays_depth)
    call check(all(reshape(rays_rgba, shape(rgba)) == rgba), 'rays')
    call check(all(reshape(rays_depth, shape(depth)) == depth), 'depths of rays')
    options%output = DRR_RADIANCE_OPAQUE
    options%depth = DRR_DEPTH_ALONG_AXIS
    options%background = [0.25d0, 0.5d0, 1d0]
    scene = 2.5
    call one%render(camera, rgba, depth, options, scene)
    call check(all(rgba(1, :, :) == 0.25) .and. all(abs(depth - 2.5) < 1e-6), 'a wall before it')
    values = 0
    call one%radiance(reshape([0d0, 0d0, 0d0, 2d0, 0d0, 0d0], [3, 2]), &
        reshape([0d0, 0d0, -1d0, 0d0, 0d0, -1d0], [3, 2]), values)
    call check(values(1, 1) > 1 .and. values(2, 1) > 0 .and. values(1, 2) <= 0, 'density, colour')
    call one%render(camera, rgba, depth(:, :3), status=status, message=message)
    call invalid(status, message, 'too few depths')
    call one%render_rays(origins, directions(:, :4), rays_rgba, status=status, message=message)
    call invalid(status, message, 'too few directions')
    camera%focal = 0
    call one%render(camera, rgba, status=status, message=message)
    call invalid(status, message, 'no focal length')
  end subroutine

  subroutine closed_and_copied()
    type(drr_model) :: first, copy, never
    type(drr_sampler) :: one, two
    real(real64) :: found(outputs, n), volume(outputs, 1, 1, 1)
    integer :: status
    character(len=256) :: message
    call one%create(never, [0.25d0, 0.75d0], status=status, message=message)
    call invalid(status, message, 'a sampler of no model')
    call one%query(xyz, found, status, message)
    call invalid(status, message, 'no sampler')
    call model%query(xyz(:2, :), xyz, found)
    call never%query(xyz(:2, :), xyz, found, status=status, message=message)
    call invalid(status, message, 'no model')
    call check(never%dims() == 0 .and. never%file_bytes() == 0, 'nothing is known of no model')
    call check(never%kernel() == '', 'no model has no kernel')

    call first%open(path)
    copy = first
    call two%create(copy, [0.25d0, 0.75d0])
    call copy%close()
    call check(first%is_open() .and. .not. copy%is_open(), 'copies do not close')
    call two%create(first, [0.25d0, 0.75d0])
    call first%close()
    call first%close()
    call check(.not. first%is_open() .and. first%dims() == 0, 'closed')
    one = two
    call one%query(xyz, found)
    call check(all(found == values), 'a copy answers')
    call one%close()
    call one%query_lattice([0d0, 0d0, 0d0], [0d0, 0d0, 0d0], volume, status, message)
    call invalid(status, message, 'closed')
    call one%query_gradient(xyz, found, status=status, message=message)
    call invalid(status, message, 'closed')
    call two%query(xyz, found)
    call check(all(found == values), 'a sampler outlives its model')
  end subroutine
end program
