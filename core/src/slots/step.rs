//! What an owner sees who looks at a wait.

use super::outcome::Refusal;
use super::slot::Slot;

/// What an owner sees who looks at a wait.
#[derive(Debug)]
#[must_use = "a slot is in it"]
pub enum Step {
    /// A ping is due: write one, then look again. The next is due a whole interval after that.
    Ping,
    /// The slot. The wait is over.
    Granted(Slot),
    /// There is no slot. The wait is over.
    Ended(Refusal),
}
