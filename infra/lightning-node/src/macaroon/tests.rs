use proptest::prelude::*;

use super::*;

const ROOT_KEY: &[u8; 32] = b"a root key of thirty-two bytes..";

fn op(entity: &str, actions: &[&str]) -> Op {
    let actions = actions.iter().map(|&action| action.to_owned()).collect();
    Op { entity: entity.to_owned(), actions }
}

/// As a node bakes it.
fn bake(ops: Vec<Op>) -> Vec<u8> {
    let id = Identifier { nonce: vec![7; 16], storage_id: b"0".to_vec(), ops };
    let mut identifier = vec![BAKERY];
    identifier.extend(id.encode_to_vec());
    let mut bytes = vec![VERSION];
    push(&mut bytes, LOCATION, b"lnd");
    push(&mut bytes, IDENTIFIER, &identifier);
    bytes.extend([END_OF_SECTION, END_OF_SECTION]);
    let signature = hmac(&hmac(b"macaroons-key-generator", ROOT_KEY), &identifier);
    push(&mut bytes, SIGNATURE, &signature);
    bytes
}

fn least() -> Vec<u8> {
    bake(vec![op(URI, &needed().collect::<Vec<_>>())])
}

fn judged(bytes: &[u8]) -> (Vec<String>, Vec<String>) {
    let Err(RegisterError::Permissions { missing, too_much, bake }) = check(bytes) else {
        panic!("its permissions are refused")
    };
    assert_eq!(bake, bake_command());
    (missing, too_much)
}

#[test]
fn the_least_is_enough_and_what_roles_may_have_is_tolerated() {
    let macaroon = check(&least()).unwrap();
    assert_eq!(macaroon.permissions().len(), NEEDED.len());
    assert!(macaroon.caveats().is_empty());
    let more: Vec<_> = needed().chain(TOLERATED).collect();
    check(&bake(vec![op(URI, &more)])).unwrap();
}

#[test]
fn too_little_and_too_much_are_named() {
    let (missing, too_much) = judged(&bake(vec![op(URI, &["/lnrpc.Lightning/GetInfo"])]));
    assert_eq!((missing.len(), too_much.len()), (NEEDED.len() - 1, 0));
    assert!(missing.contains(&"uri:/routerrpc.Router/SendPaymentV2".to_owned()));

    let mut ops = vec![op(URI, &needed().collect::<Vec<_>>())];
    ops.push(op(URI, &["/lnrpc.Lightning/SendCoins", "/lnrpc.Lightning/DeleteAllPayments"]));
    ops.push(op("macaroon", &["generate"]));
    let (missing, too_much) = judged(&bake(ops));
    assert!(missing.is_empty());
    assert_eq!(
        too_much,
        [
            "macaroon:generate",
            "uri:/lnrpc.Lightning/DeleteAllPayments",
            "uri:/lnrpc.Lightning/SendCoins"
        ]
    );
}

/// Pairs of entity and action would do, but cover far more.
#[test]
fn an_admin_macaroon_lacks_nothing_and_may_too_much() {
    let pairs: Vec<_> = ["info", "invoices", "offchain", "onchain", "macaroon"]
        .map(|entity| op(entity, &["read", "write"]))
        .into();
    let (missing, too_much) = judged(&bake(pairs));
    assert!(missing.is_empty(), "{missing:?}");
    assert_eq!(too_much.len(), 10);
}

#[test]
fn the_command_names_exactly_what_is_needed() {
    let command = bake_command();
    let permissions: Vec<_> =
        command.split(' ').filter_map(|word| word.strip_prefix("uri:")).collect();
    assert_eq!(permissions, needed().collect::<Vec<_>>());
    assert!(command.starts_with("lncli bakemacaroon --save_to "));
}

