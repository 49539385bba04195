//! Commands to a server, as a test sends them.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
};

use crate::PATIENCE;

/// Sends commands over one connection; the answer to the last, as text: an error with `-` before it, an array as one line for
/// each part, nil as nothing.
pub(super) fn ask(address: SocketAddr, commands: &[&[&str]]) -> io::Result<String> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(stream);
    let mut answer = String::new();
    for command in commands {
        let mut text = Vec::new();
        write!(text, "*{}\r\n", command.len())?;
        for word in *command {
            write!(text, "${}\r\n{word}\r\n", word.len())?;
        }
        reader.get_mut().write_all(&text)?;
        answer = read(&mut reader)?;
    }
    Ok(answer)
}

fn read(reader: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let line = line.trim_end();
    let (kind, rest) = line
        .split_at_checked(1)
        .ok_or(io::ErrorKind::UnexpectedEof)?;
    let length = || rest.parse::<usize>().ok();
    Ok(match kind {
        "-" => line.to_owned(),
        "$" => {
            let Some(length) = length() else {
                return Ok(String::new());
            };
            let mut bytes = vec![0; length + 2];
            reader.read_exact(&mut bytes)?;
            bytes.truncate(length);
            String::from_utf8_lossy(&bytes).into_owned()
        }
        "*" => {
            let mut parts = Vec::new();
            for _part in 0..length().unwrap_or_default() {
                parts.push(read(reader)?);
            }
            parts.join("\n")
        }
        _ => rest.to_owned(),
    })
}
