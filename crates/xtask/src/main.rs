//! Repository checks: `cargo run -p lockgate-xtask -- tidy`.

mod tidy;

use std::process::ExitCode;

#[expect(
    clippy::print_stderr,
    reason = "a command line tool speaks to its user"
)]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [command] if command == "tidy" => match tidy::run() {
            Ok(findings) if findings.is_empty() => ExitCode::SUCCESS,
            Ok(findings) => {
                for finding in &findings {
                    eprintln!("tidy: {finding}");
                }
                ExitCode::FAILURE
            }
            Err(error) => {
                eprintln!("tidy: {error:#}");
                ExitCode::FAILURE
            }
        },
        _ => {
            eprintln!("usage: xtask tidy");
            ExitCode::from(2)
        }
    }
}
