!> The C interface for GPUs as Fortran sees it; programs use module drr_cuda.
module drr_cuda_c
  use, intrinsic :: iso_c_binding
  use drr_c
  implicit none
  public

  type, bind(c) :: c_device_options
    integer(c_int32_t) :: struct_size = 16, kernel = 0
    type(c_ptr) :: context = c_null_ptr
  end type

  type, bind(c) :: c_device_info
    integer(c_int32_t) :: struct_size = 32, ordinal = 0
    integer(c_int64_t) :: memory_bytes = 0
    type(c_ptr) :: device = c_null_ptr, kernel = c_null_ptr
  end type

  interface
    function c_device_count(count) bind(c, name='drr_device_count') result(answer)
      import :: c_int32_t
      integer(c_int32_t), intent(out) :: count
      integer(c_int32_t) :: answer
    end function

    function c_model_to_device(model, ordinal, options, device_model) &
        bind(c, name='drr_model_to_device') result(answer)
      import :: c_device_options, c_int32_t, c_ptr
      type(c_ptr), value :: model
      integer(c_int32_t), value :: ordinal
      type(c_device_options), intent(in) :: options
      type(c_ptr), intent(out) :: device_model
      integer(c_int32_t) :: answer
    end function

    subroutine c_device_model_close(device_model) bind(c, name='drr_device_model_close')
      import :: c_ptr
      type(c_ptr), value :: device_model
    end subroutine

    function c_device_model_get_info(device_model, info) &
        bind(c, name='drr_device_model_get_info') result(answer)
      import :: c_device_info, c_int32_t, c_ptr
      type(c_ptr), value :: device_model
      type(c_device_info), intent(inout) :: info
      integer(c_int32_t) :: answer
    end function

    function c_device_model_query(device_model, parameters, options, points, values, stream) &
        bind(c, name='drr_device_model_query') result(answer)
      import :: c_int32_t, c_parameters, c_points, c_ptr, c_sampler_options, c_values
      type(c_ptr), value :: device_model, stream
      type(c_parameters), intent(in) :: parameters
      type(c_sampler_options), intent(in) :: options
      type(c_points), intent(in) :: points
      type(c_values), intent(in) :: values
      integer(c_int32_t) :: answer
    end function

    function c_device_sampler_create(device_model, parameters, count, options, sampler) &
        bind(c, name='drr_device_sampler_create') result(answer)
      import :: c_double, c_int32_t, c_int64_t, c_ptr, c_sampler_options
      type(c_ptr), value :: device_model
      real(c_double), intent(in) :: parameters(*)
      integer(c_int64_t), value :: count
      type(c_sampler_options), intent(in) :: options
      type(c_ptr), intent(out) :: sampler
      integer(c_int32_t) :: answer
    end function

    subroutine c_device_sampler_free(sampler) bind(c, name='drr_device_sampler_free')
      import :: c_ptr
      type(c_ptr), value :: sampler
    end subroutine

    function c_device_sampler_set_parameters(sampler, parameters, count, stream) &
        bind(c, name='drr_device_sampler_set_parameters') result(answer)
      import :: c_double, c_int32_t, c_int64_t, c_ptr
      type(c_ptr), value :: sampler, stream
      real(c_double), intent(in) :: parameters(*)
      integer(c_int64_t), value :: count
      integer(c_int32_t) :: answer
    end function

    function c_device_sampler_query(sampler, points, values, stream) &
        bind(c, name='drr_device_sampler_query') result(answer)
      import :: c_int32_t, c_points, c_ptr, c_values
      type(c_ptr), value :: sampler, stream
      type(c_points), intent(in) :: points
      type(c_values), intent(in) :: values
      integer(c_int32_t) :: answer
    end function

    function c_device_sampler_query_gradient(sampler, points, values, by_position, &
        by_parameters, stream) &
        bind(c, name='drr_device_sampler_query_gradient') result(answer)
      import :: c_int32_t, c_points, c_ptr
      type(c_ptr), value :: sampler, values, by_position, by_parameters, stream
      type(c_points), intent(in) :: points
      integer(c_int32_t) :: answer
    end function

    function c_device_radiance_query(sampler, points, directions, values, stream) &
        bind(c, name='drr_device_radiance_query') result(answer)
      import :: c_int32_t, c_points, c_ptr, c_values
      type(c_ptr), value :: sampler, stream
      type(c_points), intent(in) :: points, directions
      type(c_values), intent(in) :: values
      integer(c_int32_t) :: answer
    end function

    function c_device_radiance_render(sampler, camera, width, height, options, rgba, depth, &
        stream) bind(c, name='drr_device_radiance_render') result(answer)
      import :: c_camera, c_int32_t, c_int64_t, c_ptr, c_radiance_options
      type(c_ptr), value :: sampler, rgba, depth, stream
      type(c_camera), intent(in) :: camera
      integer(c_int64_t), value :: width, height
      type(c_radiance_options), intent(in) :: options
      integer(c_int32_t) :: answer
    end function

    function c_device_radiance_render_rays(sampler, origins, directions, options, rgba, depth, &
        stream) bind(c, name='drr_device_radiance_render_rays') result(answer)
      import :: c_int32_t, c_points, c_ptr, c_radiance_options
      type(c_ptr), value :: sampler, rgba, depth, stream
      type(c_points), intent(in) :: origins, directions
      type(c_radiance_options), intent(in) :: options
      integer(c_int32_t) :: answer
    end function

    function c_device_sampler_query_host(sampler, points, values) &
        bind(c, name='drr_device_sampler_query_host') result(answer)
      import :: c_int32_t, c_points, c_ptr, c_values
      type(c_ptr), value :: sampler
      type(c_points), intent(in) :: points
      type(c_values), intent(in) :: values
      integer(c_int32_t) :: answer
    end function

    function c_device_sampler_query_lattice(sampler, lattice, values, stream) &
        bind(c, name='drr_device_sampler_query_lattice') result(answer)
      import :: c_int32_t, c_lattice, c_ptr, c_values
      type(c_ptr), value :: sampler, stream
      type(c_lattice), intent(in) :: lattice
      type(c_values), intent(in) :: values
      integer(c_int32_t) :: answer
    end function

    function c_device_sampler_query_lattice_gradient(sampler, lattice, values, by_position, &
        by_parameters, stream) &
        bind(c, name='drr_device_sampler_query_lattice_gradient') result(answer)
      import :: c_int32_t, c_lattice, c_ptr
      type(c_ptr), value :: sampler, values, by_position, by_parameters, stream
      type(c_lattice), intent(in) :: lattice
      integer(c_int32_t) :: answer
    end function

    function c_device_sampler_query_lattice_host(sampler, lattice, values) &
        bind(c, name='drr_device_sampler_query_lattice_host') result(answer)
      import :: c_int32_t, c_lattice, c_ptr, c_values
      type(c_ptr), value :: sampler
      type(c_lattice), intent(in) :: lattice
      type(c_values), intent(in) :: values
      integer(c_int32_t) :: answer
    end function
  end interface
