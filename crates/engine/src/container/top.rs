//! `top`: the processes of a container as `ps` would show them, read from /proc; no program is run for it.

use std::fs::{self, File};
use std::io::Read;

use lifecycle::Use;

use crate::blocking;
use crate::engine::Engine;
use crate::error::{Error, Result};

/// A table of processes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Top {
    /// Column titles.
    pub titles: Vec<String>,
    /// One row a process.
    pub processes: Vec<Vec<String>>,
}

/// One process as /proc shows it.
#[derive(Debug, Clone, Default)]
struct Process {
    pid: i32,
    ppid: i32,
    user: String,
    tty: String,
    state: String,
    start_ticks: u64,
    cpu_ticks: u64,
    vsize_kib: u64,
    rss_kib: u64,
    nice: i64,
    threads: u64,
    comm: String,
    args: String,
}

/// The kernel's clock ticks a second, as user space sees them on every Linux architecture that we run on.
const TICKS: u64 = 100;
/// A process may have megabytes of arguments; so much of a file of its is read.
const MOST_BYTES: u64 = 64 << 10;

impl Engine {
    /// The container's processes; `arguments` are ps options: `-ef` (default), `aux`, `-o COLUMNS`.
    ///
    /// # Errors
    /// No such container; it does not run; options that this is not a match for.
    pub async fn top(&self, target: &str, arguments: &str) -> Result<Top> {
        let view = self.container(target)?;
        view.permits(Use::Top)?;
        let columns = columns(arguments)?;
        self.shared.tell_of(&view.record, "top", []);
        let cgroup = self.shared.cgroup_of(&view.record);
        blocking::run("top", move || {
            let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
            let mut processes: Vec<Process> = cgroup::Group::open(&cgroup)?
                .pids()?
                .into_iter()
                .filter_map(|pid| read(pid, &passwd))
                .collect();
            processes.sort_by_key(|p| p.pid);
            let uptime = uptime();
            Ok(Top {
                titles: columns.iter().map(|c| c.title().to_owned()).collect(),
                processes: processes
                    .iter()
                    .map(|p| columns.iter().map(|c| c.of(p, uptime)).collect())
                    .collect(),
            })
        })
        .await
    }
}

/// A column of ps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Uid,
    User,
    Pid,
    Ppid,
    C,
    PCpu,
    PMem,
    Vsz,
    Rss,
    Stime,
    Start,
    Tty,
    TtyShort,
    Stat,
    Time,
    Nice,
    Threads,
    Comm,
    Cmd,
    Args,
}

fn columns(arguments: &str) -> Result<Vec<Column>> {
    use Column as C;
    let words: Vec<&str> = arguments.split_whitespace().collect();
    let named = match words[..] {
        [] | ["-ef" | "-fe"] => {
            return Ok(vec![
                C::Uid,
                C::Pid,
                C::Ppid,
                C::C,
                C::Stime,
                C::Tty,
                C::Time,
                C::Cmd,
            ]);
        }
        ["aux" | "-aux" | "u"] => {
            return Ok(vec![
                C::User,
                C::Pid,
                C::PCpu,
                C::PMem,
                C::Vsz,
                C::Rss,
                C::TtyShort,
                C::Stat,
                C::Start,
                C::Time,
                C::Args,
            ]);
        }
        ["-e" | "-A"] => return Ok(vec![C::Pid, C::TtyShort, C::Time, C::Comm]),
        ["-o" | "-eo" | "o", list] => list,
        [word] if word.starts_with("-o") => &word[2..],
        _ => {
            return Err(Error::Invalid(format!(
                "ps options {arguments:?} are not known: use -ef, aux or -o with columns such as pid,user,comm,args"
            )));
        }
    };
    let list: Option<Vec<Column>> = named.split(',').map(Column::parse).collect();
    let list = list.ok_or_else(|| Error::Invalid(format!("ps: unknown column in {named:?}")))?;
    if list.contains(&C::Pid) {
        Ok(list)
    } else {
        Err(Error::Invalid(
            "Couldn't find PID field in ps output".into(),
        ))
    }
}

