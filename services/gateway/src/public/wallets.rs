use std::{
    ops::Bound::{Excluded, Unbounded},
    sync::Arc,
};

use domain::{WalletId, org::Command};
use ports::{journal::Seq, reads::LedgerFilter};
use proto::{
    Problem,
    convert::wallets::{self as convert, Create, Ledger, List},
    v1::{self, wallets_server},
};
use tonic::{Request, Response, Status};

use super::door::asked;
use crate::{
    auth::Caller,
    edge::Edge,
    problem::{after_a_write, answer, customer},
    wallets,
};

pub(crate) struct Wallets(pub(crate) Arc<Edge>);

impl Wallets {
    async fn told(&self, caller: Caller, id: WalletId) -> Result<v1::Wallet, Problem> {
        let org = self.0.standing(caller.org).await?;
        let wallet = wallets::own(&org, caller, id)?;
        Ok(convert::wallet(&org, self.0.gateway.network, id, wallet)?)
    }

    async fn created(
        &self,
        caller: Caller,
        request: v1::CreateWalletRequest,
    ) -> Result<v1::Wallet, Problem> {
        let Create { wallet, name, backing, limit_msat, metadata } = Create::try_from(request)?;
        wallets::check_name(&name)?;
        let environment = caller.environment;
        let command =
            Command::CreateWallet { wallet, environment, name, backing, limit_msat, metadata };
        wallets::administer(&self.0, caller, command).await?;
        self.told(caller, wallet).await.map_err(after_a_write)
    }

    async fn page(
        &self,
        caller: Caller,
        request: v1::ListWalletsRequest,
    ) -> Result<v1::ListWalletsResponse, Problem> {
        let List { limit, after, include_deleted } = List::try_from(request)?;
        let org = self.0.standing(caller.org).await?;
        let from = after.map_or(Unbounded, Excluded);
        let mut own = org
            .wallets
            .range((from, Unbounded))
            .filter(|(_, wallet)| wallet.environment == caller.environment)
            .filter(|(_, wallet)| include_deleted || wallet.deleted_at.is_none());
        let network = self.0.gateway.network;
        let mut listed = Vec::new();
        for (&id, wallet) in own.by_ref().take(usize::try_from(limit).unwrap_or(usize::MAX)) {
            listed.push(convert::wallet(&org, network, id, wallet)?);
        }
        let last = listed.last().map(|wallet| wallet.id.clone());
        let next_cursor = own.next().and(last).unwrap_or_default();
        Ok(v1::ListWalletsResponse { wallets: listed, next_cursor })
    }

    async fn entries(
        &self,
        caller: Caller,
        request: v1::LedgerRequest,
    ) -> Result<v1::LedgerResponse, Problem> {
        let asked = Ledger::try_from(request)?;
        let Ledger { wallet, limit, newest_first, offset, .. } = asked;
        self.0.check_wallet(caller, wallet).await?;
        let filter = LedgerFilter {
            payment: asked.payment,
            from: asked.from,
            to: asked.to,
            after: Some(Seq(asked.after_seq)),
        };
        let reads = &self.0.gateway.reads;
        let recorded = reads
            .ledger(caller.org, wallet, &filter, !newest_first, offset, limit)
            .await
            .map_err(customer::store)?;
        let is_full = u32::try_from(recorded.len()).is_ok_and(|read| read >= limit);
        let last = recorded.last().map(|recorded| recorded.seq.0);
        let entries = recorded.iter().filter_map(|recorded| {
            convert::ledger_entry(wallet, recorded.seq.0, recorded.at, &recorded.event)
        });
        let behind = offset.saturating_add(u64::from(limit));
        Ok(v1::LedgerResponse {
            entries: entries.collect(),
            next_after_seq: last.filter(|_| is_full && !newest_first),
            next_offset: Some(behind).filter(|_| is_full && newest_first),
        })
    }
}

#[tonic::async_trait]
impl wallets_server::Wallets for Wallets {
    async fn get(
        &self,
        request: Request<v1::GetWalletRequest>,
    ) -> Result<Response<v1::Wallet>, Status> {
        let (caller, request) = asked(request)?;
        answer("Wallets.Get", async { self.told(caller, convert::wallet_id(&request.id)?).await })
            .await
    }

    async fn create(
        &self,
        request: Request<v1::CreateWalletRequest>,
    ) -> Result<Response<v1::Wallet>, Status> {
        let (caller, request) = asked(request)?;
        answer("Wallets.Create", self.created(caller, request)).await
    }

    async fn rename(
        &self,
        request: Request<v1::RenameWalletRequest>,
    ) -> Result<Response<v1::Wallet>, Status> {
        let (caller, v1::RenameWalletRequest { id, name }) = asked(request)?;
        answer("Wallets.Rename", async {
            let id = convert::wallet_id(&id)?;
            wallets::check_name(&name)?;
            wallets::rename(&self.0, caller, id, name).await?;
            self.told(caller, id).await.map_err(after_a_write)
        })
        .await
    }

    async fn delete(
        &self,
        request: Request<v1::DeleteWalletRequest>,
    ) -> Result<Response<v1::Wallet>, Status> {
        let (caller, request) = asked(request)?;
        answer("Wallets.Delete", async {
            let id = convert::wallet_id(&request.id)?;
            wallets::delete(&self.0, caller, id).await?;
            self.told(caller, id).await.map_err(after_a_write)
        })
        .await
    }

    async fn list(
        &self,
        request: Request<v1::ListWalletsRequest>,
    ) -> Result<Response<v1::ListWalletsResponse>, Status> {
        let (caller, request) = asked(request)?;
        answer("Wallets.List", self.page(caller, request)).await
    }

    async fn ledger(
        &self,
        request: Request<v1::LedgerRequest>,
    ) -> Result<Response<v1::LedgerResponse>, Status> {
        let (caller, request) = asked(request)?;
        answer("Wallets.Ledger", self.entries(caller, request)).await
    }
}
