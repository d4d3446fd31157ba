//! Several processes over one store: who is alive, who owns what, and that it is only a hint.

use std::{sync::Arc, time::Duration};

use domain::{SessionId, Timestamp, org::Revision};
use ports::{
    Cluster,
    idempotency::{Begun, Runner},
    journal::LoadError,
    placement::{JoinError, LeaseLength, PlacementMap, Pod, Reader, Shard},
};
use tokio::time::sleep;

use crate::{
    Case,
    bed::{Bed, id},
    case,
    idempotency::{ONE, begin, begin_by, runner, scope},
};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case(a_pod_that_joins_owns_nothing_yet),
        case(the_only_process_owns_everything),
        case(a_free_shard_is_claimed_once),
        case(what_a_living_pod_owns_is_not_claimed),
        case(a_pod_that_is_gone_leaves_its_shards_free),
        case(a_pod_whose_lease_is_over_is_buried_and_never_comes_back),
        case(what_is_handed_over_has_a_new_owner_and_nothing_else_has),
        case(only_the_owner_loads_and_the_old_one_is_fenced),
        case(one_name_is_one_pod),
        case(many_that_claim_at_once_share_without_doubles),
        case(a_revision_is_allowed_once_every_reader_knows_it),
        case(a_reader_that_is_not_heard_of_is_forgotten),
        case(what_a_reader_carries_out_is_its_own_while_it_lives),
    ]
}

fn pod(number: u128, name: &str) -> Pod {
    Pod { session: id(number), name: name.to_owned(), address: format!("127.0.0.1:{number}") }
}

fn shards(numbers: impl IntoIterator<Item = u16>) -> Vec<Shard> {
    numbers.into_iter().map(|number| Shard::new(number).unwrap()).collect()
}

fn owned(map: &PlacementMap, session: SessionId) -> Vec<Shard> {
    Shard::all().filter(|shard| map.owner(*shard) == Some(session)).collect()
}

fn sorted(mut shards: Vec<Shard>) -> Vec<Shard> {
    shards.sort();
    shards
}

/// A store with two pods, and the process that began it gone.
async fn two(bed: &Bed) -> (Arc<dyn Cluster>, Pod, Pod) {
    let cluster = bed.cluster();
    cluster.leave(bed.session).await.unwrap();
    let (first, second) = (pod(1, "a"), pod(2, "b"));
    cluster.join(&first).await.unwrap();
    cluster.join(&second).await.unwrap();
    (cluster, first, second)
}

async fn a_pod_that_joins_owns_nothing_yet(bed: Bed) {
    let (cluster, first, second) = two(&bed).await;
    let map = cluster.map().await.unwrap();
    assert_eq!(map.pods, [first.clone(), second]);
    assert!(Shard::all().all(|shard| map.owner(shard).is_none()));
    assert!(cluster.renew(first.session).await.unwrap().is_some());
}

async fn the_only_process_owns_everything(bed: Bed) {
    let cluster = bed.cluster();
    let map = cluster.map().await.unwrap();
    assert_eq!(owned(&map, bed.session).len(), 4_096);
    cluster.join(&pod(1, "a")).await.unwrap();
    assert_eq!(cluster.claim(id(1), &shards(0..10)).await, Ok(vec![]));
    cluster.begin(id(2)).await.unwrap();
    let map = cluster.map().await.unwrap();
    assert_eq!((map.pods.len(), owned(&map, id(2)).len()), (1, 4_096));
}

async fn a_free_shard_is_claimed_once(bed: Bed) {
    let (cluster, first, second) = two(&bed).await;
    let claimed = cluster.claim(first.session, &shards(5..10)).await.unwrap();
    assert_eq!(sorted(claimed), shards(5..10));
    let claimed = cluster.claim(second.session, &shards(8..12)).await.unwrap();
    assert_eq!(sorted(claimed), shards(10..12));
    let map = cluster.map().await.unwrap();
    assert_eq!(owned(&map, first.session), shards(5..10));
    assert_eq!(owned(&map, second.session), shards(10..12));
}

