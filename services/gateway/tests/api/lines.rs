//! Lines of credit by gRPC.

use domain::Network;
use proto::v1;
use tonic::Code;

use crate::world::{How, World, refusal};

#[tokio::test]
async fn a_sandbox_line_is_limited_and_disabled_by_its_customer() {
    let world = World::new().await;
    let mut lines = world.book.lines(&world);
    let id = world.book.line.clone();
    let limit =
        v1::ChangeSandboxRequest { id: id.clone(), limit_msat: Some(2_000), disable: false };
    let line = lines.change_sandbox(limit.clone()).await.unwrap().into_inner();
    assert_eq!((line.limit_msat, line.disabled_at_ms), (2_000, None));
    assert_eq!((line.currency.as_str(), line.network.as_str()), ("btc", "regtest"));
    let disable = v1::ChangeSandboxRequest { id: id.clone(), limit_msat: None, disable: true };
    let line = lines.change_sandbox(disable).await.unwrap().into_inner();
    assert_eq!(line.disabled_at_ms, Some(crate::world::BEGIN_MS));
    let listed = |include_disabled| {
        let mut lines = lines.clone();
        async move {
            let request = v1::ListLinesRequest { include_disabled };
            lines.list(request).await.unwrap().into_inner().lines.len()
        }
    };
    assert_eq!((listed(false).await, listed(true).await), (0, 1));

    let mut lines = world.book.lines(&world);
    for (change, code, name) in [
        (
            v1::ChangeSandboxRequest { limit_msat: None, ..limit.clone() },
            Code::InvalidArgument,
            "no_updates_provided",
        ),
        (
            v1::ChangeSandboxRequest { limit_msat: Some(0), ..limit.clone() },
            Code::InvalidArgument,
            "invalid_line_of_credit_limit",
        ),
        (
            v1::ChangeSandboxRequest { limit_msat: Some(u64::MAX), ..limit.clone() },
            Code::InvalidArgument,
            "invalid_line_of_credit_limit",
        ),
        (
            v1::ChangeSandboxRequest { id: world.shop.line.clone(), ..limit.clone() },
            Code::NotFound,
            "line_of_credit_not_found",
        ),
        (
            v1::ChangeSandboxRequest { id: "1".to_owned(), ..limit.clone() },
            Code::InvalidArgument,
            "id_invalid",
        ),
    ] {
        assert_eq!(refusal(lines.change_sandbox(change).await), (code, name.to_owned()));
    }
}

#[tokio::test]
async fn a_line_on_mainnet_is_the_operators() {
    let world = World::with(How { network: Network::Mainnet, ..How::default() }).await;
    let id = world.book.line.clone();
    let change = v1::ChangeSandboxRequest { id, limit_msat: Some(2_000), disable: false };
    let refused = refusal(world.book.lines(&world).change_sandbox(change).await);
    assert_eq!(refused, (Code::PermissionDenied, "not_allowed".to_owned()));
}
