//! Settled invoices after a cursor, none left out, then new ones as they settle.
//!
//! ```text
//!   cursor > 0 ───────────────────────────────▶ Live: lnd sends what settled after the cursor, then
//!   cursor = 0 ─▶ is anything settled at all?         what settles
//!                  │ no: wait for news, ask again        ▲
//!                  ▼ yes, index s                        │ from s on
//!                 Backlog: all invoices are read, those up to s delivered in order
//! ```
//!
//! LND takes settle index 0 as "no backlog", so the first settlement of a node cannot be had from its
//! stream. Whatever has an index up to s was settled before the reading began, so the reading sees it;
//! whatever settles later has a greater index, so the stream brings it.

use std::{collections::VecDeque, future::Future, pin::Pin, sync::Arc, time::Duration};

use async_trait::async_trait;
use domain::PaymentHash;
use ports::lightning::{NodeError, PayError, Settlement, Stream};
use tokio::time::{Instant, timeout_at};
use tonic::{Response, Status, Streaming};
use tonic_lnd::lnrpc::{
    Invoice, InvoiceSubscription, ListInvoiceRequest, ListInvoiceResponse, invoice::InvoiceState,
};

use super::{
    Wire, msat,
    status::{in_full, node_error},
};

/// One to two kilobytes each.
const PAGE: u64 = 1_000;
const LONGEST_POLL: Duration = Duration::from_secs(60);

pub(super) async fn follow(
    wire: Arc<Wire>,
    after: u64,
) -> Result<Box<dyn Stream<Settlement>>, NodeError> {
    let pause = wire.timing.first_settlement_poll;
    let mut follower =
        Follower { wire, cursor: after, backlog: VecDeque::new(), live: Live::Closed, pause };
    if after == 0 {
        follower.read_backlog().await.map_err(|status| node_error(&status))?;
    }
    Ok(Box::new(follower))
}

struct Follower {
    wire: Arc<Wire>,
    /// From where lnd's stream is asked for; 0 as long as nothing was ever settled.
    cursor: u64,
    backlog: VecDeque<Settlement>,
    live: Live,
    pause: Duration,
}

type Opening =
    Pin<Box<dyn Future<Output = Result<Response<Streaming<Invoice>>, Status>> + Send + 'static>>;

/// lnd answers the call with the first message, which may be a long time coming.
enum Live {
    Closed,
    Opening(Opening),
    Open(Box<Streaming<Invoice>>),
    Over,
}

#[async_trait]
impl Stream<Settlement> for Follower {
    async fn next(&mut self) -> Option<Result<Settlement, PayError>> {
        loop {
            if let Some(settlement) = self.backlog.pop_front() {
                return Some(Ok(settlement));
            }
            let next = if self.cursor == 0 {
                self.first().await.map(|()| None)
            } else {
                match self.message().await {
                    Ok(None) => return None,
                    Ok(Some(invoice)) => settlement(&invoice),
                    Err(status) => Err(status),
                }
            };
            match next {
                Ok(Some(settlement)) => return Some(Ok(settlement)),
                Ok(None) => {}
                Err(status) => {
                    self.live = Live::Over;
                    return Some(Err(PayError::Lost(in_full(&status))));
                }
            }
        }
    }
}

impl Follower {
    /// Waits until an invoice settles, or a while, and reads the backlog anew.
    ///
    /// When lnd has begun to send cannot be told, so the first settlement may have slipped by.
    async fn first(&mut self) -> Result<(), Status> {
        let look_at = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(LONGEST_POLL);
        loop {
            match timeout_at(look_at, self.message()).await {
                Ok(Ok(Some(invoice))) if settlement(&invoice)?.is_none() => {}
                Ok(Ok(Some(_))) | Err(_) => break,
                Ok(Ok(None)) => return Err(Status::unavailable("the stream ended")),
                Ok(Err(status)) => return Err(status),
            }
        }
        self.read_backlog().await?;
        if self.cursor != 0 {
            self.live = Live::Closed;
        }
        Ok(())
    }

