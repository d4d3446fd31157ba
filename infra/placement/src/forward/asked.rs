//! What can be asked of an organisation in another pod.

use proto::engine::v1::{self, CallKind, orgs_client::OrgsClient};
use tonic::{Response, Status};

use crate::channels::Line;

type Client = OrgsClient<Line>;
type Answered<T> = Result<Response<T>, Status>;

/// One call to a pod, which is made anew for each attempt.
pub(super) trait Asked: prost::Message {
    type Answer: prost::Message + Default;

    /// What it is on a stream. `None`: it is too rare for one.
    const KIND: Option<CallKind>;

    /// A call of its own.
    fn alone(self, client: Client) -> impl Future<Output = Answered<Self::Answer>> + Send;
}

impl Asked for v1::SendRequest {
    type Answer = v1::Taken;
    const KIND: Option<CallKind> = Some(CallKind::Send);

    async fn alone(self, mut client: Client) -> Answered<v1::Taken> {
        client.send(self).await
    }
}

impl Asked for v1::ReceiveRequest {
    type Answer = v1::Taken;
    const KIND: Option<CallKind> = Some(CallKind::Receive);

    async fn alone(self, mut client: Client) -> Answered<v1::Taken> {
        client.receive(self).await
    }
}

impl Asked for v1::WaitRequest {
    type Answer = v1::Found;
    const KIND: Option<CallKind> = Some(CallKind::Wait);

    async fn alone(self, mut client: Client) -> Answered<v1::Found> {
        client.wait(self).await
    }
}

impl Asked for v1::CancelRequest {
    type Answer = v1::Found;
    const KIND: Option<CallKind> = None;

    async fn alone(self, mut client: Client) -> Answered<v1::Found> {
        client.cancel(self).await
    }
}

impl Asked for v1::AdministerRequest {
    type Answer = v1::Done;
    const KIND: Option<CallKind> = None;

    async fn alone(self, mut client: Client) -> Answered<v1::Done> {
        client.administer(self).await
    }
}

impl Asked for v1::ClaimRequest {
    type Answer = v1::Done;
    const KIND: Option<CallKind> = Some(CallKind::Claim);

    async fn alone(self, mut client: Client) -> Answered<v1::Done> {
        client.claim(self).await
    }
}

impl Asked for v1::AnswerClaimRequest {
    type Answer = v1::Done;
    const KIND: Option<CallKind> = Some(CallKind::AnswerClaim);

    async fn alone(self, mut client: Client) -> Answered<v1::Done> {
        client.answer_claim(self).await
    }
}

impl Asked for v1::BookReceiptRequest {
    type Answer = v1::Done;
    const KIND: Option<CallKind> = Some(CallKind::BookReceipt);

    async fn alone(self, mut client: Client) -> Answered<v1::Done> {
        client.book_receipt(self).await
    }
}
