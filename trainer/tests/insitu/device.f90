! The Fortran module hands over memory of a GPU, which is that of tests/cuda/driver.cpp.
program device
  use, intrinsic :: iso_c_binding
  use drr_train
  implicit none

  ! What of the driver is opened by its name.
  interface
    function dlopen(name, flags) bind(c) result(answer)
      import :: c_char, c_int, c_ptr
      character(kind=c_char), intent(in) :: name(*)
      integer(c_int), value :: flags
      type(c_ptr) :: answer
    end function
    function dlsym(library, name) bind(c) result(answer)
      import :: c_char, c_funptr, c_ptr
      type(c_ptr), value :: library
      character(kind=c_char), intent(in) :: name(*)
      type(c_funptr) :: answer
    end function
  end interface
  abstract interface
    subroutine enter_context(context) bind(c)
      import :: c_ptr
      type(c_ptr), value :: context
    end subroutine
    integer(c_int) function allocate_there(address, bytes) bind(c)
      import :: c_int, c_ptr, c_size_t
      type(c_ptr), intent(out) :: address
      integer(c_size_t), value :: bytes
    end function
    integer(c_int) function upload_there(address, from, bytes) bind(c)
      import :: c_int, c_ptr, c_size_t
      type(c_ptr), value :: address, from
      integer(c_size_t), value :: bytes
    end function
  end interface

  integer, parameter :: nx = 8, ny = 6
  real(c_double), target :: field(0:nx + 1, 0:ny + 1)
  integer(c_int), target :: context = 0
  procedure(enter_context), pointer :: enter
  procedure(allocate_there), pointer :: allocate_it
  procedure(upload_there), pointer :: upload
  type(c_ptr) :: driver, there
  integer(c_size_t) :: bytes
  real(c_double) :: losses(2)
  integer :: i, j, status
  character(len=256) :: message

  driver = dlopen('libcuda.so'//c_null_char, 2_c_int)
  call check(c_associated(driver))
  call c_f_procpointer(dlsym(driver, 'fake_cuda_enter'//c_null_char), enter)
  call c_f_procpointer(dlsym(driver, 'cuMemAlloc_v2'//c_null_char), allocate_it)
  call c_f_procpointer(dlsym(driver, 'cuMemcpyHtoD_v2'//c_null_char), upload)
  call enter(c_loc(context))
  do j = 0, ny + 1
    do i = 0, nx + 1
      field(i, j) = sin(0.5d0*i) + 0.1d0*j
    end do
  end do
  bytes = 8*size(field)
  call check(allocate_it(there, bytes) == 0)
  call check(upload(there, c_loc(field), bytes) == 0)
  call train(losses(1), .false.)
  call train(losses(2), .true.)
  call check(losses(1) == losses(2))

contains

  ! From the host, or from there, without the ghosts.
  subroutine train(loss, is_there)
    real(c_double), intent(out) :: loss
    logical, intent(in) :: is_there
    type(drr_train_session) :: session
    type(drr_train_info) :: info
    logical :: complete
    integer(c_int64_t), parameter :: stride(2) = [8, 8*(nx + 2)]
    call session%create(model_text(), [nx, ny], &
      parameters=[drr_train_range('time', 's', 0d0, 2d0)], threads=1, seed=3)
    if (is_there) then
      call session%add([1d0], drr_train_device_block(at(1, 1), c_double, [nx, 2], &
        stride=stride), complete)
      call check(.not. complete)
      call session%add([1d0], drr_train_device_block(at(1, 3), c_double, [nx, ny - 2], [1, 3], &
        stride), complete)
      call check(complete)
      call session%add([1d0], drr_train_device_block(at(1, 3), c_double, stride=stride), &
        status=status, message=message)
      call check(status == DRR_TRAIN_ERROR_INVALID_ARGUMENT .and. index(message, 'allocation') > 0)
      call session%add([1d0], drr_train_device_block(at(1, 1), 16), status=status)
      call check(status == DRR_TRAIN_ERROR_INVALID_ARGUMENT)
    else
      call session%add([1d0], drr_train_block(field(1:nx, 1:ny)))
    end if
    call session%step(5)
    call session%get_info(info)
    loss = info%loss
  end subroutine

  ! The address of a number there.
  type(c_ptr) function at(i, j)
    integer, intent(in) :: i, j
    at = transfer(transfer(there, 0_c_int64_t) + 8_c_int64_t*(i + (nx + 2)*j), at)
  end function

  subroutine check(holds)
    logical, intent(in) :: holds
    if (.not. holds) error stop 'not as expected'
  end subroutine

  function model_text() result(text)
    character(len=:), allocatable :: text
    character(len=*), parameter :: n = new_line('a')
    text = 'model:'//n// &
      '  type: HDINRBase'//n// &
      '  param:'//n// &
      '    out_dim: 1'//n// &
      '    hidden_dim: 16'//n// &
      '    default_act: ReLU'//n// &
      '    decoder_kwargs: {type: FeatMLP, param: {feat_dim: 16, num_layers: 2, out_dim: 1}}'//n// &
      '    encoder_kwargs:'//n// &
      '      type: DenseFeatGrid'//n// &
      '      param: {grid_shape: [4, 4], num_feat: 8}'//n// &
      '    if_refine: false'//n// &
      '    spatial_fdim: 8'//n// &
      '    latent_kwargs:'//n// &
      '      type: MultiCondLatentLines'//n// &
      '      param: {cond_dim: 1, line_dims_list: [[5]], latent_shape: [4]}'//n// &
      'optim: {type: Adam, param: {lr: 0.01}}'//n// &
      'dataset: {type: HDFieldDataset, param: {cond_batch: 1, batch_points: 32}}'//n
  end function
end program device
