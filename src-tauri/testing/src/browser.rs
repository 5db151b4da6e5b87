//! [`Browser`]: what a person's browser does in a sign-in, as far as a server notices.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::Url;

/// How many redirects it follows.
const REDIRECTS: usize = 5;

/// A browser without a screen: it asks for one page, and follows its redirects with the cookies that they set. Plain HTTP
/// only.
#[derive(Clone, Debug, Default)]
pub struct Browser {
    /// Headers of its requests beside `host`.
    pub headers: Vec<(String, String)>,
}

/// What it got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The address of the page, after redirects.
    pub url: String,
    /// HTTP status.
    pub status: u16,
    /// Status line and headers, as they came.
    pub head: String,
    /// The body.
    pub body: String,
}

impl Browser {
    /// Opens an address, and follows where it leads.
    ///
    /// # Errors
    /// No connection, or an answer that is no HTTP.
    pub async fn open(&self, url: &str) -> io::Result<Page> {
        let mut visit = self.clone();
        let mut page = visit.get(url).await?;
        for _ in 0..REDIRECTS {
            let Some(next) = page.leads_to() else { break };
            visit.headers.extend(page.cookies());
            page = visit.get(&next).await?;
        }
        Ok(page)
    }

    /// Asks for this one page.
    ///
    /// # Errors
    /// No connection, or an answer that is no HTTP.
    pub async fn get(&self, url: &str) -> io::Result<Page> {
        self.send("GET", url, &host_of(url)?).await
    }

    /// The same with another method, or under another host name.
    ///
    /// # Errors
    /// No connection, or an answer that is no HTTP.
    pub async fn send(&self, method: &str, url: &str, host: &str) -> io::Result<Page> {
        let address: Url = url.parse().map_err(io::Error::other)?;
        let mut target = address.path().to_owned();
        if let Some(query) = address.query() {
            target.push_str(&format!("?{query}"));
        }
        let mut head =
            format!("{method} {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        let place = address.socket_addrs(|| None)?;
        let mut stream = TcpStream::connect(&*place).await?;
        stream.write_all(head.as_bytes()).await?;
        let mut answer = Vec::new();
        // A server that closes without asking first resets the connection, after its answer.
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            answer.extend_from_slice(&buffer[..count]);
            if is_whole(&answer) {
                break;
            }
        }
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer
            .split_once("\r\n\r\n")
            .ok_or(io::ErrorKind::InvalidData)?;
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        Ok(Page {
            url: url.to_owned(),
            status: status.ok_or(io::ErrorKind::InvalidData)?,
            head: head.to_owned(),
            body: body.to_owned(),
        })
    }
}

impl Page {
    /// A header's value, by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .next()
    }

    /// The cookies that it sets, as headers of the next request.
    fn cookies(&self) -> Vec<(String, String)> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .filter(|(key, _)| key.eq_ignore_ascii_case("set-cookie"))
            .filter_map(|(_, value)| value.split(';').next())
            .map(|pair| ("cookie".to_owned(), pair.to_owned()))
            .collect()
    }

    fn leads_to(&self) -> Option<String> {
        let location = self
            .header("location")
            .filter(|_| (300..400).contains(&self.status))?;
        let here: Url = self.url.parse().ok()?;
        here.join(location).ok().map(String::from)
    }
}

fn host_of(url: &str) -> io::Result<String> {
    let url: Url = url.parse().map_err(io::Error::other)?;
    let host = url.host_str().unwrap_or_default();
    Ok(match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    })
}

/// Whether all of an answer with a length is there.
fn is_whole(answer: &[u8]) -> bool {
    let answer = String::from_utf8_lossy(answer);
    let Some((head, body)) = answer.split_once("\r\n\r\n") else {
        return false;
    };
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    let length = lines.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    length.is_some_and(|(_, length)| {
        length
            .parse()
            .is_ok_and(|length: usize| body.len() >= length)
    })
}
