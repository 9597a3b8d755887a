//! The process at the other end of a connection, by the kernel's tables: <https://man7.org/linux/man-pages/man5/proc_net_tcp.5.html>.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result};

/// The id of the process that made a connection from `peer` to `own` on this machine.
pub(crate) fn of([peer, own]: [SocketAddr; 2]) -> Result<i32> {
    let inode = inode(peer, own)?.context("the connection is gone")?;
    process(&format!("socket:[{inode}]"))?.context("no process has the connection")
}

/// Both ends are compared: connections to different addresses can share a local port.
fn inode(peer: SocketAddr, own: SocketAddr) -> Result<Option<String>> {
    let [from, to] = [peer, own].map(|address| format!(":{:04X}", address.port()));
    let table = std::fs::read_to_string("/proc/net/tcp")?;
    let row = table.lines().skip(1).map(str::split_whitespace).find_map(|mut row| {
        let (local, remote) = (row.nth(1)?, row.next()?);
        (local.ends_with(&from) && remote.ends_with(&to)).then(|| row.nth(6).map(str::to_owned))?
    });
    Ok(row)
}

fn process(socket: &str) -> Result<Option<i32>> {
    for process in std::fs::read_dir("/proc")? {
        let process = process?;
        let Ok(id) = process.file_name().to_string_lossy().parse() else { continue };
        // A process that has just ended has no files.
        let Ok(files) = std::fs::read_dir(process.path().join("fd")) else { continue };
        for file in files.flatten() {
            if std::fs::read_link(file.path()).is_ok_and(|target| target == Path::new(socket)) {
                return Ok(Some(id));
            }
        }
    }
    Ok(None)
}