    /// The next message of lnd's stream. May be given up between two polls and asked again.
    async fn message(&mut self) -> Result<Option<Invoice>, Status> {
        loop {
            match &mut self.live {
                Live::Closed => {
                    let mut lightning = self.wire.lightning();
                    let from = InvoiceSubscription { add_index: 0, settle_index: self.cursor };
                    let request = self.wire.request(from);
                    self.live = Live::Opening(Box::pin(async move {
                        lightning.subscribe_invoices(request).await
                    }));
                }
                Live::Opening(opening) => {
                    let opened = opening.await;
                    self.live = match opened {
                        Ok(response) => Live::Open(Box::new(response.into_inner())),
                        Err(status) => {
                            self.live = Live::Over;
                            return Err(status);
                        }
                    };
                }
                Live::Open(stream) => return stream.message().await,
                Live::Over => return Ok(None),
            }
        }
    }

    /// Fills the backlog with everything settled so far and moves the cursor behind it.
    async fn read_backlog(&mut self) -> Result<(), Status> {
        let Some(latest) = some_settled_index(&self.wire).await? else { return Ok(()) };
        let mut settled = Vec::new();
        let mut offset = 0;
        loop {
            let page = page(&self.wire, offset, Direction::Forwards).await?;
            for invoice in &page.invoices {
                settled.extend(settlement(invoice)?.filter(|it| it.settle_index <= latest));
            }
            if page.invoices.is_empty() || page.last_index_offset <= offset {
                break;
            }
            offset = page.last_index_offset;
        }
        settled.sort_unstable_by_key(|settlement| settlement.settle_index);
        self.backlog = settled.into();
        self.cursor = latest;
        Ok(())
    }
}

/// Reads every invoice: one that was made long ago may have been paid last.
pub(super) async fn last_index(wire: &Wire) -> Result<u64, NodeError> {
    let (mut offset, mut last) = (0, 0);
    loop {
        let page = page(wire, offset, Direction::Forwards).await;
        let page = page.map_err(|status| node_error(&status))?;
        for invoice in &page.invoices {
            last = last.max(invoice.settle_index);
        }
        if page.invoices.is_empty() || page.last_index_offset <= offset {
            return Ok(last);
        }
        offset = page.last_index_offset;
    }
}

/// Looks from the newest invoice back, as an index found late spares reading much.
async fn some_settled_index(wire: &Wire) -> Result<Option<u64>, Status> {
    let mut offset = 0;
    loop {
        let page = page(wire, offset, Direction::Backwards).await?;
        let mut found = None;
        for invoice in &page.invoices {
            found = found.max(settlement(invoice)?.map(|settled| settled.settle_index));
        }
        if found.is_some() || page.invoices.is_empty() || page.first_index_offset <= 1 {
            return Ok(found);
        }
        offset = page.first_index_offset;
    }
}

async fn page(
    wire: &Wire,
    offset: u64,
    direction: Direction,
) -> Result<ListInvoiceResponse, Status> {
    let message = ListInvoiceRequest {
        index_offset: offset,
        num_max_invoices: PAGE,
        reversed: direction == Direction::Backwards,
        ..Default::default()
    };
    wire.answer(wire.lightning().list_invoices(wire.request(message))).await
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Forwards,
    Backwards,
}

/// `None` for an invoice that is not settled.
pub(super) fn settlement(invoice: &Invoice) -> Result<Option<Settlement>, Status> {
    match InvoiceState::try_from(invoice.state) {
        Ok(InvoiceState::Settled) => {}
        Ok(InvoiceState::Open | InvoiceState::Canceled | InvoiceState::Accepted) | Err(_) => {
            return Ok(None);
        }
    }
    let hash = invoice.r_hash.as_slice().try_into().map(PaymentHash).ok();
    // What was truly paid, which may be more than was asked.
    match (hash, msat(invoice.amt_paid_msat)) {
        (Some(hash), Some(paid_msat)) => {
            let (settle_index, spontaneous) =
                (invoice.settle_index, invoice.is_keysend || invoice.is_amp);
            Ok(Some(Settlement { hash, paid_msat, settle_index, spontaneous }))
        }
        (_, _) => Err(Status::internal(format!(
            "settled invoice {} cannot be read",
            invoice.settle_index
        ))),
    }
}
