//! The network of the test: a namespace of its own and a second one, the world, that has every address an attack asks for.
//! No packet leaves the machine even when a defence fails.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// The variable that says that this process is in its own namespaces.
const MARK: &str = "ATTACK_NAMESPACE";
/// The word that makes this program the servers of the world.
pub(crate) const WORLD: &str = "world";
/// The address that takes the place of the internet. It has to be reached.
pub(crate) const INTERNET: &str = "198.51.100.7";
/// This machine's own address.
pub(crate) const OWN: &str = "203.0.113.1";
/// A machine on the same network.
pub(crate) const NEIGHBOUR: &str = "203.0.113.2";
/// This machine's loopback interface, as slirp4netns shows it in an enclosure.
pub(crate) const HOST_INSIDE: &str = "10.0.2.2";
/// Addresses that hand out credentials, and addresses of private networks.
pub(crate) const REFUSED: [&str; 6] =
    ["169.254.170.2", "169.254.169.254", "10.9.8.7", "172.17.0.1", "192.168.7.7", "100.64.1.1"];
/// What every canary server answers.
pub(crate) const ANSWER: &str = "canary-server";

/// A command of busybox that asks a server for `/{token}` and prints the answer. Its wget is useless: where the base image is
/// built from Debian's static busybox, it ends with a segmentation fault whatever the address.
pub(crate) fn get(address: &str, port: u16, token: &str) -> String {
    format!("printf 'GET /{token} HTTP/1.0\\r\\n\\r\\n' | nc -w 5 {address} {port}")
}

/// A request that a canary server got.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Asked {
    /// The address that was asked.
    pub(crate) address: IpAddr,
    /// The request up to the first empty line.
    pub(crate) head: String,
}

/// The canary servers.
pub(crate) struct World {
    process: Child,
    asked: Arc<Mutex<Vec<Asked>>>,
    /// The port of the canary server on the loopback interface.
    pub(crate) port: u16,
    _names: tempfile::NamedTempFile,
}

/// Starts this program again in a network and a mount namespace of its own, unless it already is in them.
pub(crate) fn enter_own_namespaces() -> Result<()> {
    if std::env::var_os(MARK).is_some() {
        return Ok(());
    }
    let error = Command::new("unshare")
        .args(["--net", "--mount", "--propagation", "private", "--"])
        .arg(std::env::current_exe()?)
        .args(std::env::args_os().skip(1))
        .env(MARK, "yes")
        .exec();
    Err(error).context("making the namespaces of the test, which needs root")
}

/// Answers at every address of this namespace and prints each request. Ends with its standard input.
pub(crate) fn serve_the_world() -> Result<()> {
    let listener = TcpListener::bind(("0.0.0.0", 80))?;
    let resolver = UdpSocket::bind(("0.0.0.0", 53))?;
    println!();
    std::thread::spawn(move || resolve_nothing(&resolver));
    std::thread::spawn(move || serve(&listener, |asked| println!("{}", serde_json::json!(asked))));
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

impl World {
    pub(crate) fn make() -> Result<Self> {
        run("ip", &["link", "set", "lo", "up"])?;
        let mut process = Command::new("unshare")
            .args(["--net", "--", "setpriv", "--pdeathsig", "KILL", "--"])
            .arg(std::env::current_exe()?)
            .arg(WORLD)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut lines = BufReader::new(process.stdout.take().context("the world has no output")?).lines();
        lines.next().context("the world did not start")??;
        let pid = process.id().to_string();
        run("ip", &["link", "add", "attack0", "type", "veth", "peer", "name", "world0", "netns", &pid])?;
        run("ip", &["addr", "add", &format!("{OWN}/24"), "dev", "attack0"])?;
        run("ip", &["link", "set", "attack0", "up"])?;
        let inside = format!("--net=/proc/{pid}/ns/net");
        let there = |arguments: &[&str]| run("nsenter", &[&[inside.as_str(), "ip"], arguments].concat());
        there(&["addr", "add", &format!("{NEIGHBOUR}/24"), "dev", "world0"])?;
        there(&["link", "set", "world0", "up"])?;
        there(&["link", "set", "lo", "up"])?;
        for address in REFUSED.into_iter().chain([INTERNET]) {
            there(&["addr", "add", &format!("{address}/32"), "dev", "lo"])?;
            run("ip", &["route", "add", &format!("{address}/32"), "via", NEIGHBOUR])?;
        }
        // Everything else fails at once, as on a machine without a network.
        run("ip", &["route", "add", "unreachable", "default"])?;

        let names = tempfile::NamedTempFile::new()?;
        std::fs::write(names.path(), format!("nameserver {NEIGHBOUR}\n"))?;
        // Of the mount namespace of the test.
        run("mount", &["--bind", &names.path().to_string_lossy(), "/etc/resolv.conf"])?;

        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                log.lock().extend(serde_json::from_str::<Asked>(&line));
            }
        });
        let loopback = TcpListener::bind(("127.0.0.1", 0))?;
        let port = loopback.local_addr()?.port();
        for listener in [loopback, TcpListener::bind((OWN, 80))?] {
            let log = Arc::clone(&asked);
            std::thread::spawn(move || serve(&listener, move |asked| log.lock().push(asked)));
        }
        Ok(Self { process, asked, port, _names: names })
    }

    /// The requests whose head has this text.
    pub(crate) fn asked(&self, text: &str) -> Vec<Asked> {
        self.asked.lock().iter().filter(|asked| asked.head.contains(text)).cloned().collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Answers each question about a name: there is no such name. Without an answer, builds would wait for one.
fn resolve_nothing(resolver: &UdpSocket) {
    const NO_SUCH_NAME: [u8; 2] = [0x81, 0x83];
    let mut message = [0; 1500];
    while let Ok((bytes, client)) = resolver.recv_from(&mut message) {
        // The question's name ends with an empty label, and type and class follow.
        let Some(end) = message[..bytes].iter().skip(12).position(|byte| *byte == 0).map(|at| 12 + at + 5) else {
            continue;
        };
        message[2..4].copy_from_slice(&NO_SUCH_NAME);
        message[6..12].fill(0);
        // The client asks again.
        let _ = resolver.send_to(&message[..end.min(bytes)], client);
    }
}

fn serve(listener: &TcpListener, log: impl Fn(Asked) + Clone + Send + 'static) {
    for stream in listener.incoming().flatten() {
        let log = log.clone();
        std::thread::spawn(move || answer(stream, &log));
    }
}

/// A connection without a readable request counts as a request without a head.
fn answer(mut stream: TcpStream, log: &impl Fn(Asked)) {
    let Ok(address) = stream.local_addr() else { return };
    let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
    let mut head = Vec::new();
    let mut buffer = [0; 4096];
    while !head.windows(4).any(|window| window == b"\r\n\r\n") && head.len() < 64 << 10 {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(count) => head.extend_from_slice(&buffer[..count]),
        }
    }
    log(Asked { address: address.ip(), head: String::from_utf8_lossy(&head).into_owned() });
    // The client may have gone.
    let _ = write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{ANSWER}",
        ANSWER.len()
    );
}

fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new(program).args(arguments).output()?;
    ensure!(
        output.status.success(),
        "{program} {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}
