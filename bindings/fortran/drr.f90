!> The C interface as Fortran sees it; programs use module drr.
module drr_c
  use, intrinsic :: iso_c_binding
  use, intrinsic :: iso_fortran_env, only: error_unit, real64
  implicit none
  public

  type, bind(c) :: c_open_options
    integer(c_int32_t) :: struct_size = 16, storage = 0, checksums = 0, threads = 0
  end type

  type, bind(c) :: c_model_info
    integer(c_int32_t) :: struct_size = 56, dims = 0, parameters = 0, outputs = 0
    integer(c_int64_t) :: file_bytes = 0, memory_bytes = 0
    type(c_ptr) :: kernel = c_null_ptr, spec_json = c_null_ptr
    integer(c_int32_t) :: is_radiance = 0, reserved = 0
  end type

  type, bind(c) :: c_range_info
    integer(c_int32_t) :: struct_size = 40, transform = 0
    type(c_ptr) :: name = c_null_ptr, unit = c_null_ptr
    real(c_double) :: min = 0, max = 0
  end type

  type, bind(c) :: c_sampler_options
    integer(c_int32_t) :: struct_size = 16, units = 0, outside = 0, outside_parameters = 0
  end type

  type, bind(c) :: c_points
    integer(c_int32_t) :: struct_size = 64, scalar = 0
    integer(c_int64_t) :: count = 0
    type(c_ptr) :: axis(3) = c_null_ptr
    integer(c_int64_t) :: stride(3) = 0
  end type

  type, bind(c) :: c_values
    integer(c_int32_t) :: struct_size = 56, scalar = 0
    type(c_ptr) :: data = c_null_ptr
    integer(c_int64_t) :: point_stride = 0, value_stride = 0, row_stride = 0, plane_stride = 0
    type(c_ptr) :: separate = c_null_ptr
  end type

  type, bind(c) :: c_lattice
    integer(c_int32_t) :: struct_size = 80, reserved = 0
    integer(c_int64_t) :: dims(3) = 1
    real(c_double) :: origin(3) = 0, spacing(3) = 0
  end type

  type, bind(c) :: c_gradients
    integer(c_int32_t) :: struct_size = 64, scalar = 0
    type(c_ptr) :: data = c_null_ptr
    integer(c_int64_t) :: point_stride = 0, value_stride = 0, component_stride = 0
    integer(c_int64_t) :: row_stride = 0, plane_stride = 0
    type(c_ptr) :: separate = c_null_ptr
  end type

  type, bind(c) :: c_parameters
    integer(c_int32_t) :: struct_size = 40, scalar = 0
    integer(c_int64_t) :: count = 0
    type(c_ptr) :: data = c_null_ptr
    integer(c_int64_t) :: row_stride = 0, parameter_stride = 0
  end type

  type, bind(c) :: c_camera
    integer(c_int32_t) :: struct_size = 136, reserved = 0
    real(c_double) :: to_world(12) = 0, focal(2) = 0, centre(2) = 0
  end type

  type, bind(c) :: c_radiance_options
    integer(c_int32_t) :: struct_size = 80, output = 0, depth = 0, reserved = 0
    real(c_double) :: step = 0, ray_begin = 0, ray_end = 0, stop = 0, background(3) = 0
    type(c_ptr) :: scene_depth = c_null_ptr
  end type

  !> What is written for each pixel of a radiance field: colours multiplied by opacity, and opacity
  !> (the default), or colours over the background, and 1.
  integer, parameter :: DRR_RADIANCE_PREMULTIPLIED = 0, DRR_RADIANCE_OPAQUE = 1
  !> How distances from a camera are measured: along the ray (the default), or along the camera's
  !> axis.
  integer, parameter :: DRR_DEPTH_ALONG_RAY = 0, DRR_DEPTH_ALONG_AXIS = 1

  !> A pinhole camera. Its own axes: x right, y up, and it looks along -z, as in OpenGL and NeRF.
  type :: drr_camera
    !> From the camera's coordinates to the model's: a rotation, then the camera's position;
    !> to_world(:, 4) is where it stands.
    real(real64) :: to_world(3, 4) = reshape([1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0], [3, 4])
    real(real64) :: focal(2) = 0  !< focal lengths in pixels, horizontal and vertical; positive
    !> Where its axis meets the picture, in pixels from the upper left corner.
    real(real64) :: centre(2) = 0
  end type

  !> How a picture is made.
  type :: drr_render_options
    integer :: output = DRR_RADIANCE_PREMULTIPLIED
    integer :: depth = DRR_DEPTH_ALONG_RAY !< of scene_depth and of the depths that are written
    real(real64) :: step = 0      !< distance of samples along a ray; 0: the trained one
    real(real64) :: ray_begin = 0 !< where rays begin, along the ray
    real(real64) :: ray_end = 0   !< where they end; 0: never
    real(real64) :: stop = 0      !< a ray ends when less than this part passes; 0: 1e-4
    real(real64) :: background(3) = 0 !< red, green, blue, for DRR_RADIANCE_OPAQUE
  end type

  interface
    function c_last_error() bind(c, name='drr_last_error') result(answer)
      import :: c_ptr
      type(c_ptr) :: answer
    end function

    function c_last_os_error() bind(c, name='drr_last_os_error') result(answer)
      import :: c_int32_t
      integer(c_int32_t) :: answer
    end function

    function c_status_name(status) bind(c, name='drr_status_name') result(answer)
      import :: c_int32_t, c_ptr
      integer(c_int32_t), value :: status
      type(c_ptr) :: answer
    end function

    function c_version() bind(c, name='drr_version') result(answer)
      import :: c_ptr
      type(c_ptr) :: answer
    end function

    function c_abi_version() bind(c, name='drr_abi_version') result(answer)
      import :: c_int32_t
      integer(c_int32_t) :: answer
    end function

    function c_model_open(path, options, model) bind(c, name='drr_model_open') result(answer)
      import :: c_char, c_int32_t, c_open_options, c_ptr
      character(kind=c_char), intent(in) :: path(*)
      type(c_open_options), intent(in) :: options
      type(c_ptr), intent(out) :: model
      integer(c_int32_t) :: answer
    end function

    subroutine c_model_close(model) bind(c, name='drr_model_close')
      import :: c_ptr
      type(c_ptr), value :: model
    end subroutine

    function c_model_get_info(model, info) bind(c, name='drr_model_get_info') result(answer)
      import :: c_int32_t, c_model_info, c_ptr
      type(c_ptr), value :: model
      type(c_model_info), intent(inout) :: info
      integer(c_int32_t) :: answer
    end function

    function c_model_get_axis(model, index, info) bind(c, name='drr_model_get_axis') result(answer)
      import :: c_int32_t, c_ptr, c_range_info
      type(c_ptr), value :: model
      integer(c_int32_t), value :: index
      type(c_range_info), intent(inout) :: info
      integer(c_int32_t) :: answer
    end function

    function c_model_get_parameter(model, index, info) &
        bind(c, name='drr_model_get_parameter') result(answer)
      import :: c_int32_t, c_ptr, c_range_info
      type(c_ptr), value :: model
      integer(c_int32_t), value :: index
      type(c_range_info), intent(inout) :: info
      integer(c_int32_t) :: answer
    end function

    function c_model_get_value(model, index, info) &
        bind(c, name='drr_model_get_value') result(answer)
      import :: c_int32_t, c_ptr, c_range_info
      type(c_ptr), value :: model
      integer(c_int32_t), value :: index
      type(c_range_info), intent(inout) :: info
      integer(c_int32_t) :: answer
    end function

    function c_sampler_create(model, parameters, count, options, sampler) &
        bind(c, name='drr_sampler_create') result(answer)
      import :: c_double, c_int32_t, c_int64_t, c_ptr, c_sampler_options
      type(c_ptr), value :: model
      real(c_double), intent(in) :: parameters(*)
      integer(c_int64_t), value :: count
      type(c_sampler_options), intent(in) :: options
      type(c_ptr), intent(out) :: sampler
      integer(c_int32_t) :: answer
    end function

    subroutine c_sampler_free(sampler) bind(c, name='drr_sampler_free')
      import :: c_ptr
      type(c_ptr), value :: sampler
    end subroutine

    function c_sampler_query(sampler, points, values) &
        bind(c, name='drr_sampler_query') result(answer)
      import :: c_int32_t, c_points, c_ptr, c_values
      type(c_ptr), value :: sampler
      type(c_points), intent(in) :: points
      type(c_values), intent(in) :: values
      integer(c_int32_t) :: answer
    end function

    function c_sampler_query_f32(sampler, count, points, values) &
        bind(c, name='drr_sampler_query_f32') result(answer)
      import :: c_int32_t, c_int64_t, c_ptr
      type(c_ptr), value :: sampler
      integer(c_int64_t), value :: count
      type(c_ptr), value :: points, values
      integer(c_int32_t) :: answer
    end function

    function c_sampler_query_f64(sampler, count, points, values) &
        bind(c, name='drr_sampler_query_f64') result(answer)
      import :: c_int32_t, c_int64_t, c_ptr
      type(c_ptr), value :: sampler
      integer(c_int64_t), value :: count
      type(c_ptr), value :: points, values
      integer(c_int32_t) :: answer
    end function

    function c_sampler_query_lattice(sampler, lattice, values) &
        bind(c, name='drr_sampler_query_lattice') result(answer)
      import :: c_int32_t, c_lattice, c_ptr, c_values
      type(c_ptr), value :: sampler
      type(c_lattice), intent(in) :: lattice
      type(c_values), intent(in) :: values
      integer(c_int32_t) :: answer
    end function

    function c_sampler_query_gradient(sampler, points, values, by_position, by_parameters) &
        bind(c, name='drr_sampler_query_gradient') result(answer)
      import :: c_int32_t, c_points, c_ptr
      type(c_ptr), value :: sampler
      type(c_points), intent(in) :: points
      type(c_ptr), value :: values, by_position, by_parameters
      integer(c_int32_t) :: answer
    end function

    function c_sampler_query_lattice_gradient(sampler, lattice, values, by_position, &
        by_parameters) bind(c, name='drr_sampler_query_lattice_gradient') result(answer)
      import :: c_int32_t, c_lattice, c_ptr
      type(c_ptr), value :: sampler
      type(c_lattice), intent(in) :: lattice
      type(c_ptr), value :: values, by_position, by_parameters
      integer(c_int32_t) :: answer
    end function

    function c_model_query(model, parameters, options, points, values) &
        bind(c, name='drr_model_query') result(answer)
      import :: c_int32_t, c_parameters, c_points, c_ptr, c_sampler_options, c_values
      type(c_ptr), value :: model
      type(c_parameters), intent(in) :: parameters
      type(c_sampler_options), intent(in) :: options
      type(c_points), intent(in) :: points
      type(c_values), intent(in) :: values
      integer(c_int32_t) :: answer
    end function

    function c_model_query_sets(model, parameters, options, points, values, set_stride) &
        bind(c, name='drr_model_query_sets') result(answer)
      import :: c_int32_t, c_int64_t, c_parameters, c_points, c_ptr, c_sampler_options, c_values
      type(c_ptr), value :: model
      type(c_parameters), intent(in) :: parameters
      type(c_sampler_options), intent(in) :: options
      type(c_points), intent(in) :: points
      type(c_values), intent(in) :: values
      integer(c_int64_t), value :: set_stride
      integer(c_int32_t) :: answer
    end function

    function c_radiance_query(sampler, points, directions, values) &
        bind(c, name='drr_radiance_query') result(answer)
      import :: c_int32_t, c_points, c_ptr, c_values
      type(c_ptr), value :: sampler
      type(c_points), intent(in) :: points, directions
      type(c_values), intent(in) :: values
      integer(c_int32_t) :: answer
    end function

    function c_radiance_render(sampler, camera, width, height, options, rgba, depth) &
        bind(c, name='drr_radiance_render') result(answer)
      import :: c_camera, c_int32_t, c_int64_t, c_ptr, c_radiance_options
      type(c_ptr), value :: sampler
      type(c_camera), intent(in) :: camera
      integer(c_int64_t), value :: width, height
      type(c_radiance_options), intent(in) :: options
      type(c_ptr), value :: rgba, depth
      integer(c_int32_t) :: answer
    end function

    function c_radiance_render_rays(sampler, origins, directions, options, rgba, depth) &
        bind(c, name='drr_radiance_render_rays') result(answer)
      import :: c_int32_t, c_points, c_ptr, c_radiance_options
      type(c_ptr), value :: sampler
      type(c_points), intent(in) :: origins, directions
      type(c_radiance_options), intent(in) :: options
      type(c_ptr), value :: rgba, depth
      integer(c_int32_t) :: answer
    end function

    function c_strlen(text) bind(c, name='strlen') result(answer)
      import :: c_ptr, c_size_t
      type(c_ptr), value :: text
      integer(c_size_t) :: answer
    end function
  end interface

