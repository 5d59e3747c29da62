//! The API on a throwaway engine, for trying clients: `daemon DATA_ROOT EXEC_ROOT SOCKET`.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    if let Some(face) = args.next().as_deref().and_then(shim::face) {
        return face();
    }
    let spawner = match shim::spawner::start() {
        Ok(spawner) => spawner,
        Err(error) => return failed(&error),
    };
    let mut path = || args.next().map(PathBuf::from).unwrap_or_default();
    let (options, socket) = (engine::Options::new(path(), path()), path());
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    runtime.block_on(async {
        let engine = match engine::Engine::open(options, spawner).await {
            Ok(engine) => Arc::new(engine),
            Err(error) => return failed(&error),
        };
        let listener = match server::Listener::unix(&socket, None) {
            Ok(listener) => listener,
            Err(error) => return failed(&error),
        };
        let stop = async {
            let _ = tokio::signal::ctrl_c().await;
        };
        server::serve(vec![listener], engine, stop).await;
        ExitCode::SUCCESS
    })
}

#[expect(clippy::print_stderr, reason = "the only way out of an example")]
fn failed(error: &(dyn std::error::Error + 'static)) -> ExitCode {
    eprintln!("{}", fault::chain(error));
    ExitCode::FAILURE
}
