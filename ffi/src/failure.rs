//! What goes wrong, before a status and an error object are made of it.

use reqbus_core::Error;

use crate::status::{self, reqbus_status};

/// A refusal of this crate (a pointer, a struct) or an error of core.
pub(crate) enum Failure {
    /// Found at the boundary: a constant sentence, no allocation.
    Boundary {
        status: reqbus_status,
        /// The argument or field it is about.
        context: &'static str,
        message: &'static str,
    },
    /// From core.
    Core(Error),
    /// A slot was refused: a sentence for people, and the scope that refused.
    Refused {
        status: reqbus_status,
        scope: Box<str>,
        message: Box<str>,
    },
}

impl Failure {
    pub(crate) const fn new(
        status: reqbus_status,
        context: &'static str,
        message: &'static str,
    ) -> Self {
        Self::Boundary {
            status,
            context,
            message,
        }
    }

    /// `context` is NULL and must not be.
    pub(crate) const fn null(context: &'static str) -> Self {
        Self::new(
            reqbus_status::REQBUS_NULL_ARGUMENT,
            context,
            "the pointer is NULL",
        )
    }

    pub(crate) const fn panicked() -> Self {
        Self::new(
            reqbus_status::REQBUS_PANICKED,
            "reqbus",
            "a panic was caught; this is a bug of reqbus: free the object and report it",
        )
    }

    pub(crate) fn status(&self) -> reqbus_status {
        match self {
            Self::Boundary { status, .. } | Self::Refused { status, .. } => *status,
            Self::Core(error) => status::of_kind(error.kind()),
        }
    }

    pub(crate) fn context(&self) -> &str {
        match self {
            Self::Boundary { context, .. } => context,
            Self::Core(error) => error.context(),
            Self::Refused { scope, .. } => scope,
        }
    }

    pub(crate) fn message(&self) -> &str {
        match self {
            Self::Boundary { message, .. } => message,
            Self::Core(error) => error.message(),
            Self::Refused { message, .. } => message,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Core(error)
    }
}
