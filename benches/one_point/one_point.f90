! Nanoseconds that a query of one warm point takes from Fortran.
!
! usage: one_point MODEL CALLS
program one_point
  use, intrinsic :: iso_fortran_env, only: int64, real64
  use drr
  implicit none

  character(len=1000) :: argument
  type(drr_model) :: model
  type(drr_sampler) :: sampler
  real(real64) :: point(3, 1), values(2, 1), total
  integer(int64) :: calls, call, start, finish, rate

  call get_command_argument(1, argument)
  call model%open(argument)
  call sampler%create(model, [0.5_real64, 0.5_real64])
  call get_command_argument(2, argument)
  read (argument, *) calls
  point = 0.5_real64
  total = 0
  do call = -calls/10, calls - 1
    if (call == 0) call system_clock(start, rate)
    point(1, 1) = real(iand(call, 255_int64), real64)/256
    call sampler%query(point, values)
    total = total + values(1, 1)
  end do
  call system_clock(finish)
  print '(f0.1, " ", g0)', 1e9_real64*real(finish - start, real64)/real(rate, real64)/real(calls, real64), total
end program
