//! The program that the browser's tests start, asked by a stranger. That there is a test of it also has it built with the tests.
#![allow(clippy::disallowed_methods, reason = "tests start the program that they are about")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};

#[test]
fn prints_its_address_and_refuses_strangers() {
    let buckets = std::env::temp_dir().join(format!("perch-serves-{}", std::process::id()));
    std::fs::create_dir_all(buckets.join("copies")).unwrap();
    let mut program =
        Command::new(env!("CARGO_BIN_EXE_perch-test-stores")).arg(&buckets).stdout(Stdio::piped()).spawn().unwrap();
    let mut endpoint = String::new();
    BufReader::new(program.stdout.take().unwrap()).read_line(&mut endpoint).unwrap();
    let address = endpoint.trim().strip_prefix("http://").unwrap();

    let mut line = TcpStream::connect(address).unwrap();
    write!(line, "GET /copies?list-type=2 HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    line.read_to_string(&mut answer).unwrap();
    program.kill().unwrap();
    program.wait().unwrap();
    std::fs::remove_dir_all(&buckets).unwrap();
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
}
