//! What the kernel says of processes. See proc_pid_stat(5).

use std::fs;

/// Fields of `/proc/PID/stat` that we need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) state: char,
    pub(crate) parent: i32,
    pub(crate) terminal: i64,
    /// User and kernel time, in clock ticks.
    pub(crate) cpu_ticks: u64,
    /// Clock ticks since boot.
    pub(crate) started_ticks: u64,
}

/// Looks a process up.
pub(crate) fn stat(pid: i32) -> Option<Stat> {
    let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
    parse(&String::from_utf8_lossy(&text))
}

fn parse(text: &str) -> Option<Stat> {
    // The command in parentheses may hold blanks and parentheses.
    let (_, rest) = text.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Stat {
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
        terminal: fields.get(4)?.parse().ok()?,
        cpu_ticks: number(11)? + number(12)?,
        started_ticks: number(19)?,
    })
}

/// Whether the process that began then is still one, and not dead and waiting for its parent.
pub(crate) fn is_alive(pid: i32, started_ticks: u64) -> bool {
    stat(pid).is_some_and(|stat| {
        stat.started_ticks == started_ticks && !matches!(stat.state, 'Z' | 'X' | 'x')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_with_parentheses_does_not_confuse() {
        let line = "12 (a) b (c) S 1 12 12 34816 12 4194304 1 2 3 4 50 60 7 8 20 0 1 0 777 9 9 9";
        let stat = parse(line).expect("a line");
        assert_eq!((stat.state, stat.parent, stat.terminal), ('S', 1, 34816));
        assert_eq!((stat.cpu_ticks, stat.started_ticks), (110, 777));
    }

    #[test]
    fn we_are_alive_and_nobody_began_with_the_machine() {
        let own = rustix::process::getpid().as_raw_nonzero().get();
        let begun = stat(own).expect("we run").started_ticks;
        assert!(is_alive(own, begun));
        assert!(!is_alive(own, begun + 1));
    }
}
