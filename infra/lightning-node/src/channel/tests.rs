use super::*;

fn pem() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

#[test]
fn certificates_are_read_before_they_are_needed() {
    let ((first, key), (second, _)) = (pem(), pem());
    let pins = |pem: &str| match Trust::read(Some(pem)) {
        Ok(Trust::Pinned(pins)) => Ok(pins.len()),
        Ok(Trust::PublicAuthorities) => unreachable!(),
        Err(why) => Err(why),
    };
    assert_eq!(pins(&first), Ok(1));
    assert_eq!(pins(&format!("{first}\n{second}")), Ok(2), "a rotation");
    assert!(matches!(Trust::read(None), Ok(Trust::PublicAuthorities)));
    assert!(pins("").unwrap_err().contains("no certificate"));
    assert!(pins("hello").is_err());
    assert!(pins(&first.replace("MII", "AII")).is_err(), "not a certificate inside");
    assert!(pins(&format!("{first}\n{key}")).unwrap_err().contains("private key"));
}

#[test]
fn an_address_is_host_and_port() {
    for good in ["127.0.0.1:10009", "node.example.com:1", "[::1]:10009", "localhost:65535"] {
        assert_eq!(address(good).unwrap().to_string(), format!("https://{good}/"));
    }
    for bad in [
        "",
        "localhost",
        "localhost:",
        "localhost:0",
        "localhost:70000",
        ":10009",
        "https://localhost:10009",
        "localhost:10009/",
        "user@localhost:10009",
        "local host:10009",
        "localhost:10009?x",
    ] {
        assert_eq!(address(bad), Err(bad.to_owned()), "{bad}");
    }
}
