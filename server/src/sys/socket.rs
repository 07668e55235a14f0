//! What a listening socket knows of its queue, how to receive without copying, and how to cut a connection visibly.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Connections that wait in the listener's accept queue; 0 for a socket that can't tell.
///
/// For a listener, `tcpi_unacked` of `TCP_INFO` is the length of the accept queue (net/ipv4/tcp.c, `tcp_get_info`).
pub(crate) fn accept_queue(listener: BorrowedFd<'_>) -> u32 {
    let mut info = std::mem::MaybeUninit::<libc::tcp_info>::zeroed();
    let mut length = size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes into `info`, which is that large.
    let result = unsafe {
        libc::getsockopt(
            listener.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if result != 0 {
        return 0;
    }
    // SAFETY: every field of tcp_info is an integer, and the structure was zeroed before the kernel filled it.
    unsafe { info.assume_init() }.tcpi_unacked
}

/// Receives at most `most` bytes, appended to `into`: 0 at the end of the stream, `WouldBlock` when nothing is there.
pub(crate) fn receive_into(socket: BorrowedFd<'_>, into: &mut Vec<u8>, most: usize) -> io::Result<usize> {
    into.reserve(most);
    let room = into.spare_capacity_mut();
    // SAFETY: the kernel writes at most `most` bytes into the vector's spare memory, of which there is as much since the
    // reservation.
    let count = unsafe { libc::recv(socket.as_raw_fd(), room.as_mut_ptr().cast(), most.min(room.len()), 0) };
    let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
    // SAFETY: so many bytes after the vector's length have just been written.
    unsafe { into.set_len(into.len() + count) };
    Ok(count)
}

/// Has a TCP socket become readable only when `bytes` have arrived, or the end of the stream (socket(7), `SO_RCVLOWAT`).
/// Reading itself is not affected.
pub(crate) fn set_low_water(socket: BorrowedFd<'_>, bytes: usize) -> io::Result<()> {
    let bytes = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
    // SAFETY: `bytes` is a live integer of the size given.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVLOWAT,
            (&raw const bytes).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Makes the next close of `socket` a reset, so that the peer can't mistake what it got for a whole answer.
pub(crate) fn reset_on_close(socket: BorrowedFd<'_>) {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    // SAFETY: `linger` is a live structure of the size given. A failure leaves an ordinary close, which needs no answer.
    unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const linger).cast(),
            size_of::<libc::linger>() as libc::socklen_t,
        );
    }
}

/// Resets a TCP connection at once, whoever has the socket open (connect(2): `AF_UNSPEC` dissolves the association; for TCP
/// that is tcp_disconnect in net/ipv4/tcp.c, which sends a reset).
pub(crate) fn disconnect(socket: BorrowedFd<'_>) -> io::Result<()> {
    let nowhere = libc::sockaddr { sa_family: libc::AF_UNSPEC as libc::sa_family_t, sa_data: [0; 14] };
    // SAFETY: `nowhere` is a live address of the size given.
    let result = unsafe {
        libc::connect(socket.as_raw_fd(), &raw const nowhere, size_of::<libc::sockaddr>() as libc::socklen_t)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
