//! The log of state changes: frames of events, appended, replayed at the start.
//!
//! A frame holds what one command did, so it happened wholly or not at all:
//! length (u32, little endian), FNV-1a of the body (u64), body (`postcard` of the events).
//! A frame cut short by a crash is the last one and was never answered; it is cut off.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufReader, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use crate::model::Event;

/// Moves whenever an old log can no longer be read.
const FORMAT: &[u8; 8] = b"LNSIM\0\0\x01";
const HEAD: usize = 12;

#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("the log cannot be read or written")]
    Io(#[from] io::Error),
    #[error("the log was written by another version of the simulator")]
    Format,
    #[error("the log is held by another process")]
    Held,
    #[error("the log is damaged at byte {at}, before its end")]
    Damaged { at: u64 },
}

pub(crate) struct Journal {
    file: File,
}

impl Journal {
    /// Opens or begins a log and hands each event of it to `replay`.
    pub(crate) fn open(
        path: &Path,
        mut replay: impl FnMut(&Event),
    ) -> Result<Journal, JournalError> {
        let mut file =
            OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
        file.try_lock().map_err(|_| JournalError::Held)?;
        let length = file.metadata()?.len();
        let format_length = u64::try_from(FORMAT.len()).unwrap_or(u64::MAX);
        if length < format_length {
            // New, or killed while writing the very first bytes.
            file.set_len(0)?;
            file.write_all(FORMAT)?;
            return Ok(Journal { file });
        }
        let mut reader = BufReader::with_capacity(1 << 20, &file);
        let mut format = [0; FORMAT.len()];
        reader.read_exact(&mut format)?;
        if format != *FORMAT {
            return Err(JournalError::Format);
        }
        let mut good = format_length;
        let mut body = Vec::new();
        while let Some((size, sum)) = read_frame(&mut reader, &mut body)? {
            if fnv(&body) != sum {
                return Err(JournalError::Damaged { at: good });
            }
            let events: Vec<Event> =
                postcard::from_bytes(&body).map_err(|_| JournalError::Damaged { at: good })?;
            events.iter().for_each(&mut replay);
            good += size;
        }
        drop(reader);
        if good < length {
            tracing::warn!(bytes = length - good, "cut off a frame that was never finished");
            file.set_len(good)?;
        }
        Ok(Journal { file })
    }

    /// One plain write: after it the frames survive the death of this process.
    pub(crate) fn append(&mut self, frames: &[u8]) -> io::Result<()> {
        self.file.write_all(frames)
    }
}

/// Adds the frame of one command to those that wait to be written.
pub(crate) fn frame(events: &[Event], buffer: Vec<u8>) -> Vec<u8> {
    let start = buffer.len();
    let mut buffer = buffer;
    buffer.extend_from_slice(&[0; HEAD]);
    let mut buffer =
        postcard::to_extend(events, buffer).expect("events have no maps or unsized parts");
    let body = &buffer[start + HEAD..];
    let length = u32::try_from(body.len()).expect("a command's events are small");
    let sum = fnv(body);
    buffer[start..start + 4].copy_from_slice(&length.to_le_bytes());
    buffer[start + 4..start + HEAD].copy_from_slice(&sum.to_le_bytes());
    buffer
}

/// Reads the body of the next frame; its size and its sum, or `None` at the end or at a torn frame.
fn read_frame(reader: &mut impl Read, body: &mut Vec<u8>) -> io::Result<Option<(u64, u64)>> {
    let mut head = [0; HEAD];
    if read_up_to(reader, &mut head)? < HEAD {
        return Ok(None);
    }
    let (length, sum) = head.split_at(4);
    let length = u32::from_le_bytes(length.try_into().expect("four bytes"));
    let sum = u64::from_le_bytes(sum.try_into().expect("eight bytes"));
    body.clear();
    reader.take(u64::from(length)).read_to_end(body)?;
    let whole = u64::try_from(body.len()).is_ok_and(|read| read == u64::from(length));
    Ok(whole.then(|| (u64::from(length) + u64::try_from(HEAD).unwrap_or(0), sum)))
}

fn read_up_to(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::NodeId;

    fn events(from: u16) -> Vec<Event> {
        vec![
            Event::DownSet { node: NodeId(from), down: true },
            Event::LatencySet { node: NodeId(from), ms: 7 },
        ]
    }

    fn read(path: &Path) -> Vec<Event> {
        let mut seen = Vec::new();
        Journal::open(path, |event| seen.push(event.clone())).unwrap();
        seen
    }

    #[test]
    fn reads_back_and_tolerates_a_torn_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut journal = Journal::open(&path, |_| panic!("new")).unwrap();
        journal.append(&frame(&events(2), frame(&events(1), Vec::new()))).unwrap();
        assert!(matches!(Journal::open(&path, |_| ()), Err(JournalError::Held)));
        drop(journal);
        let all: Vec<Event> = [events(1), events(2)].concat();
        assert_eq!(read(&path), all);

        let whole = std::fs::read(&path).unwrap();
        let first = FORMAT.len() + frame(&events(1), Vec::new()).len();
        for cut in FORMAT.len()..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let expected = if cut < first { Vec::new() } else { events(1) };
            assert_eq!(read(&path), expected, "cut at {cut}");
            // And it goes on from there.
            let mut journal = Journal::open(&path, |_| ()).unwrap();
            journal.append(&frame(&events(3), Vec::new())).unwrap();
            drop(journal);
            assert_eq!(read(&path), [expected, events(3)].concat());
        }
        for cut in 0..FORMAT.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            assert_eq!(read(&path), []);
        }
        // A whole frame that reads wrong is not a torn one.
        let mut damaged = whole.clone();
        damaged[first - 1] ^= 1;
        std::fs::write(&path, &damaged).unwrap();
        assert!(matches!(Journal::open(&path, |_| ()), Err(JournalError::Damaged { at: 8 })));
        std::fs::write(&path, b"SOMETHING ELSE").unwrap();
        assert!(matches!(Journal::open(&path, |_| ()), Err(JournalError::Format)));
    }
}
