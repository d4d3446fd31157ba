use domain::NodeId;
use ports::orgs::OrgsError;
use proto::{admin::v1 as admin, v1};
use tonic::Code;
use uuid::Uuid;

use crate::{
    fake::NODE,
    world::{BEGIN_MS, World, refusal},
};

fn id(number: u128) -> String {
    Uuid::from_u128(number).to_string()
}

#[tokio::test]
async fn making_something_twice_makes_it_once() {
    let world = World::new().await;
    let mut organisations = world.organisations();
    let create = |number, name: &str| admin::CreateOrganisationRequest {
        id: id(number),
        name: name.to_owned(),
    };
    let made = organisations.create(create(50, "acme")).await.unwrap().into_inner();
    world.fake.set_now(BEGIN_MS + 1);
    assert_eq!(organisations.create(create(50, "acme")).await.unwrap().into_inner(), made);
    for other in [create(50, "other"), create(51, "acme")] {
        assert_eq!(refusal(organisations.create(other).await).0, Code::AlreadyExists);
    }
    let unnamed = refusal(organisations.create(create(52, " ")).await);
    assert_eq!(unnamed, (Code::InvalidArgument, "field_missing".to_owned()));

    let environment = admin::CreateEnvironmentRequest {
        organisation_id: id(50),
        id: id(53),
        name: "live".to_owned(),
    };
    for _ in 0..2 {
        organisations.create_environment(environment.clone()).await.unwrap();
    }
    let other = admin::CreateEnvironmentRequest { name: "test".to_owned(), ..environment.clone() };
    let other = refusal(organisations.create_environment(other).await);
    assert_eq!(other, (Code::AlreadyExists, "id_reused".to_owned()));
    let named_alike = admin::CreateEnvironmentRequest { id: id(54), ..environment };
    let named_alike = refusal(organisations.create_environment(named_alike).await);
    assert_eq!(named_alike, (Code::AlreadyExists, "name_taken".to_owned()));

    let listed = organisations.list(admin::ListOrganisationsRequest {}).await.unwrap();
    assert_eq!(listed.into_inner().organisations.len(), 3);
}

