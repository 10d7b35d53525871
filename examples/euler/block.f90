!> A box of cubic cells of gas, split into blocks among MPI ranks.
!>
!> Failures of MPI end the program, as is its default.
module euler_block
  use, intrinsic :: iso_fortran_env, only: error_unit, real64
  use mpi_f08
  use euler_fluxes, only: VARIABLES
  implicit none
  private

  !> Ghost cells on each side of a block.
  integer, parameter, public :: GHOSTS = 2

  !> A rank's block of the box; `create` makes it. Cells (1, 1, 1) to `cells` are its own; those
  !> around them belong to neighbours or to what is outside the box.
  type, public :: block
    type(MPI_Comm) :: comm                      !< all ranks that share the box
    integer :: rank = 0                         !< among them
    integer :: cells(3) = 0                     !< of the block
    integer :: first(3) = 0                     !< cells of the box before the block's first
    integer :: neighbours(2, 3) = MPI_PROC_NULL !< ranks below and above along each axis
    real(real64) :: corner(3) = 0               !< least coordinates of the box
    real(real64) :: width = 0                   !< of a cell
    !> (i, j, k, variable), ghost cells included.
    real(real64), allocatable :: state(:, :, :, :)
    !> (i, j, k), ghost cells included: cells of walls; their variables mean nothing, never change.
    logical, allocatable :: solid(:, :, :)
  contains
    procedure :: create
    procedure :: centre
    procedure :: add_wall
    procedure :: gather
    procedure :: layers
    procedure :: exchange
  end type

contains

  !> Splits a box of `total` cells of a width, from `corner` on, among the ranks of `comm`. The
  !> state is for the caller to set; nothing is solid.
  subroutine create(self, comm, corner, total, width)
    class(block), intent(inout) :: self
    type(MPI_Comm), intent(in) :: comm
    real(real64), intent(in) :: corner(3), width
    integer, intent(in) :: total(3)
    integer :: ranks, blocks(3), mine(3), axis

    call MPI_Comm_size(comm, ranks)
    blocks = 0
    call MPI_Dims_create(ranks, 3, blocks)
    if (any(total/blocks < GHOSTS)) then
      write (error_unit, '(a, 3(i0, 1x), a, i0, a)') 'a box of ', total, &
          'cells is too small for ', ranks, ' ranks'
      flush (error_unit)
      call MPI_Abort(comm, 1)
    end if
    call MPI_Cart_create(comm, 3, blocks, [.false., .false., .false.], .false., self%comm)
    call MPI_Comm_rank(self%comm, self%rank)
    call MPI_Cart_coords(self%comm, self%rank, 3, mine)
    do axis = 1, 3
      call MPI_Cart_shift(self%comm, axis - 1, 1, self%neighbours(1, axis), &
          self%neighbours(2, axis))
    end do
    self%first = mine*total/blocks
    self%cells = (mine + 1)*total/blocks - self%first
    self%corner = corner
    self%width = width
    associate (a => 1 - GHOSTS, b => self%cells + GHOSTS)
      allocate (self%state(a:b(1), a:b(2), a:b(3), VARIABLES), source=1.0_real64)
      allocate (self%solid(a:b(1), a:b(2), a:b(3)), source=.false.)
    end associate
  end subroutine

  !> The coordinates of a cell's centre; ghost cells have some too.
  pure function centre(self, cell) result(point)
    class(block), intent(in) :: self
    integer, intent(in) :: cell(3)
    real(real64) :: point(3)
    point = self%corner + (self%first + cell - 0.5_real64)*self%width
  end function

  !> Makes the cells solid whose centres lie in the box from `low` to `high`.
  subroutine add_wall(self, low, high)
    class(block), intent(inout) :: self
    real(real64), intent(in) :: low(3), high(3)
    real(real64) :: point(3)
    integer :: i, j, k
    do k = 1 - GHOSTS, self%cells(3) + GHOSTS
      do j = 1 - GHOSTS, self%cells(2) + GHOSTS
        do i = 1 - GHOSTS, self%cells(1) + GHOSTS
          point = self%centre([i, j, k])
          if (all(point > low .and. point < high)) self%solid(i, j, k) = .true.
        end do
      end do
    end do
  end subroutine

  !> A variable in `count` cells of the box, those after the first `first`; on all ranks.
  function gather(self, variable, first, count) result(values)
    class(block), intent(in) :: self
    integer, intent(in) :: variable, first(3), count(3)
    real(real64) :: values(count(1), count(2), count(3))
    integer :: a(3), b(3), s(3)
    s = self%first - first
    a = max(1, 1 - s)
    b = min(self%cells, count - s)
    values = 0
    if (all(a <= b)) values(a(1) + s(1):b(1) + s(1), a(2) + s(2):b(2) + s(2), &
        a(3) + s(3):b(3) + s(3)) = self%state(a(1):b(1), a(2):b(2), a(3):b(3), variable)
    call MPI_Allreduce(MPI_IN_PLACE, values, size(values), MPI_DOUBLE_PRECISION, MPI_SUM, &
        self%comm)
  end function

  !> The first and last of the cells along a face of the block, on `side` 1 (below) or 2 (above) of
  !> an axis: GHOSTS layers of its own, or the ghost cells.
  pure subroutine layers(self, axis, side, are_ghosts, low, high)
    class(block), intent(in) :: self
    integer, intent(in) :: axis, side
    logical, intent(in) :: are_ghosts
    integer, intent(out) :: low(3), high(3)
    low = 1
    high = self%cells
    if (side == 1) low(axis) = merge(1 - GHOSTS, 1, are_ghosts)
    if (side == 2) low(axis) = self%cells(axis) + merge(1, 1 - GHOSTS, are_ghosts)
    high(axis) = low(axis) + GHOSTS - 1
  end subroutine

  !> Fills the ghost cells that belong to neighbours.
  subroutine exchange(self)
    class(block), intent(inout) :: self
    real(real64), allocatable :: given(:, :, :, :), taken(:, :, :, :)
    integer :: axis, side, a(3), b(3), to, from
    do axis = 1, 3
      do side = 1, 2
        to = self%neighbours(side, axis)
        from = self%neighbours(3 - side, axis)
        call self%layers(axis, side, .false., a, b)
        allocate (given, source=self%state(a(1):b(1), a(2):b(2), a(3):b(3), :))
        allocate (taken, mold=given)
        call MPI_Sendrecv(given, size(given), MPI_DOUBLE_PRECISION, to, side, &
            taken, size(taken), MPI_DOUBLE_PRECISION, from, side, self%comm, MPI_STATUS_IGNORE)
        call self%layers(axis, 3 - side, .true., a, b)
        if (from /= MPI_PROC_NULL) self%state(a(1):b(1), a(2):b(2), a(3):b(3), :) = taken
        deallocate (given, taken)
      end do
    end do
  end subroutine
end module
