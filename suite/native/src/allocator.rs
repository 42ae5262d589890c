//! The C library's allocator, which libtorch takes its CPU tensors from.

/// Makes glibc keep freed blocks of up to 32 MiB for the next allocation instead of handing them back to the system.
///
/// A training step frees and asks for the same large tensors again and again; handed back, each comes as fresh pages that
/// the kernel must clear. The peak of resident memory stays what it is, it only falls later. Elsewhere than on glibc this
/// does nothing.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt takes plain numbers and may be called at any time; an option that is refused changes nothing.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 32 << 20);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 1 << 30);
    }
}
