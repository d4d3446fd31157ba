use std::{pin::Pin, sync::Arc};

use futures_util::{Stream, StreamExt as _};
use ports::{journal::Seq, reads::FeedEvent};
use proto::{
    Problem,
    convert::events::{self, List},
    v1::{self, events_server},
};
use tonic::{Request, Response, Status};

use super::door::asked;
use crate::{auth::Caller, edge::Edge, feed, problem::answer};

pub(crate) struct Events(pub(crate) Arc<Edge>);

type Following = Pin<Box<dyn Stream<Item = Result<v1::Event, Status>> + Send>>;

impl Events {
    async fn followed(
        &self,
        caller: Caller,
        request: v1::FollowEventsRequest,
    ) -> Result<Following, Problem> {
        let after = Seq(events::after_seq(&request));
        let told = feed::follow(self.0.clone(), caller, after).await?;
        let told = told.map(|told| told.map(|told| event(&told)).map_err(Status::from));
        Ok(Box::pin(told))
    }
}

fn event(told: &FeedEvent) -> v1::Event {
    let FeedEvent { recorded, payment } = told;
    events::event(recorded.seq.0, recorded.at, *payment, &recorded.event)
}

#[tonic::async_trait]
impl events_server::Events for Events {
    type FollowStream = Following;

    async fn list(
        &self,
        request: Request<v1::ListEventsRequest>,
    ) -> Result<Response<v1::ListEventsResponse>, Status> {
        let (caller, request) = asked(request)?;
        answer("Events.List", async {
            let List { after_seq, limit } = List::try_from(request)?;
            let (told, next) = feed::page(&self.0, caller, Seq(after_seq), limit).await?;
            let events = told.iter().map(event).collect();
            Ok(v1::ListEventsResponse { events, next_after_seq: next.0 })
        })
        .await
    }

    async fn follow(
        &self,
        request: Request<v1::FollowEventsRequest>,
    ) -> Result<Response<Following>, Status> {
        let (caller, request) = asked(request)?;
        answer("Events.Follow", self.followed(caller, request)).await
    }
}