impl Column {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "uid" => Self::Uid,
            "user" | "euser" | "uname" => Self::User,
            "pid" => Self::Pid,
            "ppid" => Self::Ppid,
            "c" => Self::C,
            "%cpu" | "pcpu" => Self::PCpu,
            "%mem" | "pmem" => Self::PMem,
            "vsz" | "vsize" => Self::Vsz,
            "rss" | "rssize" => Self::Rss,
            "stime" | "start_time" => Self::Stime,
            "tty" | "tt" | "tname" => Self::TtyShort,
            "stat" | "state" | "s" => Self::Stat,
            "time" | "cputime" => Self::Time,
            "ni" | "nice" => Self::Nice,
            "nlwp" | "thcount" => Self::Threads,
            "comm" | "ucmd" | "ucomm" => Self::Comm,
            "cmd" => Self::Cmd,
            "args" | "command" => Self::Args,
            _ => return None,
        })
    }

    fn title(self) -> &'static str {
        match self {
            Self::Uid => "UID",
            Self::User => "USER",
            Self::Pid => "PID",
            Self::Ppid => "PPID",
            Self::C => "C",
            Self::PCpu => "%CPU",
            Self::PMem => "%MEM",
            Self::Vsz => "VSZ",
            Self::Rss => "RSS",
            Self::Stime => "STIME",
            Self::Start => "START",
            Self::Tty | Self::TtyShort => "TTY",
            Self::Stat => "STAT",
            Self::Time => "TIME",
            Self::Nice => "NI",
            Self::Threads => "NLWP",
            Self::Comm => "COMMAND",
            Self::Cmd => "CMD",
            Self::Args => "COMMAND",
        }
    }

    fn of(self, p: &Process, uptime: f64) -> String {
        let started = p.start_ticks as f64 / TICKS as f64;
        let ran = (uptime - started).max(0.01);
        let percent = p.cpu_ticks as f64 / TICKS as f64 / ran * 100.0;
        match self {
            Self::Uid | Self::User => p.user.clone(),
            Self::Pid => p.pid.to_string(),
            Self::Ppid => p.ppid.to_string(),
            Self::C => format!("{percent:.0}"),
            Self::PCpu => format!("{percent:.1}"),
            Self::PMem => "0.0".to_owned(),
            Self::Vsz => p.vsize_kib.to_string(),
            Self::Rss => p.rss_kib.to_string(),
            Self::Stime | Self::Start => clock(uptime - started),
            Self::Tty | Self::TtyShort => p.tty.clone(),
            Self::Stat => p.state.clone(),
            Self::Time => {
                let secs = p.cpu_ticks / TICKS;
                format!("{:02}:{:02}:{:02}", secs / 3600, secs / 60 % 60, secs % 60)
            }
            Self::Nice => p.nice.to_string(),
            Self::Threads => p.threads.to_string(),
            Self::Comm => p.comm.clone(),
            Self::Cmd | Self::Args => p.args.clone(),
        }
    }
}

/// The host's name of a user, as ps on the host would show it; the number where it has none.
fn user_name(uid: u32, passwd: &str) -> String {
    let found = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    found.unwrap_or_else(|| uid.to_string())
}

/// The time of day so many seconds ago, hours and minutes.
fn clock(seconds_ago: f64) -> String {
    let ago = jiff::SignedDuration::from_secs_f64(seconds_ago.clamp(0.0, 1e9));
    let at = jiff::Zoned::now().saturating_sub(ago);
    if seconds_ago > 86_400.0 {
        at.strftime("%b%d").to_string()
    } else {
        at.strftime("%H:%M").to_string()
    }
}

fn uptime() -> f64 {
    let text = fs::read_to_string("/proc/uptime").unwrap_or_default();
    text.split_whitespace()
        .next()
        .and_then(|t| t.parse().ok())
        .unwrap_or(0.0)
}

/// What /proc says of a process. Name and arguments are the container's own words: any bytes, and no more than is shown.
fn read(pid: i32, passwd: &str) -> Option<Process> {
    let text = |file: &str| -> Option<String> {
        let mut bytes = Vec::new();
        let file = File::open(format!("/proc/{pid}/{file}")).ok()?;
        file.take(MOST_BYTES).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    };
    let stat = text("stat")?;
    // The name may hold spaces and parentheses: it ends at the last one.
    let (head, rest) = stat.rsplit_once(')')?;
    let comm = head.split_once('(')?.1.to_owned();
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let number = |at: usize| {
        fields
            .get(at)
            .and_then(|f| f.parse::<u64>().ok())
            .unwrap_or(0)
    };
    let status = text("status").unwrap_or_default();
    let uid = status
        .lines()
        .find_map(|l| l.strip_prefix("Uid:"))
        .and_then(|l| l.split_whitespace().nth(1))
        .and_then(|u| u.parse().ok())
        .unwrap_or(0);
    let cmdline = text("cmdline").unwrap_or_default();
    let words: Vec<_> = cmdline.split('\0').filter(|w| !w.is_empty()).collect();
    let tty = match number(4) {
        0 => "?".to_owned(),
        device => format!("pts/{}", device & 0xff),
    };
    Some(Process {
        pid,
        ppid: i32::try_from(number(1)).unwrap_or(0),
        user: user_name(uid, passwd),
        tty,
        state: (*fields.first()?).to_owned(),
        start_ticks: number(19),
        cpu_ticks: number(11) + number(12),
        vsize_kib: number(20) / 1024,
        rss_kib: number(21) * 4,
        nice: fields.get(16).and_then(|f| f.parse().ok()).unwrap_or(0),
        threads: number(17),
        args: if words.is_empty() {
            format!("[{comm}]")
        } else {
            words.join(" ")
        },
        comm,
    })
}
