//! A new kind of event is written once the oldest process that lives can read it (`architecture` 8.10).

use domain::{EnvironmentId, Rejection, org::Event};
use ports::{orgs::OrgsError, placement::LeaseLength};
use tokio::time::sleep;
use uuid::Uuid;

use crate::bed::{AT_ONCE, Bed, How};

fn refused() -> Result<(), OrgsError> {
    Err(OrgsError::OlderPods("gateway-1".to_owned()))
}

#[tokio::test(start_paused = true)]
async fn a_new_kind_waits_for_the_oldest_process_and_nothing_waits_for_it() {
    let bed = Bed::start(How { orgs: 1, ..How::default() }).await;
    bed.old_reader_lives("gateway-1").await;
    let before = bed.journal(1).await;
    assert_eq!(bed.rename(1, "stage").await, refused());
    assert_eq!(bed.journal(1).await, before, "nothing of it is written");
    // What changes nothing is no event, and a rule is a rule whoever lives.
    bed.rename(1, "live").await.unwrap();
    let long = bed.rename(1, &"x".repeat(300)).await;
    assert_eq!(long, Err(Rejection::TextTooLong(256).into()));
    let (renamed, sent) = tokio::join!(bed.rename(1, "stage"), bed.send(1, 1, AT_ONCE));
    assert_eq!(renamed, refused());
    sent.unwrap();

    // One that was killed is not waited for beyond its lease.
    sleep(LeaseLength::USUAL.duration()).await;
    bed.rename(1, "stage").await.unwrap();
    bed.rename(1, "stage").await.unwrap();
    let environment = EnvironmentId::new(Uuid::from_u128(1));
    let renamed = Event::EnvironmentRenamed { environment, name: "stage".to_owned() };
    let journal = bed.journal(1).await;
    assert_eq!(journal.iter().filter(|event| **event == renamed).count(), 1);
}
