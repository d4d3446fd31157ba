//! How a command did not succeed, and what its caller may do now.

use bootstrap::{ConfigError, Exit, files::FileError, log::LogError, random::NoRandomness};

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
            FileError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                Failure::new(Exit::NotFound, "file_not_found", message)
            }
            FileError::Io { .. } => Failure::new(Exit::Unavailable, "file_unusable", message),
            FileError::Exposed(_) | FileError::Empty(_) => {
                Failure::new(Exit::Invalid, "file_unusable", message)
            }
        }
    }
}
