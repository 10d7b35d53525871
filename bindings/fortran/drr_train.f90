!> The C interface of training as Fortran sees it; programs use module drr_train.
module drr_train_c
  use, intrinsic :: iso_c_binding
  use, intrinsic :: iso_fortran_env, only: error_unit
  implicit none
  public

  type, bind(c) :: c_train_range
    type(c_ptr) :: name = c_null_ptr, unit = c_null_ptr
    real(c_double) :: min = 0, max = 0
  end type

  type, bind(c) :: c_train_data
    integer(c_int32_t) :: struct_size = 128, dims = 0
    integer(c_int64_t) :: points(3) = 0
    type(c_ptr) :: axes = c_null_ptr, parameters = c_null_ptr, values = c_null_ptr
    integer(c_int32_t) :: parameter_count = 0, value_count = 0
    real(c_double) :: value_min = 0, value_max = 0
    integer(c_int64_t) :: own_offset(3) = 0, own_extent(3) = 0
  end type

  !> See `drr_train_communicator` in drr_train.h; module drr_train_mpi makes one.
  type, bind(c) :: drr_train_communicator
    integer(c_int32_t) :: struct_size = 48, rank = 0, size = 1, reserved = 0
    type(c_ptr) :: user_data = c_null_ptr
    type(c_funptr) :: reduce = c_null_funptr, broadcast = c_null_funptr, exchange = c_null_funptr
  end type

  type, bind(c) :: c_train_options
    integer(c_int32_t) :: struct_size = 48, threads = 0
    integer(c_int64_t) :: seed = 0, capacity = 0
    integer(c_int32_t) :: keep = 0, entry = 0
    type(c_ptr) :: device = c_null_ptr
    type(c_ptr) :: communicator = c_null_ptr
  end type

  type, bind(c) :: c_train_block
    integer(c_int32_t) :: struct_size = 120, scalar = 0
    type(c_ptr) :: data = c_null_ptr
    integer(c_int64_t) :: offset(3) = 0, extent(3) = 0, stride(3) = 0, value_stride = 0
    integer(c_int32_t) :: memory = 0, location = 0
    type(c_funptr) :: release = c_null_funptr
    type(c_ptr) :: user_data = c_null_ptr
  end type

  type, bind(c) :: c_train_bake_options
    integer(c_int32_t) :: struct_size = 32, grid = 0, decoder = 0, fold = 0
    integer(c_int64_t) :: rank = 0
    real(c_double) :: max_error = 0
  end type

  abstract interface
    !> Told after each step: `step` counts all steps of the session, `seconds` is all time of
    !> training. .true. ends the call of `step`. It must not call procedures of the same session.
    logical function drr_train_progress(step, loss, seconds)
      import :: c_double, c_int64_t
      integer(c_int64_t), intent(in) :: step
      real(c_double), intent(in) :: loss, seconds
    end function

    !> Told when a borrowed array is not looked at any more; `tag` is what `add` was given with it.
    !> It must not call procedures of the same session.
    subroutine drr_train_release(tag)
      integer, intent(in) :: tag
    end subroutine
  end interface

  ! What C hands back to `told`.
  type :: listener
    procedure(drr_train_progress), pointer, nopass :: tell => null()
  end type

  ! What C hands back to `released`.
  type :: owner
    procedure(drr_train_release), pointer, nopass :: tell => null()
    integer :: tag = 0
  end type

  !> See `drr_train_info` in drr_train.h.
  type, bind(c) :: drr_train_info
    integer(c_int32_t) :: struct_size = 112, reserved = 0
    integer(c_int64_t) :: steps = 0, members_seen = 0, members_held = 0, members_pending = 0
    integer(c_int64_t) :: copied_bytes = 0, trainable = 0
    real(c_double) :: loss = 0, seconds = 0, learning_rate = 0
    real(c_double) :: value_min = 0, value_max = 0, seen_min = 0, seen_max = 0
  end type

  !> See `drr_train_quality` in drr_train.h.
  type, bind(c) :: drr_train_quality
    integer(c_int32_t) :: struct_size = 40, reserved = 0
    real(c_double) :: psnr = 0, rms_error = 0, max_error = 0
    integer(c_int64_t) :: points = 0
  end type

  interface
    function c_train_last_error() bind(c, name='drr_train_last_error') result(answer)
      import :: c_ptr
      type(c_ptr) :: answer
    end function

    function c_train_status_name(status) bind(c, name='drr_train_status_name') result(answer)
      import :: c_int32_t, c_ptr
      integer(c_int32_t), value :: status
      type(c_ptr) :: answer
    end function

    function c_train_create(config, data, options, session) &
        bind(c, name='drr_train_create') result(answer)
      import :: c_char, c_int32_t, c_ptr, c_train_data, c_train_options
      character(kind=c_char), intent(in) :: config(*)
      type(c_train_data), intent(in) :: data
      type(c_train_options), intent(in) :: options
      type(c_ptr), intent(out) :: session
      integer(c_int32_t) :: answer
    end function

    subroutine c_train_free(session) bind(c, name='drr_train_free')
      import :: c_ptr
      type(c_ptr), value :: session
    end subroutine

    function c_train_add_block(session, parameters, count, block, is_complete) &
        bind(c, name='drr_train_add_block') result(answer)
      import :: c_double, c_int32_t, c_ptr, c_train_block
      type(c_ptr), value :: session
      real(c_double), intent(in) :: parameters(*)
      integer(c_int32_t), value :: count
      type(c_train_block), intent(in) :: block
      integer(c_int32_t), intent(inout) :: is_complete
      integer(c_int32_t) :: answer
    end function

    function c_train_forget_pending(session) &
        bind(c, name='drr_train_forget_pending') result(answer)
      import :: c_int32_t, c_ptr
      type(c_ptr), value :: session
      integer(c_int32_t) :: answer
    end function

    function c_train_forget_members(session) &
        bind(c, name='drr_train_forget_members') result(answer)
      import :: c_int32_t, c_ptr
      type(c_ptr), value :: session
      integer(c_int32_t) :: answer
    end function

    function c_train_step(session, steps, seconds, progress, user_data, done) &
        bind(c, name='drr_train_step') result(answer)
      import :: c_double, c_funptr, c_int32_t, c_int64_t, c_ptr
      type(c_ptr), value :: session
      integer(c_int64_t), value :: steps
      real(c_double), value :: seconds
      type(c_funptr), value :: progress
      type(c_ptr), value :: user_data
      integer(c_int64_t), intent(out) :: done
      integer(c_int32_t) :: answer
    end function

    function c_train_anneal(session, steps) bind(c, name='drr_train_anneal') result(answer)
      import :: c_int32_t, c_int64_t, c_ptr
      type(c_ptr), value :: session
      integer(c_int64_t), value :: steps
      integer(c_int32_t) :: answer
    end function

    function c_train_evaluate(session, parameters, count, block, quality) &
        bind(c, name='drr_train_evaluate') result(answer)
      import :: c_double, c_int32_t, c_ptr, c_train_block, drr_train_quality
      type(c_ptr), value :: session
      real(c_double), intent(in) :: parameters(*)
      integer(c_int32_t), value :: count
      type(c_train_block), intent(in) :: block
      type(drr_train_quality), intent(inout) :: quality
      integer(c_int32_t) :: answer
    end function

    function c_train_get_info(session, info) bind(c, name='drr_train_get_info') result(answer)
      import :: c_int32_t, c_ptr, drr_train_info
      type(c_ptr), value :: session
      type(drr_train_info), intent(inout) :: info
      integer(c_int32_t) :: answer
    end function

    function c_train_bake(session, path, options) bind(c, name='drr_train_bake') result(answer)
      import :: c_char, c_int32_t, c_ptr, c_train_bake_options
      type(c_ptr), value :: session
      character(kind=c_char), intent(in) :: path(*)
      type(c_train_bake_options), intent(in) :: options
      integer(c_int32_t) :: answer
    end function

    function c_train_save(session, folder) bind(c, name='drr_train_save') result(answer)
      import :: c_char, c_int32_t, c_ptr
      type(c_ptr), value :: session
      character(kind=c_char), intent(in) :: folder(*)
      integer(c_int32_t) :: answer
    end function

    function c_train_restore(session, folder) bind(c, name='drr_train_restore') result(answer)
      import :: c_char, c_int32_t, c_ptr
      type(c_ptr), value :: session
      character(kind=c_char), intent(in) :: folder(*)
      integer(c_int32_t) :: answer
    end function

    function c_length(text) bind(c, name='strlen') result(answer)
      import :: c_ptr, c_size_t
      type(c_ptr), value :: text
      integer(c_size_t) :: answer
    end function
  end interface

