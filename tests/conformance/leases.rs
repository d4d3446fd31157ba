//! Whose turn it is.

use codec::READS;
use domain::SessionId;
use ports::{Placement, journal::LoadError, placement::LeaseLength};

use crate::{
    Case,
    bed::{Bed, id},
    case,
};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case(a_lease_is_renewed_and_never_shortened),
        case(each_lease_is_shown_as_it_was_granted),
        case(a_lease_that_was_taken_over_is_never_brought_back),
        case(the_only_process_may_write_what_it_reads),
    ]
}

async fn a_lease_is_renewed_and_never_shortened(bed: Bed) {
    let session: SessionId = id(1);
    let begun = Placement::begin(bed.store.as_ref(), session).await.unwrap();
    bed.clock.tick();
    let first = bed.store.renew(session).await.unwrap().unwrap();
    assert!(first >= begun);
    bed.clock.tick();
    let second = bed.store.renew(session).await.unwrap().unwrap();
    assert!(second >= first);
    assert!(second.millis_since(begun) < 2_000);
}

async fn each_lease_is_shown_as_it_was_granted(bed: Bed) {
    let session: SessionId = id(1);
    Placement::begin(bed.store.as_ref(), session).await.unwrap();
    bed.clock.tick();
    let until = bed.store.renew(session).await.unwrap().unwrap();
    let leases = bed.store.leases().await.unwrap();
    let granted = leases[&session];
    assert_eq!((leases.len(), granted.until), (1, until));
    let whole = LeaseLength::USUAL.millis();
    assert!((whole - 2_000..=whole).contains(&granted.left_ms), "{granted:?}");
}

async fn a_lease_that_was_taken_over_is_never_brought_back(bed: Bed) {
    let writer = bed.org(1).await;
    let (old, new): (SessionId, SessionId) = (bed.session, id(1));
    assert_eq!(bed.store.renew(new).await, Ok(None));
    Placement::begin(bed.store.as_ref(), new).await.unwrap();
    for _ in 0..2 {
        assert_eq!(bed.store.renew(old).await, Ok(None));
        let refused = bed.store.load(writer.id(), old).await.map(|loaded| loaded.seq);
        assert_eq!(refused, Err(LoadError::NotOwner));
    }
    assert!(bed.store.renew(new).await.unwrap().is_some());
    assert!(bed.store.load(writer.id(), new).await.is_ok());
}

async fn the_only_process_may_write_what_it_reads(bed: Bed) {
    for _ in 0..2 {
        assert_eq!(bed.store.allow(READS).await, Ok(vec![]));
    }
}
