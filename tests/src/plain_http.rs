//! As much of HTTP as it takes to read a page of the platform.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Status and body of a page.
///
/// # Errors
///
/// Nobody listens there, or what answers does not speak HTTP.
pub async fn get(address: &str, path: &str) -> Result<(u16, String), std::io::Error> {
    ask(address, &format!("GET {path}"), &[], "").await
}

/// Status and body of what is answered to JSON.
///
/// # Errors
///
/// Nobody listens there, or what answers does not speak HTTP, or breaks off.
pub async fn post(
    address: &str,
    path: &str,
    headers: &[(&str, &str)],
    json: &str,
) -> Result<(u16, String), std::io::Error> {
    let length = json.len().to_string();
    let own = [("content-type", "application/json"), ("content-length", &*length)];
    ask(address, &format!("POST {path}"), &[headers, &own].concat(), json).await
}

async fn ask(
    address: &str,
    what: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Result<(u16, String), std::io::Error> {
    let mut stream = TcpStream::connect(address).await?;
    let mut request = format!("{what} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{request}\r\n{body}").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let strange = || std::io::Error::other(answer.clone());
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(strange)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok((status.ok_or_else(strange)?, body.to_owned()))
}
