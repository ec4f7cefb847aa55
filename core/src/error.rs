//! One error type for every language: a kind that programs read, a sentence that people read.

use std::borrow::Cow;
use std::fmt;

/// What went wrong, in the closed set that every binding shares.
///
/// [`ErrorKind::name`] is the stable text of a kind; the C ABI gives each a number, Python a class,
/// Go a sentinel. A new kind is added only when a caller would act differently on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument is outside its documented range, or two arguments contradict each other.
    InvalidArgument,
    /// Bytes that must be UTF-8 are not.
    InvalidUtf8,
    /// A `json` payload or an `extra` object is not JSON, is nested deeper than 128 levels, or, for `extra`, is not
    /// an object.
    InvalidJson,
    /// A payload, key, kind, label or list is longer than its limit.
    TooLarge,
    /// A kind that begins with `reqbus.`, which only reqbus itself uses.
    ReservedKind,
    /// A 65th status source.
    TooManySources,
    /// The bus, subscription or bell is closed, and what it held has been read.
    Closed,
    /// A deadline passed. Nothing was taken.
    Timeout,
    /// Another thread interrupted the wait. Nothing was taken.
    Interrupted,
    /// Another wait is already under way on this object.
    Busy,
    /// The audience is being cleaned up, and stayed so until the caller's deadline.
    AudienceBusy,
    /// The store of a pool cannot be reached, or did not answer.
    StoreUnavailable,
    /// The object was made in a parent process; this process is a forked child.
    Forked,
    /// The operating system refused (file descriptors, random numbers, threads).
    System,
}

impl ErrorKind {
    /// The stable name of this kind, in snake case, the same in every language.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::InvalidArgument => "invalid_argument",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::InvalidJson => "invalid_json",
            Self::TooLarge => "too_large",
            Self::ReservedKind => "reserved_kind",
            Self::TooManySources => "too_many_sources",
            Self::Closed => "closed",
            Self::Timeout => "timeout",
            Self::Interrupted => "interrupted",
            Self::Busy => "busy",
            Self::AudienceBusy => "audience_busy",
            Self::StoreUnavailable => "store_unavailable",
            Self::Forked => "forked",
            Self::System => "system",
        }
    }
}

/// An error: its kind, a sentence, and the field it is about.
///
/// The sentence names the field, the size or sort of the value and the limit, never the value
/// itself: payloads and keys may be secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    context: &'static str,
    message: Cow<'static, str>,
}

impl Error {
    /// An error about `context` (a field or an operation), with a sentence for people.
    #[must_use]
    pub fn new(
        kind: ErrorKind,
        context: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            kind,
            context,
            message: message.into(),
        }
    }

    /// `context` holds `len` bytes (or entries) and may hold `limit`.
    #[must_use]
    pub fn too_large(context: &'static str, len: usize, limit: usize) -> Self {
        Self::new(
            ErrorKind::TooLarge,
            context,
            format!("{context} is {len} long; the limit is {limit}"),
        )
    }

    /// The field `context` must be UTF-8 and is not, from byte `at` on.
    #[must_use]
    pub fn not_utf8(context: &'static str, at: usize) -> Self {
        Self::new(
            ErrorKind::InvalidUtf8,
            context,
            format!("{context} is not UTF-8 from byte {at} on"),
        )
    }

    /// `what` is closed.
    #[must_use]
    pub const fn closed(what: &'static str) -> Self {
        Self {
            kind: ErrorKind::Closed,
            context: what,
            message: Cow::Borrowed("it is closed"),
        }
    }

    /// A constant sentence: no allocation.
    #[must_use]
    pub const fn fixed(kind: ErrorKind, context: &'static str, message: &'static str) -> Self {
        Self {
            kind,
            context,
            message: Cow::Borrowed(message),
        }
    }

    /// What went wrong.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The field or the operation that the error is about.
    #[must_use]
    pub const fn context(&self) -> &'static str {
        self.context
    }

    /// The sentence for people.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ({}): {}",
            self.kind.name(),
            self.context,
            self.message
        )
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {}

/// What every fallible call of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;
