//! The binary: exit codes and nothing else.

fn main() -> std::process::ExitCode {
    usoryou::cli::main()
}
