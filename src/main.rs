//! The binary: exit codes and nothing else.

// musl's own allocator is slow where several threads allocate; only the image is built for it.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    usoryou::cli::main()
}