async fn what_a_living_pod_owns_is_not_claimed(bed: Bed) {
    let (cluster, first, second) = two(&bed).await;
    cluster.claim(first.session, &shards([7])).await.unwrap();
    assert_eq!(cluster.claim(second.session, &shards([7])).await, Ok(vec![]));
    assert_eq!(cluster.claim(first.session, &shards([7])).await, Ok(vec![]));
    // One that never joined takes nothing.
    assert_eq!(cluster.claim(id(99), &shards([8])).await, Ok(vec![]));
}

async fn a_pod_that_is_gone_leaves_its_shards_free(bed: Bed) {
    let (cluster, first, second) = two(&bed).await;
    cluster.claim(first.session, &shards(0..3)).await.unwrap();
    cluster.leave(first.session).await.unwrap();
    assert_eq!(cluster.renew(first.session).await, Ok(None));
    let map = cluster.map().await.unwrap();
    assert_eq!((map.pods.len(), map.owner(Shard::new(1).unwrap())), (1, None));
    let claimed = cluster.claim(second.session, &shards(0..3)).await.unwrap();
    assert_eq!(sorted(claimed), shards(0..3));
}

/// By the store's own clock, which only the memory store lets a test move.
async fn lease_is_over(bed: &Bed, until: Timestamp) {
    if bed.clock.is_the_stores(until) {
        bed.clock.advance(LeaseLength::USUAL.millis() + 1);
    } else {
        sleep(LeaseLength::USUAL.duration() + Duration::from_millis(50)).await;
    }
}

async fn a_pod_whose_lease_is_over_is_buried_and_never_comes_back(bed: Bed) {
    let writer = bed.org(1).await;
    let cluster = bed.cluster();
    cluster.leave(bed.session).await.unwrap();
    let dead = pod(1, "a");
    let until = cluster.join(&dead).await.unwrap();
    let shard = Shard::of(writer.id());
    cluster.claim(dead.session, &[shard]).await.unwrap();
    assert_eq!(cluster.bury().await, Ok(vec![]));
    lease_is_over(&bed, until).await;
    let living = pod(2, "b");
    cluster.join(&living).await.unwrap();
    assert_eq!(cluster.map().await.unwrap().pods, std::slice::from_ref(&living));
    // Nobody has buried it yet, but it may not load any more.
    let refused = bed.store.load(writer.id(), dead.session).await.map(|loaded| loaded.seq);
    assert_eq!(refused, Err(LoadError::NotOwner));
    assert_eq!(cluster.claim(living.session, &[shard]).await, Ok(vec![]));
    assert_eq!(cluster.bury().await, Ok(vec![dead.session]));
    assert_eq!(cluster.bury().await, Ok(vec![]));
    assert_eq!(cluster.renew(dead.session).await, Ok(None));
    assert_eq!(cluster.claim(living.session, &[shard]).await, Ok(vec![shard]));
    assert!(bed.store.load(writer.id(), living.session).await.is_ok());
}

async fn what_is_handed_over_has_a_new_owner_and_nothing_else_has(bed: Bed) {
    let (cluster, first, second) = two(&bed).await;
    cluster.claim(first.session, &shards(0..4)).await.unwrap();
    cluster.claim(second.session, &shards(4..6)).await.unwrap();
    cluster.hand_over(first.session, &shards(2..9), second.session).await.unwrap();
    let map = cluster.map().await.unwrap();
    assert_eq!(owned(&map, first.session), shards(0..2));
    assert_eq!(owned(&map, second.session), shards(2..6));
}

async fn only_the_owner_loads_and_the_old_one_is_fenced(bed: Bed) {
    let mut old = bed.org(1).await;
    let cluster = bed.cluster();
    let (here, there) = (pod(1, "a"), pod(2, "b"));
    cluster.join(&here).await.unwrap();
    cluster.join(&there).await.unwrap();
    let shard = Shard::of(old.id());
    cluster.hand_over(bed.session, &[shard], here.session).await.unwrap();
    for stranger in [bed.session, there.session] {
        let refused = bed.store.load(old.id(), stranger).await.map(|loaded| loaded.seq);
        assert_eq!(refused, Err(LoadError::NotOwner));
    }
    // The old owner's writes go on until somebody loads: owners are a hint, the epoch is the fence.
    let rename = |name: &str| domain::org::Command::RenameWallet {
        wallet: crate::bed::WALLET,
        name: name.to_owned(),
    };
    let before = old.prepare(&bed, rename("before"));
    bed.store.append(&[before]).await.unwrap();
    bed.store.load(old.id(), here.session).await.unwrap();
    let after = old.prepare(&bed, rename("after"));
    bed.store.append(&[after]).await.unwrap_err();
}

