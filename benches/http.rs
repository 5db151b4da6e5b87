//! What the servers of the benches and of the comparison share: a process of their own, and just enough of HTTP/1.1 to
//! answer at once.

use tokio::io::{AsyncRead, AsyncReadExt};

pub(crate) use server_process::ServerProcess;

#[path = "server_process.rs"]
mod server_process;

/// Reads one request with its body; `None` once the client has closed the connection.
pub(crate) async fn read_request(
    stream: &mut (impl AsyncRead + Unpin),
    request: &mut Vec<u8>,
) -> Option<()> {
    loop {
        if stream.read_buf(request).await.ok()? == 0 {
            return None;
        }
        let Some(head) = find(request, b"\r\n\r\n") else {
            continue;
        };
        let length = header(&request[..head], "content-length")
            .map_or(0, |text| text.parse::<usize>().expect("a length"));
        if request.len() >= head + 4 + length {
            return Some(());
        }
    }
}

/// A header of a request that was read.
pub(crate) fn header_of<'a>(request: &'a [u8], name: &str) -> Option<&'a str> {
    header(&request[..find(request, b"\r\n\r\n")?], name)
}

/// Where `wanted` begins.
pub(crate) fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len())
        .position(|window| window == wanted)
}

fn header<'a>(head: &'a [u8], name: &str) -> Option<&'a str> {
    let lines = std::str::from_utf8(head).ok()?.lines().skip(1);
    lines
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}
