//! What a release came to.

/// What a release came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Released {
    /// It was held, and is free now.
    Released,
    /// It was released before.
    Already,
    /// It was lost before; the rest of it is free now.
    Lost,
}

impl Released {
    /// The stable name, in snake case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::Already => "already",
            Self::Lost => "lost",
        }
    }

    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Lost, _) | (_, Self::Lost) => Self::Lost,
            (Self::Released, _) | (_, Self::Released) => Self::Released,
            _ => Self::Already,
        }
    }
}
