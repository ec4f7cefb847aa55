//! Limits of what a host may publish, and the checks that name them.

use crate::error::{Error, ErrorKind, Result};

/// Longest payload, in bytes. For a request event: the record with its `extra` object.
pub const MAX_PAYLOAD: usize = 1 << 20;
/// Deepest nesting of arrays and objects in JSON.
pub const MAX_DEPTH: usize = 128;
/// Longest key, in bytes.
pub const MAX_KEY: usize = 255;
/// Longest kind, in bytes.
pub const MAX_KIND: usize = 255;
/// Longest label, status source, state or audience name, in bytes.
pub const MAX_LABEL: usize = 255;
/// Kinds that begin so are reqbus's own and refused from hosts.
pub const RESERVED_PREFIX: &str = "reqbus.";

/// A kind that a host may use: 1 to 255 bytes, not ours, and without CR, LF or NUL, which an SSE
/// `event:` line cannot carry.
pub(crate) fn check_kind(kind: &str) -> Result<()> {
    if kind.is_empty() {
        return Err(Error::fixed(
            ErrorKind::InvalidArgument,
            "kind",
            "kind is empty",
        ));
    }
    if kind.len() > MAX_KIND {
        return Err(Error::too_large("kind", kind.len(), MAX_KIND));
    }
    if kind.starts_with(RESERVED_PREFIX) {
        return Err(Error::fixed(
            ErrorKind::ReservedKind,
            "kind",
            "kinds that begin with \"reqbus.\" are reqbus's own; choose another prefix",
        ));
    }
    if kind.bytes().any(|b| matches!(b, b'\r' | b'\n' | 0)) {
        return Err(Error::fixed(
            ErrorKind::InvalidArgument,
            "kind",
            "kind holds CR, LF or NUL, which an SSE event line cannot carry",
        ));
    }
    Ok(())
}

/// A key: 0 to 255 bytes of any UTF-8.
pub(crate) fn check_key(key: &str) -> Result<()> {
    if key.len() > MAX_KEY {
        return Err(Error::too_large("key", key.len(), MAX_KEY));
    }
    Ok(())
}

/// A label (or a name that is as long as a label at most).
pub(crate) fn check_label(field: &'static str, label: &str) -> Result<()> {
    if label.len() > MAX_LABEL {
        return Err(Error::too_large(field, label.len(), MAX_LABEL));
    }
    Ok(())
}
