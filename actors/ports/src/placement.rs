//! Who is alive, and who runs which organisations.
//!
//! Leases and owners say who *should* load an organisation; who can write is the epoch's to say, which
//! loading moves ([`crate::Journal::load`]). So whatever anyone believes here, nothing is written twice.

use std::{collections::BTreeMap, str::FromStr, sync::Arc, time::Duration};

use async_trait::async_trait;
use domain::{OrgId, SessionId, Timestamp, org::Revision};

use crate::StoreError;

/// How long a lease lasts from when it was granted. All pods of one database are meant to have the same.
/// Where they differ each is judged by its own all the same: what it was granted is in its row, and in every
/// permission that it gave. What it may still have under way unseen counts for [`LeaseLength::LONGEST`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseLength(u32);

impl LeaseLength {
    /// A request is on its way for a moment, and the clock of its node may be a second ahead.
    pub const SHORTEST: LeaseLength = LeaseLength(2_000);
    /// Long enough to renew five times, short enough to wait for.
    pub const USUAL: LeaseLength = LeaseLength(5_000);
    /// Longer, and nobody would wait until a dead pod is taken over; and a restore has to wait for so long.
    pub const LONGEST: LeaseLength = LeaseLength(10_000);

    /// `None`: too short or too long.
    pub fn from_millis(millis: i64) -> Option<LeaseLength> {
        let possible = Self::SHORTEST.0..=Self::LONGEST.0;
        u32::try_from(millis).ok().filter(|millis| possible.contains(millis)).map(LeaseLength)
    }

    pub fn millis(self) -> i64 {
        i64::from(self.0)
    }

    pub fn duration(self) -> Duration {
        Duration::from_millis(u64::from(self.0))
    }

    /// How often it is renewed: five times before it ends.
    pub fn renewal(self) -> Duration {
        self.duration() / 5
    }
}

impl Default for LeaseLength {
    fn default() -> LeaseLength {
        LeaseLength::USUAL
    }
}

impl FromStr for LeaseLength {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<LeaseLength, &'static str> {
        let wrong = "must be a whole number of milliseconds from 2000 to 10000";
        text.parse().ok().and_then(LeaseLength::from_millis).ok_or(wrong)
    }
}

/// Into so many parts the organisations are divided. It never changes: the numbers are in the store.
pub const SHARDS: u16 = 4_096;

/// A part of all organisations, owned by one pod at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shard(u16);

impl Shard {
    pub fn of(org: OrgId) -> Shard {
        let number = org.uuid().as_u128() % u128::from(SHARDS);
        Shard(u16::try_from(number).expect("the remainder is small"))
    }

    /// `None`: there is no such shard.
    pub fn new(number: u16) -> Option<Shard> {
        (number < SHARDS).then_some(Shard(number))
    }

    pub fn all() -> impl Iterator<Item = Shard> {
        (0..SHARDS).map(Shard)
    }

    pub fn number(self) -> u16 {
        self.0
    }
}

/// One life of an engine in a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    pub session: SessionId,
    /// The same in its next life.
    pub name: String,
    /// `host:port` at which the other pods reach it; empty where there are no others.
    pub address: String,
}

/// Who is alive and owns what, as of one instant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlacementMap {
    /// In the order of their names.
    pub pods: Vec<Pod>,
    /// By the number of the shard. An owner that is not among the pods is not alive, and is none.
    pub owners: Arc<Vec<Option<SessionId>>>,
}

impl PlacementMap {
    pub fn owner(&self, shard: Shard) -> Option<SessionId> {
        let owner = self.owners.get(usize::from(shard.number())).copied().flatten();
        owner.filter(|session| self.pod(*session).is_some())
    }

    pub fn pod(&self, session: SessionId) -> Option<&Pod> {
        self.pods.iter().find(|pod| pod.session == session)
    }

    /// What is about to be read again, as far as it is known.
    pub fn give(&mut self, shards: &[Shard], to: SessionId) {
        let owners = Arc::make_mut(&mut self.owners);
        for shard in shards {
            if let Some(owner) = owners.get_mut(usize::from(shard.number())) {
                *owner = Some(to);
            }
        }
    }

    pub fn owner_of(&self, org: OrgId) -> Option<&Pod> {
        self.pod(self.owner(Shard::of(org))?)
    }
}

/// A pod's lease as it was renewed last, by the store's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Granted {
    pub until: Timestamp,
    /// Below zero: it is over, and nobody has taken over yet.
    pub left_ms: i64,
}

/// What an operator is shown of the pods.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pods {
    pub map: PlacementMap,
    /// Read after the map: one that is missing has left meanwhile.
    pub leases: BTreeMap<SessionId, Granted>,
}

