use std::sync::Arc;

use domain::Rejection;
use proto::{
    convert::lines,
    v1::{self, lines_server},
};
use tonic::{Request, Response, Status};

use crate::{edge::Edge, problem::answer};

pub(crate) struct Lines(pub(crate) Arc<Edge>);

#[tonic::async_trait]
impl lines_server::Lines for Lines {
    async fn get(
        &self,
        request: Request<v1::GetLineRequest>,
    ) -> Result<Response<v1::Line>, Status> {
        answer("Lines.Get", async {
            let caller = self.0.keys.caller(request.metadata()).await?;
            let id = lines::line_id(&request.get_ref().id)?;
            let org = self.0.standing(caller.org).await?;
            let line = org.lines.get(&id).filter(|line| line.environment == caller.environment);
            Ok(lines::line(id, line.ok_or(Rejection::LineNotFound(id))?))
        })
        .await
    }

    async fn list(
        &self,
        request: Request<v1::ListLinesRequest>,
    ) -> Result<Response<v1::ListLinesResponse>, Status> {
        answer("Lines.List", async {
            let caller = self.0.keys.caller(request.metadata()).await?;
            let org = self.0.standing(caller.org).await?;
            let own = org.lines.iter().filter(|(_, line)| line.environment == caller.environment);
            Ok(v1::ListLinesResponse {
                lines: own.map(|(&id, line)| lines::line(id, line)).collect(),
            })
        })
        .await
    }
}
