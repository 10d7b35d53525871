! What a run tells, counted.
module listening
  use, intrinsic :: iso_c_binding, only: c_double, c_int64_t
  implicit none

  ! The call of `step` ends after this one.
  integer(c_int64_t) :: last = -1
  integer(c_int64_t) :: told = 0
  ! How often each block was given up.
  integer :: released(10) = 0

contains

  logical function listen(step, loss, seconds) result(ends)
    integer(c_int64_t), intent(in) :: step
    real(c_double), intent(in) :: loss, seconds
    told = told + 1
    if (step /= told .or. .not. loss > 0 .or. seconds < 0) error stop 'told something else'
    ends = step == last
  end function

  subroutine take_back(tag)
    integer, intent(in) :: tag
    released(tag) = released(tag) + 1
  end subroutine
end module listening

! The Fortran module trains in situ: sections of arrays, borrowed or copied, are the same members.
program bindings
  use, intrinsic :: iso_c_binding, only: c_double, c_float
  use drr
  use drr_train
  use listening
  implicit none

  integer, parameter :: nx = 12, ny = 10, nz = 8, times = 5
  ! With a layer of ghosts.
  real(c_double), target :: fields(0:nx + 1, 0:ny + 1, 0:nz + 1, times)
  real(c_float), target :: single(nx, ny, nz), pair(nx, ny, nz, 2)
  type(drr_train_session) :: session, other
  type(drr_train_info) :: info
  type(drr_train_quality) :: quality, part
  type(drr_model) :: model
  type(drr_sampler) :: sampler
  character(len=:), allocatable :: config
  character(len=256) :: message
  character(len=1024) :: folder
  real(c_double) :: values(1), point(3, 1)
  integer :: i, j, l, n, status, done
  logical :: complete

  call get_command_argument(1, folder)
  do n = 1, times
    do l = 0, nz + 1
      do j = 0, ny + 1
        do i = 0, nx + 1
          fields(i, j, l, n) = truth(real([i - 1, j - 1, l - 1], c_double), time_of(n))
        end do
      end do
    end do
  end do
  config = model_text('1')

  call session%create(config//'train: {stepz: 3}', [nx, ny, nz], status=status, message=message)
  call check(status == DRR_TRAIN_ERROR_INVALID_ARGUMENT .and. index(message, 'stepz') > 0)
  call start(session)
  call start(other)
  do n = 1, times
    call session%add([time_of(n)], drr_train_block(fields(1:6, 1:ny, 1:nz, n), borrow=.true.), &
      complete, take_back, 2 * n - 1)
    call check(.not. complete)
    call session%add([time_of(n)], &
      drr_train_block(fields(7:nx, 1:ny, 1:nz, n), [7, 1, 1], borrow=.true.), complete, &
      take_back, tag=2 * n)
    call check(complete)
    single = real(fields(1:nx, 1:ny, 1:nz, n), c_float)
    ! What is copied is not given back.
    call other%add([time_of(n)], drr_train_block(single), release=take_back, tag=1)
  end do
  ! Nor what was refused.
  call session%add([9d0], drr_train_block(fields(1:nx, 1:ny, 1:nz, 1), borrow=.true.), &
    release=take_back, tag=1, status=status)
  call check(status == DRR_TRAIN_ERROR_INVALID_ARGUMENT)
  last = 50
  call session%step(200, done=done, progress=listen)
  call check(done == 50 .and. told == 50)
  last = -1
  call session%step(150, progress=listen)
  call check(told == 200 .and. all(released == 0))
  call session%step(100, seconds=1d9, done=done)
  call check(done == 100)
  call other%step(300)
  call session%get_info(info)
  call check(info%steps == 300 .and. info%members_held == times .and. info%copied_bytes == 0)
  call session%evaluate([time_of(2)], drr_train_block(fields(1:nx, 1:ny, 1:nz, 2)), quality)
  single = real(fields(1:nx, 1:ny, 1:nz, 2), c_float)
  call other%evaluate([time_of(2)], drr_train_block(single), part)
  call check(quality%psnr > 25 .and. quality%points == nx * ny * nz)
  call check(quality%psnr == part%psnr .and. quality%max_error == part%max_error)

  call session%bake(trim(folder)//'/field.drr.safetensors', grid=DRR_TRAIN_GRID_F32)
  call model%open(trim(folder)//'/field.drr.safetensors')
  call sampler%create(model, [time_of(2)])
  point(:, 1) = [4d0 / (nx - 1), 3d0 / (ny - 1), 2d0 / (nz - 1)]
  call sampler%query(point, values)
  call check(abs(values(1) - fields(5, 4, 3, 2)) < quality%max_error * 1.001d0)

  call session%save(trim(folder)//'/run')
  call other%restore(trim(folder)//'/run')
  call other%anneal(10)
  call other%step(10)
  call other%get_info(info)
  call check(info%steps == 310 .and. info%learning_rate < 0.001d0)
  call other%forget_members()
  call other%step(1, status=status, message=message)
  call check(status == DRR_TRAIN_ERROR_NOT_READY .and. index(message, 'no member') > 0)

  ! Two values a point, each an array of its own.
  do n = 1, 2
    pair(:, :, :, n) = real(n * fields(1:nx, 1:ny, 1:nz, n), c_float)
  end do
  call other%create(model_text('2'), [nx, ny, nz], &
    parameters=[drr_train_range('time', 's', 0d0, 2d0)], &
    values=[drr_train_range('u', '', 0d0, 0d0), drr_train_range('v', '', 0d0, 0d0)], threads=1)
  call other%add([0d0], drr_train_block(pair))
  call other%step(200)
  call other%evaluate([0d0], drr_train_block(pair), quality)
  call check(quality%psnr > 20 .and. quality%points == nx * ny * nz)
  call other%evaluate([0d0], drr_train_block(pair(3:4, 2:2, 1:nz, :), [3, 2, 1]), part)
  call check(part%points == 2 * nz .and. part%max_error <= quality%max_error)
  call check(all(released == 0))
  call session%close()
  call check(all(released == 1))
  call session%step(1, progress=listen, status=status)
  call check(status == DRR_TRAIN_ERROR_INVALID_ARGUMENT .and. told == 200)

contains

  subroutine start(session)
    type(drr_train_session), intent(inout) :: session
    call session%create(config, [nx, ny, nz], &
      axes=[drr_train_range('x', 'm', 0d0, 1d0), drr_train_range('y', 'm', 0d0, 1d0), &
      drr_train_range('z', 'm', 0d0, 1d0)], &
      parameters=[drr_train_range('time', 's', 0d0, 2d0)], &
      values=[drr_train_range('temperature', 'K', 0d0, 0d0)], threads=1, seed=3, &
      keep=DRR_TRAIN_KEEP_LATEST, capacity=times, device='cpu')
  end subroutine

  pure real(c_double) function time_of(n)
    integer, intent(in) :: n
    time_of = 2d0 * (n - 1) / (times - 1)
  end function

  pure real(c_double) function truth(at, time)
    real(c_double), intent(in) :: at(3), time
    real(c_double) :: p(3)
    p = at / [nx - 1, ny - 1, nz - 1]
    truth = 20 + 5 * sin(3 * p(1) + time) * (1 + p(2)) + 4 * p(3) * cos(time)
  end function

  subroutine check(holds)
    logical, intent(in) :: holds
    if (.not. holds) error stop 'not as expected'
  end subroutine

  function model_text(values) result(text)
    character(len=1), intent(in) :: values
    character(len=:), allocatable :: text
    character(len=*), parameter :: n = new_line('a')
    text = 'model:'//n// &
      '  type: HDINRBase'//n// &
      '  param:'//n// &
      '    out_dim: '//values//n// &
      '    hidden_dim: 16'//n// &
      '    default_act: ReLU'//n// &
      '    out_act: Identity'//n// &
      '    decoder_kwargs: {type: FeatMLP, param: {feat_dim: 16, num_layers: 2, out_dim: '//values//'}}'//n// &
      '    encoder_kwargs:'//n// &
      '      type: MultiDenseFeatGrid'//n// &
      '      param: {grid_shapes: [[4, 5, 6]], num_feat: 8, refine_highest_res: [4, 5, 6]}'//n// &
      '    if_refine: false'//n// &
      '    spatial_fdim: 8'//n// &
      '    latent_kwargs:'//n// &
      '      type: MultiCondLatentLines'//n// &
      '      param: {cond_dim: 1, line_dims_list: [[5]], latent_shape: [4]}'//n// &
      'optim: {type: Adam, param: {lr: 0.01}}'//n// &
      'dataset: {type: HDFieldDataset, param: {cond_batch: 4, batch_points: 128}}'//n
  end function
end program bindings