/// A process that reads the store and owns nothing of it, such as a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reader {
    /// Of this life of it.
    pub session: SessionId,
    /// For people.
    pub name: String,
    /// What it reads. An engine says so when it joins.
    pub reads: Revision,
}

#[async_trait]
pub trait Placement: Send + Sync {
    /// How long the leases last that are granted here, by the store's clock.
    fn lease_length(&self) -> LeaseLength;

    /// Begins the life of the only process: it owns every shard, and every other life is over.
    async fn begin(&self, session: SessionId) -> Result<Timestamp, StoreError>;

    /// Renews the lease and answers until when it is good. `None`: the row is gone, another has taken
    /// over, and this life is over; never an insert.
    async fn renew(&self, session: SessionId) -> Result<Option<Timestamp>, StoreError>;

    /// Only pods whose lease is good are in it.
    async fn map(&self) -> Result<PlacementMap, StoreError>;

    /// Of every pod that nobody has taken over. Not in the map, which stays the same while they are renewed.
    async fn leases(&self) -> Result<BTreeMap<SessionId, Granted>, StoreError>;

    /// Before the first event of a revision is written: whether every process that lives can read it.
    /// Answers the names of those that cannot; none of them, and it may be written from now on, for ever,
    /// as nobody who cannot read it begins a life any more.
    async fn allow(&self, revision: Revision) -> Result<Vec<String>, StoreError>;
}

/// Why an engine could not join.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    #[error("a pod named {0} is alive")]
    NameTaken(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What several engines need over one store. Nothing here elects or agrees: the store is the one
/// linear history.
#[async_trait]
pub trait Cluster: Placement {
    /// Begins the life of one engine among others, with a lease as in [`Placement::begin`]. It owns
    /// nothing yet. A life of the same name whose lease is over is ended by this.
    async fn join(&self, pod: &Pod) -> Result<Timestamp, JoinError>;

    /// Ends every life whose lease is over, and what it has under way at the store (`money-safety`
    /// rule 30). Its shards are free from then on.
    async fn bury(&self) -> Result<Vec<SessionId>, StoreError>;

    /// Takes those of the shards that no living pod owns, and answers which they were. Takes nothing
    /// for one that is not alive itself.
    async fn claim(&self, session: SessionId, shards: &[Shard]) -> Result<Vec<Shard>, StoreError>;

    /// Gives those of its shards to another. What it does not own stays as it is.
    async fn hand_over(
        &self,
        from: SessionId,
        shards: &[Shard],
        to: SessionId,
    ) -> Result<(), StoreError>;

    /// Ends this life. What it still owns is free from then on.
    async fn leave(&self, session: SessionId) -> Result<(), StoreError>;

    /// Says what a process reads that owns nothing, for as long as a lease lasts. Certainly not done for
    /// one that cannot read what may be written already.
    async fn announce(&self, reader: &Reader) -> Result<(), StoreError>;

    /// It reads no more.
    async fn withdraw(&self, session: SessionId) -> Result<(), StoreError>;
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    /// Stored in the owners' table of every installation.
    #[test]
    fn the_shard_of_an_organisation_never_changes() {
        let org = |text: &str| -> OrgId { text.parse().unwrap() };
        let shard = |text| Shard::of(org(text)).number();
        assert_eq!(shard("00000000-0000-0000-0000-000000000001"), 1);
        assert_eq!(shard("01a20ae0-e07d-73ad-b7aa-21f132985458"), 0x458);
        assert_eq!(shard("ffffffff-ffff-ffff-ffff-ffffffffffff"), 4_095);
        assert_eq!(Shard::all().count(), 4_096);
        assert_eq!(Shard::new(4_096), None);
    }

    #[test]
    fn a_lease_is_neither_too_short_nor_too_long() {
        for (good, millis) in [("2000", 2_000), ("5000", 5_000), ("10000", 10_000)] {
            assert_eq!(good.parse::<LeaseLength>().unwrap().millis(), millis);
        }
        for bad in ["1999", "10001", "-5000", "0", "", "5s", "5000.0", "99999999999999999999"] {
            bad.parse::<LeaseLength>().unwrap_err();
        }
        assert_eq!(LeaseLength::default().renewal(), Duration::from_secs(1));
    }

    #[test]
    fn an_owner_that_is_not_alive_is_none() {
        let session = |n| SessionId::new(Uuid::from_u128(n));
        let pod = Pod { session: session(1), name: "a".to_owned(), address: String::new() };
        let owners = Arc::new(vec![Some(session(1)), Some(session(2))]);
        let map = PlacementMap { pods: vec![pod.clone()], owners };
        let org = |n| OrgId::new(Uuid::from_u128(n));
        assert_eq!(map.owner_of(org(0)), Some(&pod));
        assert_eq!(map.owner_of(org(1)), None);
        assert_eq!(map.owner_of(org(2)), None);
    }
}
