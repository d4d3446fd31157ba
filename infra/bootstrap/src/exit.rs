//! How a command ends: the one list of exit codes.

use std::process::{ExitCode, Termination};

use domain::ErrorClass;

/// A promise to scripts: a number keeps its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    Done,
    /// The payment failed, or a rule refused the request.
    Failed,
    /// The command line, the configuration or a field of the request cannot be right.
    Invalid,
    /// The payment is in flight, or the answer was lost: perhaps done.
    OutcomeUnknown,
    /// This call certainly did nothing; an earlier one with the same id may have.
    Unavailable,
    NotFound,
    Denied,
    /// The id is used by something else.
    Conflict,
    AuditFindings,
    /// Another process has the data folder.
    AlreadyRunning,
    /// A broken promise of the platform itself.
    Bug,
    /// Told twice to stop.
    Interrupted,
}

impl Exit {
    pub const ALL: [Exit; 12] = [
        Exit::Done,
        Exit::Failed,
        Exit::Invalid,
        Exit::OutcomeUnknown,
        Exit::Unavailable,
        Exit::NotFound,
        Exit::Denied,
        Exit::Conflict,
        Exit::AuditFindings,
        Exit::AlreadyRunning,
        Exit::Bug,
        Exit::Interrupted,
    ];

    pub const fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Invalid => 2,
            Exit::OutcomeUnknown => 3,
            Exit::Unavailable => 4,
            Exit::NotFound => 5,
            Exit::Denied => 6,
            Exit::Conflict => 7,
            Exit::AuditFindings => 8,
            Exit::AlreadyRunning => 9,
            Exit::Bug => 70,
            Exit::Interrupted => 130,
        }
    }

    /// What it means and what to do, for people.
    pub const fn meaning(self) -> &'static str {
        match self {
            Exit::Done => "done",
            Exit::Failed => "the payment failed, or a rule refused the request: nothing was spent",
            Exit::Invalid => "the command line, the configuration or the request must be mended",
            Exit::OutcomeUnknown => {
                "the outcome is not known yet: repeat with the same id, or read by id"
            }
            Exit::Unavailable => {
                "this call did nothing: repeat later; where there is an id, with the same one (an \
                 earlier call with that id may have)"
            }
            Exit::NotFound => "there is no such thing, or not for this key",
            Exit::Denied => "the key or token is not accepted",
            Exit::Conflict => "the id or name is in use with other values",
            Exit::AuditFindings => {
                "the audit has findings, a restore has something left, or sends are frozen: a \
                 person has to look"
            }
            Exit::AlreadyRunning => "another process has this data folder",
            Exit::Bug => "a fault of the platform itself",
            Exit::Interrupted => "told twice to stop",
        }
    }
}

impl From<ErrorClass> for Exit {
    fn from(class: ErrorClass) -> Exit {
        match class {
            ErrorClass::Invalid => Exit::Invalid,
            ErrorClass::Denied => Exit::Denied,
            ErrorClass::NotFound => Exit::NotFound,
            ErrorClass::Rejected => Exit::Failed,
            ErrorClass::Conflict => Exit::Conflict,
            ErrorClass::Unavailable => Exit::Unavailable,
            ErrorClass::Uncertain => Exit::OutcomeUnknown,
            ErrorClass::Bug => Exit::Bug,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        self.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_ends_share_a_code() {
        assert!(Exit::ALL.is_sorted_by(|first, second| first.code() < second.code()));
    }
}
