//! Memory that all our processes share: a memfd of 64-bit atomic words.
//!
//! Words instead of structures: any bit pattern is a valid `AtomicU64`, so nothing that another process writes, or leaves
//! half done when it is killed, can be undefined here. What a word means is the scoreboard's matter.

use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::AtomicU64;

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap};

/// Creates zeroed memory of `words` words. It goes away with its last descriptor and mapping.
pub(crate) fn create(name: &str, words: usize) -> io::Result<OwnedFd> {
    let fd = memfd_create(name, MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
    nix::unistd::ftruncate(fd.as_fd(), (words * size_of::<AtomicU64>()) as i64)?;
    // Sealed against shrinking: a mapping can then never fault because another process cut the file.
    let seals =
        nix::fcntl::SealFlag::F_SEAL_SHRINK | nix::fcntl::SealFlag::F_SEAL_GROW | nix::fcntl::SealFlag::F_SEAL_SEAL;
    nix::fcntl::fcntl(&fd, nix::fcntl::FcntlArg::F_ADD_SEALS(seals))?;
    Ok(fd)
}

/// Maps the whole of `fd`, which [`create`] made, for the rest of the process's life.
pub(crate) fn map(fd: BorrowedFd<'_>) -> io::Result<&'static [AtomicU64]> {
    let bytes = nix::sys::stat::fstat(fd)?.st_size as usize;
    let length = NonZeroUsize::new(bytes).ok_or_else(|| io::Error::other("the shared memory is empty"))?;
    // SAFETY: a fresh shared mapping at an address of the kernel's choice aliases no Rust object.
    let start =
        unsafe { mmap(None, length, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_SHARED, fd, 0)? };
    // SAFETY: the mapping is `bytes` long, page-aligned, never unmapped, and its size is sealed; it starts zeroed, every
    // bit pattern is a valid AtomicU64, and all processes access it through atomics only.
    Ok(unsafe { std::slice::from_raw_parts(start.as_ptr().cast::<AtomicU64>(), bytes / size_of::<AtomicU64>()) })
}
