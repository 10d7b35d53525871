! A Fortran code with OpenACC whose particles live on a GPU asks a surrogate there.
!
!     nvfortran -acc drr.f90 drr_cuda.f90 openacc.f90 -ldrr -o particles
!     ./particles field.drr.safetensors
!
! Everything is queued on OpenACC's queue 1, the surrogate's work too, since its stream is given
! along. In CUDA Fortran an array with the attribute `device` has the address c_devloc(x); in OpenMP,
! c_loc(x) within `!$omp target data use_device_addr(x)`.
program particles
  use, intrinsic :: iso_c_binding
  use, intrinsic :: iso_fortran_env, only: int64, real32, real64
  use drr
  use drr_cuda
  implicit none

  interface
    function acc_get_cuda_stream(queue) bind(c) result(stream)
      import :: c_int, c_ptr
      integer(c_int), value :: queue
      type(c_ptr) :: stream
    end function
  end interface

  integer(int64), parameter :: n = 100000
  integer(c_int), parameter :: queue = 1
  type(drr_model) :: model
  type(drr_device_model) :: there
  type(drr_device_sampler) :: sampler
  type(drr_range) :: range
  real(real32), allocatable, target :: x(:, :), values(:, :)
  real(real64), allocatable :: parameters(:)
  real(real64) :: total
  character(len=4096) :: path
  integer :: k

  call get_command_argument(1, path)
  call model%open(path)
  call there%create(model, 0)
  print '(4a)', there%device(), ', kernel ', there%kernel(), ' of a surrogate'

  allocate (parameters(model%parameters()))
  do k = 1, model%parameters()
    call model%get_parameter(k, range)
    parameters(k) = (range%min + range%max)/2
  end do
  call sampler%create(there, parameters)

  allocate (x(model%dims(), n), values(model%outputs(), n))
  do k = 1, model%dims()
    call model%get_axis(k, range)
    call random_number(x(k, :))
    x(k, :) = real(range%min + (range%max - range%min)*x(k, :), real32)
  end do

  total = sum_of_values(model%dims(), model%outputs(), x, values)

  call model%get_value(1, range)
  print '(3a, g0)', 'mean of ', range%name, ': ', total/n

contains

  real(real64) function sum_of_values(dims, outputs, x, values) result(total)
    integer, intent(in) :: dims, outputs
    real(real32), intent(in), target :: x(dims, n)
    real(real32), intent(inout), target :: values(outputs, n)
    type(c_ptr) :: stream
    integer(int64) :: i

    stream = acc_get_cuda_stream(queue)
    total = 0
    !$acc data copyin(x) create(values) copy(total)
    ! Addresses of the GPU; the query is queued behind what queue 1 has to do.
    !$acc host_data use_device(x, values)
    call sampler%query(c_loc(x), n, c_loc(values), DRR_F32, stream)
    !$acc end host_data
    ! What comes next on the queue finds the values.
    !$acc parallel loop reduction(+:total) async(queue) present(values)
    do i = 1, n
      total = total + values(1, i)
    end do
    !$acc wait(queue)
    !$acc end data
  end function
end program
