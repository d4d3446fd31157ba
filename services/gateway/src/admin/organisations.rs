use std::collections::HashMap;

use domain::{NodeId, OrgId, PaymentId, Rejection, org::Command};
use ports::{StoreError, directory::OrgRecord};
use proto::{
    Problem,
    admin::v1::{self, organisations_server},
    convert::{
        WireError,
        organisations::{self, Create, Order},
        payments,
    },
    v1::Payment,
};
use tonic::{Request, Response, Status};

use super::standing;
use crate::{
    Gateway,
    problem::{after_a_write, answer, operator},
};

pub(crate) struct Organisations(pub(crate) Gateway);

impl Organisations {
    async fn created(
        &self,
        request: v1::CreateOrganisationRequest,
    ) -> Result<v1::Organisation, Problem> {
        let Create { org, name } = Create::try_from(request)?;
        let record = OrgRecord { id: org, name, created_at: self.0.clock.now() };
        match self.0.directory.add_org(&record).await {
            Ok(()) => Ok(organisation(record)),
            // A repeat comes later than the first time, and is answered with the first.
            Err(StoreError::AlreadyThere) => self.created_before(&record).await,
            Err(error) => Err(operator::store(error)),
        }
    }

    async fn created_before(&self, wanted: &OrgRecord) -> Result<v1::Organisation, Problem> {
        let orgs = self.0.directory.orgs().await.map_err(operator::store)?;
        let same = orgs.into_iter().find(|org| org.id == wanted.id && org.name == wanted.name);
        same.map(organisation).ok_or_else(|| operator::store(StoreError::AlreadyThere))
    }

    async fn administer<Wire, Done: Default>(
        &self,
        call: &'static str,
        request: Request<Wire>,
    ) -> Result<Response<Done>, Status>
    where
        Order: TryFrom<Wire, Error = WireError>,
    {
        let order = Order::try_from(request.into_inner());
        answer(call, async {
            let Order { org, command } = order?;
            if let Command::SetNodeFunds { node, .. } = command {
                self.check_node(org, node).await?;
            }
            self.0.orgs.administer(org, command).await.map_err(operator::orgs)?;
            Ok(Done::default())
        })
        .await
    }

    async fn resolved(&self, request: v1::ResolvePaymentRequest) -> Result<Payment, Problem> {
        let payment = organisations::payment_id(&request.payment_id)?;
        let Order { org, command } = Order::try_from(request)?;
        self.0.orgs.administer(org, command).await.map_err(operator::orgs)?;
        self.payment(org, payment).await.map_err(after_a_write)
    }

    async fn payment(&self, org: OrgId, payment: PaymentId) -> Result<Payment, Problem> {
        let row = self.0.reads.payment(org, payment).await.map_err(operator::store)?;
        let nodes = self.0.directory.nodes().await.map_err(operator::store)?;
        let names: HashMap<_, _> = nodes.into_iter().map(|node| (node.id, node.name)).collect();
        let told = row.and_then(|row| payments::payment(&row, &names));
        told.ok_or_else(|| Rejection::PaymentNotFound(payment).into())
    }

    /// Funds may be declared of an organisation's own node only: what a wallet of it may spend
    /// leaves there.
    async fn check_node(&self, org: OrgId, id: NodeId) -> Result<(), Problem> {
        let nodes = self.0.directory.nodes().await.map_err(operator::store)?;
        let is_own = nodes.iter().any(|node| node.id == id && node.owner == Some(org));
        if is_own { Ok(()) } else { Err(Rejection::NodeNotFound(id).into()) }
    }
}

fn organisation(record: OrgRecord) -> v1::Organisation {
    v1::Organisation {
        id: record.id.to_string(),
        name: record.name,
        created_at_ms: record.created_at.millis(),
    }
}

#[tonic::async_trait]
impl organisations_server::Organisations for Organisations {
    async fn create(
        &self,
        request: Request<v1::CreateOrganisationRequest>,
    ) -> Result<Response<v1::Organisation>, Status> {
        answer("Organisations.Create", self.created(request.into_inner())).await
    }

    async fn list(
        &self,
        _: Request<v1::ListOrganisationsRequest>,
    ) -> Result<Response<v1::ListOrganisationsResponse>, Status> {
        answer("Organisations.List", async {
            let orgs = self.0.directory.orgs().await.map_err(operator::store)?;
            let organisations = orgs.into_iter().map(organisation).collect();
            Ok(v1::ListOrganisationsResponse { organisations })
        })
        .await
    }

    async fn get(
        &self,
        request: Request<v1::GetOrganisationRequest>,
    ) -> Result<Response<v1::Standing>, Status> {
        answer("Organisations.Get", async {
            let org = organisations::organisation_id(&request.get_ref().id)?;
            Ok(organisations::standing(&standing(&self.0, org).await?)?)
        })
        .await
    }

    async fn create_environment(
        &self,
        request: Request<v1::CreateEnvironmentRequest>,
    ) -> Result<Response<v1::CreateEnvironmentResponse>, Status> {
        self.administer("Organisations.CreateEnvironment", request).await
    }

    async fn rename_environment(
        &self,
        request: Request<v1::RenameEnvironmentRequest>,
    ) -> Result<Response<v1::RenameEnvironmentResponse>, Status> {
        self.administer("Organisations.RenameEnvironment", request).await
    }

    async fn open_line(
        &self,
        request: Request<v1::OpenLineRequest>,
    ) -> Result<Response<v1::OpenLineResponse>, Status> {
        self.administer("Organisations.OpenLine", request).await
    }

    async fn set_line_limit(
        &self,
        request: Request<v1::SetLineLimitRequest>,
    ) -> Result<Response<v1::SetLineLimitResponse>, Status> {
        self.administer("Organisations.SetLineLimit", request).await
    }

    async fn set_node_funds(
        &self,
        request: Request<v1::SetNodeFundsRequest>,
    ) -> Result<Response<v1::SetNodeFundsResponse>, Status> {
        self.administer("Organisations.SetNodeFunds", request).await
    }

    async fn create_wallet(
        &self,
        request: Request<v1::CreateWalletRequest>,
    ) -> Result<Response<v1::CreateWalletResponse>, Status> {
        self.administer("Organisations.CreateWallet", request).await
    }

    async fn set_wallet_limit(
        &self,
        request: Request<v1::SetWalletLimitRequest>,
    ) -> Result<Response<v1::SetWalletLimitResponse>, Status> {
        self.administer("Organisations.SetWalletLimit", request).await
    }

    async fn resolve_payment(
        &self,
        request: Request<v1::ResolvePaymentRequest>,
    ) -> Result<Response<Payment>, Status> {
        answer("Organisations.ResolvePayment", self.resolved(request.into_inner())).await
    }
}
