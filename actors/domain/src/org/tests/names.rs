//! Names are unique where people look for them, and old books that are not so still load.

use crate::{
    Rejection,
    org::{
        Backing, Command, Decision, Event, Metadata, Org, Row,
        tests::house::{self, House},
    },
};

fn environment(number: u8, name: &str) -> Command {
    Command::CreateEnvironment { environment: house::environment_id(number), name: name.to_owned() }
}

fn wallet(number: u8, environment: u8, name: &str) -> Command {
    Command::CreateWallet {
        wallet: house::wallet_id(number),
        environment: house::environment_id(environment),
        name: name.to_owned(),
        backing: Backing::Node(house::node_id(9)),
        limit_msat: house::msat(0),
        metadata: Metadata::new(),
    }
}

fn renamed(number: u8, name: &str) -> Command {
    Command::RenameEnvironment { environment: house::environment_id(number), name: name.to_owned() }
}

const TAKEN: Result<Decision, Rejection> = Err(Rejection::NameTaken);
const REUSED: Result<Decision, Rejection> = Err(Rejection::IdReused);

#[test]
fn an_environments_name_is_unique_in_its_organisation() {
    let mut house = House::open();
    house.execute(0, &environment(2, "test")).unwrap();
    assert_eq!(house.execute(0, &environment(2, "test")), Ok(Decision::nothing()));
    assert_eq!(house.execute(0, &environment(3, "test")), TAKEN);
    // What the id says goes before what the name says.
    assert_eq!(house.execute(0, &environment(1, "test")), REUSED);
    assert_eq!(house.orgs[0].environments.len(), 2);
    house.execute(0, &environment(3, "Test")).unwrap();
    house.execute(1, &environment(2, "test")).unwrap();
}

#[test]
fn an_environment_is_renamed() {
    let mut house = House::open();
    house.execute(0, &environment(2, "test")).unwrap();
    let named = |house: &House, number| {
        house.orgs[0].environments[&house::environment_id(number)].name.clone()
    };
    assert_eq!(house.execute(0, &renamed(2, "live")), TAKEN);
    let unknown = Err(Rejection::EnvironmentNotFound(house::environment_id(3)));
    assert_eq!(house.execute(0, &renamed(3, "stage")), unknown);
    let longest = "x".repeat(256);
    let too_long = Err(Rejection::TextTooLong(256));
    assert_eq!(house.execute(0, &renamed(2, &format!("{longest}x"))), too_long);
    assert_eq!(named(&house, 2), "test");

    let event = Event::EnvironmentRenamed {
        environment: house::environment_id(2),
        name: "stage".to_owned(),
    };
    assert_eq!(house.execute(0, &renamed(2, "stage")), Ok(Decision::event(event)));
    assert_eq!(house.execute(0, &renamed(2, "stage")), Ok(Decision::nothing()));
    house.execute(0, &renamed(2, &longest)).unwrap();
    assert_eq!((named(&house, 1), named(&house, 2)), ("live".to_owned(), longest));

    // As it was first called is what a repeat of its creation says, also once it has been loaded again.
    house.load(0);
    assert_eq!(house.execute(0, &environment(2, "test")), Ok(Decision::nothing()));
    assert_eq!(house.execute(0, &environment(2, "stage")), REUSED);
    // Nothing has that name any more.
    house.execute(0, &renamed(1, "test")).unwrap();
    assert_eq!(house.execute(0, &environment(3, "test")), TAKEN);
    house.execute(0, &environment(3, "live")).unwrap();
}

#[test]
fn a_wallets_name_is_unique_in_its_environment() {
    let mut house = House::open();
    house.execute(0, &environment(2, "test")).unwrap();
    house.execute(0, &wallet(2, 1, "main")).unwrap();
    assert_eq!(house.execute(0, &wallet(2, 1, "main")), Ok(Decision::nothing()));
    let before = house.orgs[0].clone();
    assert_eq!(house.execute(0, &wallet(3, 1, "main")), TAKEN);
    assert_eq!(house.execute(0, &wallet(9, 1, "main")), REUSED);
    assert_eq!(house.orgs[0], before);
    house.execute(0, &wallet(3, 2, "main")).unwrap();
    house.execute(1, &wallet(2, 1, "main")).unwrap();
}

/// Books from before this rule.
fn with_double_names() -> Org {
    let mut house = House::open();
    for number in [2, 3] {
        let (environment, wallet) = (house::environment_id(number), house::wallet_id(number));
        let name = "double".to_owned();
        let created = Event::EnvironmentCreated { environment, name: name.clone() };
        house.orgs[0].apply(&created, house.now);
        let created = Event::WalletCreated {
            wallet,
            environment: house::environment_id(1),
            name,
            backing: Backing::Node(house::node_id(9)),
            limit_msat: house::msat(0),
            metadata: Metadata::new(),
        };
        house.orgs[0].apply(&created, house.now);
    }
    house.orgs[0].clone()
}

#[test]
fn double_names_of_old_books_are_loaded() {
    let org = with_double_names();
    let rows: Vec<Row> = org.rows();
    let loaded = Org::from_rows(org.id, org.epoch, rows);
    assert_eq!(loaded, org);
    for command in [environment(3, "double"), wallet(3, 1, "double")] {
        assert_eq!(loaded.decide(&command, house::START), Ok(Decision::nothing()));
    }
    for command in [environment(4, "double"), wallet(4, 1, "double")] {
        assert_eq!(loaded.decide(&command, house::START), TAKEN);
    }
}