#[test]
fn caveats_are_chained_and_judged() {
    let macaroon = Macaroon::read(&least()).unwrap();
    let until = Timestamp::from_millis(1_795_465_808_123);
    let lapsing = macaroon.lapsing(until);
    let again = Macaroon::read(&lapsing.to_bytes()).unwrap();
    assert_eq!(again.caveats(), ["time-before 2026-11-23T20:30:08.123Z"]);
    assert_eq!(again.permissions(), macaroon.permissions());
    let chained = hmac(&macaroon.signature, b"time-before 2026-11-23T20:30:08.123Z");
    assert_eq!(again.signature, chained);
    let why = check(&lapsing.to_bytes()).unwrap_err().to_string();
    assert!(why.contains("--timeout"), "{why}");

    check(&macaroon.with_caveat("ipaddr 10.0.0.1").to_bytes()).unwrap();
    let odd = macaroon.with_caveat("lnd-custom account x").to_bytes();
    let why = check(&odd).unwrap_err().to_string();
    assert!(why.contains("lnd-custom account x"), "{why}");
    let long = macaroon.with_caveat(&"x".repeat(300));
    assert_eq!(Macaroon::read(&long.to_bytes()).unwrap().caveats()[0].len(), 300);
}

#[test]
fn hex_is_what_the_bytes_are() {
    let bytes = least();
    let macaroon = Macaroon::read(&bytes).unwrap();
    assert_eq!(macaroon.to_bytes(), bytes);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(macaroon.to_hex(), hex);
}

#[test]
fn what_is_cut_or_of_another_form_is_refused() {
    let bytes = least();
    for cut in 0..bytes.len() {
        assert!(Macaroon::read(&bytes[..cut]).is_err(), "{cut}");
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(Macaroon::read(&longer).is_err());
    assert_eq!(Macaroon::read(&vec![2; BYTES_MAX + 1]).unwrap_err(), MacaroonError::TooLong);
    let hex: Vec<u8> = Macaroon::read(&bytes).unwrap().to_hex().into_bytes();
    assert!(Macaroon::read(&hex).is_err());

    let mut third_party = bytes[..bytes.len() - 35].to_vec();
    push(&mut third_party, IDENTIFIER, b"elsewhere");
    push(&mut third_party, VERIFICATION, b"sealed");
    third_party.extend([END_OF_SECTION, END_OF_SECTION]);
    push(&mut third_party, SIGNATURE, &[0; 32]);
    assert_eq!(Macaroon::read(&third_party).unwrap_err(), MacaroonError::ThirdParty);
}

#[test]
fn rule_31_it_does_not_show_in_debug_output() {
    let macaroon = Macaroon::read(&least()).unwrap();
    let shown = format!("{macaroon:?}");
    assert!(!shown.contains(&format!("{:?}", macaroon.signature)), "{shown}");
    assert!(!shown.contains("body"), "{shown}");
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(macaroon) = Macaroon::read(&bytes) {
            prop_assert!(Macaroon::read(&macaroon.to_bytes()).is_ok());
        }
    }

    /// Near misses get further than noise.
    #[test]
    fn changed_bytes_are_read_or_refused(at in 0usize..600, to in any::<u8>(), tail in any::<u8>()) {
        let mut bytes = Macaroon::read(&least()).unwrap().with_caveat("ipaddr 10.0.0.1").to_bytes();
        let at = at % bytes.len();
        bytes[at] = to;
        let end = bytes.len() - 1 - usize::from(tail) % bytes.len();
        let _ = check(&bytes);
        let _ = check(&bytes[..end]);
    }

    #[test]
    fn caveats_read_back(caveats in prop::collection::vec("[ -~]{1,200}", 0..5)) {
        let mut macaroon = Macaroon::read(&least()).unwrap();
        for caveat in &caveats {
            macaroon = macaroon.with_caveat(caveat);
        }
        let again = Macaroon::read(&macaroon.to_bytes()).unwrap();
        prop_assert_eq!(again.caveats(), caveats);
    }
}
