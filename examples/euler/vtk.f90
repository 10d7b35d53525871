!> Fields of cells in VTK's legacy form, for ParaView and others.
module vtk
  use, intrinsic :: iso_fortran_env, only: real64
  implicit none
  private
  public :: write_vtk

contains

  !> Writes values(i, j, k, field) of cubic cells of a width, from `corner` on, as text that has all
  !> their digits.
  subroutine write_vtk(path, corner, width, names, values)
    character(len=*), intent(in) :: path, names(:)
    real(real64), intent(in) :: corner(3), width, values(:, :, :, :)
    integer :: file, n
    open (newunit=file, file=path, status='replace', action='write')
    write (file, '(a)') '# vtk DataFile Version 3.0', 'cells', 'ASCII', 'DATASET STRUCTURED_POINTS'
    write (file, '(a, 3(1x, i0))') 'DIMENSIONS', [size(values, 1), size(values, 2), &
        size(values, 3)] + 1
    write (file, '(a, 3(1x, g0))') 'ORIGIN', corner
    write (file, '(a, 3(1x, g0))') 'SPACING', width, width, width
    write (file, '(a, i0)') 'CELL_DATA ', size(values(:, :, :, 1))
    do n = 1, size(names)
      write (file, '(3a)') 'SCALARS ', trim(names(n)), ' double', 'LOOKUP_TABLE default'
      write (file, '(es24.16e3)') values(:, :, :, n)
    end do
    close (file)
  end subroutine
end module