contains

  ! Reports how a call ended; `wrong` is what was found before the library was asked.
  subroutine finish(code, wrong, status, message)
    integer(c_int32_t), intent(in) :: code
    character(len=*), intent(in) :: wrong
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message

    if (present(status)) status = int(code)
    if (code == 0) then
      if (present(message)) message = ''
      return
    end if
    if (present(message)) message = reason(wrong)
    if (present(status)) return
    write (error_unit, '(3a)') 'drr: ', text_at(c_status_name(code)), ': '//reason(wrong)
    error stop 1
  end subroutine

  function reason(wrong)
    character(len=*), intent(in) :: wrong
    character(len=:), allocatable :: reason
    reason = trim(wrong)
    if (reason == '') reason = text_at(c_last_error())
  end function

  ! A copy of a C string.
  function text_at(address) result(text)
    type(c_ptr), intent(in) :: address
    character(len=:), allocatable :: text
    character(kind=c_char), pointer :: letters(:)
    integer(c_size_t) :: length(1)
    integer :: k
    length = c_strlen(address)
    call c_f_pointer(address, letters, length)
    allocate (character(len=size(letters)) :: text)
    do k = 1, size(letters)
      text(k:k) = letters(k)
    end do
  end function

  type(c_sampler_options) function options_of(units, outside, outside_parameters) result(options)
    integer, intent(in), optional :: units, outside, outside_parameters
    if (present(units)) options%units = int(units, c_int32_t)
    if (present(outside)) options%outside = int(outside, c_int32_t)
    if (present(outside_parameters)) &
      options%outside_parameters = int(outside_parameters, c_int32_t)
  end function

  ! Remembers what is wrong first.
  pure subroutine expect(wrong, name, given, needed)
    character(len=*), intent(inout) :: wrong
    character(len=*), intent(in) :: name
    integer(c_int64_t), intent(in) :: given, needed
    if (wrong == '' .and. given /= needed) &
      write (wrong, '(2a, i0, a, i0)') name, ' is ', given, ', expected ', needed
  end subroutine

  pure type(c_radiance_options) function options_at(options) result(raw)
    type(drr_render_options), intent(in), optional :: options
    if (.not. present(options)) return
    raw%output = int(options%output, c_int32_t)
    raw%depth = int(options%depth, c_int32_t)
    raw%step = options%step
    raw%ray_begin = options%ray_begin
    raw%ray_end = options%ray_end
    raw%stop = options%stop
    raw%background = options%background
  end function

  pure type(c_camera) function camera_at(camera) result(raw)
    type(drr_camera), intent(in) :: camera
    integer :: k
    ! Rows first in C.
    do k = 1, 3
      raw%to_world(4*k - 3:4*k) = camera%to_world(k, :)
    end do
    raw%focal = camera%focal
    raw%centre = camera%centre
  end function
end module drr_c

