//! The daemon: reads its options, forks the spawner, opens the engine, serves the API, waits for a signal, drains.

mod options;

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use options::{Asked, Options};
use tokio::signal::unix::{SignalKind, signal};

/// Runs the daemon until SIGTERM or SIGINT; running containers go on without it.
pub(crate) fn main(words: &[OsString]) -> ExitCode {
    let options = match options::parse(words) {
        Ok(Asked::Daemon(options)) => *options,
        Ok(Asked::Text(text)) => {
            say(&text);
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            complain(&format!(
                "{error:#}\nRun 'estiva daemon --help' for more information"
            ));
            return ExitCode::from(125);
        }
    };
    match run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("failed to start daemon: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(options: Options) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!("estiva daemon needs root for now (rootless is not built yet)");
    }
    if options.background {
        // Out of the session of the command that started us: its terminal's signals are not ours.
        let _ = rustix::process::setsid();
    }
    start_logging(&options);
    // A daemon is idle most of its life, and is to be small then.
    sys::memory::share_heaps(2);
    sys::memory::map_large_blocks(64 << 10);
    // Before any thread exists: only a single-threaded process may fork.
    let spawner = shim::spawner::start()?;
    let pidfile = options.pidfile.clone();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_stack_size(512 << 10)
        .max_blocking_threads(256)
        .enable_all()
        .build()
        .context("start the event loop")?;
    let served = runtime.block_on(serve(options, spawner));
    // Work that hangs in a dead file system must not keep the daemon from ending.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    if served.is_ok() {
        let _ = fs::remove_file(pidfile);
    }
    served
}

async fn serve(options: Options, spawner: shim::spawner::SpawnerHandle) -> Result<()> {
    if let Some(pid) = running(&options.pidfile) {
        bail!(
            "{} names another daemon, which runs (pid {pid}): stop it, or choose another --pidfile",
            options.pidfile.display()
        );
    }
    let engine = engine::Engine::open(options.engine.clone(), spawner).await?;
    let mut listeners = Vec::new();
    let mut sockets = Vec::new();
    for host in &options.hosts {
        listeners.push(listen(host, &options, &mut sockets).await?);
    }
    write_pidfile(&options.pidfile)?;
    let engine = Arc::new(engine);
    tracing::info!(hosts = ?options.hosts, data_root = %options.engine.data_root.display(), "API listens");
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    let asked_to_end = async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        tracing::info!("asked to end: containers go on");
    };
    server::serve(listeners, engine.clone(), asked_to_end).await;
    engine.shut_down().await;
    for socket in sockets {
        let _ = fs::remove_file(socket);
    }
    Ok(())
}

async fn listen(
    host: &str,
    options: &Options,
    sockets: &mut Vec<PathBuf>,
) -> Result<server::Listener> {
    if let Some(path) = host.strip_prefix("unix://") {
        let path = Path::new(path);
        if let Some(folder) = path.parent() {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o711)
                .create(folder)?;
        }
        sockets.push(path.to_owned());
        return Ok(server::Listener::unix(path, options.group)?);
    }
    if let Some(address) = host.strip_prefix("tcp://") {
        let address = address
            .parse()
            .with_context(|| format!("listen address {address:?}"))?;
        tracing::warn!(%address, "the API is open to whoever reaches this address: it gives root on this host");
        return Ok(server::Listener::tcp(address).await?);
    }
    if host == "fd://" {
        bail!("fd:// is not in this version: use -H unix://PATH");
    }
    bail!("invalid host {host:?}: use unix://PATH or tcp://ADDRESS:PORT")
}

fn write_pidfile(path: &Path) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o711)
            .create(folder)?;
    }
    fs::write(path, format!("{}", std::process::id()))
        .with_context(|| format!("write {}", path.display()))
}

/// The daemon that a pidfile names, if it lives. A file that a killed daemon left may name somebody else by now.
fn running(path: &Path) -> Option<u32> {
    let pid: u32 = fs::read_to_string(path).ok()?.trim().parse().ok()?;
    let words = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let is_daemon = words.split(|byte| *byte == 0).nth(1) == Some(b"daemon");
    (is_daemon && pid != std::process::id()).then_some(pid)
}

fn start_logging(options: &Options) {
    use tracing_subscriber::EnvFilter;
    let level = if options.engine.debug {
        "debug"
    } else {
        options.log_level.as_str()
    };
    let filter = EnvFilter::try_from_env("ESTIVA_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    if options.log_json {
        subscriber.json().init();
    } else {
        subscriber.with_ansi(false).init();
    }
}

fn say(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn complain(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{text}");
}