contains

  ! Reports how a call ended.
  subroutine finish(code, status, message)
    integer(c_int32_t), intent(in) :: code
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message

    if (present(status)) status = int(code)
    if (present(message)) message = ''
    if (code == 0) return
    if (present(message)) message = text_at(c_train_last_error())
    if (present(status)) return
    write (error_unit, '(4a)') 'drr_train: ', text_at(c_train_status_name(code)), ': ', &
      text_at(c_train_last_error())
    error stop 1
  end subroutine

  ! A copy of a C string.
  function text_at(place) result(text)
    type(c_ptr), intent(in) :: place
    character(len=:), allocatable :: text
    character(kind=c_char), pointer :: letters(:)
    integer(c_size_t) :: length(1)
    integer :: k
    length = c_length(place)
    call c_f_pointer(place, letters, length)
    allocate (character(len=size(letters)) :: text)
    do k = 1, size(letters)
      text(k:k) = letters(k)
    end do
  end function

  ! Tells a listener, in the thread of the call. Without a name in C, which could be another's.
  integer(c_int32_t) function told(step, loss, seconds, user_data) bind(c, name='') result(answer)
    integer(c_int64_t), value :: step
    real(c_double), value :: loss, seconds
    type(c_ptr), value :: user_data
    type(listener), pointer :: by
    call c_f_pointer(user_data, by)
    answer = merge(1_c_int32_t, 0_c_int32_t, by%tell(step, loss, seconds))
  end function

  ! Tells an owner, once.
  subroutine released(data, user_data) bind(c, name='')
    type(c_ptr), value :: data, user_data
    type(owner), pointer :: by
    call c_f_pointer(user_data, by)
    if (c_associated(data)) call by%tell(by%tag)
    deallocate (by)
  end subroutine

  ! Bytes from one address to another.
  pure integer(c_int64_t) function apart(from, to)
    type(c_ptr), intent(in) :: from, to
    apart = transfer(to, 0_c_int64_t) - transfer(from, 0_c_int64_t)
  end function