!> drr for Fortran 2008: query a baked neural-field surrogate of a simulation ensemble.
!>
!>     use drr
!>     type(drr_model) :: model
!>     type(drr_sampler) :: sampler
!>     call model%open('field.drr.safetensors')
!>     call sampler%create(model, [0.3d0, 1.2d0])      ! simulation parameters
!>     call sampler%query(x, y, z, energy)             ! or (xyz, energy), real32 or real64
!>
!> Over the C interface in drr.h: link with libdrr. For arrays of a GPU: module drr_cuda.
!>
!> Arrays are the caller's, of kind real32 or real64 (all of a call of the same), and are used where
!> they are: sections with strides are neither copied in nor out (but gfortran, not flang, makes its
!> own copies of components of records, particles%x). Their shapes are checked.
!> Dimensions run as Fortran's do, the fastest first: xyz(dims, n), values(outputs, n). Where a
!> model has one output its dimension can be left out: values(n).
!>
!> What can fail has two optional arguments: `status` receives DRR_OK or a DRR_ERROR_..., `message`
!> the reason as far as it fits (256 letters are plenty; blank after success). Without `status` a
!> failure prints its reason and stops the program (error stop). On failure no results are written.
!>
!> Models and samplers cannot be changed once opened and free themselves when they leave their scope
!> or are opened again. Copies (a = b) are good until the original is freed. Any number of threads
!> may query one object at once; opening and freeing it must not happen beside that.
module drr
  use, intrinsic :: iso_c_binding
  use, intrinsic :: iso_fortran_env, only: real32, real64
  use drr_c
  implicit none
  private

  public :: drr_model, drr_sampler, drr_range, drr_camera, drr_render_options, drr_version, &
      drr_status_name, drr_last_os_error
  public :: DRR_RADIANCE_PREMULTIPLIED, DRR_RADIANCE_OPAQUE, DRR_DEPTH_ALONG_RAY, &
      DRR_DEPTH_ALONG_AXIS

  !> Results of calls, see `drr_status` in drr.h.
  integer, parameter, public :: DRR_OK = 0, DRR_ERROR_INVALID_ARGUMENT = 1, DRR_ERROR_IO = 2, &
      DRR_ERROR_FORMAT = 3, DRR_ERROR_VERSION = 4, DRR_ERROR_OUTSIDE_DOMAIN = 5, &
      DRR_ERROR_UNSUPPORTED = 6, DRR_ERROR_OUT_OF_MEMORY = 7, DRR_ERROR_NO_DEVICE = 8, &
      DRR_ERROR_DEVICE = 9, DRR_ERROR_INTERNAL = 99
  !> Where an open file's bytes live: mapped and shared (the default), copied, in huge pages.
  integer, parameter, public :: DRR_STORAGE_MAPPED = 0, DRR_STORAGE_COPIED = 1, &
      DRR_STORAGE_HUGE_PAGES = 2
  !> Whether opening compares numbers with their checksums (the default) or trusts them.
  integer, parameter, public :: DRR_CHECKSUMS_VERIFY = 0, DRR_CHECKSUMS_SKIP = 1
  !> The file's units (the default); or coordinates in [-1, 1], parameters in [0, 1].
  integer, parameter, public :: DRR_UNITS_PHYSICAL = 0, DRR_UNITS_NORMALIZED = 1
  !> Outside a range: the value at the border (the default), features that fade out (points only),
  !> NaN, or DRR_ERROR_OUTSIDE_DOMAIN.
  integer, parameter, public :: DRR_OUTSIDE_CLAMP = 0, DRR_OUTSIDE_ZEROS = 1, &
      DRR_OUTSIDE_NAN = 2, DRR_OUTSIDE_ERROR = 3

  !> How the values of a field were spread for training: evenly, so that errors are alike everywhere,
  !> or by their logarithms, so that relative errors are.
  integer, parameter, public :: DRR_TRANSFORM_LINEAR = 0, DRR_TRANSFORM_LOG = 1

  integer(c_int32_t), parameter :: F32 = 0, F64 = 1, ABI_VERSION = 1
  integer, parameter :: LINE = 120 ! of what a message says that is made here

  !> One axis, parameter or value of a model.
  type :: drr_range
    character(len=:), allocatable :: name  !< for instance x
    character(len=:), allocatable :: unit  !< empty if none
    real(real64) :: min = 0                !< smallest physical value
    real(real64) :: max = 0                !< largest physical value
    integer :: transform = DRR_TRANSFORM_LINEAR !< of a value, else linear
  end type

  ! What models and samplers have in common: a handle of the library and their model's counts.
  type :: owner
    private
    type(c_ptr) :: handle = c_null_ptr
    logical :: is_model = .false.
    ! Address of the object that opened the handle. Compilers copy objects without telling, so only
    ! the one that lives there frees it.
    integer(c_intptr_t) :: home = 0
    integer(c_int64_t) :: dims_ = 0, parameters_ = 0, outputs_ = 0
    type(c_model_info) :: info ! of a model
  contains
    !> Frees it now, if it is no copy; it is empty then. An empty one stays so.
    procedure :: close => owner_close
    !> Whether it is not empty.
    procedure :: is_open => owner_is_open
    !> For functions of drr.h: its handle, which stays its own; c_null_ptr if it is empty.
    procedure :: c_handle => owner_handle
    final :: owner_final
  end type

  !> An open baked model. While it is empty (never opened, or closed) calls fail with
  !> DRR_ERROR_INVALID_ARGUMENT and counts are 0.
  type, extends(owner) :: drr_model
  contains
    procedure :: open => model_open
    procedure :: dims => model_dims
    procedure :: parameters => model_parameters
    procedure :: outputs => model_outputs
    procedure :: file_bytes => model_file_bytes
    procedure :: memory_bytes => model_memory_bytes
    procedure :: kernel => model_kernel
    procedure :: is_radiance => model_is_radiance
    procedure :: description => model_description
    procedure :: get_axis => model_get_axis
    procedure :: get_parameter => model_get_parameter
    procedure :: get_value => model_get_value
    !> Values at points of which each has parameters of its own.
    !>     call model%query(parameters, xyz, values, units, outside, outside_parameters, &
    !>                      status, message)
    !> parameters(parameters, n), xyz(dims, n), values(outputs, n) or values(n).
    generic :: query => query_own_1_f32, query_own_2_f32, query_own_1_f64, query_own_2_f64
    !> Values at the same points for many sets of parameters, bit by bit those of a sampler for
    !> each, but sooner.
    !>     call model%query_sets(parameters, xyz, values, units, outside, outside_parameters, &
    !>                           status, message)
    !> parameters(parameters, sets), xyz(dims, n), values(outputs, n, sets).
    generic :: query_sets => query_sets_f32, query_sets_f64
    procedure, private :: query_own_1_f32, query_own_2_f32, query_own_1_f64, query_own_2_f64
    procedure, private :: query_sets_f32, query_sets_f64
  end type

  !> A model bound to one set of simulation parameters. Outlives its model. Empty until `create`.
  type, extends(owner) :: drr_sampler
  contains
    procedure :: create => sampler_create
    !> Values at points, in the sampler's units.
    !>     call sampler%query(xyz, values, status, message)       ! xyz(dims, n)
    !>     call sampler%query(x, y, z, values, status, message)   ! x(n), y(n), z(n)
    !>     call sampler%query(x, y, values, status, message)      ! for a model of two axes
    !> values(outputs, n) or values(n).
    generic :: query => query_1_f32, query_2_f32, query_1_f64, query_2_f64, &
        query_xyz_1_f32, query_xyz_2_f32, query_xyz_1_f64, query_xyz_2_f64, &
        query_xy_1_f32, query_xy_2_f32, query_xy_1_f64, query_xy_2_f64
    !> Values on a regular lattice, point (i, j, k) of which is at
    !> origin + [i - 1, j - 1, k - 1] * spacing. Equal to `query` up to rounding, but sooner.
    !>     call sampler%query_lattice(origin, spacing, values, status, message)
    !> origin(dims), spacing(dims) of kind real64; values(nx, ny, nz) or (outputs, nx, ny, nz),
    !> where axes that the model lacks have extent 1. `values` may be a part of a larger array, one
    !> with ghost cells for instance.
    generic :: query_lattice => query_lattice_3_f32, query_lattice_4_f32, query_lattice_3_f64, &
        query_lattice_4_f64
    !> Values and derivatives; each array of results is optional.
    !>     call sampler%query_gradient(xyz, values, by_position, by_parameters, status, message)
    !>     call sampler%query_gradient(x, y, z, values, by_position, by_parameters, status, message)
    !> values(outputs, n), by_position(dims, outputs, n), by_parameters(parameters, outputs, n).
    !> Units and where derivatives jump: docs/derivatives.md.
    generic :: query_gradient => query_gradient_f32, query_gradient_f64, &
        query_gradient_xyz_f32, query_gradient_xyz_f64
    !> The same on a lattice as in `query_lattice`, where values are not optional.
    !>     call sampler%query_lattice_gradient(origin, spacing, values, by_position, &
    !>                                         by_parameters, status, message)
    !> values(outputs, nx, ny, nz), by_position(dims, outputs, nx, ny, nz),
    !> by_parameters(parameters, outputs, nx, ny, nz).
    generic :: query_lattice_gradient => query_lattice_gradient_f32, query_lattice_gradient_f64
    !> Values of a vector field in an array for each component, where the model has two or three
    !> outputs.
    !>     call sampler%query_components(xyz, u, v, w, status, message)      ! or u, v alone
    !>     call sampler%query_components(x, y, z, u, v, w, status, message)
    !> u(n), v(n), w(n), whose elements all have the same distance.
    generic :: query_components => query_components_f32, query_components_f64, &
        query_components_xyz_f32, query_components_xyz_f64
    procedure, private :: query_1_f32, query_2_f32, query_1_f64, query_2_f64
    procedure, private :: query_xyz_1_f32, query_xyz_2_f32, query_xyz_1_f64, query_xyz_2_f64
    procedure, private :: query_xy_1_f32, query_xy_2_f32, query_xy_1_f64, query_xy_2_f64
    procedure, private :: query_lattice_3_f32, query_lattice_4_f32, query_lattice_3_f64, &
        query_lattice_4_f64
    procedure, private :: query_gradient_f32, query_gradient_f64
    procedure, private :: query_gradient_xyz_f32, query_gradient_xyz_f64
    procedure, private :: query_lattice_gradient_f32, query_lattice_gradient_f64
    !> Densities and colours of a radiance field at points, each seen along a direction.
    !>     call sampler%radiance(xyz, directions, values, status, message)
    !> xyz(3, n), directions(3, n), away from the eye; values(4, n): density, red, green, blue.
    generic :: radiance => radiance_f32, radiance_f64
    !> A picture of a radiance field as a camera sees it, the upper row first.
    !>     call sampler%render(camera, rgba, depth, options, scene_depth, status, message)
    !> rgba(4, width, height); optional: depth(width, height), options, scene_depth(width, height),
    !> where rays end at something else. Arrays without gaps; of kind real32, as textures are.
    procedure :: render => sampler_render
    !> The same for rays of any kind.
    !>     call sampler%render_rays(origins, directions, rgba, depth, options, scene_depth, &
    !>                              status, message)
    !> origins(3, n), directions(3, n) of kind real64; rgba(4, n), depth(n), scene_depth(n).
    procedure :: render_rays => sampler_render_rays
    procedure, private :: query_components_f32, query_components_f64
    procedure, private :: query_components_xyz_f32, query_components_xyz_f64
    procedure, private :: radiance_f32, radiance_f64
  end type

  ! Where an array is: the extents and the distances in bytes of up to five dimensions.
  type :: view
    logical :: wanted = .false.
    type(c_ptr) :: data = c_null_ptr
    integer(c_int32_t) :: scalar = F64
    integer(c_int64_t) :: extent(5) = 1, stride(5) = 0
  end type

  ! Where coordinates are, how many a point has, and whether all points have them.
  type :: places
    type(c_points) :: raw
    integer(c_int64_t) :: dims = 0
    logical :: even = .true.
  end type

  interface view_of
    procedure view_1_f32, view_2_f32, view_3_f32, view_4_f32, view_5_f32
    procedure view_1_f64, view_2_f64, view_3_f64, view_4_f64, view_5_f64
  end interface

