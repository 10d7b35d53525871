//! How the program's allocator treats the tensors that every training step makes and frees.

/// Keeps freed memory for the next step instead of returning it to the system: glibc maps large
/// blocks afresh each time, and faulting their pages in again took a third of a training step on
/// two cores. For the program, not the library: this is a setting of the whole process.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn keep_freed_memory() {
    const TOP_PAD: i32 = 64 << 20;
    for (setting, value) in
        [(libc::M_MMAP_MAX, 0), (libc::M_TRIM_THRESHOLD, i32::MAX), (libc::M_TOP_PAD, TOP_PAD)]
    {
        // SAFETY: sets a number in the allocator; called before there are other threads. What the
        // allocator does not know it ignores, and then memory is only slower.
        unsafe { libc::mallopt(setting, value) };
    }
}

/// Other allocators are left as they are.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn keep_freed_memory() {}
