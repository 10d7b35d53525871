! What is in a baked file, and what does it say? A tutorial of the Fortran interface.
!
! usage: query MODEL
!
!     gfortran -o query bindings/fortran/drr.f90 examples/fortran/query.f90 -Ltarget/release -ldrr
!
! Asks at the middle of all ranges: one point, then a lattice over the whole domain.
program query
  use, intrinsic :: iso_fortran_env, only: real32, real64
  use drr
  implicit none

  character(len=1000) :: path
  type(drr_model) :: model
  type(drr_sampler) :: sampler
  type(drr_range) :: range
  real(real64), allocatable :: point(:, :), parameters(:), values(:, :), origin(:), spacing(:)
  real(real32), allocatable :: volume(:, :, :, :)
  integer :: k, extent(3)

  if (command_argument_count() /= 1) then
    print '(a)', 'usage: query MODEL'
    stop
  end if
  call get_command_argument(1, path)

  ! A failure stops the program with its reason; `status=` and `message=` would give both to us.
  call model%open(path)
  print '(a, f0.3, 3a)', 'a model of ', real(model%file_bytes())/1e6, &
      ' MB, evaluated by the ', model%kernel(), ' kernel'

  allocate (point(model%dims(), 1), origin(model%dims()), spacing(model%dims()))
  extent = 1
  do k = 1, model%dims()
    call model%get_axis(k, range)
    call print_range('axis', range)
    point(k, 1) = (range%min + range%max)/2
    extent(k) = 16
    origin(k) = range%min
    spacing(k) = (range%max - range%min)/(extent(k) - 1)
  end do
  allocate (parameters(model%parameters()))
  do k = 1, model%parameters()
    call model%get_parameter(k, range)
    call print_range('parameter', range)
    parameters(k) = (range%min + range%max)/2
  end do
  do k = 1, model%outputs()
    call model%get_value(k, range)
    call print_range('value', range)
  end do

  ! This is all that a simulation code has to do: bind the model to parameters, ask.
  call sampler%create(model, parameters)
  allocate (values(model%outputs(), 1))
  call sampler%query(point, values)
  print '(a, g0)', 'in the centre: ', values(1, 1)

  allocate (volume(model%outputs(), extent(1), extent(2), extent(3)))
  call sampler%query_lattice(origin, spacing, volume)
  print '(a, i0, a, g0)', 'mean over a lattice of ', product(extent), ' points: ', &
      sum(volume(1, :, :, :))/product(extent)

contains

  subroutine print_range(kind, range)
    character(len=*), intent(in) :: kind
    type(drr_range), intent(in) :: range
    character(len=9) :: padded
    padded = kind
    print '(4a, g0.6, a, g0.6, 2a)', '  ', padded, ' ', range%name//'  ', range%min, ' to ', &
        range%max, ' ', range%unit
  end subroutine
end program
