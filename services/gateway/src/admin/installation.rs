use domain::{OrgId, SessionId};
use ports::{
    operations::{AuditFinding, AuditReport},
    placement::{Pods, Shard},
    restore::{Restoring, Thawing},
};
use proto::{
    Problem,
    admin::v1::{self, installation_server},
    convert::organisations::organisation_id,
};
use tonic::{Request, Response, Status};

use super::restored;
use crate::{
    Gateway, limits,
    problem::{answer, answer_within, operator},
};

pub(crate) struct Installation(pub(crate) Gateway);

impl Installation {
    async fn state(&self) -> Result<v1::StatusResponse, Problem> {
        let Gateway { directory, reads, operations, network, .. } = &self.0;
        let nodes = operations.nodes().await.map_err(operator::store)?;
        let open = reads.orgs_with_open_work().await.map_err(operator::store)?;
        let orgs = directory.orgs().await.map_err(operator::store)?;
        Ok(v1::StatusResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            network: network.name().to_owned(),
            frozen: operations.frozen().await.map_err(operator::store)?.unwrap_or_default(),
            organisations: count(orgs.len()),
            organisations_with_open_work: count(open.len()),
            nodes: count(nodes.len()),
            nodes_not_usable: count(nodes.iter().filter(|node| node.not_usable.is_some()).count()),
        })
    }

    async fn thawed(&self, how: Thawing) -> Result<v1::ThawResponse, Problem> {
        let was_frozen = self.0.operations.thaw(how).await.map_err(operator::thaw)?;
        Ok(v1::ThawResponse { was_frozen: was_frozen.unwrap_or_default() })
    }
}

/// Counted, as four thousand lines say less.
fn pods(Pods { map, leases }: &Pods, org: Option<OrgId>) -> v1::PodsResponse {
    let owned = |owner: Option<SessionId>| {
        let shards = Shard::all().filter(|shard| map.owner(*shard) == owner).count();
        u32::try_from(shards).unwrap_or(u32::MAX)
    };
    let pods = map.pods.iter().map(|pod| v1::Pod {
        session_id: pod.session.to_string(),
        name: pod.name.clone(),
        address: pod.address.clone(),
        shards: owned(Some(pod.session)),
        lease_until_ms: leases.get(&pod.session).map(|lease| lease.until.millis()),
        lease_left_ms: leases.get(&pod.session).map(|lease| lease.left_ms),
    });
    let owner = org.and_then(|org| map.owner_of(org));
    v1::PodsResponse {
        pods: pods.collect(),
        shards_without_owner: owned(None),
        owner_session_id: owner.map(|pod| pod.session.to_string()).unwrap_or_default(),
    }
}

pub(super) fn count(things: usize) -> u64 {
    u64::try_from(things).unwrap_or(u64::MAX)
}

fn audited(report: AuditReport) -> v1::AuditResponse {
    let findings_total = count(report.findings.len());
    v1::AuditResponse {
        findings: report.findings.into_iter().take(limits::FINDINGS_MAX).map(finding).collect(),
        findings_total,
        organisations: report.organisations,
        payments: report.payments,
        entries: report.entries,
        nodes: report.nodes,
        frozen: report.frozen.unwrap_or_default(),
    }
}

fn finding(found: AuditFinding) -> v1::Finding {
    v1::Finding {
        code: found.code.into_owned(),
        organisation_id: found.org.map(|org| org.to_string()).unwrap_or_default(),
        payment_id: found.payment.map(|payment| payment.to_string()).unwrap_or_default(),
        node_id: found.node.map(|node| node.to_string()).unwrap_or_default(),
        message: found.text,
    }
}

#[tonic::async_trait]
impl installation_server::Installation for Installation {
    async fn status(
        &self,
        _: Request<v1::StatusRequest>,
    ) -> Result<Response<v1::StatusResponse>, Status> {
        answer("Installation.Status", self.state()).await
    }

    async fn audit(
        &self,
        _: Request<v1::AuditRequest>,
    ) -> Result<Response<v1::AuditResponse>, Status> {
        answer_within(limits::AUDIT_WITHIN, "Installation.Audit", async {
            Ok(audited(self.0.operations.audit().await.map_err(operator::store)?))
        })
        .await
    }

    async fn pods(
        &self,
        request: Request<v1::PodsRequest>,
    ) -> Result<Response<v1::PodsResponse>, Status> {
        answer("Installation.Pods", async {
            let asked = request.get_ref().organisation_id.as_str();
            let org = (!asked.is_empty()).then(|| organisation_id(asked)).transpose()?;
            Ok(pods(&self.0.operations.pods().await.map_err(operator::store)?, org))
        })
        .await
    }

    async fn restore(
        &self,
        request: Request<v1::RestoreRequest>,
    ) -> Result<Response<v1::RestoreResponse>, Status> {
        let how = match request.get_ref().apply {
            true => Restoring::Apply,
            false => Restoring::DryRun,
        };
        answer_within(limits::AUDIT_WITHIN, "Installation.Restore", async {
            Ok(restored::told(self.0.operations.restore(how).await.map_err(operator::store)?))
        })
        .await
    }

    async fn thaw(
        &self,
        request: Request<v1::ThawRequest>,
    ) -> Result<Response<v1::ThawResponse>, Status> {
        let how = match request.get_ref().anyway {
            true => Thawing::Anyway,
            false => Thawing::OnceSafe,
        };
        answer_within(limits::AUDIT_WITHIN, "Installation.Thaw", self.thawed(how)).await
    }
}