async fn one_name_is_one_pod(bed: Bed) {
    let (cluster, first, _) = two(&bed).await;
    let twin = pod(3, "a");
    assert_eq!(cluster.join(&twin).await, Err(JoinError::NameTaken("a".to_owned())));
    let pods = cluster.map().await.unwrap().pods;
    assert_eq!(pods.iter().filter(|pod| pod.name == "a").count(), 1);
    cluster.leave(first.session).await.unwrap();
    cluster.join(&twin).await.unwrap();
}

fn reader(number: u128, name: &str, reads: Revision) -> Reader {
    Reader { session: id(number), name: name.to_owned(), reads }
}

const NEW: Revision = Revision::RENAMED_ENVIRONMENTS;

async fn a_revision_is_allowed_once_every_reader_knows_it(bed: Bed) {
    let cluster = bed.cluster();
    let (old, new) = (reader(1, "old", Revision::FIRST), reader(2, "new", NEW));
    cluster.announce(&old).await.unwrap();
    for _ in 0..2 {
        cluster.announce(&new).await.unwrap();
        assert_eq!(cluster.allow(NEW).await, Ok(vec!["old".to_owned()]));
        assert_eq!(cluster.allow(Revision::FIRST).await, Ok(vec![]));
        cluster.announce(&old).await.unwrap();
    }
    cluster.withdraw(old.session).await.unwrap();
    assert_eq!(cluster.allow(NEW).await, Ok(vec![]));

    // For ever: the old one does not come back, and whoever asks for less takes nothing away.
    assert_eq!(cluster.allow(Revision::FIRST).await, Ok(vec![]));
    cluster.announce(&old).await.unwrap_err();
    cluster.announce(&new).await.unwrap();
    assert_eq!(cluster.allow(NEW).await, Ok(vec![]));
}

async fn a_reader_that_is_not_heard_of_is_forgotten(bed: Bed) {
    let cluster = bed.cluster();
    let old = reader(1, "old", Revision::FIRST);
    cluster.announce(&old).await.unwrap();
    let until = cluster.renew(bed.session).await.unwrap().unwrap();
    lease_is_over(&bed, until).await;
    assert_eq!(cluster.allow(NEW).await, Ok(vec![]));
    cluster.announce(&old).await.unwrap_err();
}

async fn what_a_reader_carries_out_is_its_own_while_it_lives(bed: Bed) {
    let (cluster, reader) = (bed.cluster(), reader(1, "gateway", NEW));
    cluster.announce(&reader).await.unwrap();
    let read = Runner { session: reader.session, ..runner(&bed, 10) };
    assert_eq!(begin_by(&bed, &scope("k"), ONE, read).await, Begun::New);
    assert_eq!(begin(&bed, "k", ONE).await, Begun::Running);
    cluster.withdraw(reader.session).await.unwrap();
    assert_eq!(begin(&bed, "k", ONE).await, Begun::New);
}

async fn many_that_claim_at_once_share_without_doubles(bed: Bed) {
    let cluster = bed.cluster();
    cluster.leave(bed.session).await.unwrap();
    let all = shards(0..500);
    // Who comes first is chance, and so is whether one waits for the other.
    for round in 1..=20 {
        let (first, second) = (pod(2 * round, "a"), pod(2 * round + 1, "b"));
        cluster.join(&first).await.unwrap();
        cluster.join(&second).await.unwrap();
        let (mine, theirs) =
            tokio::join!(cluster.claim(first.session, &all), cluster.claim(second.session, &all));
        let (mine, theirs) = (mine.unwrap(), theirs.unwrap());
        let map = cluster.map().await.unwrap();
        assert_eq!(owned(&map, first.session), sorted(mine));
        assert_eq!(owned(&map, second.session), sorted(theirs));
        assert_eq!(Shard::all().filter(|shard| map.owner(*shard).is_some()).count(), 500);
        cluster.leave(first.session).await.unwrap();
        cluster.leave(second.session).await.unwrap();
    }
}