#[tokio::test]
async fn an_environment_gets_another_name_and_its_followers_hear_of_it() {
    let world = World::new().await;
    let mut organisations = world.organisations();
    let rename = admin::RenameEnvironmentRequest {
        organisation_id: world.book.org.to_string(),
        environment_id: world.book.environment.to_string(),
        name: "stage".to_owned(),
    };
    let get = admin::GetOrganisationRequest { id: rename.organisation_id.clone() };
    let before = organisations.get(get.clone()).await.unwrap().into_inner().environments;
    let [first, other] = &before[..] else { panic!("{before:?}") };
    let taken = match first.id == rename.environment_id {
        true => other.name.clone(),
        false => first.name.clone(),
    };
    let named = |name: String| admin::RenameEnvironmentRequest { name, ..rename.clone() };
    let unknown = admin::RenameEnvironmentRequest { environment_id: id(99), ..rename.clone() };
    for (request, code, why) in [
        (named(taken), Code::AlreadyExists, "name_taken"),
        (named(" ".to_owned()), Code::InvalidArgument, "field_missing"),
        (named("x".repeat(257)), Code::InvalidArgument, "text_too_long"),
        (named("a\nb".to_owned()), Code::InvalidArgument, "text_invalid"),
        (unknown, Code::NotFound, "environment_not_found"),
    ] {
        let refused = refusal(organisations.rename_environment(request).await);
        assert_eq!(refused, (code, why.to_owned()));
    }
    assert_eq!(organisations.get(get.clone()).await.unwrap().into_inner().environments, before);

    for _ in 0..2 {
        organisations.rename_environment(rename.clone()).await.unwrap();
    }
    let after = organisations.get(get).await.unwrap().into_inner().environments;
    let name = after.iter().find(|of| of.id == rename.environment_id).map(|of| &*of.name);
    assert_eq!(name, Some("stage"));
    let list = v1::ListEventsRequest { after_seq: 0, limit: 0 };
    let told = world.book.events(&world).list(list).await.unwrap().into_inner().events;
    let renames = told.iter().filter(|event| event.r#type == "environment_renamed").count();
    assert_eq!((renames, &*told.last().unwrap().r#type), (1, "environment_renamed"));

    let older = OrgsError::OlderPods("engine-1, gateway-2".to_owned());
    world.fake.refuse(older.clone());
    let refused = organisations.rename_environment(rename).await.unwrap_err();
    assert!(refused.message().contains("engine-1, gateway-2"), "{refused}");
    let refused = refusal(Err::<tonic::Response<()>, _>(refused));
    assert_eq!(refused, (Code::Unavailable, "older_pods".to_owned()));
}

/// A line of credit is not given out twice to two wallets that nobody can tell apart.
#[tokio::test]
async fn a_wallets_name_is_taken_once() {
    let world = World::new().await;
    let mut organisations = world.organisations();
    let wallet = admin::CreateWalletRequest {
        organisation_id: world.book.org.to_string(),
        id: id(50),
        environment_id: world.book.environment.to_string(),
        name: "main".to_owned(),
        backing: Some(admin::create_wallet_request::Backing::LineId(world.book.line.clone())),
        limit_msat: 1_000,
    };
    for _ in 0..2 {
        organisations.create_wallet(wallet.clone()).await.unwrap();
    }
    let get = admin::GetOrganisationRequest { id: world.book.org.to_string() };
    let before = organisations.get(get.clone()).await.unwrap().into_inner();
    let named_alike = admin::CreateWalletRequest { id: id(51), ..wallet };
    let refused = refusal(organisations.create_wallet(named_alike).await);
    assert_eq!(refused, (Code::AlreadyExists, "name_taken".to_owned()));
    assert_eq!(organisations.get(get).await.unwrap().into_inner(), before);
}

#[tokio::test]
async fn no_name_moves_a_terminals_cursor() {
    let world = World::new().await;
    let (organisation_id, environment_id) =
        (world.book.org.to_string(), world.book.environment.to_string());
    let name = || "a\u{1b}[2Jb\n".to_owned();
    let mut organisations = world.organisations();
    let org = admin::CreateOrganisationRequest { id: id(50), name: name() };
    let environment = admin::CreateEnvironmentRequest {
        organisation_id: organisation_id.clone(),
        id: id(50),
        name: name(),
    };
    let wallet = admin::CreateWalletRequest {
        organisation_id: organisation_id.clone(),
        id: id(50),
        environment_id: environment_id.clone(),
        name: name(),
        backing: Some(admin::create_wallet_request::Backing::LineId(world.book.line.clone())),
        limit_msat: 1,
    };
    let key = admin::CreateKeyRequest {
        id: id(50),
        organisation_id,
        environment_id,
        name: name(),
        ..Default::default()
    };
    let node = admin::RegisterNodeRequest { name: name(), ..pool_node() };
    let refused = [
        refusal(organisations.create(org).await),
        refusal(organisations.create_environment(environment).await),
        refusal(organisations.create_wallet(wallet).await),
        refusal(world.keys().create(key).await),
        refusal(world.nodes().register(node).await),
    ];
    for refused in refused {
        assert_eq!(refused, (Code::InvalidArgument, "text_invalid".to_owned()));
    }
}

fn pool_node() -> admin::RegisterNodeRequest {
    admin::RegisterNodeRequest {
        id: id(60),
        name: "pool-1".to_owned(),
        owner: Some(admin::register_node_request::Owner::CreditPool(admin::CreditPool {})),
        address: "lnd:10009".to_owned(),
        trust: Some(admin::register_node_request::Trust::PublicAuthority(
            admin::PublicAuthority {},
        )),
        macaroon: b"good".to_vec(),
        expected_identity: String::new(),
    }
}

#[tokio::test]
async fn limits_are_set_and_shown() {
    let world = World::new().await;
    let mut organisations = world.organisations();
    let organisation_id = world.book.org.to_string();
    let line_id = world.book.line.clone();
    let line = admin::SetLineLimitRequest { organisation_id, line_id, limit_msat: 2_000_000_000 };
    organisations.set_line_limit(line.clone()).await.unwrap();
    let wallet = admin::SetWalletLimitRequest {
        organisation_id: world.book.org.to_string(),
        wallet_id: world.book.wallet.to_string(),
        limit_msat: 2_000_000_001,
    };
    let above = refusal(organisations.set_wallet_limit(wallet.clone()).await);
    assert_eq!(above, (Code::FailedPrecondition, "cannot_allocate".to_owned()));
    let all = admin::SetWalletLimitRequest { limit_msat: 2_000_000_000, ..wallet };
    organisations.set_wallet_limit(all).await.unwrap();
    let get = admin::GetOrganisationRequest { id: world.book.org.to_string() };
    let standing = organisations.get(get).await.unwrap().into_inner();
    assert_eq!((standing.lines.len(), standing.wallets.len()), (2, 2));
    assert_eq!(standing.lines[0].allocated_msat, 2_000_000_000);
    assert_eq!(standing.wallets[0].available_msat, 2_000_000_000);

    for limit_msat in [domain::Msat::SUPPLY.get() + 1, 1 << 63] {
        let line = admin::SetLineLimitRequest { limit_msat, ..line.clone() };
        let refused = refusal(organisations.set_line_limit(line).await);
        assert_eq!(refused, (Code::InvalidArgument, "amount_out_of_range".to_owned()));
    }
    let unknown = admin::SetLineLimitRequest { organisation_id: id(99), ..line };
    let unknown = refusal(organisations.set_line_limit(unknown).await);
    assert_eq!(unknown, (Code::NotFound, "organisation_not_found".to_owned()));
    let unknown = refusal(organisations.get(admin::GetOrganisationRequest { id: id(99) }).await);
    assert_eq!(unknown, (Code::NotFound, "organisation_not_found".to_owned()));
}

/// Otherwise a wallet could spend what is on somebody else's node.
#[tokio::test]
async fn funds_are_declared_of_an_own_node_only() {
    let world = World::new().await;
    world.fake.add_node_of(NodeId::new(Uuid::from_u128(60)), Some(world.book.org));
    world.fake.add_node_of(NodeId::new(Uuid::from_u128(61)), Some(world.stranger.org));
    let mut organisations = world.organisations();
    let funds = |node| admin::SetNodeFundsRequest {
        organisation_id: world.book.org.to_string(),
        node_id: id(node),
        funds_msat: 1_000_000,
    };
    for node in [61, NODE, 62] {
        let refused = refusal(organisations.set_node_funds(funds(node)).await);
        assert_eq!(refused, (Code::NotFound, "node_not_found".to_owned()));
    }
    let wallet = |number: u128, node| admin::CreateWalletRequest {
        organisation_id: world.book.org.to_string(),
        id: id(number),
        environment_id: world.book.environment.to_string(),
        name: format!("own {number}"),
        backing: Some(admin::create_wallet_request::Backing::NodeId(id(node))),
        limit_msat: 1_000_000,
    };
    organisations.set_node_funds(funds(60)).await.unwrap();
    organisations.create_wallet(wallet(63, 60)).await.unwrap();
    let refused = refusal(organisations.create_wallet(wallet(64, 61)).await);
    assert_eq!(refused, (Code::NotFound, "node_not_found".to_owned()));
    assert!(world.fake.has_wallet(world.book.org, id(63).parse().unwrap()));
    assert!(!world.fake.has_wallet(world.book.org, id(64).parse().unwrap()));
}

#[tokio::test]
async fn a_key_is_of_an_environment_that_exists_and_its_secret_is_shown_once() {
    let world = World::new().await;
    let mut keys = world.keys();
    let create = admin::CreateKeyRequest {
        id: id(50),
        organisation_id: world.book.org.to_string(),
        environment_id: world.book.environment.to_string(),
        name: "till".to_owned(),
        ..Default::default()
    };
    let made = keys.create(create.clone()).await.unwrap().into_inner();
    assert!(made.secret.starts_with("switchyard_") && made.secret.len() == 75);
    assert!(!format!("{made:?}").contains(&made.secret));
    assert_eq!(refusal(keys.create(create.clone()).await).0, Code::AlreadyExists);

    let environment_id = world.stranger.environment.to_string();
    let foreign = admin::CreateKeyRequest { id: id(51), environment_id, ..create.clone() };
    let foreign = refusal(keys.create(foreign).await);
    assert_eq!(foreign, (Code::NotFound, "environment_not_found".to_owned()));
    let unknown = admin::CreateKeyRequest { id: id(51), organisation_id: id(99), ..create };
    let unknown = refusal(keys.create(unknown).await);
    assert_eq!(unknown, (Code::NotFound, "organisation_not_found".to_owned()));
}

#[tokio::test]
async fn keys_are_listed_with_what_they_may_do() {
    let world = World::new().await;
    world.fake.set_now(1_000);
    let mut keys = world.keys();
    let create = admin::CreateKeyRequest {
        id: id(50),
        organisation_id: world.book.org.to_string(),
        environment_id: world.book.environment.to_string(),
        name: "till".to_owned(),
        permissions: vec![admin::Permission::Billing.into(), admin::Permission::Read.into()],
        expires_at_ms: Some(1_001),
        valid_ips: vec!["10.9.9.9/8".to_owned(), "::1".to_owned()],
    };
    keys.create(create.clone()).await.unwrap();
    keys.revoke(admin::RevokeKeyRequest { id: id(50) }).await.unwrap();
    let organisation_id = world.book.org.to_string();
    let list = admin::ListKeysRequest { organisation_id };
    let listed = keys.list(list.clone()).await.unwrap().into_inner().keys;
    let till = listed.iter().find(|key| key.id == id(50)).unwrap();
    let expected = admin::Key {
        id: id(50),
        organisation_id: create.organisation_id.clone(),
        environment_id: create.environment_id.clone(),
        name: create.name.clone(),
        created_at_ms: 1_000,
        permissions: vec![admin::Permission::Read.into(), admin::Permission::Billing.into()],
        expires_at_ms: Some(1_001),
        valid_ips: vec!["10.0.0.0/8".to_owned(), "::1/128".to_owned()],
        updated_at_ms: 1_000,
        revoked_at_ms: Some(1_000),
        last_used_at_ms: None,
    };
    assert_eq!(till, &expected);
    let usual = [admin::Permission::Read, admin::Permission::Receive, admin::Permission::Write];
    let first = listed.iter().find(|key| key.id != id(50)).unwrap();
    assert_eq!(first.permissions().collect::<Vec<_>>(), usual);
    assert!(listed.iter().all(|key| key.organisation_id == list.organisation_id));

    let unknown = keys.list(admin::ListKeysRequest { organisation_id: id(99) }).await;
    assert_eq!(refusal(unknown), (Code::NotFound, "organisation_not_found".to_owned()));
    let wrong = [
        (admin::CreateKeyRequest { permissions: vec![9], ..create.clone() }, "permission_invalid"),
        (
            admin::CreateKeyRequest { valid_ips: vec!["home".to_owned()], ..create.clone() },
            "valid_ips_invalid",
        ),
        (
            admin::CreateKeyRequest { expires_at_ms: Some(1_000), ..create.clone() },
            "expiry_in_the_past",
        ),
    ];
    for (request, code) in wrong {
        let request = admin::CreateKeyRequest { id: id(51), ..request };
        assert_eq!(refusal(keys.create(request).await), (Code::InvalidArgument, code.to_owned()));
    }
}

#[tokio::test]
async fn nodes_are_registered_stopped_and_resumed() {
    let world = World::new().await;
    let mut nodes = world.nodes();
    let register = admin::RegisterNodeRequest { macaroon: b"weak".to_vec(), ..pool_node() };
    let weak = nodes.register(register).await.unwrap_err();
    assert!(weak.message().contains("lacks offchain:write; make one with: lncli bakemacaroon"));
    assert_eq!(refusal::<()>(Err(weak)).1, "macaroon_permissions");
    let node = nodes.register(pool_node()).await.unwrap().into_inner();
    assert_eq!((node.name.as_str(), node.network.as_str()), ("pool-1", "regtest"));

    let stop = admin::StopNodeRequest { id: id(60), reason: "moving".to_owned() };
    nodes.stop(stop.clone()).await.unwrap();
    let stopped = async |nodes: &mut proto::admin::v1::nodes_client::NodesClient<_>| {
        let listed = nodes.list(admin::ListNodesRequest {}).await.unwrap().into_inner().nodes;
        listed.into_iter().map(|state| state.not_usable).collect::<Vec<_>>()
    };
    assert_eq!(stopped(&mut nodes).await, ["", "moving"]);
    nodes.resume(admin::ResumeNodeRequest { id: id(60) }).await.unwrap();
    assert_eq!(stopped(&mut nodes).await, ["", ""]);
    let unknown = admin::StopNodeRequest { id: id(61), ..stop.clone() };
    assert_eq!(refusal(nodes.stop(unknown).await).0, Code::NotFound);
    let silent = admin::StopNodeRequest { reason: String::new(), ..stop };
    assert_eq!(refusal(nodes.stop(silent).await).1, "field_missing");
}

#[tokio::test]
async fn the_installation_is_shown_audited_and_thawed() {
    let world = World::new().await;
    let mut installation = world.installation();
    world.fake.freeze("restored");
    let status = installation.status(admin::StatusRequest {}).await.unwrap().into_inner();
    assert_eq!((status.network.as_str(), status.frozen.as_str()), ("regtest", "restored"));
    assert_eq!((status.organisations, status.nodes, status.nodes_not_usable), (2, 1, 0));
    assert!(!status.version.is_empty());

    let report = installation.audit(admin::AuditRequest {}).await.unwrap().into_inner();
    assert_eq!((report.findings.len(), report.findings_total), (1_000, 1_001));
    assert_eq!(report.findings[0].code, "unknown_payment_on_node");

    for apply in [false, true] {
        let asked = installation.restore(admin::RestoreRequest { apply }).await;
        let restored = asked.unwrap().into_inner();
        let listed = (restored.differences.len(), restored.differences_total);
        assert_eq!((listed, restored.thaw_is_safe), ((1_000, 1_001), apply));
        let steps = (restored.due, restored.done, restored.left_for_a_person);
        assert_eq!(steps, if apply { (0, 1_001, 0) } else { (1_001, 0, 0) });
        assert_eq!(
            (restored.frozen.as_str(), restored.nodes, restored.in_flight),
            ("restored", 1, 2)
        );
        let lost = &restored.differences[0];
        let said = (lost.code.as_str(), lost.amount_msat, lost.fee_msat, lost.payment_id.as_str());
        assert_eq!(said, ("lost_payment", Some(50_000), None, ""));
        assert_eq!(lost.payment_hash, "07".repeat(32));
    }

    let organisation_id = id(0xfff);
    let asked = installation.pods(admin::PodsRequest { organisation_id }).await;
    let placed = asked.unwrap().into_inner();
    assert_eq!((placed.shards_without_owner, placed.owner_session_id.as_str()), (1, ""));
    let pod = &placed.pods[0];
    let told = (pod.name.as_str(), pod.address.as_str(), pod.shards);
    assert_eq!((placed.pods.len(), told), (1, ("engine-1", "engine-1:7402", 4_095)));
    assert_eq!((pod.lease_until_ms, pod.lease_left_ms), (Some(9_000), Some(4_000)));
    let asked = installation.pods(admin::PodsRequest { organisation_id: id(1) }).await;
    assert_eq!(asked.unwrap().into_inner().owner_session_id, pod.session_id);
    let nameless = admin::PodsRequest { organisation_id: "acme".to_owned() };
    assert_eq!(refusal(installation.pods(nameless).await).1, "id_invalid");

    let refused = installation.thaw(admin::ThawRequest { anyway: false }).await.unwrap_err();
    assert!(refused.message().contains("1001 differences are due (lost_payment)"), "{refused:?}");
    let refused = refusal::<()>(Err(refused));
    assert_eq!(refused, (Code::Unavailable, "thaw_not_safe".to_owned()));
    for (anyway, was) in [(true, "restored"), (false, "")] {
        let thawed = installation.thaw(admin::ThawRequest { anyway }).await.unwrap();
        assert_eq!(thawed.into_inner().was_frozen, was);
    }
}
