//! lnrpc.State, which needs no macaroon, and verrpc.Versioner.

use std::pin::Pin;

use futures_util::{Stream, StreamExt, stream};
use tonic::{Request, Response, Status};
use tonic_lnd::{lnrpc, verrpc};

use super::{
    Face,
    lightning::VERSION,
    server::{state::state_server::State, versioner::versioner_server::Versioner},
};

type StateStream =
    Pin<Box<dyn Stream<Item = Result<lnrpc::SubscribeStateResponse, Status>> + Send>>;

#[tonic::async_trait]
impl State for Face {
    type SubscribeStateStream = StateStream;

    async fn get_state(
        &self,
        _: Request<lnrpc::GetStateRequest>,
    ) -> Result<Response<lnrpc::GetStateResponse>, Status> {
        let state = lnrpc::WalletState::ServerActive.into();
        Ok(Response::new(lnrpc::GetStateResponse { state }))
    }

    /// The port is open only while the node is fully there, so the state never changes.
    async fn subscribe_state(
        &self,
        _: Request<lnrpc::SubscribeStateRequest>,
    ) -> Result<Response<StateStream>, Status> {
        let state = lnrpc::WalletState::ServerActive.into();
        let now = stream::iter([Ok(lnrpc::SubscribeStateResponse { state })]);
        Ok(Response::new(Box::pin(now.chain(stream::pending()))))
    }
}

#[tonic::async_trait]
impl Versioner for Face {
    async fn get_version(
        &self,
        request: Request<verrpc::VersionRequest>,
    ) -> Result<Response<verrpc::Version>, Status> {
        self.permit(request, "/verrpc.Versioner/GetVersion")?;
        Ok(Response::new(verrpc::Version {
            version: VERSION.to_owned(),
            app_major: 0,
            app_minor: 20,
            app_patch: 1,
            app_pre_release: "beta".to_owned(),
            build_tags: vec!["invoicesrpc".to_owned(), "routerrpc".to_owned()],
            ..Default::default()
        }))
    }
}