end module drr_train_c

!> Train a neural-field surrogate while a simulation runs.
!>
!>     type(drr_train_session) :: session
!>     call session%create(config, [nx, ny, nz], parameters=[drr_train_range('time', 's', 0d0, 2d0)])
!>     call session%add([time], drr_train_block(temperature(1:nx, 1:ny, 1:nz)))
!>     call session%step(100)                        ! or (100, progress=watch)
!>     call session%bake('field.drr.safetensors')
!>
!> Compile it with the program and link with libdrr_train. What drr_train.h says of the functions
!> holds here; `config` is the text of a configuration, lines separated by `new_line('a')`.
!>
!> What can fail has two optional arguments: `status` receives DRR_TRAIN_OK or a DRR_TRAIN_ERROR_...,
!> `message` the reason as far as it fits (blank after success). Without `status` a failure stops the
!> program and says why.
module drr_train
  use, intrinsic :: iso_c_binding
  use drr_train_c, only: apart, c_train_add_block, c_train_anneal, c_train_bake, &
    c_train_bake_options, c_train_block, c_train_create, c_train_data, c_train_evaluate, &
    c_train_forget_members, c_train_forget_pending, c_train_free, c_train_get_info, &
    c_train_options, c_train_range, c_train_restore, c_train_save, c_train_step, &
    drr_train_communicator, drr_train_info, drr_train_progress, drr_train_quality, &
    drr_train_release, finish, listener, owner, released, told
  implicit none
  private
  public :: drr_train_session, drr_train_range, drr_train_block, drr_train_info, &
    drr_train_quality, drr_train_communicator
  public :: drr_train_device_block, drr_train_progress, drr_train_release

  !> Results of calls, see `drr_train_status` in drr_train.h.
  integer, parameter, public :: DRR_TRAIN_OK = 0, DRR_TRAIN_ERROR_INVALID_ARGUMENT = 1, &
    DRR_TRAIN_ERROR_IO = 2, DRR_TRAIN_ERROR_FORMAT = 3, DRR_TRAIN_ERROR_UNSUPPORTED = 6, &
    DRR_TRAIN_ERROR_OUT_OF_MEMORY = 7, DRR_TRAIN_ERROR_NO_DEVICE = 8, &
    DRR_TRAIN_ERROR_NOT_READY = 20, DRR_TRAIN_ERROR_DIVERGED = 21, DRR_TRAIN_ERROR_BUSY = 22, &
    DRR_TRAIN_ERROR_LIBTORCH = 23, DRR_TRAIN_ERROR_COMMUNICATION = 25, &
    DRR_TRAIN_ERROR_INTERNAL = 99

  !> Which members are kept, see `drr_train_keep`.
  integer, parameter, public :: DRR_TRAIN_KEEP_ALL = 0, DRR_TRAIN_KEEP_RESERVOIR = 1, &
    DRR_TRAIN_KEEP_LATEST = 2

  !> How a model is baked, see `drr_train_bake_options`.
  integer, parameter, public :: DRR_TRAIN_GRID_F16 = 0, DRR_TRAIN_GRID_F32 = 1, &
    DRR_TRAIN_GRID_I8 = 2, DRR_TRAIN_DECODER_F32 = 0, DRR_TRAIN_DECODER_BF16 = 1, &
    DRR_TRAIN_DECODER_I8 = 2, DRR_TRAIN_FOLD_AUTO = 0, DRR_TRAIN_FOLD_ON = 1, &
    DRR_TRAIN_FOLD_OFF = 2

  !> An axis, a parameter or a component of the values (whose range is ignored).
  type :: drr_train_range
    character(len=64) :: name = ''
    character(len=64) :: unit = ''
    real(c_double) :: min = 0, max = 0
  end type

  !> A block of a member: from an array `values(x, y)` or `values(x, y, z)` of one value a point, or
  !> `values(x, y, z, component)`, of real32 or real64. Sections are used in place, without copies.
  !>
  !>     drr_train_block(values, first, borrow)
  !>
  !> `first` is where the block begins in the lattice, from 1; [1, 1, 1] if absent. With `borrow`
  !> .true. the array is looked at until its member leaves: it must be a target, and exist until
  !> then (see `drr_train_block` in drr_train.h; `add` takes what is told of it); else it is copied
  !> by `add`.
  !> Expressions are no arrays that last: give variables, or parts of them.
  interface drr_train_block
    module procedure block_2_f32, block_2_f64, block_3_f32, block_3_f64, block_4_f32, block_4_f64
  end interface

  !> A training in situ. It frees itself; assignment would make two of one.
  type :: drr_train_session
    private
    type(c_ptr) :: handle = c_null_ptr
  contains
    procedure :: create => session_create
    procedure :: add => session_add
    procedure :: forget_pending => session_forget_pending
    procedure :: forget_members => session_forget_members
    procedure :: step => session_step
    procedure :: anneal => session_anneal
    procedure :: evaluate => session_evaluate
    procedure :: get_info => session_get_info
    procedure :: bake => session_bake
    procedure :: save => session_save
    procedure :: restore => session_restore
    procedure :: close => session_close
    final :: session_final
  end type

