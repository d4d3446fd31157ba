//! How a command did not succeed, and what its caller may do now.

use std::io;

use bootstrap::{
    ConfigError, Exit, TelemetryError, files::FileError, log::LogError, random::NoRandomness,
};

const SAME_ID: &str = "same_id";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// A stable name for programs.
    pub(crate) code: String,
    /// `no`, or `same_id`: repeat with the same id, or read by id.
    pub(crate) retryable: &'static str,
    pub(crate) message: String,
    /// What the request was about: the id to repeat it with, or to read it by.
    pub(crate) id: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, code: &str, message: impl Into<String>) -> Failure {
        let retryable = match exit {
            Exit::OutcomeUnknown | Exit::Unavailable => SAME_ID,
            Exit::Done
            | Exit::Failed
            | Exit::Invalid
            | Exit::NotFound
            | Exit::Denied
            | Exit::Conflict
            | Exit::AuditFindings
            | Exit::AlreadyRunning
            | Exit::Bug
            | Exit::Interrupted => "no",
        };
        Failure { exit, code: code.to_owned(), retryable, message: message.into(), id: None }
    }

    /// Adds the id that a repeat needs.
    pub(crate) fn about(mut self, id: &str) -> Failure {
        if self.retryable == SAME_ID {
            self.message = format!("{}; repeat with --id {id}", self.message);
        }
        self.id = Some(id.to_owned());
        self
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Failure {
        Failure::new(Exit::Invalid, "invalid_argument", message)
    }

    /// A send that was refused because a person has to look first; then the same id may be sent.
    pub(crate) fn frozen(code: &str, why: &str) -> Failure {
        let message = format!(
            "{why}; every send is frozen until the operator has looked (`switchyard frozen`)"
        );
        Failure { retryable: SAME_ID, ..Failure::new(Exit::AuditFindings, code, message) }
    }

    pub(crate) fn bug(error: impl std::error::Error) -> Failure {
        Failure::new(Exit::Bug, "internal", chain(&error))
    }
}

/// An error with everything that caused it, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(under) = cause {
        let under_text = under.to_string();
        if !text.contains(&under_text) {
            text = format!("{text}: {under_text}");
        }
        cause = under.source();
    }
    text
}

/// A path that cannot be right must be mended; a disk that is full may not be so later.
pub(crate) fn of_a_path(why: io::ErrorKind, message: String) -> Failure {
    const CANNOT_BE_RIGHT: &[io::ErrorKind] = &[
        io::ErrorKind::PermissionDenied,
        io::ErrorKind::AlreadyExists,
        io::ErrorKind::NotADirectory,
        io::ErrorKind::IsADirectory,
        io::ErrorKind::ReadOnlyFilesystem,
        io::ErrorKind::InvalidFilename,
        io::ErrorKind::InvalidData,
    ];
    if why == io::ErrorKind::NotFound {
        Failure::new(Exit::Invalid, "file_not_found", message)
    } else if CANNOT_BE_RIGHT.contains(&why) {
        Failure::new(Exit::Invalid, "file_unusable", message)
    } else {
        Failure::new(Exit::Unavailable, "file_unusable", message)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Failure {
        Failure::new(Exit::Invalid, "configuration_invalid", error.to_string())
    }
}

impl From<LogError> for Failure {
    fn from(error: LogError) -> Failure {
        Failure::new(Exit::Invalid, "configuration_invalid", error.to_string())
    }
}

impl From<TelemetryError> for Failure {
    fn from(error: TelemetryError) -> Failure {
        match error {
            TelemetryError::Log(error) => error.into(),
            TelemetryError::Traces(error) => {
                Failure::new(Exit::Invalid, "configuration_invalid", chain(&error))
            }
            TelemetryError::Metrics(error) => Failure::bug(error),
        }
    }
}

impl From<NoRandomness> for Failure {
    fn from(error: NoRandomness) -> Failure {
        Failure::bug(error)
    }
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Failure {
        let message = chain(&error);
        match error {
            FileError::Held(_) => Failure::new(Exit::AlreadyRunning, "already_running", message),
            FileError::Io { source, .. } => of_a_path(source.kind(), message),
            FileError::Exposed(_) | FileError::Empty(_) => {
                Failure::new(Exit::Invalid, "file_unusable", message)
            }
        }
    }
}