end module drr_cuda_c

!> drr on GPUs for Fortran 2008: values for arrays in a GPU's memory, on the caller's stream.
!>
!>     use drr
!>     use drr_cuda
!>     type(drr_device_model) :: there
!>     type(drr_device_sampler) :: sampler
!>     call there%create(model, 0)                     ! GPU 0; compares itself with the CPU
!>     call sampler%create(there, [0.3d0, 1.2d0])
!>     !$acc host_data use_device(xyz, energy)
!>     call sampler%query(c_loc(xyz), n, c_loc(energy), DRR_F32, stream)
!>     !$acc end host_data
!>
!> Arrays of a GPU are given by their addresses there: c_loc within OpenACC's host_data or OpenMP's
!> use_device_ptr, c_devloc of CUDA Fortran. They are without gaps, all of a call of one type
!> (DRR_F32, DRR_F64; results also DRR_F16, if `results` says so), their dimensions as in module
!> drr: xyz(dims, n), values(outputs, n). `stream` is a cudaStream_t as c_ptr; without it, the
!> default one.
!>
!> Calls for arrays of a GPU are queued: they neither wait nor allocate. What they are given, and
!> the sampler, must stay until the stream got to the end of them. A sampler belongs to one stream
!> at a time.
!>
!> `status` and `message`, and when objects free themselves: as in module drr.
module drr_cuda
  use, intrinsic :: iso_c_binding
  use, intrinsic :: iso_fortran_env, only: real64
  use drr_c
  use drr_cuda_c
  use drr
  implicit none
  private

  public :: drr_device_model, drr_device_sampler, drr_device_count

  !> Types of numbers.
  integer, parameter, public :: DRR_F32 = 0, DRR_F64 = 1, DRR_F16 = 2
  !> Kernels: tensor cores where they can (the default), in 32 bits, or tensor cores or an error.
  integer, parameter, public :: DRR_DEVICE_KERNEL_AUTO = 0, DRR_DEVICE_KERNEL_PORTABLE = 1, &
      DRR_DEVICE_KERNEL_TENSOR = 2

  integer, parameter :: LINE = 120 ! of what a message says that is made here
  character(len=*), parameter :: EMPTY = 'the object is empty: never created, or closed'

  ! A handle that goes with its object.
  type :: owner
    private
    type(c_ptr) :: handle = c_null_ptr
    logical :: is_model = .false.
    ! Address of the object that made the handle: compilers copy objects without telling.
    integer(c_intptr_t) :: home = 0
    integer(c_int64_t) :: dims = 0, parameters = 0, outputs = 0
  contains
    !> Frees it now; it is empty then. No work of it may be under way.
    procedure :: close => owner_close
    !> Whether it is not empty.
    procedure :: is_open => owner_is_open
    final :: owner_final
  end type

  !> A model in the memory of a GPU. Its samplers keep what they need of it.
  type, extends(owner) :: drr_device_model
  contains
    procedure :: create => model_create
    procedure :: device => model_device
    procedure :: kernel => model_kernel
    procedure :: memory_bytes => model_memory_bytes
    procedure :: query => model_query
  end type

  !> A model on a GPU bound to one set of simulation parameters.
  type, extends(owner) :: drr_device_sampler
  contains
    procedure :: create => sampler_create
    procedure :: set_parameters => sampler_set_parameters
    procedure, private :: query_packed, query_xyz
    !> Values at points in the GPU's memory; queued.
    !>     call sampler%query(xyz, n, values, scalar, stream, results, status, message)
    !>     call sampler%query(x, y, z, n, values, scalar, stream, results, status, message)
    generic :: query => query_packed, query_xyz
    procedure :: query_lattice => sampler_query_lattice
    procedure :: query_gradient => sampler_query_gradient
    procedure :: query_lattice_gradient => sampler_query_lattice_gradient
    procedure :: radiance => sampler_radiance
    procedure :: render => sampler_render
    procedure :: render_rays => sampler_render_rays
    procedure :: query_host => sampler_query_host
    procedure :: query_lattice_host => sampler_query_lattice_host
  end type

