//! The response iterable, piece by piece into the sink (PEP 3333, "Handling the Iterable", "Buffering and Streaming").
//!
//! Owns the choice of how a body is sent: at once if it is all there, as a file if the kernel can do it, else each piece
//! when it comes. Knows nothing of environs or logs. `call` gives it what the application returned.

use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyIterator, PyList, PyString, PyTuple};

use super::file_wrapper::FileWrapper;
use super::start_response::{Response, Trouble, type_name};

/// Sends what the application returned. Doesn't call its `close()`.
pub(super) fn send(result: &Bound<'_, PyAny>, response: &Response) -> Result<(), Trouble> {
    if let Ok(list) = result.cast_exact::<PyList>() {
        // Nearly always there is one item, which needs no list of ours.
        return match list.len() {
            1 => send_parts(&[into_bytes(list.get_item(0)?)?], response),
            _ => send_all(list.iter().map(Ok), response),
        };
    }
    if let Ok(tuple) = result.cast_exact::<PyTuple>() {
        return send_all(tuple.iter().map(Ok), response);
    }
    if let Ok(wrapper) = result.cast_exact::<FileWrapper>()
        && send_file(wrapper, response)?
    {
        return Ok(());
    }
    if result.is_instance_of::<PyBytes>() || result.is_instance_of::<PyString>() {
        return Err(Trouble::Raised(PyTypeError::new_err(format!(
            "the application returned {kind}: it must return an iterable of bytes, e.g. a list with one item",
            kind = type_name(result)
        ))));
    }
    let pieces = result.try_iter().map_err(|_| {
        PyTypeError::new_err(format!("the application returned {}, which is not iterable", type_name(result)))
    })?;
    if walks_a_sequence(&pieces) {
        // All of it is there already, so nothing is gained by sending it in pieces; Django's responses are such.
        return send_all(pieces, response);
    }
    for piece in pieces {
        let piece = into_bytes(piece?)?;
        if piece.as_bytes().is_empty() {
            continue;
        }
        let wanted = response.with(|exchange| {
            let wanted = !exchange.is_full();
            if wanted {
                exchange.piece(&piece)?;
            }
            Ok(wanted)
        })?;
        if !wanted {
            // A server should stop when enough has been sent (PEP 3333, "Handling the Content-Length Header"): the rest
            // may be endless, and as nothing of it is written, nobody would notice that the client has gone. One that ends
            // where it promised is asked once more, and so runs to its end.
            return Ok(());
        }
    }
    response.with(|exchange| exchange.require_head())
}

/// Sends a body that is there already.
fn send_all<'py>(
    pieces: impl Iterator<Item = PyResult<Bound<'py, PyAny>>>,
    response: &Response,
) -> Result<(), Trouble> {
    let parts = pieces.map(|piece| into_bytes(piece?)).collect::<PyResult<Vec<_>>>()?;
    send_parts(&parts, response)
}

fn send_parts(parts: &[Bound<'_, PyBytes>], response: &Response) -> Result<(), Trouble> {
    let total = parts.iter().map(|part| part.as_bytes().len()).sum();
    response.with(|exchange| {
        if total == 0 {
            // Left to the end of the response: only there is it known what an empty body means (HEAD, 304).
            return exchange.require_head();
        }
        if !exchange.body_begun() {
            return exchange.whole(parts, total);
        }
        for part in parts {
            exchange.piece(part)?;
        }
        Ok(())
    })
}

/// Whether the file could be handed over; if not, the wrapper has to be iterated.
fn send_file(wrapper: &Bound<'_, FileWrapper>, response: &Response) -> Result<bool, Trouble> {
    let Some(extent) = wrapper.get().extent(wrapper.py())? else {
        return Ok(false);
    };
    response.with(|exchange| {
        if exchange.body_begun() {
            return Ok(false);
        }
        if extent.len == 0 {
            exchange.require_head()?;
        } else {
            exchange.file(extent)?;
        }
        Ok(true)
    })
}

/// Whether the iterator walks a list or tuple: nothing of the application runs between its items.
fn walks_a_sequence(pieces: &Bound<'_, PyIterator>) -> bool {
    let kind = pieces.get_type_ptr();
    kind == &raw mut ffi::PyListIter_Type || kind == &raw mut ffi::PyTupleIter_Type
}

fn into_bytes(piece: Bound<'_, PyAny>) -> PyResult<Bound<'_, PyBytes>> {
    piece.cast_into::<PyBytes>().map_err(|error| {
        PyTypeError::new_err(format!(
            "the body must be made of bytes, but one piece is {}",
            type_name(&error.into_inner())
        ))
    })
}
