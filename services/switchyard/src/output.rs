//! Where answers leave: stdout carries them and nothing else, stderr what is said beside them.

use std::{
    io::{self, Write as _},
    sync::OnceLock,
};

use bootstrap::Exit;
use serde_json::{Value, json};

use crate::{failure::Failure, show::clean};

/// How answers are written.
pub(crate) struct Output {
    json: bool,
    /// Why an answer was not written, if one was not.
    unwritten: OnceLock<io::Error>,
}

impl Output {
    pub(crate) fn new(json: bool) -> Output {
        Output { json, unwritten: OnceLock::new() }
    }

    /// One answer: the document for programs, or the text for people.
    pub(crate) fn answer(&self, document: &Value, text: impl FnOnce() -> String) {
        match self.write(document, text) {
            // A reader that has gone away has what it wanted.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                // The first is the cause of what follows.
                drop(self.unwritten.set(error));
            }
            Ok(()) | Err(_) => {}
        }
    }

    /// How the command ends after all: nobody knows what was done whose answer nobody has.
    pub(crate) fn end(&self, exit: Exit) -> Exit {
        let Some(error) = self.unwritten.get() else { return exit };
        self.say(&format!("switchyard: the answer could not be written: {error}"));
        Exit::OutcomeUnknown
    }

    fn write(&self, document: &Value, text: impl FnOnce() -> String) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        if self.json {
            writeln!(stdout, "{document}")?;
        } else {
            let text = text();
            writeln!(stdout, "{}", lines(&text))?;
        }
        stdout.flush()
    }

    /// For people only, while something goes on.
    pub(crate) fn say(&self, text: &str) {
        let mut stderr = io::stderr().lock();
        drop(writeln!(stderr, "{}", lines(text)));
    }

    /// Why a command did not succeed: a line on stderr and, for programs, a document on stdout.
    pub(crate) fn failure(&self, failure: &Failure) -> Exit {
        self.say(&format!("switchyard: {}", failure.message));
        if self.json {
            let error = json!({
                "code": failure.code,
                "message": failure.message,
                "retryable": failure.retryable,
                "exit": failure.exit.code(),
                "id": failure.id,
            });
            self.answer(&json!({ "error": error }), String::new);
        }
        failure.exit
    }
}

/// Our own lines, with whatever from outside they hold.
fn lines(text: &str) -> String {
    text.trim_end().lines().map(clean).collect::<Vec<_>>().join("\n")
}