contains

  !> Number of GPUs that NVIDIA's driver shows; 0 without a driver.
  integer function drr_device_count(status, message) result(count)
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    integer(c_int32_t) :: found
    found = 0
    call finish(c_device_count(found), '', status, message)
    count = int(found)
  end function

  !> Copies an open model to a GPU, compares some hundred values there with the CPU's, and waits.
  !> device: its number, as CUDA counts; kernel: constants above; context: a CUcontext that outlives
  !> the object, else the primary one (that of CUDA Fortran, OpenACC, OpenMP).
  subroutine model_create(self, model, device, kernel, context, status, message)
    class(drr_device_model), intent(inout) :: self
    type(drr_model), intent(in) :: model
    integer, intent(in) :: device
    integer, intent(in), optional :: kernel
    type(c_ptr), intent(in), optional :: context
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    type(c_device_options) :: options
    type(c_ptr) :: handle
    integer(c_int32_t) :: code
    character(len=LINE) :: wrong

    call self%close()
    if (present(kernel)) options%kernel = int(kernel, c_int32_t)
    if (present(context)) options%context = context
    wrong = ''
    if (device < 0) write (wrong, '(a, i0, a)') 'device ', device, ', expected 0 or more'
    code = DRR_ERROR_INVALID_ARGUMENT
    if (wrong == '') &
      code = c_model_to_device(model%c_handle(), int(device, c_int32_t), options, handle)
    if (code == DRR_OK) then
      self%handle = handle
      self%is_model = .true.
      self%home = place_of(self)
      self%dims = model%dims()
      self%parameters = model%parameters()
      self%outputs = model%outputs()
    end if
    call finish(code, wrong, status, message)
  end subroutine

  !> Number and name of the GPU: cuda:0 (...). Blank if it is empty.
  function model_device(self) result(device)
    class(drr_device_model), intent(in) :: self
    character(len=:), allocatable :: device
    type(c_device_info) :: info
    device = ''
    if (c_device_model_get_info(self%handle, info) == DRR_OK) device = text_at(info%device)
  end function

  !> Name of the kernel in use: portable or tensor. Blank if it is empty.
  function model_kernel(self) result(kernel)
    class(drr_device_model), intent(in) :: self
    character(len=:), allocatable :: kernel
    type(c_device_info) :: info
    kernel = ''
    if (c_device_model_get_info(self%handle, info) == DRR_OK) kernel = text_at(info%kernel)
  end function

  !> Memory of the GPU that the model takes in bytes, without its samplers; 0 if it is empty.
  integer(c_int64_t) function model_memory_bytes(self) result(bytes)
    class(drr_device_model), intent(in) :: self
    type(c_device_info) :: info
    bytes = 0
    if (c_device_model_get_info(self%handle, info) == DRR_OK) bytes = info%memory_bytes
  end function

  !> Values at points of which each has parameters of its own, all in the GPU's memory; queued.
  !> parameters(parameters, n), xyz(dims, n), values(outputs, n).
  subroutine model_query(self, parameters, xyz, n, values, scalar, stream, results, units, &
      outside, outside_parameters, status, message)
    class(drr_device_model), intent(in) :: self
    type(c_ptr), intent(in) :: parameters, xyz, values
    integer(c_int64_t), intent(in) :: n
    integer, intent(in) :: scalar
    type(c_ptr), intent(in), optional :: stream
    integer, intent(in), optional :: results, units, outside, outside_parameters
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    type(c_parameters) :: rows
    rows%scalar = int(scalar, c_int32_t)
    rows%count = n
    rows%data = parameters
    call finish(c_device_model_query(self%handle, rows, &
        options_of(units, outside, outside_parameters), packed(self, xyz, n, scalar), &
        values_at(values, scalar, results), address_of(stream)), '', status, message)
  end subroutine

  !> Binds a model on a GPU to simulation parameters, in the model's order, and waits for that.
  !> units, outside (not DRR_OUTSIDE_ERROR), outside_parameters: constants of module drr.
  subroutine sampler_create(self, model, parameters, units, outside, outside_parameters, &
      status, message)
    class(drr_device_sampler), intent(inout) :: self
    type(drr_device_model), intent(in) :: model
    real(real64), intent(in) :: parameters(:)
    integer, intent(in), optional :: units, outside, outside_parameters
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    type(c_ptr) :: handle
    integer(c_int32_t) :: code

    call self%close()
    code = c_device_sampler_create(model%handle, row_of(parameters), &
        size(parameters, kind=c_int64_t), options_of(units, outside, outside_parameters), handle)
    if (code == DRR_OK) then
      self%handle = handle
      self%home = place_of(self)
      self%dims = model%dims
      self%parameters = model%parameters
      self%outputs = model%outputs
    end if
    call finish(code, '', status, message)
  end subroutine

  !> Binds it to other parameters: what is queued on `stream` afterwards is answered for them.
  subroutine sampler_set_parameters(self, parameters, stream, status, message)
    class(drr_device_sampler), intent(in) :: self
    real(real64), intent(in) :: parameters(:)
    type(c_ptr), intent(in), optional :: stream
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    call finish(c_device_sampler_set_parameters(self%handle, row_of(parameters), &
        size(parameters, kind=c_int64_t), address_of(stream)), '', status, message)
  end subroutine

  subroutine query_packed(self, xyz, n, values, scalar, stream, results, status, message)
    class(drr_device_sampler), intent(in) :: self
    type(c_ptr), intent(in) :: xyz, values
    integer(c_int64_t), intent(in) :: n
    integer, intent(in) :: scalar
    type(c_ptr), intent(in), optional :: stream
    integer, intent(in), optional :: results
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    call finish(c_device_sampler_query(self%handle, packed(self, xyz, n, scalar), &
        values_at(values, scalar, results), address_of(stream)), '', status, message)
  end subroutine

  subroutine query_xyz(self, x, y, z, n, values, scalar, stream, results, status, message)
    class(drr_device_sampler), intent(in) :: self
    type(c_ptr), intent(in) :: x, y, z, values
    integer(c_int64_t), intent(in) :: n
    integer, intent(in) :: scalar
    type(c_ptr), intent(in), optional :: stream
    integer, intent(in), optional :: results
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    call finish(c_device_sampler_query(self%handle, separate([x, y, z], n, scalar), &
        values_at(values, scalar, results), address_of(stream)), '', status, message)
  end subroutine

  !> Values on a lattice as in `drr_sampler`: values(outputs, nx, ny, nz) in the GPU's memory;
  !> queued. extent(dims): points along each axis.
  subroutine sampler_query_lattice(self, origin, spacing, extent, values, scalar, stream, status, &
      message)
    class(drr_device_sampler), intent(in) :: self
    real(real64), intent(in) :: origin(:), spacing(:)
    integer, intent(in) :: extent(:)
    type(c_ptr), intent(in) :: values
    integer, intent(in) :: scalar
    type(c_ptr), intent(in), optional :: stream
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    character(len=LINE) :: wrong
    integer(c_int32_t) :: code
    wrong = wrong_lattice(self, origin, spacing, extent)
    code = DRR_ERROR_INVALID_ARGUMENT
    if (wrong == '') code = c_device_sampler_query_lattice(self%handle, &
        lattice_of(origin, spacing, extent), values_at(values, scalar), address_of(stream))
    call finish(code, wrong, status, message)
  end subroutine

  !> Values and derivatives at points in the GPU's memory; queued. c_null_ptr: not wanted.
  !> values(outputs, n), by_position(dims, outputs, n), by_parameters(parameters, outputs, n).
  subroutine sampler_query_gradient(self, xyz, n, values, by_position, by_parameters, scalar, &
      stream, status, message)
    class(drr_device_sampler), intent(in) :: self
    type(c_ptr), intent(in) :: xyz, values, by_position, by_parameters
    integer(c_int64_t), intent(in) :: n
    integer, intent(in) :: scalar
    type(c_ptr), intent(in), optional :: stream
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    type(c_values), target :: to
    type(c_gradients), target :: position, parameters
    to = values_at(values, scalar)
    position = gradients_at(by_position, scalar)
    parameters = gradients_at(by_parameters, scalar)
    call finish(c_device_sampler_query_gradient(self%handle, packed(self, xyz, n, scalar), &
        if_given(values, c_loc(to)), if_given(by_position, c_loc(position)), &
        if_given(by_parameters, c_loc(parameters)), address_of(stream)), '', status, message)
  end subroutine

  !> The same on a lattice, (..., nx, ny, nz) in place of (..., n).
  subroutine sampler_query_lattice_gradient(self, origin, spacing, extent, values, by_position, &
      by_parameters, scalar, stream, status, message)
    class(drr_device_sampler), intent(in) :: self
    real(real64), intent(in) :: origin(:), spacing(:)
    integer, intent(in) :: extent(:)
    type(c_ptr), intent(in) :: values, by_position, by_parameters
    integer, intent(in) :: scalar
    type(c_ptr), intent(in), optional :: stream
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    type(c_values), target :: to
    type(c_gradients), target :: position, parameters
    character(len=LINE) :: wrong
    integer(c_int32_t) :: code
    wrong = wrong_lattice(self, origin, spacing, extent)
    to = values_at(values, scalar)
    position = gradients_at(by_position, scalar)
    parameters = gradients_at(by_parameters, scalar)
    code = DRR_ERROR_INVALID_ARGUMENT
    if (wrong == '') code = c_device_sampler_query_lattice_gradient(self%handle, &
        lattice_of(origin, spacing, extent), if_given(values, c_loc(to)), &
        if_given(by_position, c_loc(position)), if_given(by_parameters, c_loc(parameters)), &
        address_of(stream))
    call finish(code, wrong, status, message)
  end subroutine

  !> Densities and colours of a radiance field, each point seen along a direction, in the GPU's
  !> memory; queued. xyz(3, n), directions(3, n), values(4, n): density, red, green, blue.
  subroutine sampler_radiance(self, xyz, directions, n, values, scalar, stream, status, message)
    class(drr_device_sampler), intent(in) :: self
    type(c_ptr), intent(in) :: xyz, directions, values
    integer(c_int64_t), intent(in) :: n
    integer, intent(in) :: scalar
    type(c_ptr), intent(in), optional :: stream
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    call finish(c_device_radiance_query(self%handle, packed(self, xyz, n, scalar), &
        packed(self, directions, n, scalar), values_at(values, scalar), address_of(stream)), '', &
        status, message)
  end subroutine

  !> A picture of a radiance field as a camera sees it, 32-bit numbers in the GPU's memory; queued.
  !> rgba(4, width, height); depth(width, height) and scene_depth(width, height), if given.
  subroutine sampler_render(self, camera, width, height, rgba, depth, options, scene_depth, stream, &
      status, message)
    class(drr_device_sampler), intent(in) :: self
    type(drr_camera), intent(in) :: camera
    integer, intent(in) :: width, height
    type(c_ptr), intent(in) :: rgba
    type(c_ptr), intent(in), optional :: depth, scene_depth, stream
    type(drr_render_options), intent(in), optional :: options
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    type(c_radiance_options) :: how
    character(len=LINE) :: wrong
    integer(c_int32_t) :: code
    wrong = ''
    if (width < 0 .or. height < 0) wrong = 'width or height is negative'
    how = options_at(options)
    how%scene_depth = address_of(scene_depth)
    code = DRR_ERROR_INVALID_ARGUMENT
    if (wrong == '') code = c_device_radiance_render(self%handle, camera_at(camera), &
        int(width, c_int64_t), int(height, c_int64_t), how, rgba, address_of(depth), &
        address_of(stream))
    call finish(code, wrong, status, message)
  end subroutine

  !> The same for rays of any kind: origins(3, n), directions(3, n) of `scalar`; rgba(4, n), and
  !> depth(n) and scene_depth(n), if given, of 32 bits.
  subroutine sampler_render_rays(self, origins, directions, n, scalar, rgba, depth, options, &
      scene_depth, stream, status, message)
    class(drr_device_sampler), intent(in) :: self
    type(c_ptr), intent(in) :: origins, directions, rgba
    integer(c_int64_t), intent(in) :: n
    integer, intent(in) :: scalar
    type(c_ptr), intent(in), optional :: depth, scene_depth, stream
    type(drr_render_options), intent(in), optional :: options
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    type(c_radiance_options) :: how
    how = options_at(options)
    how%scene_depth = address_of(scene_depth)
    call finish(c_device_radiance_render_rays(self%handle, packed(self, origins, n, scalar), &
        packed(self, directions, n, scalar), how, rgba, address_of(depth), address_of(stream)), '', &
        status, message)
  end subroutine

  !> Values at points, both in memory of the host; waits. Addresses are those of the host (c_loc).
  subroutine sampler_query_host(self, xyz, n, values, scalar, results, status, message)
    class(drr_device_sampler), intent(in) :: self
    type(c_ptr), intent(in) :: xyz, values
    integer(c_int64_t), intent(in) :: n
    integer, intent(in) :: scalar
    integer, intent(in), optional :: results
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    call finish(c_device_sampler_query_host(self%handle, packed(self, xyz, n, scalar), &
        values_at(values, scalar, results)), '', status, message)
  end subroutine

  !> Values on a lattice, values(outputs, nx, ny, nz) in memory of the host; waits.
  subroutine sampler_query_lattice_host(self, origin, spacing, extent, values, scalar, status, &
      message)
    class(drr_device_sampler), intent(in) :: self
    real(real64), intent(in) :: origin(:), spacing(:)
    integer, intent(in) :: extent(:)
    type(c_ptr), intent(in) :: values
    integer, intent(in) :: scalar
    integer, intent(out), optional :: status
    character(len=*), intent(inout), optional :: message
    character(len=LINE) :: wrong
    integer(c_int32_t) :: code
    wrong = wrong_lattice(self, origin, spacing, extent)
    code = DRR_ERROR_INVALID_ARGUMENT
    if (wrong == '') code = c_device_sampler_query_lattice_host(self%handle, &
        lattice_of(origin, spacing, extent), values_at(values, scalar))
    call finish(code, wrong, status, message)
  end subroutine

  subroutine owner_close(self)
    class(owner), intent(inout) :: self
    call let_go(self)
  end subroutine

  pure logical function owner_is_open(self) result(is_open)
    class(owner), intent(in) :: self
    is_open = c_associated(self%handle)
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
        call c_device_model_close(self%handle)
      else
        call c_device_sampler_free(self%handle)
      end if
    end if
    self%handle = c_null_ptr
    self%home = 0
  end subroutine

  integer(c_intptr_t) function place_of(self)
    class(owner), intent(in), target :: self
    place_of = transfer(c_loc(self%home), place_of)
  end function

  pure function row_of(parameters) result(row)
    real(real64), intent(in) :: parameters(:)
    real(c_double) :: row(max(1, size(parameters)))
    row = 0
    row(:size(parameters)) = parameters
  end function

  ! Of what may be left out.
  type(c_ptr) function address_of(given)
    type(c_ptr), intent(in), optional :: given
    address_of = c_null_ptr
    if (present(given)) address_of = given
  end function

  ! xyz(dims, n) without gaps.
  type(c_points) function packed(self, xyz, n, scalar) result(points)
    class(owner), intent(in) :: self
    type(c_ptr), intent(in) :: xyz
    integer(c_int64_t), intent(in) :: n
    integer, intent(in) :: scalar
    integer(c_intptr_t) :: first
    integer(c_int64_t) :: number
    integer :: k
    number = merge(8, 4, scalar == DRR_F64)
    points%scalar = int(scalar, c_int32_t)
    points%count = n
    first = transfer(xyz, first)
    do k = 1, int(self%dims)
      points%axis(k) = c_null_ptr
      if (c_associated(xyz)) points%axis(k) = transfer(first + (k - 1)*number, points%axis(k))
      points%stride(k) = self%dims*number
    end do
  end function

  ! x(n), y(n), z(n) without gaps; what the model has no axis for is not read.
  type(c_points) function separate(axes, n, scalar) result(points)
    type(c_ptr), intent(in) :: axes(3)
    integer(c_int64_t), intent(in) :: n
    integer, intent(in) :: scalar
    points%scalar = int(scalar, c_int32_t)
    points%count = n
    points%axis = axes
    points%stride = merge(8, 4, scalar == DRR_F64)
  end function

  type(c_values) function values_at(address, scalar, results) result(values)
    type(c_ptr), intent(in) :: address
    integer, intent(in) :: scalar
    integer, intent(in), optional :: results
    values%scalar = int(scalar, c_int32_t)
    if (present(results)) values%scalar = int(results, c_int32_t)
    values%data = address
  end function

  type(c_gradients) function gradients_at(address, scalar) result(gradients)
    type(c_ptr), intent(in) :: address
    integer, intent(in) :: scalar
    gradients%scalar = int(scalar, c_int32_t)
    gradients%data = address
  end function

  type(c_ptr) function if_given(address, description)
    type(c_ptr), intent(in) :: address, description
    if_given = c_null_ptr
    if (c_associated(address)) if_given = description
  end function

  function wrong_lattice(self, origin, spacing, extent) result(wrong)
    class(owner), intent(in) :: self
    real(real64), intent(in) :: origin(:), spacing(:)
    integer, intent(in) :: extent(:)
    character(len=LINE) :: wrong
    wrong = ''
    if (.not. self%is_open()) wrong = EMPTY
    call expect(wrong, 'size of origin', size(origin, kind=c_int64_t), self%dims)
    call expect(wrong, 'size of spacing', size(spacing, kind=c_int64_t), self%dims)
    call expect(wrong, 'size of extent', size(extent, kind=c_int64_t), self%dims)
    if (wrong == '' .and. any(extent < 0)) wrong = 'extent is negative'
  end function

  pure type(c_lattice) function lattice_of(origin, spacing, extent) result(lattice)
    real(real64), intent(in) :: origin(:), spacing(:)
    integer, intent(in) :: extent(:)
    integer :: k
    do k = 1, size(origin)
      lattice%dims(k) = extent(k)
      lattice%origin(k) = origin(k)
      lattice%spacing(k) = spacing(k)
    end do
  end function
end module drr_cuda
