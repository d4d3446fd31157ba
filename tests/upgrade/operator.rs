//! An operator who wants what old pods cannot read, and asks again and again.

use std::time::Duration;

use serde_json::{Value, json};
use tests::{
    bed::{Bed, How},
    cli::{self, Said},
    process::Process,
    world::Customer,
};
use tokio::time::{Instant, sleep};

use crate::STOPS_WITHIN;

/// The database has noticed by then that a process has ended.
const NOTICED_WITHIN: Duration = Duration::from_secs(5);
const ASKS_AGAIN: Duration = Duration::from_millis(50);

/// With a gateway of today's, as one from before has no such call.
pub(crate) struct Operator {
    gateway: Process,
    data: String,
}

impl Operator {
    pub(crate) async fn comes_in(bed: &Bed) -> Operator {
        let (gateway, _) = bed.gateway("operator", &How::default()).await;
        Operator { gateway, data: bed.data_of("operator").display().to_string() }
    }

    async fn says(&self, key: &str, words: &[&str]) -> Said {
        cli::run(words, &[("SWITCHYARD_DATA", &self.data), ("SWITCHYARD_KEY", key)]).await
    }

    async fn renames_one(&self, customer: &Customer) -> Said {
        let words = ["environment", "rename", "--org", &customer.org, "live", "shop"];
        self.says(&customer.key, &words).await
    }

    /// Nothing is done as long as a pod lives that could not read of it, and the answer says which.
    pub(crate) async fn is_told_to_wait(&self, customer: &Customer) {
        let said = self.renames_one(customer).await;
        let error = &said.document["error"];
        assert_eq!((said.code, &error["code"]), (4, &json!("older_pods")), "{said:?}");
        let named = said.stderr.contains("engine-") || said.stderr.contains("does not say");
        assert!(named, "{said:?}");
        assert_eq!(self.name(customer).await, json!("live"));
        assert_eq!(self.renames_told_to(customer).await, 0);
    }

    /// Now that the last old pod is gone, whoever owns the organisation.
    pub(crate) async fn renames(&self, customers: &[Customer]) {
        let deadline = Instant::now() + NOTICED_WITHIN;
        while self.renames_one(&customers[0]).await.code != 0 {
            assert!(Instant::now() < deadline, "{:?}", self.renames_one(&customers[0]).await);
            sleep(ASKS_AGAIN).await;
        }
        for customer in &customers[1..] {
            let said = self.renames_one(customer).await;
            assert_eq!(said.code, 0, "{said:?}");
        }
        for customer in customers {
            assert_eq!(self.name(customer).await, json!("shop"));
            assert_eq!(self.renames_told_to(customer).await, 1);
        }
    }

    async fn name(&self, customer: &Customer) -> Value {
        let said = self.says(&customer.key, &["env", "list", "--org", &customer.org]).await;
        said.document["environments"][0]["name"].clone()
    }

    /// As the customer's feed has it, from its beginning to its end.
    async fn renames_told_to(&self, customer: &Customer) -> usize {
        let (mut renames, mut after) = (0, 0);
        loop {
            let place = after.to_string();
            let words = ["events", "--limit", "1000", "--after", &place];
            let said = self.says(&customer.key, &words).await;
            let events = said.document["events"].as_array().expect("a page").clone();
            let is_rename = |event: &&Value| event["type"] == json!("environment_renamed");
            renames += events.iter().filter(is_rename).count();
            let next = said.document["next_after_seq"].as_u64().expect("a page has an end");
            if next == after {
                return renames;
            }
            after = next;
        }
    }

    pub(crate) async fn leaves(mut self) {
        self.gateway.stop(STOPS_WITHIN).await.expect("a gateway stops well");
    }
}
