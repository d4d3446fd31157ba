//! What an organisation's actor does, without the actor: decide, apply, append.

use domain::{
    OrgId, Preimage, Timestamp,
    org::{Command, Org},
};
use ports::journal::{Append, Loaded, Seq};

#[derive(Clone, Debug)]
pub struct Writer {
    pub org: Org,
    pub seq: Seq,
}

impl From<Loaded> for Writer {
    fn from(Loaded { org, seq }: Loaded) -> Writer {
        Writer { org, seq }
    }
}

impl Writer {
    pub fn id(&self) -> OrgId {
        self.org.id
    }

    /// Memory is ahead of the store until the append is committed.
    ///
    /// # Panics
    ///
    /// If the command is rejected, or changes nothing.
    pub fn prepare(&mut self, now: Timestamp, command: &Command) -> Append {
        let decision = self.org.decide(command, now).expect("what tests ask for is allowed");
        assert!(!decision.events.is_empty(), "nothing to append: {command:?}");
        decision.events.iter().for_each(|event| self.org.apply(event, now));
        let append = Append {
            rows: self.org.rows_touched(&decision.events),
            events: decision.events,
            ..self.nothing(now)
        };
        self.seq = Seq(self.seq.0 + u64::try_from(append.events.len()).expect("a few events"));
        append
    }

    /// A receive with its preimage, which the store keeps sealed.
    pub fn prepare_receive(
        &mut self,
        now: Timestamp,
        command: &Command,
        secret: Preimage,
    ) -> Append {
        Append { preimages: vec![secret], ..self.prepare(now, command) }
    }

    /// An append without events.
    pub fn nothing(&self, now: Timestamp) -> Append {
        Append {
            org: self.org.id,
            epoch: self.org.epoch,
            expected: self.seq,
            at: now,
            events: Vec::new(),
            rows: Vec::new(),
            preimages: Vec::new(),
            taken: Vec::new(),
        }
    }
}
