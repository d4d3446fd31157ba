use std::{
    ops::Bound::{Excluded, Unbounded},
    sync::Arc,
};

use domain::Rejection;
use ports::{journal::Seq, reads::LedgerFilter};
use proto::{
    Problem,
    convert::wallets::{self, Ledger, List},
    v1::{self, wallets_server},
};
use tonic::{Request, Response, Status, metadata::MetadataMap};

use crate::{
    edge::Edge,
    problem::{answer, customer},
};

pub(crate) struct Wallets(pub(crate) Arc<Edge>);

impl Wallets {
    async fn page(
        &self,
        metadata: &MetadataMap,
        request: v1::ListWalletsRequest,
    ) -> Result<v1::ListWalletsResponse, Problem> {
        let caller = self.0.keys.caller(metadata).await?;
        let List { limit, after } = List::try_from(request)?;
        let org = self.0.standing(caller.org).await?;
        let from = after.map_or(Unbounded, Excluded);
        let mut own = org
            .wallets
            .range((from, Unbounded))
            .filter(|(_, wallet)| wallet.environment == caller.environment);
        let mut listed = Vec::new();
        for (&id, wallet) in own.by_ref().take(usize::try_from(limit).unwrap_or(usize::MAX)) {
            listed.push(wallets::wallet(&org, id, wallet)?);
        }
        let last = listed.last().map(|wallet| wallet.id.clone());
        let next_cursor = own.next().and(last).unwrap_or_default();
        Ok(v1::ListWalletsResponse { wallets: listed, next_cursor })
    }

    async fn entries(
        &self,
        metadata: &MetadataMap,
        request: v1::LedgerRequest,
    ) -> Result<v1::LedgerResponse, Problem> {
        let caller = self.0.keys.caller(metadata).await?;
        let Ledger { wallet, after_seq, limit } = Ledger::try_from(request)?;
        self.0.check_wallet(caller, wallet).await?;
        let filter = LedgerFilter { after: Some(Seq(after_seq)), ..LedgerFilter::default() };
        let recorded = self
            .0
            .gateway
            .reads
            .ledger(caller.org, wallet, &filter, true, 0, limit)
            .await
            .map_err(customer::store)?;
        let is_full = u32::try_from(recorded.len()).is_ok_and(|read| read >= limit);
        let last = recorded.last().map(|recorded| recorded.seq.0);
        let entries = recorded.iter().filter_map(|recorded| {
            wallets::ledger_entry(wallet, recorded.seq.0, recorded.at, &recorded.event)
        });
        Ok(v1::LedgerResponse {
            entries: entries.collect(),
            next_after_seq: last.filter(|_| is_full),
        })
    }
}

#[tonic::async_trait]
impl wallets_server::Wallets for Wallets {
    async fn get(
        &self,
        request: Request<v1::GetWalletRequest>,
    ) -> Result<Response<v1::Wallet>, Status> {
        answer("Wallets.Get", async {
            let caller = self.0.keys.caller(request.metadata()).await?;
            let id = wallets::wallet_id(&request.get_ref().id)?;
            let org = self.0.standing(caller.org).await?;
            let own = org.wallets.get(&id);
            let own = own.filter(|wallet| wallet.environment == caller.environment);
            let wallet = own.ok_or(Rejection::WalletNotFound(id))?;
            Ok(wallets::wallet(&org, id, wallet)?)
        })
        .await
    }

    async fn list(
        &self,
        request: Request<v1::ListWalletsRequest>,
    ) -> Result<Response<v1::ListWalletsResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        answer("Wallets.List", self.page(&metadata, request)).await
    }

    async fn ledger(
        &self,
        request: Request<v1::LedgerRequest>,
    ) -> Result<Response<v1::LedgerResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        answer("Wallets.Ledger", self.entries(&metadata, request)).await
    }
}