contains

  !> Starts a training; `points` are those of the lattice along x, y (, z). With a `communicator`,
  !> processes train together: each says from which point of the lattice on (from 1), and how many along
  !> each axis, are its own, and gives blocks of these.
  subroutine session_create(self, config, points, axes, parameters, values, value_range, threads, &
      seed, keep, capacity, device, own_first, own_extent, communicator, status, message)
    class(drr_train_session), intent(inout) :: self
    character(len=*), intent(in) :: config
    integer, intent(in) :: points(:)
    type(drr_train_range), intent(in), optional :: axes(:), parameters(:), values(:)
    real(c_double), intent(in), optional :: value_range(2)
    integer, intent(in), optional :: threads, seed, keep, capacity
    character(len=*), intent(in), optional :: device
    integer, intent(in), optional :: own_first(:), own_extent(:)
    type(drr_train_communicator), intent(in), optional, target :: communicator
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    type(c_train_data) :: data
    type(c_train_options) :: options
    type(c_train_range), allocatable, target :: ranges(:, :)
    character(kind=c_char), allocatable, target :: names(:, :, :, :), device_name(:)
    integer :: most

    call self%close()
    data%dims = int(size(points), c_int32_t)
    data%points(:min(3, size(points))) = int(points(:min(3, size(points))), c_int64_t)
    data%value_count = 1
    most = 1
    if (present(axes)) most = max(most, size(axes))
    if (present(parameters)) most = max(most, size(parameters))
    if (present(values)) most = max(most, size(values))
    allocate (ranges(most, 3), names(65, 2, most, 3))
    if (present(axes)) call put(axes, 1, data%axes)
    if (present(parameters)) then
      call put(parameters, 2, data%parameters)
      data%parameter_count = int(size(parameters), c_int32_t)
    end if
    if (present(values)) then
      call put(values, 3, data%values)
      data%value_count = int(size(values), c_int32_t)
    end if
    if (present(value_range)) then
      data%value_min = value_range(1)
      data%value_max = value_range(2)
    end if
    if (present(threads)) options%threads = int(threads, c_int32_t)
    if (present(seed)) options%seed = int(seed, c_int64_t)
    if (present(keep)) options%keep = int(keep, c_int32_t)
    if (present(capacity)) options%capacity = int(capacity, c_int64_t)
    if (present(device)) then
      device_name = letters(trim(device))
      options%device = c_loc(device_name)
    end if
    if (present(own_first)) data%own_offset(:size(own_first)) = int(own_first, c_int64_t) - 1
    if (present(own_extent)) data%own_extent(:size(own_extent)) = int(own_extent, c_int64_t)
    if (present(communicator)) options%communicator = c_loc(communicator)
    call finish(c_train_create(letters(config), data, options, self%handle), status, message)

  contains

    subroutine put(given, kind, place)
      type(drr_train_range), intent(in) :: given(:)
      integer, intent(in) :: kind
      type(c_ptr), intent(out) :: place
      integer :: n
      do n = 1, size(given)
        call put_text(given(n)%name, names(:, 1, n, kind), ranges(n, kind)%name)
        call put_text(given(n)%unit, names(:, 2, n, kind), ranges(n, kind)%unit)
        ranges(n, kind)%min = given(n)%min
        ranges(n, kind)%max = given(n)%max
      end do
      place = c_loc(ranges(1, kind))
    end subroutine
  end subroutine

  ! A text as C has it, NULL if it is blank.
  subroutine put_text(text, room, place)
    character(len=*), intent(in) :: text
    character(kind=c_char), intent(out), target, contiguous :: room(:)
    type(c_ptr), intent(out) :: place
    place = c_null_ptr
    if (text == '') return
    room(:len_trim(text) + 1) = letters(trim(text))
    place = c_loc(room)
  end subroutine

  pure function letters(text) result(answer)
    character(len=*), intent(in) :: text
    character(kind=c_char) :: answer(len(text) + 1)
    integer :: k
    do k = 1, len(text)
      answer(k) = text(k:k)
    end do
    answer(len(text) + 1) = c_null_char
  end function

  !> Takes a block of the member with these parameters; `is_complete` tells whether it was the last.
  !> When a borrowed block is given up, `release` is told once, with `tag`: within the call that does
  !> it, which is `close` or the end of the session at last. It is called later, and so must be a
  !> procedure of a module or an external one: an internal one may be gone by then. It is not called
  !> if this fails, nor for a block that is copied.
  subroutine session_add(self, parameters, block, is_complete, release, tag, status, message)
    class(drr_train_session), intent(inout) :: self
    real(c_double), intent(in) :: parameters(:)
    type(c_train_block), intent(in) :: block
    logical, intent(out), optional :: is_complete
    procedure(drr_train_release), optional :: release
    integer, intent(in), optional :: tag
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    type(c_train_block) :: given
    type(owner), pointer :: by
    integer(c_int32_t) :: complete, code
    given = block
    nullify (by)
    if (present(release) .and. block%memory == 1) then
      allocate (by)
      by%tell => release
      if (present(tag)) by%tag = tag
      given%release = c_funloc(released)
      given%user_data = c_loc(by)
    end if
    complete = 0
    code = c_train_add_block(self%handle, parameters, int(size(parameters), c_int32_t), given, &
      complete)
    ! From success on it is the library's, until it tells.
    if (code /= 0 .and. associated(by)) deallocate (by)
    if (present(is_complete)) is_complete = complete == 1
    call finish(code, status, message)
  end subroutine

  !> Forgets the blocks of members that are not complete.
  subroutine session_forget_pending(self, status, message)
    class(drr_train_session), intent(inout) :: self
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    call finish(c_train_forget_pending(self%handle), status, message)
  end subroutine

  !> Forgets all complete members.
  subroutine session_forget_members(self, status, message)
    class(drr_train_session), intent(inout) :: self
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    call finish(c_train_forget_members(self%handle), status, message)
  end subroutine

  !> Makes `steps` steps, fewer if `seconds` are over before, or if `progress`, told after each, says
  !> .true.; `done` receives how many. Any procedure will do, an internal one too.
  subroutine session_step(self, steps, seconds, done, progress, status, message)
    class(drr_train_session), intent(inout) :: self
    integer, intent(in) :: steps
    real(c_double), intent(in), optional :: seconds
    integer, intent(out), optional :: done
    procedure(drr_train_progress), optional :: progress
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    type(listener), target :: by
    type(c_funptr) :: callback
    integer(c_int64_t) :: made
    integer(c_int32_t) :: code
    real(c_double) :: time
    time = 0
    if (present(seconds)) time = seconds
    callback = c_null_funptr
    if (present(progress)) then
      by%tell => progress
      callback = c_funloc(told)
    end if
    code = c_train_step(self%handle, int(max(steps, 0), c_int64_t), time, callback, c_loc(by), made)
    if (present(done)) done = int(made)
    call finish(code, status, message)
  end subroutine

  !> Lets the learning rate fall within `steps` steps.
  subroutine session_anneal(self, steps, status, message)
    class(drr_train_session), intent(inout) :: self
    integer, intent(in) :: steps
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    call finish(c_train_anneal(self%handle, int(steps, c_int64_t)), status, message)
  end subroutine

  !> Compares the model with the field of a member, or a block of it.
  subroutine session_evaluate(self, parameters, block, quality, status, message)
    class(drr_train_session), intent(inout) :: self
    real(c_double), intent(in) :: parameters(:)
    type(c_train_block), intent(in) :: block
    type(drr_train_quality), intent(out) :: quality
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    call finish(c_train_evaluate(self%handle, parameters, int(size(parameters), c_int32_t), &
      block, quality), status, message)
  end subroutine

  !> Where the training stands.
  subroutine session_get_info(self, info, status, message)
    class(drr_train_session), intent(inout) :: self
    type(drr_train_info), intent(out) :: info
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    call finish(c_train_get_info(self%handle, info), status, message)
  end subroutine

  !> Bakes the model into a file for libdrr, which module drr opens.
  subroutine session_bake(self, path, grid, decoder, fold, rank, max_error, status, message)
    class(drr_train_session), intent(inout) :: self
    character(len=*), intent(in) :: path
    integer, intent(in), optional :: grid, decoder, fold, rank
    real(c_double), intent(in), optional :: max_error
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    type(c_train_bake_options) :: options
    if (present(grid)) options%grid = int(grid, c_int32_t)
    if (present(decoder)) options%decoder = int(decoder, c_int32_t)
    if (present(fold)) options%fold = int(fold, c_int32_t)
    if (present(rank)) options%rank = int(rank, c_int64_t)
    if (present(max_error)) options%max_error = max_error
    call finish(c_train_bake(self%handle, letters(trim(path)), options), status, message)
  end subroutine

  !> Stores the training in a folder.
  subroutine session_save(self, folder, status, message)
    class(drr_train_session), intent(inout) :: self
    character(len=*), intent(in) :: folder
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    call finish(c_train_save(self%handle, letters(trim(folder))), status, message)
  end subroutine

  !> Goes on from what is stored in a folder.
  subroutine session_restore(self, folder, status, message)
    class(drr_train_session), intent(inout) :: self
    character(len=*), intent(in) :: folder
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    call finish(c_train_restore(self%handle, letters(trim(folder))), status, message)
  end subroutine

  !> Ends the training; borrowed arrays are given up.
  subroutine session_close(self)
    class(drr_train_session), intent(inout) :: self
    call c_train_free(self%handle)
    self%handle = c_null_ptr
  end subroutine

  subroutine session_final(self)
    type(drr_train_session), intent(inout) :: self
    call self%close()
  end subroutine

  ! A block whose first numbers along each axis are at `places`, and the one after the first; where
  ! there is no second the stride does not matter.
  type(c_train_block) function block_at(number, shape, places, first, borrow) result(block)
    integer, intent(in) :: number, shape(:)
    type(c_ptr), intent(in) :: places(0:)
    integer, intent(in), optional :: first(:)
    logical, intent(in), optional :: borrow
    integer :: k, axes
    axes = min(size(shape), 3)
    block%scalar = merge(1_c_int32_t, 0_c_int32_t, number == 8)
    block%data = places(0)
    block%extent(:axes) = int(shape(:axes), c_int64_t)
    do k = 1, axes
      if (shape(k) > 1) block%stride(k) = apart(places(0), places(k))
    end do
    ! One point along x has a stride, too, where values have one.
    if (shape(1) == 1) block%stride(1) = number
    if (size(shape) == 4) then
      block%value_stride = number
      if (shape(4) > 1) block%value_stride = apart(places(0), places(4))
    end if
    if (present(first)) block%offset(:size(first)) = int(first, c_int64_t) - 1
    if (present(borrow)) block%memory = merge(1_c_int32_t, 0_c_int32_t, borrow)
  end function

  !> A block in the memory of a GPU, by the address of its first number there: c_loc within OpenACC's
  !> host_data or OpenMP's target data use_device_addr, or what cudaMalloc gave. `real_kind` is
  !> c_float or c_double. It begins at `first` in the lattice, from 1, and has `extent` points; without
  !> these it is all of it. `stride` has the bytes from point to point along each axis, `value_stride`
  !> those from value to value of a point; 0, or without them: no gaps, the values of a point side by
  !> side. `add` copies it; see DRR_TRAIN_DEVICE in drr_train.h for what has to be done before.
  type(c_train_block) function drr_train_device_block(data, real_kind, extent, first, stride, &
      value_stride) result(block)
    type(c_ptr), intent(in) :: data
    integer, intent(in) :: real_kind
    integer, intent(in), optional :: extent(:), first(:)
    integer(c_int64_t), intent(in), optional :: stride(:), value_stride
    ! Any other kind is refused by `add`.
    block%scalar = -1
    if (real_kind == c_float) block%scalar = 0
    if (real_kind == c_double) block%scalar = 1
    block%data = data
    block%location = 1
    if (present(extent)) then
      block%extent(:min(3, size(extent))) = int(extent(:min(3, size(extent))), c_int64_t)
    end if
    if (present(first)) then
      block%offset(:min(3, size(first))) = int(first(:min(3, size(first))), c_int64_t) - 1
    end if
    if (present(stride)) block%stride(:min(3, size(stride))) = stride(:min(3, size(stride)))
    if (present(value_stride)) block%value_stride = value_stride
  end function

  type(c_train_block) function block_2_f32(values, first, borrow) result(block)
    real(c_float), intent(in), target :: values(:, :)
    integer, intent(in), optional :: first(2)
    logical, intent(in), optional :: borrow
    integer :: n(2)
    n = min(2, shape(values))
    if (size(values) == 0) return
    block = block_at(4, shape(values), [c_loc(values(1, 1)), c_loc(values(n(1), 1)), &
      c_loc(values(1, n(2)))], first, borrow)
  end function

  type(c_train_block) function block_2_f64(values, first, borrow) result(block)
    real(c_double), intent(in), target :: values(:, :)
    integer, intent(in), optional :: first(2)
    logical, intent(in), optional :: borrow
    integer :: n(2)
    n = min(2, shape(values))
    if (size(values) == 0) return
    block = block_at(8, shape(values), [c_loc(values(1, 1)), c_loc(values(n(1), 1)), &
      c_loc(values(1, n(2)))], first, borrow)
  end function

  type(c_train_block) function block_3_f32(values, first, borrow) result(block)
    real(c_float), intent(in), target :: values(:, :, :)
    integer, intent(in), optional :: first(3)
    logical, intent(in), optional :: borrow
    integer :: n(3)
    n = min(2, shape(values))
    if (size(values) == 0) return
    block = block_at(4, shape(values), [c_loc(values(1, 1, 1)), c_loc(values(n(1), 1, 1)), &
      c_loc(values(1, n(2), 1)), c_loc(values(1, 1, n(3)))], first, borrow)
  end function

  type(c_train_block) function block_3_f64(values, first, borrow) result(block)
    real(c_double), intent(in), target :: values(:, :, :)
    integer, intent(in), optional :: first(3)
    logical, intent(in), optional :: borrow
    integer :: n(3)
    n = min(2, shape(values))
    if (size(values) == 0) return
    block = block_at(8, shape(values), [c_loc(values(1, 1, 1)), c_loc(values(n(1), 1, 1)), &
      c_loc(values(1, n(2), 1)), c_loc(values(1, 1, n(3)))], first, borrow)
  end function

  type(c_train_block) function block_4_f32(values, first, borrow) result(block)
    real(c_float), intent(in), target :: values(:, :, :, :)
    integer, intent(in), optional :: first(3)
    logical, intent(in), optional :: borrow
    integer :: n(4)
    n = min(2, shape(values))
    if (size(values) == 0) return
    block = block_at(4, shape(values), [c_loc(values(1, 1, 1, 1)), c_loc(values(n(1), 1, 1, 1)), &
      c_loc(values(1, n(2), 1, 1)), c_loc(values(1, 1, n(3), 1)), &
      c_loc(values(1, 1, 1, n(4)))], first, borrow)
  end function

  type(c_train_block) function block_4_f64(values, first, borrow) result(block)
    real(c_double), intent(in), target :: values(:, :, :, :)
    integer, intent(in), optional :: first(3)
    logical, intent(in), optional :: borrow
    integer :: n(4)
    n = min(2, shape(values))
    if (size(values) == 0) return
    block = block_at(8, shape(values), [c_loc(values(1, 1, 1, 1)), c_loc(values(n(1), 1, 1, 1)), &
      c_loc(values(1, n(2), 1, 1)), c_loc(values(1, 1, n(3), 1)), &
      c_loc(values(1, 1, 1, n(4)))], first, borrow)
  end function
end module drr_train
