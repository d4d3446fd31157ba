//! Where answers leave: stdout carries them and nothing else, stderr what is said beside them.

use std::io::{self, Write as _};

use bootstrap::Exit;
use serde_json::{Value, json};

use crate::{failure::Failure, show::clean};

/// How answers are written.
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Output {
        Output { json }
    }

    /// One answer: the document for programs, or the text for people.
    pub(crate) fn answer(&self, document: &Value, text: impl FnOnce() -> String) {
        // A reader that has gone away has what it wanted.
        drop(self.write(document, text));
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