contains

  !> Version of the loaded library, MAJOR.MINOR.PATCH.
  function drr_version() result(version)
    character(len=:), allocatable :: version
    version = text_at(c_version())
  end function

  !> The operating system's number (errno) for why the last failed call of this thread failed; 0 if
  !> the system had no part in it.
  integer function drr_last_os_error()
    drr_last_os_error = int(c_last_os_error())
  end function

  !> Name of a status, for instance DRR_ERROR_IO.
  function drr_status_name(status) result(name)
    integer, intent(in) :: status
    character(len=:), allocatable :: name
    name = text_at(c_status_name(int(status, c_int32_t)))
  end function

  !> Opens a baked file, checks it completely and prepares it for queries. What the object held
  !> before is let go; after a failure it is empty.
  !> path: name of the file (blanks at its end are ignored); storage, checksums: constants above;
  !> threads: that a query may use, 0 or 1 for the caller's alone, more (at most 1024) for a
  !> private pool.
  subroutine model_open(self, path, storage, checksums, threads, status, message)
    class(drr_model), intent(inout) :: self
    character(len=*), intent(in) :: path
    integer, intent(in), optional :: storage, checksums, threads
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    type(c_open_options) :: options
    type(c_model_info) :: info
    type(c_ptr) :: handle
    integer(c_int32_t) :: code

    call self%close()
    if (c_abi_version() /= ABI_VERSION) then
      call finish(int(DRR_ERROR_UNSUPPORTED, c_int32_t), &
          'libdrr '//drr_version()//' does not fit this drr.f90', status, message)
      return
    end if
    if (present(storage)) options%storage = int(storage, c_int32_t)
    if (present(checksums)) options%checksums = int(checksums, c_int32_t)
    if (present(threads)) options%threads = int(threads, c_int32_t)
    code = c_model_open(trim(path)//c_null_char, options, handle)
    if (code == DRR_OK) code = c_model_get_info(handle, info)
    if (code == DRR_OK) then
      self%handle = handle
      self%is_model = .true.
      self%home = place_of(self)
      self%info = info
      self%dims_ = info%dims
      self%parameters_ = info%parameters
      self%outputs_ = info%outputs
    end if
    call finish(code, '', status, message)
  end subroutine

  !> Whether it is a radiance field, which `render` of its samplers makes pictures of.
  pure logical function model_is_radiance(self) result(is_radiance)
    class(drr_model), intent(in) :: self
    is_radiance = self%info%is_radiance /= 0
  end function

  !> Coordinates per point, 1 to 3.
  pure integer function model_dims(self) result(dims)
    class(drr_model), intent(in) :: self
    dims = int(self%dims_)
  end function

  !> Simulation parameters per sampler.
  pure integer function model_parameters(self) result(parameters)
    class(drr_model), intent(in) :: self
    parameters = int(self%parameters_)
  end function

  !> Values per point.
  pure integer function model_outputs(self) result(outputs)
    class(drr_model), intent(in) :: self
    outputs = int(self%outputs_)
  end function

  !> Size of the file in bytes.
  pure integer(c_int64_t) function model_file_bytes(self) result(bytes)
    class(drr_model), intent(in) :: self
    bytes = self%info%file_bytes
  end function

  !> Memory that the open model takes in bytes, the file included (mapped pages are shared).
  pure integer(c_int64_t) function model_memory_bytes(self) result(bytes)
    class(drr_model), intent(in) :: self
    bytes = self%info%memory_bytes
  end function

  !> Name of the kernel in use: avx2, neon, ...
  function model_kernel(self) result(kernel)
    class(drr_model), intent(in) :: self
    character(len=:), allocatable :: kernel
    kernel = ''
    if (self%is_open()) kernel = text_at(self%info%kernel)
  end function

  !> The whole description as JSON (see docs/format.md).
  function model_description(self) result(json)
    class(drr_model), intent(in) :: self
    character(len=:), allocatable :: json
    json = ''
    if (self%is_open()) json = text_at(self%info%spec_json)
  end function

  !> One axis of the domain, from 1 (x) to dims(); from its first to its last vertex.
  subroutine model_get_axis(self, index, range, status, message)
    class(drr_model), intent(in) :: self
    integer, intent(in) :: index
    type(drr_range), intent(out) :: range
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    call get_range(self, c_model_get_axis, 'axis', index, self%dims(), range, status, message)
  end subroutine

  !> One simulation parameter, from 1 to parameters().
  subroutine model_get_parameter(self, index, range, status, message)
    class(drr_model), intent(in) :: self
    integer, intent(in) :: index
    type(drr_range), intent(out) :: range
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    call get_range(self, c_model_get_parameter, 'parameter', index, self%parameters(), range, &
        status, message)
  end subroutine

  !> One component of the field, from 1 to outputs(), and what it spanned in training.
  subroutine model_get_value(self, index, range, status, message)
    class(drr_model), intent(in) :: self
    integer, intent(in) :: index
    type(drr_range), intent(out) :: range
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    call get_range(self, c_model_get_value, 'value', index, self%outputs(), range, status, message)
  end subroutine

  !> Binds a model to simulation parameters, in the model's order. What the object held before is
  !> let go; after a failure it is empty.
  !> units, outside (for points), outside_parameters (not DRR_OUTSIDE_ZEROS): constants above.
  !> Fails with DRR_ERROR_OUTSIDE_DOMAIN if a parameter is and outside_parameters says so.
  subroutine sampler_create(self, model, parameters, units, outside, outside_parameters, &
      status, message)
    class(drr_sampler), intent(inout) :: self
    type(drr_model), intent(in) :: model
    real(real64), intent(in) :: parameters(:)
    integer, intent(in), optional :: units, outside, outside_parameters
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    real(c_double) :: row(max(1, size(parameters)))
    type(c_ptr) :: handle
    integer(c_int32_t) :: code
    integer :: k

    call self%close()
    do k = 1, size(parameters)
      row(k) = parameters(k)
    end do
    code = c_sampler_create(model%handle, row, size(parameters, kind=c_int64_t), &
        options_of(units, outside, outside_parameters), handle)
    if (code == DRR_OK) then
      self%handle = handle
      self%home = place_of(self)
      self%dims_ = model%dims_
      self%parameters_ = model%parameters_
      self%outputs_ = model%outputs_
    end if
    call finish(code, '', status, message)
  end subroutine

  subroutine owner_close(self)
    class(owner), intent(inout) :: self
    call let_go(self)
  end subroutine

  pure logical function owner_is_open(self) result(is_open)
    class(owner), intent(in) :: self
    is_open = c_associated(self%handle)
  end function

  pure type(c_ptr) function owner_handle(self) result(handle)
    class(owner), intent(in) :: self
    handle = self%handle
  end function

  ! Elemental, or it would not be called for arrays of objects.
  impure elemental subroutine owner_final(self)
    type(owner), intent(inout) :: self
    call let_go(self)
  end subroutine

  subroutine let_go(self)
    class(owner), intent(inout) :: self
    if (self%home == place_of(self)) then
      if (self%is_model) then
        call c_model_close(self%handle)
      else
        call c_sampler_free(self%handle)
      end if
    end if
    self%handle = c_null_ptr
    self%is_model = .false.
    self%home = 0
    self%dims_ = 0
    self%parameters_ = 0
    self%outputs_ = 0
    self%info = c_model_info()
  end subroutine

  integer(c_intptr_t) function place_of(self)
    class(owner), intent(in), target :: self
    place_of = address(c_loc(self%home))
  end function

  subroutine get_range(self, get, what, index, count, range, status, message)
    class(drr_model), intent(in) :: self
    procedure(c_model_get_axis) :: get
    character(len=*), intent(in) :: what
    integer, intent(in) :: index, count
    type(drr_range), intent(inout) :: range
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    type(c_range_info) :: info
    character(len=LINE) :: wrong
    integer(c_int32_t) :: code

    wrong = ''
    if (self%is_open() .and. (index < 1 .or. index > count)) then
      write (wrong, '(2a, i0, a, i0)') what, ' ', index, ' asked for, the model has ', count
    end if
    code = DRR_ERROR_INVALID_ARGUMENT
    if (wrong == '') code = get(self%handle, int(index - 1, c_int32_t), info)
    if (code == DRR_OK) then
      range%name = text_at(info%name)
      range%unit = text_at(info%unit)
      range%min = info%min
      range%max = info%max
      range%transform = int(info%transform)
    end if
    call finish(code, wrong, status, message)
  end subroutine

  pure subroutine expect_open(wrong, self, name)
    character(len=*), intent(inout) :: wrong
    class(owner), intent(in) :: self
    character(len=*), intent(in) :: name
    if (.not. self%is_open()) wrong = 'the '//name//' is empty: never opened, or closed'
  end subroutine

  ! Whether xyz(dims, n) and values(outputs, n) are what an open sampler takes, and not empty: such
  ! arrays, if without gaps, need no description.
  pure logical function fits(self, xyz, values)
    class(drr_sampler), intent(in) :: self
    type(view), intent(in) :: xyz, values
    fits = self%is_open() .and. xyz%extent(1) == self%dims_ .and. xyz%extent(2) > 0 .and. &
        values%extent(1) == self%outputs_ .and. values%extent(2) == xyz%extent(2)
  end function

  pure subroutine expect_points(wrong, self, points)
    character(len=*), intent(inout) :: wrong
    class(owner), intent(in) :: self
    type(places), intent(in) :: points
    if (wrong /= '') return
    call expect(wrong, 'the number of coordinates', points%dims, self%dims_)
    if (wrong == '' .and. .not. points%even) wrong = 'x, y and z differ in size'
  end subroutine

  pure subroutine expect_values(wrong, self, values, count)
    character(len=*), intent(inout) :: wrong
    class(owner), intent(in) :: self
    type(view), intent(in) :: values
    integer(c_int64_t), intent(in) :: count
    if (wrong /= '') return
    call expect(wrong, 'outputs in values(outputs, n)', values%extent(1), self%outputs_)
    call expect(wrong, 'n in values', values%extent(2), count)
  end subroutine

  ! xyz(dims, n) as coordinates.
  pure function interleaved(xyz) result(points)
    type(view), intent(in) :: xyz
    type(places) :: points
    integer :: k
    points%dims = xyz%extent(1)
    points%raw%scalar = xyz%scalar
    points%raw%count = xyz%extent(2)
    do k = 1, int(min(points%dims, 3_c_int64_t))
      points%raw%axis(k) = moved(xyz%data, (k - 1)*xyz%stride(1))
      points%raw%stride(k) = xyz%stride(2)
    end do
  end function

  ! x(n), y(n), z(n) as coordinates.
  pure function separate(x, y, z) result(points)
    type(view), intent(in) :: x, y
    type(view), intent(in), optional :: z
    type(places) :: points
    points%dims = 2
    points%raw%scalar = x%scalar
    points%raw%count = x%extent(1)
    points%raw%axis(1) = x%data
    points%raw%axis(2) = y%data
    points%raw%stride(1) = x%stride(1)
    points%raw%stride(2) = y%stride(1)
    points%even = x%extent(1) == y%extent(1)
    if (present(z)) then
      points%dims = 3
      points%raw%axis(3) = z%data
      points%raw%stride(3) = z%stride(1)
      points%even = points%even .and. x%extent(1) == z%extent(1)
    end if
  end function

  ! An array without a dimension of outputs as one with an output.
  pure function one_output(given) result(v)
    type(view), intent(in) :: given
    type(view) :: v
    v = given
    v%extent(2:5) = given%extent(1:4)
    v%stride(2:5) = given%stride(1:4)
    v%extent(1) = 1
    v%stride(1) = number(given)
  end function

  pure type(c_values) function values_at(v) result(values)
    type(view), intent(in) :: v
    values%scalar = v%scalar
    values%data = v%data
    values%point_stride = v%stride(2)
    values%value_stride = v%stride(1)
  end function

  pure type(c_parameters) function parameters_at(v) result(parameters)
    type(view), intent(in) :: v
    parameters%scalar = v%scalar
    parameters%count = v%extent(2)
    parameters%data = v%data
    parameters%row_stride = v%stride(2)
    parameters%parameter_stride = v%stride(1)
  end function

  pure type(c_gradients) function gradients_at(v) result(gradients)
    type(view), intent(in) :: v
    gradients%scalar = v%scalar
    gradients%data = v%data
    gradients%point_stride = v%stride(3)
    gradients%value_stride = v%stride(2)
    gradients%component_stride = v%stride(1)
  end function

  ! A view whose place is still to be found.
  pure function new_view(scalar) result(v)
    integer(c_int32_t), intent(in) :: scalar
    type(view) :: v
    v%wanted = .true.
    v%scalar = scalar
    v%stride = number(v) ! where there is no next element: anything but 0, which has a meaning
  end function

  ! Size of one number in bytes.
  pure integer(c_int64_t) function number(v)
    type(view), intent(in) :: v
    number = merge(4, 8, v%scalar == F32)
  end function

  pure integer(c_intptr_t) function address(pointer)
    type(c_ptr), intent(in) :: pointer
    address = transfer(pointer, address)
  end function

  pure type(c_ptr) function moved(pointer, bytes)
    type(c_ptr), intent(in) :: pointer
    integer(c_int64_t), intent(in) :: bytes
    moved = c_null_ptr
    if (c_associated(pointer)) moved = transfer(address(pointer) + bytes, moved)
  end function

  subroutine ask_points(self, points, values, status, message)
    class(drr_sampler), intent(in) :: self
    type(places), intent(in) :: points
    type(view), intent(in) :: values
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    character(len=LINE) :: wrong
    integer(c_int32_t) :: code

    wrong = ''
    call expect_open(wrong, self, 'sampler')
    call expect_points(wrong, self, points)
    call expect_values(wrong, self, values, points%raw%count)
    code = DRR_ERROR_INVALID_ARGUMENT
    if (wrong == '') code = c_sampler_query(self%handle, points%raw, values_at(values))
    call finish(code, wrong, status, message)
  end subroutine

  subroutine ask_lattice(self, origin, spacing, values, status, message)
    class(drr_sampler), intent(in) :: self
    real(real64), intent(in) :: origin(:), spacing(:)
    type(view), intent(in) :: values
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    character(len=LINE) :: wrong
    type(c_lattice) :: lattice
    integer(c_int32_t) :: code

    wrong = ''
    call expect_lattice(wrong, self, origin, spacing)
    if (wrong == '') call expect(wrong, 'outputs in values(outputs, nx, ny, nz)', &
        values%extent(1), self%outputs_)
    code = DRR_ERROR_INVALID_ARGUMENT
    if (wrong == '') then
      lattice = lattice_of(origin, spacing, values%extent(2:4))
      code = c_sampler_query_lattice(self%handle, lattice, on_lattice(values_at(values), values))
    end if
    call finish(code, wrong, status, message)
  end subroutine

  pure subroutine expect_lattice(wrong, self, origin, spacing)
    character(len=*), intent(inout) :: wrong
    class(drr_sampler), intent(in) :: self
    real(real64), intent(in) :: origin(:), spacing(:)
    call expect_open(wrong, self, 'sampler')
    if (wrong /= '') return
    call expect(wrong, 'size of origin', size(origin, kind=c_int64_t), self%dims_)
    call expect(wrong, 'size of spacing', size(spacing, kind=c_int64_t), self%dims_)
  end subroutine

  pure type(c_lattice) function lattice_of(origin, spacing, extent) result(lattice)
    real(real64), intent(in) :: origin(:), spacing(:)
    integer(c_int64_t), intent(in) :: extent(3)
    integer :: k
    lattice%dims = extent
    do k = 1, size(origin)
      lattice%origin(k) = origin(k)
      lattice%spacing(k) = spacing(k)
    end do
  end function

  ! The strides of rows and planes beside those of points.
  pure type(c_values) function on_lattice(given, v) result(values)
    type(c_values), intent(in) :: given
    type(view), intent(in) :: v
    values = given
    values%row_stride = v%stride(3)
    values%plane_stride = v%stride(4)
  end function

  pure type(c_gradients) function gradients_on_lattice(v) result(gradients)
    type(view), intent(in) :: v
    gradients = gradients_at(v)
    gradients%row_stride = v%stride(4)
    gradients%plane_stride = v%stride(5)
  end function

  subroutine ask_lattice_gradient(self, origin, spacing, values, by_position, by_parameters, &
      status, message)
    class(drr_sampler), intent(in) :: self
    real(real64), intent(in) :: origin(:), spacing(:)
    type(view), intent(in) :: values, by_position, by_parameters
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    character(len=LINE) :: wrong
    type(c_values), target :: to
    type(c_gradients), target :: position, parameters
    integer(c_int32_t) :: code

    wrong = ''
    call expect_lattice(wrong, self, origin, spacing)
    if (wrong == '') then
      call expect(wrong, 'outputs in values(outputs, nx, ny, nz)', values%extent(1), &
          self%outputs_)
      call expect_gradients(wrong, 'by_position', by_position, self%dims_, self%outputs_, &
          values%extent(2:4))
      call expect_gradients(wrong, 'by_parameters', by_parameters, self%parameters_, &
          self%outputs_, values%extent(2:4))
    end if
    to = on_lattice(values_at(values), values)
    position = gradients_on_lattice(by_position)
    parameters = gradients_on_lattice(by_parameters)
    code = DRR_ERROR_INVALID_ARGUMENT
    if (wrong == '') code = c_sampler_query_lattice_gradient(self%handle, &
        lattice_of(origin, spacing, values%extent(2:4)), c_loc(to), &
        if_wanted(by_position, c_loc(position)), if_wanted(by_parameters, c_loc(parameters)))
    call finish(code, wrong, status, message)
  end subroutine

  ! Values in an array for each.
  subroutine ask_components(self, points, values, status, message)
    class(drr_sampler), intent(in) :: self
    type(places), intent(in) :: points
    type(view), intent(in) :: values(:)
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    character(len=LINE) :: wrong
    type(c_ptr), target :: firsts(size(values))
    type(c_values) :: to
    integer(c_int32_t) :: code
    integer :: k

    wrong = ''
    call expect_open(wrong, self, 'sampler')
    call expect_points(wrong, self, points)
    if (wrong == '') call expect(wrong, 'the number of arrays of values', &
        size(values, kind=c_int64_t), self%outputs_)
    do k = 1, size(values)
      if (wrong == '') call expect(wrong, 'the size of an array of values', values(k)%extent(1), &
          points%raw%count)
      if (wrong == '' .and. values(k)%stride(1) /= values(1)%stride(1)) &
        wrong = 'u, v and w are sections with different strides'
      firsts(k) = values(k)%data
    end do
    to%scalar = values(1)%scalar
    to%point_stride = values(1)%stride(1)
    to%separate = c_loc(firsts)
    code = DRR_ERROR_INVALID_ARGUMENT
    if (wrong == '') code = c_sampler_query(self%handle, points%raw, to)
    call finish(code, wrong, status, message)
  end subroutine

  subroutine ask_gradient(self, points, values, by_position, by_parameters, status, message)
    class(drr_sampler), intent(in) :: self
    type(places), intent(in) :: points
    type(view), intent(in) :: values, by_position, by_parameters
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    character(len=LINE) :: wrong
    type(c_values), target :: to
    type(c_gradients), target :: position, parameters
    integer(c_int64_t) :: extent(3)
    integer(c_int32_t) :: code

    wrong = ''
    call expect_open(wrong, self, 'sampler')
    call expect_points(wrong, self, points)
    if (values%wanted) call expect_values(wrong, self, values, points%raw%count)
    if (wrong == '') then
      extent = 1
      extent(1) = points%raw%count
      call expect_gradients(wrong, 'by_position', by_position, self%dims_, self%outputs_, extent)
      call expect_gradients(wrong, 'by_parameters', by_parameters, self%parameters_, &
          self%outputs_, extent)
    end if
    to = values_at(values)
    position = gradients_at(by_position)
    parameters = gradients_at(by_parameters)
    code = DRR_ERROR_INVALID_ARGUMENT
    if (wrong == '') code = c_sampler_query_gradient(self%handle, points%raw, &
        if_wanted(values, c_loc(to)), if_wanted(by_position, c_loc(position)), &
        if_wanted(by_parameters, c_loc(parameters)))
    call finish(code, wrong, status, message)
  end subroutine

  pure subroutine expect_gradients(wrong, name, v, components, outputs, extent)
    character(len=*), intent(inout) :: wrong
    character(len=*), intent(in) :: name
    type(view), intent(in) :: v
    integer(c_int64_t), intent(in) :: components, outputs, extent(3)
    integer :: k
    if (.not. v%wanted) return
    call expect(wrong, 'the first extent of '//name, v%extent(1), components)
    call expect(wrong, 'outputs in '//name, v%extent(2), outputs)
    do k = 1, 3
      call expect(wrong, 'the extent of points in '//name, v%extent(2 + k), extent(k))
    end do
  end subroutine

  pure type(c_ptr) function if_wanted(v, pointer)
    type(view), intent(in) :: v
    type(c_ptr), intent(in) :: pointer
    if_wanted = c_null_ptr
    if (v%wanted) if_wanted = pointer
  end function

  ! `sets` is an extent of `values` beyond the points.
  subroutine ask_model(self, parameters, options, points, values, sets, status, message)
    class(drr_model), intent(in) :: self
    type(view), intent(in) :: parameters, values
    type(c_sampler_options), intent(in) :: options
    type(places), intent(in) :: points
    logical, intent(in) :: sets
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    character(len=LINE) :: wrong
    integer(c_int64_t) :: rows
    integer(c_int32_t) :: code

    wrong = ''
    call expect_open(wrong, self, 'model')
    call expect_points(wrong, self, points)
    call expect_values(wrong, self, values, points%raw%count)
    if (wrong == '') then
      rows = merge(values%extent(3), points%raw%count, sets)
      call expect(wrong, 'the first extent of parameters', parameters%extent(1), &
          self%parameters_)
      call expect(wrong, 'the second extent of parameters', parameters%extent(2), rows)
    end if
    code = DRR_ERROR_INVALID_ARGUMENT
    if (wrong == '' .and. sets) then
      code = c_model_query_sets(self%handle, parameters_at(parameters), options, &
          points%raw, values_at(values), values%stride(3))
    else if (wrong == '') then
      code = c_model_query(self%handle, parameters_at(parameters), options, points%raw, &
          values_at(values))
    end if
    call finish(code, wrong, status, message)
  end subroutine

  subroutine ask_radiance(self, points, directions, values, status, message)
    class(drr_sampler), intent(in) :: self
    type(places), intent(in) :: points, directions
    type(view), intent(in) :: values
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    character(len=LINE) :: wrong
    integer(c_int32_t) :: code

    wrong = ''
    call expect_open(wrong, self, 'sampler')
    call expect_rays(wrong, points, directions)
    call expect(wrong, 'the first extent of values', values%extent(1), 4_c_int64_t)
    call expect(wrong, 'the extent of points in values', values%extent(2), points%raw%count)
    code = DRR_ERROR_INVALID_ARGUMENT
    if (wrong == '') &
      code = c_radiance_query(self%handle, points%raw, directions%raw, values_at(values))
    call finish(code, wrong, status, message)
  end subroutine

  pure subroutine expect_rays(wrong, points, directions)
    character(len=*), intent(inout) :: wrong
    type(places), intent(in) :: points, directions
    call expect(wrong, 'the number of coordinates', points%dims, 3_c_int64_t)
    call expect(wrong, 'the first extent of directions', directions%dims, 3_c_int64_t)
    call expect(wrong, 'the number of directions', directions%raw%count, points%raw%count)
  end subroutine

  subroutine sampler_render(self, camera, rgba, depth, options, scene_depth, status, message)
    class(drr_sampler), intent(in) :: self
    type(drr_camera), intent(in) :: camera
    real(real32), intent(inout), target, contiguous :: rgba(:, :, :)
    real(real32), intent(inout), target, contiguous, optional :: depth(:, :)
    type(drr_render_options), intent(in), optional :: options
    real(real32), intent(in), target, contiguous, optional :: scene_depth(:, :)
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    character(len=LINE) :: wrong
    type(c_radiance_options) :: how
    type(c_ptr) :: depths
    integer(c_int64_t) :: extent(3)
    integer(c_int32_t) :: code

    wrong = ''
    extent = shape(rgba, c_int64_t)
    depths = c_null_ptr
    how = options_at(options)
    call expect_open(wrong, self, 'sampler')
    call expect(wrong, 'the first extent of rgba', extent(1), 4_c_int64_t)
    if (present(depth)) then
      call expect(wrong, 'the width of depth', size(depth, 1, c_int64_t), extent(2))
      call expect(wrong, 'the height of depth', size(depth, 2, c_int64_t), extent(3))
      depths = c_loc(depth)
    end if
    if (present(scene_depth)) then
      call expect(wrong, 'the width of scene_depth', size(scene_depth, 1, c_int64_t), extent(2))
      call expect(wrong, 'the height of scene_depth', size(scene_depth, 2, c_int64_t), extent(3))
      how%scene_depth = c_loc(scene_depth)
    end if
    code = DRR_ERROR_INVALID_ARGUMENT
    if (wrong == '') code = c_radiance_render(self%handle, camera_at(camera), extent(2), extent(3), how, &
        c_loc(rgba), depths)
    call finish(code, wrong, status, message)
  end subroutine

  subroutine sampler_render_rays(self, origins, directions, rgba, depth, options, scene_depth, &
      status, message)
    class(drr_sampler), intent(in) :: self
    real(real64), intent(in), target :: origins(:, :), directions(:, :)
    real(real32), intent(inout), target, contiguous :: rgba(:, :)
    real(real32), intent(inout), target, contiguous, optional :: depth(:)
    type(drr_render_options), intent(in), optional :: options
    real(real32), intent(in), target, contiguous, optional :: scene_depth(:)
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    character(len=LINE) :: wrong
    type(places) :: from, along
    type(c_radiance_options) :: how
    type(c_ptr) :: depths
    integer(c_int32_t) :: code

    wrong = ''
    from = interleaved(view_of(origins))
    along = interleaved(view_of(directions))
    depths = c_null_ptr
    how = options_at(options)
    call expect_open(wrong, self, 'sampler')
    call expect_rays(wrong, from, along)
    call expect(wrong, 'the first extent of rgba', size(rgba, 1, c_int64_t), 4_c_int64_t)
    call expect(wrong, 'the second extent of rgba', size(rgba, 2, c_int64_t), from%raw%count)
    if (present(depth)) then
      call expect(wrong, 'the extent of depth', size(depth, 1, c_int64_t), from%raw%count)
      depths = c_loc(depth)
    end if
    if (present(scene_depth)) then
      call expect(wrong, 'the extent of scene_depth', size(scene_depth, 1, c_int64_t), &
          from%raw%count)
      how%scene_depth = c_loc(scene_depth)
    end if
    code = DRR_ERROR_INVALID_ARGUMENT
    if (wrong == '') code = c_radiance_render_rays(self%handle, from%raw, along%raw, how, &
        c_loc(rgba), depths)
    call finish(code, wrong, status, message)
  end subroutine

  ! From here on: what is above, for each kind, rank and layout.

  subroutine radiance_f32(self, xyz, directions, values, status, message)
    class(drr_sampler), intent(in) :: self
    real(real32), intent(in), target :: xyz(:, :), directions(:, :)
    real(real32), intent(inout), target :: values(:, :)
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    call ask_radiance(self, interleaved(view_of(xyz)), interleaved(view_of(directions)), &
        view_of(values), status, message)
  end subroutine

  subroutine radiance_f64(self, xyz, directions, values, status, message)
    class(drr_sampler), intent(in) :: self
    real(real64), intent(in), target :: xyz(:, :), directions(:, :)
    real(real64), intent(inout), target :: values(:, :)
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    call ask_radiance(self, interleaved(view_of(xyz)), interleaved(view_of(directions)), &
        view_of(values), status, message)
  end subroutine

  subroutine query_1_f32(self, xyz, values, status, message)
    class(drr_sampler), intent(in) :: self
    real(real32), intent(in), target :: xyz(:, :)
    real(real32), intent(inout), target :: values(:)
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    if (is_contiguous(xyz) .and. is_contiguous(values)) then
      if (fits(self, view_of(xyz), one_output(view_of(values)))) then
        call finish(c_sampler_query_f32(self%handle, size(xyz, 2, c_int64_t), c_loc(xyz(1, 1)), &
            c_loc(values(1))), '', status, message)
        return
      end if
    end if
    call ask_points(self, interleaved(view_of(xyz)), one_output(view_of(values)), status, message)
  end subroutine

  subroutine query_2_f32(self, xyz, values, status, message)
    class(drr_sampler), intent(in) :: self
    real(real32), intent(in), target :: xyz(:, :)
    real(real32), intent(inout), target :: values(:, :)
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    if (is_contiguous(xyz) .and. is_contiguous(values)) then
      if (fits(self, view_of(xyz), view_of(values))) then
        call finish(c_sampler_query_f32(self%handle, size(xyz, 2, c_int64_t), c_loc(xyz(1, 1)), &
            c_loc(values(1, 1))), '', status, message)
        return
      end if
    end if
    call ask_points(self, interleaved(view_of(xyz)), view_of(values), status, message)
  end subroutine

  subroutine query_xyz_1_f32(self, x, y, z, values, status, message)
    class(drr_sampler), intent(in) :: self
    real(real32), intent(in), target :: x(:), y(:), z(:)
    real(real32), intent(inout), target :: values(:)
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    call ask_points(self, separate(view_of(x), view_of(y), view_of(z)), &
        one_output(view_of(values)), status, message)
  end subroutine

  subroutine query_xyz_2_f32(self, x, y, z, values, status, message)
    class(drr_sampler), intent(in) :: self
    real(real32), intent(in), target :: x(:), y(:), z(:)
    real(real32), intent(inout), target :: values(:, :)
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    call ask_points(self, separate(view_of(x), view_of(y), view_of(z)), &
        view_of(values), status, message)
  end subroutine

  subroutine query_xy_1_f32(self, x, y, values, status, message)
    class(drr_sampler), intent(in) :: self
    real(real32), intent(in), target :: x(:), y(:)
    real(real32), intent(inout), target :: values(:)
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    call ask_points(self, separate(view_of(x), view_of(y)), &
        one_output(view_of(values)), status, message)
  end subroutine

  subroutine query_xy_2_f32(self, x, y, values, status, message)
    class(drr_sampler), intent(in) :: self
    real(real32), intent(in), target :: x(:), y(:)
    real(real32), intent(inout), target :: values(:, :)
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    call ask_points(self, separate(view_of(x), view_of(y)), view_of(values), status, message)
  end subroutine

  subroutine query_lattice_3_f32(self, origin, spacing, values, status, message)
    class(drr_sampler), intent(in) :: self
    real(real64), intent(in) :: origin(:), spacing(:)
    real(real32), intent(inout), target :: values(:, :, :)
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    call ask_lattice(self, origin, spacing, one_output(view_of(values)), status, message)
  end subroutine

  subroutine query_lattice_4_f32(self, origin, spacing, values, status, message)
    class(drr_sampler), intent(in) :: self
    real(real64), intent(in) :: origin(:), spacing(:)
    real(real32), intent(inout), target :: values(:, :, :, :)
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    call ask_lattice(self, origin, spacing, view_of(values), status, message)
  end subroutine

  subroutine query_gradient_f32(self, xyz, values, by_position, by_parameters, status, message)
    class(drr_sampler), intent(in) :: self
    real(real32), intent(in), target :: xyz(:, :)
    real(real32), intent(inout), target, optional :: values(:, :)
    real(real32), intent(inout), target, optional :: by_position(:, :, :), by_parameters(:, :, :)
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    type(view) :: to, position, parameters
    if (present(values)) to = view_of(values)
    if (present(by_position)) position = view_of(by_position)
    if (present(by_parameters)) parameters = view_of(by_parameters)
    call ask_gradient(self, interleaved(view_of(xyz)), to, position, &
        parameters, status, message)
  end subroutine

  subroutine query_gradient_xyz_f32(self, x, y, z, values, by_position, by_parameters, status, &
      message)
    class(drr_sampler), intent(in) :: self
    real(real32), intent(in), target :: x(:), y(:), z(:)
    real(real32), intent(inout), target, optional :: values(:, :)
    real(real32), intent(inout), target, optional :: by_position(:, :, :), by_parameters(:, :, :)
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    type(view) :: to, position, parameters
    if (present(values)) to = view_of(values)
    if (present(by_position)) position = view_of(by_position)
    if (present(by_parameters)) parameters = view_of(by_parameters)
    call ask_gradient(self, separate(view_of(x), view_of(y), view_of(z)), to, position, &
        parameters, status, message)
  end subroutine

  subroutine query_lattice_gradient_f32(self, origin, spacing, values, by_position, &
      by_parameters, status, message)
    class(drr_sampler), intent(in) :: self
    real(real64), intent(in) :: origin(:), spacing(:)
    real(real32), intent(inout), target :: values(:, :, :, :)
    real(real32), intent(inout), target, optional :: by_position(:, :, :, :, :)
    real(real32), intent(inout), target, optional :: by_parameters(:, :, :, :, :)
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    type(view) :: position, parameters
    if (present(by_position)) position = view_of(by_position)
    if (present(by_parameters)) parameters = view_of(by_parameters)
    call ask_lattice_gradient(self, origin, spacing, view_of(values), position, parameters, &
        status, message)
  end subroutine

  subroutine query_components_f32(self, xyz, u, v, w, status, message)
    class(drr_sampler), intent(in) :: self
    real(real32), intent(in), target :: xyz(:, :)
    real(real32), intent(inout), target :: u(:), v(:)
    real(real32), intent(inout), target, optional :: w(:)
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    type(view) :: values(3)
    values(1) = view_of(u)
    values(2) = view_of(v)
    if (present(w)) values(3) = view_of(w)
    call ask_components(self, interleaved(view_of(xyz)), values(:merge(3, 2, present(w))), &
        status, message)
  end subroutine

  subroutine query_components_xyz_f32(self, x, y, z, u, v, w, status, message)
    class(drr_sampler), intent(in) :: self
    real(real32), intent(in), target :: x(:), y(:), z(:)
    real(real32), intent(inout), target :: u(:), v(:)
    real(real32), intent(inout), target, optional :: w(:)
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    type(view) :: values(3)
    values(1) = view_of(u)
    values(2) = view_of(v)
    if (present(w)) values(3) = view_of(w)
    call ask_components(self, separate(view_of(x), view_of(y), view_of(z)), &
        values(:merge(3, 2, present(w))), status, message)
  end subroutine

  subroutine query_own_1_f32(self, parameters, xyz, values, units, outside, outside_parameters, &
      status, message)
    class(drr_model), intent(in) :: self
    real(real32), intent(in), target :: parameters(:, :), xyz(:, :)
    real(real32), intent(inout), target :: values(:)
    integer, intent(in), optional :: units, outside, outside_parameters
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    call ask_model(self, view_of(parameters), options_of(units, outside, outside_parameters), &
        interleaved(view_of(xyz)), one_output(view_of(values)), .false., status, message)
  end subroutine

  subroutine query_own_2_f32(self, parameters, xyz, values, units, outside, outside_parameters, &
      status, message)
    class(drr_model), intent(in) :: self
    real(real32), intent(in), target :: parameters(:, :), xyz(:, :)
    real(real32), intent(inout), target :: values(:, :)
    integer, intent(in), optional :: units, outside, outside_parameters
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    call ask_model(self, view_of(parameters), options_of(units, outside, outside_parameters), &
        interleaved(view_of(xyz)), view_of(values), .false., status, message)
  end subroutine

  subroutine query_sets_f32(self, parameters, xyz, values, units, outside, outside_parameters, &
      status, message)
    class(drr_model), intent(in) :: self
    real(real32), intent(in), target :: parameters(:, :), xyz(:, :)
    real(real32), intent(inout), target :: values(:, :, :)
    integer, intent(in), optional :: units, outside, outside_parameters
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    call ask_model(self, view_of(parameters), options_of(units, outside, outside_parameters), &
        interleaved(view_of(xyz)), view_of(values), .true., status, message)
  end subroutine

  function view_1_f32(a) result(v)
    real(real32), intent(in), target :: a(:)
    type(view) :: v
    v = new_view(F32)
    v%extent(:1) = shape(a, c_int64_t)
    if (size(a) == 0) return
    v%data = c_loc(a(1))
    if (size(a, 1) > 1) v%stride(1) = address(c_loc(a(2))) - address(v%data)
  end function

  function view_2_f32(a) result(v)
    real(real32), intent(in), target :: a(:, :)
    type(view) :: v
    v = new_view(F32)
    v%extent(:2) = shape(a, c_int64_t)
    if (size(a) == 0) return
    v%data = c_loc(a(1, 1))
    if (size(a, 1) > 1) v%stride(1) = address(c_loc(a(2, 1))) - address(v%data)
    if (size(a, 2) > 1) v%stride(2) = address(c_loc(a(1, 2))) - address(v%data)
  end function

  function view_3_f32(a) result(v)
    real(real32), intent(in), target :: a(:, :, :)
    type(view) :: v
    v = new_view(F32)
    v%extent(:3) = shape(a, c_int64_t)
    if (size(a) == 0) return
    v%data = c_loc(a(1, 1, 1))
    if (size(a, 1) > 1) v%stride(1) = address(c_loc(a(2, 1, 1))) - address(v%data)
    if (size(a, 2) > 1) v%stride(2) = address(c_loc(a(1, 2, 1))) - address(v%data)
    if (size(a, 3) > 1) v%stride(3) = address(c_loc(a(1, 1, 2))) - address(v%data)
  end function

  function view_4_f32(a) result(v)
    real(real32), intent(in), target :: a(:, :, :, :)
    type(view) :: v
    v = new_view(F32)
    v%extent(:4) = shape(a, c_int64_t)
    if (size(a) == 0) return
    v%data = c_loc(a(1, 1, 1, 1))
    if (size(a, 1) > 1) v%stride(1) = address(c_loc(a(2, 1, 1, 1))) - address(v%data)
    if (size(a, 2) > 1) v%stride(2) = address(c_loc(a(1, 2, 1, 1))) - address(v%data)
    if (size(a, 3) > 1) v%stride(3) = address(c_loc(a(1, 1, 2, 1))) - address(v%data)
    if (size(a, 4) > 1) v%stride(4) = address(c_loc(a(1, 1, 1, 2))) - address(v%data)
  end function

  function view_5_f32(a) result(v)
    real(real32), intent(in), target :: a(:, :, :, :, :)
    type(view) :: v
    v = new_view(F32)
    v%extent(:5) = shape(a, c_int64_t)
    if (size(a) == 0) return
    v%data = c_loc(a(1, 1, 1, 1, 1))
    if (size(a, 1) > 1) v%stride(1) = address(c_loc(a(2, 1, 1, 1, 1))) - address(v%data)
    if (size(a, 2) > 1) v%stride(2) = address(c_loc(a(1, 2, 1, 1, 1))) - address(v%data)
    if (size(a, 3) > 1) v%stride(3) = address(c_loc(a(1, 1, 2, 1, 1))) - address(v%data)
    if (size(a, 4) > 1) v%stride(4) = address(c_loc(a(1, 1, 1, 2, 1))) - address(v%data)
    if (size(a, 5) > 1) v%stride(5) = address(c_loc(a(1, 1, 1, 1, 2))) - address(v%data)
  end function

  subroutine query_1_f64(self, xyz, values, status, message)
    class(drr_sampler), intent(in) :: self
    real(real64), intent(in), target :: xyz(:, :)
    real(real64), intent(inout), target :: values(:)
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    if (is_contiguous(xyz) .and. is_contiguous(values)) then
      if (fits(self, view_of(xyz), one_output(view_of(values)))) then
        call finish(c_sampler_query_f64(self%handle, size(xyz, 2, c_int64_t), c_loc(xyz(1, 1)), &
            c_loc(values(1))), '', status, message)
        return
      end if
    end if
    call ask_points(self, interleaved(view_of(xyz)), one_output(view_of(values)), status, message)
  end subroutine

  subroutine query_2_f64(self, xyz, values, status, message)
    class(drr_sampler), intent(in) :: self
    real(real64), intent(in), target :: xyz(:, :)
    real(real64), intent(inout), target :: values(:, :)
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    if (is_contiguous(xyz) .and. is_contiguous(values)) then
      if (fits(self, view_of(xyz), view_of(values))) then
        call finish(c_sampler_query_f64(self%handle, size(xyz, 2, c_int64_t), c_loc(xyz(1, 1)), &
            c_loc(values(1, 1))), '', status, message)
        return
      end if
    end if
    call ask_points(self, interleaved(view_of(xyz)), view_of(values), status, message)
  end subroutine

  subroutine query_xyz_1_f64(self, x, y, z, values, status, message)
    class(drr_sampler), intent(in) :: self
    real(real64), intent(in), target :: x(:), y(:), z(:)
    real(real64), intent(inout), target :: values(:)
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    call ask_points(self, separate(view_of(x), view_of(y), view_of(z)), &
        one_output(view_of(values)), status, message)
  end subroutine

  subroutine query_xyz_2_f64(self, x, y, z, values, status, message)
    class(drr_sampler), intent(in) :: self
    real(real64), intent(in), target :: x(:), y(:), z(:)
    real(real64), intent(inout), target :: values(:, :)
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    call ask_points(self, separate(view_of(x), view_of(y), view_of(z)), &
        view_of(values), status, message)
  end subroutine

  subroutine query_xy_1_f64(self, x, y, values, status, message)
    class(drr_sampler), intent(in) :: self
    real(real64), intent(in), target :: x(:), y(:)
    real(real64), intent(inout), target :: values(:)
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    call ask_points(self, separate(view_of(x), view_of(y)), &
        one_output(view_of(values)), status, message)
  end subroutine

  subroutine query_xy_2_f64(self, x, y, values, status, message)
    class(drr_sampler), intent(in) :: self
    real(real64), intent(in), target :: x(:), y(:)
    real(real64), intent(inout), target :: values(:, :)
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    call ask_points(self, separate(view_of(x), view_of(y)), view_of(values), status, message)
  end subroutine

  subroutine query_lattice_3_f64(self, origin, spacing, values, status, message)
    class(drr_sampler), intent(in) :: self
    real(real64), intent(in) :: origin(:), spacing(:)
    real(real64), intent(inout), target :: values(:, :, :)
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    call ask_lattice(self, origin, spacing, one_output(view_of(values)), status, message)
  end subroutine

  subroutine query_lattice_4_f64(self, origin, spacing, values, status, message)
    class(drr_sampler), intent(in) :: self
    real(real64), intent(in) :: origin(:), spacing(:)
    real(real64), intent(inout), target :: values(:, :, :, :)
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    call ask_lattice(self, origin, spacing, view_of(values), status, message)
  end subroutine

  subroutine query_gradient_f64(self, xyz, values, by_position, by_parameters, status, message)
    class(drr_sampler), intent(in) :: self
    real(real64), intent(in), target :: xyz(:, :)
    real(real64), intent(inout), target, optional :: values(:, :)
    real(real64), intent(inout), target, optional :: by_position(:, :, :), by_parameters(:, :, :)
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    type(view) :: to, position, parameters
    if (present(values)) to = view_of(values)
    if (present(by_position)) position = view_of(by_position)
    if (present(by_parameters)) parameters = view_of(by_parameters)
    call ask_gradient(self, interleaved(view_of(xyz)), to, position, &
        parameters, status, message)
  end subroutine

  subroutine query_gradient_xyz_f64(self, x, y, z, values, by_position, by_parameters, status, &
      message)
    class(drr_sampler), intent(in) :: self
    real(real64), intent(in), target :: x(:), y(:), z(:)
    real(real64), intent(inout), target, optional :: values(:, :)
    real(real64), intent(inout), target, optional :: by_position(:, :, :), by_parameters(:, :, :)
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    type(view) :: to, position, parameters
    if (present(values)) to = view_of(values)
    if (present(by_position)) position = view_of(by_position)
    if (present(by_parameters)) parameters = view_of(by_parameters)
    call ask_gradient(self, separate(view_of(x), view_of(y), view_of(z)), to, position, &
        parameters, status, message)
  end subroutine

  subroutine query_lattice_gradient_f64(self, origin, spacing, values, by_position, &
      by_parameters, status, message)
    class(drr_sampler), intent(in) :: self
    real(real64), intent(in) :: origin(:), spacing(:)
    real(real64), intent(inout), target :: values(:, :, :, :)
    real(real64), intent(inout), target, optional :: by_position(:, :, :, :, :)
    real(real64), intent(inout), target, optional :: by_parameters(:, :, :, :, :)
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    type(view) :: position, parameters
    if (present(by_position)) position = view_of(by_position)
    if (present(by_parameters)) parameters = view_of(by_parameters)
    call ask_lattice_gradient(self, origin, spacing, view_of(values), position, parameters, &
        status, message)
  end subroutine

  subroutine query_components_f64(self, xyz, u, v, w, status, message)
    class(drr_sampler), intent(in) :: self
    real(real64), intent(in), target :: xyz(:, :)
    real(real64), intent(inout), target :: u(:), v(:)
    real(real64), intent(inout), target, optional :: w(:)
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    type(view) :: values(3)
    values(1) = view_of(u)
    values(2) = view_of(v)
    if (present(w)) values(3) = view_of(w)
    call ask_components(self, interleaved(view_of(xyz)), values(:merge(3, 2, present(w))), &
        status, message)
  end subroutine

  subroutine query_components_xyz_f64(self, x, y, z, u, v, w, status, message)
    class(drr_sampler), intent(in) :: self
    real(real64), intent(in), target :: x(:), y(:), z(:)
    real(real64), intent(inout), target :: u(:), v(:)
    real(real64), intent(inout), target, optional :: w(:)
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    type(view) :: values(3)
    values(1) = view_of(u)
    values(2) = view_of(v)
    if (present(w)) values(3) = view_of(w)
    call ask_components(self, separate(view_of(x), view_of(y), view_of(z)), &
        values(:merge(3, 2, present(w))), status, message)
  end subroutine

  subroutine query_own_1_f64(self, parameters, xyz, values, units, outside, outside_parameters, &
      status, message)
    class(drr_model), intent(in) :: self
    real(real64), intent(in), target :: parameters(:, :), xyz(:, :)
    real(real64), intent(inout), target :: values(:)
    integer, intent(in), optional :: units, outside, outside_parameters
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    call ask_model(self, view_of(parameters), options_of(units, outside, outside_parameters), &
        interleaved(view_of(xyz)), one_output(view_of(values)), .false., status, message)
  end subroutine

  subroutine query_own_2_f64(self, parameters, xyz, values, units, outside, outside_parameters, &
      status, message)
    class(drr_model), intent(in) :: self
    real(real64), intent(in), target :: parameters(:, :), xyz(:, :)
    real(real64), intent(inout), target :: values(:, :)
    integer, intent(in), optional :: units, outside, outside_parameters
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    call ask_model(self, view_of(parameters), options_of(units, outside, outside_parameters), &
        interleaved(view_of(xyz)), view_of(values), .false., status, message)
  end subroutine

  subroutine query_sets_f64(self, parameters, xyz, values, units, outside, outside_parameters, &
      status, message)
    class(drr_model), intent(in) :: self
    real(real64), intent(in), target :: parameters(:, :), xyz(:, :)
    real(real64), intent(inout), target :: values(:, :, :)
    integer, intent(in), optional :: units, outside, outside_parameters
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    call ask_model(self, view_of(parameters), options_of(units, outside, outside_parameters), &
        interleaved(view_of(xyz)), view_of(values), .true., status, message)
  end subroutine

  function view_1_f64(a) result(v)
    real(real64), intent(in), target :: a(:)
    type(view) :: v
    v = new_view(F64)
    v%extent(:1) = shape(a, c_int64_t)
    if (size(a) == 0) return
    v%data = c_loc(a(1))
    if (size(a, 1) > 1) v%stride(1) = address(c_loc(a(2))) - address(v%data)
  end function

  function view_2_f64(a) result(v)
    real(real64), intent(in), target :: a(:, :)
    type(view) :: v
    v = new_view(F64)
    v%extent(:2) = shape(a, c_int64_t)
    if (size(a) == 0) return
    v%data = c_loc(a(1, 1))
    if (size(a, 1) > 1) v%stride(1) = address(c_loc(a(2, 1))) - address(v%data)
    if (size(a, 2) > 1) v%stride(2) = address(c_loc(a(1, 2))) - address(v%data)
  end function

  function view_3_f64(a) result(v)
    real(real64), intent(in), target :: a(:, :, :)
    type(view) :: v
    v = new_view(F64)
    v%extent(:3) = shape(a, c_int64_t)
    if (size(a) == 0) return
    v%data = c_loc(a(1, 1, 1))
    if (size(a, 1) > 1) v%stride(1) = address(c_loc(a(2, 1, 1))) - address(v%data)
    if (size(a, 2) > 1) v%stride(2) = address(c_loc(a(1, 2, 1))) - address(v%data)
    if (size(a, 3) > 1) v%stride(3) = address(c_loc(a(1, 1, 2))) - address(v%data)
  end function

  function view_4_f64(a) result(v)
    real(real64), intent(in), target :: a(:, :, :, :)
    type(view) :: v
    v = new_view(F64)
    v%extent(:4) = shape(a, c_int64_t)
    if (size(a) == 0) return
    v%data = c_loc(a(1, 1, 1, 1))
    if (size(a, 1) > 1) v%stride(1) = address(c_loc(a(2, 1, 1, 1))) - address(v%data)
    if (size(a, 2) > 1) v%stride(2) = address(c_loc(a(1, 2, 1, 1))) - address(v%data)
    if (size(a, 3) > 1) v%stride(3) = address(c_loc(a(1, 1, 2, 1))) - address(v%data)
    if (size(a, 4) > 1) v%stride(4) = address(c_loc(a(1, 1, 1, 2))) - address(v%data)
  end function

  function view_5_f64(a) result(v)
    real(real64), intent(in), target :: a(:, :, :, :, :)
    type(view) :: v
    v = new_view(F64)
    v%extent(:5) = shape(a, c_int64_t)
    if (size(a) == 0) return
    v%data = c_loc(a(1, 1, 1, 1, 1))
    if (size(a, 1) > 1) v%stride(1) = address(c_loc(a(2, 1, 1, 1, 1))) - address(v%data)
    if (size(a, 2) > 1) v%stride(2) = address(c_loc(a(1, 2, 1, 1, 1))) - address(v%data)
    if (size(a, 3) > 1) v%stride(3) = address(c_loc(a(1, 1, 2, 1, 1))) - address(v%data)
    if (size(a, 4) > 1) v%stride(4) = address(c_loc(a(1, 1, 1, 2, 1))) - address(v%data)
    if (size(a, 5) > 1) v%stride(5) = address(c_loc(a(1, 1, 1, 1, 2))) - address(v%data)
  end function
end module drr
