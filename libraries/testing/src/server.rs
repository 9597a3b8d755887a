//! An HTTP server for which the test decides each answer, including failures to answer.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A received request.
#[derive(Clone, Debug)]
pub struct Request {
    /// Method and path, such as `GET /submissions/1`.
    pub line: String,
    /// Header lines, with names in lower case.
    pub headers: Vec<String>,
    pub body: Vec<u8>,
}

impl Request {
    /// The value of a header; `name` is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

#[derive(Clone, Debug)]
pub enum Reply {
    /// Sends these bytes and closes the connection properly.
    Raw(Vec<u8>),
    /// The same after a delay.
    After(Duration, Vec<u8>),
    /// Sends these bytes and keeps the connection open.
    Hang(Vec<u8>),
    /// Sends these bytes and resets the connection.
    Reset(Vec<u8>),
}

impl Reply {
    pub fn status(status: u16, body: impl AsRef<[u8]>) -> Self {
        Self::Raw(answer(status, body.as_ref()))
    }
}

/// The bytes of a complete HTTP answer.
pub fn answer(status: u16, body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len()).as_bytes(), body]
        .concat()
}

/// A server that runs until the test's runtime ends.
pub struct Server {
    /// Without a trailing slash.
    pub url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Starts a server on a free port. `reply` gets each request and its number, from 0.
    pub async fn start(reply: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (log, reply) = (Arc::clone(&requests), Arc::new(reply));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (log, reply) = (Arc::clone(&log), Arc::clone(&reply));
                tokio::spawn(async move {
                    let Some(request) = read(&mut stream).await else { return };
                    let nth = {
                        let mut log = log.lock().unwrap();
                        log.push(request.clone());
                        log.len() - 1
                    };
                    respond(stream, reply(&request, nth)).await;
                });
            }
        });
        Self { url, requests }
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// The number of requests with this line.
    pub fn count(&self, line: &str) -> usize {
        self.requests().iter().filter(|request| request.line == line).count()
    }
}

async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8(bytes[..head].to_vec()).ok()?;
    let mut lines = text.lines();
    let line = lines.next()?.strip_suffix(" HTTP/1.1")?.to_owned();
    let mut request = Request { line, headers: Vec::new(), body: bytes.split_off(head + 4) };
    for line in lines {
        let (name, value) = line.split_once(": ")?;
        request.headers.push(format!("{}: {value}", name.to_lowercase()));
    }
    let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
    while request.body.len() < length {
        if stream.read_buf(&mut request.body).await.ok()? == 0 {
            return None;
        }
    }
    Some(request)
}

async fn respond(mut stream: TcpStream, reply: Reply) {
    let (Reply::Raw(bytes) | Reply::After(_, bytes) | Reply::Hang(bytes) | Reply::Reset(bytes)) = &reply;
    if let Reply::After(delay, _) = reply {
        tokio::time::sleep(delay).await;
    }
    // In some tests the client refuses the rest of the answer.
    let _ = stream.write_all(bytes).await;
    match reply {
        Reply::Raw(_) | Reply::After(..) => drop(stream.shutdown().await),
        Reply::Hang(_) => std::future::pending().await,
        Reply::Reset(_) => stream.set_zero_linger().unwrap(),
    }
}
