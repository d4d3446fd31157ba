use std::sync::Arc;

use domain::LineId;
use proto::{
    Problem,
    convert::lines as convert,
    v1::{self, lines_server},
};
use tonic::{Request, Response, Status};

use super::door::asked;
use crate::{
    auth::Caller,
    edge::Edge,
    lines,
    problem::{after_a_write, answer},
};

pub(crate) struct Lines(pub(crate) Arc<Edge>);

impl Lines {
    async fn line(&self, caller: Caller, id: LineId) -> Result<v1::Line, Problem> {
        let org = self.0.standing(caller.org).await?;
        let line = lines::own(&org, caller, id)?;
        Ok(convert::line(self.0.gateway.network, id, line))
    }
}

#[tonic::async_trait]
impl lines_server::Lines for Lines {
    async fn get(
        &self,
        request: Request<v1::GetLineRequest>,
    ) -> Result<Response<v1::Line>, Status> {
        let (caller, request) = asked(request)?;
        answer("Lines.Get", async {
            let id = convert::line_id(&request.id)?;
            self.line(caller, id).await
        })
        .await
    }

    async fn list(
        &self,
        request: Request<v1::ListLinesRequest>,
    ) -> Result<Response<v1::ListLinesResponse>, Status> {
        let (caller, request) = asked(request)?;
        answer("Lines.List", async {
            let org = self.0.standing(caller.org).await?;
            let with_disabled = request.include_disabled;
            let own = org.lines.iter().filter(|(_, line)| {
                line.environment == caller.environment
                    && (with_disabled || line.disabled_at.is_none())
            });
            let network = self.0.gateway.network;
            Ok(v1::ListLinesResponse {
                lines: own.map(|(&id, line)| convert::line(network, id, line)).collect(),
            })
        })
        .await
    }

    async fn change_sandbox(
        &self,
        request: Request<v1::ChangeSandboxRequest>,
    ) -> Result<Response<v1::Line>, Status> {
        let (caller, request) = asked(request)?;
        answer("Lines.ChangeSandbox", async {
            let id = convert::line_id(&request.id)?;
            let v1::ChangeSandboxRequest { limit_msat, disable, .. } = request;
            lines::change_sandbox(&self.0, caller, id, limit_msat, disable).await?;
            self.line(caller, id).await.map_err(after_a_write)
        })
        .await
    }
}
